/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes the records of partners, keys and feeds, and refuses unknown
 * members. endpoint_members.c decodes endpoints.
 */

#include <stdio.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/pool.h"
#include "event/cursor.h"
#include "keys/apikey.h"
#include "keys/keyring.h"
#include "keys/signature.h"
#include "limit/gcra.h"
#include "limit/limit.h"
#include "limit/quota.h"
#include "registry/data_use.h"
#include "registry/allow_from.h"
#include "registry/endpoint_members.h"
#include "registry/exceptions.h"
#include "registry/flags.h"
#include "registry/member.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "registry/values.h"

#define ES_LIMIT_BURST_MAX  INT64_C(1000000000000000)
#define ES_LABEL_MAX        64         /* bytes */

static const char  *const  es_partner_members[] = {
    "feeds", "publish", "limits", "quotas", "disabled", "operations",
    "allow_http", "allow_addresses", "allow_ports", "allow_from", "fields",
    "encryption_key", "data_use", "flags", NULL
};

static const char  *const  es_key_members[] = {
    "partner", "digest", "scopes", "feeds", "consumers", "expires", "revoked",
    "link", "allow_from", "label", "certificate",
    NULL
};

static const char  *const  es_feed_members[] = {
    "schema", "fresh_within", NULL
};

static const char  *const  es_library_members[] = {
    "number", "revision", "created", "made_by", "url_by", "staging", NULL
};

static const es_word_t  es_schema_modes[] = {
    { "off", ES_SCHEMA_OFF },
    { "warn", ES_SCHEMA_WARN },
    { "enforce", ES_SCHEMA_ENFORCE },
    { NULL, 0 }
};


static bool
es_member_known(es_kind_t kind, const char *name)
{
    switch (kind) {
    case ES_KIND_PARTNER:
        return es_member_listed(es_partner_members, name);
    case ES_KIND_KEY:
        return es_member_listed(es_key_members, name);
    case ES_KIND_ENDPOINT:
        return es_endpoint_member(name) != NULL;
    case ES_KIND_FEED:
        return es_member_listed(es_feed_members, name);
    case ES_KIND_FLAG:
        return strcmp(name, "partners") == 0;
    }

    return false;
}


es_rc_t
es_record_members(es_kind_t kind, json_t *object, es_problem_t *problem)
{
    char                pointer[128];
    json_t             *value;
    const char         *name;

    json_object_foreach(object, name, value) {
        if (es_member_known(kind, name)) {
            continue;
        }

        pointer[0] = '\0';
        es_pointer_add(pointer, sizeof(pointer), es_str(name));

        return es_problem_set(problem, ES_INVALID, -1, pointer,
                              es_member_listed(es_library_members, name)
                              ? "\"%.64s\" is read-only: set by the server"
                              : "unknown member \"%.64s\"", name);
    }

    return ES_OK;
}


/* ---- partner ---- */


/* Reads a whole number from 1. */

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


/* Reads the limit of a policy: {"rate", "burst"}, or {"max"} for the policy
   that counts requests under way. */

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
        if (!es_member_listed(policy == ES_POLICY_WAITS ? gauge : rate, name)) {
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


static es_rc_t
es_take_operations(es_record_t *r, es_partner_t *out)
{
    es_rc_t  rc;

    rc = es_take_str(r, "/operations", false, &out->operations);

    if (rc == ES_OK
        && out->operations.data != NULL
        && !es_feed_name_ok(out->operations))
    {
        rc = es_fault(r, "/operations", "must be the name of a feed");
    }

    return rc;
}


es_rc_t
es_partner_quotas(json_t *object, uint64_t out[ES_QUOTAS],
    es_problem_t *problem)
{
    char         pointer[ES_POINTER_MAX];
    json_t      *quotas, *value;
    unsigned     i;
    es_quota_t   quota;
    const char  *name;
    json_int_t   n;
    es_record_t  r = { object, NULL, problem };

    for (i = 0; i < ES_QUOTAS; i++) {
        out[i] = es_quota_rules[i].usual;
    }

    quotas = json_object_get(object, "quotas");

    if (quotas != NULL && !json_is_object(quotas)) {
        return es_fault(&r, "/quotas", "must be an object");
    }

    json_object_foreach(quotas, name, value) {
        (void) strcpy(pointer, "/quotas");
        es_pointer_add(pointer, sizeof(pointer), es_str(name));

        if (es_quota_find(es_str(name), &quota) != ES_OK) {
            return es_fault(&r, pointer, "is not a quota");
        }

        n = json_integer_value(value);

        if (!json_is_integer(value) || n < 0
            || (uint64_t) n > es_quota_rules[quota].max)
        {
            return es_problem_set(problem, ES_INVALID, -1, pointer, "%s must "
                                  "be a whole number up to %llu", pointer + 1,
                                  (unsigned long long)
                                  es_quota_rules[quota].max);
        }

        out[quota] = (uint64_t) n;
    }

    return ES_OK;
}


/* The list `feeds` or `publish`, whose length is a quota. */

static es_rc_t
es_take_granted(es_record_t *r, const char *pointer, const es_partner_t *partner,
    es_patterns_t *out)
{
    es_rc_t   rc;
    uint64_t  max;

    max = partner->quotas[ES_QUOTA_FEEDS];
    rc = es_take_patterns(r, pointer, 0, max, out);

    return rc == ES_INVALID && r->problem != NULL
           && json_array_size(json_object_get(r->object, pointer + 1)) > max
           ? es_quota_problem(r->problem, ES_QUOTA_FEEDS, max) : rc;
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

    if ((rc = es_partner_quotas(object, out->quotas, problem)) != ES_OK
        || (rc = es_take_granted(&r, "/feeds", out, &out->feeds)) != ES_OK
        || (rc = es_take_granted(&r, "/publish", out, &out->publish)) != ES_OK
        || (rc = es_take_bool(&r, "/disabled", &out->disabled)) != ES_OK
        || (rc = es_take_operations(&r, out)) != ES_OK
        || (rc = es_take_exceptions(&r, &out->exceptions)) != ES_OK
        || (rc = es_take_allow_from(&r, &out->allow_from)) != ES_OK
        || (rc = es_take_data_use(&r, out)) != ES_OK
        || (rc = es_take_flags(&r, &out->flags)) != ES_OK)
    {
        return rc;
    }

    rc = es_take_limits(&r, out);

    return rc == ES_OK ? es_take_field_lists(&r, true, &out->fields) : rc;
}


/* ---- key ---- */


static es_rc_t
es_take_digest(es_record_t *r, const char *pointer, bool required,
    uint8_t out[ES_DIGEST_LEN])
{
    es_rc_t   rc;
    es_str_t  text = es_null_str;

    rc = es_take_str(r, pointer, required, &text);
    if (rc != ES_OK || text.data == NULL) {
        return rc;
    }

    return es_digest_parse(text, out)
           ? ES_OK
           : es_fault(r, pointer,
                      "must have 64 hexadecimal digits in lower case");
}


static es_rc_t
es_take_scopes(es_record_t *r, unsigned *out)
{
    char      item[ES_POINTER_MAX];
    json_t   *array, *value;
    size_t    i;
    es_rc_t   rc;
    unsigned  scope;

    rc = es_take_array(r, "/scopes", 1, 5, &array);
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


/* A label is for people only: no process looks at it. */

static es_rc_t
es_take_label(es_record_t *r)
{
    size_t    i;
    es_rc_t   rc;
    es_str_t  label = es_null_str;

    rc = es_take_str(r, "/label", false, &label);
    if (rc != ES_OK) {
        return rc;
    }

    if (label.len > ES_LABEL_MAX) {
        return es_fault(r, "/label", "has more than 64 bytes");
    }

    for (i = 0; i < label.len; i++) {
        if ((unsigned char) label.data[i] < 0x20 || label.data[i] == 0x7f) {
            return es_fault(r, "/label", "has a control character");
        }
    }

    return ES_OK;
}


es_rc_t
es_key_decode(json_t *object, es_pool_t *pool, es_key_t *out,
    es_str_t *partner, es_problem_t *problem)
{
    es_rc_t      rc;
    es_record_t  r = { object, pool, problem };

    out->number = (uint32_t) json_integer_value(
                                 json_object_get(object, "number"));
    out->revision = (uint64_t) json_integer_value(
                                   json_object_get(object, "revision"));

    if ((rc = es_take_str(&r, "/partner", true, partner)) != ES_OK
        || (rc = es_take_digest(&r, "/digest", true, out->digest)) != ES_OK
        || (rc = es_take_digest(&r, "/link", false, out->link)) != ES_OK
        || (rc = es_take_scopes(&r, &out->scopes)) != ES_OK
        || (rc = es_take_patterns(&r, "/feeds", 0, ES_PATTERNS_MAX,
                                  &out->feeds))
           != ES_OK
        || (rc = es_take_patterns(&r, "/consumers", 0, ES_PATTERNS_MAX,
                                  &out->consumers))
           != ES_OK
        || (rc = es_take_allow_from(&r, &out->allow_from)) != ES_OK
        || (rc = es_take_label(&r)) != ES_OK
        || (rc = es_take_time(&r, "/expires", &out->expires_ms)) != ES_OK)
    {
        return rc;
    }

    out->staging = json_is_true(json_object_get(object, "staging"));

    rc = es_peer_cert_take(&r, out);
    if (rc != ES_OK) {
        return rc;
    }

    out->linked = json_object_get(object, "link") != NULL;

    /* a key that is bound to consumers may move their checkpoints */

    if (out->consumers.n > 0) {
        out->scopes |= ES_SCOPE_ACK;
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
    out->fresh_within_ms = 0;

    return rc == ES_OK
           ? es_take_duration(&r, "/fresh_within", 0, ES_FRESH_WITHIN_MAX,
                              &out->fresh_within_ms)
           : rc;
}
