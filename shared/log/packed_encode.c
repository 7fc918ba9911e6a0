/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes packed chunks.
 *
 * Everything that a decoder derives is compared with what is stored, so a chunk
 * that would come out different has no packed form.
 */

#include <stdio.h>
#include <stdlib.h>

#include "event/cursor.h"
#include "event/digest.h"
#include "log/chunk.h"
#include "log/erased.h"
#include "log/packed.h"
#include "log/packed_impl.h"
#include "log/uuid.h"
#include "log/varint.h"

#define ES_SIDE_MAX  (64 * ES_CHUNK_COUNT)     /* bytes of a list of the side,
                                                  more than any needs */

typedef struct {
    uint32_t            count;
    uint64_t            first;
    size_t              size;      /* of the plain layout */
    const es_entry_t   *entries[ES_CHUNK_COUNT];
    es_str_t            texts[ES_CHUNK_COUNT];
    es_str_t            tails[ES_CHUNK_COUNT];
    uint32_t            types[ES_CHUNK_COUNT];
    es_commit_of_t      commits[ES_CHUNK_COUNT];
    es_erased_t         erased[ES_CHUNK_COUNT];
    uint32_t            nerased;
    es_packed_epochs_t  epochs;
    es_buf_t            uuids;
    es_buf_t            content;   /* of the frame */
} es_packing_t;


/* ---- collecting ---- */


/* Copies the name of the epoch that a cursor begins with.  Returns its
   length. */

static size_t
es_packing_epoch(const char *cursor, const char *end,
    char out[ES_EPOCH_MAX + 1])
{
    size_t  i;

    for (i = 0; i < ES_EPOCH_MAX && cursor + i < end && cursor[i] != '-'; i++) {
        out[i] = cursor[i];
    }

    out[i] = '\0';

    return i;
}


static es_rc_t
es_packing_epochs(es_packed_epochs_t *epochs, uint32_t i, const char *epoch,
    const char *before)
{
    if (i == 0) {
        memcpy(epochs->before, before, sizeof(epochs->before));

    } else if (strcmp(before, epochs->runs[epochs->n - 1].name) != 0) {
        return ES_INVALID;
    }

    if (i == 0 || strcmp(before, epoch) != 0) {
        memcpy(epochs->runs[epochs->n].name, epoch, ES_EPOCH_MAX + 1);
        epochs->n++;
    }

    epochs->runs[epochs->n - 1].end = i + 1;

    return ES_OK;
}


/* The part that depends on the event's position must be the one that is made
   of its sequence and its epoch. */

static es_rc_t
es_packing_mid(es_packing_t *p, uint32_t i)
{
    char         mid[ES_MID_MAX];
    char         epoch[ES_EPOCH_MAX + 1], before[ES_EPOCH_MAX + 1];
    size_t       len, cursor, prev;
    uint64_t     sequence;
    const char  *text, *end;

    text = p->texts[i].data + p->entries[i]->mid;
    end = p->texts[i].data + p->texts[i].len;
    sequence = p->first + i;

    if ((size_t) (end - text) <= es_mid_cursor()) {
        return ES_INVALID;
    }

    (void) es_packing_epoch(text + es_mid_cursor(), end, epoch);
    cursor = es_cursor_len(epoch, sequence);

    /* From the end of the cursor to the epoch of the one before. */

    len = es_mid_len(cursor, 0) - 1;

    if ((size_t) (end - text) <= len) {
        return ES_INVALID;
    }

    (void) es_packing_epoch(text + len, end, before);
    prev = es_cursor_len(before, sequence - 1);
    len = es_mid_len(cursor, prev);

    if ((size_t) (end - text) <= len
        || es_mid_print(epoch, before, sequence, mid) != mid + len
        || memcmp(mid, text, len) != 0)
    {
        return ES_INVALID;
    }

    p->tails[i].data = text + len;
    p->tails[i].len = (size_t) (end - text) - len;

    return es_packing_epochs(&p->epochs, i, epoch, before);
}


static es_rc_t
es_packing_event(es_packing_t *p, const es_chunk_t *chunk, uint32_t i)
{
    size_t    len;
    es_rc_t   rc;
    uint32_t  at;
    es_str_t  subject;

    const es_entry_t  *entry;

    at = p->count++;
    entry = &chunk->entries[i];
    p->entries[at] = entry;
    p->types[at] = es_chunk_type(chunk, i);
    p->commits[at] = es_chunk_commit(chunk, i);

    rc = es_chunk_text(chunk, i, &p->texts[at]);
    if (rc != ES_OK) {
        return rc;
    }

    if (es_entry_erased(entry)) {
        rc = es_chunk_published(chunk, i, &len,
                                p->erased[p->nerased].digest);
        if (rc != ES_OK) {
            return rc;
        }

        p->erased[p->nerased++].len = (uint32_t) len;

    } else {
        subject.data = p->texts[at].data + entry->subject_off;
        subject.len = entry->subject_len;

        if (entry->subject_hash != es_subject_hash(subject)) {
            return ES_INVALID;
        }
    }

    if (!es_chunk_intact(chunk, i, p->texts[at])) {
        return ES_CORRUPT;
    }

    p->size += sizeof(uint32_t) + sizeof(es_entry_t) + p->texts[at].len + 1;

    return es_packing_mid(p, at);
}


/* Collects the events of the chunks, whose totals must follow each other. */

static es_rc_t
es_packing_collect(es_packing_t *p, const es_chunk_t *chunks, size_t n)
{
    size_t    j;
    es_rc_t   rc;
    uint32_t  i;
    uint64_t  total;

    total = chunks[0].head->total;
    p->first = chunks[0].head->first;
    p->size = sizeof(es_chunk_head_t);

    for (j = 0; j < n; j++) {
        if (chunks[j].head->first != p->first + p->count
            || chunks[j].head->total != total
            || p->count + chunks[j].head->count > ES_CHUNK_COUNT)
        {
            return ES_INVALID;
        }

        for (i = 0; i < chunks[j].head->count; i++) {
            rc = es_packing_event(p, &chunks[j], i);
            if (rc != ES_OK) {
                return rc;
            }
        }

        total += es_chunk_bytes(&chunks[j], chunks[j].head->count);
    }

    p->size += p->nerased * sizeof(es_erased_t);

    return p->size <= ES_PACKED_MAX ? ES_OK : ES_INVALID;
}


/* ---- the side ---- */


static es_rc_t
es_side_links(const es_packing_t *p, es_buf_t *out)
{
    uint8_t            bytes[ES_SIDE_MAX], *to;
    uint32_t           i;
    uint64_t           sequence;
    const es_entry_t  *entry;

    for (i = 0, to = bytes; i < p->count; i++) {
        entry = p->entries[i];
        sequence = p->first + i;

        if (entry->subject_prev == 0) {
            if (entry->subject_nth > 1 || entry->subject_jump != 0) {
                return ES_INVALID;
            }

            to = es_varint_put(to, entry->subject_nth);
            continue;
        }

        if (entry->subject_prev >= sequence
            || entry->subject_jump > entry->subject_prev)
        {
            return ES_INVALID;
        }

        to = es_varint_put(to, sequence - entry->subject_prev + 1);
        to = es_varint_put(to, entry->subject_nth);
        to = es_varint_put(to, entry->subject_jump == 0
                               ? 0 : entry->subject_prev - entry->subject_jump
                                     + 1);
    }

    return es_buf_append(out, bytes, (size_t) (to - bytes));
}


static es_rc_t
es_side_times(const es_packing_t *p, es_buf_t *out)
{
    uint8_t   bytes[ES_SIDE_MAX], *to;
    uint32_t  i, zeros;

    for (i = 1, to = bytes; i < p->count; i++) {
        if (p->commits[i].time_ms < p->commits[i - 1].time_ms) {
            return ES_INVALID;
        }

        to = es_varint_put(to, (uint64_t) p->commits[i].time_ms
                               - (uint64_t) p->commits[i - 1].time_ms);

        if (p->commits[i].time_ms != p->commits[i - 1].time_ms) {
            continue;
        }

        for (zeros = 0; i + 1 < p->count
             && p->commits[i + 1].time_ms == p->commits[i].time_ms; i++)
        {
            zeros++;
        }

        to = es_varint_put(to, zeros);
    }

    return es_buf_append(out, bytes, (size_t) (to - bytes));
}


static bool
es_same_publisher(const es_commit_of_t *a, const es_commit_of_t *b)
{
    return a->partner == b->partner && a->key == b->key;
}


static es_rc_t
es_side_publishers(const es_packing_t *p, es_buf_t *out)
{
    uint8_t   bytes[ES_SIDE_MAX], *to;
    uint32_t  i, from;

    for (from = 0, to = bytes; from < p->count; from = i) {
        for (i = from + 1; i < p->count
             && es_same_publisher(&p->commits[i], &p->commits[from]); i++)
        {
            /* void */
        }

        to = es_varint_put(to, i - from);
        to = es_varint_put(to, p->commits[from].partner);
        to = es_varint_put(to, p->commits[from].key);
    }

    return es_buf_append(out, bytes, (size_t) (to - bytes));
}


static uint8_t *
es_side_epoch(uint8_t *to, uint32_t n, const char *name)
{
    size_t  len;

    len = strlen(name);
    to = es_varint_put(to, n);
    *to++ = (uint8_t) len;
    memcpy(to, name, len);

    return to + len;
}


/* The event before the first one is mostly of the same epoch. */

static es_rc_t
es_side_epochs(const es_packing_t *p, es_buf_t *out)
{
    bool                       same;
    uint8_t                    bytes[ES_SIDE_MAX], *to;
    uint32_t                   i, from;
    const es_packed_epochs_t  *epochs;

    to = bytes;
    epochs = &p->epochs;
    same = strcmp(epochs->before, epochs->runs[0].name) == 0;

    if (!same) {
        to = es_side_epoch(to, 1, epochs->before);
    }

    for (i = 0, from = 0; i < epochs->n; i++) {
        to = es_side_epoch(to, epochs->runs[i].end - from + (i == 0 && same),
                           epochs->runs[i].name);
        from = epochs->runs[i].end;
    }

    return es_buf_append(out, bytes, (size_t) (to - bytes));
}


static es_rc_t
es_side_types(const es_packing_t *p, es_buf_t *out)
{
    uint8_t   bytes[ES_SIDE_MAX], *to;
    uint32_t  i, j, n, distinct[ES_CHUNK_COUNT], index[ES_CHUNK_COUNT];
    unsigned  width;

    for (i = 0, n = 0; i < p->count; i++) {
        for (j = 0; j < n && distinct[j] != p->types[i]; j++) { /* void */ }

        if (j == n) {
            distinct[n++] = p->types[i];
        }

        index[i] = j;
    }

    to = es_varint_put(bytes, n);

    for (i = 0; i < n; i++) {
        to = es_varint_put(to, distinct[i]);
    }

    width = es_packed_width(n);
    memset(to, 0, es_packed_bits(p->count, width));

    for (i = 0; i < p->count; i++) {
        for (j = 0; j < width; j++) {
            to[(i * width + j) / 8] |= (uint8_t) ((index[i] >> j & 1)
                                                  << (i * width + j) % 8);
        }
    }

    to += es_packed_bits(p->count, width);

    return es_buf_append(out, bytes, (size_t) (to - bytes));
}


static es_rc_t
es_side_erased(const es_packing_t *p, es_buf_t *out)
{
    es_rc_t   rc;
    uint32_t  i, n;

    for (i = 0, n = 0, rc = ES_OK; rc == ES_OK && i < p->count; i++) {
        if (!es_entry_erased(p->entries[i])) {
            continue;
        }

        rc = es_buf_append(out, &p->erased[n++], sizeof(es_erased_t));

        if (rc == ES_OK) {
            rc = es_buf_append(out, &p->entries[i]->subject_hash,
                               sizeof(uint32_t));
        }
    }

    return rc;
}


static es_rc_t
es_packing_side(const es_packing_t *p, es_buf_t *out)
{
    size_t   i;
    es_rc_t  rc;

    static es_rc_t (*const parts[])(const es_packing_t *, es_buf_t *) = {
        es_side_links, es_side_times, es_side_publishers, es_side_epochs,
        es_side_types, es_side_erased
    };

    for (i = 0, rc = ES_OK;
         rc == ES_OK && i < sizeof(parts) / sizeof(parts[0]); i++)
    {
        rc = parts[i](p, out);
    }

    return rc == ES_OK ? es_buf_append(out, p->uuids.data, p->uuids.len) : rc;
}


/* ---- the content ---- */


static es_rc_t
es_packing_columns(const es_packing_t *p, es_buf_t *out)
{
    int64_t            last[ES_COLUMNS] = { 0 };
    int64_t            value[ES_COLUMNS];
    uint8_t           *columns[ES_COLUMNS], *bytes, *at;
    uint32_t           i, j;
    es_rc_t            rc;

    bytes = malloc(ES_COLUMNS_MAX);
    if (bytes == NULL) {
        return ES_NOMEM;
    }

    for (j = 0; j < ES_COLUMNS; j++) {
        columns[j] = bytes + j * (ES_COLUMNS_MAX / ES_COLUMNS);
    }

    for (i = 0; i < p->count; i++) {
        if (!es_column_values(p->entries[i], p->tails[i].len, value)) {
            free(bytes);
            return ES_INVALID;
        }

        for (j = 0; j < ES_COLUMNS; j++) {
            columns[j] = es_varint_put(columns[j],
                                       es_zigzag(value[j] - last[j]));
            last[j] = value[j];
        }
    }

    for (j = 0, rc = ES_OK; rc == ES_OK && j < ES_COLUMNS; j++) {
        at = bytes + j * (ES_COLUMNS_MAX / ES_COLUMNS);
        rc = es_buf_append(out, at, (size_t) (columns[j] - at));
    }

    free(bytes);

    return rc;
}


/* UUIDs are taken out of heads and tails one by one, as they are put back. */

static es_rc_t
es_packing_content(es_packing_t *p)
{
    es_rc_t   rc;
    es_str_t  text;
    uint32_t  i;

    rc = es_packing_columns(p, &p->content);

    for (i = 0; rc == ES_OK && i < p->count; i++) {
        text.data = p->texts[i].data;
        text.len = p->entries[i]->mid;

        rc = es_uuid_take(text, &p->content, &p->uuids);

        if (rc == ES_OK) {
            rc = es_uuid_take(p->tails[i], &p->content, &p->uuids);
        }
    }

    return rc;
}


/* ---- the chunk ---- */


static es_rc_t
es_packing_write(const es_packing_t *p, uint32_t feed, const es_chunk_t *first,
    unsigned level, es_buf_t *out)
{
    size_t           start;
    es_rc_t          rc;
    uint64_t         last;
    es_chunk_head_t  head;

    start = out->len;
    last = p->first + p->count - 1;

    head = *first->head;
    head.count = (uint16_t) p->count;
    head.form = ES_CHUNK_PACKED;
    head.nerased = (uint8_t) p->nerased;
    head.time_ms = p->commits[0].time_ms;
    head.partner = p->commits[0].partner;
    head.key = p->commits[0].key;

    rc = es_buf_append(out, &head, sizeof(head));

    if (rc == ES_OK) {
        rc = es_packing_side(p, out);
    }

    if (rc != ES_OK) {
        return rc;
    }

    head.body = (uint32_t) (out->len - start);
    memcpy(out->data + start, &head, sizeof(head));

    head.hash = es_packed_hash(feed, last, out->data + start, head.body,
                               p->content.data, p->content.len);
    memcpy(out->data + start, &head.hash, sizeof(head.hash));

    return es_packed_frame(&p->content, level, head.body, out);
}


es_rc_t
es_packed_encode(uint32_t feed, const es_chunk_t *chunks, size_t n,
    unsigned level, es_buf_t *out)
{
    size_t         start;
    es_rc_t        rc;
    es_packing_t  *p;

    p = calloc(1, sizeof(es_packing_t));
    if (p == NULL) {
        return ES_NOMEM;
    }

    start = out->len;
    rc = es_packing_collect(p, chunks, n);

    if (rc == ES_OK) {
        rc = es_packing_content(p);
    }

    if (rc == ES_OK) {
        rc = es_packing_write(p, feed, &chunks[0], level, out);
    }

    if (rc != ES_OK) {
        out->len = start;
    }

    es_buf_free(&p->content);
    es_buf_free(&p->uuids);
    free(p);

    return rc;
}
