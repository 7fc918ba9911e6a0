/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Ranges of IP addresses.  Records and options name them as an address, or as
 * an address, a slash and the number of leading bits.
 */

#ifndef ES_PREFIX_H
#define ES_PREFIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The leading bits of an address in network order; IPv4 uses four bytes. */
typedef struct {
    int      family;           /* AF_INET, AF_INET6 */
    uint8_t  bytes[16];
    uint8_t  bits;
} es_prefix_t;

/* Parses "127.0.0.0/8", "fd00::/8" or one address.  False: invalid. */
bool es_prefix_parse(const char *text, es_prefix_t *prefix);

/* Clears the bits behind the prefix. */
void es_prefix_cut(es_prefix_t *prefix);

/* True: the address begins with the prefix, or with one of a list. */
bool es_prefix_holds(const es_prefix_t *prefix, int family,
    const uint8_t *bytes);
bool es_prefixes_hold(const es_prefix_t *list, size_t n, int family,
    const uint8_t *bytes);

#endif /* ES_PREFIX_H */
