/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The files of the id index as its two parts share them: id_index_files.c maps
 * them, id_index.c reads and writes their slots.
 */

#ifndef ES_ID_INDEX_IMPL_H
#define ES_ID_INDEX_IMPL_H

#include "base/assert.h"
#include "log/id_index.h"

#define ES_ID_INDEX_PAGE      4096
#define ES_ID_INDEX_SLOTS     511     /* of a bucket */
#define ES_ID_INDEX_DEPTH_MAX 24
#define ES_ID_INDEX_BOOT_LEN  40

/* The control file: one page, mapped by every writer. */
typedef struct {
    uint64_t  magic;
    uint64_t  identity;
    char      boot[ES_ID_INDEX_BOOT_LEN];
    uint64_t  published;       /* last log transaction that is wholly indexed */
    uint64_t  generation;      /* changes when the files are made anew */
    uint32_t  nbuckets;        /* in use */
    uint32_t  room;            /* buckets that file 0 has blocks for */
    uint32_t  depth;           /* bits of the directory */
    uint32_t  busy;            /* a bucket is being split */
    uint64_t  used;            /* slots that were ever taken */
} es_id_index_control_t;

ES_STORED_SIZE(es_id_index_control_t, 96);
ES_STORED_AT(es_id_index_control_t, published, 56);
ES_STORED_AT(es_id_index_control_t, nbuckets, 72);
ES_STORED_AT(es_id_index_control_t, used, 88);

/* A slot is a tag, the first 32 bits of the hash, and the last 32 bits of the
   sequence.  0: it is free. */
typedef struct {
    uint32_t  next;            /* of the same tags; 0: none, as bucket 0 is
                                  nobody's next */
    uint16_t  count;
    uint8_t   depth;           /* bits that all its tags share */
    uint8_t   pad;
    uint64_t  slots[ES_ID_INDEX_SLOTS];
} es_id_bucket_t;

ES_STORED_SIZE(es_id_bucket_t, ES_ID_INDEX_PAGE);
ES_STORED_AT(es_id_bucket_t, count, 4);
ES_STORED_AT(es_id_bucket_t, depth, 6);
ES_STORED_AT(es_id_bucket_t, slots, 8);

struct es_id_index {
    char                   *dir;
    int                     fd;
    es_id_index_control_t  *control;
    uint64_t                generation;
    bool                    stuck;
    es_id_bucket_t         *buckets;
    uint32_t                room;      /* as mapped here */
    uint32_t               *directory;
    uint32_t                depth;     /* as mapped here */
};

/*
 * Map file 0 for so many buckets, and file 1 for a directory of so many bits.
 * With `grow` the file is extended first.  After an error the old mapping
 * stays.  ES_FULL, ES_CORRUPT: the file is shorter.  ES_IO.
 */
es_rc_t es_id_index_map_buckets(es_id_index_t *ids, uint32_t room, bool grow);
es_rc_t es_id_index_map_directory(es_id_index_t *ids, uint32_t depth,
    bool grow);

#endif /* ES_ID_INDEX_IMPL_H */
