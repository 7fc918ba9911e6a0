/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Keeps what a thread has unpacked.
 *
 * A chunk is found by its key and its hash, so what another commit has written
 * under the key since, or another store of this process, is never mistaken for
 * it.
 */

#include <pthread.h>
#include <stdlib.h>
#include <zstd.h>

#include "log/unpacked.h"
#include "store/env.h"

#define ES_UNPACKED_CONTENT  65536

typedef struct {
    uint32_t    feed;
    uint64_t    last;
    uint64_t    hash;              /* of the packed chunk */
    uint64_t    era;               /* of its last use */
    bool        used;              /* it has a chunk */
    es_chunk_t  chunk;
    void       *memory;
    size_t      cap;
} es_unpacked_slot_t;

typedef struct {
    es_unpacked_slot_t  *slots;    /* the last one used comes last */
    size_t               nslots;
    size_t               slots_cap;
    size_t               bytes;    /* that all slots have */
    size_t               kept;     /* of these, between transactions */
    uint64_t             forgotten;    /* adds to the era */
    uint64_t             unpacked;     /* bytes, ever */
    char                *content;
    size_t               content_cap;
    ZSTD_DCtx           *zstd;
} es_unpacked_t;

static _Thread_local es_unpacked_t  *es_unpacked_thread;

static pthread_key_t   es_unpacked_key;
static pthread_once_t  es_unpacked_once = PTHREAD_ONCE_INIT;


static void
es_unpacked_destroy(void *ctx)
{
    size_t          i;
    es_unpacked_t  *u = ctx;

    for (i = 0; i < u->nslots; i++) {
        free(u->slots[i].memory);
    }

    ZSTD_freeDCtx(u->zstd);
    free(u->slots);
    free(u->content);
    free(u);
}


static void
es_unpacked_register(void)
{
    (void) pthread_key_create(&es_unpacked_key, es_unpacked_destroy);
}


static es_unpacked_t *
es_unpacked(void)
{
    es_unpacked_t  *u;

    u = es_unpacked_thread;

    if (u == NULL) {
        (void) pthread_once(&es_unpacked_once, es_unpacked_register);

        u = calloc(1, sizeof(es_unpacked_t));

        if (u != NULL && pthread_setspecific(es_unpacked_key, u) != 0) {
            free(u);
            u = NULL;
        }

        if (u != NULL) {
            u->kept = ES_UNPACKED_KEPT;
        }

        es_unpacked_thread = u;
    }

    return u;
}


void
es_unpacked_free(void)
{
    if (es_unpacked_thread != NULL) {
        (void) pthread_setspecific(es_unpacked_key, NULL);
        es_unpacked_destroy(es_unpacked_thread);
        es_unpacked_thread = NULL;
    }
}


static uint64_t
es_unpacked_era(const es_unpacked_t *u)
{
    return es_env_era() + u->forgotten;
}


/* Makes the i-th slot the last one. */

static es_unpacked_slot_t *
es_unpacked_touch(es_unpacked_t *u, size_t i)
{
    es_unpacked_slot_t  slot;

    slot = u->slots[i];
    slot.era = es_unpacked_era(u);

    memmove(&u->slots[i], &u->slots[i + 1],
            (u->nslots - i - 1) * sizeof(es_unpacked_slot_t));
    u->slots[u->nslots - 1] = slot;

    return &u->slots[u->nslots - 1];
}


bool
es_unpacked_find(uint32_t feed, uint64_t last, const es_chunk_head_t *head,
    es_chunk_t *chunk)
{
    size_t               i;
    es_unpacked_t       *u;
    es_unpacked_slot_t  *slot;

    u = es_unpacked_thread;

    for (i = u == NULL ? 0 : u->nslots; i > 0; i--) {
        slot = &u->slots[i - 1];

        if (slot->used && slot->last == last && slot->feed == feed
            && slot->hash == head->hash)
        {
            *chunk = es_unpacked_touch(u, i - 1)->chunk;
            return true;
        }
    }

    return false;
}


/* Frees the slots that have been unused for longest, as long as the thread has
   more than it keeps.  Slots in use come last. */

static void
es_unpacked_trim(es_unpacked_t *u, size_t more)
{
    size_t    n;
    uint64_t  era;

    era = es_unpacked_era(u);

    for (n = 0; n < u->nslots && u->slots[n].era != era
                && u->bytes + more > u->kept; n++)
    {
        u->bytes -= u->slots[n].cap;
        free(u->slots[n].memory);
    }

    if (n > 0) {
        u->nslots -= n;
        memmove(u->slots, &u->slots[n],
                u->nslots * sizeof(es_unpacked_slot_t));
    }
}


/* The slot that has been unused for longest is taken if it has the size. */

static es_unpacked_slot_t *
es_unpacked_take(es_unpacked_t *u, size_t size)
{
    es_unpacked_slot_t  *slot;

    slot = &u->slots[0];

    if (u->nslots == 0 || slot->era == es_unpacked_era(u)
        || slot->cap < size || slot->cap > 2 * size
        || u->bytes + size <= u->kept)
    {
        return NULL;
    }

    slot = es_unpacked_touch(u, 0);
    slot->used = false;

    return slot;
}


void *
es_unpacked_room(size_t size)
{
    size_t               cap;
    es_unpacked_t       *u;
    es_unpacked_slot_t  *slot, *slots;

    u = es_unpacked();
    if (u == NULL) {
        return NULL;
    }

    slot = es_unpacked_take(u, size);
    if (slot != NULL) {
        return slot->memory;
    }

    es_unpacked_trim(u, size);

    if (u->nslots == u->slots_cap) {
        cap = u->slots_cap ? u->slots_cap * 2 : 16;

        slots = realloc(u->slots, cap * sizeof(es_unpacked_slot_t));
        if (slots == NULL) {
            return NULL;
        }

        u->slots = slots;
        u->slots_cap = cap;
    }

    slot = &u->slots[u->nslots];
    memset(slot, 0, sizeof(es_unpacked_slot_t));

    slot->memory = malloc(size);
    if (slot->memory == NULL) {
        return NULL;
    }

    slot->cap = size;
    slot->era = es_unpacked_era(u);
    u->bytes += size;
    u->nslots++;

    return slot->memory;
}


void
es_unpacked_put(uint32_t feed, uint64_t last, const es_chunk_head_t *head,
    const es_chunk_t *chunk)
{
    es_unpacked_t       *u;
    es_unpacked_slot_t  *slot;

    u = es_unpacked_thread;
    slot = &u->slots[u->nslots - 1];

    slot->feed = feed;
    slot->last = last;
    slot->hash = head->hash;
    slot->chunk = *chunk;
    slot->used = true;
    u->unpacked += chunk->size;
}


es_rc_t
es_unpacked_frame(const void *frame, size_t size, size_t len,
    const char **content)
{
    size_t          n, cap;
    char           *data;
    es_unpacked_t  *u;

    u = es_unpacked();

    if (u != NULL && u->zstd == NULL) {
        u->zstd = ZSTD_createDCtx();
    }

    if (u == NULL || u->zstd == NULL) {
        return ES_NOMEM;
    }

    /* A large event is rare, so its buffer is not kept for long. */

    if (u->content_cap < len || u->content_cap > 2 * len + ES_UNPACKED_KEPT) {
        cap = (len / ES_UNPACKED_CONTENT + 1) * ES_UNPACKED_CONTENT;

        data = malloc(cap);
        if (data == NULL) {
            return ES_NOMEM;
        }

        free(u->content);
        u->content = data;
        u->content_cap = cap;
    }

    n = ZSTD_decompressDCtx(u->zstd, u->content, u->content_cap, frame, size);

    if (ZSTD_isError(n) || n != len) {
        return ES_CORRUPT;
    }

    *content = u->content;

    return ES_OK;
}


es_rc_t
es_unpacked_keep(size_t bytes)
{
    es_unpacked_t  *u;

    u = es_unpacked();
    if (u == NULL) {
        return ES_NOMEM;
    }

    u->kept = bytes;

    return ES_OK;
}


uint64_t
es_unpacked_bytes(void)
{
    return es_unpacked_thread != NULL ? es_unpacked_thread->unpacked : 0;
}


void
es_unpacked_forget(void)
{
    if (es_unpacked_thread != NULL) {
        es_unpacked_thread->forgotten++;
    }
}
