/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Hosts: the requests in flight to each receiving host, which --max-per-host
 * bounds however many endpoints name the host.
 *
 * A host is the host and port of a URL.  It is not the address behind it: one
 * address may serve many receivers, which would then delay each other, and the
 * address is unknown before a connection is made and behind a proxy.
 *
 * An endpoint that finds its host busy waits in the host's queue.  Each time a
 * request ends, the endpoint that has waited longest may send one.
 */

#ifndef ESD_HOST_H
#define ESD_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/base.h"
#include "registry/origin.h"

#include "types.h"

/* What an endpoint sends to one host: its own requests, or those for access
   tokens. */
typedef struct esd_caller {
    esd_target_t                  *target;
    esd_host_t                    *host;       /* NULL: it sends none */
    bool                           waits;      /* in the host's queue */
    bool                           granted;    /* it has been first there, and
                                                  has sent nothing since */
    TAILQ_ENTRY(esd_caller)        link;
} esd_caller_t;

struct esd_host {
    char                           name[ES_ORIGIN_MAX];
    unsigned                       users;      /* callers and requests */
    unsigned                       in_flight;
    TAILQ_HEAD(esd_caller_list, esd_caller)  waiting;
    bool                           open;       /* in d->hosts.open */
    TAILQ_ENTRY(esd_host)          in_open;
    TAILQ_ENTRY(esd_host)          in_kept;
    bool                           checking;   /* a check is in flight, see
                                                  verification.h */
    bool                           kept;       /* in d->hosts.kept */
    unsigned                       failed_checks;  /* in a row */
    int64_t                        check_us;   /* monotonic: no check before */
    esd_target_t                  *candidate;  /* while a check is chosen */
    int64_t                        said_us;    /* monotonic: when the log last
                                                  said that it is busy */
};

typedef struct {
    void                          *tree;       /* by name, see tsearch(3) */
    TAILQ_HEAD(esd_host_list, esd_host)  open; /* they have room, and callers
                                                  that wait */
    struct esd_host_list           kept;       /* their failed checks are
                                                  remembered */
} esd_hosts_t;

void esd_hosts_init(esd_dispatcher_t *d);

/* Writes host:port of a NUL-terminated URL in one form: in lower case, with the
   port, and an address as getnameinfo() prints it. */
void esd_host_name(es_str_t url, char name[ES_ORIGIN_MAX]);

/* The caller sends to the host of this URL from now on; without a URL (data is
   NULL), to none.  Out of memory ends the process. */
void esd_caller_set(esd_target_t *target, esd_caller_t *caller, es_str_t url);

/* True: the host allows one more request.  Otherwise the caller waits, and the
   endpoint's lanes and test events are woken when it may send. */
bool esd_host_room(esd_dispatcher_t *d, esd_caller_t *caller);
/* Wakes callers whose hosts have room; true: there were some. */
bool esd_hosts_wake(esd_dispatcher_t *d);

/* One user less; the last one frees the host. */
void esd_host_leave(esd_dispatcher_t *d, esd_host_t *host);
/* Remembers the host's failed checks although no endpoint may name it. */
void esd_host_keep(esd_dispatcher_t *d, esd_host_t *host);
/* Each second. */
void esd_hosts_tick(esd_dispatcher_t *d);
void esd_hosts_done(esd_dispatcher_t *d);

/* A request begins and ends. */
void esd_host_take(esd_send_t *send, esd_caller_t *caller);
void esd_host_release(esd_send_t *send);

#endif /* ESD_HOST_H */
