/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads and writes replies and clearings under way, which are records of
 * delivery's `meta`:
 *
 *     "reply", request     es_control_reply_value_t, the user, NUL, the detail
 *     "clear", endpoint    es_clearing_progress_value_t, the request's text
 */

#include <unistd.h>

#include "base/assert.h"
#include "base/base.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"
#include "log/store_clock.h"
#include "registry/control_reply.h"
#include "registry/control_request.h"
#include "store/store.h"

#define ES_REPLY         "reply"
#define ES_REPLY_US      10000     /* between two polls for a reply */
#define ES_HEARTBEAT_MS  5000      /* greatest age of a running dispatcher's */

typedef struct __attribute__((packed)) {
    uint8_t   kind;
    uint8_t   rc;
    uint32_t  endpoint;
    uint64_t  count;
    int64_t   time_ms;
} es_control_reply_value_t;

typedef struct __attribute__((packed)) {
    uint64_t  id;
    uint8_t   kind;
    uint8_t   removing;
    uint32_t  feed;
    char      epoch[ES_EPOCH_MAX + 1];
    uint64_t  sequence;
    int64_t   time_ms;
} es_clearing_progress_value_t;

ES_STORED_SIZE(es_control_reply_value_t, 22);
ES_STORED_SIZE(es_clearing_progress_value_t, 46);


static es_dkey_t
es_control_reply_key(uint64_t id)
{
    es_dkey_t  key;

    key = es_meta_key(ES_REPLY);
    es_key64(&key, id);

    return key;
}


es_rc_t
es_changeset_control_reply(es_changeset_t *c, const es_control_reply_t *reply)
{
    char              text[sizeof(es_control_reply_value_t) + ES_BY_MAX
                           + ES_REASON_MAX];
    size_t                    by, detail;
    es_rc_t                   rc;
    es_dkey_t                 key;
    es_control_reply_value_t  value;

    value.kind = (uint8_t) reply->kind;
    value.rc = (uint8_t) reply->rc;
    value.endpoint = reply->endpoint;
    value.count = reply->count;
    value.time_ms = reply->time_ms;

    by = strlen(reply->by) + 1;
    detail = strlen(reply->detail);
    memcpy(text, &value, sizeof(value));
    memcpy(text + sizeof(value), reply->by, by);
    memcpy(text + sizeof(value) + by, reply->detail, detail);

    key = es_control_reply_key(reply->id);
    rc = es_changeset_meta_put(c, &key, text, sizeof(value) + by + detail);

    if (rc == ES_OK && reply->id > ES_CONTROL_REPLIES_MAX) {
        key = es_control_reply_key(reply->id - ES_CONTROL_REPLIES_MAX);
        rc = es_changeset_meta_delete(c, &key, false);
    }

    return rc;
}


es_rc_t
es_changeset_clearing(es_changeset_t *c, const es_clearing_progress_t *clear)
{
    es_rc_t                       rc;
    es_buf_t                      buf = { 0 };
    es_dkey_t                     key;
    es_clearing_progress_value_t  value;
    const es_control_request_t   *request;

    request = &clear->request;

    value.id = request->id;
    value.kind = (uint8_t) request->kind;
    value.removing = clear->removing;
    value.feed = request->feed;
    memcpy(value.epoch, request->epoch, sizeof(value.epoch));
    value.sequence = request->sequence;
    value.time_ms = request->time_ms;

    key = es_clearing_progress_key(request->endpoint);
    rc = es_buf_append(&buf, &value, sizeof(value));

    if (rc == ES_OK) {
        rc = es_buf_append(&buf, request->event, request->event_len);
    }

    if (rc == ES_OK) {
        rc = es_changeset_meta_put(c, &key, buf.data, buf.len);
    }

    es_buf_free(&buf);

    return rc;
}


static es_rc_t
es_control_reply_decode(void *ctx, const MDB_val *key, const MDB_val *val)
{
    size_t                    by, detail;
    const char               *p, *end;
    es_control_reply_t       *reply = ctx;
    es_control_reply_value_t  value;

    (void) key;

    if (val->mv_size <= sizeof(value)) {
        return ES_CORRUPT;
    }

    p = val->mv_data;
    end = p + val->mv_size;
    memcpy(&value, p, sizeof(value));
    p += sizeof(value);

    by = strnlen(p, (size_t) (end - p));
    if (p + by == end || by >= sizeof(reply->by)) {
        return ES_CORRUPT;
    }

    memcpy(reply->by, p, by + 1);
    p += by + 1;

    detail = (size_t) (end - p);
    if (detail >= sizeof(reply->detail)) {
        return ES_CORRUPT;
    }

    memcpy(reply->detail, p, detail);
    reply->detail[detail] = '\0';

    reply->kind = (es_control_kind_t) value.kind;
    reply->rc = (es_rc_t) value.rc;
    reply->endpoint = value.endpoint;
    reply->count = value.count;
    reply->time_ms = value.time_ms;

    return ES_OK;
}


static es_rc_t
es_clearing_progress_decode(void *ctx, const MDB_val *key, const MDB_val *val)
{
    es_control_request_t         *request;
    es_clearing_progress_t       *clear = ctx;
    es_clearing_progress_value_t  value;

    (void) key;

    if (val->mv_size < sizeof(value)
        || val->mv_size - sizeof(value) > ES_CONTROL_EVENT_MAX)
    {
        return ES_CORRUPT;
    }

    memcpy(&value, val->mv_data, sizeof(value));
    clear->removing = value.removing;

    request = &clear->request;
    request->id = value.id;
    request->kind = (es_control_kind_t) value.kind;
    request->feed = value.feed;
    memcpy(request->epoch, value.epoch, sizeof(request->epoch));
    request->sequence = value.sequence;
    request->time_ms = value.time_ms;
    request->event_len = val->mv_size - sizeof(value);
    memcpy(request->event, (const char *) val->mv_data + sizeof(value),
           request->event_len);
    request->event[request->event_len] = '\0';

    return ES_OK;
}


es_rc_t
es_delivery_control_reply(es_store_t *store, uint64_t id,
    es_control_reply_t *reply)
{
    reply->id = id;

    return es_delivery_get_meta(store, es_control_reply_key(id),
                                es_control_reply_decode, reply);
}


es_rc_t
es_delivery_clearing(es_store_t *store, uint32_t endpoint,
    es_clearing_progress_t *clear)
{
    clear->request.endpoint = endpoint;

    return es_delivery_get_meta(store, es_clearing_progress_key(endpoint),
                                es_clearing_progress_decode, clear);
}


es_rc_t
es_control_reply_wait(es_store_t *store, uint64_t id, int64_t max_ms,
    es_control_reply_t *reply)
{
    es_rc_t  rc;
    int64_t  until_us;

    until_us = es_clock_mono_us() + max_ms * 1000;

    while ((rc = es_delivery_control_reply(store, id, reply)) == ES_NOT_FOUND
           && es_clock_mono_us() < until_us)
    {
        (void) usleep(ES_REPLY_US);
    }

    return rc;
}


bool
es_dispatcher_runs(es_store_t *store)
{
    int64_t  ms, age_ms;

    if (es_delivery_heartbeat(store, &ms) != ES_OK) {
        return false;
    }

    age_ms = es_store_due_ms(store) - ms;

    return age_ms < ES_HEARTBEAT_MS && age_ms > -ES_HEARTBEAT_MS;
}
