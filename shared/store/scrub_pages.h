/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Walks the pages of a database, for scrub.c.
 *
 * The walk reads pages in the map within a read transaction, in the order of
 * keys, and finds those with old bytes in their unused part.
 */

#ifndef ES_SCRUB_PAGES_H
#define ES_SCRUB_PAGES_H

#include <lmdb.h>

#include "base/base.h"

#define ES_SCRUB_KEY_MAX  511

/* A record of a page; a put of it rewrites the page. */
typedef struct {
    size_t   key_len;
    size_t   value_len;                    /* of sorted duplicates only */
    uint8_t  key[ES_SCRUB_KEY_MAX + 1];
    uint8_t  value[16];
} es_scrub_item_t;

/* Where a walk is.  Zeroed: at the beginning. */
typedef struct {
    bool             begun;
    bool             done;
    es_scrub_item_t  last;                 /* the walk goes on after it */
} es_scrub_place_t;

/*
 * Finds up to `max` pages of the database `name` after the place, and moves the
 * place.  ES_FORMAT: the pages are not laid out as this program knows.
 */
es_rc_t es_scrub_walk(MDB_txn *txn, MDB_dbi dbi, const char *name,
    es_scrub_place_t *place, es_scrub_item_t *items, unsigned max,
    unsigned *n);

/* `*has`: a branch page on the way to `key` has it. */
es_rc_t es_scrub_bound(MDB_txn *txn, MDB_dbi dbi, const char *name,
    es_str_t key, bool *has);

#endif /* ES_SCRUB_PAGES_H */
