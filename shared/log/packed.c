/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Unpacks packed chunks.
 *
 * A chunk may be damaged in any way, so every length is checked before its use,
 * and nothing is allocated for a length that the frame cannot have.
 */

#include <xxhash.h>
#include <zstd.h>

#include "base/hash.h"
#include "event/cursor.h"
#include "log/chunk.h"
#include "log/erased.h"
#include "log/packed.h"
#include "log/packed_impl.h"
#include "log/unpacked.h"
#include "log/uuid.h"
#include "log/varint.h"

#define ES_ZSTD_BLOCK      (128 * 1024)    /* bytes that a block of at least
                                              ES_ZSTD_BLOCK_MIN may become */
#define ES_ZSTD_BLOCK_MIN  4


uint64_t
es_packed_hash(uint32_t feed, uint64_t last, const void *value, size_t body,
    const void *content, size_t len)
{
    uint64_t  hash;

    hash = es_hash_long(content, len, ((uint64_t) feed << 40) ^ last);

    return es_hash_long((const char *) value + sizeof(hash),
                        body - sizeof(hash), hash);
}


es_rc_t
es_packed_check(const MDB_val *value, uint64_t last)
{
    const es_chunk_head_t  *head;

    head = value->mv_data;

    return head->count == 0
           || head->count > ES_CHUNK_COUNT
           || head->nerased > head->count
           || head->body < sizeof(es_chunk_head_t)
           || head->body >= value->mv_size
           || head->first == 0
           || head->first + head->count - 1 != last
           ? ES_CORRUPT : ES_OK;
}


/* ---- the content of the frame ---- */


static es_rc_t
es_unpack_content(es_unpacking_t *u, uint32_t feed, const MDB_val *value)
{
    size_t              size;
    es_rc_t             rc;
    const char         *frame, *content;
    unsigned long long  len;

    frame = (const char *) value->mv_data + u->head->body;
    size = value->mv_size - u->head->body;
    len = ZSTD_getFrameContentSize(frame, size);

    /* The two words for an unknown and a wrong size are above the limit. */

    if (len == 0 || len > ES_PACKED_MAX
        || len / ES_ZSTD_BLOCK > size / ES_ZSTD_BLOCK_MIN)
    {
        return ES_CORRUPT;
    }

    rc = es_unpacked_frame(frame, size, len, &content);

    if (rc == ES_OK
        && es_packed_hash(feed, u->last, u->head, u->head->body, content, len)
           != u->head->hash)
    {
        rc = ES_CORRUPT;
    }

    if (rc == ES_OK) {
        u->content = (const uint8_t *) content;
        u->content_end = u->content + len;
    }

    return rc;
}


/* Reads one column into `values`.  Most values are that of the event before,
   so eight of these are read at once. */

static const uint8_t *
es_unpack_column(const uint8_t *p, const uint8_t *end, uint32_t count,
    int32_t *values)
{
    int64_t   value;
    uint32_t  i, j;
    uint64_t  v;

    for (i = 0, value = 0; i < count; ) {
        if (count - i >= sizeof(v) && end - p >= (ptrdiff_t) sizeof(v)) {
            memcpy(&v, p, sizeof(v));

            if (v == 0) {
                for (j = 0; j < sizeof(v); j++) {
                    values[i + j] = (int32_t) value;
                }

                i += sizeof(v);
                p += sizeof(v);
                continue;
            }
        }

        p = es_varint_get(p, end, &v);

        if (p == NULL
            || __builtin_add_overflow(value, es_zigzag_get(v), &value)
            || value > ES_PACKED_MAX || value < -ES_PACKED_MAX)
        {
            return NULL;
        }

        values[i++] = (int32_t) value;
    }

    return p;
}


/* Fills what the columns say of an entry, if it fits together as
   es_chunk_text() requires.  All values are within ES_PACKED_MAX, so sums of
   them do not overflow. */

static bool
es_unpack_entry(const int32_t value[ES_COLUMNS][ES_CHUNK_COUNT], uint32_t i,
    es_entry_t *entry)
{
    int32_t  ident, id, type, type_len, type_end, subject, subject_len,
             subject_end, time, mid;

    ident = value[ES_COLUMN_IDENT][i];
    id = value[ES_COLUMN_ID][i];
    type = ident + value[ES_COLUMN_TYPE_OFF][i];
    type_len = value[ES_COLUMN_TYPE_LEN][i];
    type_end = type + type_len;
    subject = value[ES_COLUMN_SUBJECT_OFF][i];
    subject = subject == 0 ? 0 : type_end + subject;
    subject_len = value[ES_COLUMN_SUBJECT_LEN][i];
    subject_end = subject_len == 0 ? type_end : subject + subject_len;
    time = value[ES_COLUMN_TIME_OFF][i];
    time = time == 0 ? 0 : type_end + time;
    mid = subject_end + value[ES_COLUMN_HEAD][i];

    if (((ident | id | type | type_len | subject | subject_len | time)
         & ~UINT16_MAX)
        || mid <= 0 || mid > ES_PACKED_MAX || value[ES_COLUMN_TAIL][i] <= 0
        || (value[ES_COLUMN_FLAGS][i] & ~ES_ENTRY_ERASED)
        || ident >= mid || type_end > mid || subject + subject_len > mid
        || (int32_t) ES_ID_OFFSET + id > ident)
    {
        return false;
    }

    entry->mid = (uint32_t) mid;
    entry->ident_len = (uint16_t) ident;
    entry->id_len = (uint16_t) id;
    entry->type_off = (uint16_t) type;
    entry->type_len = (uint16_t) type_len;
    entry->subject_off = (uint16_t) subject;
    entry->subject_len = (uint16_t) subject_len;
    entry->time_off = (uint16_t) time;
    entry->flags = (uint8_t) value[ES_COLUMN_FLAGS][i];

    return true;
}


/* Finds out how long the events' cursors are, after that of the event before
   the first one.  They grow at powers of ten. */

static void
es_unpack_cursors(es_unpacking_t *u)
{
    size_t       len;
    uint32_t     i, run, end;
    uint64_t     sequence;
    const char  *name;

    sequence = u->head->first;
    u->cursors[0] = es_cursor_len(u->epochs.before, sequence - 1);

    for (i = run = 0; run < u->epochs.n; run++) {
        name = u->epochs.runs[run].name;
        end = u->epochs.runs[run].end;
        len = es_cursor_len(name, sequence + end - 1);

        if (es_cursor_len(name, sequence + i) == len) {
            for ( ; i < end; i++) {
                u->cursors[i + 1] = len;
            }
        }

        for ( ; i < end; i++) {
            u->cursors[i + 1] = es_cursor_len(name, sequence + i);
        }
    }
}


/* Fills the entries and finds out how long the plain texts are. */

static es_rc_t
es_unpack_entries(es_unpacking_t *u)
{
    int32_t         value[ES_COLUMNS][ES_CHUNK_COUNT];
    uint32_t        i, nerased;
    uint64_t        left, packed;
    const uint8_t  *p;

    for (i = 0, p = u->content; i < ES_COLUMNS; i++) {
        p = es_unpack_column(p, u->content_end, u->head->count, value[i]);
        if (p == NULL) {
            return ES_CORRUPT;
        }
    }

    u->text = (es_uuid_reader_t) { p, u->content_end, u->uuids, u->end };
    u->body = 0;
    left = (uint64_t) (u->content_end - p)
           + (uint64_t) (u->end - u->uuids) / ES_UUID_LEN
             * (ES_UUID_TEXT - 1);

    es_unpack_cursors(u);

    for (i = nerased = 0; i < u->head->count; i++) {
        if (!es_unpack_entry(value, i, &u->entries[i])) {
            return ES_CORRUPT;
        }

        u->tails[i] = (uint32_t) value[ES_COLUMN_TAIL][i];
        packed = (uint64_t) u->entries[i].mid + u->tails[i];

        if (packed > left) {
            return ES_CORRUPT;
        }

        left -= packed;
        u->body += packed + es_mid_len(u->cursors[i + 1], u->cursors[i]);
        u->entries[i].end = (uint32_t) u->body;
        u->body++;                             /* the comma */
        nerased += es_entry_erased(&u->entries[i]);
    }

    u->body--;

    return left == 0 && nerased == u->head->nerased ? ES_OK : ES_CORRUPT;
}


/* ---- the plain layout ---- */


/*
 * Writes the part between head and tail of the i-th event, which has `len`
 * bytes.  The `mid` of the event before differs in three numbers only, unless
 * they have become longer or one of its cursors is of another epoch.
 */

static char *
es_unpack_mid(const es_packed_epochs_t *epochs, uint32_t run, uint32_t i,
    uint64_t sequence, size_t cursor, es_str_t mid, size_t len, char *out)
{
    uint32_t     from;
    const char  *name, *before;

    name = epochs->runs[run].name;
    from = run == 0 ? 0 : epochs->runs[run - 1].end;

    if (i > from + 1 && mid.len == len) {
        return es_mid_next(mid, cursor, out);
    }

    before = i > from ? name
             : run == 0 ? epochs->before : epochs->runs[run - 1].name;

    return es_mid_print(name, before, sequence, out);
}


/* The lengths of the texts, with their UUIDs, add up to those of the plain
   ones, or they would not fit. */

static es_rc_t
es_unpack_texts(es_unpacking_t *u, char *body)
{
    char      *p;
    size_t     len;
    uint32_t   i, run;
    es_str_t   mid;

    mid = es_null_str;

    for (i = run = 0, p = body; i < u->head->count; i++) {
        run += i == u->epochs.runs[run].end;

        if (i > 0) {
            *p++ = ',';
        }

        len = (size_t) (body + u->entries[i].end - p) - u->entries[i].mid
              - u->tails[i];

        if (!es_uuid_put_back(&u->text, p, u->entries[i].mid)) {
            return ES_CORRUPT;
        }

        p += u->entries[i].mid;

        (void) es_unpack_mid(&u->epochs, run, i, u->head->first + i,
                             u->cursors[i + 1], mid, len, p);
        mid = (es_str_t) { p, len };
        p += len;

        if (!es_uuid_put_back(&u->text, p, u->tails[i])) {
            return ES_CORRUPT;
        }

        p += u->tails[i];
    }

    return ES_OK;
}


/* Completes the entries, whose texts are in place. */

static void
es_unpack_finish(const es_unpacking_t *u, const char *body,
    es_entry_t *entries, es_erased_t *erased)
{
    uint32_t        i;
    es_str_t        subject;
    const char     *text;
    const uint8_t  *p;

    for (i = 0, p = u->erased, text = body; i < u->head->count;
         text = body + entries[i].end + 1, i++)
    {
        entries[i].hash = 0;
        entries[i].subject_nth = u->links[i].nth;
        entries[i].subject_prev = u->links[i].prev;
        entries[i].subject_jump = u->links[i].jump;

        if (es_entry_erased(&entries[i])) {
            memcpy(erased++, p, sizeof(es_erased_t));
            memcpy(&entries[i].subject_hash, p + sizeof(es_erased_t),
                   sizeof(uint32_t));
            p += ES_ERASED_SIZE;
            continue;
        }

        subject.data = text + entries[i].subject_off;
        subject.len = entries[i].subject_len;
        entries[i].subject_hash = es_subject_hash(subject);
    }
}


/* Lays the chunk out as a plain one, with what a plain one has once for all
   its events behind it. */

static es_rc_t
es_unpack_layout(es_unpacking_t *u, es_chunk_t *chunk)
{
    char             *memory, *epoch;
    size_t            types, entries, erased, commits;
    uint32_t          n;
    es_chunk_head_t   head;

    n = u->head->count;
    types = sizeof(es_chunk_head_t);
    entries = types + n * sizeof(uint32_t);
    erased = entries + n * sizeof(es_entry_t);

    head = *u->head;
    head.form = ES_CHUNK_PLAIN;
    head.body = (uint32_t) (erased + head.nerased * sizeof(es_erased_t));

    commits = (head.body + u->body + sizeof(int64_t) - 1)
              & ~(sizeof(int64_t) - 1);

    memory = es_unpacked_room(commits + n * sizeof(es_commit_of_t)
                              + ES_EPOCH_MAX + 1);
    if (memory == NULL) {
        return ES_NOMEM;
    }

    epoch = memory + commits + n * sizeof(es_commit_of_t);
    memcpy(memory, &head, sizeof(head));
    memcpy(memory + types, u->types, n * sizeof(uint32_t));
    memcpy(memory + entries, u->entries, n * sizeof(es_entry_t));
    memcpy(memory + commits, u->commits, n * sizeof(es_commit_of_t));
    memcpy(epoch, u->epochs.runs[u->epochs.n - 1].name, ES_EPOCH_MAX + 1);

    if (es_unpack_texts(u, memory + head.body) != ES_OK) {
        return ES_CORRUPT;
    }

    chunk->head = (const es_chunk_head_t *) memory;
    chunk->types = (const uint8_t *) memory + types;
    chunk->entries = (const es_entry_t *) (memory + entries);
    chunk->body = memory + head.body;
    chunk->size = head.body + u->body;
    chunk->last = u->last;
    chunk->commits = (const es_commit_of_t *) (memory + commits);
    chunk->epoch = epoch;

    es_unpack_finish(u, chunk->body, (es_entry_t *) (memory + entries),
                     (es_erased_t *) (memory + erased));

    return ES_OK;
}


es_rc_t
es_packed_decode(uint32_t feed, uint64_t last, const MDB_val *value,
    es_chunk_t *chunk)
{
    es_rc_t         rc;
    es_unpacking_t  u;

    rc = es_packed_check(value, last);
    if (rc != ES_OK) {
        return rc;
    }

    u.head = value->mv_data;
    u.last = last;

    if (es_unpacked_find(feed, last, u.head, chunk)) {
        return ES_OK;
    }

    rc = es_unpack_content(&u, feed, value);

    if (rc == ES_OK) {
        rc = es_unpack_side(&u);
    }

    if (rc == ES_OK) {
        rc = es_unpack_entries(&u);
    }

    if (rc == ES_OK) {
        rc = es_unpack_layout(&u, chunk);
    }

    if (rc == ES_OK) {
        es_unpacked_put(feed, last, u.head, chunk);
    }

    return rc;
}


es_rc_t
es_packed_relink(uint32_t feed, uint64_t last, const MDB_val *value,
    const uint8_t digest[ES_CHAIN_LEN])
{
    es_rc_t           rc;
    es_unpacking_t    u;
    es_chunk_head_t  *head;

    rc = es_packed_check(value, last);
    if (rc != ES_OK) {
        return rc;
    }

    head = value->mv_data;
    u.head = head;
    u.last = last;

    rc = es_unpack_content(&u, feed, value);

    if (rc == ES_OK) {
        memcpy(head->digest, digest, ES_CHAIN_LEN);
        head->hash = es_packed_hash(feed, last, head, head->body, u.content,
                                    (size_t) (u.content_end - u.content));
    }

    return rc;
}


bool
es_packed_of_feed(const es_feed_t *feed, const es_chunk_t *chunk)
{
    return chunk->epoch == NULL || chunk->last <= feed->forgotten
           || strcmp(chunk->epoch, es_feed_epoch_of(feed, chunk->last)) == 0;
}
