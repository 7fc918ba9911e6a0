/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Verifies that each entry of the type index and of the subject index has its
 * event.
 */

#include <stdio.h>

#include "base/base.h"
#include "inspect/verify_internal.h"
#include "log/chunk.h"
#include "log/subject.h"
#include "log/unpacked.h"
#include "store/env.h"
#include "store/store.h"

#define ES_VERIFY_ENTRIES  1024    /* of one slice */


/* An entry of the type index must have its chunk and agree with it. */

static void
es_verify_entry(es_verify_ctx_t *v, MDB_cursor *events, const uint8_t *key,
    const uint8_t *value)
{
    uint8_t     right[ES_BYTYPE_VALUE_LEN];
    uint32_t    i, feed;
    uint64_t    sequence;
    es_chunk_t  chunk;

    es_unpacked_forget();

    feed = es_event_key_feed(key);
    sequence = es_bytype_sequence(value);

    if (es_chunk_seek(events, feed, sequence, false, &chunk) == ES_OK
        && chunk.head->first <= sequence)
    {
        i = (uint32_t) (sequence - chunk.head->first);

        if (es_chunk_type(&chunk, i) == es_event_key_feed(key + 4)
            && es_bytype_value(chunk.types, chunk.head->count, i,
                               chunk.head->first, right)
            && memcmp(value, right, sizeof(right)) == 0)
        {
            return;
        }
    }

    (void) snprintf(v->name, sizeof(v->name), "number %u", feed);
    es_verify_fault(v, "the type index has an entry for a missing event %llu",
                    (unsigned long long) sequence);
}


es_rc_t
es_verify_types_slice(MDB_txn *txn, void *ctx)
{
    int               rc;
    MDB_val           k, d;
    unsigned          n;
    MDB_cursor       *events, *bytype;
    es_verify_ctx_t  *v = ctx;

    rc = mdb_cursor_open(txn, es_env_dbi(v->store->log, ES_LOG_EVENTS),
                         &events);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    rc = mdb_cursor_open(txn, es_env_dbi(v->store->log, ES_LOG_BYTYPE),
                         &bytype);
    if (rc != 0) {
        mdb_cursor_close(events);
        return es_env_rc(rc);
    }

    /* continue after the last entry seen, which may have been deleted */

    k.mv_data = v->type_key;
    k.mv_size = sizeof(v->type_key);
    d.mv_data = v->type_value;
    d.mv_size = sizeof(v->type_value);

    rc = mdb_cursor_get(bytype, &k, &d, MDB_GET_BOTH_RANGE);
    if (rc == MDB_NOTFOUND) {
        k.mv_data = v->type_key;
        k.mv_size = sizeof(v->type_key);
        rc = mdb_cursor_get(bytype, &k, &d, MDB_SET_RANGE);

        if (rc == 0 && memcmp(k.mv_data, v->type_key, k.mv_size) == 0) {
            rc = mdb_cursor_get(bytype, &k, &d, MDB_NEXT_NODUP);
        }
    }

    for (n = 0; rc == 0 && n < ES_VERIFY_ENTRIES; n++) {
        if (k.mv_size != ES_BYTYPE_KEY_LEN
            || d.mv_size != ES_BYTYPE_VALUE_LEN)
        {
            rc = MDB_CORRUPTED;
            break;
        }

        es_verify_entry(v, events, k.mv_data, d.mv_data);

        memcpy(v->type_key, k.mv_data, sizeof(v->type_key));
        es_be64(es_be64_get(d.mv_data) + 1, v->type_value);

        rc = mdb_cursor_get(bytype, &k, &d, MDB_NEXT);
    }

    v->done = rc == MDB_NOTFOUND;

    mdb_cursor_close(bytype);
    mdb_cursor_close(events);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


/* A subject's record must have its latest event, with the same number. */

static void
es_verify_head(es_verify_ctx_t *v, MDB_cursor *events, const MDB_val *key,
    const MDB_val *value)
{
    size_t             len;
    uint8_t            expected[ES_SUBJECT_KEY_MAX];
    uint32_t           feed, i;
    es_str_t           text, part;
    es_chunk_t         chunk;
    es_subject_t       subject;
    const es_entry_t  *entry;

    es_unpacked_forget();

    feed = es_event_key_feed(key->mv_data);

    if (es_subject_decode(value, &subject) == ES_OK
        && es_chunk_seek(events, feed, subject.roots[0].sequence, false,
                         &chunk) == ES_OK
        && chunk.head->first <= subject.roots[0].sequence)
    {
        i = (uint32_t) (subject.roots[0].sequence - chunk.head->first);
        entry = &chunk.entries[i];

        if (es_chunk_text(&chunk, i, &text) == ES_OK) {
            part.data = text.data + entry->subject_off;
            part.len = entry->subject_len;
            len = es_subject_key(feed, part, expected);

            if (entry->subject_nth == subject.nth
                && len == key->mv_size
                && memcmp(expected, key->mv_data, len) == 0)
            {
                return;
            }
        }
    }

    (void) snprintf(v->name, sizeof(v->name), "number %u", feed);
    es_verify_fault(v, "the subject index has an entry for a missing event");
}


es_rc_t
es_verify_subjects_slice(MDB_txn *txn, void *ctx)
{
    int               rc;
    MDB_val           key, value;
    unsigned          n;
    MDB_cursor       *events, *subjects;
    es_verify_ctx_t  *v = ctx;

    rc = mdb_cursor_open(txn, es_env_dbi(v->store->log, ES_LOG_EVENTS),
                         &events);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    rc = mdb_cursor_open(txn, es_env_dbi(v->store->log, ES_LOG_SUBJECTS),
                         &subjects);
    if (rc != 0) {
        mdb_cursor_close(events);
        return es_env_rc(rc);
    }

    key.mv_data = v->subject_key;
    key.mv_size = v->subject_key_len;

    rc = mdb_cursor_get(subjects, &key, &value,
                        v->subject_key_len ? MDB_SET_RANGE : MDB_FIRST);

    for (n = 0; rc == 0 && n < ES_VERIFY_ENTRIES; n++) {
        if (key.mv_size < sizeof(uint32_t)
            || key.mv_size >= sizeof(v->subject_key))
        {
            rc = MDB_CORRUPTED;
            break;
        }

        es_verify_head(v, events, &key, &value);

        /* the shortest key after this one */

        memcpy(v->subject_key, key.mv_data, key.mv_size);
        v->subject_key[key.mv_size] = 0;
        v->subject_key_len = key.mv_size + 1;

        rc = mdb_cursor_get(subjects, &key, &value, MDB_NEXT);
    }

    v->done = rc == MDB_NOTFOUND;

    mdb_cursor_close(subjects);
    mdb_cursor_close(events);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}
