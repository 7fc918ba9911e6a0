/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Random text for epochs, keys and names.
 */

#ifndef ES_RANDOM_H
#define ES_RANDOM_H

#include "base/base.h"

/* Fills `out` from the kernel's generator.  ES_IO. */
es_rc_t es_random(void *out, size_t len);

/* Writes `len` random characters of [a-z2-7], no NUL. */
es_rc_t es_random_base32(char *out, size_t len);

/* The character of a value 0..31, and back: -1 for any other character. */
char es_base32_char(unsigned value);
int es_base32_value(char c);

#endif /* ES_RANDOM_H */
