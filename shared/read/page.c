/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Composes a page as slices of the map.
 *
 * Without a filter a slice is a whole run of events in a chunk, so that a page
 * costs one hash and one copy for each chunk.  With field lists there is one
 * slice: the text that they show of all events.
 */

#include <stdlib.h>

#include "event/filter.h"
#include "fields/fields.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/packed.h"
#include "read/reader.h"
#include "read/walk.h"
#include "store/txn.h"

#define ES_PAGE_TEXT_KEPT  (1024 * 1024)     /* bytes, for the next page */

static es_rc_t es_page_plain(es_txn_t *txn, const es_feed_t *feed,
    uint64_t after, unsigned limit, size_t bytes_max,
    const es_fields_t *fields, es_page_t *page);
static es_rc_t es_page_filtered(es_txn_t *txn, const es_feed_t *feed,
    uint64_t after, es_str_t after_text, unsigned limit, size_t bytes_max,
    const es_filter_t *filter, const es_fields_t *fields, es_page_t *page);


void
es_page_clear(es_page_t *page, uint64_t after)
{
    page->nslices = 0;
    page->bytes = 0;
    page->count = 0;
    page->first = 0;
    page->first_ms = 0;
    page->last = 0;
    page->next = after;
    page->has_more = false;
    page->text.len = 0;

    if (page->text.cap > ES_PAGE_TEXT_KEPT) {
        es_buf_free(&page->text);
    }

    if (page->seal != NULL) {
        page->seal->missing = false;
    }
}


es_rc_t
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


es_rc_t
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
    const es_filter_t *filter, const es_fields_t *fields, es_page_t *page)
{
    es_rc_t  rc;

    es_page_clear(page, after);
    page->has_more = after < feed->last;

    if (after >= feed->last || limit == 0) {
        return ES_OK;
    }

    if (limit > feed->last - after) {
        limit = (unsigned) (feed->last - after);
    }

    rc = es_filter_is_all(filter)
         ? es_page_plain(txn, feed, after, limit, bytes_max, fields, page)
         : es_page_filtered(txn, feed, after, after_text, limit, bytes_max,
                            filter, fields, page);

    return rc == ES_OK && fields != NULL ? es_page_shown(page) : rc;
}


es_rc_t
es_page_show(es_page_t *page, const es_fields_t *fields, es_str_t event,
    size_t bytes_max, bool *room)
{
    size_t   start;
    es_rc_t  rc;

    *room = true;
    start = page->text.len;

    rc = es_page_ends(page, page->count + 1);

    if (rc == ES_OK) {
        rc = es_buf_reserve(&page->text, 1 + event.len);
    }

    if (rc == ES_OK) {
        if (page->count > 0) {
            page->text.data[page->text.len++] = ',';
        }

        rc = es_fields_event(fields, page->seal, event, &page->text);
    }

    if (rc == ES_OK && page->count > 0 && page->text.len > bytes_max) {
        *room = false;
    }

    if (rc != ES_OK || !*room) {
        page->text.len = start;
        return rc;
    }

    page->bytes = page->text.len;
    page->ends[page->count++] = page->bytes;

    return ES_OK;
}


/* The text has its place in memory only now. */

es_rc_t
es_page_shown(es_page_t *page)
{
    page->nslices = 0;
    page->bytes = 0;

    if (page->seal != NULL && page->seal->missing) {
        return ES_PENDING;
    }

    return page->count > 0
           ? es_page_slice(page, page->text.data, page->text.len) : ES_OK;
}


/* Shows the events [i, *n) of a chunk, or those that the page has room for. */

static es_rc_t
es_page_run_shown(es_page_t *page, const es_chunk_t *chunk, uint32_t i,
    uint32_t *n, const es_fields_t *fields, size_t bytes_max)
{
    bool      room;
    size_t    start;
    es_rc_t   rc;
    es_str_t  event;

    for ( ; i < *n; i++) {
        start = i == 0 ? 0 : chunk->entries[i - 1].end + 1;
        event.data = chunk->body + start;
        event.len = chunk->entries[i].end - start;

        rc = es_page_show(page, fields, event, bytes_max, &room);

        if (rc != ES_OK) {
            return rc;
        }

        if (!room) {
            *n = i;
        }
    }

    return ES_OK;
}


/* Adds the events [i, n) of a chunk as one slice. */

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


/* The chunk's hash, which was checked, covers the entries. */

static es_rc_t
es_page_plain(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    unsigned limit, size_t bytes_max, const es_fields_t *fields,
    es_page_t *page)
{
    size_t      start, bytes;
    es_rc_t     rc;
    uint32_t    i, n;
    es_chunk_t  chunk;

    bytes = 0;
    page->first = after + 1;

    rc = es_chunk_seek(txn->events, feed->number, after + 1, true, &chunk);

    while (rc == ES_OK) {
        if (chunk.head->first > page->next + 1
            || !es_packed_of_feed(feed, &chunk))
        {
            return ES_CORRUPT;
        }

        i = (uint32_t) (page->next + 1 - chunk.head->first);
        start = i == 0 ? 0 : chunk.entries[i - 1].end + 1;

        for (n = i; n < chunk.head->count; n++) {
            if (page->count + (n - i) == limit
                || (page->count + (n - i) > 0
                    && bytes + 1 + chunk.entries[n].end - start > bytes_max))
            {
                break;
            }
        }

        if (n > i) {
            page->first_ms = page->count == 0
                             ? es_chunk_commit(&chunk, i).time_ms
                             : page->first_ms;
            bytes += (bytes > 0) + chunk.entries[n - 1].end - start;

            rc = fields == NULL
                 ? es_page_run(page, &chunk, i, n)
                 : es_page_run_shown(page, &chunk, i, &n, fields, bytes_max);
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


/* All but a chunk's first event have the comma before them. */

static es_rc_t
es_page_event(es_page_t *page, const es_event_t *event, bool first,
    es_str_t prev)
{
    es_rc_t   rc;
    es_str_t  before;

    before = event->before;

    rc = es_page_ends(page, page->count + 1);

    if (page->count > 0) {
        if (!first && before.data[-1] == ',') {
            before.data--;
            before.len++;

        } else if (rc == ES_OK) {
            rc = es_page_slice(page, ",", 1);
        }
    }

    if (rc == ES_OK) {
        rc = es_page_slice(page, before.data, before.len);
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


/* The same as the lists show it. */

static es_rc_t
es_page_event_shown(es_page_t *page, const es_event_t *event, es_str_t prev,
    const es_fields_t *fields, size_t bytes_max, bool *room)
{
    es_rc_t  rc;

    page->scratch.len = 0;
    rc = es_buf_str(&page->scratch, event->before);

    if (rc == ES_OK) {
        rc = es_buf_str(&page->scratch, prev);
    }

    if (rc == ES_OK) {
        rc = es_buf_str(&page->scratch, event->after);
    }

    return rc == ES_OK
           ? es_page_show(page, fields, (es_str_t) { page->scratch.data,
                                                     page->scratch.len },
                          bytes_max, room)
           : rc;
}


static es_rc_t
es_page_filtered(es_txn_t *txn, const es_feed_t *feed, uint64_t after,
    es_str_t after_text, unsigned limit, size_t bytes_max,
    const es_filter_t *filter, const es_fields_t *fields, es_page_t *page)
{
    bool        room;
    size_t      bytes;
    es_rc_t     rc;
    uint32_t    i;
    es_str_t    text, prev;
    es_walk_t   walk;
    es_event_t  event;

    room = true;
    bytes = 0;
    prev = after_text;

    rc = es_walk_open(&walk, txn, feed, after, filter, limit);

    while (rc == ES_OK && page->count < limit) {
        rc = es_walk_next(&walk, &i, &text);

        if (rc == ES_NOT_FOUND) {
            page->next = walk.position;
            break;
        }

        if (rc == ES_OK) {
            rc = es_event_parts(feed, &walk.chunk, i, text, &event);
        }

        bytes += text.len + 1;

        if (rc == ES_OK && page->count > 0
            && bytes - 1 + ES_CURSOR_MAX > bytes_max)
        {
            break;
        }

        if (rc == ES_OK) {
            rc = fields == NULL
                 ? es_page_event(page, &event, i == 0, prev)
                 : es_page_event_shown(page, &event, prev, fields, bytes_max,
                                       &room);
        }

        if (!room) {
            break;
        }

        if (rc == ES_OK) {
            prev = event.cursor;
            if (page->count == 1) {
                page->first = event.sequence;
                page->first_ms = event.time_ms;
            }

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
    es_buf_free(&page->text);
    es_buf_free(&page->scratch);
    memset(page, 0, sizeof(es_page_t));
}
