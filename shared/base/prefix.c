/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Parses and compares ranges of IP addresses.
 */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/prefix.h"


bool
es_prefix_parse(const char *text, es_prefix_t *prefix)
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
    memset(prefix, 0, sizeof(es_prefix_t));

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


void
es_prefix_cut(es_prefix_t *prefix)
{
    size_t    i;
    unsigned  bits = prefix->bits;

    for (i = 0; i < sizeof(prefix->bytes); i++) {
        prefix->bytes[i] &= (uint8_t) (bits >= 8 ? 0xff : 0xff << (8 - bits));
        bits -= bits >= 8 ? 8 : bits;
    }
}


bool
es_prefix_holds(const es_prefix_t *prefix, int family, const uint8_t *bytes)
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


bool
es_prefixes_hold(const es_prefix_t *list, size_t n, int family,
    const uint8_t *bytes)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (es_prefix_holds(&list[i], family, bytes)) {
            return true;
        }
    }

    return false;
}
