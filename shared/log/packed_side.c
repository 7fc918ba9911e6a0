/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads the side of a packed chunk, which may be damaged in any way.
 */

#include "log/chunk.h"
#include "log/packed.h"
#include "log/packed_impl.h"
#include "log/uuid.h"
#include "log/varint.h"


static bool
es_unpack_number(es_unpacking_t *u, uint64_t max, uint64_t *v)
{
    u->p = es_varint_get(u->p, u->end, v);

    return u->p != NULL && *v <= max;
}


/* Returns the end of an event's links.  NULL: they are damaged. */

static const uint8_t *
es_unpack_link(const uint8_t *p, const uint8_t *end, uint64_t sequence,
    es_links_t *links)
{
    uint64_t  v, jump;

    p = es_varint_get(p, end, &v);

    if (p == NULL || v > sequence) {
        return NULL;
    }

    links->prev = 0;
    links->jump = 0;
    links->nth = v;

    if (v <= 1) {
        return p;
    }

    links->prev = sequence + 1 - v;
    p = es_varint_get(p, end, &links->nth);

    if (p != NULL) {
        p = es_varint_get(p, end, &jump);
    }

    if (p == NULL || jump > links->prev) {
        return NULL;
    }

    links->jump = jump == 0 ? 0 : links->prev + 1 - jump;

    return p;
}


static es_rc_t
es_unpack_links(es_unpacking_t *u)
{
    uint32_t  i;

    for (i = 0; i < u->head->count; i++) {
        u->p = es_unpack_link(u->p, u->end, u->head->first + i, &u->links[i]);

        if (u->p == NULL) {
            return ES_CORRUPT;
        }
    }

    return ES_OK;
}


es_rc_t
es_packed_links(const es_chunk_head_t *head, uint64_t sequence,
    es_links_t *links)
{
    uint64_t        at;
    const uint8_t  *p, *end;

    p = (const uint8_t *) (head + 1);
    end = (const uint8_t *) head + head->body;

    for (at = head->first; p != NULL && at <= sequence; at++) {
        p = es_unpack_link(p, end, at, links);
    }

    return p != NULL ? ES_OK : ES_CORRUPT;
}


static es_rc_t
es_unpack_times(es_unpacking_t *u)
{
    int64_t   time_ms;
    uint32_t  i;
    uint64_t  v, zeros;

    time_ms = u->head->time_ms;
    zeros = 0;

    for (i = 0; i < u->head->count; i++) {
        if (i == 0) {
            v = 0;

        } else if (zeros > 0) {
            zeros--;

        } else if (!es_unpack_number(u, INT64_MAX, &v)
                   || (v == 0
                       && !es_unpack_number(u, ES_CHUNK_COUNT, &zeros)))
        {
            return ES_CORRUPT;
        }

        if (__builtin_add_overflow(time_ms, (int64_t) v, &time_ms)) {
            return ES_CORRUPT;
        }

        u->commits[i].time_ms = time_ms;
    }

    return zeros == 0 ? ES_OK : ES_CORRUPT;
}


static es_rc_t
es_unpack_publishers(es_unpacking_t *u)
{
    uint32_t  i;
    uint64_t  n, partner, key;

    for (i = 0; i < u->head->count; ) {
        if (!es_unpack_number(u, u->head->count - i, &n)
            || !es_unpack_number(u, UINT32_MAX, &partner)
            || !es_unpack_number(u, UINT32_MAX, &key)
            || n == 0)
        {
            return ES_CORRUPT;
        }

        for ( ; n > 0; n--, i++) {
            u->commits[i].partner = (uint32_t) partner;
            u->commits[i].key = (uint32_t) key;
        }
    }

    return u->commits[0].partner == u->head->partner
           && u->commits[0].key == u->head->key ? ES_OK : ES_CORRUPT;
}


static es_rc_t
es_unpack_epochs(es_unpacking_t *u)
{
    char                *name;
    uint32_t             at, all;
    uint64_t             n, len;
    es_packed_epochs_t  *epochs;

    /* `at` counts the event before the first one, too. */

    epochs = &u->epochs;
    all = u->head->count + 1U;
    epochs->n = 0;

    for (at = 0; at < all; at += (uint32_t) n) {
        if (!es_unpack_number(u, all - at, &n)
            || !es_unpack_number(u, ES_EPOCH_MAX, &len)
            || n == 0 || (uint64_t) (u->end - u->p) < len)
        {
            return ES_CORRUPT;
        }

        name = epochs->runs[epochs->n].name;
        memset(name, 0, ES_EPOCH_MAX + 1);
        memcpy(name, u->p, len);
        u->p += len;

        if (at == 0) {
            memcpy(epochs->before, name, sizeof(epochs->before));
        }

        epochs->runs[epochs->n].end = at + (uint32_t) n - 1;
        epochs->n += at + n > 1;
    }

    return ES_OK;
}


static es_rc_t
es_unpack_types(es_unpacking_t *u)
{
    size_t          bits;
    uint32_t        i, index, window, distinct[ES_CHUNK_COUNT];
    uint64_t        n, v;
    unsigned        width, have;
    const uint8_t  *p;

    if (!es_unpack_number(u, u->head->count, &n) || n == 0) {
        return ES_CORRUPT;
    }

    for (i = 0; i < n; i++) {
        if (!es_unpack_number(u, UINT32_MAX, &v)) {
            return ES_CORRUPT;
        }

        distinct[i] = (uint32_t) v;
    }

    width = es_packed_width((uint32_t) n);
    bits = es_packed_bits(u->head->count, width);

    if ((size_t) (u->end - u->p) < bits) {
        return ES_CORRUPT;
    }

    /* An index has less than 8 bits, so the next byte has its rest. */

    for (i = 0, p = u->p, window = 0, have = 0; i < u->head->count; i++) {
        if (have < width) {
            window |= (uint32_t) *p++ << have;
            have += 8;
        }

        index = window & ((1U << width) - 1);
        window >>= width;
        have -= width;

        if (index >= n) {
            return ES_CORRUPT;
        }

        u->types[i] = distinct[index];
    }

    u->p += bits;

    return ES_OK;
}


/* The rest of the side is the erased events' records, and UUIDs. */

es_rc_t
es_unpack_side(es_unpacking_t *u)
{
    size_t   i, erased;
    es_rc_t  rc;

    static es_rc_t (*const parts[])(es_unpacking_t *) = {
        es_unpack_links, es_unpack_times, es_unpack_publishers,
        es_unpack_epochs, es_unpack_types
    };

    u->p = (const uint8_t *) (u->head + 1);
    u->end = (const uint8_t *) u->head + u->head->body;

    for (i = 0, rc = ES_OK;
         rc == ES_OK && i < sizeof(parts) / sizeof(parts[0]); i++)
    {
        rc = parts[i](u);
    }

    if (rc != ES_OK) {
        return rc;
    }

    erased = u->head->nerased * ES_ERASED_SIZE;

    if ((size_t) (u->end - u->p) < erased
        || ((size_t) (u->end - u->p) - erased) % ES_UUID_LEN != 0)
    {
        return ES_CORRUPT;
    }

    u->erased = u->p;
    u->uuids = u->p + erased;

    return ES_OK;
}
