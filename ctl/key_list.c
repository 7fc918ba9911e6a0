/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The list of keys, with the time of the last use of each, which the workers
 * record beside the registry (registry/used_keys.h).
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "log/store_clock.h"
#include "object.h"
#include "registry/object.h"
#include "registry/used_keys.h"
#include "registry/values.h"

#define CTL_DAY_MS     INT64_C(86400000)
#define CTL_YEARS_MAX  INT64_C(100)

typedef struct {
    es_used_keys_t  used;
    bool            recorded;      /* `used` is open */
    int64_t         now_ms;
    int64_t         unused_ms;     /* list keys unused for this; 0: all */
} ctl_key_list_t;


/* As other durations, but a number of days has no bound of 30. */

static int
ctl_key_list_span(const char *text, int64_t *ms)
{
    char      *end;
    long       days;
    uint32_t   short_ms;

    days = strtol(text, &end, 10);

    if (text[0] >= '0' && text[0] <= '9' && strcmp(end, "d") == 0
        && days > 0 && days <= CTL_YEARS_MAX * 366)
    {
        *ms = days * CTL_DAY_MS;
        return CTL_OK;
    }

    if (es_duration_parse(es_str(text), &short_ms) == ES_OK && short_ms > 0) {
        *ms = short_ms;
        return CTL_OK;
    }

    return ctl_fail(CTL_USAGE, "\"--unused-for=%s\" is not a duration, such as "
                    "90d", text);
}


/* The time that a member says; 0: there is none. */

static int64_t
ctl_key_list_time(const json_t *key, const char *member)
{
    int64_t      ms;
    const char  *text;

    text = json_string_value(json_object_get(key, member));

    return text != NULL && es_time_parse(es_str(text), &ms) == ES_OK ? ms : 0;
}


/* Adds `last_used`: a time, or null if no use is known.  Returns the time. */

static int64_t
ctl_key_list_used(const ctl_key_list_t *list, json_t *key)
{
    char      time[ES_TIME_LEN];
    int64_t   ms = 0;
    uint32_t  number;

    number = (uint32_t) json_integer_value(json_object_get(key, "number"));

    if (list->recorded) {
        (void) es_used_keys_get(&list->used, number, &ms);
    }

    if (ms > 0) {
        es_time_print(ms, time);
    }

    (void) json_object_set_new(key, "last_used",
                               ms > 0 ? json_stringn(time, ES_TIME_LEN)
                                      : json_null());

    return ms;
}


/* A key that is revoked or has ended cannot be used, so it is in no list of
   unused keys.  Before the file was made, uses were not recorded. */

static bool
ctl_key_list_unused(const ctl_key_list_t *list, const json_t *key,
    int64_t used_ms)
{
    int64_t  since, end;

    static const char  *const  ends[] = { "expires", "revoked" };

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        end = ctl_key_list_time(key, ends[i]);

        if (end != 0 && end <= list->now_ms) {
            return false;
        }
    }

    since = ctl_key_list_time(key, "created");

    if (since < list->used.since_ms) {
        since = list->used.since_ms;
    }

    if (since < used_ms) {
        since = used_ms;
    }

    return list->now_ms - since >= list->unused_ms;
}


static int
ctl_key_list_print(ctl_t *ctl, const ctl_key_list_t *list, const char *name)
{
    bool      ok;
    json_t   *key;
    es_rc_t   es;
    int64_t   used_ms;
    es_buf_t  buf = { 0 };

    static const char  *const  columns[] = {
        "partner", "label", "scopes", "expires", "revoked", "last_used", NULL
    };

    es = es_registry_get(ctl->store, ES_KIND_KEY, es_str(name), &buf);
    key = es == ES_OK ? json_loadb(buf.data, buf.len, 0, NULL) : NULL;
    es_buf_free(&buf);

    if (key == NULL) {
        return es == ES_NOT_FOUND
               ? CTL_OK    /* somebody has removed it just now */
               : ctl_fail(CTL_FAILED, "key \"%s\": %s", name,
                          es == ES_OK ? "the record is damaged"
                                      : es_reason(es));
    }

    ok = true;
    used_ms = ctl_key_list_used(list, key);

    if (list->unused_ms == 0 || ctl_key_list_unused(list, key, used_ms)) {
        if (ctl->json) {
            ok = ctl_print_named("name", name, key);
        } else {
            ctl_object_columns(name, key, columns);
            (void) puts("");
        }
    }

    json_decref(key);

    return ok ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");
}


/* Without the file, or within the time since it was made, nothing tells which
   keys are unused. */

static int
ctl_key_list_begin(ctl_t *ctl, ctl_key_list_t *list)
{
    char     since[ES_TIME_LEN];
    es_rc_t  es;

    es = es_used_keys_open(ctl->store_path, false, &list->used);
    list->recorded = es == ES_OK;
    list->now_ms = es_store_ms(ctl->store);

    if (list->unused_ms == 0) {
        if (!list->recorded) {
            ctl_note("the last uses are not known: %s",
                     es == ES_NOT_FOUND ? "the file \"used\" of the store is "
                     "missing" : es_reason(es));
        }

        return CTL_OK;
    }

    if (!list->recorded) {
        return ctl_fail(CTL_FAILED, "cannot say which keys are unused: %s",
                        es == ES_NOT_FOUND ? "the file \"used\" of the store "
                        "is missing; \"store rights\" makes it"
                        : es_reason(es));
    }

    if (list->now_ms - list->used.since_ms < list->unused_ms) {
        es_time_print(list->used.since_ms, since);
        ctl_note("uses are recorded since %.*s only, so no key is known to be "
                 "unused for so long", (int) ES_TIME_LEN, since);
    }

    return CTL_OK;
}


int
ctl_key_list(ctl_t *ctl, int argc, char **argv)
{
    int              rc;
    char             name[64] = "", next[64];
    const char      *unused = NULL;
    ctl_key_list_t   list = { .recorded = false };

    const ctl_option_t  options[] = {
        { "unused-for", &unused },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK && unused != NULL) {
        rc = ctl_key_list_span(unused, &list.unused_ms);
    }

    if (rc == CTL_OK) {
        rc = ctl_open(ctl, 0);
    }

    if (rc == CTL_OK) {
        rc = ctl_key_list_begin(ctl, &list);
    }

    while (rc == CTL_OK
           && es_registry_next(ctl->store, ES_KIND_KEY, es_str(name), next)
              == ES_OK)
    {
        rc = ctl_key_list_print(ctl, &list, next);
        memcpy(name, next, sizeof(name));
    }

    if (list.recorded) {
        es_used_keys_close(&list.used);
    }

    return rc;
}
