/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Partners: the feeds that they may use and what they see of them, their limits
 * and quotas, and their exceptions from the dispatcher's rules for connections.
 *
 * A change may take a feed from endpoints with undelivered events, so the
 * command reports these endpoints.
 */

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "advice.h"
#include "affected.h"
#include "object.h"

/* The options as they were given, NULL when they were not. */
typedef struct {
    const char  *feeds;
    const char  *publish;
    const char  *operations;
    const char  *disabled;
    const char  *enabled;
    const char  *http;
    const char  *addresses;
    const char  *ports;
    const char  *from;
    const char  *flags;
    const char  *fields;
    const char  *encryption_key;
    const char  *limit[ES_POLICIES];
    const char  *quota[ES_QUOTAS];
} ctl_partner_args_t;


/* Reads "60r/m", "60r/m,burst=10" or, in bytes, "100m/h,burst=10m", and for
   waits a number.  "default" becomes null: the location's limit applies. */

static int
ctl_partner_limit(json_t *limits, const char *policy, const char *text)
{
    int          rc;
    size_t       n;
    json_t      *limit;
    uint64_t     burst;
    const char  *option;

    if (text == NULL) {
        return CTL_OK;
    }

    if (text[0] == '\0' || strcmp(text, "default") == 0) {
        (void) json_object_set_new(limits, policy, json_null());
        return CTL_OK;
    }

    if (strcmp(policy, "waits") == 0) {
        rc = ctl_number("limit-waits", text, 1, 1000000000, &burst);
        if (rc == CTL_OK) {
            (void) json_object_set_new(limits, policy,
                                       json_pack("{s:I}", "max",
                                                 (json_int_t) burst));
        }

        return rc;
    }

    n = strcspn(text, ",");
    limit = json_pack("{s:o}", "rate", json_stringn(text, n));
    (void) json_object_set_new(limits, policy, limit);

    if (text[n] == '\0') {
        return CTL_OK;
    }

    option = text + n + 1;

    if (strncmp(option, "burst=", 6) != 0) {
        return ctl_fail(CTL_USAGE, "\"--limit-%s=%s\" is not RATE[,burst=N]",
                        policy, text);
    }

    if (es_size_parse(es_str(option + 6), &burst) != ES_OK) {
        return ctl_fail(CTL_USAGE, "\"%s\" is not a number from 1 or a size",
                        option);
    }

    (void) json_object_set_new(limit, "burst",
                               json_integer((json_int_t) burst));

    return CTL_OK;
}


/* Reads a number, and for bytes a size.  "default" becomes null: the default
   applies. */

static int
ctl_partner_quota(json_t *quotas, es_quota_t quota, const char *text)
{
    int                     rc;
    char                    option[32];
    uint64_t                value;
    const es_quota_rule_t  *rule = &es_quota_rules[quota];

    if (text == NULL) {
        return CTL_OK;
    }

    if (text[0] == '\0' || strcmp(text, "default") == 0) {
        (void) json_object_set_new(quotas, rule->name, json_null());
        return CTL_OK;
    }

    if (quota != ES_QUOTA_BYTES
        || es_size_parse(es_str(text), &value) != ES_OK
        || value > rule->max)
    {
        (void) snprintf(option, sizeof(option), "quota-%s", rule->name);

        rc = ctl_number(option, text, 0, rule->max, &value);
        if (rc != CTL_OK) {
            return rc;
        }
    }

    (void) json_object_set_new(quotas, rule->name,
                               json_integer((json_int_t) value));

    return CTL_OK;
}


static int
ctl_partner_args(ctl_t *ctl, int *argc, char **argv, ctl_partner_args_t *a)
{
    int  rc;

    const ctl_option_t  options[] = {
        { "feeds", &a->feeds },
        { "publish", &a->publish },
        { "limit-poll", &a->limit[ES_POLICY_POLL] },
        { "limit-publish", &a->limit[ES_POLICY_PUBLISH] },
        { "limit-backfill", &a->limit[ES_POLICY_BACKFILL] },
        { "limit-waits", &a->limit[ES_POLICY_WAITS] },
        { "limit-manage", &a->limit[ES_POLICY_MANAGE] },
        { "quota-endpoints", &a->quota[ES_QUOTA_ENDPOINTS] },
        { "quota-keys", &a->quota[ES_QUOTA_KEYS] },
        { "quota-feeds", &a->quota[ES_QUOTA_FEEDS] },
        { "quota-consumers", &a->quota[ES_QUOTA_CONSUMERS] },
        { "quota-requests", &a->quota[ES_QUOTA_REQUESTS] },
        { "quota-bytes", &a->quota[ES_QUOTA_BYTES] },
        { "operations", &a->operations },
        { "allow-http", &a->http },
        { "allow-addresses", &a->addresses },
        { "allow-ports", &a->ports },
        { "allow-from", &a->from },
        { "flags", &a->flags },
        { "fields", &a->fields },
        { "encryption-key", &a->encryption_key },
        { "disabled", &a->disabled },
        { "enabled", &a->enabled },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, argc, argv, options);

    if (rc == CTL_OK && a->disabled != NULL && a->enabled != NULL) {
        rc = ctl_fail(CTL_USAGE, "\"--disabled\" and \"--enabled\" exclude "
                      "each other");
    }

    return rc;
}


/* The field lists by feed, a JSON object.  An empty text removes them. */

static int
ctl_partner_fields(const ctl_partner_args_t *a, json_t *object)
{
    json_t  *lists;

    if (a->fields == NULL) {
        return CTL_OK;
    }

    lists = a->fields[0] != '\0'
            ? json_loads(a->fields, JSON_REJECT_DUPLICATES, NULL)
            : json_null();

    if (lists == NULL) {
        return ctl_fail(CTL_USAGE, "\"--fields\" is not a JSON object");
    }

    (void) json_object_set_new(object, "fields", lists);

    return CTL_OK;
}


/* The public key in the file, as it is there.  An empty name removes it. */

static int
ctl_partner_encryption_key(const ctl_partner_args_t *a, json_t *object)
{
    json_t        *jwk;
    const char    *file;
    json_error_t   error;

    file = a->encryption_key;

    if (file == NULL) {
        return CTL_OK;
    }

    if (file[0] != '\0' && access(file, R_OK) != 0) {
        return ctl_fail(CTL_FAILED, "cannot read \"%s\": %s", file,
                        strerror(errno));
    }

    jwk = file[0] != '\0' ? json_load_file(file, JSON_REJECT_DUPLICATES, &error)
                          : json_null();

    if (jwk == NULL) {
        return ctl_fail(CTL_FAILED, "\"%s\" is no JSON object: line %d, column "
                        "%d", file, error.line, error.column);
    }

    (void) json_object_set_new(object, "encryption_key", jwk);

    return CTL_OK;
}


/* The exceptions from the dispatcher's rules for connections. */

static int
ctl_partner_exceptions(const ctl_partner_args_t *a, json_t *object)
{
    int      rc;
    json_t  *value;

    if (a->addresses != NULL) {
        (void) json_object_set_new(object, "allow_addresses",
                                   ctl_list(a->addresses));
    }

    if (a->ports != NULL) {
        rc = ctl_numbers("allow-ports", a->ports, 1, UINT16_MAX, &value);
        if (rc != CTL_OK) {
            return rc;
        }

        (void) json_object_set_new(object, "allow_ports", value);
    }

    if (a->http != NULL) {
        rc = ctl_yes("allow-http", a->http, &value);
        if (rc != CTL_OK) {
            return rc;
        }

        (void) json_object_set_new(object, "allow_http", value);
    }

    return CTL_OK;
}


/* The members `limits` and `quotas`, unless they are empty. */

static int
ctl_partner_bounds(const ctl_partner_args_t *a, json_t *object)
{
    int        rc = CTL_OK;
    json_t    *limits, *quotas;
    unsigned   i;

    limits = json_object();
    quotas = json_object();

    for (i = 0; i < ES_POLICIES && rc == CTL_OK; i++) {
        rc = ctl_partner_limit(limits, es_policy_name((es_policy_t) i).data,
                               a->limit[i]);
    }

    for (i = 0; i < ES_QUOTAS && rc == CTL_OK; i++) {
        rc = ctl_partner_quota(quotas, (es_quota_t) i, a->quota[i]);
    }

    if (json_object_size(limits) > 0) {
        (void) json_object_set(object, "limits", limits);
    }

    if (json_object_size(quotas) > 0) {
        (void) json_object_set(object, "quotas", quotas);
    }

    json_decref(limits);
    json_decref(quotas);

    return rc;
}


/* The record that the options describe; NULL with *rc when one is wrong. */

static json_t *
ctl_partner_record(const ctl_partner_args_t *a, int *rc)
{
    json_t  *object;

    object = json_object();

    if (a->feeds != NULL) {
        (void) json_object_set_new(object, "feeds", ctl_list(a->feeds));
    }

    if (a->publish != NULL) {
        (void) json_object_set_new(object, "publish", ctl_list(a->publish));
    }

    if (a->operations != NULL) {
        (void) json_object_set_new(object, "operations",
                                   a->operations[0] != '\0'
                                   ? json_string(a->operations)
                                   : json_null());
    }

    if (a->disabled != NULL || a->enabled != NULL) {
        (void) json_object_set_new(object, "disabled",
                                   json_boolean(a->disabled != NULL));
    }

    *rc = ctl_allow_from(a->from, object);

    if (*rc == CTL_OK) {
        *rc = ctl_flags_member(a->flags, object);
    }

    if (*rc == CTL_OK) {
        *rc = ctl_partner_fields(a, object);
    }

    if (*rc == CTL_OK) {
        *rc = ctl_partner_encryption_key(a, object);
    }

    if (*rc == CTL_OK) {
        *rc = ctl_partner_exceptions(a, object);
    }

    if (*rc == CTL_OK) {
        *rc = ctl_partner_bounds(a, object);
    }

    if (*rc != CTL_OK) {
        json_decref(object);
        return NULL;
    }

    return object;
}


/* A change replaces `limits`, `quotas` and `flags` as a whole, so that members
   without
   an option are copied from the stored record. */

static int
ctl_partner_kept(ctl_t *ctl, const char *name, json_t *object,
    const char *member)
{
    int           rc;
    void         *next;
    json_t       *stored, *bounds, *bound;
    es_buf_t      buf = { 0 };
    const char   *key;

    bounds = json_object_get(object, member);
    if (bounds == NULL) {
        return CTL_OK;
    }

    rc = ctl_open(ctl, ES_STORE_ADMIN | ES_STORE_DELIVERY_READ);
    if (rc != CTL_OK) {
        return rc;
    }

    /* The change itself reports a record that cannot be read. */

    if (es_registry_get(ctl->store, ES_KIND_PARTNER, es_str(name), &buf)
        == ES_OK)
    {
        stored = json_loadb(buf.data, buf.len, 0, NULL);
        (void) json_object_update_missing(bounds,
                                          json_object_get(stored, member));
        json_decref(stored);
    }

    es_buf_free(&buf);

    json_object_foreach_safe(bounds, next, key, bound) {
        if (json_is_null(bound)) {
            (void) json_object_del(bounds, key);
        }
    }

    if (json_object_size(bounds) == 0) {
        (void) json_object_set_new(object, member, json_null());
    }

    return CTL_OK;
}


/* Changes the record and reports endpoints that no longer receive a feed. */

static int
ctl_partner_apply(ctl_t *ctl, const char *name, json_t *object)
{
    int             rc;
    ctl_affected_t  affected;

    if (json_object_get(object, "feeds") == NULL) {
        return ctl_object_change(ctl, ES_KIND_PARTNER, name, object);
    }

    rc = ctl_affected_begin(ctl, ES_STORE_ADMIN, NULL, UINT64_MAX, &affected);
    if (rc != CTL_OK) {
        json_decref(object);
        return rc;
    }

    rc = ctl_object_change(ctl, ES_KIND_PARTNER, name, object);

    if (rc == CTL_OK) {
        ctl_affected_left(ctl, &affected);
    }

    ctl_affected_end(&affected);

    return rc;
}


/* Notes what is the same as before, before the change. */

static int
ctl_partner_same(ctl_t *ctl, const char *name, const json_t *object,
    const ctl_partner_args_t *args)
{
    int  rc;

    rc = ctl_open(ctl, ES_STORE_ADMIN
                       | (args->feeds ? ES_STORE_DELIVERY_READ : 0));

    if (rc == CTL_OK && json_object_size(object) == 0) {
        ctl_note("no option was given: the record stays as it is");
    }

    if (rc == CTL_OK && args->disabled != NULL) {
        (void) ctl_advise_flag(ctl, ES_KIND_PARTNER, name, "disabled", true,
                               "disabled");
    }

    if (rc == CTL_OK && args->enabled != NULL) {
        (void) ctl_advise_flag(ctl, ES_KIND_PARTNER, name, "disabled", false,
                               "enabled");
    }

    return rc;
}


/* Writes the record, and notes feeds that do not exist.  Releases `object`. */

static int
ctl_partner_store(ctl_t *ctl, const char *name, json_t *object,
    const ctl_partner_args_t *args, bool change)
{
    int      rc;
    json_t  *feeds, *publish;

    rc = change ? ctl_partner_same(ctl, name, object, args) : CTL_OK;

    if (rc != CTL_OK) {
        json_decref(object);
        return rc;
    }

    feeds = json_incref(json_object_get(object, "feeds"));
    publish = json_incref(json_object_get(object, "publish"));

    rc = change ? ctl_partner_apply(ctl, name, object)
                : ctl_object_create(ctl, ES_KIND_PARTNER, name, object);

    if (rc == CTL_OK) {
        ctl_advise_feeds(ctl, feeds);
        ctl_advise_feeds(ctl, publish);
    }

    if (rc == CTL_OK && !change && json_array_size(feeds) == 0
        && json_array_size(publish) == 0)
    {
        ctl_note("the partner may use no feed: \"partner change %s "
                 "--feeds=...\" sets what it may read", name);
    }

    json_decref(feeds);
    json_decref(publish);

    return rc;
}


static int
ctl_partner_write(ctl_t *ctl, int argc, char **argv, bool change)
{
    int                  rc;
    json_t              *object;
    ctl_partner_args_t   args = { 0 };

    rc = ctl_partner_args(ctl, &argc, argv, &args);
    if (rc != CTL_OK) {
        return rc;
    }

    object = ctl_partner_record(&args, &rc);
    if (object == NULL) {
        return rc;
    }

    rc = ctl_partner_kept(ctl, argv[0], object, "limits");

    if (rc == CTL_OK) {
        rc = ctl_partner_kept(ctl, argv[0], object, "quotas");
    }

    if (rc == CTL_OK) {
        rc = ctl_partner_kept(ctl, argv[0], object, "flags");
    }

    if (rc != CTL_OK) {
        json_decref(object);
        return rc;
    }

    return ctl_partner_store(ctl, argv[0], object, &args, change);
}


int
ctl_partner_create(ctl_t *ctl, int argc, char **argv)
{
    return ctl_partner_write(ctl, argc, argv, false);
}


int
ctl_partner_change(ctl_t *ctl, int argc, char **argv)
{
    return ctl_partner_write(ctl, argc, argv, true);
}
