/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Overwrites what LMDB leaves of old records, by puts and deletions only.
 */

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/reason.h"
#include "store/env.h"
#include "store/env_impl.h"
#include "store/page_reserve.h"
#include "store/scrub.h"
#include "store/scrub_pages.h"

#define ES_SCRUB_ITEMS     16      /* pages rewritten in one transaction */
#define ES_SCRUB_FILL      64      /* free pages filled in one transaction */
#define ES_SCRUB_PAUSE_US  1000    /* at least, between two transactions */
#define ES_SCRUB_WAIT_US   20000
#define ES_SCRUB_FRESH     16      /* empty buffers in a row: the rest is, too */
#define ES_SCRUB_BUFFERS   131072  /* LMDB has no more dirty pages */
#define ES_SCRUB_KEYS      64      /* moved to free a page of a bound */
#define ES_SCRUB_KEYS_MAX  (1 << 18)
#define ES_SCRUB_FREE_DBI  0
#define ES_SCRUB_NAME      "\xff\xff" "scrub"

typedef struct {
    es_env_t         *env;
    es_slice_t        slice;
    const es_env_db_t  *db;        /* that is worked on */
    MDB_dbi           dbi;
    es_scrub_item_t  *items;
    unsigned          n;
    unsigned          done;        /* items of the slice before this one */
    uint64_t          number;      /* of the last record of zeros */
    uint64_t          oldest;      /* the first one that is still there */
    uint64_t          put;         /* records in this transaction */
    size_t            txnid;       /* of the transaction */
    es_str_t          key;         /* of es_env_scrub_key() */
    unsigned          nkeys;
} es_scrubber_t;


static size_t
es_scrub_record(const es_env_t *env)
{
    return env->reserve.page - 16;         /* a page without its head */
}


/* The database of the records of zeros.  Nobody walks all of it. */

MDB_dbi
es_scrub_dbi(const es_env_t *env)
{
    unsigned  i;

    for (i = 0; strcmp(env->options.dbs[i].name, "meta") != 0; i++) {
        ES_ASSERT(i + 1 < env->ndbs);
    }

    return env->dbis[i];
}


static MDB_val
es_scrub_name(uint64_t number, uint8_t name[16])
{
    unsigned  i;

    memcpy(name, ES_SCRUB_NAME, 7);

    for (i = 0; i < sizeof(number); i++) {
        name[7 + i] = (uint8_t) (number >> (56 - 8 * i));
    }

    return (MDB_val) { 15, name };
}


static void
es_scrub_pause(int64_t began_us)
{
    int64_t  took_us;

    took_us = es_clock_mono_us() - began_us;

    (void) usleep((useconds_t) (took_us > ES_SCRUB_PAUSE_US
                                ? took_us : ES_SCRUB_PAUSE_US));
}


/* ---- buffers of this process ---- */


/*
 * LMDB keeps the buffers of written pages and uses the last one first.  A new
 * buffer is empty.  A record that fills a page shows what its buffer has.
 */

void
es_scrub_buffers(MDB_txn *txn, MDB_dbi dbi)
{
    bool      fresh;
    size_t    size;
    uint8_t   name[16], *p;
    MDB_val   key, value;
    MDB_stat  stat;
    unsigned  i, n;

    (void) mdb_stat(txn, dbi, &stat);
    size = stat.ms_psize - 16;

    for (i = 0, n = 0; i < ES_SCRUB_BUFFERS && n < ES_SCRUB_FRESH; i++) {
        key = es_scrub_name(i, name);
        value.mv_data = NULL;
        value.mv_size = size;

        if (mdb_put(txn, dbi, &key, &value, MDB_RESERVE) != 0) {
            return;                        /* no room: few buffers are left */
        }

        p = value.mv_data;
        fresh = p[0] == 0 && memcmp(p, p + 1, size - 1) == 0;
        n = fresh ? n + 1 : 0;

        if (!fresh) {
            memset(p, 0, size);
        }
    }
}


/* Clears the buffers by a transaction that never happens. */

static es_rc_t
es_scrub_own(MDB_txn *txn, void *ctx)
{
    es_scrubber_t  *s = ctx;

    es_scrub_buffers(txn, es_scrub_dbi(s->env));

    return ES_STOP;
}


static es_rc_t
es_scrub_write(es_scrubber_t *s, es_env_fn fn)
{
    es_rc_t  rc;
    int64_t  began_us;

    began_us = es_clock_mono_us();
    rc = es_env_shrink(s->env, es_scrub_own, s, &s->slice);

    if (rc == ES_STOP) {
        rc = es_env_shrink(s->env, fn, s, &s->slice);
    }

    es_scrub_pause(began_us);

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
                         .nkeys = ES_SCRUB_KEYS, .slice = { 1, 1 } };

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


/* ---- free pages ---- */


/* Counts the free pages up to the transaction `txnid`, and notes the process
   that keeps them from use. */

static es_rc_t
es_scrub_free(es_env_t *env, size_t txnid, uint64_t *pages, int *reader)
{
    int          rc;
    size_t       id, n;
    MDB_txn     *txn;
    es_rc_t      result;
    MDB_val      key, value;
    MDB_cursor  *cursor;

    *pages = 0;

    result = es_env_read_begin(env, &txn);
    if (result != ES_OK) {
        return result;
    }

    rc = mdb_cursor_open(txn, ES_SCRUB_FREE_DBI, &cursor);

    if (rc == 0) {
        for (rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
             rc == 0;
             rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
        {
            memcpy(&id, key.mv_data, sizeof(id));
            memcpy(&n, value.mv_data, sizeof(n));

            if (id > txnid) {
                break;
            }

            *pages += n;
        }

        mdb_cursor_close(cursor);
    }

    es_env_read_end(env, txn);

    if (reader != NULL) {
        *reader = es_env_lagging(env);
    }

    return rc == 0 || rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


/* Puts records that fill a page each, and deletes those of the transaction
   before, so that the next one uses other pages. */

static es_rc_t
es_scrub_fill_txn(MDB_txn *txn, void *ctx)
{
    int             rc;
    MDB_dbi         dbi;
    uint8_t         name[16];
    MDB_val         key, value;
    uint64_t        i;
    es_scrubber_t  *s = ctx;

    dbi = es_scrub_dbi(s->env);
    rc = 0;

    for (i = 0; rc == 0 && i < s->slice.max && i < s->n; i++) {
        key = es_scrub_name(s->number + i, name);
        value.mv_data = NULL;
        value.mv_size = es_scrub_record(s->env);

        rc = mdb_put(txn, dbi, &key, &value, MDB_RESERVE);

        if (rc == 0) {
            memset(value.mv_data, 0, value.mv_size);
        }
    }

    s->put = i;
    s->txnid = mdb_txn_id(txn);

    for (i = s->oldest; rc == 0 && i < s->number; i++) {
        key = es_scrub_name(i, name);
        rc = mdb_del(txn, dbi, &key, NULL);
        rc = rc == MDB_NOTFOUND ? 0 : rc;
    }

    return es_env_rc(rc);
}


static es_rc_t
es_scrub_fill_once(es_scrubber_t *s, uint64_t pages)
{
    es_rc_t  rc;

    s->n = pages < ES_SCRUB_FILL ? (unsigned) pages : ES_SCRUB_FILL;
    rc = es_scrub_write(s, es_scrub_fill_txn);

    if (rc == ES_OK) {
        s->oldest = s->number;
        s->number += s->put;
    }

    return rc;
}


/* Uses every page that is free up to the present transaction. */

static es_rc_t
es_scrub_fill(es_scrubber_t *s, int64_t wait_ms, es_scrub_t *scrub)
{
    size_t    until;
    es_rc_t   rc;
    int64_t   progress_us;
    uint64_t  pages, before;

    /* After two commits all pages that were freed before them can be used. */

    rc = es_scrub_fill_once(s, 1);
    until = s->txnid;

    if (rc == ES_OK) {
        rc = es_scrub_fill_once(s, 1);
    }

    progress_us = es_clock_mono_us();
    before = UINT64_MAX;

    while (rc == ES_OK) {
        rc = es_scrub_free(s->env, until, &pages, &scrub->reader);

        if (rc != ES_OK || pages == 0) {
            break;
        }

        if (pages < before) {
            scrub->filled += before == UINT64_MAX ? 0 : before - pages;
            progress_us = es_clock_mono_us();

        } else if (es_clock_mono_us() - progress_us > wait_ms * 1000) {
            return ES_BUSY;

        } else {
            (void) es_env_reap(s->env);
            (void) usleep(ES_SCRUB_WAIT_US);
        }

        before = pages;
        rc = es_scrub_fill_once(s, scrub->reader != 0 ? 1 : pages);
    }

    scrub->filled += rc == ES_OK && before != UINT64_MAX ? before : 0;

    return rc;
}


/* Ends the records of zeros, also those of a run that was killed. */

static es_rc_t
es_scrub_end_txn(MDB_txn *txn, void *ctx)
{
    int             rc;
    uint8_t         name[16];
    MDB_val         key, value;
    unsigned        n;
    MDB_cursor     *cursor;
    es_scrubber_t  *s = ctx;

    s->put = 0;

    rc = mdb_cursor_open(txn, es_scrub_dbi(s->env), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    key = es_scrub_name(0, name);
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);

    for (n = 0; rc == 0 && n < s->slice.max; n++) {
        if (key.mv_size != 15 || memcmp(key.mv_data, name, 7) != 0) {
            break;
        }

        rc = mdb_cursor_del(cursor, 0);
        s->put++;

        if (rc == 0) {
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        }
    }

    mdb_cursor_close(cursor);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


/* Clears the file after LMDB's last page.  The writer lock keeps others from
   using that room. */

static es_rc_t
es_scrub_tail(MDB_txn *txn, void *ctx)
{
    off_t             from;
    es_scrubber_t    *s = ctx;
    struct stat       sb;
    MDB_envinfo       info;
    mdb_filehandle_t  fd;

    (void) mdb_env_info(mdb_txn_env(txn), &info);
    (void) mdb_env_get_fd(mdb_txn_env(txn), &fd);

    from = (off_t) ((info.me_last_pgno + 1) * s->env->reserve.page);

    if (fstat(fd, &sb) != 0 || sb.st_size <= from) {
        return ES_STOP;
    }

    if (fallocate(fd, FALLOC_FL_ZERO_RANGE, from, sb.st_size - from) == 0
        || (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from,
                      sb.st_size - from) == 0
            && fallocate(fd, 0, from, sb.st_size - from) == 0))
    {
        return ES_STOP;
    }

    return es_refused(errno, "clear the end of", s->env->options.dir);
}


static es_rc_t
es_scrub_ends(es_scrubber_t *s)
{
    es_rc_t  rc;

    do {
        rc = es_scrub_write(s, es_scrub_end_txn);
    } while (rc == ES_OK && s->put > 0);

    return rc;
}


/* ---- all of it ---- */


/* LMDB's own list of free pages takes pages, too; a large one goes through
   states that the first pass does not see. */

static bool
es_scrub_large(es_env_t *env)
{
    bool      large;
    MDB_txn  *txn;
    MDB_stat  stat;

    if (es_env_read_begin(env, &txn) != ES_OK) {
        return true;
    }

    large = mdb_stat(txn, ES_SCRUB_FREE_DBI, &stat) != 0
            || stat.ms_depth > 1 || stat.ms_overflow_pages != 0;
    es_env_read_end(env, txn);

    return large;
}


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
    es_scrubber_t    s = { .env = env, .slice = { ES_SCRUB_FILL,
                                                  ES_SCRUB_FILL } };

    memset(scrub, 0, sizeof(*scrub));

    s.items = malloc((ES_SCRUB_ITEMS + 1) * sizeof(es_scrub_item_t));
    if (s.items == NULL) {
        return ES_NOMEM;
    }

    rc = es_scrub_ends(&s);

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
        rc = es_env_shrink(env, es_scrub_tail, &s, &s.slice);
        rc = rc == ES_STOP ? ES_OK : rc;
    }

    free(s.items);

    return rc;
}
