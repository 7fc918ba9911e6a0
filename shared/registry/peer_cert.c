/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes the member `certificate` of a key: the name of a client certificate,
 * which stands for the text of a key.  `digest` and the key's id must be those
 * of that name, so a damaged record admits nobody.
 */

#include <string.h>

#include "base/base.h"
#include "base/json.h"
#include "keys/peer_cert.h"
#include "registry/record.h"
#include "registry/registry.h"

#define ES_PEER_CERT_TEXT_MAX  1024

typedef struct {
    es_str_t  sha256;
    es_str_t  issuer;
    es_str_t  subject;
    es_str_t  uri;
} es_peer_cert_members_t;


static es_rc_t
es_peer_cert_members(es_record_t *r, json_t *object,
    es_peer_cert_members_t *m)
{
    char         pointer[ES_POINTER_MAX];
    json_t      *value;
    const char  *name;
    es_str_t    *text;

    json_object_foreach(object, name, value) {
        text = strcmp(name, "sha256") == 0 ? &m->sha256
               : strcmp(name, "issuer") == 0 ? &m->issuer
               : strcmp(name, "subject") == 0 ? &m->subject
               : strcmp(name, "uri") == 0 ? &m->uri : NULL;

        (void) strcpy(pointer, "/certificate");
        es_pointer_add(pointer, sizeof(pointer), es_str(name));

        if (text == NULL) {
            return es_fault(r, pointer, "is an unknown member");
        }

        if (!json_is_string(value) || json_string_length(value) == 0
            || json_string_length(value) > ES_PEER_CERT_TEXT_MAX)
        {
            return es_fault(r, pointer, "must be a string of 1 to 1024 bytes");
        }

        *text = es_text(value);
    }

    return ES_OK;
}


static es_rc_t
es_peer_cert_sha256(es_record_t *r, es_str_t text, es_apikey_t *name)
{
    uint8_t  digest[ES_DIGEST_LEN] = { 0 };

    if (!es_digest_parse(text, digest)) {
        return es_fault(r, "/certificate/sha256", "must have 64 hexadecimal "
                        "digits in lower case");
    }

    es_peer_cert_fingerprint(digest, name);

    return ES_OK;
}


/* The name, if the members are those of exactly one form. */

static es_rc_t
es_peer_cert_form(es_record_t *r, const es_peer_cert_members_t *m,
    es_apikey_t *name)
{
    bool  issuer = m->issuer.data != NULL;

    if (m->sha256.data != NULL && !issuer && m->subject.data == NULL
        && m->uri.data == NULL)
    {
        return es_peer_cert_sha256(r, m->sha256, name);
    }

    if (m->subject.data != NULL && issuer && m->sha256.data == NULL
        && m->uri.data == NULL)
    {
        es_peer_cert_subject(m->issuer, m->subject, name);
        return ES_OK;
    }

    if (m->uri.data != NULL && m->sha256.data == NULL
        && m->subject.data == NULL)
    {
        es_peer_cert_uri(m->issuer, m->uri, name);
        return ES_OK;
    }

    return es_fault(r, "/certificate", "must have sha256, or issuer and "
                    "subject, or uri, which may have issuer");
}


es_rc_t
es_peer_cert_take(es_record_t *r, es_key_t *out)
{
    json_t                    *value;
    es_rc_t                    rc;
    es_apikey_t                name;
    es_peer_cert_members_t   m;

    value = json_object_get(r->object, "certificate");

    if (value == NULL) {
        return ES_OK;
    }

    if (!json_is_object(value)) {
        return es_fault(r, "/certificate", "must be an object");
    }

    memset(&m, 0, sizeof(m));

    rc = es_peer_cert_members(r, value, &m);

    if (rc == ES_OK) {
        rc = es_peer_cert_form(r, &m, &name);
    }

    if (rc != ES_OK) {
        return rc;
    }

    if (json_object_get(r->object, "link") != NULL) {
        return es_fault(r, "/certificate", "cannot be that of a link");
    }

    if (!es_apikey_equal(name.digest, out->digest)) {
        return es_fault(r, "/digest", "must be that of the certificate");
    }

    out->certificate = true;

    return ES_OK;
}


es_rc_t
es_peer_cert_check(const es_key_t *key, es_str_t id, es_problem_t *problem)
{
    es_apikey_t  name;

    if (!key->certificate) {
        return ES_OK;
    }

    es_peer_cert_fingerprint(key->digest, &name);

    return es_str_eq(id, es_str(name.id))
           ? ES_OK
           : es_problem_set(problem, ES_INVALID, -1, NULL,
                            "the id of this certificate must be \"%s\"",
                            name.id);
}
