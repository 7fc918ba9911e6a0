/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * XXH3 of long input, with the widest vectors that the processor has.
 *
 * Readers hash the chunks of a page at each read, which is the largest single
 * cost of a poll.  AVX2 takes less than half the time of SSE2, the only one
 * that every amd64 processor has.  Short input is hashed inline by its users.
 */

#ifndef ES_HASH_H
#define ES_HASH_H

#include "base/base.h"

uint64_t es_hash_long(const void *data, size_t len, uint64_t seed);

#endif /* ES_HASH_H */
