/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds the types of a filter that a feed has.
 *
 * Types are numbered for the whole store.  The types of other feeds must not
 * cost this one much, so the search works from both ends: from the names of
 * the store and from the numbers of the feed.
 */

#include "event/filter.h"
#include "log/chunk.h"
#include "read/walk.h"
#include "store/env.h"
#include "store/store.h"

/* Numbers of types, sorted. */
typedef struct {
    unsigned  n;
    uint32_t  list[ES_WALK_NAMES_MAX];
} es_numbers_t;


/* ---- the types of the filter ---- */


/* ES_TOO_LARGE: there is no room for one more. */

static es_rc_t
es_numbers_add(es_numbers_t *numbers, const MDB_val *value)
{
    uint32_t  number;
    unsigned  low, high, middle;

    if (value->mv_size != sizeof(number)) {
        return ES_CORRUPT;
    }

    memcpy(&number, value->mv_data, sizeof(number));

    for (low = 0, high = numbers->n; low < high; ) {
        middle = (low + high) / 2;

        if (numbers->list[middle] < number) {
            low = middle + 1;

        } else {
            high = middle;
        }
    }

    if (low < numbers->n && numbers->list[low] == number) {
        return ES_OK;
    }

    if (numbers->n == ES_WALK_NAMES_MAX) {
        return ES_TOO_LARGE;
    }

    memmove(&numbers->list[low + 1], &numbers->list[low],
            (numbers->n - low) * sizeof(number));
    numbers->list[low] = number;
    numbers->n++;

    return ES_OK;
}


/* Finds the numbers of the types of a pattern, in any feed. */

static es_rc_t
es_types_pattern(MDB_cursor *names, const es_type_pattern_t *pattern,
    es_numbers_t *numbers)
{
    int      rc;
    MDB_val  key, value;
    es_rc_t  result;

    key.mv_data = (void *) (uintptr_t) pattern->name.data;
    key.mv_size = pattern->name.len;

    rc = mdb_cursor_get(names, &key, &value,
                        pattern->prefix ? MDB_SET_RANGE : MDB_SET);

    while (rc == 0
           && key.mv_size >= pattern->name.len
           && memcmp(key.mv_data, pattern->name.data, pattern->name.len) == 0)
    {
        result = es_numbers_add(numbers, &value);

        if (result != ES_OK || !pattern->prefix) {
            return result;
        }

        rc = mdb_cursor_get(names, &key, &value, MDB_NEXT);
    }

    return rc == 0 || rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static es_rc_t
es_types_numbers(const es_walk_t *walk, es_numbers_t *numbers)
{
    int          rc;
    es_rc_t      result;
    unsigned     i;
    MDB_cursor  *names;

    rc = mdb_cursor_open(walk->txn->mdb,
                         es_env_dbi(walk->txn->store->log, ES_LOG_TYPES),
                         &names);
    result = es_env_rc(rc);
    numbers->n = 0;

    for (i = 0; result == ES_OK && i < walk->filter->ntypes; i++) {
        result = es_types_pattern(names, &walk->filter->types[i], numbers);
    }

    if (rc == 0) {
        mdb_cursor_close(names);
    }

    return result;
}


/* ---- those that the feed has ---- */


/* Finds the feed's first type with this number or a higher one.
   ES_NOT_FOUND: there is none. */

static es_rc_t
es_types_own(es_walk_t *walk, uint32_t from, uint32_t *number)
{
    int      rc;
    uint8_t  bytes[ES_BYTYPE_KEY_LEN];
    MDB_val  key, value;

    es_bytype_key(walk->feed->number, from, bytes);
    key.mv_data = bytes;
    key.mv_size = sizeof(bytes);

    rc = mdb_cursor_get(walk->bytype, &key, &value, MDB_SET_RANGE);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    if (key.mv_size != ES_BYTYPE_KEY_LEN) {
        return ES_CORRUPT;
    }

    *number = es_bytype_key_type(key.mv_data);

    return es_bytype_key_feed(key.mv_data) == walk->feed->number
           ? ES_OK : ES_NOT_FOUND;
}


/*
 * Keeps those of the numbers that the feed has.  Where it lacks one, the index
 * says which is its next, so that only the fewer of both are examined.
 */

static es_rc_t
es_types_join(es_walk_t *walk, const es_numbers_t *numbers, uint64_t from)
{
    size_t    had;
    es_rc_t   rc;
    unsigned  i;
    uint32_t  own;

    rc = ES_OK;
    own = 0;

    for (i = 0; rc == ES_OK && i < numbers->n; ) {
        had = walk->ntypes;
        rc = es_types_add(walk, numbers->list[i++], from);

        if (rc != ES_OK || walk->ntypes > had || i == numbers->n) {
            continue;
        }

        rc = es_types_own(walk, numbers->list[i], &own);

        while (rc == ES_OK && i < numbers->n && numbers->list[i] < own) {
            i++;
        }
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


/* Reads the name of a type from the last chunk that begins with it, because
   that is more likely in memory than the first. */

static es_rc_t
es_types_name(es_walk_t *walk, es_str_t *name)
{
    int                rc;
    es_rc_t            result;
    MDB_val            key, value;
    uint32_t           i;
    uint64_t           sequence;
    es_str_t           text;
    es_chunk_t         chunk;
    const es_entry_t  *entry;

    rc = mdb_cursor_get(walk->bytype, &key, &value, MDB_LAST_DUP);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    if (value.mv_size != ES_BYTYPE_VALUE_LEN) {
        return ES_CORRUPT;
    }

    sequence = es_bytype_sequence(value.mv_data);

    result = es_chunk_seek(walk->txn->events, walk->feed->number, sequence,
                           false, &chunk);
    if (result != ES_OK || chunk.head->first > sequence) {
        return result == ES_OK || result == ES_NOT_FOUND ? ES_CORRUPT : result;
    }

    es_walk_looked(walk, 1);

    i = (uint32_t) (sequence - chunk.head->first);
    entry = &chunk.entries[i];

    result = es_chunk_text(&chunk, i, &text);
    if (result == ES_OK) {
        name->data = text.data + entry->type_off;
        name->len = entry->type_len;
    }

    return result;
}


/* The same from the other end, for a store with very many types of these
   names: examines each type of the feed by its name. */

static es_rc_t
es_types_of_feed(es_walk_t *walk, uint64_t from)
{
    es_rc_t   rc;
    unsigned  n;
    uint32_t  number;
    es_str_t  name;

    number = 0;
    name = es_null_str;

    for (n = 0; n <= ES_WALK_TYPES_MAX; n++, number++) {
        rc = es_types_own(walk, number, &number);

        if (rc == ES_OK) {
            rc = es_types_name(walk, &name);
        }

        if (rc == ES_OK && es_filter_type_matches(walk->filter, name)) {
            rc = es_types_add(walk, number, from);
        }

        if (rc != ES_OK) {
            return rc == ES_NOT_FOUND ? ES_OK : rc;
        }
    }

    return ES_TOO_LARGE;
}


es_rc_t
es_types_open(es_walk_t *walk)
{
    int           rc;
    es_rc_t       result;
    uint64_t      from;
    es_numbers_t  numbers;

    result = es_types_numbers(walk, &numbers);

    if (result == ES_OK && numbers.n == 0) {
        return ES_OK;
    }

    if (result != ES_OK && result != ES_TOO_LARGE) {
        return result;
    }

    rc = mdb_cursor_open(walk->txn->mdb,
                         es_env_dbi(walk->txn->store->log, ES_LOG_BYTYPE),
                         &walk->bytype);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    rc = es_types_from(walk, &from);
    if (rc != ES_OK) {
        return rc;
    }

    result = result == ES_OK ? es_types_join(walk, &numbers, from)
                             : es_types_of_feed(walk, from);

    if (result == ES_TOO_LARGE) {
        walk->all_types = true;
        return ES_OK;
    }

    return result;
}
