/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Runs whose chunks are replaced, for the files of this folder.
 */

#ifndef ES_PACK_IMPL_H
#define ES_PACK_IMPL_H

#include "base/base.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "pack/pack.h"
#include "store/store.h"

#define ES_PACK_LOOKS  1024    /* runs that a step looks at */
#define ES_PACK_BYTES  (8 * 1024 * 1024)    /* of chunks, in one step */

/* A chunk that a run has, or will have. */
typedef struct {
    uint64_t  last;            /* its key */
    uint64_t  hash;
    size_t    size;
    size_t    at;              /* of the bytes of a new one, in `out` */
} es_run_chunk_t;

typedef struct {
    uint64_t        first;
    uint64_t        last;
    uint32_t        nold;
    uint32_t        nnew;
    es_run_chunk_t  old[ES_CHUNK_COUNT];
    es_run_chunk_t  new[ES_CHUNK_COUNT];
} es_run_t;

typedef struct es_packer  es_packer_t;

/*
 * Fills the new chunks of a run from those that it has.  ES_INVALID,
 * ES_CORRUPT: the run stays as it is.
 */
typedef es_rc_t (*es_run_fn)(es_packer_t *packer, const es_chunk_t *chunks,
    es_run_t *run);

struct es_packer {
    es_store_t        *store;
    es_str_t           name;
    es_feed_t          feed;
    bool               unpacks;    /* replaces packed chunks, and does not leave
                                      a damaged run as it is */
    unsigned           level;
    uint64_t           tail;       /* last events, which stay */
    es_run_fn          make;
    es_run_t          *runs;
    unsigned           nruns;
    es_buf_t           out;        /* the new chunks' bytes */
    es_packed_runs_t  *done;
};

/* Reads runs after the sequence `after` and replaces them, at most `max`. */
es_rc_t es_runs_replace(es_packer_t *packer, uint64_t after, unsigned max);

/* Notes a new chunk, whose bytes are in `out` from `at` on. */
es_rc_t es_run_add(es_packer_t *packer, es_run_t *run, uint64_t last,
    size_t at);

#endif /* ES_PACK_IMPL_H */
