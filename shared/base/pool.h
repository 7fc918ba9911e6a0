/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Memory that is freed all at once, at addresses that do not change.
 *
 * A pool belongs to one thread at a time.
 */

#ifndef ES_POOL_H
#define ES_POOL_H

#include "base/base.h"

typedef struct es_pool_block  es_pool_block_t;

/* A zeroed pool is empty and valid. */
typedef struct {
    es_pool_block_t  *blocks;
    size_t            block;       /* bytes of a block; 0: 64 KiB */
} es_pool_t;

/* Returns zeroed memory, aligned for any type.  NULL: out of memory. */
void *es_pool_alloc(es_pool_t *pool, size_t size);

/* Returns a copy with a NUL after it, which `len` does not count.  Its
   `data` is NULL if there is no memory. */
es_str_t es_pool_str(es_pool_t *pool, es_str_t text);

void es_pool_free(es_pool_t *pool);

/* The same for a pool with secrets, which it overwrites. */
void es_pool_wipe(es_pool_t *pool);

#endif /* ES_POOL_H */
