/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The addresses that are not public, and the check of an address.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "egress.h"

/* Addresses that are not public: IANA's special-purpose registries, multicast,
   reserved ones, and a public address that a cloud provider uses internally. */

static const esd_prefix_t  esd_forbidden_v4[] = {
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
   multicast, NAT64 (64:ff9b::/96) and v4-compatible addresses.  These parts of
   it are not public either. */

static const esd_prefix_t  esd_global_v6 = { AF_INET6, { 0x20 }, 3 };

static const esd_prefix_t  esd_forbidden_v6[] = {
    { AF_INET6, { 0x20, 0x01, 0x00 }, 23 },    /* Teredo, ORCHID ... */
    { AF_INET6, { 0x20, 0x01, 0x0d, 0xb8 }, 32 },    /* documentation */
    { AF_INET6, { 0x20, 0x02 }, 16 },          /* 6to4 */
    { AF_INET6, { 0x3f, 0xff, 0x00 }, 20 }     /* documentation */
};

static const uint8_t  esd_mapped_v4[12] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff
};


bool
esd_prefix_parse(const char *text, esd_prefix_t *prefix)
{
    char         *end;
    char          addr[INET6_ADDRSTRLEN];
    long          bits, max;
    size_t        len;
    const char   *slash;

    slash = strchr(text, '/');
    len = slash ? (size_t) (slash - text) : strlen(text);

    if (len >= sizeof(addr)) {
        return false;
    }

    memcpy(addr, text, len);
    addr[len] = '\0';
    memset(prefix, 0, sizeof(esd_prefix_t));

    if (inet_pton(AF_INET, addr, prefix->bytes) == 1) {
        prefix->family = AF_INET;
        max = 32;

    } else if (inet_pton(AF_INET6, addr, prefix->bytes) == 1) {
        prefix->family = AF_INET6;
        max = 128;

    } else {
        return false;
    }

    bits = max;

    if (slash != NULL) {
        bits = strtol(slash + 1, &end, 10);

        if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || bits > max) {
            return false;
        }
    }

    prefix->bits = (uint8_t) bits;

    return true;
}


static bool
esd_prefix_holds(const esd_prefix_t *prefix, int family, const uint8_t *bytes)
{
    unsigned  whole, rest;

    if (prefix->family != family) {
        return false;
    }

    whole = prefix->bits / 8;
    rest = prefix->bits % 8;

    if (memcmp(prefix->bytes, bytes, whole) != 0) {
        return false;
    }

    return rest == 0
           || ((prefix->bytes[whole] ^ bytes[whole]) >> (8 - rest)) == 0;
}


static bool
esd_prefixes_hold(const esd_prefix_t *list, size_t n, int family,
    const uint8_t *bytes)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (esd_prefix_holds(&list[i], family, bytes)) {
            return true;
        }
    }

    return false;
}


bool
esd_egress_allows(const esd_egress_t *egress, const struct sockaddr *addr)
{
    int                         family;
    const uint8_t              *bytes;
    const struct sockaddr_in   *in;
    const struct sockaddr_in6  *in6;

    if (addr->sa_family == AF_INET) {
        in = (const struct sockaddr_in *) (const void *) addr;
        family = AF_INET;
        bytes = (const uint8_t *) &in->sin_addr;

    } else if (addr->sa_family == AF_INET6) {
        in6 = (const struct sockaddr_in6 *) (const void *) addr;
        family = AF_INET6;
        bytes = (const uint8_t *) &in6->sin6_addr;

        /* ::ffff:a.b.c.d is sent over IPv4 and checked as an IPv4 address. */

        if (memcmp(bytes, esd_mapped_v4, sizeof(esd_mapped_v4)) == 0) {
            family = AF_INET;
            bytes += sizeof(esd_mapped_v4);
        }

    } else {
        return false;
    }

    if (esd_prefixes_hold(egress->allowed, egress->n, family, bytes)) {
        return true;
    }

    if (family == AF_INET) {
        return !esd_prefixes_hold(esd_forbidden_v4,
                                  sizeof(esd_forbidden_v4)
                                  / sizeof(esd_prefix_t),
                                  family, bytes);
    }

    return esd_prefix_holds(&esd_global_v6, family, bytes)
           && !esd_prefixes_hold(esd_forbidden_v6,
                                 sizeof(esd_forbidden_v6)
                                 / sizeof(esd_prefix_t),
                                 family, bytes);
}
