/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Memory that lives and dies together, at addresses that stay.
 */

#ifndef ES_POOL_H
#define ES_POOL_H

#include "base/base.h"

typedef struct es_pool_block  es_pool_block_t;

/* Zero-initialised is empty and valid. */
typedef struct {
    es_pool_block_t  *blocks;
} es_pool_t;

/* Zeroed memory, aligned for any type; NULL when there is none. */
void *es_pool_alloc(es_pool_t *pool, size_t size);

/* A copy with a NUL after it, which `len` does not count; data is NULL when
   there is no memory. */
es_str_t es_pool_str(es_pool_t *pool, es_str_t text);

void es_pool_free(es_pool_t *pool);

#endif /* ES_POOL_H */
