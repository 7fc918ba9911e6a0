/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Computes the names of client certificates.
 *
 * What is hashed for a subject or URI begins with a word and has NUL bytes
 * between its parts, which no part contains.  So neither a certificate, which
 * begins with 0x30, nor the text of an API key has the same digest.
 */

/* As in apikey.c: the other forms look the algorithm up at each call. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include "base/base.h"
#include "base/random.h"
#include "keys/peer_cert.h"

#define ES_DN_FLAGS  (XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB)


void
es_peer_cert_fingerprint(const uint8_t sha256[ES_DIGEST_LEN],
    es_apikey_t *name)
{
    size_t    i;
    uint64_t  bits = 0;

    for (i = 0; i < 7; i++) {
        bits = bits << 8 | sha256[i];
    }

    for (i = 0; i < ES_KEYID_LEN; i++) {
        name->id[i] = es_base32_char((unsigned) (bits >> (51 - 5 * i)) & 31);
    }

    name->id[ES_KEYID_LEN] = '\0';
    memcpy(name->digest, sha256, ES_DIGEST_LEN);
}


static void
es_peer_cert_name(const char *kind, es_str_t issuer, es_str_t value,
    es_apikey_t *name)
{
    uint8_t     digest[ES_DIGEST_LEN];
    SHA256_CTX  sha;

    (void) SHA256_Init(&sha);
    (void) SHA256_Update(&sha, kind, strlen(kind) + 1);
    (void) SHA256_Update(&sha, issuer.data, issuer.len);
    (void) SHA256_Update(&sha, "", 1);
    (void) SHA256_Update(&sha, value.data, value.len);
    (void) SHA256_Final(digest, &sha);

    es_peer_cert_fingerprint(digest, name);
}


void
es_peer_cert_subject(es_str_t issuer, es_str_t subject, es_apikey_t *name)
{
    es_peer_cert_name("subject", issuer, subject, name);
}


void
es_peer_cert_uri(es_str_t issuer, es_str_t uri, es_apikey_t *name)
{
    es_peer_cert_name("uri", issuer, uri, name);
}


/* `time` in ms since 1970; -1: it is malformed. */

static int64_t
es_peer_cert_ms(const ASN1_TIME *time)
{
    struct tm  tm;

    return time != NULL && ASN1_TIME_to_tm(time, &tm) == 1
           ? (int64_t) timegm(&tm) * 1000 : -1;
}


static es_rc_t
es_peer_cert_dn(const X509_NAME *dn, BIO **bio, es_str_t *text)
{
    long   len;
    char  *data;

    *bio = BIO_new(BIO_s_mem());

    if (*bio == NULL || X509_NAME_print_ex(*bio, dn, 0, ES_DN_FLAGS) < 0) {
        return ES_NOMEM;
    }

    len = BIO_get_mem_data(*bio, &data);
    text->data = data;
    text->len = len > 0 ? (size_t) len : 0;

    return ES_OK;
}


static es_rc_t
es_peer_cert_uris(const X509 *x509, es_str_t issuer, es_peer_cert_t *out)
{
    int             i, critical, n = 0;
    es_rc_t         rc = ES_OK;
    es_str_t        uri;
    GENERAL_NAME   *name;
    GENERAL_NAMES  *names;

    names = X509_get_ext_d2i(x509, NID_subject_alt_name, &critical, NULL);

    if (names == NULL) {
        return critical == -1 ? ES_OK : ES_INVALID;
    }

    for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        name = sk_GENERAL_NAME_value(names, i);

        if (name->type != GEN_URI) {
            continue;
        }

        uri.data = (const char *) ASN1_STRING_get0_data(name->d.ia5);
        uri.len = (size_t) ASN1_STRING_length(name->d.ia5);

        if (++n > ES_PEER_CERT_URIS || memchr(uri.data, 0, uri.len)) {
            rc = ES_INVALID;
            break;
        }

        es_peer_cert_uri(issuer, uri, &out->names[out->n++]);
        es_peer_cert_uri(es_null_str, uri, &out->names[out->n++]);
    }

    GENERAL_NAMES_free(names);

    return rc;
}


es_rc_t
es_peer_cert_read(const X509 *x509, es_peer_cert_t *out)
{
    BIO       *bios[2] = { NULL, NULL };
    uint8_t    sha256[ES_DIGEST_LEN];
    es_rc_t    rc;
    es_str_t   issuer = es_null_str, subject = es_null_str;

    out->n = 0;
    out->begins_ms = es_peer_cert_ms(X509_get0_notBefore(x509));
    out->ends_ms = es_peer_cert_ms(X509_get0_notAfter(x509));

    if (out->begins_ms < 0 || out->ends_ms < 0) {
        return ES_INVALID;
    }

    out->ends_ms += 1000;          /* the last second is part of its life */

    if (X509_digest(x509, EVP_sha256(), sha256, NULL) != 1) {
        return ES_NOMEM;
    }

    es_peer_cert_fingerprint(sha256, &out->names[out->n++]);

    rc = es_peer_cert_dn(X509_get_issuer_name(x509), &bios[0], &issuer);

    if (rc == ES_OK) {
        rc = es_peer_cert_dn(X509_get_subject_name(x509), &bios[1],
                               &subject);
    }

    if (rc == ES_OK) {
        es_peer_cert_subject(issuer, subject, &out->names[out->n++]);
        rc = es_peer_cert_uris(x509, issuer, out);
    }

    BIO_free(bios[0]);
    BIO_free(bios[1]);
    ERR_clear_error();

    return rc;
}


es_rc_t
es_peer_cert_file(const char *path, uint8_t sha256[ES_DIGEST_LEN])
{
    FILE  *file;
    X509  *x509;
    bool   read;

    file = fopen(path, "re");
    if (file == NULL) {
        return ES_NOT_FOUND;
    }

    x509 = PEM_read_X509(file, NULL, NULL, NULL);
    (void) fclose(file);

    read = x509 != NULL && X509_digest(x509, EVP_sha256(), sha256, NULL) == 1;

    X509_free(x509);
    ERR_clear_error();

    return read ? ES_OK : ES_INVALID;
}
