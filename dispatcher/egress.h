/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The addresses to which the dispatcher may connect.
 *
 * An address is checked when a connection is opened, after its name was
 * resolved, so that a name which changes its address cannot bypass the check.
 */

#ifndef ESD_EGRESS_H
#define ESD_EGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ESD_EGRESS_MAX  64

/* The leading bits of an address in network order; IPv4 uses four bytes. */
typedef struct {
    int      family;           /* AF_INET, AF_INET6 */
    uint8_t  bytes[16];
    uint8_t  bits;
} esd_prefix_t;

/* Addresses that are allowed although they are not public. */
typedef struct {
    unsigned      n;
    esd_prefix_t  allowed[ESD_EGRESS_MAX];
} esd_egress_t;

/* Parses "127.0.0.0/8", "fd00::/8" or one address.  False: invalid. */
bool esd_prefix_parse(const char *text, esd_prefix_t *prefix);

bool esd_egress_allows(const esd_egress_t *egress,
    const struct sockaddr *addr);

#endif /* ESD_EGRESS_H */
