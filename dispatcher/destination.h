/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The destination of a send: what its URL says about scheme, address and port,
 * and the check of each connection by the rules of egress.h.
 */

#ifndef ESD_DESTINATION_H
#define ESD_DESTINATION_H

#include <stdbool.h>
#include <sys/socket.h>

#include "types.h"

/* From the URL. */
typedef struct {
    bool                     known;    /* false: nothing may be opened */
    bool                     plain;    /* http:// */
    unsigned                 port;
    struct sockaddr_storage  literal;  /* the host, if it is an address; else
                                          the family is 0 */
} esd_destination_t;

/* Reads send->url, and has libcurl check each request.  False: libcurl does not
   accept the callback. */
bool esd_destination_set(esd_send_t *send);

/*
 * True: the send may connect to the address, which has its port.  A proxy's own
 * address is the operator's; then an address in the URL is checked instead.
 * False sets send->refused.
 */
bool esd_destination_allowed(esd_send_t *send, const struct sockaddr *addr);

#endif /* ESD_DESTINATION_H */
