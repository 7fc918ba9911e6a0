/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads and writes stalls, which are records of delivery's `meta`, and shows
 * them as JSON:
 *
 *     "stalled", endpoint, feed    es_stall_value_t
 */

#include "base/assert.h"
#include "base/base.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"
#include "delivery/stall.h"
#include "event/cursor.h"
#include "read/reader.h"

#define ES_STALLED  "stalled"

typedef struct __attribute__((packed)) {
    uint8_t   reason;
    char      epoch[ES_EPOCH_MAX + 1];
    uint64_t  sequence;
    int64_t   since_ms;
    int64_t   next_ms;
    int64_t   dead_ms;
    uint32_t  attempts;
    int32_t   status;
    uint32_t  subjects;
} es_stall_value_t;

ES_STORED_SIZE(es_stall_value_t, 61);

typedef struct {
    es_stall_fn  fn;
    void        *ctx;
} es_stall_walk_t;


const char *
es_stall_name(es_stall_reason_t reason)
{
    static const char  *const  names[ES_STALLS] = {
        [ES_STALL_NONE] = "none",
        [ES_STALL_EVENT] = "event",
        [ES_STALL_SUBJECT] = "subject",
        [ES_STALL_FULL] = "full",
        [ES_STALL_UNREADABLE] = "unreadable",
        [ES_STALL_NUDGE] = "nudge",
        [ES_STALL_SECRET] = "secret",
        [ES_STALL_TOKEN] = "token",
        [ES_STALL_THROTTLED] = "throttled",
        [ES_STALL_PROXY] = "proxy",
        [ES_STALL_FILES] = "files"
    };

    return names[(unsigned) reason < ES_STALLS ? reason : 0];
}


bool
es_stall_is_state(es_stall_reason_t reason)
{
    return reason != ES_STALL_NONE && reason != ES_STALL_SUBJECT;
}


static es_dkey_t
es_stall_key(uint32_t endpoint)
{
    es_dkey_t  key;

    key = es_meta_key(ES_STALLED);
    es_key32(&key, endpoint);

    return key;
}


es_rc_t
es_changeset_stall(es_changeset_t *c, const es_stall_t *stall)
{
    es_dkey_t         key;
    es_stall_value_t  value;

    key = es_stall_key(stall->endpoint);
    es_key32(&key, stall->feed);

    value.reason = stall->reason;
    memcpy(value.epoch, stall->epoch, sizeof(value.epoch));
    value.sequence = stall->sequence;
    value.since_ms = stall->since_ms;
    value.next_ms = stall->next_ms;
    value.dead_ms = stall->dead_ms;
    value.attempts = stall->attempts;
    value.status = stall->status;
    value.subjects = stall->subjects;

    return es_changeset_meta_put(c, &key, &value, sizeof(value));
}


es_rc_t
es_changeset_stall_done(es_changeset_t *c, uint32_t endpoint, uint32_t feed)
{
    es_dkey_t  key;

    key = es_stall_key(endpoint);
    es_key32(&key, feed);

    return es_changeset_meta_delete(c, &key, false);
}


es_rc_t
es_changeset_stalls_done(es_changeset_t *c, uint32_t endpoint)
{
    es_dkey_t  key;

    key = es_stall_key(endpoint);

    return es_changeset_meta_delete(c, &key, true);
}


static es_rc_t
es_stall_decode(const MDB_val *key, const MDB_val *value, es_stall_t *stall)
{
    es_stall_value_t  v;

    if (key->mv_size != sizeof(ES_STALLED) - 1 + 2 * sizeof(uint32_t)
        || value->mv_size != sizeof(v))
    {
        return ES_CORRUPT;
    }

    memcpy(&v, value->mv_data, sizeof(v));

    stall->endpoint = es_key32_get(key, sizeof(ES_STALLED) - 1);
    stall->feed = es_key32_get(key, sizeof(ES_STALLED) - 1
                                    + sizeof(uint32_t));
    stall->reason = v.reason;
    memcpy(stall->epoch, v.epoch, sizeof(stall->epoch));
    stall->epoch[ES_EPOCH_MAX] = '\0';
    stall->sequence = v.sequence;
    stall->since_ms = v.since_ms;
    stall->next_ms = v.next_ms;
    stall->dead_ms = v.dead_ms;
    stall->attempts = v.attempts;
    stall->status = v.status;
    stall->subjects = v.subjects;

    return ES_OK;
}


static es_rc_t
es_stall_visit(void *ctx, const MDB_val *key, const MDB_val *value)
{
    es_rc_t           rc;
    es_stall_t        stall;
    es_stall_walk_t  *walk = ctx;

    rc = es_stall_decode(key, value, &stall);

    return rc == ES_OK ? walk->fn(walk->ctx, &stall) : rc;
}


es_rc_t
es_delivery_each_stall(es_store_t *store, uint32_t endpoint, es_stall_fn fn,
    void *ctx)
{
    es_stall_walk_t  walk = { fn, ctx };

    return es_delivery_each_meta(store,
                                 endpoint != 0 ? es_stall_key(endpoint)
                                               : es_meta_key(ES_STALLED),
                                 es_stall_visit, &walk);
}


static es_rc_t
es_stall_take(void *ctx, const es_stall_t *stall)
{
    *(es_stall_t *) ctx = *stall;

    return ES_OK;
}


es_rc_t
es_delivery_stall(es_store_t *store, uint32_t endpoint, uint32_t feed,
    es_stall_t *stall)
{
    es_rc_t          rc;
    es_dkey_t        key;
    es_stall_walk_t  walk = { es_stall_take, stall };

    key = es_stall_key(endpoint);
    es_key32(&key, feed);
    stall->reason = ES_STALL_NONE;

    rc = es_delivery_each_meta(store, key, es_stall_visit, &walk);

    return rc == ES_OK && stall->reason == ES_STALL_NONE ? ES_NOT_FOUND : rc;
}


static void
es_stall_time(json_t *report, const char *member, int64_t ms)
{
    char  time[ES_TIME_LEN + 1];

    if (ms != 0) {
        es_time_print(ms, time);
        (void) json_object_set_new(report, member,
                                   json_stringn(time, ES_TIME_LEN));
    }
}


/* Adds a value whose text is JSON-encoded, but without its quotes. */

static void
es_stall_member(json_t *report, const char *member, es_str_t text)
{
    json_t    *value;
    es_buf_t   buf = { 0 };

    if (text.len == 0) {
        return;
    }

    if (es_buf_append(&buf, "\"", 1) == ES_OK
        && es_buf_str(&buf, text) == ES_OK
        && es_buf_append(&buf, "\"", 1) == ES_OK)
    {
        value = json_loadb(buf.data, buf.len, JSON_DECODE_ANY, NULL);

        if (value != NULL) {
            (void) json_object_set_new(report, member, value);
        }
    }

    es_buf_free(&buf);
}


json_t *
es_stall_report(const es_stall_t *stall, const es_event_t *event)
{
    char     cursor[ES_CURSOR_MAX];
    json_t  *report;

    report = json_pack("{s:s}", "reason",
                       es_stall_name((es_stall_reason_t) stall->reason));
    if (report == NULL) {
        return NULL;
    }

    if (stall->sequence != 0) {
        (void) es_cursor_print(stall->epoch, stall->sequence, cursor);
        (void) json_object_set_new(report, "cursor", json_string(cursor));
    }

    if (event != NULL) {
        es_stall_member(report, "id", event->id);
        es_stall_member(report, "type", event->type);
        es_stall_member(report, "subject", event->subject);
    }

    es_stall_time(report, "since", stall->since_ms);

    if (stall->attempts != 0) {
        (void) json_object_set_new(report, "attempts",
                                   json_integer(stall->attempts));
        (void) json_object_set_new(report, "status",
                                   json_integer(stall->status));
    }

    es_stall_time(report, "next", stall->next_ms);
    es_stall_time(report, "dead_at", stall->dead_ms);

    if (stall->subjects != 0) {
        (void) json_object_set_new(report, "subjects",
                                   json_integer(stall->subjects));
    }

    return report;
}
