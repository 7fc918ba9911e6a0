/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The LMDB environment `pages/`, and the encoding of what it lacks.
 *
 * Encoding runs within the write transaction that stores the result, so LMDB's
 * writer lock keeps two processes from encoding the same page.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/assert.h"
#include "base/base.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/hash.h"
#include "log/chunk.h"
#include "log/erased.h"
#include "log/feed.h"
#include "read/encoded_pages.h"
#include "read/reader.h"
#include "store/env.h"
#include "store/txn.h"

#define ES_ENCODED_VERSION   1          /* changes when the body of a page
                                           changes */
#define ES_ENCODED_SLACK     (UINT64_C(64) << 20)
#define ES_ENCODED_ANY       (UINT64_C(1) << 46)
#define ES_ENCODED_RESERVE  (UINT64_C(256) << 10)
#define ES_ENCODED_PRUNE     256        /* entries removed in one transaction */
#define ES_ENCODED_KEY_LEN   (4 + ES_EPOCH_MAX + 1 + 8 + 1)

/* Databases */
#define ES_ENCODED_PAGES  0    /* feed, epoch, page, encoding -> head, bytes */
#define ES_ENCODED_ORDER  1    /* order of making -> key of a page */
#define ES_ENCODED_META   2    /* "state" -> es_encoded_state_t */

typedef struct __attribute__((packed)) {
    uint64_t  hash;            /* XXH3 of the rest, seeded by the key */
    uint64_t  source;
    uint64_t  order;
} es_encoded_head_t;

ES_STORED_SIZE(es_encoded_head_t, 24);
ES_STORED_AT(es_encoded_head_t, source, 8);
ES_STORED_AT(es_encoded_head_t, order, 16);

typedef struct {
    uint64_t  next;            /* number of the next entry */
    uint64_t  bytes;           /* size of all entries */
} es_encoded_state_t;

ES_STORED_SIZE(es_encoded_state_t, 16);
ES_STORED_AT(es_encoded_state_t, bytes, 8);

struct es_encoded {
    es_store_t  *store;
    es_env_t    *env;
    uint64_t     size;
};

typedef struct {
    es_encoded_pages_t  *pages;
    es_encoded_item_t   *items;
    size_t               n;
} es_encoded_make_t;

/* The pages that a feed still has of one of its epochs. */
typedef struct {
    uint32_t  number;
    char      epoch[ES_EPOCH_MAX + 1];
    uint64_t  first;           /* first page whose events are all kept */
} es_encoded_feed_t;

typedef struct {
    es_encoded_pages_t  *pages;
    es_encoded_feed_t   *feeds;
    size_t               nfeeds;
    es_slice_t           slice;
    bool                 more;
} es_encoded_prune_t;

static const es_env_db_t  es_encoded_dbs[] = {
    { "pages", 0, NULL, false },
    { "order", 0, NULL, false },
    { "meta", 0, NULL, false },
    { NULL, 0, NULL, false }
};


es_rc_t
es_encoded_open(es_store_t *store, uint64_t size, es_encoded_pages_t **out,
    es_problem_t *problem)
{
    char                 dir[4096];
    es_rc_t              rc;
    es_encoded_pages_t  *pages;
    es_env_options_t     options;

    if (snprintf(dir, sizeof(dir), "%s/pages", store->path)
        >= (int) sizeof(dir) - 16)
    {
        return es_problem_set(problem, ES_IO, -1, NULL,
                              "the path of the store is too long");
    }

    if (size == 0 && access(dir, F_OK) != 0) {
        return es_problem_set(problem, ES_NOT_FOUND, -1, NULL, "there are no "
                              "encoded pages");
    }

    rc = es_file_mkdir(dir, store->path);
    if (rc != ES_OK) {
        return es_problem_set(problem, rc, -1, NULL, "%s", es_reason(rc));
    }

    pages = calloc(1, sizeof(es_encoded_pages_t));
    if (pages == NULL) {
        return es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
    }

    /* LMDB copies what it changes, so it needs twice the size; a larger map
       costs only addresses. */

    pages->store = store;
    pages->size = size;
    memset(&options, 0, sizeof(options));
    options.dir = dir;
    options.writable = true;
    options.map_initial = 2 * size + ES_ENCODED_SLACK;
    options.map_max = options.map_initial;

    if (size == 0) {
        options.map_initial = 0;       /* that of the file */
        options.map_max = ES_ENCODED_ANY;
    }

    options.reserve = ES_ENCODED_RESERVE;
    options.step = 0;
    options.remedy = "delete it while nginx is stopped";
    options.dbs = es_encoded_dbs;

    /* Making takes the writer lock and may hold it for long. */

    rc = es_env_open(&options, &pages->env);

    if (rc == ES_FORMAT) {
        options.create = true;
        rc = es_env_open(&options, &pages->env);
    }

    if (rc != ES_OK) {
        free(pages);
        return es_env_problem(problem, rc, dir);
    }

    *out = pages;
    return ES_OK;
}


void
es_encoded_close(es_encoded_pages_t *pages)
{
    if (pages == NULL) {
        return;
    }

    es_env_close(pages->env);
    free(pages);
}


uint64_t
es_encoded_source(const es_page_t *page, es_encoding_t encoding)
{
    char      text[64];
    size_t    i;
    es_str_t  maker;
    uint64_t  hash;

    maker = es_encoding_maker(encoding, text, sizeof(text));
    hash = XXH3_64bits_withSeed(maker.data, maker.len, ES_ENCODED_VERSION);

    for (i = 0; i < page->nslices; i++) {
        hash = page->slices[i].len > 1
               ? es_hash_long(page->slices[i].data, page->slices[i].len, hash)
               : hash + 1;
    }

    return hash;
}


static void
es_encoded_key(const es_encoded_key_t *key, uint8_t out[ES_ENCODED_KEY_LEN])
{
    uint8_t  feed[ES_EVENT_KEY_LEN];

    es_event_key(key->feed, 0, feed);
    memcpy(out, feed, 4);
    memcpy(out + 4, key->epoch, ES_EPOCH_MAX + 1);
    es_be64(key->page, out + 4 + ES_EPOCH_MAX + 1);
    out[ES_ENCODED_KEY_LEN - 1] = (uint8_t) key->encoding;
}


static uint64_t
es_encoded_hash(const MDB_val *key, const MDB_val *value)
{
    return es_hash_long((const char *) value->mv_data + sizeof(uint64_t),
                        value->mv_size - sizeof(uint64_t),
                        XXH3_64bits(key->mv_data, key->mv_size));
}


/* Rounds up to the whole pages that LMDB takes for a value of this size. */

static uint64_t
es_encoded_cost(size_t size)
{
    return (size + 2 * sizeof(uint64_t) + 4095) & ~UINT64_C(4095);
}


/* Finds the entry's bytes.  A hash that is given was verified before. */

static es_rc_t
es_encoded_look(es_encoded_pages_t *pages, MDB_txn *txn,
    const es_encoded_key_t *key, uint64_t *hash, es_str_t *bytes)
{
    int                rc;
    uint8_t            text[ES_ENCODED_KEY_LEN];
    MDB_val            k, v;
    es_encoded_head_t  head;

    *bytes = es_null_str;

    es_encoded_key(key, text);
    k.mv_data = text;
    k.mv_size = sizeof(text);

    rc = mdb_get(txn, es_env_dbi(pages->env, ES_ENCODED_PAGES), &k, &v);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    if (v.mv_size <= sizeof(head)) {
        return ES_NOT_FOUND;
    }

    memcpy(&head, v.mv_data, sizeof(head));

    if (*hash == 0) {
        *hash = es_encoded_hash(&k, &v);
    }

    if (head.source != key->source || head.hash != *hash) {
        return ES_NOT_FOUND;
    }

    bytes->data = (const char *) v.mv_data + sizeof(head);
    bytes->len = v.mv_size - sizeof(head);

    return ES_OK;
}


static es_rc_t
es_encoded_find(es_encoded_pages_t *pages, MDB_txn *txn,
    const es_encoded_key_t *key, es_buf_t *out)
{
    es_rc_t   rc;
    uint64_t  hash;
    es_str_t  bytes;

    hash = 0;
    rc = es_encoded_look(pages, txn, key, &hash, &bytes);

    return rc == ES_OK ? es_buf_append(out, bytes.data, bytes.len) : rc;
}


es_env_t *
es_encoded_env(es_encoded_pages_t *pages)
{
    return pages->env;
}


es_rc_t
es_encoded_get(es_encoded_pages_t *pages, const es_encoded_key_t *key,
    es_buf_t *out)
{
    MDB_txn  *txn;
    es_rc_t   rc;

    rc = es_env_read_begin(pages->env, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_encoded_find(pages, txn, key, out);

    es_env_read_end(pages->env, txn);

    return rc;
}


es_rc_t
es_encoded_part(es_encoded_pages_t *pages, const es_encoded_key_t *key,
    uint64_t *hash, size_t offset, void *out, size_t size)
{
    MDB_txn   *txn;
    es_rc_t    rc;
    es_str_t   bytes;

    rc = es_env_read_begin(pages->env, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_encoded_look(pages, txn, key, hash, &bytes);

    if (rc == ES_OK && (offset > bytes.len || size > bytes.len - offset)) {
        rc = ES_NOT_FOUND;
    }

    if (rc == ES_OK && size > 0) {
        memcpy(out, bytes.data + offset, size);
    }

    es_env_read_end(pages->env, txn);

    return rc;
}


static es_rc_t
es_encoded_state(es_encoded_pages_t *pages, MDB_txn *txn,
    es_encoded_state_t *state)
{
    int      rc;
    MDB_val  k, v;

    memset(state, 0, sizeof(es_encoded_state_t));

    k.mv_data = (void *) (uintptr_t) "state";
    k.mv_size = 5;

    rc = mdb_get(txn, es_env_dbi(pages->env, ES_ENCODED_META), &k, &v);
    if (rc == MDB_NOTFOUND) {
        return ES_OK;
    }

    if (rc != 0 || v.mv_size != sizeof(es_encoded_state_t)) {
        return rc != 0 ? es_env_rc(rc) : ES_CORRUPT;
    }

    memcpy(state, v.mv_data, sizeof(es_encoded_state_t));

    return ES_OK;
}


static es_rc_t
es_encoded_save(es_encoded_pages_t *pages, MDB_txn *txn,
    es_encoded_state_t *state)
{
    MDB_val  k, v;

    k.mv_data = (void *) (uintptr_t) "state";
    k.mv_size = 5;
    v.mv_data = state;
    v.mv_size = sizeof(es_encoded_state_t);

    return es_env_rc(mdb_put(txn, es_env_dbi(pages->env, ES_ENCODED_META), &k,
                             &v, 0));
}


/* Removes an entry by its key, if it exists. */

static es_rc_t
es_encoded_remove(es_encoded_pages_t *pages, MDB_txn *txn,
    es_encoded_state_t *state, MDB_val *key)
{
    int                rc;
    uint8_t            order[8];
    MDB_val            k, v;
    uint64_t           cost;
    es_encoded_head_t  head;

    rc = mdb_get(txn, es_env_dbi(pages->env, ES_ENCODED_PAGES), key, &v);
    if (rc != 0) {
        return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
    }

    if (v.mv_size >= sizeof(head)) {
        memcpy(&head, v.mv_data, sizeof(head));
        cost = es_encoded_cost(v.mv_size);
        state->bytes -= cost < state->bytes ? cost : state->bytes;

        es_be64(head.order, order);
        k.mv_data = order;
        k.mv_size = sizeof(order);

        rc = mdb_del(txn, es_env_dbi(pages->env, ES_ENCODED_ORDER), &k, NULL);
        if (rc != 0 && rc != MDB_NOTFOUND) {
            return es_env_rc(rc);
        }
    }

    return es_env_rc(mdb_del(txn, es_env_dbi(pages->env, ES_ENCODED_PAGES), key,
                             NULL));
}


static es_rc_t
es_encoded_remove_oldest(es_encoded_pages_t *pages, MDB_txn *txn,
    es_encoded_state_t *state)
{
    int          rc;
    uint8_t      key[ES_ENCODED_KEY_LEN], order[8];
    MDB_val      k, v;
    es_rc_t      result;
    MDB_cursor  *cursor;

    rc = mdb_cursor_open(txn, es_env_dbi(pages->env, ES_ENCODED_ORDER),
                         &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);

    if (rc == 0
        && (k.mv_size != sizeof(order) || v.mv_size != sizeof(key)))
    {
        mdb_cursor_close(cursor);
        return ES_CORRUPT;
    }

    if (rc == 0) {
        memcpy(order, k.mv_data, sizeof(order));
        memcpy(key, v.mv_data, sizeof(key));
        rc = mdb_cursor_del(cursor, 0);
    }

    mdb_cursor_close(cursor);

    if (rc != 0) {
        return rc == MDB_NOTFOUND ? ES_CORRUPT : es_env_rc(rc);
    }

    k.mv_data = key;
    k.mv_size = sizeof(key);

    result = es_encoded_remove(pages, txn, state, &k);

    return result;
}


static es_rc_t
es_encoded_put(es_encoded_pages_t *pages, MDB_txn *txn,
    es_encoded_state_t *state, const es_encoded_item_t *item)
{
    int                rc;
    char              *p;
    uint8_t            key[ES_ENCODED_KEY_LEN], order[8];
    MDB_val            k, v, o;
    es_rc_t            result;
    uint64_t           cost;
    es_encoded_head_t  head;

    es_encoded_key(&item->key, key);
    k.mv_data = key;
    k.mv_size = sizeof(key);

    result = es_encoded_remove(pages, txn, state, &k);

    cost = es_encoded_cost(sizeof(head) + item->out.len);

    if (cost > pages->size) {
        return result;
    }

    while (result == ES_OK && state->bytes + cost > pages->size) {
        result = es_encoded_remove_oldest(pages, txn, state);
    }

    if (result != ES_OK) {
        return result;
    }

    head.source = item->key.source;
    head.order = state->next;

    v.mv_size = sizeof(head) + item->out.len;
    v.mv_data = malloc(v.mv_size);
    if (v.mv_data == NULL) {
        return ES_NOMEM;
    }

    p = v.mv_data;
    memcpy(p + sizeof(head), item->out.data, item->out.len);
    memcpy(p, &head, sizeof(head));
    head.hash = es_encoded_hash(&k, &v);
    memcpy(p, &head, sizeof(head));

    rc = mdb_put(txn, es_env_dbi(pages->env, ES_ENCODED_PAGES), &k, &v, 0);

    free(p);

    if (rc == 0) {
        es_be64(state->next, order);
        o.mv_data = order;
        o.mv_size = sizeof(order);
        rc = mdb_put(txn, es_env_dbi(pages->env, ES_ENCODED_ORDER), &o, &k, 0);
    }

    state->next++;
    state->bytes += cost;

    return es_env_rc(rc);
}


/* An erasure removes pages under the writer lock, after its own commit.  So a
   page that was read before that commit is recognized here. */

static es_rc_t
es_encoded_erasures(es_store_t *store, uint64_t *erased)
{
    es_rc_t    rc;
    es_txn_t  *txn;

    rc = es_txn_begin(store, &txn);

    if (rc == ES_OK) {
        rc = es_erasures_count(txn, erased);
        es_txn_end(txn);
    }

    return rc;
}


static es_rc_t
es_encoded_make_txn(MDB_txn *txn, void *data)
{
    size_t              i, encoded;
    es_rc_t             rc;
    uint64_t            erased;
    es_encoded_item_t  *item;
    es_encoded_make_t  *make;
    es_encoded_state_t  state;

    make = data;
    encoded = 0;

    rc = es_encoded_state(make->pages, txn, &state);

    if (rc == ES_OK) {
        rc = es_encoded_erasures(make->pages->store, &erased);
    }

    for (i = 0; rc == ES_OK && i < make->n; i++) {
        item = &make->items[i];

        if (item->kept || item->erased != erased) {
            continue;
        }

        /* from an earlier run that found the map full */

        if (item->out.len == 0) {
            rc = es_encoded_find(make->pages, txn, &item->key, &item->out);

            if (rc == ES_OK) {
                item->rc = ES_OK;
                item->kept = true;
                continue;
            }

            item->rc = es_encode(item->key.encoding, item->in, &item->out);
        }

        rc = item->rc == ES_OK ? es_encoded_put(make->pages, txn, &state, item)
                               : ES_OK;
        encoded++;
    }

    if (rc == ES_OK && encoded > 0) {
        rc = es_encoded_save(make->pages, txn, &state);
    }

    return rc;
}


es_rc_t
es_encoded_make(es_encoded_pages_t *pages, es_encoded_item_t *items, size_t n)
{
    size_t             i, missing;
    es_rc_t            rc;
    es_encoded_make_t  make;

    rc = ES_OK;
    missing = 0;

    /* a page that is stored already must not wait for the encoder */

    for (i = 0; pages != NULL && i < n; i++) {
        items[i].rc = es_encoded_get(pages, &items[i].key, &items[i].out);
        items[i].kept = items[i].rc == ES_OK;
        missing += !items[i].kept;
    }

    if (missing > 0) {
        make.pages = pages;
        make.items = items;
        make.n = n;

        rc = es_env_update(pages->env, es_encoded_make_txn, &make);
    }

    /* a page that could not be stored is sent all the same */

    for (i = 0; i < n; i++) {
        if (items[i].out.len == 0) {
            items[i].rc = es_encode(items[i].key.encoding, items[i].in,
                                    &items[i].out);
        }
    }

    return rc;
}


static int
es_encoded_feed_cmp(const void *one, const void *two)
{
    const es_encoded_feed_t  *a, *b;

    a = one;
    b = two;

    return a->number != b->number ? (a->number > b->number ? 1 : -1)
                                  : strcmp(a->epoch, b->epoch);
}


static es_rc_t
es_encoded_feeds(es_store_t *store, es_encoded_prune_t *prune)
{
    size_t              cap;
    es_rc_t             rc;
    uint32_t            i;
    es_txn_t           *txn;
    es_feed_t           feed;
    es_encoded_feed_t  *feeds;

    cap = 0;
    feed.name[0] = '\0';

    rc = es_txn_begin(store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    while ((rc = es_feed_next(txn, es_str(feed.name), &feed)) == ES_OK) {

        if (prune->nfeeds + feed.nearlier >= cap) {
            cap = cap ? 2 * cap : 64;

            feeds = realloc(prune->feeds, cap * sizeof(es_encoded_feed_t));
            if (feeds == NULL) {
                rc = ES_NOMEM;
                break;
            }

            prune->feeds = feeds;
        }

        for (i = 0; i <= feed.nearlier; i++) {
            feeds = &prune->feeds[prune->nfeeds++];
            memset(feeds, 0, sizeof(es_encoded_feed_t));
            feeds->number = feed.number;
            memcpy(feeds->epoch, i < feed.nearlier ? feed.earlier[i].name
                                                   : feed.epoch,
                   sizeof(feeds->epoch));
            feeds->first = (feed.oldest - 2 + feed.page_size) / feed.page_size
                           + 1;
        }
    }

    es_txn_end(txn);

    if (rc != ES_NOT_FOUND) {
        return rc;
    }

    if (prune->nfeeds > 0) {
        qsort(prune->feeds, prune->nfeeds, sizeof(es_encoded_feed_t),
              es_encoded_feed_cmp);
    }

    return ES_OK;
}


static bool
es_encoded_stale(const es_encoded_prune_t *prune, const uint8_t *key)
{
    es_encoded_feed_t   number;
    const uint8_t      *epoch;
    es_encoded_feed_t  *feed;

    memset(&number, 0, sizeof(number));
    number.number = es_event_key_feed(key);
    epoch = key + 4;
    memcpy(number.epoch, epoch, ES_EPOCH_MAX);

    feed = prune->nfeeds == 0
           ? NULL
           : bsearch(&number, prune->feeds, prune->nfeeds,
                     sizeof(es_encoded_feed_t), es_encoded_feed_cmp);

    return feed == NULL
           || es_be64_get(epoch + ES_EPOCH_MAX + 1) < feed->first;
}


/* The stale pages of an epoch come first, so one look-up for each epoch is
   enough. */

static es_rc_t
es_encoded_prune_txn(MDB_txn *txn, void *data)
{
    int                  rc;
    uint8_t              key[ES_ENCODED_KEY_LEN];
    es_rc_t              result;
    MDB_val              k, v;
    unsigned             removed;
    MDB_cursor          *cursor;
    es_encoded_prune_t  *prune;
    es_encoded_state_t   state;

    prune = data;
    prune->more = false;
    removed = 0;

    result = es_encoded_state(prune->pages, txn, &state);
    if (result != ES_OK) {
        return result;
    }

    rc = mdb_cursor_open(txn, es_env_dbi(prune->pages->env, ES_ENCODED_PAGES),
                         &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);

    while (rc == 0 && result == ES_OK) {

        if (removed == prune->slice.max) {
            prune->more = true;
            break;
        }

        if (k.mv_size != sizeof(key)) {
            result = ES_CORRUPT;
            break;
        }

        memcpy(key, k.mv_data, sizeof(key));
        k.mv_data = key;

        if (es_encoded_stale(prune, key)) {
            result = es_encoded_remove(prune->pages, txn, &state, &k);
            removed++;

        } else {
            memset(key + 4 + ES_EPOCH_MAX + 1, 0xff, 8 + 1);
        }

        rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);
    }

    mdb_cursor_close(cursor);

    if (result == ES_OK && rc != 0 && rc != MDB_NOTFOUND) {
        result = es_env_rc(rc);
    }

    if (result == ES_OK && removed > 0) {
        result = es_encoded_save(prune->pages, txn, &state);
    }

    return result;
}


es_rc_t
es_encoded_prune(es_encoded_pages_t *pages, es_store_t *store)
{
    es_rc_t             rc;
    es_encoded_prune_t  prune;

    memset(&prune, 0, sizeof(prune));
    prune.pages = pages;
    prune.slice.most = ES_ENCODED_PRUNE;
    prune.slice.max = ES_ENCODED_PRUNE;

    rc = es_encoded_feeds(store, &prune);

    while (rc == ES_OK) {
        rc = es_env_shrink(pages->env, es_encoded_prune_txn, &prune,
                           &prune.slice);

        if (!prune.more) {
            break;
        }
    }

    free(prune.feeds);

    return rc;
}


/* Removes a page of every epoch, in all encodings. */

static es_rc_t
es_encoded_erase_page(es_encoded_pages_t *pages, MDB_txn *txn,
    es_encoded_state_t *state, const es_encoded_page_t *page)
{
    int          rc;
    uint8_t      key[ES_ENCODED_KEY_LEN], number[ES_EVENT_KEY_LEN];
    es_rc_t      result;
    MDB_val      k, v;
    MDB_cursor  *cursor;

    es_event_key(page->feed, 0, number);
    memset(key, 0, sizeof(key));
    memcpy(key, number, 4);

    rc = mdb_cursor_open(txn, es_env_dbi(pages->env, ES_ENCODED_PAGES),
                         &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    for (result = ES_OK; result == ES_OK; ) {
        k = (MDB_val) { sizeof(key), key };
        rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);

        if (rc != 0 || k.mv_size != sizeof(key)
            || memcmp(k.mv_data, number, 4) != 0)
        {
            break;
        }

        memcpy(key, k.mv_data, sizeof(key));

        if (es_be64_get(key + 4 + ES_EPOCH_MAX + 1) < page->page) {
            es_be64(page->page, key + 4 + ES_EPOCH_MAX + 1);
            key[ES_ENCODED_KEY_LEN - 1] = 0;
            continue;
        }

        if (es_be64_get(key + 4 + ES_EPOCH_MAX + 1) > page->page) {
            memset(key + 4 + ES_EPOCH_MAX + 1, 0xff, 8 + 1);   /* the next
                                                                  epoch */
            continue;
        }

        k = (MDB_val) { sizeof(key), key };
        result = es_encoded_remove(pages, txn, state, &k);
    }

    mdb_cursor_close(cursor);

    return result != ES_OK || rc == 0 || rc == MDB_NOTFOUND ? result
                                                            : es_env_rc(rc);
}


typedef struct {
    es_encoded_pages_t       *pages;
    const es_encoded_page_t  *which;
    size_t                    n;
    size_t                    done;
    size_t                    next;
    es_slice_t                slice;
} es_encoded_eraser_t;


static es_rc_t
es_encoded_erase_txn(MDB_txn *txn, void *data)
{
    size_t                i;
    es_rc_t               rc;
    es_encoded_state_t    state;
    es_encoded_eraser_t  *e = data;

    rc = es_encoded_state(e->pages, txn, &state);

    for (i = e->done;
         rc == ES_OK && i < e->n && i < e->done + e->slice.max;
         i++)
    {
        rc = es_encoded_erase_page(e->pages, txn, &state, &e->which[i]);
    }

    e->next = i;

    if (rc == ES_OK) {
        rc = es_encoded_save(e->pages, txn, &state);
    }

    return rc;
}


es_rc_t
es_encoded_erase(es_encoded_pages_t *pages, const es_encoded_page_t *which,
    size_t n, int64_t wait_ms, es_scrub_t *scrub)
{
    es_rc_t              rc;
    es_encoded_eraser_t  e = { .pages = pages, .which = which, .n = n,
                               .slice = { ES_ENCODED_PRUNE / 4,
                                          ES_ENCODED_PRUNE / 4 } };

    do {
        rc = es_env_shrink(pages->env, es_encoded_erase_txn, &e, &e.slice);
        e.done = e.next;
    } while (rc == ES_OK && e.done < n);

    return rc == ES_OK ? es_env_scrub(pages->env, wait_ms, scrub) : rc;
}
