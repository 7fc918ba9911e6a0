/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Writes the tombstones of erased events into their chunk.
 */

#include "base/base.h"
#include "base/json.h"
#include "event/cursor.h"
#include "event/digest.h"
#include "log/erased.h"
#include "log/feed.h"
#include "log/tombstone.h"


/* Finds the value of the event's "time", with its quotes. */

static es_rc_t
es_erased_time(es_str_t text, es_str_t *time)
{
    bool             first;
    es_rc_t          rc;
    es_json_t        json;
    es_json_value_t  name, value;

    es_json_init(&json, text.data, text.len);
    rc = es_json_enter(&json, '{');

    for (first = true; rc == ES_OK; first = false) {
        rc = es_json_member(&json, first, &name, &value);

        if (rc == ES_OK && es_str_eq(name.text, es_lit("\"time\""))) {
            *time = value.text;
            return ES_OK;
        }
    }

    return ES_CORRUPT;
}


static es_rc_t
es_erased_hex(const uint8_t digest[ES_CHAIN_LEN], es_buf_t *out)
{
    es_rc_t   rc;
    unsigned  i;

    for (i = 0, rc = ES_OK; rc == ES_OK && i < ES_CHAIN_LEN; i++) {
        rc = es_buf_printf(out, "%02x", digest[i]);
    }

    return rc;
}


/* Appends the attributes before those that the log adds.  `digest` may be
   NULL. */

static es_rc_t
es_erased_head(const es_feed_t *feed, es_str_t text, const uint8_t *digest,
    es_entry_t *entry, es_buf_t *out)
{
    size_t    start;
    es_str_t  type, time, cursor;

    start = out->len;

    if (es_erased_time(text, &time) != ES_OK) {
        return ES_CORRUPT;
    }

    cursor = es_cursor_of(text);
    type.data = text.data + entry->type_off;
    type.len = entry->type_len;

    if (es_buf_printf(out, "{\"specversion\":\"1.0\",\"id\":\"erased-%.*s\"",
                      (int) cursor.len, cursor.data) != ES_OK)
    {
        return ES_NOMEM;
    }

    entry->id_len = (uint16_t) (out->len - start - ES_ID_OFFSET - 1);

    if (es_buf_printf(out, ",\"source\":\"%s\"", ES_TOMBSTONE_SOURCE)
        != ES_OK)
    {
        return ES_NOMEM;
    }

    entry->ident_len = (uint16_t) (out->len - start);
    entry->type_off = (uint16_t) (entry->ident_len
                                  + sizeof(",\"type\":\"") - 1);

    if (es_buf_printf(out, ",\"type\":\"%.*s\",\"time\":%.*s%s",
                      (int) type.len, type.data, (int) time.len, time.data,
                      digest == NULL ? ES_TOMBSTONE_ERASED
                                     : ES_TOMBSTONE_DIGEST) != ES_OK
        || (digest != NULL && es_erased_hex(digest, out) != ES_OK)
        || es_buf_printf(out, "%s,\"feed\":\"%s\"",
                         digest == NULL ? "" : "\"", feed->name) != ES_OK)
    {
        return ES_NOMEM;
    }

    return ES_OK;
}


/* Appends the tombstone of the i-th event and fills its entry, whose `end` is
   left to the caller. */

static es_rc_t
es_erased_text(const es_feed_t *feed, const es_chunk_t *chunk, uint32_t i,
    es_str_t text, bool drop, es_entry_t *entry, es_buf_t *out)
{
    char     *p;
    size_t    start, mid, skip, len;
    es_rc_t   rc;
    uint8_t   digest[ES_CHAIN_LEN];
    uint64_t  sequence;

    sequence = chunk->head->first + i;
    start = out->len;

    rc = es_chunk_published(chunk, i, &len, digest);

    if (rc == ES_OK) {
        rc = es_erased_head(feed, text, drop ? NULL : digest, entry, out);
    }

    if (rc != ES_OK) {
        return rc;
    }

    /* The members that the log adds stay, byte for byte. */

    mid = entry->mid;
    skip = es_mid_len(es_cursor_len(feed->epoch, sequence),
                      es_cursor_len(feed->epoch, sequence - 1));

    if (skip > text.len - mid || es_buf_reserve(out, skip + 1) != ES_OK) {
        return skip > text.len - mid ? ES_CORRUPT : ES_NOMEM;
    }

    entry->mid = (uint32_t) (out->len - start);
    p = out->data + out->len;
    memcpy(p, text.data + mid, skip);
    p[skip] = '}';
    out->len += skip + 1;

    entry->subject_off = 0;
    entry->subject_len = 0;
    entry->time_off = 0;
    entry->flags = ES_ENTRY_ERASED;
    entry->hash = es_event_hash(out->data + start, out->len - start);

    return ES_OK;
}


/* Fills the digests that stand between entries and texts. */

static es_rc_t
es_erased_digests(const es_chunk_t *chunk, const bool *which, es_erased_t *to,
    uint8_t *n)
{
    size_t    len;
    es_rc_t   rc;
    uint32_t  i;

    for (i = 0, *n = 0; i < chunk->head->count; i++) {
        if (!which[i] && !es_entry_erased(&chunk->entries[i])) {
            continue;
        }

        rc = es_chunk_published(chunk, i, &len, to[*n].digest);
        if (rc != ES_OK) {
            return rc;
        }

        to[*n].len = (uint32_t) len;
        (*n)++;
    }

    return ES_OK;
}


static void
es_erased_unlink(es_entry_t *entry)
{
    entry->subject_hash = 0;
    entry->subject_nth = 0;
    entry->subject_prev = 0;
    entry->subject_jump = 0;
}


/* Appends the events, and fills the entries. */

static es_rc_t
es_erased_events(const es_feed_t *feed, const es_chunk_t *chunk,
    const bool *which, const bool *unlinked, bool drop, es_entry_t *entries,
    es_buf_t *out)
{
    size_t    body;
    es_rc_t   rc;
    uint32_t  i;
    es_str_t  text;

    body = out->len;

    for (i = 0, rc = ES_OK; rc == ES_OK && i < chunk->head->count; i++) {
        entries[i] = chunk->entries[i];
        rc = es_chunk_text(chunk, i, &text);

        if (rc == ES_OK && i > 0) {
            rc = es_buf_append(out, ",", 1);
        }

        if (rc == ES_OK && which[i]
            && (drop || !es_entry_erased(&entries[i])))
        {
            rc = es_erased_text(feed, chunk, i, text, drop, &entries[i], out);

        } else if (rc == ES_OK) {
            rc = es_buf_str(out, text);
        }

        if (unlinked[i]) {
            es_erased_unlink(&entries[i]);
        }

        entries[i].end = (uint32_t) (out->len - body);
    }

    return rc;
}


/* Gives new tombstones without a digest that of their own text. */

static void
es_erased_own(const es_chunk_t *chunk, const bool *which,
    const es_entry_t *entries, const char *body, es_erased_t *to)
{
    size_t    start;
    uint32_t  i;

    for (i = 0, start = 0; i < chunk->head->count; i++) {
        if (which[i]) {
            es_digest_event(body + start, entries[i].end - start, to->digest);
        }

        to += es_entry_erased(&entries[i]);
        start = entries[i].end + 1;
    }
}


es_rc_t
es_erased_chunk(const es_feed_t *feed, const es_chunk_t *chunk,
    const bool which[ES_CHUNK_COUNT], const bool unlinked[ES_CHUNK_COUNT],
    bool drop, es_buf_t *out)
{
    size_t           types, entries;
    uint8_t          n;
    es_rc_t          rc;
    es_entry_t       entry[ES_CHUNK_COUNT];
    es_erased_t      erased[ES_CHUNK_COUNT];
    es_chunk_head_t  head;

    out->len = 0;
    head = *chunk->head;
    types = head.count * sizeof(uint32_t);
    entries = head.count * sizeof(es_entry_t);

    rc = es_erased_digests(chunk, which, erased, &n);
    if (rc != ES_OK) {
        return rc;
    }

    head.nerased = n;
    head.body = (uint32_t) (sizeof(head) + types + entries
                            + n * sizeof(es_erased_t));

    /* the entries are filled below, and so are the digests of own texts */

    if (es_buf_append(out, &head, sizeof(head)) != ES_OK
        || es_buf_append(out, chunk->types, types) != ES_OK
        || es_buf_append(out, chunk->entries, entries) != ES_OK
        || es_buf_append(out, erased, n * sizeof(es_erased_t)) != ES_OK)
    {
        return ES_NOMEM;
    }

    rc = es_erased_events(feed, chunk, which, unlinked, drop, entry, out);
    if (rc != ES_OK) {
        return rc;
    }

    if (drop) {
        es_erased_own(chunk, which, entry, out->data + head.body, erased);
    }

    memcpy(out->data + sizeof(head) + types, entry, entries);
    memcpy(out->data + sizeof(head) + types + entries, erased,
           n * sizeof(es_erased_t));
    head.hash = es_chunk_hash(feed->number, chunk->last, out->data, out->len);
    memcpy(out->data, &head.hash, sizeof(head.hash));

    return ES_OK;
}
