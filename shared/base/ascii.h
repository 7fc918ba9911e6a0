/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Classes of ASCII characters, which unlike those of <ctype.h> do not depend on
 * the locale and take a char of any value.
 */

#ifndef ES_ASCII_H
#define ES_ASCII_H

#include <stdbool.h>


static inline bool
es_is_digit(char c)
{
    return c >= '0' && c <= '9';
}


/* A letter or a digit. */

static inline bool
es_is_alnum(char c)
{
    return es_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

#endif /* ES_ASCII_H */
