/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The data-use agreement of a partner: what it may use the data for, how long
 * it may keep them, and when its access ends.
 */

#include <jansson.h>

#include "object.h"
#include "registry/data_use.h"

typedef struct {
    const char  *purpose;
    const char  *feeds;
    const char  *days;
    const char  *expires;
    const char  *none;
} ctl_data_use_args_t;


/* The stored agreement, which a change begins with; empty: there is none. */

static int
ctl_data_use_stored(ctl_t *ctl, const char *name, json_t **out)
{
    int        rc;
    json_t    *stored, *use;
    es_rc_t    result;
    es_buf_t   text = { 0 };

    *out = json_object();

    rc = ctl_open(ctl, ES_STORE_ADMIN);
    if (rc != CTL_OK) {
        return rc;
    }

    result = es_registry_get(ctl->store, ES_KIND_PARTNER, es_str(name), &text);

    if (result == ES_OK) {
        stored = json_loadb(text.data, text.len, 0, NULL);
        use = json_object_get(stored, "data_use");

        if (json_is_object(use)) {
            (void) json_object_update(*out, use);
        }

        json_decref(stored);
    }

    es_buf_free(&text);

    /* the change itself reports a partner that does not exist */

    return CTL_OK;
}


static int
ctl_data_use_members(const ctl_data_use_args_t *a, json_t *use)
{
    int       rc;
    uint64_t  days;

    if (a->purpose != NULL) {
        (void) json_object_set_new(use, "purpose", json_string(a->purpose));
    }

    if (a->feeds != NULL) {
        (void) json_object_set_new(use, "feeds", ctl_list(a->feeds));
    }

    if (a->expires != NULL) {
        (void) json_object_set_new(use, "expires", json_string(a->expires));
    }

    if (a->days != NULL) {
        rc = ctl_number("retention-days", a->days, 1, ES_DATA_USE_DAYS_MAX,
                        &days);
        if (rc != CTL_OK) {
            return rc;
        }

        (void) json_object_set_new(use, "retention_days",
                                   json_integer((json_int_t) days));
    }

    return CTL_OK;
}


int
ctl_partner_data_use(ctl_t *ctl, int argc, char **argv)
{
    int                   rc;
    json_t               *use;
    ctl_data_use_args_t   a = { 0 };

    const ctl_option_t  options[] = {
        { "purpose", &a.purpose },
        { "feeds", &a.feeds },
        { "retention-days", &a.days },
        { "expires", &a.expires },
        { "none", &a.none },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);
    if (rc != CTL_OK) {
        return rc;
    }

    if (a.none != NULL
        && (a.purpose || a.feeds || a.days || a.expires))
    {
        return ctl_fail(CTL_USAGE, "\"--none\" excludes the other options");
    }

    if (a.none != NULL) {
        use = json_null();

    } else {
        rc = ctl_data_use_stored(ctl, argv[0], &use);

        if (rc == CTL_OK) {
            rc = ctl_data_use_members(&a, use);
        }

        if (rc != CTL_OK) {
            json_decref(use);
            return rc;
        }
    }

    return ctl_object_change(ctl, ES_KIND_PARTNER, argv[0],
                             json_pack("{s:o}", "data_use", use));
}
