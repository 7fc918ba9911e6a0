/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The rules for connections: which scheme, address and port the dispatcher may
 * use for an endpoint.
 *
 * The dispatcher connects to public addresses of other hosts, over https, to
 * port 443 and to those from 1024.  An exception needs both sides: an option of
 * the dispatcher, which bounds what any record may open, and the record of the
 * endpoint or of its partner, so that one receiver in the operator's network
 * does not open that network to every partner.
 */

#ifndef ES_EGRESS_H
#define ES_EGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/interfaces.h"
#include "base/prefix.h"
#include "registry/registry.h"

#define ES_EGRESS_MAX  64     /* of each option */

/* What the options allow, and the prefixes of NAT64. */
typedef struct {
    bool         http;
    unsigned     naddresses;
    es_prefix_t  addresses[ES_EGRESS_MAX];
    unsigned     nports;
    uint16_t     ports[ES_EGRESS_MAX];
    unsigned     nnat64;
    es_prefix_t  nat64[ES_EGRESS_MAX];
} es_egress_t;

/* Begins with the prefixes of NAT64 that are reserved for it. */
void es_egress_init(es_egress_t *egress);

/* Adds a prefix of NAT64.  False: it is none of RFC 6052, 2.2, or there are too
   many. */
bool es_egress_nat64(es_egress_t *egress, const char *text);

/* True: requests for the endpoint may use plain http. */
bool es_egress_http(const es_egress_t *egress, const es_endpoint_t *endpoint);

bool es_egress_port(const es_egress_t *egress, const es_endpoint_t *endpoint,
    unsigned port);

/* The port is not checked. */
bool es_egress_address(const es_egress_t *egress,
    const es_interfaces_t *interfaces, const es_endpoint_t *endpoint,
    const struct sockaddr *addr);

#endif /* ES_EGRESS_H */
