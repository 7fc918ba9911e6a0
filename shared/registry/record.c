/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Members of registry records, each decoded by its type.
 */

#include <stdio.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/pool.h"
#include "event/filter.h"
#include "keys/apikey.h"
#include "keys/keyring.h"
#include "keys/signature.h"
#include "limit/gcra.h"
#include "limit/limit.h"
#include "registry/member.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "registry/values.h"

#define ES_LIMIT_BURST_MAX          INT64_C(1000000000000000)

static const char  *const  es_partner_members[] = {
    "feeds", "publish", "limits", "disabled", "operations", NULL
};

static const char  *const  es_key_members[] = {
    "partner", "digest", "scopes", "feeds", "expires", "revoked", NULL
};

static const char  *const  es_endpoint_members[] = {
    "partner", "url", "feeds", "types", "subject", "ordering", "secrets",
    "paused", "start", "in_flight", "connect_timeout", "timeout", "schedule",
    "disable_after", "rate", "burst", "headers", "oauth", "client_cert",
    "client_key", "ca_file", "ack", "body", "batch",
    "batch_wait", "nudge", "simulate", NULL
};

static const char  *const  es_feed_members[] = { "schema", NULL };

static const char  *const  es_library_members[] = {
    "number", "revision", "created", NULL
};

static const es_word_t  es_schema_modes[] = {
    { "off", ES_SCHEMA_OFF },
    { "warn", ES_SCHEMA_WARN },
    { "enforce", ES_SCHEMA_ENFORCE },
    { NULL, 0 }
};

static const es_word_t  es_starts[] = {
    { "latest", false },
    { "oldest", true },
    { NULL, 0 }
};


static bool
es_listed(const char *const *list, const char *name)
{
    for ( ; *list != NULL; list++) {
        if (strcmp(*list, name) == 0) {
            return true;
        }
    }

    return false;
}


es_rc_t
es_record_members(es_kind_t kind, json_t *object, es_problem_t *problem)
{
    char                pointer[128];
    json_t             *value;
    const char         *name;
    const char *const  *known;

    known = kind == ES_KIND_PARTNER ? es_partner_members
            : kind == ES_KIND_KEY ? es_key_members
            : kind == ES_KIND_FEED ? es_feed_members : es_endpoint_members;

    json_object_foreach(object, name, value) {
        if (es_listed(known, name)) {
            continue;
        }

        pointer[0] = '\0';
        es_pointer_add(pointer, sizeof(pointer), es_str(name));

        return es_problem_set(problem, ES_INVALID, -1, pointer,
                              es_listed(es_library_members, name)
                              ? "\"%.64s\" is read-only: set by the server"
                              : "unknown member \"%.64s\"", name);
    }

    return ES_OK;
}


/* ---- partner ---- */


/* A whole number from 1. */

static es_rc_t
es_limit_number(es_record_t *r, es_str_t policy, json_t *limit,
    const char *name, uint64_t *out)
{
    char         pointer[ES_POINTER_MAX];
    json_t      *value;
    json_int_t   number;

    value = json_object_get(limit, name);
    number = json_integer_value(value);

    if (number < 1 || number > ES_LIMIT_BURST_MAX) {
        (void) snprintf(pointer, sizeof(pointer), "/limits/%s/%s",
                        policy.data, name);
        return es_fault(r, pointer, "must be a whole number from 1");
    }

    *out = (uint64_t) number;

    return ES_OK;
}


/* {"rate", "burst"}, or of what is under way {"max"}. */

static es_rc_t
es_limit_decode(es_record_t *r, es_policy_t policy, json_t *limit,
    es_rate_t *out)
{
    char         pointer[ES_POINTER_MAX];
    json_t      *value;
    es_rc_t      rc;
    es_str_t     word;
    uint64_t     burst;
    const char  *name;

    static const char  *const  rate[] = { "rate", "burst", NULL };
    static const char  *const  gauge[] = { "max", NULL };

    word = es_policy_name(policy);
    (void) snprintf(pointer, sizeof(pointer), "/limits/%s", word.data);

    if (!json_is_object(limit)) {
        return es_fault(r, pointer, "must be an object");
    }

    json_object_foreach(limit, name, value) {
        if (!es_listed(policy == ES_POLICY_WAITS ? gauge : rate, name)) {
            es_pointer_add(pointer, sizeof(pointer), es_str(name));
            return es_fault(r, pointer, "is not a member of a limit");
        }
    }

    if (policy == ES_POLICY_WAITS) {
        return es_limit_number(r, word, limit, "max", &out->burst);
    }

    burst = 0;

    if (json_object_get(limit, "burst") != NULL) {
        rc = es_limit_number(r, word, limit, "burst", &burst);
        if (rc != ES_OK) {
            return rc;
        }
    }

    value = json_object_get(limit, "rate");

    rc = json_is_string(value)
         ? es_limit_set(policy, es_text(value), burst, out) : ES_INVALID;

    switch (rc) {

    case ES_OK:
        return ES_OK;

    case ES_TOO_LARGE:
        es_pointer_add(pointer, sizeof(pointer), es_lit("burst"));
        return es_fault(r, pointer, "must not be more than the rate allows in "
                        "100 years");

    default:
        es_pointer_add(pointer, sizeof(pointer), es_lit("rate"));
        return es_fault(r, pointer, policy == ES_POLICY_BACKFILL
                        ? "must be a rate of bytes such as \"100m/h\""
                        : "must be a rate such as \"60r/m\"");
    }
}


static es_rc_t
es_take_limits(es_record_t *r, es_partner_t *out)
{
    char          pointer[ES_POINTER_MAX];
    json_t       *limits, *value;
    es_rc_t       rc;
    const char   *name;
    es_policy_t   policy;

    limits = json_object_get(r->object, "limits");
    if (limits == NULL) {
        return ES_OK;
    }

    if (!json_is_object(limits)) {
        return es_fault(r, "/limits", "must be an object");
    }

    json_object_foreach(limits, name, value) {
        if (es_policy_find(es_str(name), &policy) != ES_OK
            || policy >= ES_POLICIES)
        {
            (void) strcpy(pointer, "/limits");
            es_pointer_add(pointer, sizeof(pointer), es_str(name));
            return es_fault(r, pointer, "is not a policy that can be limited");
        }

        rc = es_limit_decode(r, policy, value, &out->limits[policy]);
        if (rc != ES_OK) {
            return rc;
        }

        out->limited[policy] = true;
    }

    return ES_OK;
}


es_rc_t
es_partner_decode(json_t *object, es_pool_t *pool, es_partner_t *out,
    es_problem_t *problem)
{
    es_rc_t      rc;
    es_record_t  r = { object, pool, problem };

    out->number = (uint32_t) json_integer_value(
                                 json_object_get(object, "number"));
    out->revision = (uint64_t) json_integer_value(
                                   json_object_get(object, "revision"));

    if ((rc = es_take_patterns(&r, "/feeds", 0, &out->feeds)) != ES_OK
        || (rc = es_take_patterns(&r, "/publish", 0, &out->publish)) != ES_OK
        || (rc = es_take_bool(&r, "/disabled", &out->disabled)) != ES_OK
        || (rc = es_take_operations(&r, out)) != ES_OK)
    {
        return rc;
    }

    return es_take_limits(&r, out);
}


/* ---- key ---- */


static es_rc_t
es_take_digest(es_record_t *r, uint8_t out[ES_DIGEST_LEN])
{
    char      c;
    size_t    i;
    es_rc_t   rc;
    unsigned  v;
    es_str_t  text;

    rc = es_take_str(r, "/digest", true, &text);
    if (rc != ES_OK) {
        return rc;
    }

    if (text.len != ES_DIGEST_LEN * 2) {
        return es_fault(r, "/digest", "must have 64 hexadecimal digits");
    }

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if (c >= '0' && c <= '9') {
            v = (unsigned) (c - '0');

        } else if (c >= 'a' && c <= 'f') {
            v = (unsigned) (c - 'a' + 10);

        } else {
            return es_fault(r, "/digest",
                            "must have 64 hexadecimal digits in lower case");
        }

        out[i / 2] = (uint8_t) (out[i / 2] << 4 | v);
    }

    return ES_OK;
}


static es_rc_t
es_take_scopes(es_record_t *r, unsigned *out)
{
    char      item[ES_POINTER_MAX];
    json_t   *array, *value;
    size_t    i;
    es_rc_t   rc;
    unsigned  scope;

    rc = es_take_array(r, "/scopes", 1, 4, &array);
    if (rc != ES_OK) {
        return rc;
    }

    json_array_foreach(array, i, value) {
        rc = es_word(r, es_item_pointer("/scopes", i, item), value,
                     es_scope_words, &scope);
        if (rc != ES_OK) {
            return rc;
        }

        *out |= scope;
    }

    return ES_OK;
}


es_rc_t
es_key_decode(json_t *object, es_pool_t *pool, es_key_t *out,
    es_str_t *partner, es_problem_t *problem)
{
    es_rc_t      rc;
    es_record_t  r = { object, pool, problem };

    if ((rc = es_take_str(&r, "/partner", true, partner)) != ES_OK
        || (rc = es_take_digest(&r, out->digest)) != ES_OK
        || (rc = es_take_scopes(&r, &out->scopes)) != ES_OK
        || (rc = es_take_patterns(&r, "/feeds", 0, &out->feeds)) != ES_OK
        || (rc = es_take_time(&r, "/expires", &out->expires_ms)) != ES_OK)
    {
        return rc;
    }

    return es_take_time(&r, "/revoked", &out->revoked_ms);
}


/* ---- feed ---- */


es_rc_t
es_feed_rule_decode(json_t *object, es_pool_t *pool, es_feed_rule_t *out,
    es_problem_t *problem)
{
    es_rc_t      rc;
    unsigned     mode;
    es_record_t  r = { object, pool, problem };

    mode = ES_SCHEMA_OFF;

    rc = es_take_word(&r, "/schema", es_schema_modes, &mode);
    out->schema = (es_schema_mode_t) mode;

    return rc;
}


/* ---- endpoint ---- */


/* Types are parsed as the comma list of a poll, so that both mean the same. */

static es_rc_t
es_take_types(es_record_t *r, es_filter_t *filter)
{
    char        item[ES_POINTER_MAX];
    char       *p;
    json_t     *array, *value;
    size_t      i, len;
    es_rc_t     rc;
    es_str_t    list;

    rc = es_take_array(r, "/types", 0, ES_FILTER_TYPES_MAX, &array);
    if (rc != ES_OK || array == NULL || json_array_size(array) == 0) {
        return rc;
    }

    len = 0;

    json_array_foreach(array, i, value) {
        if (!json_is_string(value)
            || memchr(json_string_value(value), ',',
                      json_string_length(value)) != NULL)
        {
            return es_fault(r, es_item_pointer("/types", i, item),
                            "must be a type, or a prefix such as \"order.*\"");
        }

        len += json_string_length(value) + 1;
    }

    p = es_pool_alloc(r->pool, len);
    if (p == NULL) {
        return es_nomem(r);
    }

    list.data = p;

    json_array_foreach(array, i, value) {
        memcpy(p, json_string_value(value), json_string_length(value));
        p += json_string_length(value);
        *p++ = ',';
    }

    list.len = (size_t) (p - list.data) - 1;

    if (es_filter_types(filter, list, r->problem) != ES_OK) {
        return es_fault(r, "/types", "has a type that is empty, malformed or "
                        "over 255 bytes");
    }

    return ES_OK;
}


static es_rc_t
es_take_subject(es_record_t *r, es_filter_t *filter)
{
    char      *p;
    es_rc_t    rc;
    es_str_t   subject;

    subject = es_null_str;

    rc = es_take_str(r, "/subject", false, &subject);
    if (rc != ES_OK || subject.data == NULL) {
        return rc;
    }

    if (subject.len > ES_ATTR_MAX) {
        return es_fault(r, "/subject", "may have at most 1024 bytes");
    }

    p = es_pool_alloc(r->pool, subject.len * 6);
    if (p == NULL) {
        return es_nomem(r);
    }

    filter->by_subject = true;
    filter->subject.data = p;
    filter->subject.len = (size_t) (es_json_encode(subject, p) - p);

    return ES_OK;
}


/* A string, or {"secret":...,"expires":...} of one that is being replaced. */

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


static es_rc_t
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
es_endpoint_decode(json_t *object, es_pool_t *pool, es_endpoint_t *out,
    es_str_t *partner, es_problem_t *problem)
{
    es_rc_t      rc;
    unsigned     start;
    es_record_t  r = { object, pool, problem };

    start = false;
    out->number = (uint32_t) json_integer_value(
                                 json_object_get(object, "number"));
    out->revision = (uint64_t) json_integer_value(
                                   json_object_get(object, "revision"));

    if ((rc = es_take_str(&r, "/partner", true, partner)) != ES_OK
        || (rc = es_take_str(&r, "/url", true, &out->url)) != ES_OK
        || (rc = es_take_patterns(&r, "/feeds", 1, &out->feeds)) != ES_OK
        || (rc = es_take_types(&r, &out->filter)) != ES_OK
        || (rc = es_take_subject(&r, &out->filter)) != ES_OK
        || (rc = es_take_secrets(&r, out)) != ES_OK
        || (rc = es_take_bool(&r, "/paused", &out->paused)) != ES_OK
        || (rc = es_take_word(&r, "/start", es_starts, &start)) != ES_OK
        || (rc = es_take_time(&r, "/created", &out->created_ms)) != ES_OK)
    {
        return rc;
    }

    out->from_oldest = start;

    if ((rc = es_take_sending(&r, out)) != ES_OK
        || (rc = es_take_policy(&r, out)) != ES_OK
        || (rc = es_take_headers(&r, out)) != ES_OK
        || (rc = es_take_oauth(&r, out)) != ES_OK
        || (rc = es_take_simulate(&r, out)) != ES_OK)
    {
        return rc;
    }

    return es_take_tls(&r, out);
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
