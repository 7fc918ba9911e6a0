/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes an endpoint's secrets, and checks secrets and URL when a record is
 * written.
 *
 * A stored record may have secrets that this process cannot decrypt, or a URL
 * that an older version accepted, so a read does not check them.
 */

#include <jansson.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/pool.h"
#include "keys/keyring.h"
#include "keys/signature.h"
#include "registry/endpoint_members.h"
#include "registry/member.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "registry/values.h"


/* A string, or {"secret":...,"expires":...} for a secret that is being
   replaced. */

static es_rc_t
es_take_secret(es_record_t *r, const char *pointer, json_t *value,
    es_str_t *secret, int64_t *expires_ms)
{
    json_t  *text, *expires;

    text = value;
    *expires_ms = 0;

    if (json_is_object(value)) {
        text = json_object_get(value, "secret");
        expires = json_object_get(value, "expires");

        if (json_object_size(value) != 2
            || es_time_parse(es_text(expires), expires_ms) != ES_OK)
        {
            return es_fault(r, pointer, "must be a string, or an object of "
                            "\"secret\" and \"expires\", an RFC 3339 time");
        }
    }

    if (!json_is_string(text)) {
        return es_fault(r, pointer, "must be a string");
    }

    *secret = es_pool_str(r->pool, es_text(text));

    return secret->data ? ES_OK : es_nomem(r);
}


es_rc_t
es_take_secrets(es_record_t *r, es_endpoint_t *out)
{
    char      item[ES_POINTER_MAX];
    json_t   *array, *value;
    size_t    i;
    es_rc_t   rc;

    rc = es_take_array(r, "/secrets", 1, ES_SECRETS_MAX, &array);
    if (rc != ES_OK) {
        return rc;
    }

    json_array_foreach(array, i, value) {
        rc = es_take_secret(r, es_item_pointer("/secrets", i, item), value,
                            &out->secrets[i], &out->secret_expires_ms[i]);
        if (rc != ES_OK) {
            return rc;
        }
    }

    out->nsecrets = (unsigned) json_array_size(array);

    return ES_OK;
}


es_rc_t
es_endpoint_check(const es_endpoint_t *endpoint, es_problem_t *problem)
{
    bool          hmac, forever;
    char          pointer[ES_POINTER_MAX];
    es_rc_t       rc;
    es_str_t      secret;
    unsigned      i;
    const char   *fault;
    es_signer_t  *signer;

    fault = es_url_fault(endpoint->url);
    if (fault != NULL) {
        return es_problem_set(problem, ES_INVALID, -1, "/url", "url %s",
                              fault);
    }

    fault = endpoint->oauth.token_url.data != NULL
            ? es_url_fault(endpoint->oauth.token_url) : NULL;
    if (fault != NULL) {
        return es_problem_set(problem, ES_INVALID, -1, "/oauth/token_url",
                              "token_url %s", fault);
    }

    hmac = false;

    for (i = 0; i < endpoint->nsecrets; i++) {
        secret = endpoint->secrets[i];
        forever = endpoint->secret_expires_ms[i] == 0;

        if (es_sealed(secret)) {
            hmac |= forever && es_sealed_public(secret).len == 0;
            continue;
        }

        rc = es_signer_create(secret, &signer);
        if (rc != ES_OK) {
            return es_problem_set(problem, rc, -1,
                                  es_item_pointer("/secrets", i, pointer),
                                  "a secret must be \"whsec_\" and 24 to 64 "
                                  "bytes in base64, or \"whsk_\" and an "
                                  "ed25519 key pair");
        }

        es_signer_destroy(signer);
        hmac |= forever && memcmp(secret.data, "whsec_", 6) == 0;
    }

    if (!hmac) {
        return es_problem_set(problem, ES_INVALID, -1, "/secrets",
                              "at least one \"whsec_\" secret must not "
                              "expire: receivers verify v1 signatures");
    }

    return ES_OK;
}
