/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * XXH3 of long input by the widest vectors that the processor has.
 *
 * A page's chunks are hashed whenever they are read, so this is the largest
 * single cost of a poll; with AVX2 it is less than half of that with the SSE2
 * that every amd64 has.  Short input is hashed inline where it is used.
 */

#ifndef ES_HASH_H
#define ES_HASH_H

#include "base/base.h"

uint64_t es_hash_long(const void *data, size_t len, uint64_t seed);

#endif /* ES_HASH_H */
