/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * malloc() and its kin for a library that frees and allocates the same few
 * sizes all the time, such as libcurl.
 *
 * A thread that has called es_cached_begin() keeps freed blocks for itself, up
 * to ES_CACHED_BYTES of each size class.  glibc keeps 7 of each size; the
 * others it joins and splits again, which costs several times as much.
 *
 * Each block is one of malloc(), so any thread may free what another has
 * allocated, with these functions or with free().  A thread that has not called
 * es_cached_begin() keeps nothing.
 */

#ifndef ES_CACHED_ALLOC_H
#define ES_CACHED_ALLOC_H

#include <stddef.h>

#define ES_CACHED_MAX    8184      /* bytes; greater blocks are not kept */
#define ES_CACHED_BYTES  262144

/* As the functions of the C library: NULL is out of memory. */
void *es_cached_malloc(size_t size);
void *es_cached_calloc(size_t n, size_t size);
void *es_cached_realloc(void *block, size_t size);
char *es_cached_strdup(const char *text);
void es_cached_free(void *block);

/* Begins to keep blocks in the calling thread, unless the sanitizers watch the
   memory. */
void es_cached_begin(void);

/* Frees the blocks that the calling thread keeps, which it must do before it
   ends. */
void es_cached_end(void);

#endif /* ES_CACHED_ALLOC_H */
