/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The LMDB environment `encrypted/`.
 *
 * Texts are encrypted before the writer lock is taken, because that takes up to
 * milliseconds for each.  The transaction then keeps whichever was first.
 */

#include <openssl/sha.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.h"
#include "base/base.h"
#include "base/event_loop.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/reason.h"
#include "event/cursor.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "read/ciphertexts.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"

#define ES_CIPHERTEXTS_SLACK    (UINT64_C(64) << 20)
#define ES_CIPHERTEXTS_RESERVE  (UINT64_C(256) << 10)
#define ES_CIPHERTEXTS_PRUNE    1024       /* removed in one transaction */
#define ES_CIPHERTEXT_DIGEST    16
#define ES_CIPHERTEXT_PREFIX    (8 + 4 + 8)    /* of an event */
#define ES_CIPHERTEXT_KEY_LEN   (ES_CIPHERTEXT_PREFIX + ES_CIPHERTEXT_DIGEST)

/* Databases: the two halves have key -> hash, text */
#define ES_CIPHERTEXTS_META     2      /* "state" -> es_ciphertexts_state_t */

typedef struct {
    uint64_t  young;           /* the half that takes new texts: 0 or 1 */
    uint64_t  bytes;           /* that they have cost there */
} es_ciphertexts_state_t;

ES_STORED_SIZE(es_ciphertexts_state_t, 16);
ES_STORED_AT(es_ciphertexts_state_t, bytes, 8);

struct es_ciphertexts {
    es_store_t       *store;
    uint64_t          half;
    pthread_mutex_t   lock;    /* of opening */
    _Atomic(es_env_t *)  env;  /* NULL: not open yet */
};

typedef struct {
    es_ciphertexts_t  *texts;
    es_ciphertext_t   *items;
    size_t             n;
} es_ciphertexts_make_t;

/* The texts that may stay: those of a feed that exists. */
typedef struct {
    uint64_t   name;           /* hash of the feed's name */
    es_feed_t  feed;
} es_ciphertexts_feed_t;

typedef struct {
    es_ciphertexts_t       *texts;
    es_ciphertexts_feed_t  *feeds;     /* sorted by `name` */
    size_t                  nfeeds;
    es_slice_t              slice;
    bool                    more;
} es_ciphertexts_prune_t;

static const es_env_db_t  es_ciphertexts_dbs[] = {
    { "first", 0, NULL, false },
    { "second", 0, NULL, false },
    { "meta", 0, NULL, false },
    { NULL, 0, NULL, false }
};


es_ciphertexts_t *
es_ciphertexts_create(es_store_t *store, uint64_t half)
{
    es_ciphertexts_t  *texts;

    texts = calloc(1, sizeof(es_ciphertexts_t));

    if (texts != NULL) {
        texts->store = store;
        texts->half = half;
        (void) pthread_mutex_init(&texts->lock, NULL);
    }

    return texts;
}


void
es_ciphertexts_free(es_ciphertexts_t *texts)
{
    if (texts == NULL) {
        return;
    }

    if (texts->env != NULL) {
        es_env_close(texts->env);
    }

    (void) pthread_mutex_destroy(&texts->lock);
    free(texts);
}


static es_rc_t
es_ciphertexts_open_env(es_ciphertexts_t *texts, bool create)
{
    int                n;
    char               dir[4096];
    es_rc_t            rc;
    es_env_t          *env;
    es_env_options_t   options;

    n = snprintf(dir, sizeof(dir), "%s/encrypted", texts->store->path);
    if (n >= (int) sizeof(dir) - 16) {
        return es_refused_text(ES_IO, "the path of the store is too long");
    }

    if (!create && access(dir, F_OK) != 0) {
        return ES_NOT_FOUND;
    }

    rc = es_file_mkdir(dir, texts->store->path);
    if (rc != ES_OK) {
        return rc;
    }

    /* LMDB copies what it changes; a larger map costs only addresses */

    memset(&options, 0, sizeof(options));
    options.dir = dir;
    options.writable = true;
    options.map_initial = 3 * texts->half + ES_CIPHERTEXTS_SLACK;
    options.map_max = options.map_initial;
    options.reserve = ES_CIPHERTEXTS_RESERVE;
    options.remedy = "delete it while nginx and the dispatcher are stopped";
    options.dbs = es_ciphertexts_dbs;

    rc = es_env_open(&options, &env);

    if (rc == ES_FORMAT) {
        options.create = true;
        rc = es_env_open(&options, &env);
    }

    if (rc == ES_OK) {
        texts->env = env;
    }

    return rc;
}


static es_rc_t
es_ciphertexts_open(es_ciphertexts_t *texts, bool create)
{
    es_rc_t  rc;

    (void) pthread_mutex_lock(&texts->lock);
    rc = texts->env != NULL ? ES_OK : es_ciphertexts_open_env(texts, create);
    (void) pthread_mutex_unlock(&texts->lock);

    return rc;
}


/* ---- keys and values ---- */


/* Each part with its length, so that no two items have equal texts. */

static es_rc_t
es_ciphertext_identity(const es_ciphertext_t *item, es_buf_t *out)
{
    size_t   i;
    es_rc_t  rc;
    uint8_t  len[8];

    const es_str_t  parts[] = {
        es_str(item->key->kid), es_str(item->key->crv), es_str(item->key->x),
        es_str(item->key->y), item->place.feed, item->place.source,
        item->place.id, item->place.field, item->plain
    };

    rc = ES_OK;

    for (i = 0; i < sizeof(parts) / sizeof(parts[0]) && rc == ES_OK; i++) {
        es_be64(parts[i].len, len);
        rc = es_buf_append(out, len, sizeof(len));

        if (rc == ES_OK) {
            rc = es_buf_str(out, parts[i]);
        }
    }

    return rc;
}


static es_rc_t
es_ciphertext_key(const es_ciphertext_t *item,
    uint8_t out[ES_CIPHERTEXT_KEY_LEN])
{
    es_rc_t      rc;
    uint8_t      digest[SHA256_DIGEST_LENGTH];
    uint32_t     epoch;
    es_buf_t     identity;
    es_cursor_t  cursor;

    if (es_cursor_parse(item->cursor, &cursor) != ES_OK) {
        return ES_CORRUPT;
    }

    memset(&identity, 0, sizeof(identity));
    rc = es_ciphertext_identity(item, &identity);

    if (rc == ES_OK) {
        (void) SHA256((const uint8_t *) identity.data, identity.len, digest);
        epoch = (uint32_t) XXH3_64bits(cursor.epoch, strlen(cursor.epoch));

        es_be64(XXH3_64bits(item->place.feed.data, item->place.feed.len), out);
        memcpy(out + 8, &epoch, 4);
        es_be64(cursor.sequence, out + 12);
        memcpy(out + 20, digest, ES_CIPHERTEXT_DIGEST);
    }

    es_buf_free(&identity);

    return rc;
}


/* Finds a text.  One that is damaged is none: it must not reach a JSON
   string. */

static es_rc_t
es_ciphertexts_find(es_env_t *env, MDB_txn *txn, uint8_t *key, es_buf_t *out)
{
    int       rc;
    MDB_val   k, v;
    unsigned  i;
    uint64_t  hash;
    es_str_t  text;

    k.mv_data = key;
    k.mv_size = ES_CIPHERTEXT_KEY_LEN;

    for (i = 0; i < 2; i++) {
        rc = mdb_get(txn, es_env_dbi(env, i), &k, &v);

        if (rc != 0 && rc != MDB_NOTFOUND) {
            return es_env_rc(rc);
        }

        if (rc == 0 && v.mv_size > sizeof(hash)) {
            memcpy(&hash, v.mv_data, sizeof(hash));
            text.data = (const char *) v.mv_data + sizeof(hash);
            text.len = v.mv_size - sizeof(hash);

            if (es_hash_long(text.data, text.len,
                             XXH3_64bits(key, ES_CIPHERTEXT_KEY_LEN)) == hash
                && es_jwe_compact(text))
            {
                return es_buf_str(out, text);
            }
        }
    }

    return ES_NOT_FOUND;
}


es_rc_t
es_ciphertexts_get(es_ciphertexts_t *texts, es_ciphertext_t *item)
{
    uint8_t    key[ES_CIPHERTEXT_KEY_LEN];
    MDB_txn   *txn;
    es_env_t  *env;
    es_rc_t    rc;

    env = texts->env;

    if (env == NULL) {
        return ES_NOT_FOUND;
    }

    rc = es_ciphertext_key(item, key);

    if (rc == ES_OK) {
        rc = es_env_read_begin(env, &txn);
    }

    if (rc == ES_OK) {
        rc = es_ciphertexts_find(env, txn, key, &item->out);
        es_env_read_end(env, txn);
    }

    return rc;
}


/* ---- making ---- */


static es_rc_t
es_ciphertexts_state(es_env_t *env, MDB_txn *txn, es_ciphertexts_state_t *state)
{
    int      rc;
    MDB_val  k, v;

    memset(state, 0, sizeof(es_ciphertexts_state_t));

    k.mv_data = (void *) (uintptr_t) "state";
    k.mv_size = 5;

    rc = mdb_get(txn, es_env_dbi(env, ES_CIPHERTEXTS_META), &k, &v);

    if (rc == 0 && v.mv_size == sizeof(es_ciphertexts_state_t)) {
        memcpy(state, v.mv_data, sizeof(es_ciphertexts_state_t));
        state->young &= 1;
    }

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static es_rc_t
es_ciphertexts_save(es_env_t *env, MDB_txn *txn, es_ciphertexts_state_t *state)
{
    MDB_val  k, v;

    k.mv_data = (void *) (uintptr_t) "state";
    k.mv_size = 5;
    v.mv_data = state;
    v.mv_size = sizeof(es_ciphertexts_state_t);

    return es_env_rc(mdb_put(txn, es_env_dbi(env, ES_CIPHERTEXTS_META), &k, &v,
                             0));
}


/* LMDB keeps small values in pages that are half full at worst, and gives pages
   of its own to others. */

static uint64_t
es_ciphertexts_cost(size_t size)
{
    size += ES_CIPHERTEXT_KEY_LEN + 2 * sizeof(uint64_t);

    return size < 1024 ? 2 * size : (size + 2 * 4096) & ~UINT64_C(4095);
}


static es_rc_t
es_ciphertexts_put(es_ciphertexts_t *texts, MDB_txn *txn,
    es_ciphertexts_state_t *state, uint8_t *key, const es_buf_t *text)
{
    int        rc;
    char      *p;
    es_env_t  *env;
    MDB_val    k, v;
    uint64_t   hash;

    rc = 0;
    env = texts->env;
    k.mv_data = key;
    k.mv_size = ES_CIPHERTEXT_KEY_LEN;
    v.mv_size = sizeof(hash) + text->len;

    state->bytes += es_ciphertexts_cost(v.mv_size);

    if (state->bytes > texts->half) {
        state->young ^= 1;
        state->bytes = es_ciphertexts_cost(v.mv_size);
        rc = mdb_drop(txn, es_env_dbi(env, (unsigned) state->young), 0);
    }

    if (rc == 0) {
        rc = mdb_put(txn, es_env_dbi(env, (unsigned) state->young), &k, &v,
                     MDB_RESERVE);
    }

    if (rc == 0) {
        hash = es_hash_long(text->data, text->len,
                            XXH3_64bits(key, ES_CIPHERTEXT_KEY_LEN));
        p = v.mv_data;
        memcpy(p, &hash, sizeof(hash));
        memcpy(p + sizeof(hash), text->data, text->len);
    }

    return es_env_rc(rc);
}


/* An erasure removes texts under the writer lock, after its own commit.  So the
   text of an event that was erased since it was read is recognized here. */

static es_rc_t
es_ciphertexts_erased(es_ciphertexts_t *texts, const es_ciphertext_t *item,
    bool *erased)
{
    es_rc_t      rc;
    uint64_t     count;
    es_txn_t    *txn;
    es_feed_t    feed;
    es_chunk_t   chunk;
    es_cursor_t  cursor;

    *erased = false;

    rc = es_txn_begin(texts->store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_erasures_count(txn, &count);

    if (rc == ES_OK && count > 0) {
        rc = es_cursor_parse(item->cursor, &cursor);

        if (rc == ES_OK) {
            rc = es_feed_get(txn, item->place.feed, &feed);
        }

        if (rc == ES_OK) {
            rc = es_chunk_seek(txn->events, feed.number, cursor.sequence,
                               false, &chunk);
        }

        *erased = rc == ES_OK && chunk.head->first <= cursor.sequence
                  && es_entry_erased(&chunk.entries[cursor.sequence
                                                    - chunk.head->first]);
    }

    es_txn_end(txn);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


/* Keeps the text of an item, or takes the one that another process has kept
   meanwhile. */

static es_rc_t
es_ciphertexts_keep(es_ciphertexts_t *texts, MDB_txn *txn,
    es_ciphertexts_state_t *state, es_ciphertext_t *item)
{
    bool      erased;
    uint8_t   key[ES_CIPHERTEXT_KEY_LEN];
    es_rc_t   rc;
    es_buf_t  kept;

    rc = es_ciphertexts_erased(texts, item, &erased);

    if (rc == ES_OK && !erased) {
        rc = es_ciphertext_key(item, key);
    }

    if (rc != ES_OK || erased) {
        return rc;
    }

    memset(&kept, 0, sizeof(kept));
    rc = es_ciphertexts_find(texts->env, txn, key, &kept);

    if (rc == ES_OK) {
        es_buf_free(&item->out);
        item->out = kept;
        return ES_OK;
    }

    es_buf_free(&kept);

    return rc == ES_NOT_FOUND
           ? es_ciphertexts_put(texts, txn, state, key, &item->out) : rc;
}


static es_rc_t
es_ciphertexts_make_txn(MDB_txn *txn, void *data)
{
    size_t                  i;
    es_rc_t                 rc;
    es_ciphertexts_make_t  *make;
    es_ciphertexts_state_t  state;

    make = data;
    rc = es_ciphertexts_state(make->texts->env, txn, &state);

    for (i = 0; rc == ES_OK && i < make->n; i++) {
        rc = es_ciphertexts_keep(make->texts, txn, &state, &make->items[i]);
    }

    return rc == ES_OK ? es_ciphertexts_save(make->texts->env, txn, &state)
                       : rc;
}


es_rc_t
es_ciphertexts_make(es_ciphertexts_t *texts, es_ciphertext_t *items, size_t n)
{
    size_t                 i, missing;
    es_rc_t                rc;
    es_ciphertexts_make_t  make;

    ES_ASSERT_NO_EVENT_LOOP();

    missing = 0;
    rc = es_ciphertexts_open(texts, true);

    for (i = 0; i < n && rc == ES_OK; i++) {
        rc = es_ciphertexts_get(texts, &items[i]);

        if (rc == ES_NOT_FOUND) {
            missing++;
            rc = es_jwe_encrypt(items[i].key, &items[i].place, items[i].plain,
                                &items[i].out);
        }
    }

    if (rc == ES_OK && missing > 0) {
        make.texts = texts;
        make.items = items;
        make.n = n;

        rc = es_env_update(texts->env, es_ciphertexts_make_txn, &make);
    }

    return rc;
}


/* ---- pruning ---- */


static int
es_ciphertexts_feed_cmp(const void *one, const void *two)
{
    const es_ciphertexts_feed_t  *a, *b;

    a = one;
    b = two;

    return a->name == b->name ? 0 : a->name > b->name ? 1 : -1;
}


static es_rc_t
es_ciphertexts_feeds(es_ciphertexts_prune_t *prune)
{
    size_t                  cap;
    es_rc_t                 rc;
    es_txn_t               *txn;
    es_feed_t               feed;
    es_ciphertexts_feed_t  *feeds;

    cap = 0;
    prune->nfeeds = 0;
    feed.name[0] = '\0';

    rc = es_txn_begin(prune->texts->store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    while ((rc = es_feed_next(txn, es_str(feed.name), &feed)) == ES_OK) {

        if (prune->nfeeds == cap) {
            cap = cap ? 2 * cap : 64;
            feeds = realloc(prune->feeds, cap * sizeof(es_ciphertexts_feed_t));
            if (feeds == NULL) {
                rc = ES_NOMEM;
                break;
            }

            prune->feeds = feeds;
        }

        prune->feeds[prune->nfeeds].name = XXH3_64bits(feed.name,
                                                       strlen(feed.name));
        prune->feeds[prune->nfeeds++].feed = feed;
    }

    es_txn_end(txn);

    if (rc == ES_NOT_FOUND && prune->nfeeds > 0) {
        qsort(prune->feeds, prune->nfeeds, sizeof(es_ciphertexts_feed_t),
              es_ciphertexts_feed_cmp);
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


/* True if the log does not have the event any more.  The name of an epoch that
   a feed has forgotten is not known, so its texts stay. */

static bool
es_ciphertexts_stale(const es_ciphertexts_prune_t *prune, const uint8_t *key)
{
    uint32_t                      hash;
    uint64_t                      sequence;
    const char                   *epoch;
    es_ciphertexts_feed_t         name;
    const es_ciphertexts_feed_t  *f;

    name.name = es_be64_get(key);
    sequence = es_be64_get(key + 12);

    f = prune->nfeeds == 0
        ? NULL : bsearch(&name, prune->feeds, prune->nfeeds,
                         sizeof(es_ciphertexts_feed_t),
                         es_ciphertexts_feed_cmp);

    if (f == NULL || sequence < f->feed.oldest || sequence > f->feed.last) {
        return true;
    }

    epoch = es_feed_epoch_of(&f->feed, sequence);
    hash = (uint32_t) XXH3_64bits(epoch, strlen(epoch));

    return sequence > f->feed.forgotten && memcmp(&hash, key + 8, 4) != 0;
}


/* The stale texts of an epoch come first, so one look-up for each epoch is
   enough. */

static es_rc_t
es_ciphertexts_prune_half(es_ciphertexts_prune_t *prune, MDB_txn *txn,
    unsigned half, unsigned *removed)
{
    int          rc;
    uint8_t      key[ES_CIPHERTEXT_KEY_LEN];
    MDB_val      k, v;
    MDB_cursor  *cursor;

    rc = mdb_cursor_open(txn, es_env_dbi(prune->texts->env, half), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);

    while (rc == 0 && k.mv_size == sizeof(key)) {

        memcpy(key, k.mv_data, sizeof(key));

        if (es_ciphertexts_stale(prune, key)) {
            if (*removed == prune->slice.max) {
                prune->more = true;
                break;
            }

            (*removed)++;
            rc = mdb_cursor_del(cursor, 0);

        } else {
            memset(key + 12, 0xff, sizeof(key) - 12);
        }

        if (rc == 0) {
            k.mv_data = key;
            rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
        }
    }

    mdb_cursor_close(cursor);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


/* The feeds are read under the writer lock.  So they have every event whose
   text is kept. */

static es_rc_t
es_ciphertexts_prune_txn(MDB_txn *txn, void *data)
{
    es_rc_t                  rc;
    unsigned                 removed;
    es_ciphertexts_prune_t  *prune;

    prune = data;
    prune->more = false;
    removed = 0;

    rc = es_ciphertexts_feeds(prune);

    if (rc == ES_OK) {
        rc = es_ciphertexts_prune_half(prune, txn, 0, &removed);
    }

    if (rc == ES_OK && !prune->more) {
        rc = es_ciphertexts_prune_half(prune, txn, 1, &removed);
    }

    return rc;
}


es_rc_t
es_ciphertexts_prune(es_ciphertexts_t *texts)
{
    es_rc_t                 rc;
    es_ciphertexts_prune_t  prune;

    memset(&prune, 0, sizeof(prune));
    prune.texts = texts;
    prune.slice.most = ES_CIPHERTEXTS_PRUNE;
    prune.slice.max = ES_CIPHERTEXTS_PRUNE;
    prune.more = true;

    rc = es_ciphertexts_open(texts, false);

    while (rc == ES_OK && prune.more) {
        rc = es_env_shrink(texts->env, es_ciphertexts_prune_txn, &prune,
                           &prune.slice);
    }

    free(prune.feeds);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


/* ---- erasing ---- */


typedef struct {
    es_ciphertexts_prune_t  prune;
    const es_erasure_t     *erasures;
    size_t                  n;
    size_t                  done;
    size_t                  next;
} es_ciphertexts_eraser_t;


/* Makes the beginning of the keys of an event's texts.  False: the feed is
   gone, and pruning takes its texts. */

static bool
es_ciphertexts_prefix(const es_ciphertexts_prune_t *prune,
    const es_erasure_t *erasure, uint8_t prefix[ES_CIPHERTEXT_PREFIX])
{
    size_t    i;
    uint32_t  epoch;

    for (i = 0; i < prune->nfeeds; i++) {
        if (prune->feeds[i].feed.number == erasure->feed) {
            break;
        }
    }

    if (i == prune->nfeeds) {
        return false;
    }

    epoch = (uint32_t) XXH3_64bits(erasure->epoch, strlen(erasure->epoch));
    es_be64(prune->feeds[i].name, prefix);
    memcpy(prefix + 8, &epoch, 4);
    es_be64(erasure->sequence, prefix + 12);

    return true;
}


static int
es_ciphertexts_erase_half(es_env_t *env, MDB_txn *txn, unsigned half,
    uint8_t prefix[ES_CIPHERTEXT_PREFIX])
{
    int          rc;
    MDB_val      k, v;
    MDB_cursor  *cursor;

    rc = mdb_cursor_open(txn, es_env_dbi(env, half), &cursor);
    if (rc != 0) {
        return rc;
    }

    k = (MDB_val) { ES_CIPHERTEXT_PREFIX, prefix };

    for (rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
         rc == 0 && k.mv_size >= ES_CIPHERTEXT_PREFIX
         && memcmp(k.mv_data, prefix, ES_CIPHERTEXT_PREFIX) == 0;
         rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT))
    {
        rc = mdb_cursor_del(cursor, 0);
        if (rc != 0) {
            break;
        }
    }

    mdb_cursor_close(cursor);

    return rc == MDB_NOTFOUND ? 0 : rc;
}


static es_rc_t
es_ciphertexts_erase_txn(MDB_txn *txn, void *data)
{
    int                       rc;
    size_t                    i;
    uint8_t                   prefix[ES_CIPHERTEXT_PREFIX];
    es_env_t                 *env;
    unsigned                  half;
    es_ciphertexts_eraser_t  *e;

    e = data;
    env = e->prune.texts->env;
    rc = 0;

    for (i = e->done;
         rc == 0 && i < e->n && i < e->done + e->prune.slice.max;
         i++)
    {
        if (!es_ciphertexts_prefix(&e->prune, &e->erasures[i], prefix)) {
            continue;
        }

        for (half = 0; rc == 0 && half < 2; half++) {
            rc = es_ciphertexts_erase_half(env, txn, half, prefix);
        }
    }

    e->next = i;

    return es_env_rc(rc);
}


es_rc_t
es_ciphertexts_erase(es_ciphertexts_t *texts, const es_erasure_t *erasures,
    size_t n, int64_t wait_ms, es_scrub_t *scrub)
{
    es_rc_t                  rc;
    es_ciphertexts_eraser_t  e = { .erasures = erasures, .n = n };

    e.prune.texts = texts;
    e.prune.slice.most = ES_CIPHERTEXTS_PRUNE;
    e.prune.slice.max = ES_CIPHERTEXTS_PRUNE;

    rc = es_ciphertexts_open(texts, false);
    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    rc = es_ciphertexts_feeds(&e.prune);

    while (rc == ES_OK && e.done < n) {
        rc = es_env_shrink(texts->env, es_ciphertexts_erase_txn, &e,
                           &e.prune.slice);
        e.done = e.next;
    }

    free(e.prune.feeds);

    return rc == ES_OK ? es_env_scrub(texts->env, wait_ms, scrub) : rc;
}
