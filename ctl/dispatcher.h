/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The dispatcher of the store, as another process sees it: its heartbeat, and
 * the options on its command line.
 *
 * The dispatcher holds a lock on `delivery/owner`, and /proc/locks names the
 * holder's process.  Any user can read the command line of that process, unless
 * /proc is mounted with hidepid.  A process of another PID namespace is not
 * seen.
 */

#ifndef CTL_DISPATCHER_H
#define CTL_DISPATCHER_H

#include <sys/types.h>

#include "ctl.h"
#include "registry/egress.h"

#define CTL_ALIVE_MS  10000        /* a dispatcher writes its heartbeat each
                                      second */

typedef struct {
    int64_t      heartbeat_ms;     /* 0: none has ever run */
    bool         alive;            /* the heartbeat is recent */
    pid_t        pid;              /* holder of the lock; 0: not found */
    bool         known;            /* the options below are its own; else they
                                      are the defaults */
    es_egress_t  egress;
    const char  *ca_file;          /* NULL: the system's */
    const char  *tls_dir;
    const char  *key_file;         /* NULL: none */
    const char  *proxy;            /* NULL: none */
    char        *args;             /* that they point into */
} ctl_dispatcher_t;

/* Reads the state of the dispatcher.  The store is open with
   ES_STORE_DELIVERY_READ.  The caller frees it, also after a failure. */
es_rc_t ctl_dispatcher_read(const ctl_t *ctl, ctl_dispatcher_t *dispatcher);
void ctl_dispatcher_free(ctl_dispatcher_t *dispatcher);

#endif /* CTL_DISPATCHER_H */
