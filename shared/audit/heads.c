/* SPDX-License-Identifier: BSD-2-Clause */

/* Signs the heads of the audit's chains, and verifies such signatures. */

#include <errno.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit/heads.h"
#include "base/base64.h"
#include "keys/keyfile.h"
#include "store/store.h"

#define ES_HEADS_PEM_MAX    4096
#define ES_HEADS_PUBLIC     32
#define ES_HEADS_SIGNATURE  64
#define ES_HEADS_BASE64     89      /* bytes of its text, with NUL */
#define ES_HEADS_HEX        (2 * ES_AUDIT_HASH + 1)

struct es_heads_key {
    EVP_PKEY  *pkey;
    char       id[2 * SHA256_DIGEST_LENGTH + 1];
};


static void
es_heads_hex(const uint8_t *bytes, size_t n, char *out)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        (void) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    }
}


static bool
es_heads_unhex(const char *text, uint8_t *bytes, size_t n)
{
    size_t    i;
    unsigned  byte;

    if (text == NULL || strlen(text) != 2 * n
        || strspn(text, "0123456789abcdef") != 2 * n)
    {
        return false;
    }

    for (i = 0; i < n; i++) {
        if (sscanf(text + 2 * i, "%2x", &byte) != 1) {
            return false;
        }

        bytes[i] = (uint8_t) byte;
    }

    return true;
}


/* Takes the PKEY; NULL: the file had none. */

static es_rc_t
es_heads_key_make(const char *path, EVP_PKEY *pkey, es_heads_key_t **out,
    es_problem_t *problem)
{
    size_t           len;
    uint8_t          bytes[ES_HEADS_PUBLIC], digest[SHA256_DIGEST_LENGTH];
    es_heads_key_t  *key;

    len = sizeof(bytes);

    if (pkey == NULL
        || EVP_PKEY_id(pkey) != EVP_PKEY_ED25519
        || EVP_PKEY_get_raw_public_key(pkey, bytes, &len) != 1)
    {
        EVP_PKEY_free(pkey);

        return es_problem_set(problem, ES_INVALID, -1, NULL, "audit key "
                              "\"%s\" is not an ed25519 key in PEM", path);
    }

    key = calloc(1, sizeof(es_heads_key_t));
    if (key == NULL) {
        EVP_PKEY_free(pkey);
        return es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
    }

    key->pkey = pkey;
    (void) SHA256(bytes, len, digest);
    es_heads_hex(digest, sizeof(digest), key->id);
    *out = key;

    return ES_OK;
}


/* A key with a passphrase is refused: nobody is there to type it. */

static int
es_heads_no_passphrase(char *buf, int size, int writing, void *ctx)
{
    (void) buf;
    (void) size;
    (void) writing;
    (void) ctx;

    return 0;
}


es_rc_t
es_heads_key_load(const char *path, es_heads_key_t **key,
    es_problem_t *problem)
{
    BIO       *bio;
    char       pem[ES_HEADS_PEM_MAX];
    size_t     len;
    es_rc_t    rc;
    EVP_PKEY  *pkey;

    rc = es_key_file_read("audit key", path, pem, sizeof(pem), &len, problem);

    if (rc == ES_OK) {
        bio = BIO_new_mem_buf(pem, (int) len);
        pkey = bio ? PEM_read_bio_PrivateKey(bio, NULL, es_heads_no_passphrase,
                                             NULL) : NULL;
        BIO_free(bio);
        rc = es_heads_key_make(path, pkey, key, problem);
    }

    OPENSSL_cleanse(pem, sizeof(pem));

    return rc;
}


es_rc_t
es_heads_public_load(const char *path, es_heads_key_t **key,
    es_problem_t *problem)
{
    FILE      *file;
    EVP_PKEY  *pkey;

    file = fopen(path, "re");
    if (file == NULL) {
        return es_problem_set(problem, ES_IO, -1, NULL, "audit key \"%s\" "
                              "cannot be opened: %s", path, strerror(errno));
    }

    pkey = PEM_read_PUBKEY(file, NULL, NULL, NULL);

    if (pkey == NULL) {
        rewind(file);
        pkey = PEM_read_PrivateKey(file, NULL, es_heads_no_passphrase, NULL);
    }

    (void) fclose(file);

    return es_heads_key_make(path, pkey, key, problem);
}


void
es_heads_key_free(es_heads_key_t *key)
{
    if (key != NULL) {
        EVP_PKEY_free(key->pkey);
        free(key);
    }
}


es_rc_t
es_heads_read(es_store_t *store, es_heads_t *heads)
{
    es_rc_t   rc;
    unsigned  i;

    heads->identity = store->identity;
    es_time_print(es_clock_ms(), heads->time);
    heads->time[ES_TIME_LEN] = '\0';

    for (i = 0, rc = ES_OK; rc == ES_OK && i < ES_AUDIT_CHAINS; i++) {
        rc = es_audit_head(store, (es_audit_chain_t) i, &heads->heads[i],
                           NULL);
    }

    return rc;
}


/* The text that is signed. */

static es_rc_t
es_heads_text(const es_heads_t *heads, es_buf_t *text)
{
    char      hex[ES_HEADS_HEX];
    es_rc_t   rc;
    unsigned  i;

    rc = es_buf_printf(text, "eventsync audit heads\nstore %016" PRIx64
                       "\ntime %s\n", heads->identity, heads->time);

    for (i = 0; rc == ES_OK && i < ES_AUDIT_CHAINS; i++) {
        es_heads_hex(heads->heads[i].hash, ES_AUDIT_HASH, hex);
        rc = es_buf_printf(text, "%s %" PRIu64 " %s\n",
                           es_audit_name((es_audit_chain_t) i),
                           heads->heads[i].sequence, hex);
    }

    return rc;
}


static es_rc_t
es_heads_line(const es_heads_key_t *key, const es_heads_t *heads,
    const uint8_t *signature, es_buf_t *line)
{
    char      hex[ES_HEADS_HEX], base64[ES_HEADS_BASE64];
    es_rc_t   rc;
    unsigned  i;

    rc = es_buf_printf(line, "{\"store\":\"%016" PRIx64 "\",\"time\":\"%s\","
                       "\"heads\":{", heads->identity, heads->time);

    for (i = 0; rc == ES_OK && i < ES_AUDIT_CHAINS; i++) {
        es_heads_hex(heads->heads[i].hash, ES_AUDIT_HASH, hex);
        rc = es_buf_printf(line, "%s\"%s\":{\"sequence\":%" PRIu64
                           ",\"hash\":\"%s\"}", i > 0 ? "," : "",
                           es_audit_name((es_audit_chain_t) i),
                           heads->heads[i].sequence, hex);
    }

    (void) EVP_EncodeBlock((unsigned char *) base64, signature,
                           ES_HEADS_SIGNATURE);

    return rc == ES_OK
           ? es_buf_printf(line, "},\"key\":\"%s\",\"signature\":\"%s\"}",
                           key->id, base64) : rc;
}


static es_rc_t
es_heads_key_sign(const es_heads_key_t *key, es_str_t text,
    uint8_t signature[ES_HEADS_SIGNATURE])
{
    bool         signs;
    size_t       len;
    EVP_MD_CTX  *ctx;

    ctx = EVP_MD_CTX_new();
    len = ES_HEADS_SIGNATURE;

    signs = ctx != NULL
            && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key->pkey) == 1
            && EVP_DigestSign(ctx, signature, &len,
                              (const uint8_t *) text.data, text.len) == 1;

    EVP_MD_CTX_free(ctx);

    return signs ? ES_OK : ES_NOMEM;
}


es_rc_t
es_heads_sign(const es_heads_key_t *key, const es_heads_t *heads,
    es_buf_t *line)
{
    es_rc_t   rc;
    uint8_t   signature[ES_HEADS_SIGNATURE];
    es_buf_t  text = { NULL, 0, 0 };

    rc = es_heads_text(heads, &text);

    if (rc == ES_OK) {
        rc = es_heads_key_sign(key, (es_str_t) { text.data, text.len },
                               signature);
    }

    es_buf_free(&text);

    return rc == ES_OK ? es_heads_line(key, heads, signature, line) : rc;
}


es_rc_t
es_heads_sign_text(const es_heads_key_t *key, es_str_t text, es_buf_t *line)
{
    char     base64[ES_HEADS_BASE64];
    es_rc_t  rc;
    uint8_t  signature[ES_HEADS_SIGNATURE];

    rc = es_heads_key_sign(key, text, signature);
    if (rc != ES_OK) {
        return rc;
    }

    (void) EVP_EncodeBlock((unsigned char *) base64, signature,
                           ES_HEADS_SIGNATURE);

    return es_buf_printf(line, "{\"key\":\"%s\",\"signature\":\"%s\"}",
                         key->id, base64);
}


/* False: a member is missing, or wrong, or there is another one. */

static bool
es_heads_parse(const json_t *object, es_heads_t *heads, const char **key,
    const char **signature)
{
    unsigned     i;
    json_t      *chains;
    json_int_t   sequence;
    const char  *store, *time, *hash;

    if (json_unpack((json_t *) (uintptr_t) object, "{s:s, s:s, s:o, s:s, s:s !}",
                    "store", &store, "time", &time, "heads", &chains, "key",
                    key, "signature", signature) != 0
        || strlen(store) != 16
        || strspn(store, "0123456789abcdef") != 16
        || strlen(time) != ES_TIME_LEN
        || json_object_size(chains) != ES_AUDIT_CHAINS)
    {
        return false;
    }

    heads->identity = strtoull(store, NULL, 16);
    memcpy(heads->time, time, sizeof(heads->time));

    for (i = 0; i < ES_AUDIT_CHAINS; i++) {
        if (json_unpack(json_object_get(chains,
                                        es_audit_name((es_audit_chain_t) i)),
                        "{s:I, s:s !}", "sequence", &sequence, "hash", &hash)
            != 0
            || sequence < 0
            || !es_heads_unhex(hash, heads->heads[i].hash, ES_AUDIT_HASH))
        {
            return false;
        }

        heads->heads[i].sequence = (uint64_t) sequence;
    }

    return true;
}


static bool
es_heads_key_signed(const es_heads_key_t *key, es_str_t text,
    const char *signature)
{
    bool         good;
    size_t       len;
    uint8_t      bytes[ES_HEADS_BASE64];
    EVP_MD_CTX  *ctx;

    if (strlen(signature) >= sizeof(bytes)
        || es_base64_decode(es_str(signature), bytes, &len) != ES_OK
        || len != ES_HEADS_SIGNATURE)
    {
        return false;
    }

    ctx = EVP_MD_CTX_new();

    good = ctx != NULL
           && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key->pkey) == 1
           && EVP_DigestVerify(ctx, bytes, ES_HEADS_SIGNATURE,
                               (const uint8_t *) text.data, text.len) == 1;

    EVP_MD_CTX_free(ctx);

    return good;
}


static bool
es_heads_signed(const es_heads_key_t *key, const es_heads_t *heads,
    const char *signature)
{
    bool      good;
    es_buf_t  text = { NULL, 0, 0 };

    good = es_heads_text(heads, &text) == ES_OK
           && es_heads_key_signed(key, (es_str_t) { text.data, text.len },
                                  signature);
    es_buf_free(&text);

    return good;
}


es_rc_t
es_heads_verify_text(const es_heads_key_t *key, es_str_t text, es_str_t line,
    es_problem_t *problem)
{
    json_t      *object;
    es_rc_t      rc;
    const char  *id, *signature;

    object = json_loadb(line.data, line.len, JSON_REJECT_DUPLICATES, NULL);

    if (json_unpack(object, "{s:s, s:s !}", "key", &id, "signature",
                    &signature) != 0)
    {
        rc = es_problem_set(problem, ES_INVALID, -1, NULL, "there is no "
                            "signature");

    } else if (strcmp(id, key->id) != 0) {
        rc = es_problem_set(problem, ES_DENIED, -1, NULL, "another key has "
                            "signed, %.64s", id);

    } else if (!es_heads_key_signed(key, text, signature)) {
        rc = es_problem_set(problem, ES_DENIED, -1, NULL, "the signature is "
                            "wrong");

    } else {
        rc = ES_OK;
    }

    json_decref(object);

    return rc;
}


es_rc_t
es_heads_verify(const es_heads_key_t *key, es_str_t line, es_heads_t *heads,
    es_problem_t *problem)
{
    json_t      *object;
    es_rc_t      rc;
    const char  *id, *signature;

    object = json_loadb(line.data, line.len, JSON_REJECT_DUPLICATES, NULL);

    if (!es_heads_parse(object, heads, &id, &signature)) {
        rc = es_problem_set(problem, ES_INVALID, -1, NULL, "not the signed "
                            "heads of an audit");

    } else if (strcmp(id, key->id) != 0) {
        rc = es_problem_set(problem, ES_DENIED, -1, NULL, "the heads are "
                            "signed by another key, %.64s", id);

    } else if (!es_heads_signed(key, heads, signature)) {
        rc = es_problem_set(problem, ES_DENIED, -1, NULL, "the signature of "
                            "the heads is wrong");

    } else {
        rc = ES_OK;
    }

    json_decref(object);

    return rc;
}
