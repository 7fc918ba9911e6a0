/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Keeps freed blocks in one list for each size class.
 *
 * The classes are the usable sizes of glibc's chunks of 32, 64, 128 … bytes.
 * The class of a block follows from malloc_usable_size(), so that a block needs
 * no head of its own.
 */

#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cached_alloc.h"

#define ES_CACHED_HEAD     8       /* bytes of a chunk that are glibc's */
#define ES_CACHED_SHIFT    5       /* the least chunk has 32 bytes */
#define ES_CACHED_CLASSES  9

#define es_cached_size(class)                                                 \
    (((size_t) 1 << ((class) + ES_CACHED_SHIFT)) - ES_CACHED_HEAD)

_Static_assert(es_cached_size(ES_CACHED_CLASSES - 1) == ES_CACHED_MAX,
               "the last class has the greatest blocks");

/* A free block. */
typedef struct es_cached_block  es_cached_block_t;

struct es_cached_block {
    es_cached_block_t  *next;
};

typedef struct {
    es_cached_block_t  *blocks;
    unsigned            n;
} es_cached_class_t;

static _Thread_local bool               es_cached_on;
static _Thread_local es_cached_class_t  es_cached[ES_CACHED_CLASSES];


/* The least class with blocks of `size` bytes, at most ES_CACHED_MAX. */

static unsigned
es_cached_class(size_t size)
{
    size_t  chunk;

    chunk = (size + ES_CACHED_HEAD - 1) >> ES_CACHED_SHIFT;

    return chunk == 0 ? 0 : 64 - (unsigned) __builtin_clzl(chunk);
}


void *
es_cached_malloc(size_t size)
{
    unsigned            class;
    es_cached_block_t  *block;

    if (!es_cached_on || size > ES_CACHED_MAX) {
        return malloc(size);
    }

    class = es_cached_class(size);
    block = es_cached[class].blocks;

    if (block == NULL) {
        return malloc(es_cached_size(class));
    }

    es_cached[class].blocks = block->next;
    es_cached[class].n--;

    return block;
}


void *
es_cached_calloc(size_t n, size_t size)
{
    void    *block;
    size_t   total;

    if (__builtin_mul_overflow(n, size, &total)) {
        return NULL;
    }

    if (!es_cached_on || total > ES_CACHED_MAX) {
        return calloc(n, size);
    }

    block = es_cached_malloc(total);

    return block != NULL ? memset(block, 0, total) : NULL;
}


char *
es_cached_strdup(const char *text)
{
    char    *copy;
    size_t   size;

    size = strlen(text) + 1;
    copy = es_cached_malloc(size);

    return copy != NULL ? memcpy(copy, text, size) : NULL;
}


void
es_cached_free(void *block)
{
    size_t              usable;
    unsigned            class;
    es_cached_block_t  *kept;

    if (block == NULL) {
        return;
    }

    usable = es_cached_on ? malloc_usable_size(block) : 0;
    class = usable <= ES_CACHED_MAX ? es_cached_class(usable) : 0;

    /* a block between two classes is not one of ours */

    if (usable != es_cached_size(class)
        || es_cached[class].n >= ES_CACHED_BYTES / es_cached_size(class))
    {
        free(block);
        return;
    }

    kept = block;
    kept->next = es_cached[class].blocks;
    es_cached[class].blocks = kept;
    es_cached[class].n++;
}


void *
es_cached_realloc(void *block, size_t size)
{
    void    *larger;
    size_t   usable;

    if (block == NULL) {
        return es_cached_malloc(size);
    }

    usable = malloc_usable_size(block);

    if (!es_cached_on || size == 0 || usable > ES_CACHED_MAX) {
        return realloc(block, size);
    }

    if (size <= usable) {
        return block;
    }

    larger = es_cached_malloc(size);

    if (larger != NULL) {
        memcpy(larger, block, usable);
        es_cached_free(block);
    }

    return larger;
}


void
es_cached_begin(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    es_cached_on = true;
#endif
}


void
es_cached_end(void)
{
    unsigned            class;
    es_cached_block_t  *block;

    es_cached_on = false;

    for (class = 0; class < ES_CACHED_CLASSES; class++) {
        while ((block = es_cached[class].blocks) != NULL) {
            es_cached[class].blocks = block->next;
            free(block);
        }

        es_cached[class].n = 0;
    }
}
