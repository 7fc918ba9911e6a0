/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Walks over the subjects of a feed, and follows their links back to the
 * moment of the snapshot.
 */

#include <errno.h>

#include "base/base.h"
#include "log/feed.h"
#include "log/subject.h"
#include "log/unpacked.h"
#include "read/reader.h"
#include "read/snapshot.h"
#include "read/walk.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"


/* Sets the cursor to the first subject after `after`. */

static int
es_snapshot_seek(MDB_cursor *cursor, const es_feed_t *feed, es_str_t after,
    MDB_val *key, MDB_val *value)
{
    int      rc;
    size_t   len;
    MDB_val  at;
    uint8_t  from[ES_SUBJECT_KEY_MAX];

    len = es_subject_key(feed->number, es_null_str, from);

    if (after.len > sizeof(from) - len) {
        return EINVAL;
    }

    if (after.len > 0) {
        memcpy(from + len, after.data, after.len);
    }

    at.mv_data = from;
    at.mv_size = len + after.len;

    rc = mdb_cursor_get(cursor, &at, value, MDB_SET_RANGE);

    if (rc == 0 && after.len > 0
        && at.mv_size == len + after.len
        && memcmp(at.mv_data, from, at.mv_size) == 0)
    {
        rc = mdb_cursor_get(cursor, &at, value, MDB_NEXT);
    }

    if (rc == 0) {
        *key = at;
    }

    return rc;
}


static bool
es_snapshot_of(const es_feed_t *feed, const MDB_val *key)
{
    size_t   len;
    uint8_t  prefix[ES_SUBJECT_KEY_MAX];

    len = es_subject_key(feed->number, es_null_str, prefix);

    return key->mv_size > len && memcmp(key->mv_data, prefix, len) == 0;
}


static bool
es_snapshot_without(es_str_t type, const es_str_t *without, size_t nwithout)
{
    size_t    i;
    es_str_t  end;

    for (i = 0; i < nwithout; i++) {
        if (without[i].len > type.len) {
            continue;
        }

        end.data = type.data + type.len - without[i].len;
        end.len = without[i].len;

        if (es_str_eq(end, without[i])) {
            return true;
        }
    }

    return false;
}


/* Adds an event as the lists show it, or as it is.  ES_STOP: the page has no
   room. */

static es_rc_t
es_snapshot_event(es_page_t *page, es_str_t event, size_t bytes_max,
    const es_fields_t *fields)
{
    bool     room;
    es_rc_t  rc;

    if (fields != NULL) {
        rc = es_page_show(page, fields, event, bytes_max, &room);

        return rc == ES_OK && !room ? ES_STOP : rc;
    }

    rc = es_page_ends(page, page->count + 1);

    if (rc == ES_OK && page->count > 0) {
        rc = es_page_slice(page, ",", 1);
    }

    if (rc == ES_OK) {
        rc = es_page_slice(page, event.data, event.len);
    }

    if (rc == ES_OK) {
        page->ends[page->count++] = page->bytes;
    }

    return rc;
}


/* Adds the subject's event, if it had one by then, and adds the chunk
   look-ups to `lookups`.  ES_STOP: the page has no room. */

static es_rc_t
es_snapshot_add(es_txn_t *txn, const es_feed_t *feed, uint64_t at,
    const MDB_val *value, const es_str_t *without, size_t nwithout,
    size_t bytes_max, const es_fields_t *fields, es_page_t *page,
    unsigned *lookups)
{
    bool          first;
    es_rc_t       rc;
    uint64_t      sequence;
    es_event_t    event;
    es_subject_t  subject;

    rc = es_subject_decode(value, &subject);

    if (rc == ES_OK) {
        rc = es_subject_at(txn, feed, &subject, at, &sequence, lookups);
        (*lookups)++;
    }

    if (rc == ES_OK) {
        rc = es_event_get(txn, feed, sequence, &event);
    }

    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    if (es_snapshot_without(event.type, without, nwithout)) {
        return ES_OK;
    }

    if (page->count > 0 && page->bytes + 1 + event.json.len > bytes_max) {
        return ES_STOP;
    }

    first = page->count == 0;
    rc = es_snapshot_event(page, event.json, bytes_max, fields);

    if (rc == ES_OK) {
        if (first || sequence < page->first) {
            page->first = sequence;
        }

        if (sequence > page->last) {
            page->last = sequence;
        }
    }

    return rc;
}


es_rc_t
es_snapshot_page(es_txn_t *txn, const es_feed_t *feed, uint64_t at,
    es_str_t after, const es_str_t *without, size_t nwithout, unsigned limit,
    size_t bytes_max, const es_fields_t *fields, es_page_t *page,
    es_str_t *last)
{
    int          rc;
    MDB_val      key, value;
    es_rc_t      result;
    uint64_t     unpacked;
    unsigned     lookups;
    MDB_cursor  *cursor;

    es_page_clear(page, at);
    *last = after;

    rc = mdb_cursor_open(txn->mdb, es_env_dbi(txn->store->log,
                                              ES_LOG_SUBJECTS), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    lookups = 0;
    unpacked = es_unpacked_bytes();
    result = ES_OK;
    rc = es_snapshot_seek(cursor, feed, after, &key, &value);

    while (rc == 0 && es_snapshot_of(feed, &key)) {
        if (page->count == limit || lookups >= ES_SNAPSHOT_LOOKUPS
            || es_unpacked_bytes() - unpacked >= ES_UNPACKED_READ)
        {
            page->has_more = true;
            break;
        }

        result = es_snapshot_add(txn, feed, at, &value, without, nwithout,
                                 bytes_max, fields, page, &lookups);
        if (result != ES_OK) {
            page->has_more = result == ES_STOP;
            break;
        }

        last->data = (char *) key.mv_data + sizeof(feed->number);
        last->len = key.mv_size - sizeof(feed->number);

        rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }

    mdb_cursor_close(cursor);

    if (rc != 0 && rc != MDB_NOTFOUND) {
        return rc == EINVAL ? ES_INVALID : es_env_rc(rc);
    }

    if (result != ES_OK && result != ES_STOP) {
        return result;
    }

    return fields != NULL ? es_page_shown(page) : ES_OK;
}
