/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Where an endpoint's URL leads, judged by the dispatcher's rules (egress.h).
 */

#ifndef CTL_DESTINATION_H
#define CTL_DESTINATION_H

#include <sys/socket.h>

#include "dispatcher.h"

#define CTL_HOST_MAX  256

typedef struct {
    bool      plain;               /* http:// */
    unsigned  port;
    char      host[CTL_HOST_MAX];  /* without brackets and final dot */
    struct sockaddr_storage  literal;  /* the host if it is an address; else the
                                          family is 0 */
} ctl_destination_t;

/* False: the URL cannot be parsed. */
bool ctl_destination_read(const char *url, ctl_destination_t *destination);

/* Why the dispatcher may not connect. */
typedef enum {
    CTL_ALLOWED = 0,
    CTL_NO_HTTP,
    CTL_NO_PORT,
    CTL_NO_ADDRESS
} ctl_refusal_t;

/*
 * Judges the scheme and the port, and the address unless it is NULL.  `own`
 * says that the record does not allow it, and else the dispatcher does not.
 */
ctl_refusal_t ctl_destination_refusal(const ctl_dispatcher_t *dispatcher,
    const es_endpoint_t *endpoint, const ctl_destination_t *destination,
    const struct sockaddr *addr, bool *own);

/* Adds a finding about the refusal to the list, and returns it. */
json_t *ctl_destination_finding(json_t *list, ctl_refusal_t refusal, bool own,
    const es_endpoint_t *endpoint, const ctl_destination_t *destination,
    const struct sockaddr *addr);

/* The address as text.  `text` has INET6_ADDRSTRLEN bytes. */
const char *ctl_destination_text(const struct sockaddr *addr, char *text);

#endif /* CTL_DESTINATION_H */
