/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Walks all checkpoints: removes those of removed feeds and partners, and
 * verifies the others.
 *
 * A walk works in slices, so that consumers wait for a short transaction only.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_record.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "registry/registry.h"
#include "store/env.h"
#include "store/faults.h"
#include "store/store.h"
#include "store/txn.h"

#define ES_CHECKPOINT_SLICE  256     /* records of one transaction */

/* A feed or partner that exists. */
typedef struct {
    uint32_t  number;
    char      epoch[ES_EPOCH_MAX + 1];    /* of a feed */
    uint64_t  last;                       /* of a feed */
} es_live_t;

/* Sorted by number. */

typedef struct {
    es_live_t  *list;
    size_t      n;
    size_t      cap;
} es_lives_t;

typedef struct {
    es_store_t    *store;
    uint8_t        from[ES_CHECKPOINT_KEY_MAX + 1];
    size_t         from_len;       /* 0: the beginning */
    uint8_t        next[ES_CHECKPOINT_KEY_MAX + 1];
    size_t         next_len;
    bool           done;
    es_slice_t     slice;
    es_lives_t     feeds;
    es_lives_t     partners;
    es_verify_fn   fn;
    void          *fn_ctx;
    es_verify_t   *totals;
} es_checkpoint_walk_t;

typedef es_rc_t (*es_checkpoint_visit_fn)(es_checkpoint_walk_t *w,
    MDB_cursor *cursor, const MDB_val *key, const MDB_val *value);


static es_rc_t
es_lives_add(es_lives_t *lives, const es_live_t *live)
{
    es_live_t  *list;

    if (lives->n == lives->cap) {
        lives->cap = lives->cap ? 2 * lives->cap : 64;

        list = realloc(lives->list, lives->cap * sizeof(es_live_t));
        if (list == NULL) {
            return ES_NOMEM;
        }

        lives->list = list;
    }

    lives->list[lives->n++] = *live;

    return ES_OK;
}


static int
es_lives_cmp(const void *one, const void *two)
{
    const es_live_t  *a = one, *b = two;

    return (a->number > b->number) - (a->number < b->number);
}


static void
es_lives_sort(es_lives_t *lives)
{
    if (lives->n > 0) {
        qsort(lives->list, lives->n, sizeof(es_live_t), es_lives_cmp);
    }
}


static const es_live_t *
es_lives_find(const es_lives_t *lives, uint32_t number)
{
    es_live_t  live = { 0 };

    live.number = number;

    return lives->n == 0 ? NULL
                         : bsearch(&live, lives->list, lives->n,
                                   sizeof(es_live_t), es_lives_cmp);
}


static es_rc_t
es_checkpoint_feeds(es_checkpoint_walk_t *w)
{
    es_rc_t    rc;
    es_txn_t  *txn;
    es_feed_t  feed;
    es_live_t  live = { 0 };

    w->feeds.n = 0;

    rc = es_txn_begin(w->store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    feed.name[0] = '\0';

    while ((rc = es_feed_next(txn, es_str(feed.name), &feed)) == ES_OK) {
        live.number = feed.number;
        live.last = feed.last;
        memcpy(live.epoch, feed.epoch, sizeof(live.epoch));

        rc = es_lives_add(&w->feeds, &live);
        if (rc != ES_OK) {
            break;
        }
    }

    es_txn_end(txn);
    es_lives_sort(&w->feeds);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


static es_rc_t
es_checkpoint_partners(es_checkpoint_walk_t *w)
{
    char                 name[64] = "", next[64];
    es_rc_t              rc;
    es_live_t            live = { 0 };
    es_registry_t       *registry;
    const es_partner_t  *partner;

    w->partners.n = 0;

    rc = es_registry_load_access(w->store, &registry);
    if (rc != ES_OK) {
        return rc;
    }

    while ((rc = es_registry_next(w->store, ES_KIND_PARTNER, es_str(name),
                                  next)) == ES_OK)
    {
        memcpy(name, next, sizeof(name));
        partner = es_registry_partner(registry, es_str(name));

        if (partner != NULL) {
            live.number = partner->number;
            rc = es_lives_add(&w->partners, &live);
        }

        if (rc != ES_OK) {
            break;
        }
    }

    es_registry_free(registry);
    es_lives_sort(&w->partners);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


/* Visits up to w->slice.max records from w->from on, and sets w->next to the
   key where the next slice begins. */

static es_rc_t
es_checkpoint_slice(es_checkpoint_walk_t *w, MDB_txn *txn,
    es_checkpoint_visit_fn visit)
{
    int          rc;
    MDB_val      k, v;
    es_rc_t      result;
    unsigned     n;
    MDB_cursor  *cursor;

    rc = mdb_cursor_open(txn, es_env_dbi(w->store->checkpoints,
                                         ES_CHECKPOINTS_CHECKPOINTS), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    k.mv_data = w->from;
    k.mv_size = w->from_len;
    result = ES_OK;

    rc = mdb_cursor_get(cursor, &k, &v,
                        w->from_len ? MDB_SET_RANGE : MDB_FIRST);

    for (n = 0; rc == 0 && result == ES_OK && n < w->slice.max; n++) {

        if (k.mv_size <= ES_CHECKPOINT_PREFIX
            || k.mv_size > ES_CHECKPOINT_KEY_MAX)
        {
            result = ES_CORRUPT;
            break;
        }

        /* the shortest key after this one */

        memcpy(w->next, k.mv_data, k.mv_size);
        w->next[k.mv_size] = '\0';
        w->next_len = k.mv_size + 1;

        result = visit(w, cursor, &k, &v);

        if (result == ES_OK) {
            rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
        }
    }

    mdb_cursor_close(cursor);

    w->done = rc == MDB_NOTFOUND;

    return rc == 0 || w->done ? result : es_env_rc(rc);
}


static void
es_checkpoint_go_on(es_checkpoint_walk_t *w)
{
    memcpy(w->from, w->next, sizeof(w->from));
    w->from_len = w->next_len;
}


static void
es_checkpoint_numbers(const MDB_val *key, uint32_t *feed, uint32_t *partner)
{
    uint64_t  both;

    both = es_be64_get(key->mv_data);
    *partner = (uint32_t) (both >> 32);
    *feed = (uint32_t) both;
}


static es_rc_t
es_checkpoint_prune_one(es_checkpoint_walk_t *w, MDB_cursor *cursor,
    const MDB_val *key, const MDB_val *value)
{
    uint32_t  feed, partner;

    (void) value;

    es_checkpoint_numbers(key, &feed, &partner);

    if (es_lives_find(&w->feeds, feed) != NULL
        && es_lives_find(&w->partners, partner) != NULL)
    {
        return ES_OK;
    }

    return es_env_rc(mdb_cursor_del(cursor, 0));
}


static es_rc_t
es_checkpoint_prune_txn(MDB_txn *txn, void *ctx)
{
    es_rc_t                rc;
    es_checkpoint_walk_t  *w = ctx;

    /* read under the writer lock: a feed or partner that is made later has no
       checkpoint yet */

    rc = es_checkpoint_feeds(w);

    if (rc == ES_OK) {
        rc = es_checkpoint_partners(w);
    }

    return rc == ES_OK ? es_checkpoint_slice(w, txn, es_checkpoint_prune_one)
                       : rc;
}


es_rc_t
es_checkpoint_prune(es_store_t *store)
{
    es_rc_t               rc;
    es_checkpoint_walk_t  w = {
        .slice = { ES_CHECKPOINT_SLICE, ES_CHECKPOINT_SLICE }
    };

    if (!(store->flags & ES_STORE_CHECKPOINT)) {
        return ES_DENIED;
    }

    w.store = store;

    do {
        rc = es_env_shrink(store->checkpoints, es_checkpoint_prune_txn, &w,
                           &w.slice);
        es_checkpoint_go_on(&w);
    } while (rc == ES_OK && !w.done);

    free(w.feeds.list);
    free(w.partners.list);

    return rc;
}


es_rc_t
es_checkpoint_count(es_store_t *store, uint32_t partner, uint64_t *count)
{
    int          rc;
    uint8_t      prefix[ES_CHECKPOINT_PREFIX];
    MDB_val      key, value;
    es_rc_t      result;
    MDB_txn     *txn;
    MDB_cursor  *cursor;

    *count = 0;

    result = es_env_read_begin(store->checkpoints, &txn);
    if (result != ES_OK) {
        return result;
    }

    rc = mdb_cursor_open(txn, es_env_dbi(store->checkpoints,
                                         ES_CHECKPOINTS_CHECKPOINTS),
                         &cursor);
    if (rc == 0) {
        es_checkpoint_numbers_put(0, partner, prefix);
        key = (MDB_val) { sizeof(prefix), prefix };
        rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);

        while (rc == 0 && key.mv_size >= ES_CHECKPOINT_PARTNER
               && memcmp(key.mv_data, prefix, ES_CHECKPOINT_PARTNER) == 0)
        {
            (*count)++;
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }

        mdb_cursor_close(cursor);
    }

    es_env_read_end(store->checkpoints, txn);

    return rc == 0 || rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static void
es_checkpoint_fault(es_checkpoint_walk_t *w, const MDB_val *key,
    const char *what)
{
    char      text[256];
    uint32_t  feed, partner;

    es_checkpoint_numbers(key, &feed, &partner);

    (void) snprintf(text, sizeof(text), "feed number %u: checkpoint \"%.*s\" "
                    "of partner number %u %s", feed,
                    (int) (key->mv_size - ES_CHECKPOINT_PREFIX),
                    (const char *) key->mv_data + ES_CHECKPOINT_PREFIX,
                    partner, what);

    w->totals->faults++;
    w->fn(w->fn_ctx, text);
}


static es_rc_t
es_checkpoint_verify_one(es_checkpoint_walk_t *w, MDB_cursor *cursor,
    const MDB_val *key, const MDB_val *value)
{
    uint32_t                feed, partner;
    const es_live_t        *live;
    es_checkpoint_record_t  record;

    (void) cursor;

    w->totals->checkpoints++;

    if (es_checkpoint_decode(key, value, &record) != ES_OK) {
        es_checkpoint_fault(w, key, "does not match its hash");
        return ES_OK;
    }

    es_checkpoint_numbers(key, &feed, &partner);
    live = es_lives_find(&w->feeds, feed);

    /* a cursor of an earlier epoch may be of events that were lost */

    if (live != NULL
        && strncmp(live->epoch, record.epoch, sizeof(record.epoch)) == 0
        && record.sequence > live->last)
    {
        es_checkpoint_fault(w, key, "is ahead of the log");
    }

    return ES_OK;
}


es_rc_t
es_checkpoint_verify(es_store_t *store, es_verify_fn fn, void *ctx,
    es_verify_t *totals)
{
    es_rc_t               rc;
    MDB_txn              *txn;
    es_checkpoint_walk_t  w = {
        .slice = { ES_CHECKPOINT_SLICE, ES_CHECKPOINT_SLICE }
    };

    w.store = store;
    w.fn = fn;
    w.fn_ctx = ctx;
    w.totals = totals;

    do {
        rc = es_env_read_begin(store->checkpoints, &txn);
        if (rc != ES_OK) {
            break;
        }

        /* feeds read after the checkpoints' transaction began are never behind
           an acknowledged cursor */

        rc = es_checkpoint_feeds(&w);

        if (rc == ES_OK) {
            rc = es_checkpoint_slice(&w, txn, es_checkpoint_verify_one);
        }

        es_env_read_end(store->checkpoints, txn);
        es_checkpoint_go_on(&w);

    } while (rc == ES_OK && !w.done);

    free(w.feeds.list);

    return rc;
}
