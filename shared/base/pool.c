/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A pool is a list of blocks.  The first one has room; the others are full.
 */

#include <stdlib.h>
#include <string.h>

#include "base/pool.h"

#define ES_POOL_BLOCK  65536
#define ES_POOL_ALIGN  16

struct es_pool_block {
    es_pool_block_t  *next;
    size_t            used;
    size_t            size;
    _Alignas(ES_POOL_ALIGN) char  data[];
};


void *
es_pool_alloc(es_pool_t *pool, size_t size)
{
    void             *p;
    size_t            cap;
    es_pool_block_t  *block;

    if (size > SIZE_MAX / 2) {
        return NULL;
    }

    size = (size + ES_POOL_ALIGN - 1) / ES_POOL_ALIGN * ES_POOL_ALIGN;
    block = pool->blocks;

    if (block == NULL || block->size - block->used < size) {
        cap = pool->block > 0 ? pool->block : ES_POOL_BLOCK;
        cap = size > cap ? size : cap;

        block = calloc(1, sizeof(es_pool_block_t) + cap);
        if (block == NULL) {
            return NULL;
        }

        block->size = cap;
        block->next = pool->blocks;
        pool->blocks = block;
    }

    p = block->data + block->used;
    block->used += size;

    return p;
}


es_str_t
es_pool_str(es_pool_t *pool, es_str_t text)
{
    char  *p;

    p = es_pool_alloc(pool, text.len + 1);
    if (p == NULL) {
        return es_null_str;
    }

    if (text.len > 0) {
        memcpy(p, text.data, text.len);
    }

    return (es_str_t) { p, text.len };
}


void
es_pool_free(es_pool_t *pool)
{
    es_pool_block_t  *block;

    while (pool->blocks != NULL) {
        block = pool->blocks;
        pool->blocks = block->next;
        free(block);
    }
}


void
es_pool_wipe(es_pool_t *pool)
{
    es_pool_block_t  *block;

    for (block = pool->blocks; block != NULL; block = block->next) {
        explicit_bzero(block->data, block->used);
    }

    es_pool_free(pool);
}
