#include <stdlib.h>

#include "chunk.h"
#include "reader.h"

#define ES_WALK_EVENTS  20000    /* looked at in vain before a page ends */

/* One type's chunks, in order: a cursor on its entries in the type index. */
typedef struct {
    MDB_cursor  *cursor;
    uint32_t     number;
    uint64_t     chunk;        /* last sequence of its next chunk; 0: none */
} es_walk_type_t;

#define ES_WALK_TYPES_MAX  256

/* A walk along the events that match a filter. */
typedef struct {
    es_txn_t           *txn;
    const es_feed_t    *feed;
    const es_filter_t  *filter;
    bool                whole;         /* verify whole chunks, not events */
    bool                open;          /* `chunk` is a chunk */
    es_chunk_t          chunk;
    uint64_t            position;      /* every event up to it was looked at */
    unsigned            skipped;       /* events in vain */
    uint32_t            subject_hash;
    size_t              ntypes;
    es_walk_type_t     *types;
    bool                all_types;
} es_walk_t;

static es_rc_t es_walk_open(es_walk_t *walk, es_txn_t *txn,
    const es_feed_t *feed, uint64_t after, const es_filter_t *filter);
static void es_walk_close(es_walk_t *walk);
static es_rc_t es_walk_next(es_walk_t *walk, uint32_t *index, es_str_t *text);
static es_rc_t es_page_plain(es_txn_t *txn, const es_feed_t *feed,
    uint64_t after, unsigned limit, size_t bytes_max, es_page_t *page);
static es_rc_t es_page_filtered(es_txn_t *txn, const es_feed_t *feed,
    uint64_t after, es_str_t after_text, unsigned limit, size_t bytes_max,
    const es_filter_t *filter, es_page_t *page);


static es_rc_t
es_page_slice(es_page_t *page, const char *data, size_t len)
{
    size_t     cap;
    es_str_t  *slices;

    if (page->nslices == page->slices_cap) {
        cap = page->slices_cap ? page->slices_cap * 2 : 32;

        slices = realloc(page->slices, cap * sizeof(es_str_t));
        if (slices == NULL) {
            return ES_NOMEM;
        }

        page->slices = slices;
        page->slices_cap = cap;
    }

    page->slices[page->nslices].data = data;
    page->slices[page->nslices].len = len;
    page->nslices++;
    page->bytes += len;

    return ES_OK;
}


static es_rc_t
es_page_ends(es_page_t *page, unsigned count)
{
    size_t   cap;
    size_t  *ends;

    if (count <= page->ends_cap) {
        return ES_OK;
    }

    cap = page->ends_cap ? page->ends_cap * 2 : 128;
    cap = cap < count ? count : cap;

    ends = realloc(page->ends, cap * sizeof(size_t));
    if (ends == NULL) {
        return ES_NOMEM;
    }

    page->ends = ends;
    page->ends_cap = cap;

    return ES_OK;
}


es_rc_t
es_page_read(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    es_str_t after_text, unsigned limit, size_t bytes_max,
    const es_filter_t *filter, es_page_t *page)
{
    page->nslices = 0;
    page->bytes = 0;
    page->count = 0;
    page->first = 0;
    page->last = 0;
    page->next = after;
    page->has_more = after < feed->last;

    if (after >= feed->last || limit == 0) {
        return ES_OK;
    }

    if (limit > feed->last - after) {
        limit = (unsigned) (feed->last - after);
    }

    if (es_filter_is_all(filter)) {
        return es_page_plain(txn, feed, after, limit, bytes_max, page);
    }

    return es_page_filtered(txn, feed, after, after_text, limit, bytes_max,
                            filter, page);
}


/* Takes events [i, n) of a chunk as one slice. */

static es_rc_t
es_page_run(es_page_t *page, const es_chunk_t *chunk, uint32_t i, uint32_t n)
{
    size_t    base, start;
    es_rc_t   rc;
    uint32_t  j;

    if (page->count > 0) {
        rc = es_page_slice(page, ",", 1);
        if (rc != ES_OK) {
            return rc;
        }
    }

    rc = es_page_ends(page, page->count + (n - i));
    if (rc != ES_OK) {
        return rc;
    }

    start = i == 0 ? 0 : chunk->entries[i - 1].end + 1;
    base = page->bytes;

    for (j = i; j < n; j++) {
        page->ends[page->count++] = base + chunk->entries[j].end - start;
    }

    return es_page_slice(page, chunk->body + start,
                         chunk->entries[n - 1].end - start);
}


/* Whole runs of chunks; the chunk's hash has covered the entries. */

static es_rc_t
es_page_plain(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    unsigned limit, size_t bytes_max, es_page_t *page)
{
    size_t      start;
    es_rc_t     rc;
    uint32_t    i, n;
    es_chunk_t  chunk;

    page->first = after + 1;

    rc = es_chunk_seek(txn->events, feed->number, after + 1, true, &chunk);

    while (rc == ES_OK) {
        if (chunk.head->first > page->next + 1) {
            return ES_CORRUPT;
        }

        i = (uint32_t) (page->next + 1 - chunk.head->first);
        start = i == 0 ? 0 : chunk.entries[i - 1].end + 1;

        for (n = i; n < chunk.head->count; n++) {
            if (page->count + (n - i) == limit
                || (page->count + (n - i) > 0
                    && page->bytes + 1 + chunk.entries[n].end - start
                       > bytes_max))
            {
                break;
            }
        }

        if (n > i) {
            rc = es_page_run(page, &chunk, i, n);
            if (rc != ES_OK) {
                return rc;
            }

            page->next = chunk.head->first + n - 1;
        }

        if (n < chunk.head->count || page->count == limit
            || page->next == feed->last)
        {
            break;
        }

        rc = es_chunk_next(txn->events, feed->number, true, &chunk);
    }

    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
    }

    page->last = page->next;
    page->has_more = page->next < feed->last;

    return ES_OK;
}


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


/* Moves a type's cursor to its first chunk that ends at or after `from`. */

static es_rc_t
es_walk_seek_type(es_walk_t *walk, es_walk_type_t *type, uint64_t from)
{
    int      rc;
    uint8_t  key[ES_BYTYPE_KEY_LEN], value[8];
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
    es_be64(from, value);
    k.mv_data = key;
    k.mv_size = sizeof(key);
    v.mv_data = value;
    v.mv_size = sizeof(value);

    rc = mdb_cursor_get(type->cursor, &k, &v, MDB_GET_BOTH_RANGE);
    if (rc == MDB_NOTFOUND) {
        type->chunk = 0;
        return ES_OK;
    }

    if (rc != 0) {
        return es_env_rc(rc);
    }

    if (v.mv_size != sizeof(value)) {
        return ES_CORRUPT;
    }

    type->chunk = es_be64_get(v.mv_data);

    return ES_OK;
}


static es_rc_t
es_walk_open(es_walk_t *walk, es_txn_t *txn, const es_feed_t *feed,
    uint64_t after, const es_filter_t *filter)
{
    size_t    i;
    es_rc_t   rc;
    unsigned  n;

    memset(walk, 0, sizeof(es_walk_t));
    walk->txn = txn;
    walk->feed = feed;
    walk->filter = filter;
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

    for (i = 0; !walk->all_types && i < walk->ntypes; i++) {
        rc = es_walk_seek_type(walk, &walk->types[i], after + 1);
        if (rc != ES_OK) {
            return rc;
        }
    }

    return ES_OK;
}


static void
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


/* Opens the chunk that holds the next event that may match. */

static es_rc_t
es_walk_chunk(es_walk_t *walk)
{
    size_t           i;
    es_rc_t          rc;
    uint64_t         from;
    es_walk_type_t  *type;

    if (walk->position >= walk->feed->last) {
        return ES_NOT_FOUND;
    }

    from = walk->position + 1;

    if (!walk->all_types) {
        from = 0;

        for (i = 0; i < walk->ntypes; i++) {
            type = &walk->types[i];

            if (type->chunk != 0 && type->chunk <= walk->position) {
                rc = es_walk_seek_type(walk, type, walk->position + 1);
                if (rc != ES_OK) {
                    return rc;
                }
            }

            if (type->chunk != 0 && (from == 0 || type->chunk < from)) {
                from = type->chunk;
            }
        }

        if (from == 0) {
            walk->position = walk->feed->last;
            return ES_NOT_FOUND;
        }
    }

    rc = es_chunk_seek(walk->txn->events, walk->feed->number, from,
                       walk->whole, &walk->chunk);
    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
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


static bool
es_walk_matches(const es_walk_t *walk, const es_entry_t *entry, es_str_t text)
{
    size_t    i;
    es_str_t  part;

    if (!walk->all_types) {
        for (i = 0; walk->types[i].number != entry->type; i++) {
            if (i + 1 == walk->ntypes) {
                return false;
            }
        }

    } else if (walk->filter != NULL && walk->filter->ntypes != 0) {
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


/*
 * The next matching event: its index in walk->chunk and its text.
 * ES_NOT_FOUND: none up to walk->position.
 */

static es_rc_t
es_walk_next(es_walk_t *walk, uint32_t *index, es_str_t *text)
{
    es_rc_t   rc;
    uint32_t  i;

    for ( ;; ) {
        if (!walk->open || walk->position >= walk->chunk.last
            || walk->position >= walk->feed->last)
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

        for ( /* void */ ;
             i < walk->chunk.head->count
                 && walk->position < walk->feed->last;
             i++)
        {
            rc = es_chunk_text(&walk->chunk, i, text);
            if (rc != ES_OK) {
                return rc;
            }

            walk->position = walk->chunk.head->first + i;

            if (es_walk_matches(walk, &walk->chunk.entries[i], *text)) {
                *index = i;

                return walk->whole
                       || es_event_hash(text->data, text->len)
                          == walk->chunk.entries[i].hash
                       ? ES_OK : ES_CORRUPT;
            }

            walk->skipped++;
        }
    }
}


static es_rc_t
es_event_parts(const es_feed_t *feed, const es_chunk_t *chunk, uint32_t i,
    es_str_t text, es_event_t *event)
{
    char               cursor[ES_CURSOR_MAX];
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
    event->cursor.len = es_cursor_print(feed->epoch, event->sequence, cursor);

    prev = es_cursor_print(feed->epoch, event->sequence - 1, cursor);

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


static es_rc_t
es_page_event(es_page_t *page, const es_event_t *event, es_str_t prev)
{
    es_rc_t  rc;

    rc = es_page_ends(page, page->count + 1);

    if (rc == ES_OK && page->count > 0) {
        rc = es_page_slice(page, ",", 1);
    }

    if (rc == ES_OK) {
        rc = es_page_slice(page, event->before.data, event->before.len);
    }

    if (rc == ES_OK) {
        rc = es_page_slice(page, prev.data, prev.len);
    }

    if (rc == ES_OK) {
        rc = es_page_slice(page, event->after.data, event->after.len);
    }

    if (rc == ES_OK) {
        page->ends[page->count++] = page->bytes;
    }

    return rc;
}


static es_rc_t
es_page_filtered(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    es_str_t after_text, unsigned limit, size_t bytes_max,
    const es_filter_t *filter, es_page_t *page)
{
    es_rc_t     rc;
    uint32_t    i;
    es_str_t    text, prev;
    es_walk_t   walk;
    es_event_t  event;

    prev = after_text;

    rc = es_walk_open(&walk, txn, feed, after, filter);

    while (rc == ES_OK && page->count < limit) {
        rc = es_walk_next(&walk, &i, &text);

        if (rc == ES_NOT_FOUND) {
            page->next = walk.position;
            break;
        }

        if (rc == ES_OK) {
            rc = es_event_parts(feed, &walk.chunk, i, text, &event);
        }

        if (rc == ES_OK && page->count > 0
            && page->bytes + text.len + ES_CURSOR_MAX > bytes_max)
        {
            break;
        }

        if (rc == ES_OK) {
            rc = es_page_event(page, &event, prev);
        }

        if (rc == ES_OK) {
            prev = event.cursor;
            page->first = page->count == 1 ? event.sequence : page->first;
            page->last = event.sequence;
            page->next = event.sequence;
        }
    }

    es_walk_close(&walk);

    page->has_more = page->next < feed->last;

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


char *
es_page_copy(const es_page_t *page, char *out)
{
    size_t  i;

    for (i = 0; i < page->nslices; i++) {
        memcpy(out, page->slices[i].data, page->slices[i].len);
        out += page->slices[i].len;
    }

    return out;
}


void
es_page_free(es_page_t *page)
{
    free(page->slices);
    free(page->ends);
    memset(page, 0, sizeof(es_page_t));
}


es_rc_t
es_event_next(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    const es_filter_t *filter, es_event_t *event, uint64_t *scanned)
{
    es_rc_t    rc;
    uint32_t   i;
    es_str_t   text;
    es_walk_t  walk;

    rc = es_walk_open(&walk, txn, feed, after, filter);

    if (rc == ES_OK) {
        rc = es_walk_next(&walk, &i, &text);
    }

    if (rc == ES_OK) {
        rc = es_event_parts(feed, &walk.chunk, i, text, event);
    }

    *scanned = walk.position;
    es_walk_close(&walk);

    return rc;
}


es_rc_t
es_event_get(es_txn_t *txn, const es_feed_t *feed, uint64_t sequence,
    es_event_t *event)
{
    uint64_t  scanned;

    if (sequence < feed->oldest || sequence > feed->last) {
        return ES_NOT_FOUND;
    }

    return es_event_next(txn, feed, sequence - 1, NULL, event, &scanned);
}


es_rc_t
es_feed_seek_time(es_txn_t *txn, const es_feed_t *feed, int64_t time_ms,
    uint64_t *after)
{
    es_rc_t     rc;
    uint64_t    low, high, middle;
    es_chunk_t  chunk;

    /* Every chunk before `low` is older; the one at `high` is not. */

    low = feed->oldest;
    high = feed->last + 1;

    while (low < high) {
        middle = low + (high - low) / 2;

        rc = es_chunk_seek(txn->events, feed->number, middle, false, &chunk);
        if (rc != ES_OK) {
            return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
        }

        if (chunk.head->time_ms < time_ms) {
            low = chunk.last + 1;

        } else if (chunk.head->first <= low) {
            high = low;

        } else {
            high = chunk.head->first;
        }
    }

    *after = low - 1;

    return ES_OK;
}
