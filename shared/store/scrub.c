/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Overwrites what LMDB leaves of old records, by puts and deletions only.
 */

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "store/env.h"
#include "store/env_impl.h"
#include "store/scrub.h"
#include "store/scrub_impl.h"
#include "store/scrub_pages.h"

#define ES_SCRUB_ITEMS     64      /* pages rewritten in one transaction */
#define ES_SCRUB_KEYS      64      /* moved to free a page of a bound */
#define ES_SCRUB_KEYS_MAX  (1 << 18)


uint64_t
es_env_scrubs(const es_env_t *env, MDB_txn *txn)
{
    MDB_val   key, value;
    uint64_t  n;

    if (env->meta == ES_ENV_NO_DB) {
        return 0;
    }

    key = (MDB_val) { sizeof(ES_SCRUB_NAME) - 1,
                      (void *) (uintptr_t) ES_SCRUB_NAME };

    if (mdb_get(txn, env->dbis[env->meta], &key, &value) != 0
        || value.mv_size != sizeof(n))
    {
        return 0;
    }

    memcpy(&n, value.mv_data, sizeof(n));

    return n;
}


/* From the commit on, each process writes with buffers that are empty. */

static es_rc_t
es_scrub_begin_txn(MDB_txn *txn, void *ctx)
{
    MDB_val         key, value;
    uint64_t        n;
    es_scrubber_t  *s = ctx;

    n = es_env_scrubs(s->env, txn) + 1;

    key = (MDB_val) { sizeof(ES_SCRUB_NAME) - 1,
                      (void *) (uintptr_t) ES_SCRUB_NAME };
    value = (MDB_val) { sizeof(n), &n };

    return es_env_rc(mdb_put(txn, s->env->dbis[s->env->meta], &key, &value,
                             0));
}


es_rc_t
es_scrub_write(es_scrubber_t *s, es_env_fn fn)
{
    es_rc_t  rc;
    int64_t  began_us;

    began_us = es_clock_mono_us();
    rc = es_env_shrink(s->env, fn, s, &s->slice);

    es_duty_pause(&s->duty, es_clock_mono_us() - began_us);

    return rc;
}


/* ---- pages in use ---- */


static es_rc_t
es_scrub_put(MDB_txn *txn, MDB_dbi dbi, const es_scrub_item_t *item)
{
    int      rc;
    MDB_val  key, value, copy;

    key = (MDB_val) { item->key_len, (void *) (uintptr_t) item->key };

    if (item->value_len != 0) {
        value = (MDB_val) { item->value_len,
                            (void *) (uintptr_t) item->value };
        rc = mdb_del(txn, dbi, &key, &value);

        return rc == MDB_NOTFOUND ? ES_OK
               : es_env_rc(rc == 0 ? mdb_put(txn, dbi, &key, &value, 0) : rc);
    }

    rc = mdb_get(txn, dbi, &key, &value);
    if (rc != 0) {
        return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
    }

    copy.mv_size = value.mv_size;
    copy.mv_data = malloc(value.mv_size + 1);
    if (copy.mv_data == NULL) {
        return ES_NOMEM;
    }

    memcpy(copy.mv_data, value.mv_data, value.mv_size);
    rc = mdb_put(txn, dbi, &key, &copy, 0);
    free(copy.mv_data);

    return es_env_rc(rc);
}


/* A record of several duplicates has no value of its own: a put of its first
   one rewrites its page. */

static es_rc_t
es_scrub_put_first(MDB_txn *txn, MDB_dbi dbi, const es_scrub_item_t *item)
{
    int              rc;
    MDB_val          key, value;
    es_scrub_item_t  first;

    key = (MDB_val) { item->key_len, (void *) (uintptr_t) item->key };

    rc = mdb_get(txn, dbi, &key, &value);
    if (rc != 0) {
        return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
    }

    if (value.mv_size > sizeof(first.value)) {
        return ES_FORMAT;
    }

    first = *item;
    first.value_len = value.mv_size;
    memcpy(first.value, value.mv_data, value.mv_size);

    return es_scrub_put(txn, dbi, &first);
}


static es_rc_t
es_scrub_items_txn(MDB_txn *txn, void *ctx)
{
    es_rc_t         rc;
    unsigned        i;
    es_scrubber_t  *s = ctx;

    rc = ES_OK;

    for (i = s->done; rc == ES_OK && i < s->n && i < s->done + s->slice.max;
         i++)
    {
        rc = (s->db->flags & MDB_DUPSORT) && s->items[i].value_len == 0
             ? es_scrub_put_first(txn, s->dbi, &s->items[i])
             : es_scrub_put(txn, s->dbi, &s->items[i]);
    }

    s->put = i;

    return rc;
}


static es_rc_t
es_scrub_db(es_scrubber_t *s, es_scrub_t *scrub)
{
    es_rc_t           rc;
    MDB_txn          *txn;
    es_scrub_place_t  place = { 0 };

    do {
        rc = es_env_read_begin(s->env, &txn);
        if (rc != ES_OK) {
            return rc;
        }

        rc = es_scrub_walk(txn, s->dbi, s->db->name, &place, s->items,
                           ES_SCRUB_ITEMS, &s->n);
        es_env_read_end(s->env, txn);

        for (s->done = 0; rc == ES_OK && s->done < s->n;
             s->done = (unsigned) s->put)
        {
            rc = es_scrub_write(s, es_scrub_items_txn);
        }

        scrub->rewritten += s->n;

    } while (rc == ES_OK && !place.done);

    return rc;
}


/* ---- bounds in branch pages ---- */


typedef struct {
    MDB_val  key, value;
} es_scrub_moved_t;


static void
es_scrub_moved_free(es_scrub_moved_t *moved, unsigned n)
{
    while (n > 0) {
        n--;
        free(moved[n].key.mv_data);
        free(moved[n].value.mv_data);
    }

    free(moved);
}


static bool
es_scrub_copy(MDB_val *to, const MDB_val *from)
{
    to->mv_size = from->mv_size;
    to->mv_data = malloc(from->mv_size + 1);

    if (to->mv_data != NULL) {
        memcpy(to->mv_data, from->mv_data, from->mv_size);
    }

    return to->mv_data != NULL;
}


/*
 * Deletes the records after the key and puts them again.  The page that they
 * leave empty goes, and its bound with it.
 */

static es_rc_t
es_scrub_key_txn(MDB_txn *txn, void *ctx)
{
    int                rc;
    MDB_dbi            dbi;
    MDB_val            key, value;
    unsigned           i, n;
    MDB_cursor        *cursor;
    es_scrubber_t     *s = ctx;
    es_scrub_moved_t  *moved;

    dbi = s->dbi;
    moved = calloc(s->nkeys, sizeof(*moved));

    if (moved == NULL) {
        return ES_NOMEM;
    }

    rc = mdb_cursor_open(txn, dbi, &cursor);
    if (rc != 0) {
        free(moved);
        return es_env_rc(rc);
    }

    key = (MDB_val) { s->key.len, (void *) (uintptr_t) s->key.data };
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);

    for (n = 0; rc == 0 && n < s->nkeys; n++) {
        if (!es_scrub_copy(&moved[n].key, &key)
            || !es_scrub_copy(&moved[n].value, &value))
        {
            rc = ENOMEM;
            n++;
            break;
        }

        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }

    mdb_cursor_close(cursor);

    rc = rc == MDB_NOTFOUND ? 0 : rc;

    for (i = 0; rc == 0 && i < n; i++) {
        rc = mdb_del(txn, dbi, &moved[i].key, NULL);
    }

    for (i = 0; rc == 0 && i < n; i++) {
        rc = mdb_put(txn, dbi, &moved[i].key, &moved[i].value, 0);
    }

    es_scrub_moved_free(moved, n);

    return es_env_rc(rc);
}


es_rc_t
es_env_scrub_key(es_env_t *env, unsigned db, es_str_t key)
{
    bool           has;
    es_rc_t        rc;
    MDB_txn       *txn;
    es_scrubber_t  s = { .env = env, .db = &env->options.dbs[db],
                         .dbi = env->dbis[db], .key = key,
                         .nkeys = ES_SCRUB_KEYS, .slice = { 1, 1 },
                         .duty = { 1, 1, 1 } };

    for ( ;; ) {
        rc = es_env_read_begin(env, &txn);
        if (rc != ES_OK) {
            return rc;
        }

        rc = es_scrub_bound(txn, s.dbi, s.db->name, key, &has);
        es_env_read_end(env, txn);

        if (rc != ES_OK || !has || s.nkeys > ES_SCRUB_KEYS_MAX) {
            return rc == ES_OK && has ? ES_BUSY : rc;
        }

        rc = es_scrub_write(&s, es_scrub_key_txn);
        if (rc != ES_OK) {
            return rc;
        }

        s.nkeys *= 4;
    }
}


/* ---- all of it ---- */


/* All databases, with the one that is made with its first record. */

static es_rc_t
es_scrub_dbs(es_scrubber_t *s, es_scrub_t *scrub)
{
    es_rc_t   rc;
    unsigned  i;

    for (i = 0, rc = ES_OK; rc == ES_OK && i < s->env->ndbs; i++) {
        s->db = &s->env->options.dbs[i];
        s->dbi = s->env->dbis[i];
        rc = es_scrub_db(s, scrub);
    }

    s->db = &s->env->options.dbs[i];

    if (rc != ES_OK || s->db->name == NULL) {
        return rc;
    }

    rc = es_env_late_open(s->env, &s->dbi);

    return rc == ES_OK ? es_scrub_db(s, scrub)
                       : rc == ES_NOT_FOUND ? ES_OK : rc;
}


es_rc_t
es_env_scrub(es_env_t *env, int64_t wait_ms, es_scrub_t *scrub)
{
    bool             large;
    es_rc_t          rc;
    es_scrubber_t    s = { .env = env, .slice = { ES_SCRUB_BATCH_MAX,
                                                  ES_SCRUB_BATCH_MAX },
                               .duty = { ES_SCRUB_BATCH, ES_SCRUB_BATCH,
                                         ES_SCRUB_BATCH_MAX } };

    ES_ASSERT(env->meta != ES_ENV_NO_DB);

    memset(scrub, 0, sizeof(*scrub));

    s.items = malloc((ES_SCRUB_ITEMS + 1) * sizeof(es_scrub_item_t));
    if (s.items == NULL) {
        return ES_NOMEM;
    }

    rc = es_scrub_write(&s, es_scrub_begin_txn);

    if (rc == ES_OK) {
        rc = es_scrub_ends(&s);
    }

    if (rc == ES_OK) {
        rc = es_scrub_dbs(&s, scrub);
    }

    large = es_scrub_large(env);

    if (rc == ES_OK) {
        rc = es_scrub_fill(&s, wait_ms, scrub);
    }

    if (rc == ES_OK && large) {
        rc = es_scrub_fill(&s, wait_ms, scrub);
    }

    if (rc == ES_OK) {
        rc = es_scrub_ends(&s);
    }

    if (rc == ES_OK) {
        rc = es_scrub_tail(&s);
    }

    free(s.items);

    return rc;
}
