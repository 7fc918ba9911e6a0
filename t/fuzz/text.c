/* SPDX-License-Identifier: BSD-2-Clause */

/* Texts of one value: durations, patterns, URLs, secrets, encrypted secrets,
   media types, attributes; and fields of signatures. */

#include "base/base64.h"
#include "base/json.h"
#include "event/attribute.h"
#include "fuzz.h"
#include "keys/keyring.h"
#include "keys/public_key.h"
#include "keys/signature.h"
#include "registry/values.h"

#define DAY_MS  (24 * 3600 * 1000)


static void
secret(es_str_t text)
{
    char          out[ES_SIGNATURE_MAX], whpk[ES_PUBLIC_TEXT_MAX];
    es_str_t      body = es_lit("{}"), id = es_lit("id");
    es_signer_t  *signer;

    must(es_sealed(text) || es_sealed_kid(text).len == 0);
    must(es_sealed_public(text).len < text.len || text.len == 0);

    if (es_secret_public(text, whpk)) {
        must(memchr(whpk, '\0', sizeof(whpk)) != NULL);
    }

    if (es_signer_create(text, &signer) != ES_OK) {
        return;
    }

    must(es_sign(signer, id, 1, &body, 1, out) == ES_OK);
    must(es_signature_verify(signer, es_str(out), id, es_lit("1"), body));
    must(!es_signature_verify(signer, es_str(out), id, es_lit("2"), body));

    es_signer_destroy(signer);
}


/* A header of tokens, by a key that has signed none of them. */

static void
signature(es_str_t text)
{
    es_signer_t  *signer;

    must(es_signer_create(es_lit("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
                          &signer) == ES_OK);
    must(!es_signature_verify(signer, text, es_lit("id"), es_lit("1"),
                              es_lit("{}")));
    es_signer_destroy(signer);
}


static void
base64(es_str_t text)
{
    char    *out;
    size_t   len;

    out = malloc(text.len / 4 * 3 + 1);
    must(out != NULL);

    if (es_base64_decode(text, out, &len) == ES_OK) {
        must(es_base64_ok(text) && len <= text.len / 4 * 3);
    }

    free(out);
}


static void
attribute(es_str_t text)
{
    int          kind;
    es_rc_t      rc;
    const char  *fault;

    kind = es_attr_find(text);
    must(kind == ES_ATTR_EXTENSION || es_str_eq(es_attr_name(kind), text));

    for (kind = 0; kind <= ES_ATTR_EXTENSION; kind++) {
        rc = ES_OK;
        fault = es_attr_fault(kind, text, &rc);
        must(fault == NULL || rc == ES_INVALID || rc == ES_TOO_LARGE);
    }

    (void) es_extension_fault(text);
    (void) es_literal_fault(text);
    (void) es_media(text);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char      *copy;
    es_str_t   text;
    uint32_t   ms;

    text = (es_str_t) { (const char *) data, size };

    if (es_duration_parse(text, &ms) == ES_OK) {
        must(ms <= UINT32_C(30) * DAY_MS);
    }

    must(!es_pattern_ok(text) || (size > 0 && size <= ES_FEED_MAX + 1));

    /* texts of records end with NUL, and have none before */

    if (size > 0 && memchr(data, '\0', size) != NULL) {
        return 0;
    }

    copy = calloc(1, size + 1);
    must(copy != NULL);

    if (size > 0) {
        memcpy(copy, data, size);
    }

    text.data = copy;

    (void) es_url_fault(text);
    secret(text);
    signature(text);
    base64(text);

    if (es_utf8_ok(text)) {
        attribute(text);
    }

    free(copy);

    return 0;
}
