/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The data-use agreement of a partner.
 *
 * A partner may read only feeds that its agreement names.  A record that grants
 * more is refused when it is written, so no request has to compare the lists.
 */

#include <jansson.h>

#include "base/base.h"
#include "base/clock.h"
#include "registry/data_use.h"
#include "registry/patterns.h"

static const char  *const  es_data_use_members[] = {
    "purpose", "feeds", "retention_days", "expires", NULL
};


static es_rc_t
es_data_use_read(es_record_t *r, es_data_use_t *out)
{
    size_t    i;
    es_rc_t   rc;
    unsigned  days = 0;

    rc = es_take_str(r, "/purpose", true, &out->purpose);
    if (rc != ES_OK) {
        return rc;
    }

    if (out->purpose.len == 0 || out->purpose.len > ES_DATA_USE_PURPOSE_MAX) {
        return es_fault(r, "/purpose", "must have 1 to 256 bytes");
    }

    for (i = 0; i < out->purpose.len; i++) {
        if ((unsigned char) out->purpose.data[i] < 0x20
            || out->purpose.data[i] == 0x7f)
        {
            return es_fault(r, "/purpose", "has a control character");
        }
    }

    if (json_object_get(r->object, "expires") == NULL) {
        return es_fault(r, "/expires", "is required");
    }

    if ((rc = es_take_patterns(r, "/feeds", 1, ES_PATTERNS_MAX, &out->feeds))
           != ES_OK
        || (rc = es_take_number(r, "/retention_days", 1,
                                ES_DATA_USE_DAYS_MAX, &days)) != ES_OK)
    {
        return rc;
    }

    out->retention_days = days;

    return es_take_time(r, "/expires", &out->expires_ms);
}


/* The partner's feeds must be among those of the agreement. */

static es_rc_t
es_data_use_covers(es_record_t *r, const es_partner_t *partner)
{
    char    item[ES_POINTER_MAX];
    size_t  i;

    for (i = 0; i < partner->feeds.n; i++) {
        if (!es_patterns_match(&partner->data_use.feeds,
                               partner->feeds.list[i]))
        {
            return es_fault(r, es_item_pointer("/feeds", i, item), "is not "
                            "among the feeds of the data-use agreement");
        }
    }

    return ES_OK;
}


es_rc_t
es_take_data_use(es_record_t *r, es_partner_t *out)
{
    json_t      *object, *value;
    es_rc_t      rc;
    const char  *name;
    es_record_t  record = { NULL, r->pool, r->problem };

    object = json_object_get(r->object, "data_use");
    if (object == NULL) {
        return ES_OK;
    }

    if (!json_is_object(object)) {
        return es_fault(r, "/data_use", "must be an object");
    }

    json_object_foreach(object, name, value) {
        if (!es_member_listed(es_data_use_members, name)) {
            return es_fault(r, "/data_use", "must have \"purpose\", "
                            "\"feeds\" and \"expires\", and may have only "
                            "\"retention_days\" besides");
        }
    }

    record.object = object;
    rc = es_data_use_read(&record, &out->data_use);

    if (rc == ES_INVALID && r->problem != NULL) {
        es_member_within(r->problem, "data_use");
    }

    return rc == ES_OK ? es_data_use_covers(r, out) : rc;
}


json_t *
es_data_use_report(const es_data_use_t *use)
{
    char     expires[ES_TIME_LEN];
    size_t   i;
    json_t  *feeds;

    if (use->expires_ms == 0) {
        return NULL;
    }

    feeds = json_array();

    for (i = 0; i < use->feeds.n; i++) {
        (void) json_array_append_new(feeds,
                                     json_stringn(use->feeds.list[i].data,
                                             use->feeds.list[i].len));
    }

    es_time_print(use->expires_ms, expires);

    return json_pack("{s:s%, s:o, s:o*, s:s%}",
                     "purpose", use->purpose.data, use->purpose.len,
                     "feeds", feeds,
                     "retention_days", use->retention_days == 0 ? NULL
                         : json_integer(use->retention_days),
                     "expires", expires, (size_t) ES_TIME_LEN);
}
