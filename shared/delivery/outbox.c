/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The outbox of operational events, and what was announced of endpoints.  Both
 * are records of delivery's `meta`:
 *
 *     "notice", number in the outbox     feed's name, NUL, the event as JSON
 *     "failing", endpoint                es_failing_value_t
 *     "near", endpoint, feed             nothing; a retention warning was sent
 *     "dropped"                          number of events
 */

#include "base/assert.h"
#include "base/base.h"
#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"
#include "delivery/outbox.h"
#include "delivery/stall.h"
#include "store/env.h"
#include "store/store.h"

#define ES_NOTICE   "notice"
#define ES_FAILING  "failing"
#define ES_WARNED   "near"
#define ES_DROPPED  "dropped"
#define ES_ERASURES "erasures"

typedef struct __attribute__((packed)) {
    uint64_t  revision;
    int64_t   since_ms;
    int64_t   counted_ms;
    uint32_t  failures;
    uint8_t   level;
    uint8_t   loud;
} es_failing_value_t;

ES_STORED_SIZE(es_failing_value_t, 30);

typedef struct {
    es_failing_fn  fn;
    void          *ctx;
} es_failing_walk_t;


static es_dkey_t
es_outbox_key(uint64_t number)
{
    es_dkey_t  key;

    key = es_meta_key(ES_NOTICE);
    es_key64(&key, number);

    return key;
}


static es_dkey_t
es_failing_key(uint32_t endpoint)
{
    es_dkey_t  key;

    key = es_meta_key(ES_FAILING);
    es_key32(&key, endpoint);

    return key;
}


static es_dkey_t
es_retention_warned_key(uint32_t endpoint, uint32_t feed)
{
    es_dkey_t  key;

    key = es_meta_key(ES_WARNED);
    es_key32(&key, endpoint);

    if (feed != 0) {
        es_key32(&key, feed);
    }

    return key;
}


es_rc_t
es_changeset_outbox_put(es_changeset_t *c, uint64_t number, es_str_t feed,
    es_str_t event)
{
    es_rc_t    rc;
    es_buf_t   buf = { 0 };
    es_dkey_t  key;

    key = es_outbox_key(number);

    rc = es_buf_str(&buf, feed);

    if (rc == ES_OK) {
        rc = es_buf_append(&buf, "", 1);
    }

    if (rc == ES_OK) {
        rc = es_buf_str(&buf, event);
    }

    if (rc == ES_OK) {
        rc = es_changeset_meta_put(c, &key, buf.data, buf.len);
    }

    es_buf_free(&buf);

    return rc;
}


es_rc_t
es_changeset_outbox_done(es_changeset_t *c, uint64_t number)
{
    es_dkey_t  key;

    key = es_outbox_key(number);

    return es_changeset_meta_delete(c, &key, false);
}


es_rc_t
es_changeset_outbox_dropped(es_changeset_t *c, uint64_t total)
{
    es_dkey_t  key;

    key = es_meta_key(ES_DROPPED);

    return es_changeset_meta_put(c, &key, &total, sizeof(total));
}


es_rc_t
es_changeset_erasures_told(es_changeset_t *c, uint64_t number)
{
    es_dkey_t  key;

    key = es_meta_key(ES_ERASURES);

    return es_changeset_meta_put(c, &key, &number, sizeof(number));
}


es_rc_t
es_changeset_failing(es_changeset_t *c, const es_failing_t *failing)
{
    es_dkey_t           key;
    es_failing_value_t  value;

    key = es_failing_key(failing->endpoint);

    value.revision = failing->revision;
    value.since_ms = failing->since_ms;
    value.counted_ms = failing->counted_ms;
    value.failures = failing->failures;
    value.level = failing->level;
    value.loud = failing->loud;

    return es_changeset_meta_put(c, &key, &value, sizeof(value));
}


es_rc_t
es_changeset_failing_done(es_changeset_t *c, uint32_t endpoint)
{
    es_dkey_t  key;

    key = es_failing_key(endpoint);

    return es_changeset_meta_delete(c, &key, false);
}


es_rc_t
es_changeset_retention_warned(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed, bool warned)
{
    es_dkey_t  key;

    key = es_retention_warned_key(endpoint, feed);

    return warned ? es_changeset_meta_put(c, &key, "", 0)
                : es_changeset_meta_delete(c, &key, false);
}


es_rc_t
es_changeset_announced_done(es_changeset_t *c, uint32_t endpoint, uint32_t feed)
{
    es_rc_t    rc;
    es_dkey_t  key;

    rc = feed != 0 ? es_changeset_stall_done(c, endpoint, feed)
                   : es_changeset_stalls_done(c, endpoint);

    if (rc == ES_OK && feed == 0) {
        rc = es_changeset_failing_done(c, endpoint);
    }

    if (rc != ES_OK) {
        return rc;
    }

    key = es_retention_warned_key(endpoint, feed);

    return es_changeset_meta_delete(c, &key, true);
}


static es_rc_t
es_failing_decode(uint32_t endpoint, const void *data, size_t len,
    es_failing_t *failing)
{
    es_failing_value_t  value;

    if (len != sizeof(value)) {
        return ES_CORRUPT;
    }

    memcpy(&value, data, sizeof(value));

    failing->endpoint = endpoint;
    failing->revision = value.revision;
    failing->since_ms = value.since_ms;
    failing->counted_ms = value.counted_ms;
    failing->failures = value.failures;
    failing->level = value.level;
    failing->loud = value.loud;

    return ES_OK;
}


static es_rc_t
es_failing_visit(void *ctx, const MDB_val *key, const MDB_val *value)
{
    es_rc_t             rc;
    es_failing_t        failing;
    es_failing_walk_t  *walk = ctx;

    if (key->mv_size != sizeof(ES_FAILING) - 1 + sizeof(uint32_t)) {
        return ES_CORRUPT;
    }

    rc = es_failing_decode(es_key32_get(key, sizeof(ES_FAILING) - 1),
                           value->mv_data, value->mv_size, &failing);

    return rc == ES_OK ? walk->fn(walk->ctx, &failing) : rc;
}


static es_rc_t
es_failing_take(void *ctx, const es_failing_t *failing)
{
    *(es_failing_t *) ctx = *failing;

    return ES_OK;
}


es_rc_t
es_delivery_failing(es_store_t *store, uint32_t endpoint,
    es_failing_t *failing)
{
    es_failing_walk_t  walk = { es_failing_take, failing };

    return es_delivery_get_meta(store, es_failing_key(endpoint),
                                es_failing_visit, &walk);
}


es_rc_t
es_delivery_each_failing(es_store_t *store, es_failing_fn fn, void *ctx)
{
    es_failing_walk_t  walk = { fn, ctx };

    return es_delivery_each_meta(store, es_meta_key(ES_FAILING),
                                 es_failing_visit, &walk);
}


bool
es_failing_announced(const es_failing_t *failing)
{
    return failing->since_ms != 0
           && failing->level != ES_FAILING_QUIET
           && failing->level != ES_FAILING_STOPPED;
}


static es_rc_t
es_retention_warned_take(void *ctx, const MDB_val *key, const MDB_val *value)
{
    bool  *warned = ctx;

    (void) key;
    (void) value;

    *warned = true;

    return ES_OK;
}


es_rc_t
es_delivery_retention_warned(es_store_t *store, uint32_t endpoint,
    uint32_t feed, bool *warned)
{
    es_rc_t  rc;

    *warned = false;

    rc = es_delivery_get_meta(store, es_retention_warned_key(endpoint, feed),
                              es_retention_warned_take, warned);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


static bool
es_outbox_is(const MDB_val *key)
{
    return key->mv_size == sizeof(ES_NOTICE) - 1 + sizeof(uint64_t)
           && memcmp(key->mv_data, ES_NOTICE, sizeof(ES_NOTICE) - 1) == 0;
}


static es_rc_t
es_outbox_split(const MDB_val *value, es_buf_t *feed, es_buf_t *event)
{
    es_rc_t      rc;
    size_t       len;
    const char  *text, *end;

    text = value->mv_data;

    end = memchr(text, '\0', value->mv_size);
    if (end == NULL) {
        return ES_CORRUPT;
    }

    len = (size_t) (end - text) + 1;
    feed->len = 0;
    event->len = 0;

    rc = es_buf_append(feed, text, len - 1);

    return rc == ES_OK ? es_buf_append(event, text + len, value->mv_size - len)
                       : rc;
}


/* The first event of the outbox from number `from` on, or with `back` the last
   one before it. */

static es_rc_t
es_outbox_seek(es_store_t *store, uint64_t from, bool back, uint64_t *number,
    es_buf_t *feed, es_buf_t *event)
{
    int          rc;
    es_rc_t      result;
    MDB_txn     *txn;
    MDB_val      key, value;
    es_dkey_t    name;
    MDB_cursor  *cursor;

    result = es_env_read_begin(store->delivery, &txn);
    if (result != ES_OK) {
        return result;
    }

    rc = mdb_cursor_open(txn, es_env_dbi(store->delivery, ES_DELIVERY_META),
                         &cursor);
    if (rc != 0) {
        es_env_read_end(store->delivery, txn);
        return es_env_rc(rc);
    }

    name = es_outbox_key(from);
    key.mv_data = name.data;
    key.mv_size = name.len;

    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);

    if (back) {
        rc = mdb_cursor_get(cursor, &key, &value, rc == 0 ? MDB_PREV
                                                          : MDB_LAST);
    }

    if (rc == 0 && !es_outbox_is(&key)) {
        rc = MDB_NOTFOUND;
    }

    result = es_env_rc(rc);

    if (result == ES_OK) {
        *number = es_key64_get(&key, sizeof(ES_NOTICE) - 1);

        if (feed != NULL) {
            result = es_outbox_split(&value, feed, event);
        }
    }

    mdb_cursor_close(cursor);
    es_env_read_end(store->delivery, txn);

    return result;
}


es_rc_t
es_delivery_outbox_next(es_store_t *store, uint64_t *number, es_buf_t *feed,
    es_buf_t *event)
{
    return es_outbox_seek(store, *number + 1, false, number, feed, event);
}


es_rc_t
es_delivery_outbox_last(es_store_t *store, uint64_t *number)
{
    es_rc_t  rc;

    *number = 0;
    rc = es_outbox_seek(store, UINT64_MAX, true, number, NULL, NULL);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


static es_rc_t
es_outbox_count(void *ctx, const MDB_val *key, const MDB_val *value)
{
    uint64_t  *waiting = ctx;

    (void) key;
    (void) value;

    (*waiting)++;

    return ES_OK;
}


static es_rc_t
es_outbox_number(void *ctx, const MDB_val *key, const MDB_val *value)
{
    (void) key;

    if (value->mv_size == sizeof(uint64_t)) {
        memcpy(ctx, value->mv_data, sizeof(uint64_t));
    }

    return ES_OK;
}


es_rc_t
es_delivery_outbox_count(es_store_t *store, uint64_t *waiting,
    uint64_t *dropped)
{
    es_rc_t  rc;

    *waiting = 0;
    *dropped = 0;

    rc = es_delivery_each_meta(store, es_meta_key(ES_NOTICE), es_outbox_count,
                               waiting);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_delivery_get_meta(store, es_meta_key(ES_DROPPED), es_outbox_number,
                              dropped);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


es_rc_t
es_delivery_erasures_told(es_store_t *store, uint64_t *number)
{
    es_rc_t  rc;

    *number = 0;
    rc = es_delivery_get_meta(store, es_meta_key(ES_ERASURES),
                              es_outbox_number, number);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}
