/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads the addresses of this host's interfaces from the kernel.
 */

#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/interfaces.h"
#include "base/prefix.h"

#define ES_INTERFACES_US  30000000


static bool
es_interface_address(const struct sockaddr *addr, es_prefix_t *prefix)
{
    const struct sockaddr_in   *in;
    const struct sockaddr_in6  *in6;

    memset(prefix, 0, sizeof(es_prefix_t));

    if (addr == NULL) {
        return false;
    }

    prefix->family = addr->sa_family;

    if (addr->sa_family == AF_INET) {
        in = (const struct sockaddr_in *) (const void *) addr;
        memcpy(prefix->bytes, &in->sin_addr, 4);
        prefix->bits = 32;
        return true;
    }

    if (addr->sa_family == AF_INET6) {
        in6 = (const struct sockaddr_in6 *) (const void *) addr;
        memcpy(prefix->bytes, &in6->sin6_addr, 16);
        prefix->bits = 128;
        return true;
    }

    return false;
}


bool
es_interfaces_refresh(es_interfaces_t *interfaces)
{
    size_t           n;
    int64_t          now_us;
    es_prefix_t     *list;
    struct ifaddrs  *all, *one;

    now_us = es_clock_mono_us();

    if (interfaces->read_us != 0
        && now_us - interfaces->read_us < ES_INTERFACES_US)
    {
        return true;
    }

    if (getifaddrs(&all) != 0) {
        return false;
    }

    n = 0;

    for (one = all; one != NULL; one = one->ifa_next) {
        n++;
    }

    list = calloc(n + 1, sizeof(es_prefix_t));
    if (list == NULL) {
        freeifaddrs(all);
        return false;
    }

    n = 0;

    for (one = all; one != NULL; one = one->ifa_next) {
        n += es_interface_address(one->ifa_addr, &list[n]);
    }

    freeifaddrs(all);
    free(interfaces->list);

    interfaces->list = list;
    interfaces->n = n;
    interfaces->read_us = now_us;

    return true;
}


void
es_interfaces_done(es_interfaces_t *interfaces)
{
    free(interfaces->list);
}
