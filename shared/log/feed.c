/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Creates, changes, trims, resets and removes feeds.
 *
 * A feed may have any number of events, so everything that deletes works in
 * slices, each a bounded transaction.
 */

#include <stddef.h>
#include <stdio.h>

#include "base/clock.h"
#include "event/cursor.h"
#include "event/digest.h"
#include "log/chunk.h"
#include "log/ended_epochs.h"
#include "log/feed.h"
#include "log/feed_audit.h"
#include "log/feed_pack.h"
#include "log/feed_record.h"
#include "log/store_clock.h"
#include "log/subject.h"
#include "store/env.h"
#include "store/store.h"
#include "store/deletions.h"
#include "store/txn.h"
#include "store/wake.h"

#define ES_TRIM_CHUNKS       64    /* chunks in one transaction */

typedef struct {
    es_store_t               *store;
    es_str_t                  name;
    const es_feed_options_t  *options;
    es_feed_t                 feed;
    uint64_t                  oldest;
    es_slice_t                slice;       /* chunks in one transaction */
    uint64_t                  dropped;     /* events, in one transaction */
    es_deletion_cause_t       why;
    char                      epoch[ES_EPOCH_MAX + 1];  /* of a reset */
    bool                      audited;     /* the audit has its entry */
    bool                      done;
} es_feed_update_t;

static es_rc_t es_feed_trim_slice(MDB_txn *txn, void *ctx);


/* Reads what follows the epochs.  False: it is damaged. */

static bool
es_feed_decode_rest(const char *p, es_feed_t *feed)
{
    if (feed->held) {
        memcpy(&feed->hold, p, sizeof(es_hold_t));
        p += sizeof(es_hold_t);

        if (feed->hold.reason[ES_HOLD_REASON_MAX] != '\0') {
            return false;
        }
    }

    if (feed->rechained) {
        memcpy(&feed->rechain, p, sizeof(es_rechain_t));

        if (feed->rechain.form != ES_RECHAIN_FORM) {
            return false;
        }
    }

    return true;
}


es_rc_t
es_feed_decode(const MDB_val *key, const MDB_val *val, es_feed_t *feed)
{
    bool                     held, rechained;
    size_t                   earlier, rest;
    const es_feed_record_t  *record;

    earlier = val->mv_size - sizeof(es_feed_record_t);
    rest = earlier % sizeof(es_earlier_t);
    held = rest == ES_FEED_HELD || rest == ES_FEED_BOTH;
    rechained = rest == ES_FEED_RECHAINED || rest == ES_FEED_BOTH;
    rest = (held ? sizeof(es_hold_t) : 0)
           + (rechained ? sizeof(es_rechain_t) : 0);
    earlier -= rest;

    if (key->mv_size > ES_FEED_MAX
        || val->mv_size < sizeof(es_feed_record_t) + rest
        || earlier % sizeof(es_earlier_t) != 0
        || earlier > sizeof(feed->earlier))
    {
        return ES_CORRUPT;
    }

    record = val->mv_data;

    memset(feed, 0, offsetof(es_feed_t, earlier));
    memcpy(feed->name, key->mv_data, key->mv_size);
    memcpy(feed->epoch, record->epoch, ES_EPOCH_MAX);

    feed->number = record->number;
    feed->page_size = record->page_size;
    feed->oldest = record->oldest;
    feed->last = record->last;
    feed->bytes = record->bytes;
    feed->total = record->total;
    memcpy(feed->digest, record->digest, ES_CHAIN_LEN);
    feed->created_ms = record->created_ms;
    feed->last_ms = record->last_ms;
    feed->retain_count = record->retain_count;
    feed->retain_bytes = record->retain_bytes;
    feed->retain_ms = record->retain_ms;
    feed->forgotten = record->forgotten;
    feed->nearlier = (uint32_t) (earlier / sizeof(es_earlier_t));
    memcpy(feed->earlier, record + 1, earlier);
    feed->held = held;
    feed->rechained = rechained;

    return es_feed_decode_rest((const char *) (record + 1) + earlier, feed)
           ? ES_OK : ES_CORRUPT;
}


static void
es_feed_encode(const es_feed_t *feed, es_feed_record_t *record)
{
    memset(record, 0, sizeof(es_feed_record_t));
    memcpy(record->epoch, feed->epoch, ES_EPOCH_MAX);

    record->number = feed->number;
    record->page_size = feed->page_size;
    record->oldest = feed->oldest;
    record->last = feed->last;
    record->bytes = feed->bytes;
    record->total = feed->total;
    memcpy(record->digest, feed->digest, ES_CHAIN_LEN);
    record->created_ms = feed->created_ms;
    record->last_ms = feed->last_ms;
    record->retain_count = feed->retain_count;
    record->retain_bytes = feed->retain_bytes;
    record->retain_ms = feed->retain_ms;
    record->forgotten = feed->forgotten;
}


es_rc_t
es_feed_load(es_store_t *store, MDB_txn *txn, es_str_t name, es_feed_t *feed)
{
    int      rc;
    MDB_val  key, val;

    if (name.len == 0 || name.len > ES_FEED_MAX) {
        return ES_NOT_FOUND;
    }

    key.mv_data = (void *) (uintptr_t) name.data;
    key.mv_size = name.len;

    rc = mdb_get(txn, es_env_dbi(store->log, ES_LOG_FEEDS), &key, &val);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    return es_feed_decode(&key, &val, feed);
}


es_rc_t
es_feed_save(es_store_t *store, MDB_txn *txn, const es_feed_t *feed)
{
    size_t   earlier, hold, rechain;
    MDB_val  key, val;
    struct {
        es_feed_record_t  record;
        char              rest[ES_FEED_EARLIER_MAX * sizeof(es_earlier_t)
                               + sizeof(es_hold_t) + sizeof(es_rechain_t)];
    } value;

    earlier = feed->nearlier * sizeof(es_earlier_t);
    hold = feed->held ? sizeof(es_hold_t) : 0;
    rechain = feed->rechained ? sizeof(es_rechain_t) : 0;

    es_feed_encode(feed, &value.record);
    memcpy(value.rest, feed->earlier, earlier);
    memcpy(value.rest + earlier, &feed->hold, hold);
    memcpy(value.rest + earlier + hold, &feed->rechain, rechain);

    key.mv_data = (void *) (uintptr_t) feed->name;
    key.mv_size = strlen(feed->name);
    val.mv_data = &value;
    val.mv_size = sizeof(value.record) + earlier + hold + rechain;

    return es_env_rc(mdb_put(txn, es_env_dbi(store->log, ES_LOG_FEEDS), &key,
                             &val, 0));
}


es_rc_t
es_feed_get(es_txn_t *txn, es_str_t name, es_feed_t *feed)
{
    return es_feed_load(txn->store, txn->mdb, name, feed);
}


es_rc_t
es_feed_next(es_txn_t *txn, es_str_t name, es_feed_t *feed)
{
    int          rc;
    char         after[ES_FEED_MAX + 2];
    MDB_val      key, val;
    es_rc_t      result;
    MDB_cursor  *cursor;

    if (name.len > ES_FEED_MAX) {
        return ES_INVALID;
    }

    rc = mdb_cursor_open(txn->mdb, es_env_dbi(txn->store->log, ES_LOG_FEEDS),
                         &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    if (name.len == 0) {
        rc = mdb_cursor_get(cursor, &key, &val, MDB_FIRST);

    } else {
        /* The least key after a name is the name followed by NUL. */

        memcpy(after, name.data, name.len);
        after[name.len] = '\0';
        key.mv_data = after;
        key.mv_size = name.len + 1;
        rc = mdb_cursor_get(cursor, &key, &val, MDB_SET_RANGE);
    }

    result = es_env_rc(rc);

    if (result == ES_OK) {
        result = es_feed_decode(&key, &val, feed);
    }

    mdb_cursor_close(cursor);

    return result;
}


static es_rc_t
es_feed_create_txn(MDB_txn *txn, void *ctx)
{
    es_rc_t              rc;
    uint64_t             number;
    unsigned             pack;
    es_feed_t           *feed;
    es_feed_update_t    *u = ctx;
    es_clock_verdict_t   clock;

    rc = es_feed_load(u->store, txn, u->name, &u->feed);
    if (rc != ES_NOT_FOUND) {
        return rc == ES_OK ? ES_EXISTS : rc;
    }

    rc = es_clock_commit(u->store, txn, &clock);

    if (rc == ES_OK) {
        rc = es_meta_get(u->store, txn, "feeds", &number);
    }

    if (rc == ES_OK) {
        rc = es_meta_put(u->store, txn, "feeds", ++number);
    }

    feed = &u->feed;
    memset(feed, 0, sizeof(es_feed_t));

    if (rc == ES_OK) {
        rc = es_epoch_create(feed->epoch);
    }

    if (rc != ES_OK) {
        return rc;
    }

    memcpy(feed->name, u->name.data, u->name.len);
    feed->number = (uint32_t) number;
    feed->page_size = ES_FEED_PAGE;
    feed->oldest = 1;
    feed->created_ms = clock.time_ms;

    pack = ES_PACK_OFF;

    if (u->options != NULL) {
        pack = u->options->pack;
        feed->retain_count = u->options->retain_count;
        feed->retain_bytes = u->options->retain_bytes;
        feed->retain_ms = u->options->retain_ms;
    }

    rc = es_feed_audit(u->store, txn, u->name, "create", NULL,
                       es_feed_audit_settings(feed, pack));

    if (rc == ES_OK) {
        rc = es_feed_pack_save(u->store, txn, feed->number, pack);
    }

    return rc == ES_OK ? es_feed_save(u->store, txn, feed) : rc;
}


static es_rc_t
es_feed_change_txn(MDB_txn *txn, void *ctx)
{
    json_t            *before;
    es_rc_t            rc;
    unsigned           pack;
    es_feed_update_t  *u = ctx;

    rc = es_feed_load(u->store, txn, u->name, &u->feed);

    if (rc == ES_OK) {
        rc = es_feed_pack_load(u->store, txn, u->feed.number, &pack);
    }

    if (rc != ES_OK) {
        return rc;
    }

    before = es_feed_audit_settings(&u->feed, pack);

    u->feed.retain_count = u->options->retain_count;
    u->feed.retain_bytes = u->options->retain_bytes;
    u->feed.retain_ms = u->options->retain_ms;

    rc = es_feed_audit(u->store, txn, u->name, "change", before,
                       es_feed_audit_settings(&u->feed, u->options->pack));

    if (rc == ES_OK) {
        rc = es_feed_pack_save(u->store, txn, u->feed.number,
                               u->options->pack);
    }

    return rc == ES_OK ? es_feed_save(u->store, txn, &u->feed) : rc;
}


/* A new feed must not use the page reserve; all else may. */

static es_rc_t
es_feed_run(es_store_t *store, es_env_fn fn, es_feed_update_t *u)
{
    es_rc_t  rc;

    if (!(store->flags & ES_STORE_PUBLISH)) {
        return ES_DENIED;
    }

    u->store = store;

    rc = fn == es_feed_create_txn
         ? es_env_update(store->log, fn, u)
         : es_env_shrink(store->log, fn, u, &u->slice);

    if (rc == ES_OK) {
        es_wake_ring(store);
    }

    return rc;
}


es_rc_t
es_feed_create(es_store_t *store, es_str_t name,
    const es_feed_options_t *options, es_feed_t *feed)
{
    es_rc_t           rc;
    es_feed_update_t  u = { 0 };

    if (!es_feed_name_ok(name)) {
        return ES_INVALID;
    }

    u.name = name;
    u.options = options;

    rc = es_feed_run(store, es_feed_create_txn, &u);
    if (rc == ES_OK && feed != NULL) {
        *feed = u.feed;
    }

    return rc;
}


es_rc_t
es_feed_change(es_store_t *store, es_str_t name,
    const es_feed_options_t *options)
{
    es_feed_update_t  u = { 0 };

    u.name = name;
    u.options = options;

    return es_feed_run(store, es_feed_change_txn, &u);
}


es_rc_t
es_feed_trim(es_store_t *store, es_str_t name, uint64_t oldest)
{
    return es_feed_take(store, name, oldest, ES_DELETION_TRIM);
}


/* `audited`: the entry of the deletion is in the audit already. */

static es_rc_t
es_feed_take_slices(es_store_t *store, es_str_t name, uint64_t oldest,
    es_deletion_cause_t why, bool *audited)
{
    es_rc_t           rc;
    es_feed_update_t  u = { .audited = *audited };

    u.name = name;
    u.oldest = oldest;
    u.why = why;
    u.slice.most = ES_TRIM_CHUNKS;
    u.slice.max = ES_TRIM_CHUNKS;

    do {
        rc = es_feed_run(store, es_feed_trim_slice, &u);

        if (rc == ES_OK) {
            es_deletions_add(store, u.feed.name, u.dropped, why);
            u.audited = u.audited || u.dropped > 0;
        }

    } while (rc == ES_OK && !u.done);

    *audited = u.audited;

    return rc;
}


es_rc_t
es_feed_take(es_store_t *store, es_str_t name, uint64_t oldest,
    es_deletion_cause_t why)
{
    bool  audited = false;

    return es_feed_take_slices(store, name, oldest, why, &audited);
}


es_rc_t
es_feed_untype(es_store_t *store, MDB_txn *txn, uint32_t feed,
    const es_chunk_t *chunk)
{
    int       rc;
    uint8_t   key[ES_BYTYPE_KEY_LEN], value[ES_BYTYPE_VALUE_LEN];
    MDB_val   k, v;
    uint32_t  i;

    for (i = 0; i < chunk->head->count; i++) {
        if (!es_bytype_value(chunk->types, chunk->head->count, i,
                             chunk->head->first, value))
        {
            continue;
        }

        es_bytype_key(feed, es_chunk_type(chunk, i), key);
        k.mv_data = key;
        k.mv_size = sizeof(key);
        v.mv_data = value;
        v.mv_size = sizeof(value);

        rc = mdb_del(txn, es_env_dbi(store->log, ES_LOG_BYTYPE), &k, &v);
        if (rc != 0 && rc != MDB_NOTFOUND) {
            return es_env_rc(rc);
        }
    }

    return ES_OK;
}


/* Returns the bytes of the chunk's events before the sequence `oldest`. */

static uint64_t
es_feed_bytes_before(const es_chunk_t *chunk, uint64_t from, uint64_t oldest)
{
    uint32_t  i;
    uint64_t  bytes, sequence;
    es_str_t  text;

    bytes = 0;

    for (i = 0; i < chunk->head->count; i++) {
        sequence = chunk->head->first + i;

        if (sequence >= from && sequence < oldest
            && es_chunk_text(chunk, i, &text) == ES_OK)
        {
            bytes += text.len;
        }
    }

    return bytes;
}


es_rc_t
es_feed_drop(es_store_t *store, MDB_txn *txn, es_feed_t *feed,
    uint64_t target, unsigned max)
{
    es_rc_t      rc;
    uint64_t     bytes;
    unsigned     n;
    es_chunk_t   chunk;
    MDB_cursor  *cursor;

    rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(store->log, ES_LOG_EVENTS),
                                   &cursor));
    if (rc != ES_OK) {
        return rc;
    }

    for (n = 0; feed->oldest < target && n < max; n++) {
        rc = es_chunk_seek(cursor, feed->number, feed->oldest, false, &chunk);
        if (rc != ES_OK) {
            rc = rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
            break;
        }

        bytes = es_feed_bytes_before(&chunk, feed->oldest, target);
        feed->bytes -= bytes < feed->bytes ? bytes : feed->bytes;

        if (chunk.last >= target) {
            feed->oldest = target;
            break;
        }

        feed->oldest = chunk.last + 1;

        rc = es_feed_untype(store, txn, feed->number, &chunk);
        if (rc == ES_OK) {
            rc = es_subject_drop(store, txn, feed->number, &chunk);
        }

        if (rc == ES_OK) {
            rc = es_env_rc(mdb_cursor_del(cursor, 0));
        }

        if (rc != ES_OK) {
            break;
        }
    }

    mdb_cursor_close(cursor);

    return rc;
}


static es_rc_t
es_feed_trim_slice(MDB_txn *txn, void *ctx)
{
    es_rc_t            rc;
    uint64_t           target, oldest;
    es_feed_update_t  *u = ctx;

    u->done = true;
    u->dropped = 0;

    rc = es_feed_load(u->store, txn, u->name, &u->feed);
    if (rc != ES_OK) {
        return rc;
    }

    target = u->oldest < u->feed.last + 1 ? u->oldest : u->feed.last + 1;
    if (target <= u->feed.oldest) {
        return ES_OK;
    }

    if (u->feed.held) {
        return ES_HELD;
    }

    oldest = u->feed.oldest;

    rc = es_feed_drop(u->store, txn, &u->feed, target, u->slice.max);
    if (rc != ES_OK) {
        return rc;
    }

    u->done = u->feed.oldest >= target;
    u->dropped = u->feed.oldest - oldest;

    if (!u->audited) {
        rc = es_feed_audit_deletion(u->store, txn, &u->feed, oldest, target,
                                    u->why);
        if (rc != ES_OK) {
            return rc;
        }
    }

    return es_feed_save(u->store, txn, &u->feed);
}


/* The entry of a removal or reset, unless a transaction before has it. */

static es_rc_t
es_feed_end_audit(es_feed_update_t *u, MDB_txn *txn)
{
    json_t  *after;

    if (u->audited) {
        return ES_OK;
    }

    after = u->why == ES_DELETION_RESET
            ? json_pack("{s:s}", "epoch", u->epoch) : NULL;

    return es_feed_audit(u->store, txn, u->name,
                         es_deletion_cause_name(u->why),
                         es_feed_audit_extent(&u->feed), after);
}


static es_rc_t
es_feed_remove_txn(MDB_txn *txn, void *ctx)
{
    es_rc_t            rc;
    MDB_val            key;
    es_feed_update_t  *u = ctx;

    rc = es_feed_load(u->store, txn, u->name, &u->feed);
    if (rc != ES_OK) {
        return rc;
    }

    if (u->feed.held) {
        return ES_HELD;
    }

    if (u->feed.oldest <= u->feed.last) {
        return ES_BUSY;
    }

    rc = es_feed_end_audit(u, txn);

    if (rc == ES_OK) {
        rc = es_feed_pack_save(u->store, txn, u->feed.number, ES_PACK_OFF);
    }

    if (rc == ES_OK) {
        rc = es_ended_epoch_put(u->store, txn, &u->feed, true);
    }

    if (rc != ES_OK) {
        return rc;
    }

    key.mv_data = u->feed.name;
    key.mv_size = strlen(u->feed.name);

    return es_env_rc(mdb_del(txn, es_env_dbi(u->store->log, ES_LOG_FEEDS),
                             &key, NULL));
}


static es_rc_t
es_feed_reset_txn(MDB_txn *txn, void *ctx)
{
    es_rc_t            rc;
    es_feed_update_t  *u = ctx;

    rc = es_feed_load(u->store, txn, u->name, &u->feed);
    if (rc != ES_OK) {
        return rc;
    }

    if (u->feed.held) {
        return ES_HELD;
    }

    if (u->feed.oldest <= u->feed.last) {
        return ES_BUSY;
    }

    rc = es_feed_end_audit(u, txn);

    if (rc == ES_OK) {
        rc = es_ended_epoch_put(u->store, txn, &u->feed, true);
    }

    if (rc != ES_OK) {
        return rc;
    }

    memcpy(u->feed.epoch, u->epoch, sizeof(u->feed.epoch));

    u->feed.oldest = 1;
    u->feed.last = 0;
    u->feed.bytes = 0;
    u->feed.total = 0;
    u->feed.forgotten = 0;
    u->feed.nearlier = 0;
    memset(u->feed.digest, 0, ES_CHAIN_LEN);
    u->feed.rechained = false;

    return es_feed_save(u->store, txn, &u->feed);
}


static es_rc_t
es_feed_ending_txn(MDB_txn *txn, void *ctx)
{
    es_rc_t            rc;
    es_feed_update_t  *u = ctx;

    rc = es_feed_load(u->store, txn, u->name, &u->feed);

    if (rc == ES_OK && u->feed.held) {
        rc = ES_HELD;
    }

    if (rc == ES_OK) {
        rc = es_feed_end_audit(u, txn);
    }

    return rc == ES_OK ? es_ended_epoch_put(u->store, txn, &u->feed,
                                            false) : rc;
}


/*
 * Empties the feed in slices and then runs `fn`.  After a publish in between,
 * `fn` returns ES_BUSY and the loop goes on.  A store that has no room for the
 * record of the epoch's end is emptied without it.
 */

static es_rc_t
es_feed_empty_and(es_store_t *store, es_str_t name, es_env_fn fn,
    es_feed_update_t *u, es_deletion_cause_t why)
{
    es_rc_t  rc;

    u->name = name;
    u->why = why;

    rc = es_feed_run(store, es_feed_ending_txn, u);
    if (rc != ES_OK && rc != ES_FULL) {
        return rc;
    }

    u->audited = rc == ES_OK;

    do {
        rc = es_feed_take_slices(store, name, UINT64_MAX, why, &u->audited);
        if (rc == ES_OK) {
            rc = es_feed_run(store, fn, u);
        }
    } while (rc == ES_BUSY);

    return rc;
}


es_rc_t
es_feed_remove(es_store_t *store, es_str_t name)
{
    es_feed_update_t  u = { 0 };

    return es_feed_empty_and(store, name, es_feed_remove_txn, &u,
                             ES_DELETION_REMOVE);
}


es_rc_t
es_feed_reset(es_store_t *store, es_str_t name, es_feed_t *feed)
{
    es_rc_t           rc;
    es_feed_update_t  u = { 0 };

    rc = es_epoch_create(u.epoch);

    if (rc == ES_OK) {
        rc = es_feed_empty_and(store, name, es_feed_reset_txn, &u,
                               ES_DELETION_RESET);
    }

    if (rc == ES_OK && feed != NULL) {
        *feed = u.feed;
    }

    return rc;
}
