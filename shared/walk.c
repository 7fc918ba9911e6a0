#include <stdlib.h>

#include "walk.h"


static es_rc_t
es_walk_add_type(es_walk_t *walk, uint32_t number)
{
    size_t           i;
    es_walk_type_t  *types;

    for (i = 0; i < walk->ntypes; i++) {
        if (walk->types[i].number == number) {
            return ES_OK;
        }
    }

    /* So many types that following each would cost more than reading on. */

    if (walk->ntypes == ES_WALK_TYPES_MAX) {
        walk->all_types = true;
        return ES_OK;
    }

    types = realloc(walk->types, (walk->ntypes + 1) * sizeof(es_walk_type_t));
    if (types == NULL) {
        return ES_NOMEM;
    }

    walk->types = types;
    memset(&types[walk->ntypes], 0, sizeof(es_walk_type_t));
    types[walk->ntypes++].number = number;

    return ES_OK;
}


/* Numbers of the types that a pattern means. */

static es_rc_t
es_walk_pattern(es_walk_t *walk, const es_type_pattern_t *pattern)
{
    int          rc;
    MDB_val      key, val;
    es_rc_t      result;
    uint32_t     number;
    MDB_cursor  *cursor;

    rc = mdb_cursor_open(walk->txn->mdb,
                         es_env_dbi(walk->txn->store->log, ES_LOG_TYPES),
                         &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    key.mv_data = (void *) (uintptr_t) pattern->name.data;
    key.mv_size = pattern->name.len;

    if (key.mv_size == 0) {
        rc = mdb_cursor_get(cursor, &key, &val, MDB_FIRST);
    } else {
        rc = mdb_cursor_get(cursor, &key, &val,
                            pattern->prefix ? MDB_SET_RANGE : MDB_SET);
    }

    result = ES_OK;

    while (rc == 0
           && result == ES_OK
           && val.mv_size == sizeof(number)
           && key.mv_size >= pattern->name.len
           && memcmp(key.mv_data, pattern->name.data, pattern->name.len) == 0)
    {
        memcpy(&number, val.mv_data, sizeof(number));
        result = es_walk_add_type(walk, number);

        if (!pattern->prefix || walk->all_types) {
            break;
        }

        rc = mdb_cursor_get(cursor, &key, &val, MDB_NEXT);
    }

    mdb_cursor_close(cursor);

    if (rc != 0 && rc != MDB_NOTFOUND) {
        return es_env_rc(rc);
    }

    return result;
}


static es_rc_t
es_walk_type_at(es_walk_type_t *type, int mdb_rc, const MDB_val *value)
{
    type->first = 0;

    if (mdb_rc != 0) {
        return mdb_rc == MDB_NOTFOUND ? ES_OK : es_env_rc(mdb_rc);
    }

    if (value->mv_size != ES_BYTYPE_VALUE_LEN) {
        return ES_CORRUPT;
    }

    type->first = es_bytype_sequence(value->mv_data);
    type->more = es_bytype_more(value->mv_data);

    return ES_OK;
}


/* Moves a type's cursor to its first chunk at or after the one that begins
   with `from`. */

static es_rc_t
es_walk_seek_type(es_walk_t *walk, es_walk_type_t *type, uint64_t from)
{
    int      rc;
    uint8_t  key[ES_BYTYPE_KEY_LEN], value[ES_BYTYPE_VALUE_LEN];
    MDB_val  k, v;

    if (type->cursor == NULL) {
        rc = mdb_cursor_open(walk->txn->mdb,
                             es_env_dbi(walk->txn->store->log, ES_LOG_BYTYPE),
                             &type->cursor);
        if (rc != 0) {
            return es_env_rc(rc);
        }
    }

    es_bytype_key(walk->feed->number, type->number, key);
    es_bytype_from(from, value);
    k.mv_data = key;
    k.mv_size = sizeof(key);
    v.mv_data = value;
    v.mv_size = sizeof(value);

    rc = mdb_cursor_get(type->cursor, &k, &v, MDB_GET_BOTH_RANGE);

    return es_walk_type_at(type, rc, &v);
}


/* Moves it on by one. */

static es_rc_t
es_walk_step_type(es_walk_type_t *type)
{
    int      rc;
    MDB_val  k, v;

    rc = mdb_cursor_get(type->cursor, &k, &v, MDB_NEXT_DUP);

    return es_walk_type_at(type, rc, &v);
}


/* Moves it on past `position`, where a chunk ends: to the next one, mostly. */

static es_rc_t
es_walk_next_type(es_walk_t *walk, es_walk_type_t *type)
{
    es_rc_t  result;

    result = es_walk_step_type(type);

    if (result != ES_OK || type->first == 0 || type->first > walk->position) {
        return result;
    }

    return es_walk_seek_type(walk, type, walk->position + 1);
}


/* Where the types' first chunks are: one has its first event of a type before
   `after`, perhaps, and others after it. */

static es_rc_t
es_walk_seek_types(es_walk_t *walk, uint64_t after)
{
    size_t      i;
    es_rc_t     rc;
    uint64_t    from;
    es_chunk_t  chunk;

    rc = es_chunk_seek(walk->txn->events, walk->feed->number, after + 1,
                       false, &chunk);
    from = rc == ES_OK ? chunk.head->first : after + 1;

    if (rc == ES_NOT_FOUND) {
        rc = ES_OK;
    }

    for (i = 0; rc == ES_OK && i < walk->ntypes; i++) {
        rc = es_walk_seek_type(walk, &walk->types[i], from);
    }

    return rc;
}


es_rc_t
es_walk_open(es_walk_t *walk, es_txn_t *txn, const es_feed_t *feed,
    uint64_t after, const es_filter_t *filter, unsigned limit)
{
    es_rc_t   rc;
    unsigned  n;

    memset(walk, 0, offsetof(es_walk_t, found));
    walk->txn = txn;
    walk->feed = feed;
    walk->filter = filter;
    walk->limit = limit;
    walk->position = after;
    walk->all_types = filter == NULL || filter->ntypes == 0;

    if (filter != NULL && filter->by_subject) {
        walk->subject_hash = es_subject_hash(filter->subject);
    }

    for (n = 0; !walk->all_types && n < filter->ntypes; n++) {
        rc = es_walk_pattern(walk, &filter->types[n]);
        if (rc != ES_OK) {
            return rc;
        }
    }

    if (walk->all_types || filter->by_subject) {
        return ES_OK;
    }

    return es_walk_seek_types(walk, after);
}


void
es_walk_close(es_walk_t *walk)
{
    size_t  i;

    for (i = 0; i < walk->ntypes; i++) {
        if (walk->types[i].cursor != NULL) {
            mdb_cursor_close(walk->types[i].cursor);
        }
    }

    free(walk->types);
}


/* The first event of the next chunk that may match, by the types' index; 0:
   none. */

static es_rc_t
es_walk_least(es_walk_t *walk, uint64_t *least)
{
    size_t           i;
    es_rc_t          rc;
    es_walk_type_t  *type;

    *least = 0;

    for (i = 0; i < walk->ntypes; i++) {
        type = &walk->types[i];

        if (type->first != 0 && walk->open && type->first <= walk->position) {
            rc = es_walk_next_type(walk, type);
            if (rc != ES_OK) {
                return rc;
            }
        }

        if (type->first != 0 && (*least == 0 || type->first < *least)) {
            *least = type->first;
        }
    }

    return ES_OK;
}


/*
 * The next chunks of the only type.  They are far from each other: what each
 * is looked at for is fetched for all of them before it is looked at.
 */

static es_rc_t
es_walk_ahead(es_walk_t *walk)
{
    es_rc_t           rc;
    MDB_val           keys[ES_WALK_AHEAD], values[ES_WALK_AHEAD];
    unsigned          i, n, max;
    es_walk_type_t   *type;
    es_walk_ahead_t  *ahead;

    type = &walk->types[0];
    ahead = walk->ahead;
    max = walk->limit < ES_WALK_AHEAD ? walk->limit : ES_WALK_AHEAD;

    for (n = 0; n < max && type->first != 0; n++) {
        ahead[n].first = type->first;
        ahead[n].more = type->more;

        rc = es_chunk_find(walk->txn->events, walk->feed->number, type->first,
                           &keys[n], &values[n]);

        if (rc == ES_OK) {
            es_chunk_prefetch_entry(&keys[n], &values[n], type->first);
            rc = es_walk_step_type(type);
        }

        if (rc != ES_OK) {
            return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
        }
    }

    for (i = 0; i < n; i++) {
        rc = es_chunk_decode(walk->feed->number, keys[i].mv_data, &values[i],
                             walk->whole, &ahead[i].chunk);

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

        /* it is told when it is reached */

        rc = es_walk_seek_type(walk, type, ahead[i].first);
        if (rc != ES_OK) {
            return rc;
        }

        n = i;
    }

    walk->nahead = n;
    walk->ahead_taken = 0;

    return ES_OK;
}


static es_rc_t
es_walk_take(es_walk_t *walk, uint64_t from)
{
    es_rc_t                 rc;
    const es_walk_ahead_t  *ahead;

    if (walk->all_types || walk->ntypes != 1) {
        rc = es_chunk_seek(walk->txn->events, walk->feed->number, from,
                           walk->whole, &walk->chunk);
        return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
    }

    if (walk->ahead_taken == walk->nahead) {
        rc = es_walk_ahead(walk);
        if (rc != ES_OK) {
            return rc;
        }
    }

    ahead = &walk->ahead[walk->ahead_taken++];
    walk->chunk = ahead->chunk;
    walk->only = ahead->more ? 0 : ahead->first;

    if (ahead->first > walk->position + 1) {
        walk->position = ahead->first - 1;
    }

    return ES_OK;
}


/* Opens the chunk that holds the next event that may match. */

static es_rc_t
es_walk_chunk(es_walk_t *walk)
{
    es_rc_t   rc;
    uint64_t  from;

    if (walk->position >= walk->feed->last) {
        return ES_NOT_FOUND;
    }

    from = walk->position + 1;

    if (!walk->all_types && walk->ahead_taken == walk->nahead) {
        rc = es_walk_least(walk, &from);
        if (rc != ES_OK) {
            return rc;
        }

        if (from == 0) {
            walk->position = walk->feed->last;
            return ES_NOT_FOUND;
        }
    }

    rc = es_walk_take(walk, from);
    if (rc != ES_OK) {
        return rc;
    }

    if (walk->chunk.head->first > walk->position + 1) {
        walk->position = walk->chunk.head->first - 1;
    }

    if (walk->position >= walk->feed->last) {
        walk->position = walk->feed->last;
        return ES_NOT_FOUND;
    }

    walk->open = true;

    return ES_OK;
}


/* The next event from the i-th on, before the n-th, that is of a wanted type;
   n if none is. */

static uint32_t
es_walk_skip(const es_walk_t *walk, uint32_t i, uint32_t n)
{
    size_t    j;
    uint32_t  type;

    if (walk->all_types) {
        return i;
    }

    for ( /* void */ ; i < n; i++) {
        type = es_chunk_type(&walk->chunk, i);

        for (j = 0; j < walk->ntypes; j++) {
            if (walk->types[j].number == type) {
                return i;
            }
        }
    }

    return n;
}


/* The same, and all that was passed by counts as looked at. */

static uint32_t
es_walk_pass(es_walk_t *walk, uint32_t i, uint32_t n)
{
    uint32_t  to;

    to = es_walk_skip(walk, i, n);

    if (to > i) {
        walk->skipped += to - i;
        walk->position = walk->chunk.head->first + to - 1;
    }

    return to;
}


static bool
es_walk_matches(const es_walk_t *walk, const es_entry_t *entry, es_str_t text)
{
    es_str_t  part;

    if (walk->all_types && walk->filter != NULL && walk->filter->ntypes != 0) {
        part.data = text.data + entry->type_off;
        part.len = entry->type_len;

        if (!es_filter_type_matches(walk->filter, part)) {
            return false;
        }
    }

    if (walk->filter == NULL || !walk->filter->by_subject) {
        return true;
    }

    part.data = text.data + entry->subject_off;
    part.len = entry->subject_len;

    return entry->subject_hash == walk->subject_hash
           && es_str_eq(part, walk->filter->subject);
}


static es_rc_t
es_walk_text(es_walk_t *walk, uint32_t i, es_str_t *text)
{
    es_rc_t            rc;
    const es_entry_t  *entry;

    entry = &walk->chunk.entries[i];
    walk->position = walk->chunk.head->first + i;

    rc = es_chunk_text(&walk->chunk, i, text);
    if (rc != ES_OK) {
        return rc;
    }

    if (es_walk_skip(walk, i, i + 1) != i
        || !es_walk_matches(walk, entry, *text))
    {
        walk->skipped++;
        return ES_NOT_FOUND;
    }

    return walk->whole || es_event_hash(text->data, text->len) == entry->hash
           ? ES_OK : ES_CORRUPT;
}


/* The next event of the subject, in its chunk. */

static es_rc_t
es_walk_subject(es_walk_t *walk, uint32_t *index)
{
    es_rc_t            rc;
    unsigned           max;
    const es_found_t  *found;

    if (walk->taken == walk->nfound) {
        max = walk->limit < ES_WALK_SUBJECTS ? walk->limit : ES_WALK_SUBJECTS;
        walk->taken = 0;

        rc = es_subject_find(walk->txn, walk->feed, walk->filter->subject,
                             walk->position, walk->found, max, &walk->nfound);
        if (rc != ES_OK) {
            return rc;
        }

    }

    found = &walk->found[walk->taken];

    if (walk->nfound == 0 || found->sequence > walk->feed->last) {
        walk->position = walk->feed->last;
        return ES_NOT_FOUND;
    }

    walk->taken++;
    walk->chunk = found->chunk;
    *index = (uint32_t) (found->sequence - walk->chunk.head->first);

    return ES_OK;
}


static es_rc_t
es_walk_next_subject(es_walk_t *walk, uint32_t *index, es_str_t *text)
{
    es_rc_t  rc;

    do {
        if (walk->skipped >= ES_WALK_EVENTS) {
            return ES_NOT_FOUND;
        }

        rc = es_walk_subject(walk, index);
        if (rc != ES_OK) {
            return rc;
        }

        rc = es_walk_text(walk, *index, text);

    } while (rc == ES_NOT_FOUND);

    return rc;
}


es_rc_t
es_walk_next(es_walk_t *walk, uint32_t *index, es_str_t *text)
{
    es_rc_t   rc;
    uint32_t  i, n;

    if (walk->filter != NULL && walk->filter->by_subject) {
        return es_walk_next_subject(walk, index, text);
    }

    for ( ;; ) {
        if (!walk->open || walk->position >= walk->chunk.last
            || walk->position >= walk->feed->last
            || (walk->only != 0 && walk->position >= walk->only))
        {
            if (walk->skipped >= ES_WALK_EVENTS) {
                return ES_NOT_FOUND;
            }

            rc = es_walk_chunk(walk);
            if (rc != ES_OK) {
                return rc;
            }
        }

        i = (uint32_t) (walk->position + 1 - walk->chunk.head->first);
        n = walk->chunk.head->count;

        if (walk->chunk.last > walk->feed->last) {
            n -= (uint32_t) (walk->chunk.last - walk->feed->last);
        }

        while ((i = es_walk_pass(walk, i, n)) < n) {
            rc = es_walk_text(walk, i, text);

            if (rc != ES_NOT_FOUND) {
                *index = i;
                return rc;
            }

            i++;
        }
    }
}


es_rc_t
es_event_parts(const es_feed_t *feed, const es_chunk_t *chunk, uint32_t i,
    es_str_t text, es_event_t *event)
{
    size_t             len, prev;
    const es_entry_t  *entry;

    entry = &chunk->entries[i];

    event->json = text;
    event->sequence = chunk->head->first + i;
    event->time_ms = chunk->head->time_ms;

    len = entry->mid + es_mid_len(feed->epoch, event->sequence);
    if (len > text.len) {
        return ES_CORRUPT;
    }

    event->cursor.data = text.data + entry->mid + es_mid_cursor();
    event->cursor.len = es_cursor_len(feed->epoch, event->sequence);

    prev = es_cursor_len(feed->epoch, event->sequence - 1);

    event->before.data = text.data;
    event->before.len = len - 1 - prev;
    event->after.data = text.data + len - 1;
    event->after.len = text.len - (len - 1);

    event->id.data = text.data + ES_ID_OFFSET;
    event->id.len = entry->id_len;
    event->type.data = text.data + entry->type_off;
    event->type.len = entry->type_len;
    event->subject.data = text.data + entry->subject_off;
    event->subject.len = entry->subject_len;

    return ES_OK;
}
