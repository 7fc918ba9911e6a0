/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * XXH3 with run-time dispatch on x86-64; other machines have one version.
 */

#include <xxhash.h>

#if defined(__x86_64__)
#include <xxh_x86dispatch.h>
#endif

#include "base/hash.h"


uint64_t
es_hash_long(const void *data, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, len, seed);
}
