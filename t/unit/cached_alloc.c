/* SPDX-License-Identifier: BSD-2-Clause */

/* Blocks that a thread keeps: which are used again, by whom, and how many. */

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cached_alloc.h"
#include "tap.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KEEPS  0
#else
#define KEEPS  1
#endif


static void
again(void)
{
    void  *first, *second;

    first = es_cached_malloc(100);
    es_cached_free(first);
    second = es_cached_malloc(90);
    ok(!KEEPS || second == first, "a freed block serves the same size class");
    es_cached_free(second);

    second = es_cached_malloc(ES_CACHED_MAX);
    es_cached_free(second);
    first = es_cached_malloc(ES_CACHED_MAX);
    ok(!KEEPS || second == first, "also one of the greatest class");
    es_cached_free(first);

    es_cached_free(NULL);
    ok(es_cached_calloc(SIZE_MAX / 2, 3) == NULL, "no product may overflow");
}


static void
contents(void)
{
    char    *text, *zeros;
    size_t   i, size;

    text = es_cached_malloc(200);
    memset(text, 'x', 200);
    es_cached_free(text);
    zeros = es_cached_calloc(20, 10);

    for (i = 0; i < 200 && zeros[i] == 0; i++) {
        /* void */
    }

    ok(i == 200, "calloc() clears a block that was used");
    es_cached_free(zeros);

    text = es_cached_strdup("some text");
    is_str(es_str(text), "some text", "strdup() copies");

    for (size = 16; size <= 3 * ES_CACHED_MAX; size *= 2) {
        text = es_cached_realloc(text, size);
        text[size - 1] = 'y';
    }

    is_str(es_str(text), "some text", "realloc() keeps the contents");
    text = es_cached_realloc(text, 10);
    is_str(es_str(text), "some text", "also when the block shrinks");
    es_cached_free(text);

    text = es_cached_realloc(NULL, 10);
    ok(text != NULL, "realloc() of nothing allocates");
    es_cached_free(text);
}


/* More blocks than a class keeps, which the leak check of the sanitizers and
   es_cached_end() must find all. */

static void
many(void)
{
    static void  *blocks[2 * ES_CACHED_BYTES / 1016];
    size_t        i, n = sizeof(blocks) / sizeof(blocks[0]), reused = 0;
    void         *last;

    for (i = 0; i < n; i++) {
        blocks[i] = es_cached_malloc(1000);
    }

    for (i = 0; i < n; i++) {
        es_cached_free(blocks[i]);
    }

    last = blocks[ES_CACHED_BYTES / 1016 - 1];

    for (i = 0; i < n; i++) {
        blocks[i] = es_cached_malloc(1000);
        reused += blocks[i] == last;
    }

    ok(!KEEPS || (reused == 1 && blocks[0] == last),
       "a class keeps as many bytes as it may");

    for (i = 0; i < n; i++) {
        es_cached_free(blocks[i]);
    }
}


static void *
other_thread(void *block)
{
    es_cached_free(block);

    return es_cached_malloc(100);
}


static void
threads(void)
{
    void       *block = es_cached_malloc(100);
    pthread_t   thread;

    (void) pthread_create(&thread, NULL, other_thread, block);
    (void) pthread_join(thread, &block);
    ok(block != NULL, "another thread frees and allocates");
    es_cached_free(block);
}


int
main(void)
{
    void  *block;

    block = es_cached_malloc(100);
    es_cached_free(block);
    ok(block != NULL, "without es_cached_begin() it is malloc()");

    es_cached_begin();
    block = es_cached_malloc(100);
    again();
    contents();
    many();
    threads();
    es_cached_end();

    es_cached_free(block);
    ok(1, "a block may outlive es_cached_end()");

    return done();
}
