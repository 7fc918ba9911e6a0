/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Random text for epochs, keys and names.
 */

#ifndef ES_RANDOM_H
#define ES_RANDOM_H

#include "base/base.h"

/* Fills `out` from the kernel's generator.  ES_IO, which is recorded. */
es_rc_t es_random(void *out, size_t len);

/* Writes `len` random characters of [a-z2-7] and no NUL.  ES_IO. */
es_rc_t es_random_base32(char *out, size_t len);

/* The character of a value from 0 to 31, and the value of a character (-1:
   it has none). */
char es_base32_char(unsigned value);

static inline int
es_base32_value(char c)
{
    return c >= 'a' && c <= 'z' ? c - 'a'
           : c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

#endif /* ES_RANDOM_H */
