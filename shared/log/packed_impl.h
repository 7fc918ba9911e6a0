/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What packed.c, packed_side.c, packed_encode.c and packed_frame.c share.
 *
 * An entry's numbers stand in columns.  Offsets are counted from where they
 * mostly are, so that a column of events of one kind has one value.
 */

#ifndef ES_PACKED_IMPL_H
#define ES_PACKED_IMPL_H

#include "base/base.h"
#include "event/cursor.h"
#include "log/chunk.h"
#include "log/uuid.h"

enum {
    ES_COLUMN_HEAD,            /* from the end of type or subject to the end of
                                  the head */
    ES_COLUMN_TAIL,            /* length of the tail */
    ES_COLUMN_IDENT,           /* ident_len */
    ES_COLUMN_ID,              /* id_len */
    ES_COLUMN_TYPE_OFF,        /* from the end of source */
    ES_COLUMN_TYPE_LEN,
    ES_COLUMN_SUBJECT_OFF,     /* from the end of type; 0: no subject */
    ES_COLUMN_SUBJECT_LEN,
    ES_COLUMN_TIME_OFF,        /* from the end of type; 0: the producer's */
    ES_COLUMN_FLAGS,
    ES_COLUMNS
};

#define ES_COLUMNS_MAX  (ES_COLUMNS * ES_CHUNK_COUNT * 10)    /* bytes */

#define ES_MID_MAX      192    /* more than es_mid_print() writes */

/* The epochs that the events of a chunk state. */
typedef struct {
    uint32_t  n;
    struct {
        uint32_t  end;         /* index of the first event of the next one */
        char      name[ES_EPOCH_MAX + 1];
    } runs[ES_CHUNK_COUNT + 1];
    char      before[ES_EPOCH_MAX + 1];    /* of the event before the first */
} es_packed_epochs_t;

#define ES_ERASED_SIZE  (sizeof(es_erased_t) + sizeof(uint32_t))

/* What is read of a chunk before its place in memory is known. */
typedef struct {
    const es_chunk_head_t  *head;
    const uint8_t          *p;         /* the rest of the side */
    const uint8_t          *end;
    uint64_t                last;
    es_links_t              links[ES_CHUNK_COUNT];
    es_commit_of_t          commits[ES_CHUNK_COUNT];
    es_packed_epochs_t      epochs;
    uint32_t                types[ES_CHUNK_COUNT];
    const uint8_t          *erased;    /* ES_ERASED_SIZE bytes for each */
    const uint8_t          *uuids;     /* the end of the side */

    const uint8_t          *content;
    es_uuid_reader_t        text;      /* after the columns */
    const uint8_t          *content_end;
    size_t                  cursors[ES_CHUNK_COUNT + 1];    /* lengths, from
                                          the event before the first one on */
    uint32_t                tails[ES_CHUNK_COUNT];
    es_entry_t              entries[ES_CHUNK_COUNT];
    size_t                  body;      /* bytes of the plain texts */
} es_unpacking_t;

/* Reads the side of u->head.  ES_CORRUPT. */
es_rc_t es_unpack_side(es_unpacking_t *u);

/*
 * Appends `content` as one zstd frame to a value that has `value` bytes before
 * it.  ES_NOMEM.
 */
es_rc_t es_packed_frame(const es_buf_t *content, unsigned level, size_t value,
    es_buf_t *out);

/* Bits of an index below `n`, and bytes of `count` of these. */
static inline unsigned
es_packed_width(uint32_t n)
{
    return n <= 1 ? 0 : 32 - (unsigned) __builtin_clz(n - 1);
}

static inline size_t
es_packed_bits(uint32_t count, unsigned width)
{
    return ((size_t) count * width + 7) / 8;
}

/* Fills the columns of an entry.  False: its parts are in another order. */
static inline bool
es_column_values(const es_entry_t *entry, size_t tail, int64_t *value)
{
    int64_t  type_end, subject_end;

    type_end = entry->type_off + entry->type_len;
    subject_end = entry->subject_len == 0
                  ? type_end : entry->subject_off + entry->subject_len;

    value[ES_COLUMN_HEAD] = (int64_t) entry->mid - subject_end;
    value[ES_COLUMN_TAIL] = (int64_t) tail;
    value[ES_COLUMN_IDENT] = entry->ident_len;
    value[ES_COLUMN_ID] = entry->id_len;
    value[ES_COLUMN_TYPE_OFF] = (int64_t) entry->type_off - entry->ident_len;
    value[ES_COLUMN_TYPE_LEN] = entry->type_len;
    value[ES_COLUMN_SUBJECT_OFF] = entry->subject_off == 0
                                   ? 0 : entry->subject_off - type_end;
    value[ES_COLUMN_SUBJECT_LEN] = entry->subject_len;
    value[ES_COLUMN_TIME_OFF] = entry->time_off == 0
                                ? 0 : entry->time_off - type_end;
    value[ES_COLUMN_FLAGS] = entry->flags;

    return (entry->subject_off == 0 || entry->subject_off > type_end)
           && (entry->time_off == 0 || entry->time_off > type_end)
           && (entry->subject_len == 0 || entry->subject_off != 0);
}

#endif /* ES_PACKED_IMPL_H */
