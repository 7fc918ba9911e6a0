/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Numbers of variable length in packed chunks: LEB128, the low bits first.
 */

#ifndef ES_VARINT_H
#define ES_VARINT_H

#include "base/base.h"

#define ES_VARINT_MAX  10      /* bytes */

/* Writes a number, and returns the end. */
static inline uint8_t *
es_varint_put(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t) (v | 0x80);
        v >>= 7;
    }

    *p++ = (uint8_t) v;

    return p;
}

/* Reads a number before `end`, and returns its end; NULL: it has none, or is
   above UINT64_MAX. */
static inline const uint8_t *
es_varint_get(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
    unsigned  shift;

    if (p < end && *p < 0x80) {
        *v = *p;
        return p + 1;
    }

    *v = 0;

    for (shift = 0; p < end && shift < 64; shift += 7, p++) {
        *v |= (uint64_t) (*p & 0x7f) << shift;

        if (*p < 0x80) {
            return shift == 63 && *p > 1 ? NULL : p + 1;
        }
    }

    return NULL;
}

/* A small number of either sign as a small one without. */
static inline uint64_t
es_zigzag(int64_t v)
{
    return ((uint64_t) v << 1) ^ (uint64_t) (v >> 63);
}

static inline int64_t
es_zigzag_get(uint64_t v)
{
    return (int64_t) (v >> 1) ^ -(int64_t) (v & 1);
}

#endif /* ES_VARINT_H */
