/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Keeps the links between the events of a subject and follows them.
 *
 * Links come from the disk and are checked at each step: they must lead to
 * earlier sequences, or a walk would not end.
 */

#include <xxhash.h>

#include "base/assert.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/subject.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"

#define ES_SUBJECT_WAY   128       /* steps, twice the binary logarithm of
                                      the most events */
#define ES_SUBJECT_HEAD  440       /* bytes of a long subject before its hash */


size_t
es_subject_key(uint32_t feed, es_str_t subject,
    uint8_t key[ES_SUBJECT_KEY_MAX])
{
    size_t                  len;
    uint8_t                 event_key[ES_EVENT_KEY_LEN];
    XXH128_canonical_t      hash;

    es_event_key(feed, 0, event_key);
    memcpy(key, event_key, sizeof(feed));
    len = sizeof(feed);

    if (subject.len == 0) {
        return len;
    }

    if (subject.len <= ES_SUBJECT_HEAD) {
        memcpy(key + len, subject.data, subject.len);
        return len + subject.len;
    }

    /* JSON text has no NUL, so no short subject has this key. */

    XXH128_canonicalFromHash(&hash, XXH3_128bits(subject.data, subject.len));
    memcpy(key + len, subject.data, ES_SUBJECT_HEAD);
    len += ES_SUBJECT_HEAD;
    key[len++] = '\0';
    memcpy(key + len, &hash, sizeof(hash));

    return len + sizeof(hash);
}


es_rc_t
es_subject_decode(const MDB_val *value, es_subject_t *subject)
{
    size_t  size;

    size = value->mv_size - sizeof(subject->nth);

    if (value->mv_size < sizeof(subject->nth) + sizeof(es_root_t)
        || size % sizeof(es_root_t) != 0
        || size > sizeof(subject->roots))
    {
        return ES_CORRUPT;
    }

    memcpy(&subject->nth, value->mv_data, sizeof(subject->nth));
    memcpy(subject->roots, (char *) value->mv_data + sizeof(subject->nth),
           size);
    subject->n = (unsigned) (size / sizeof(es_root_t));

    /* A full list of roots takes another event only by merging two. */

    return subject->n < ES_SUBJECT_ROOTS_MAX
           || subject->roots[0].size == subject->roots[1].size
           ? ES_OK : ES_CORRUPT;
}


es_rc_t
es_subject_load(es_store_t *store, MDB_txn *txn, uint32_t feed, es_str_t text,
    es_subject_t *subject)
{
    int      rc;
    uint8_t  bytes[ES_SUBJECT_KEY_MAX];
    MDB_val  key, value;

    subject->nth = 0;
    subject->n = 0;
    subject->roots[0].sequence = 0;

    key.mv_size = es_subject_key(feed, text, bytes);
    key.mv_data = bytes;

    rc = mdb_get(txn, es_env_dbi(store->log, ES_LOG_SUBJECTS), &key, &value);

    return rc == 0 ? es_subject_decode(&value, subject) : es_env_rc(rc);
}


es_rc_t
es_subject_save(es_store_t *store, MDB_txn *txn, uint32_t feed, es_str_t text,
    const es_subject_t *subject)
{
    int      rc;
    char    *p;
    size_t   size;
    uint8_t  bytes[ES_SUBJECT_KEY_MAX];
    MDB_val  key, value;

    size = subject->n * sizeof(es_root_t);

    key.mv_size = es_subject_key(feed, text, bytes);
    key.mv_data = bytes;
    value.mv_data = NULL;
    value.mv_size = sizeof(subject->nth) + size;

    rc = mdb_put(txn, es_env_dbi(store->log, ES_LOG_SUBJECTS), &key, &value,
                 MDB_RESERVE);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    p = value.mv_data;
    memcpy(p, &subject->nth, sizeof(subject->nth));
    memcpy(p + sizeof(subject->nth), subject->roots, size);

    return ES_OK;
}


/*
 * The roots are trees of a skew-binary number.  If the two latest trees have
 * the same size, the event becomes the root of both; otherwise it is a tree of
 * its own.  Its jump leads to the root after its tree.
 */

void
es_subject_add(es_subject_t *subject, uint64_t sequence, es_entry_t *entry)
{
    uint64_t    size;
    unsigned    gone;
    es_root_t  *roots;

    roots = subject->roots;
    size = 1;
    gone = 0;

    entry->subject_prev = subject->n > 0 ? roots[0].sequence : 0;

    if (subject->n >= 2 && roots[0].size == roots[1].size) {
        size += roots[0].size + roots[1].size;
        gone = 2;
    }

    entry->subject_jump = subject->n > gone ? roots[gone].sequence : 0;
    entry->subject_nth = ++subject->nth;

    ES_ASSERT(subject->n + 1 - gone <= ES_SUBJECT_ROOTS_MAX);

    memmove(roots + 1, roots + gone, (subject->n - gone) * sizeof(es_root_t));
    subject->n += 1 - gone;
    roots[0].sequence = sequence;
    roots[0].size = size;
}


/*
 * A tree of several events was made of two equal ones.  The first one's root is
 * the event before, and the jump of that event leads to the second one's.
 */

es_rc_t
es_subject_pop(MDB_cursor *events, const es_feed_t *feed,
    const es_entry_t *entry, es_subject_t *subject)
{
    es_rc_t      rc;
    uint64_t     size, prev;
    es_root_t   *roots;
    es_chunk_t   chunk;

    roots = subject->roots;
    size = roots[0].size;
    prev = entry->subject_prev;

    /* The oldest chunk has events before the oldest one of the feed. */

    rc = es_chunk_seek(events, feed->number, prev, false, &chunk);
    if (rc != ES_OK) {
        return rc;
    }

    if (prev == 0 || chunk.head->first > prev) {
        return ES_NOT_FOUND;
    }

    subject->nth--;

    if (size == 1) {
        subject->n--;
        memmove(roots, roots + 1, subject->n * sizeof(es_root_t));

        return subject->n > 0 && roots[0].sequence == prev ? ES_OK
                                                           : ES_CORRUPT;
    }

    if (size % 2 == 0 || subject->n == ES_SUBJECT_ROOTS_MAX) {
        return ES_CORRUPT;
    }

    memmove(roots + 2, roots + 1, (subject->n - 1) * sizeof(es_root_t));
    subject->n++;

    roots[0].sequence = prev;
    roots[0].size = size / 2;
    roots[1].sequence = chunk.entries[prev - chunk.head->first].subject_jump;
    roots[1].size = size / 2;

    return ES_OK;
}


es_rc_t
es_subject_remove(es_store_t *store, MDB_txn *txn, uint32_t feed,
    es_str_t text)
{
    int      rc;
    uint8_t  bytes[ES_SUBJECT_KEY_MAX];
    MDB_val  key;

    key.mv_size = es_subject_key(feed, text, bytes);
    key.mv_data = bytes;

    rc = mdb_del(txn, es_env_dbi(store->log, ES_LOG_SUBJECTS), &key, NULL);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


es_rc_t
es_subject_drop(es_store_t *store, MDB_txn *txn, uint32_t feed,
    const es_chunk_t *chunk)
{
    int           rc;
    es_rc_t       result;
    uint8_t       bytes[ES_SUBJECT_KEY_MAX];
    MDB_val       key;
    uint32_t      i;
    es_str_t      text, part;
    es_subject_t  subject;

    for (i = 0; i < chunk->head->count; i++) {
        if (chunk->entries[i].subject_len == 0
            || es_chunk_text(chunk, i, &text) != ES_OK)
        {
            continue;
        }

        part.data = text.data + chunk->entries[i].subject_off;
        part.len = chunk->entries[i].subject_len;

        result = es_subject_load(store, txn, feed, part, &subject);

        if (result == ES_NOT_FOUND
            || (result == ES_OK
                && subject.roots[0].sequence != chunk->head->first + i))
        {
            continue;
        }

        if (result != ES_OK) {
            return result;
        }

        key.mv_size = es_subject_key(feed, part, bytes);
        key.mv_data = bytes;

        rc = mdb_del(txn, es_env_dbi(store->log, ES_LOG_SUBJECTS), &key, NULL);
        if (rc != 0) {
            return es_env_rc(rc);
        }
    }

    return ES_OK;
}


/* Reads the event's links, which its chunk must have.  A loop of damaged links
   would never end. */

static es_rc_t
es_subject_links(es_found_t *found)
{
    es_rc_t      rc;
    es_links_t  *links;

    if (found->chunk.head->first > found->sequence) {
        return ES_CORRUPT;
    }

    links = &found->links;

    rc = es_chunk_links_of(&found->chunk, (uint32_t) (found->sequence
                                           - found->chunk.head->first), links);

    return rc != ES_OK
           || (links->prev < found->sequence && links->jump <= links->prev)
           ? rc : ES_CORRUPT;
}


/* Finds the event's chunk.  ES_CORRUPT: no chunk of the feed has it. */

static es_rc_t
es_subject_chunk(es_txn_t *txn, const es_feed_t *feed, es_found_t *found)
{
    es_rc_t  rc;
    MDB_val  key, value;

    rc = es_chunk_find(txn->events, feed->number, found->sequence, &key,
                       &value);

    if (rc == ES_OK) {
        es_chunk_prefetch_entry(&key, &value, found->sequence);

        rc = es_chunk_look(feed->number, key.mv_data, &value, &found->chunk);
    }

    return rc == ES_OK ? es_subject_links(found)
                       : rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
}


/*
 * Goes back from an event after `after`, which is kept, to the first such
 * event.  `*late` is the last event on the way whose number exceeds that one's
 * by at least `ahead`; from there the successors of the first are found.  Adds
 * the number of chunk look-ups to `*looks`.
 */

static es_rc_t
es_subject_back(es_txn_t *txn, const es_feed_t *feed, es_found_t *found,
    uint64_t after, uint64_t ahead, es_found_t *late, unsigned *looks)
{
    es_rc_t            rc;
    uint64_t           nth;
    unsigned           n;
    es_found_t         way[ES_SUBJECT_WAY];
    const es_links_t  *links;

    n = 0;

    while ((rc = es_subject_chunk(txn, feed, found)) == ES_OK) {
        links = &found->links;
        (*looks)++;

        way[n < ES_SUBJECT_WAY ? n++ : ES_SUBJECT_WAY - 1] = *found;

        if (links->jump > after) {
            found->sequence = links->jump;

        } else if (links->prev > after) {
            found->sequence = links->prev;

        } else {
            break;
        }
    }

    if (rc != ES_OK) {
        return rc;
    }

    nth = found->links.nth + ahead;

    while (n > 1 && way[n - 1].links.nth < nth) {
        n--;
    }

    *late = way[n - 1];

    return ES_OK;
}


/* Goes back from an event to the subject's event with number `nth`, which
   is after `after`. */

static es_rc_t
es_subject_nth(es_txn_t *txn, const es_feed_t *feed, es_found_t *found,
    uint64_t nth, uint64_t after)
{
    es_rc_t            rc;
    es_found_t         jump;
    const es_links_t  *links;

    rc = es_subject_chunk(txn, feed, found);

    while (rc == ES_OK && found->links.nth > nth) {
        links = &found->links;
        jump.sequence = links->jump;

        if (jump.sequence > after) {
            rc = es_subject_chunk(txn, feed, &jump);

            if (rc == ES_OK && jump.links.nth >= nth) {
                *found = jump;
                continue;
            }
        }

        if (rc == ES_OK) {
            found->sequence = links->prev;
            rc = found->sequence > after ? es_subject_chunk(txn, feed, found)
                                         : ES_CORRUPT;
        }
    }

    return rc;
}


/* From the last one back, each in its chunk. */

es_rc_t
es_subject_list(es_txn_t *txn, const es_feed_t *feed, es_found_t *found,
    unsigned n, uint64_t after)
{
    es_rc_t   rc;
    unsigned  i;

    for (i = n - 1; i > 0; i--) {
        found[i - 1].sequence = found[i].links.prev;

        if (found[i - 1].sequence <= after) {
            return ES_CORRUPT;
        }

        if (found[i - 1].sequence >= found[i].chunk.head->first) {
            found[i - 1].chunk = found[i].chunk;

            rc = es_subject_links(&found[i - 1]);
            if (rc != ES_OK) {
                return rc;
            }

            continue;
        }

        rc = es_subject_chunk(txn, feed, &found[i - 1]);
        if (rc != ES_OK) {
            return rc;
        }

        es_chunk_prefetch_text(&found[i - 1].chunk, found[i - 1].sequence);
    }

    return ES_OK;
}


es_rc_t
es_subject_reach(es_txn_t *txn, const es_feed_t *feed, es_str_t text,
    uint64_t after, es_found_t *found, unsigned max, unsigned *n)
{
    es_rc_t       rc;
    uint64_t      nth;
    unsigned      looks;
    es_found_t    first, *last, late;
    es_subject_t  subject;

    *n = 0;
    looks = 0;
    after = after + 1 < feed->oldest ? feed->oldest - 1 : after;

    rc = es_subject_load(txn->store, txn->mdb, feed->number, text, &subject);
    if (rc != ES_OK || subject.roots[0].sequence <= after) {
        return rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    first.sequence = subject.roots[0].sequence;

    rc = es_subject_back(txn, feed, &first, after, max - 1, &late, &looks);
    if (rc != ES_OK) {
        return rc;
    }

    nth = first.links.nth;
    *n = subject.nth - nth < max ? (unsigned) (subject.nth - nth) + 1 : max;

    found[0] = first;

    last = &found[*n - 1];
    last->sequence = late.sequence;

    return es_subject_nth(txn, feed, last, nth + *n - 1, after);
}


/* Finds the number within the subject of its first event after `after`.
   Without such an event it is the number that the next event will get. */

static es_rc_t
es_subject_number(es_txn_t *txn, const es_feed_t *feed,
    const es_subject_t *subject, uint64_t after, uint64_t *nth)
{
    es_rc_t     rc;
    unsigned    looks;
    es_found_t  found, late;

    *nth = subject->nth + 1;
    found.sequence = subject->roots[0].sequence;

    if (found.sequence <= after) {
        return ES_OK;
    }

    looks = 0;
    rc = es_subject_back(txn, feed, &found, after, 0, &late, &looks);

    if (rc == ES_OK) {
        *nth = found.links.nth;
    }

    return rc;
}


es_rc_t
es_subject_count(es_txn_t *txn, const es_feed_t *feed, es_str_t text,
    uint64_t after, uint64_t to, uint64_t *count)
{
    es_rc_t       rc;
    uint64_t      first, next;
    es_subject_t  subject;

    *count = 0;
    after = after + 1 < feed->oldest ? feed->oldest - 1 : after;

    rc = es_subject_load(txn->store, txn->mdb, feed->number, text, &subject);
    if (rc != ES_OK || to <= after) {
        return rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    rc = es_subject_number(txn, feed, &subject, after, &first);

    if (rc == ES_OK) {
        rc = es_subject_number(txn, feed, &subject, to, &next);
    }

    if (rc == ES_OK && next < first) {
        rc = ES_CORRUPT;
    }

    if (rc == ES_OK) {
        *count = next - first;
    }

    return rc;
}


es_rc_t
es_subject_at(es_txn_t *txn, const es_feed_t *feed,
    const es_subject_t *subject, uint64_t at, uint64_t *sequence,
    unsigned *looks)
{
    es_rc_t     rc;
    es_found_t  found, late;

    *sequence = subject->roots[0].sequence;

    if (*sequence > at) {
        found.sequence = *sequence;

        rc = es_subject_back(txn, feed, &found, at, 0, &late, looks);
        if (rc != ES_OK) {
            return rc;
        }

        *sequence = found.links.prev;
    }

    return *sequence >= feed->oldest ? ES_OK : ES_NOT_FOUND;
}
