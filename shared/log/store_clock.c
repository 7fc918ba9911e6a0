/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Compares a process's wall clock with the store's time, and updates the
 * record of that time in each commit.
 */

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/feed_record.h"
#include "log/store_clock.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"

#define ES_CLOCK_KEY      "clock"
#define ES_CLOCK_OLD_MS   1000     /* age at which the record is written
                                      again */


static void
es_clock_set(es_clock_record_t *r, const es_clock_now_t *now, int64_t time_ms)
{
    r->boot = now->boot;
    r->boot_ms = now->boot_ms;
    r->time_ms = time_ms;
}


static bool
es_clock_believed(int64_t off_ms)
{
    return off_ms <= ES_CLOCK_AHEAD_MS && off_ms >= -ES_CLOCK_BEHIND_MS;
}


/* True if a wall clock has been off by this much for long enough.
   Otherwise the record notes since when it is. */

static bool
es_clock_proved(es_clock_record_t *r, const es_clock_now_t *now,
    int64_t off_ms, es_clock_verdict_t *v)
{
    int64_t  apart_ms;

    apart_ms = off_ms - r->jump_ms;

    if (r->jump_ms == 0
        || apart_ms > ES_CLOCK_AHEAD_MS || apart_ms < -ES_CLOCK_AHEAD_MS
        || now->boot_ms < r->jump_boot_ms)
    {
        r->jump_ms = off_ms;
        r->jump_boot_ms = now->boot_ms;
        v->changed = true;
        return false;
    }

    return now->boot_ms - r->jump_boot_ms >= ES_CLOCK_PROOF_MS;
}


static void
es_clock_moved(es_clock_record_t *r, const es_clock_now_t *now,
    es_clock_verdict_t *v)
{
    es_clock_set(r, now, now->wall_ms);
    r->jump_ms = 0;
    r->doubt_ms = -1;
    v->changed = true;
}


/* The machine has been started, or the store has moved to another machine:
   the time that has passed since is unknown. */

static void
es_clock_restart(es_clock_record_t *r, const es_clock_now_t *now,
    es_clock_verdict_t *v)
{
    int64_t  last_ms;

    last_ms = r->time_ms;

    if (r->doubt_ms < 0 && last_ms > r->sure_ms) {
        r->sure_ms = last_ms;
    }

    v->changed = true;
    r->jump_ms = 0;
    r->doubt_ms = es_clock_believed(now->wall_ms - last_ms) ? -1 : now->boot_ms;

    es_clock_set(r, now, now->wall_ms > last_ms ? now->wall_ms : last_ms);

    if (r->doubt_ms >= 0) {
        v->outcome = ES_CLOCK_DOUBT;
        v->off_ms = now->wall_ms - last_ms;

        if (v->off_ms < 0) {
            r->jump_ms = v->off_ms;
            r->jump_boot_ms = now->boot_ms;
        }
    }
}


/* While the time after a start is in doubt, a wall clock that is set again
   is as credible as before, unless it is earlier than the last sure time. */

static bool
es_clock_again(es_clock_record_t *r, const es_clock_now_t *now,
    es_clock_verdict_t *v)
{
    if (r->doubt_ms < 0
        || now->wall_ms < r->sure_ms - ES_CLOCK_BEHIND_MS)
    {
        return false;
    }

    es_clock_set(r, now, now->wall_ms);
    r->doubt_ms = now->boot_ms;
    r->jump_ms = 0;
    v->changed = true;
    v->outcome = ES_CLOCK_DOUBT;

    return true;
}


/* The wall clock agrees with the record. */

static void
es_clock_agree(es_clock_record_t *r, const es_clock_now_t *now,
    int64_t off_ms, es_clock_verdict_t *v)
{
    if (r->doubt_ms >= 0
        && now->boot_ms - r->doubt_ms >= ES_CLOCK_PROOF_MS)
    {
        es_clock_moved(r, now, v);
        v->outcome = ES_CLOCK_MOVED;
        return;
    }

    /* A single clock that is late by a minute must not make the others
       early, so a small step back needs the same proof as a large one. */

    if (off_ms < -ES_CLOCK_NEAR_MS) {
        if (es_clock_proved(r, now, off_ms, v)) {
            es_clock_moved(r, now, v);
        }

        return;
    }

    if (r->jump_ms != 0) {
        r->jump_ms = 0;
        v->changed = true;
    }

    es_clock_set(r, now, off_ms < 0 ? now->wall_ms - off_ms : now->wall_ms);
}


static void
es_clock_differ(es_clock_record_t *r, const es_clock_now_t *now,
    int64_t time_ms, es_clock_verdict_t *v)
{
    v->off_ms = now->wall_ms - time_ms;

    if (es_clock_again(r, now, v)) {
        return;
    }

    if (es_clock_proved(r, now, v->off_ms, v)) {
        es_clock_moved(r, now, v);
        v->outcome = ES_CLOCK_MOVED;
        return;
    }

    v->outcome = v->off_ms > 0 ? ES_CLOCK_AHEAD : ES_CLOCK_BEHIND;

    /* A clock that is set back has mostly been corrected.  A clock that was
       behind when the machine started has not been set yet. */

    if (v->off_ms > 0 || r->doubt_ms >= 0) {
        v->time_ms = time_ms;
    }
}


void
es_clock_decide(es_clock_record_t *r, const es_clock_now_t *now,
    es_clock_verdict_t *v)
{
    int64_t  time_ms;

    memset(v, 0, sizeof(es_clock_verdict_t));
    v->time_ms = now->wall_ms;

    if (r->boot != now->boot || now->boot_ms < r->boot_ms) {
        es_clock_restart(r, now, v);
        v->time_ms = r->time_ms;

    } else {
        time_ms = r->time_ms + (now->boot_ms - r->boot_ms);

        if (es_clock_believed(now->wall_ms - time_ms)) {
            es_clock_agree(r, now, now->wall_ms - time_ms, v);

        } else {
            es_clock_differ(r, now, time_ms, v);
        }
    }

    v->due_ms = r->time_ms + (now->boot_ms - r->boot_ms);

    if (v->due_ms < v->time_ms) {
        v->due_ms = v->time_ms;
    }

    v->settled = r->doubt_ms < 0 && v->outcome != ES_CLOCK_AHEAD
                 && v->outcome != ES_CLOCK_BEHIND;

    if (v->settled && v->time_ms > r->sure_ms) {
        r->sure_ms = v->time_ms;
    }

    v->sure_ms = v->time_ms < now->wall_ms ? v->time_ms : now->wall_ms;

    if (r->doubt_ms >= 0 && r->sure_ms < v->sure_ms) {
        v->sure_ms = r->sure_ms;
    }
}


static void
es_clock_now(const es_store_t *store, es_clock_now_t *now)
{
    now->boot = store->machine.boot;
    now->boot_ms = es_machine_ms(&store->machine);
    now->wall_ms = es_clock_ms();
}


/* A store of an earlier version has no record, so the latest time of its
   feeds must do.  A store without events has nothing to lose. */

static es_rc_t
es_clock_begin(es_store_t *store, MDB_txn *txn, const es_clock_now_t *now,
    es_clock_record_t *r)
{
    int          rc;
    MDB_val      key, val;
    es_feed_t    feed;
    MDB_cursor  *cursor;

    memset(r, 0, sizeof(es_clock_record_t));
    r->boot_ms = INT64_MAX;        /* matches no start of any machine */
    r->doubt_ms = -1;

    rc = mdb_cursor_open(txn, es_env_dbi(store->log, ES_LOG_FEEDS), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    while ((rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT)) == 0) {
        if (es_feed_decode(&key, &val, &feed) != ES_OK) {
            rc = MDB_CORRUPTED;
            break;
        }

        if (feed.last_ms > r->time_ms) {
            r->time_ms = feed.last_ms;
        }
    }

    mdb_cursor_close(cursor);

    if (r->time_ms == 0) {
        r->time_ms = now->wall_ms;
    }

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static es_rc_t
es_clock_load(es_store_t *store, MDB_txn *txn, const es_clock_now_t *now,
    es_clock_record_t *record)
{
    int      rc;
    MDB_val  key, val;

    key.mv_data = (void *) (uintptr_t) ES_CLOCK_KEY;
    key.mv_size = sizeof(ES_CLOCK_KEY) - 1;

    rc = mdb_get(txn, es_env_dbi(store->log, ES_LOG_META), &key, &val);

    if (rc == MDB_NOTFOUND) {
        return es_clock_begin(store, txn, now, record);
    }

    if (rc != 0) {
        return es_env_rc(rc);
    }

    if (val.mv_size != sizeof(es_clock_record_t)) {
        return ES_CORRUPT;
    }

    memcpy(record, val.mv_data, sizeof(es_clock_record_t));

    return ES_OK;
}


static es_rc_t
es_clock_save(es_store_t *store, MDB_txn *txn, es_clock_record_t *record)
{
    MDB_val  key, val;

    key.mv_data = (void *) (uintptr_t) ES_CLOCK_KEY;
    key.mv_size = sizeof(ES_CLOCK_KEY) - 1;
    val.mv_data = record;
    val.mv_size = sizeof(es_clock_record_t);

    return es_env_rc(mdb_put(txn, es_env_dbi(store->log, ES_LOG_META), &key,
                             &val, 0));
}


es_rc_t
es_clock_peek(es_txn_t *txn, es_clock_verdict_t *verdict,
    es_clock_record_t *record)
{
    es_rc_t            rc;
    es_clock_now_t     now;
    es_clock_record_t  found = { 0 };

    es_clock_now(txn->store, &now);

    rc = es_clock_load(txn->store, txn->mdb, &now, &found);
    if (rc != ES_OK) {
        return rc;
    }

    if (record != NULL) {
        *record = found;
    }

    es_clock_decide(&found, &now, verdict);

    return ES_OK;
}


/* The verdict of the wall clock alone, for when the log cannot be read. */

static void
es_store_clock(es_store_t *store, es_clock_verdict_t *verdict)
{
    es_rc_t    rc;
    es_txn_t  *txn;

    rc = es_txn_begin(store, &txn);

    if (rc == ES_OK) {
        rc = es_clock_peek(txn, verdict, NULL);
        es_txn_end(txn);
    }

    if (rc != ES_OK) {
        verdict->time_ms = es_clock_ms();
        verdict->due_ms = verdict->time_ms;
    }
}


int64_t
es_store_ms(es_store_t *store)
{
    es_clock_verdict_t  verdict;

    es_store_clock(store, &verdict);

    return verdict.time_ms;
}


int64_t
es_store_due_ms(es_store_t *store)
{
    es_clock_verdict_t  verdict;

    es_store_clock(store, &verdict);

    return verdict.due_ms;
}


/* Each case is reported once, not with each commit. */

static void
es_clock_say(es_store_t *store, const es_clock_verdict_t *v)
{
    (void) pthread_mutex_lock(&store->said_lock);

    if (v->outcome != store->said.outcome) {
        store->said = *v;
        store->say = v->outcome != ES_CLOCK_GOOD;
    }

    (void) pthread_mutex_unlock(&store->said_lock);
}


es_rc_t
es_clock_commit(es_store_t *store, MDB_txn *txn, es_clock_verdict_t *verdict)
{
    es_rc_t            rc;
    es_clock_now_t     now;
    es_clock_record_t  record = { 0 };
    int64_t            since_ms;

    es_clock_now(store, &now);

    rc = es_clock_load(store, txn, &now, &record);
    if (rc != ES_OK) {
        return rc;
    }

    since_ms = record.boot_ms;
    es_clock_decide(&record, &now, verdict);
    es_clock_say(store, verdict);

    if (verdict->changed || record.boot_ms - since_ms >= ES_CLOCK_OLD_MS) {
        return es_clock_save(store, txn, &record);
    }

    return ES_OK;
}


typedef struct {
    es_store_t          *store;
    es_clock_verdict_t  *verdict;
} es_clock_observe_t;


static es_rc_t
es_clock_observe_txn(MDB_txn *txn, void *ctx)
{
    es_clock_observe_t  *o = ctx;

    return es_clock_commit(o->store, txn, o->verdict);
}


es_rc_t
es_clock_observe(es_store_t *store, es_clock_verdict_t *verdict)
{
    es_clock_observe_t  o;

    if (!(store->flags & ES_STORE_PUBLISH)) {
        return ES_DENIED;
    }

    o.store = store;
    o.verdict = verdict;

    return es_env_update(store->log, es_clock_observe_txn, &o);
}


void
es_clock_span(int64_t ms, char text[ES_CLOCK_SPAN_LEN])
{
    int64_t  s;

    s = (ms < 0 ? -ms : ms) / 1000;

    (void) snprintf(text, ES_CLOCK_SPAN_LEN,
                    "%" PRId64 "d %02d:%02d:%02d", s / 86400,
                    (int) (s / 3600 % 24), (int) (s / 60 % 60), (int) (s % 60));
}


bool
es_store_clock_said(es_store_t *store, char *text, size_t size)
{
    bool                say;
    char                span[ES_CLOCK_SPAN_LEN], time[ES_TIME_LEN + 1];
    es_clock_verdict_t  said;

    (void) pthread_mutex_lock(&store->said_lock);
    say = store->say;
    store->say = false;
    said = store->said;
    (void) pthread_mutex_unlock(&store->said_lock);

    if (!say) {
        return false;
    }

    es_clock_span(said.off_ms, span);
    es_time_print(said.time_ms, time);
    time[ES_TIME_LEN] = '\0';

    switch (said.outcome) {

    case ES_CLOCK_AHEAD:
        (void) snprintf(text, size, "the clock of this process is %s ahead of "
                        "the store's time: events get the store's time, which "
                        "is %s, until the clock has kept this difference for "
                        "ten minutes",
                        span, time);
        break;

    case ES_CLOCK_BEHIND:
        (void) snprintf(text, size, "the clock of this process is %s behind "
                        "the store's time: an event gets the time %s, unless "
                        "its feed has a later one", span, time);
        break;

    case ES_CLOCK_MOVED:
        (void) snprintf(text, size, "the store's time is now %s, because the "
                        "clock has shown it for ten minutes", time);
        break;

    case ES_CLOCK_GOOD:
    case ES_CLOCK_DOUBT:
        (void) snprintf(text, size, "the clock is %s %s the store's last time "
                        "before the machine was started, and the store's time "
                        "is now %s: deletion by age ignores it for ten "
                        "minutes", span,
                        said.off_ms > 0 ? "ahead of" : "behind", time);
        break;
    }

    return true;
}
