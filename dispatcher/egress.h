/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Which addresses webhooks may be sent to.
 *
 * Judged when a connection is made, after names are resolved, so that a name
 * that changes its address cannot pass.
 */

#ifndef ESD_EGRESS_H
#define ESD_EGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ESD_EGRESS_MAX  64

/* Bits of an address, in network order; v4 in the first four bytes. */
typedef struct {
    int      family;           /* AF_INET, AF_INET6 */
    uint8_t  bytes[16];
    uint8_t  bits;
} esd_prefix_t;

/* What is allowed although it is not public. */
typedef struct {
    unsigned      n;
    esd_prefix_t  allowed[ESD_EGRESS_MAX];
} esd_egress_t;

/* "127.0.0.0/8", "fd00::/8", or one address.  False when it is none. */
bool esd_prefix_parse(const char *text, esd_prefix_t *prefix);

bool esd_egress_allows(const esd_egress_t *egress,
    const struct sockaddr *addr);

#endif /* ESD_EGRESS_H */
