/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Walks along the events that may match a filter.
 *
 * At each step either the subject's links or the chunks of the types lead,
 * whichever is expected to touch fewer events; without an index every event is
 * examined.
 */

#include <stddef.h>

#include "base/base.h"
#include "event/filter.h"
#include "log/chunk.h"
#include "log/erased.h"
#include "log/feed.h"
#include "log/packed.h"
#include "log/subject.h"
#include "log/unpacked.h"
#include "read/reader.h"
#include "read/walk.h"
#include "store/txn.h"


es_rc_t
es_walk_open(es_walk_t *walk, es_txn_t *txn, const es_feed_t *feed,
    uint64_t after, const es_filter_t *filter, unsigned limit)
{
    memset(walk, 0, offsetof(es_walk_t, chunk));
    walk->txn = txn;
    walk->feed = feed;
    walk->filter = filter;
    walk->limit = limit;
    walk->position = after;
    walk->all_types = true;

    if (es_filter_is_all(filter)) {
        return ES_OK;
    }

    es_walk_warm(walk);

    if (filter->by_subject) {
        walk->by_subject = feed->last > after + ES_WALK_CLOSE;
        walk->subject_hash = es_subject_hash(filter->subject);
    }

    walk->round = limit < ES_WALK_SUBJECTS ? limit : ES_WALK_SUBJECTS;

    if (filter->ntypes != 0 && walk->round < ES_WALK_SUBJECTS_MIN) {
        walk->round = ES_WALK_SUBJECTS_MIN;
    }

    /* Every waiter runs this at each commit, and the new events are few. */

    if (filter->ntypes == 0
        || after >= feed->last || feed->last - after <= ES_WALK_NEAR)
    {
        return ES_OK;
    }

    walk->all_types = false;

    return es_types_open(walk);
}


void
es_walk_close(es_walk_t *walk)
{
    es_types_close(walk);
}


/* ---- an event that may match ---- */


static bool
es_walk_wants(const es_walk_t *walk, uint32_t i)
{
    return walk->all_types
           || es_types_has(walk, es_chunk_type(&walk->chunk, i));
}


static bool
es_walk_matches(const es_walk_t *walk, uint32_t i, es_str_t text)
{
    es_str_t           part;
    const es_entry_t  *entry;

    if (walk->filter == NULL) {
        return true;
    }

    entry = &walk->chunk.entries[i];

    if (walk->all_types) {
        part.data = text.data + entry->type_off;
        part.len = entry->type_len;

        if (!es_filter_type_matches(walk->filter, part)) {
            return false;
        }
    }

    if (!walk->filter->by_subject) {
        return true;
    }

    part.data = text.data + entry->subject_off;
    part.len = entry->subject_len;

    /* A tombstone among the events of a subject that has others has the
       subject's hash only. */

    return entry->subject_hash == walk->subject_hash
           && (es_entry_erased(entry)
               || es_str_eq(part, walk->filter->subject));
}


/* ES_NOT_FOUND: the event does not match. */

static es_rc_t
es_walk_text(es_walk_t *walk, uint32_t i, es_str_t *text)
{
    es_rc_t  rc;

    walk->position = walk->chunk.head->first + i;

    rc = es_chunk_text(&walk->chunk, i, text);
    if (rc != ES_OK) {
        return rc;
    }

    if (!es_walk_wants(walk, i) || !es_walk_matches(walk, i, *text)) {
        walk->skipped += walk->filter->by_subject ? ES_WALK_LOOKUP : 1;
        return ES_NOT_FOUND;
    }

    if (!es_chunk_intact(&walk->chunk, i, *text)
        || !es_packed_of_feed(walk->feed, &walk->chunk))
    {
        return ES_CORRUPT;
    }

    walk->given++;

    return ES_OK;
}


/* ---- the subject ---- */


static es_rc_t
es_walk_no_more(es_walk_t *walk)
{
    walk->position = walk->feed->last;

    return ES_NOT_FOUND;
}


/* Returns how many of the subject's events to find next.  The caller may
   want only one; if its types exclude some, the number grows each time. */

static unsigned
es_walk_round(es_walk_t *walk)
{
    unsigned  round;

    round = walk->round;

    if (walk->filter->ntypes != 0) {
        walk->round = round * 4 < ES_WALK_SUBJECTS ? round * 4
                                                   : ES_WALK_SUBJECTS;
    }

    return round;
}


/* The subject leads up to the last of its events that were found. */

static es_rc_t
es_walk_list(es_walk_t *walk, unsigned n)
{
    es_rc_t            rc;
    unsigned           i, chunks;
    const es_found_t  *found;

    found = walk->found;

    rc = es_subject_list(walk->txn, walk->feed, walk->found, n,
                         walk->position);
    if (rc != ES_OK) {
        return rc;
    }

    walk->by_subject = true;
    walk->nfound = n;
    walk->taken = 0;

    for (i = chunks = 1; i < n; i++) {
        chunks += found[i].chunk.head != found[i - 1].chunk.head;
    }

    es_walk_looked(walk, chunks);

    return ES_OK;
}


static es_rc_t
es_walk_subject(es_walk_t *walk)
{
    es_rc_t   rc;
    unsigned  n;

    rc = es_subject_reach(walk->txn, walk->feed, walk->filter->subject,
                          walk->position, walk->found, es_walk_round(walk),
                          &n);

    if (rc == ES_OK && n == 0) {
        return es_walk_no_more(walk);
    }

    return rc == ES_OK ? es_walk_list(walk, n) : rc;
}


/*
 * With types and a subject, whichever gets further with the same number of
 * events leads for that stretch.  The other one need not examine anything in
 * between.
 */

static es_rc_t
es_walk_lead(es_walk_t *walk)
{
    es_rc_t   rc;
    unsigned  n, round;
    uint64_t  least, subject, types;

    rc = es_types_skip(walk);
    if (rc != ES_OK) {
        return rc;
    }

    least = es_types_least(walk);
    if (least == 0) {
        return es_walk_no_more(walk);
    }

    if (least > walk->position + 1) {
        walk->position = least - 1;
    }

    round = es_walk_round(walk);

    rc = es_subject_reach(walk->txn, walk->feed, walk->filter->subject,
                          walk->position, walk->found, round, &n);
    if (rc != ES_OK) {
        return rc;
    }

    if (n == 0) {
        return es_walk_no_more(walk);
    }

    subject = n < round ? UINT64_MAX : walk->found[n - 1].sequence;

    rc = es_types_reach(walk, round, &types);
    if (rc != ES_OK) {
        return rc;
    }

    if (types <= subject) {
        return es_walk_list(walk, n);
    }

    walk->by_subject = false;
    walk->stretch = types;
    walk->end = 0;

    return ES_OK;
}


/* ---- chunks ---- */


/* Unpacks the present chunk, if it is packed. */

static es_rc_t
es_walk_unpack(es_walk_t *walk)
{
    es_rc_t   rc;
    uint64_t  before;

    before = es_unpacked_bytes();
    rc = es_chunk_open(walk->feed->number, &walk->chunk);
    walk->unpacked += es_unpacked_bytes() - before;

    return rc;
}


static void
es_walk_enter(es_walk_t *walk, uint64_t end)
{
    walk->end = end < walk->feed->last ? end : walk->feed->last;

    if (walk->chunk.head->first > walk->position + 1) {
        walk->position = walk->chunk.head->first - 1;
    }
}


/* Goes to the chunk after the current one. */

static es_rc_t
es_walk_chunk(es_walk_t *walk)
{
    es_rc_t  rc;
    MDB_val  key, value;

    rc = es_chunk_find(walk->txn->events, walk->feed->number,
                       walk->position + 1, &key, &value);

    if (rc == ES_OK) {
        rc = es_chunk_look(walk->feed->number, key.mv_data, &value,
                           &walk->chunk);
    }

    if (rc == ES_OK) {
        rc = es_walk_unpack(walk);
    }

    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
    }

    if (walk->filter != NULL) {
        es_walk_looked(walk, 1);
    }

    es_walk_enter(walk, walk->chunk.last);

    return ES_OK;
}


/* Goes to the next chunk of the types. */

static es_rc_t
es_walk_type(es_walk_t *walk)
{
    es_rc_t                 rc;
    const es_walk_ahead_t  *ahead;

    if (walk->ahead_taken == walk->nahead) {
        if (es_types_least(walk) == 0) {
            return es_walk_no_more(walk);
        }

        rc = es_types_ahead(walk);
        if (rc != ES_OK) {
            return rc;
        }
    }

    ahead = &walk->ahead[walk->ahead_taken++];
    walk->chunk = ahead->chunk;

    rc = es_walk_unpack(walk);
    if (rc != ES_OK) {
        return rc;
    }

    if (ahead->first > walk->position + 1) {
        walk->position = ahead->first - 1;
    }

    es_walk_enter(walk, ahead->more ? walk->chunk.last : ahead->first);

    return ES_OK;
}


/* ---- the walk ---- */


/* Fetches the next chunk or the next events of the subject. */

static es_rc_t
es_walk_more(es_walk_t *walk)
{
    es_rc_t  rc;

    if (walk->position >= walk->feed->last) {
        return ES_NOT_FOUND;
    }

    if (walk->skipped >= ES_WALK_EVENTS || walk->cold >= ES_WALK_COLD
        || walk->unpacked >= ES_UNPACKED_READ)
    {
        return ES_NOT_FOUND;
    }

    if (walk->all_types) {
        return walk->by_subject ? es_walk_subject(walk) : es_walk_chunk(walk);
    }

    if (walk->ntypes == 0) {
        return es_walk_no_more(walk);
    }

    if (walk->filter->by_subject && walk->ahead_taken == walk->nahead
        && walk->position >= walk->stretch)
    {
        rc = es_walk_lead(walk);

        if (rc != ES_OK || walk->by_subject) {
            return rc;
        }
    }

    return es_walk_type(walk);
}


/* Finds the next event that may match among the fetched ones.
   ES_NOT_FOUND: there is none. */

static es_rc_t
es_walk_candidate(es_walk_t *walk, uint32_t *index)
{
    const es_found_t  *found;

    if (walk->by_subject) {
        if (walk->taken == walk->nfound
            || walk->unpacked >= ES_UNPACKED_READ)
        {
            return ES_NOT_FOUND;
        }

        found = &walk->found[walk->taken++];

        if (found->sequence > walk->feed->last) {
            walk->taken = walk->nfound;
            walk->position = walk->feed->last;
            return ES_NOT_FOUND;
        }

        walk->chunk = found->chunk;
        *index = (uint32_t) (found->sequence - walk->chunk.head->first);

        return es_walk_unpack(walk);
    }

    while (walk->position < walk->end) {
        *index = (uint32_t) (walk->position + 1 - walk->chunk.head->first);

        if (es_walk_wants(walk, *index)) {
            return ES_OK;
        }

        walk->position++;
    }

    return ES_NOT_FOUND;
}


es_rc_t
es_walk_next(es_walk_t *walk, uint32_t *index, es_str_t *text)
{
    es_rc_t  rc;

    for ( ;; ) {
        rc = es_walk_candidate(walk, index);

        if (rc == ES_NOT_FOUND) {
            rc = es_walk_more(walk);

            if (rc != ES_OK) {
                return rc;
            }

            continue;
        }

        if (rc == ES_OK) {
            rc = es_walk_text(walk, *index, text);
        }

        if (rc != ES_NOT_FOUND) {
            return rc;
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
    event->time_ms = es_chunk_commit(chunk, i).time_ms;

    event->cursor.data = text.data + entry->mid + es_mid_cursor();
    event->cursor.len = es_cursor_len(feed->epoch, event->sequence);
    prev = es_cursor_len(feed->epoch, event->sequence - 1);

    len = entry->mid + es_mid_len(event->cursor.len, prev);
    if (len > text.len) {
        return ES_CORRUPT;
    }

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
