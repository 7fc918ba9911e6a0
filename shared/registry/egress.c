/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The addresses that are not public, and the rules for connections.
 *
 * An address is checked when a connection is opened, after its name was
 * resolved, so that a name which changes its address cannot bypass the check.
 */

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/base.h"
#include "base/interfaces.h"
#include "base/prefix.h"
#include "registry/egress.h"
#include "registry/registry.h"

#define ES_PORT_HTTP    80
#define ES_PORT_HTTPS   443
#define ES_PORT_FREE    1024      /* no service of the system is below */

/* Addresses that are not public: IANA's special-purpose registries, multicast,
   reserved ones, and a public address that a cloud provider uses internally. */

static const es_prefix_t  es_forbidden_v4[] = {
    { AF_INET, { 0 }, 8 },                     /* this network */
    { AF_INET, { 10 }, 8 },                    /* private */
    { AF_INET, { 100, 64 }, 10 },              /* carrier-grade NAT */
    { AF_INET, { 127 }, 8 },                   /* loopback */
    { AF_INET, { 168, 63, 129, 16 }, 32 },     /* internal service of Azure */
    { AF_INET, { 169, 254 }, 16 },             /* link-local, cloud metadata */
    { AF_INET, { 172, 16 }, 12 },              /* private */
    { AF_INET, { 192, 0, 0 }, 24 },            /* protocol assignments */
    { AF_INET, { 192, 0, 2 }, 24 },            /* documentation */
    { AF_INET, { 192, 88, 99 }, 24 },          /* 6to4 relays */
    { AF_INET, { 192, 168 }, 16 },             /* private */
    { AF_INET, { 198, 18 }, 15 },              /* benchmarking */
    { AF_INET, { 198, 51, 100 }, 24 },         /* documentation */
    { AF_INET, { 203, 0, 113 }, 24 },          /* documentation */
    { AF_INET, { 224 }, 4 },                   /* multicast */
    { AF_INET, { 240 }, 4 }                    /* reserved, broadcast */
};

/* In IPv6 only 2000::/3 is public, which excludes ::1, ULA, link-local,
   multicast and v4-compatible addresses.  These parts of it are not public
   either. */

static const es_prefix_t  es_global_v6 = { AF_INET6, { 0x20 }, 3 };

static const es_prefix_t  es_forbidden_v6[] = {
    { AF_INET6, { 0x20, 0x01, 0x00 }, 23 },    /* Teredo, ORCHID ... */
    { AF_INET6, { 0x20, 0x01, 0x0d, 0xb8 }, 32 },    /* documentation */
    { AF_INET6, { 0x20, 0x02 }, 16 },          /* 6to4 */
    { AF_INET6, { 0x3f, 0xff, 0x00 }, 20 }     /* documentation */
};

/* The prefixes of NAT64 that are reserved (RFC 6052, RFC 8215). */

static const char  *const  es_reserved_nat64[] = {
    "64:ff9b::/96", "64:ff9b:1::/48"
};

static const uint8_t  es_mapped_v4[12] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
};


void
es_egress_init(es_egress_t *egress)
{
    size_t  i;

    memset(egress, 0, sizeof(es_egress_t));

    for (i = 0; i < sizeof(es_reserved_nat64) / sizeof(char *); i++) {
        (void) es_egress_nat64(egress, es_reserved_nat64[i]);
    }
}


/* RFC 6052, 2.2: a prefix has one of six lengths, and bits 64 to 71 of each
   address are zero. */

bool
es_egress_nat64(es_egress_t *egress, const char *text)
{
    unsigned      i;
    es_prefix_t  *prefix;

    if (egress->nnat64 == ES_EGRESS_MAX) {
        return false;
    }

    prefix = &egress->nat64[egress->nnat64];

    if (!es_prefix_parse(text, prefix)
        || prefix->family != AF_INET6
        || prefix->bits % 8 != 0
        || prefix->bits < 32
        || (prefix->bits > 64 && prefix->bits != 96)
        || prefix->bytes[8] != 0)
    {
        return false;
    }

    for (i = prefix->bits / 8; i < sizeof(prefix->bytes); i++) {
        if (prefix->bytes[i] != 0) {
            return false;
        }
    }

    egress->nnat64++;

    return true;
}


bool
es_egress_http(const es_egress_t *egress, const es_endpoint_t *endpoint)
{
    return egress->http
           && (endpoint->exceptions.http || endpoint->partner->exceptions.http);
}


static bool
es_ports_hold(const uint16_t *list, size_t n, unsigned port)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (list[i] == port) {
            return true;
        }
    }

    return false;
}


bool
es_egress_port(const es_egress_t *egress, const es_endpoint_t *endpoint,
    unsigned port)
{
    const es_exceptions_t  *own, *partner;

    own = &endpoint->exceptions;
    partner = &endpoint->partner->exceptions;

    return port == ES_PORT_HTTPS
           || port >= ES_PORT_FREE
           || (port == ES_PORT_HTTP && es_egress_http(egress, endpoint))
           || (es_ports_hold(egress->ports, egress->nports, port)
               && (es_ports_hold(own->ports, own->nports, port)
                   || es_ports_hold(partner->ports, partner->nports, port)));
}


static bool
es_egress_excepted(const es_egress_t *egress, const es_endpoint_t *endpoint,
    int family, const uint8_t *bytes)
{
    const es_exceptions_t  *own, *partner;

    own = &endpoint->exceptions;
    partner = &endpoint->partner->exceptions;

    return es_prefixes_hold(egress->addresses, egress->naddresses, family,
                            bytes)
           && (es_prefixes_hold(own->addresses, own->naddresses, family, bytes)
               || es_prefixes_hold(partner->addresses, partner->naddresses,
                                   family, bytes));
}


/* The longest prefix of NAT64 that the address begins with; NULL: none. */

static const es_prefix_t *
es_egress_nat64_of(const es_egress_t *egress, const uint8_t *bytes)
{
    unsigned            i;
    const es_prefix_t  *best, *prefix;

    best = NULL;

    for (i = 0; i < egress->nnat64; i++) {
        prefix = &egress->nat64[i];

        if (es_prefix_holds(prefix, AF_INET6, bytes)
            && (best == NULL || prefix->bits > best->bits))
        {
            best = prefix;
        }
    }

    return best;
}


/* Takes the IPv4 address out of one of NAT64.  False: bits that must be zero
   are not, so that a translator may read another address than this one. */

static bool
es_nat64_inner(const es_prefix_t *prefix, const uint8_t *bytes,
    uint8_t inner[4])
{
    unsigned  i, at;

    at = prefix->bits / 8;

    for (i = 0; i < 4; i++, at++) {
        at += at == 8;                     /* bits 64 to 71 are left out */
        inner[i] = bytes[at];
    }

    if (bytes[8] != 0) {
        return false;
    }

    for ( ; at < 16; at++) {
        if (bytes[at] != 0) {
            return false;
        }
    }

    return true;
}


static bool
es_address_public(int family, const uint8_t *bytes)
{
    if (family == AF_INET) {
        return !es_prefixes_hold(es_forbidden_v4,
                                 sizeof(es_forbidden_v4)
                                 / sizeof(es_prefix_t),
                                 family, bytes);
    }

    return es_prefix_holds(&es_global_v6, family, bytes)
           && !es_prefixes_hold(es_forbidden_v6,
                                sizeof(es_forbidden_v6)
                                / sizeof(es_prefix_t),
                                family, bytes);
}


bool
es_egress_address(const es_egress_t *egress,
    const es_interfaces_t *interfaces, const es_endpoint_t *endpoint,
    const struct sockaddr *addr)
{
    int                         family;
    uint8_t                     inner[4];
    const uint8_t              *bytes;
    const es_prefix_t          *nat64;
    const struct sockaddr_in   *in;
    const struct sockaddr_in6  *in6;

    family = addr->sa_family;

    if (family == AF_INET) {
        in = (const struct sockaddr_in *) (const void *) addr;
        bytes = (const uint8_t *) &in->sin_addr;

    } else if (family == AF_INET6) {
        in6 = (const struct sockaddr_in6 *) (const void *) addr;
        bytes = (const uint8_t *) &in6->sin6_addr;
        nat64 = es_egress_nat64_of(egress, bytes);

        /* An address that is sent to over IPv4 is checked as that address:
           ::ffff:a.b.c.d by this host, one of NAT64 by a translator. */

        if (memcmp(bytes, es_mapped_v4, sizeof(es_mapped_v4)) == 0) {
            family = AF_INET;
            bytes += sizeof(es_mapped_v4);

        } else if (nat64 != NULL) {
            if (es_prefixes_hold(interfaces->list, interfaces->n, family, bytes)
                || !es_nat64_inner(nat64, bytes, inner))
            {
                return false;
            }

            family = AF_INET;
            bytes = inner;
        }

    } else {
        return false;
    }

    return es_egress_excepted(egress, endpoint, family, bytes)
           || (es_address_public(family, bytes)
               && !es_prefixes_hold(interfaces->list, interfaces->n, family,
                                    bytes));
}
