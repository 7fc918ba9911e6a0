/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds the chunks that have events of some types, in order.
 *
 * A type's entries for a feed are contiguous in the map, some hundred on a
 * page.  They are read there, and LMDB is asked for the first of them only.
 */

#include <stdlib.h>

#include "log/chunk.h"
#include "read/walk.h"
#include "store/env.h"


/* ---- one type's entries ---- */


/* Takes the next entry of the map. */

static void
es_type_take(const es_walk_t *walk, es_walk_type_t *type)
{
    type->first = es_bytype_sequence(type->at);
    type->more = es_bytype_more(type->at);
    type->at += ES_BYTYPE_VALUE_LEN;

    if (type->first > walk->feed->last) {
        type->first = 0;
        type->at = type->end;
        type->ended = true;
    }
}


/* Goes to the type's first chunk at or after the one that begins with
   `from`. */

static es_rc_t
es_type_seek(es_walk_t *walk, es_walk_type_t *type, uint64_t from)
{
    int             rc;
    size_t          n;
    uint8_t         key[ES_BYTYPE_KEY_LEN], value[ES_BYTYPE_VALUE_LEN];
    MDB_val         k, v, all;
    const uint8_t  *start;

    type->first = 0;
    type->at = type->end = NULL;
    type->ended = true;

    es_bytype_key(walk->feed->number, type->number, key);
    es_bytype_from(from, value);
    k.mv_data = key;
    k.mv_size = sizeof(key);
    v.mv_data = value;
    v.mv_size = sizeof(value);

    rc = mdb_cursor_get(walk->bytype, &k, &v, MDB_GET_BOTH_RANGE);
    if (rc != 0) {
        return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
    }

    if (v.mv_size != ES_BYTYPE_VALUE_LEN) {
        return ES_CORRUPT;
    }

    /* All entries on the same page; LMDB returns none for a single one. */

    all = v;

    rc = mdb_cursor_get(walk->bytype, &k, &all, MDB_GET_MULTIPLE);

    if (rc == 0) {
        rc = mdb_cursor_count(walk->bytype, &n);
    }

    if (rc != 0) {
        return es_env_rc(rc);
    }

    start = all.mv_data;
    type->at = v.mv_data;
    type->end = start + all.mv_size;
    type->ended = all.mv_size == n * ES_BYTYPE_VALUE_LEN;

    if (type->at < start || type->at >= type->end
        || (size_t) (type->end - type->at) % ES_BYTYPE_VALUE_LEN != 0)
    {
        return ES_CORRUPT;
    }

    es_type_take(walk, type);

    return ES_OK;
}


/* Goes on by one chunk. */

static es_rc_t
es_type_step(es_walk_t *walk, es_walk_type_t *type)
{
    if (type->at < type->end) {
        es_type_take(walk, type);
        return ES_OK;
    }

    if (type->ended) {
        type->first = 0;
        return ES_OK;
    }

    return es_type_seek(walk, type, type->first + 1);
}


/* Goes on to the first chunk at or after the one that begins with `from`. */

static es_rc_t
es_type_forward(es_walk_t *walk, es_walk_type_t *type, uint64_t from)
{
    size_t          low, high, middle;
    const uint8_t  *at;

    if (type->first == 0 || type->first >= from) {
        return ES_OK;
    }

    low = 0;
    high = (size_t) (type->end - type->at) / ES_BYTYPE_VALUE_LEN;

    while (low < high) {
        middle = (low + high) / 2;
        at = type->at + middle * ES_BYTYPE_VALUE_LEN;

        if (es_bytype_sequence(at) < from) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    type->at += low * ES_BYTYPE_VALUE_LEN;

    if (type->at == type->end && !type->ended) {
        return es_type_seek(walk, type, from);
    }

    return es_type_step(walk, type);
}


/* The current chunk may have no further event after walk->position. */

static es_rc_t
es_type_pass(es_walk_t *walk, es_walk_type_t *type)
{
    return type->first != 0 && type->first <= walk->position && !type->more
           ? es_type_step(walk, type) : ES_OK;
}


/* ---- all types ---- */


es_rc_t
es_types_add(es_walk_t *walk, uint32_t number, uint64_t from)
{
    size_t           cap;
    es_rc_t          rc;
    es_walk_type_t   type, *types;

    type.number = number;

    rc = es_type_seek(walk, &type, from);

    if (rc == ES_OK) {
        rc = es_type_pass(walk, &type);
    }

    if (rc != ES_OK || type.first == 0) {
        return rc;
    }

    if (walk->ntypes == walk->types_cap) {
        cap = walk->types_cap ? walk->types_cap * 4 : 16;

        types = realloc(walk->types, cap * sizeof(es_walk_type_t));
        if (types == NULL) {
            return ES_NOMEM;
        }

        walk->types = types;
        walk->types_cap = cap;
    }

    walk->types[walk->ntypes++] = type;

    return walk->ntypes > ES_WALK_TYPES_MAX ? ES_TOO_LARGE : ES_OK;
}


es_rc_t
es_types_from(const es_walk_t *walk, uint64_t *from)
{
    es_rc_t     rc;
    MDB_val     key, value;
    es_chunk_t  chunk;

    *from = walk->position + 1;

    rc = es_chunk_find(walk->txn->events, walk->feed->number, *from, &key,
                       &value);

    if (rc == ES_OK) {
        rc = es_chunk_look(walk->feed->number, key.mv_data, &value, &chunk);
    }

    if (rc == ES_OK && chunk.head->first < *from) {
        *from = chunk.head->first;
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


void
es_types_close(es_walk_t *walk)
{
    if (walk->bytype != NULL) {
        mdb_cursor_close(walk->bytype);
    }

    free(walk->types);
}


bool
es_types_has(const es_walk_t *walk, uint32_t number)
{
    size_t  low, high, middle;

    for (low = 0, high = walk->ntypes; low < high; ) {
        middle = (low + high) / 2;

        if (walk->types[middle].number < number) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    return low < walk->ntypes && walk->types[low].number == number;
}


uint64_t
es_types_least(const es_walk_t *walk)
{
    size_t    i;
    uint64_t  least, first;

    least = UINT64_MAX;

    for (i = 0; i < walk->ntypes; i++) {
        first = walk->types[i].first;

        /* without any, the number before 0, which is no smaller */

        least = first - 1 < least - 1 ? first : least;
    }

    return least == UINT64_MAX ? 0 : least;
}


/* Finds the chunk with the least of the types' next events, and moves every
   type in it past it. */

static es_rc_t
es_types_visit(es_walk_t *walk, uint64_t least, es_walk_ahead_t *ahead,
    MDB_val *key, MDB_val *value)
{
    size_t           i;
    es_rc_t          rc;
    uint64_t         last;
    unsigned         n;
    es_walk_type_t  *type;

    rc = es_chunk_find(walk->txn->events, walk->feed->number, least, key,
                       value);
    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
    }

    last = es_event_key_last(key->mv_data);
    ahead->first = least;
    ahead->more = false;

    for (i = n = 0; rc == ES_OK && i < walk->ntypes; i++) {
        type = &walk->types[i];

        if (type->first != 0 && type->first <= last) {
            ahead->more |= type->more || n++ > 0;
            rc = es_type_step(walk, type);
        }
    }

    return rc;
}


/*
 * The chunks are far apart, so the entries of all of them are prefetched
 * before the first is read.
 */

es_rc_t
es_types_ahead(es_walk_t *walk)
{
    es_rc_t           rc;
    MDB_val           keys[ES_WALK_AHEAD], values[ES_WALK_AHEAD];
    uint64_t          least;
    unsigned          i, n, max;
    es_walk_ahead_t  *ahead;

    ahead = walk->ahead;
    max = walk->given < walk->limit ? walk->limit - walk->given : 1;
    max = max < ES_WALK_AHEAD ? max : ES_WALK_AHEAD;

    for (n = 0; n < max && (least = es_types_least(walk)) != 0; n++) {
        rc = es_types_visit(walk, least, &ahead[n], &keys[n], &values[n]);
        if (rc != ES_OK) {
            return rc;
        }

        es_chunk_prefetch_entry(&keys[n], &values[n], least);
        es_walk_advise(walk, &values[n]);
    }

    for (i = 0; i < n; i++) {
        rc = es_chunk_look(walk->feed->number, keys[i].mv_data, &values[i],
                           &ahead[i].chunk);

        if (rc == ES_OK && ahead[i].chunk.head->first > ahead[i].first) {
            rc = ES_CORRUPT;
        }

        if (rc == ES_OK) {
            es_chunk_prefetch_text(&ahead[i].chunk, ahead[i].first);
            continue;
        }

        if (i == 0) {
            return rc;
        }

        /* the caller gets the error when it reaches this chunk */

        for (n = 0; n < walk->ntypes; n++) {
            rc = es_type_seek(walk, &walk->types[n], ahead[i].first);
            if (rc != ES_OK) {
                return rc;
            }
        }

        n = i;
    }

    walk->nahead = n;
    walk->ahead_taken = 0;
    es_walk_looked(walk, n);

    return ES_OK;
}


es_rc_t
es_types_skip(es_walk_t *walk)
{
    size_t    i;
    es_rc_t   rc;
    uint64_t  from;

    walk->nahead = 0;
    walk->ahead_taken = 0;

    rc = es_types_from(walk, &from);

    for (i = 0; rc == ES_OK && i < walk->ntypes; i++) {
        rc = es_type_forward(walk, &walk->types[i], from);

        if (rc == ES_OK) {
            rc = es_type_pass(walk, &walk->types[i]);
        }
    }

    return rc;
}


/* Returns an event up to which one type has `n` chunks. */

static es_rc_t
es_type_reach(es_walk_t *walk, es_walk_type_t *type, size_t n,
    uint64_t *reach)
{
    es_rc_t         rc;
    size_t          have;
    es_walk_type_t  next;

    if (n == 1) {
        *reach = type->first;
        return ES_OK;
    }

    have = (size_t) (type->end - type->at) / ES_BYTYPE_VALUE_LEN;

    if (have >= n - 1) {
        *reach = es_bytype_sequence(type->at
                                    + (n - 2) * ES_BYTYPE_VALUE_LEN);
        return ES_OK;
    }

    *reach = have > 0 ? es_bytype_sequence(type->end - ES_BYTYPE_VALUE_LEN)
                      : type->first;

    if (!type->ended) {
        next = *type;

        rc = es_type_seek(walk, &next, *reach + 1);
        if (rc != ES_OK) {
            return rc;
        }

        type->ended = next.first == 0;
    }

    if (type->ended) {
        *reach = UINT64_MAX;
    }

    return ES_OK;
}


es_rc_t
es_types_reach(es_walk_t *walk, unsigned n, uint64_t *reach)
{
    size_t    i, each;
    es_rc_t   rc;
    uint64_t  one;

    *reach = UINT64_MAX;
    each = (n + walk->ntypes - 1) / walk->ntypes;

    for (i = 0; i < walk->ntypes; i++) {
        if (walk->types[i].first == 0) {
            continue;
        }

        rc = es_type_reach(walk, &walk->types[i], each, &one);
        if (rc != ES_OK) {
            return rc;
        }

        *reach = one < *reach ? one : *reach;
    }

    if (*reach > walk->feed->last) {
        *reach = UINT64_MAX;
    }

    return ES_OK;
}
