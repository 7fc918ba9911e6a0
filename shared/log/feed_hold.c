/* SPDX-License-Identifier: BSD-2-Clause */

/* Holds and releases feeds.  The functions that delete events respect the
   hold themselves, each in its transaction. */

#include "base/base.h"
#include "base/json.h"
#include "log/feed.h"
#include "log/feed_audit.h"
#include "log/feed_hold.h"
#include "log/feed_record.h"
#include "log/store_clock.h"
#include "store/env.h"
#include "store/store.h"
#include "store/wake.h"

typedef struct {
    es_store_t  *store;
    es_str_t     name;
    es_str_t     reason;
    es_slice_t   slice;
    es_feed_t    feed;
} es_hold_update_t;


static bool
es_hold_reason_ok(es_str_t reason)
{
    bool      ok;
    size_t    i;
    es_buf_t  json = { 0 };

    for (i = 0; i < reason.len; i++) {
        if ((unsigned char) reason.data[i] < 0x20 || reason.data[i] == 0x7f) {
            return false;
        }
    }

    ok = reason.len != 0 && reason.len <= ES_HOLD_REASON_MAX
         && es_json_escape(reason, &json) == ES_OK;
    es_buf_free(&json);

    return ok;
}


static json_t *
es_hold_audit(const es_feed_t *feed)
{
    return feed->held ? json_pack("{s:s}", "reason", feed->hold.reason) : NULL;
}


static es_rc_t
es_feed_hold_txn(MDB_txn *txn, void *ctx)
{
    json_t              *before;
    es_rc_t              rc;
    es_hold_t           *hold;
    es_hold_update_t    *u = ctx;
    es_clock_verdict_t   clock;

    rc = es_feed_load(u->store, txn, u->name, &u->feed);

    if (rc == ES_OK) {
        rc = es_clock_commit(u->store, txn, &clock);
    }

    if (rc != ES_OK) {
        return rc;
    }

    before = es_hold_audit(&u->feed);
    hold = &u->feed.hold;

    if (!u->feed.held) {
        u->feed.held = true;
        hold->since_ms = clock.time_ms;
    }

    memset(hold->reason, 0, sizeof(hold->reason));
    memcpy(hold->reason, u->reason.data, u->reason.len);

    rc = es_feed_audit(u->store, txn, u->name, "hold", before,
                       es_hold_audit(&u->feed));

    return rc == ES_OK ? es_feed_save(u->store, txn, &u->feed) : rc;
}


static es_rc_t
es_feed_release_txn(MDB_txn *txn, void *ctx)
{
    es_rc_t            rc;
    es_hold_update_t  *u = ctx;

    rc = es_feed_load(u->store, txn, u->name, &u->feed);

    if (rc == ES_OK && !u->feed.held) {
        rc = ES_INVALID;
    }

    if (rc == ES_OK) {
        rc = es_feed_audit(u->store, txn, u->name, "release",
                           es_hold_audit(&u->feed), NULL);
    }

    u->feed.held = false;

    return rc == ES_OK ? es_feed_save(u->store, txn, &u->feed) : rc;
}


/* A hold may use the page reserve: a full store must not prevent it. */

static es_rc_t
es_hold_run(es_hold_update_t *u, es_env_fn fn, es_feed_t *feed)
{
    es_rc_t  rc;

    if (!(u->store->flags & ES_STORE_PUBLISH)) {
        return ES_DENIED;
    }

    rc = es_env_shrink(u->store->log, fn, u, &u->slice);

    if (rc == ES_OK) {
        es_wake_ring(u->store);

        if (feed != NULL) {
            *feed = u->feed;
        }
    }

    return rc;
}


es_rc_t
es_feed_hold(es_store_t *store, es_str_t name, es_str_t reason,
    es_feed_t *feed)
{
    es_hold_update_t  u = { .store = store, .name = name, .reason = reason };

    if (!es_hold_reason_ok(reason)) {
        return ES_INVALID;
    }

    return es_hold_run(&u, es_feed_hold_txn, feed);
}


es_rc_t
es_feed_release(es_store_t *store, es_str_t name, es_feed_t *feed)
{
    es_hold_update_t  u = { .store = store, .name = name };

    return es_hold_run(&u, es_feed_release_txn, feed);
}
