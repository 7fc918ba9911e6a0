/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The addresses of this host's own interfaces.
 *
 * A public address of the host is no way to the public network: behind it are
 * services that a firewall hides from outside.
 */

#ifndef ES_INTERFACES_H
#define ES_INTERFACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/prefix.h"

typedef struct {
    es_prefix_t  *list;
    size_t        n;
    int64_t       read_us;     /* monotonic; 0: never */
} es_interfaces_t;

/* Reads the addresses again if the last time was 30 s ago or more.  False with
   errno: they cannot be read, so no address may be allowed. */
bool es_interfaces_refresh(es_interfaces_t *interfaces);

void es_interfaces_done(es_interfaces_t *interfaces);

#endif /* ES_INTERFACES_H */
