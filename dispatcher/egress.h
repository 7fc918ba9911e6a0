/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Which addresses webhooks may be sent to.
 *
 * Judged when a connection is made, after names are resolved, so that a name
 * that changes its address cannot pass.
 */

#ifndef ES_EGRESS_H
#define ES_EGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ES_EGRESS_MAX  64

/* Bits of an address, in network order; v4 in the first four bytes. */
typedef struct {
    int      family;           /* AF_INET, AF_INET6 */
    uint8_t  bytes[16];
    uint8_t  bits;
} es_prefix_t;

/* What is allowed although it is not public. */
typedef struct {
    unsigned     n;
    es_prefix_t  allowed[ES_EGRESS_MAX];
} es_egress_t;

/* "127.0.0.0/8", "fd00::/8", or one address.  False when it is none. */
bool es_prefix_parse(const char *text, es_prefix_t *prefix);

bool es_egress_allows(const es_egress_t *egress, const struct sockaddr *addr);

#endif /* ES_EGRESS_H */
