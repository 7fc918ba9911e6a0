/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Memory for the packed chunks that a thread has unpacked.
 *
 * What a thread has unpacked within its transactions stays in place until it
 * has no transaction open any more (es_env_era()), or until it calls
 * es_unpacked_forget().  After that, some of it is kept for later transactions:
 * readers mostly go on in the same chunk, or read a page again.  The memory is
 * the thread's own and is freed when the thread ends.
 */

#ifndef ES_UNPACKED_H
#define ES_UNPACKED_H

#include "base/base.h"
#include "log/chunk.h"

#define ES_UNPACKED_KEPT  (512 * 1024)  /* bytes that a thread keeps between
                                           transactions, unless it says
                                           otherwise */

#define ES_UNPACKED_READ  (4 * 1024 * 1024)    /* bytes that a search unpacks
                                                  before it ends early */

/* Returns the unpacked chunk of this key and head, if the thread still has it.
   False: it has not. */
bool es_unpacked_find(uint32_t feed, uint64_t last, const es_chunk_head_t *head,
    es_chunk_t *chunk);

/*
 * Returns `size` bytes for a chunk that the caller unpacks.  The memory is
 * forgotten unless es_unpacked_put() follows at once.  NULL: no memory is left.
 */
void *es_unpacked_room(size_t size);

/* Enters the chunk that was unpacked into that memory. */
void es_unpacked_put(uint32_t feed, uint64_t last, const es_chunk_head_t *head,
    const es_chunk_t *chunk);

/* Decompresses one zstd frame, whose content has `len` bytes, into a buffer of
   this thread, which the next call reuses.  ES_CORRUPT, ES_NOMEM. */
es_rc_t es_unpacked_frame(const void *frame, size_t size, size_t len,
    const char **content);

/* Sets how many bytes this thread keeps between transactions, for a thread that
   reads in many places by turns.  ES_NOMEM. */
es_rc_t es_unpacked_keep(size_t bytes);

/* Returns how many bytes of chunks this thread has ever unpacked. */
uint64_t es_unpacked_bytes(void);

/* For a loop over many chunks in one transaction: no chunk that this thread
   has unpacked is in use any more. */
void es_unpacked_forget(void);

/* Frees what the thread has.  None of it is in use. */
void es_unpacked_free(void);

#endif /* ES_UNPACKED_H */
