/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the dispatcher tells its service manager, by the protocol of
 * sd_notify(3): readiness, status, reload, stop, and the watchdog's pings.
 *
 * Where NOTIFY_SOCKET is not set, no function does anything.
 */

#ifndef ESD_SERVICE_H
#define ESD_SERVICE_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "types.h"

#define ESD_SERVICE_STATE_MAX   64
#define ESD_SERVICE_STATUS_MAX  256

typedef struct {
    int                 fd;        /* -1: nobody is told */
    struct sockaddr_un  address;
    socklen_t           address_len;
    bool                refused;   /* as a log line has said */

    char                state[ESD_SERVICE_STATE_MAX];      /* not told yet */
    char                status[ESD_SERVICE_STATUS_MAX];
    char                told[ESD_SERVICE_STATUS_MAX];
    bool                running;   /* from READY to STOPPING */
    bool                reloading;

    int64_t             watchdog_us;   /* 0: the manager has none */
    bool                stuck;     /* a thread, as a log line has said */
    ev_timer            watchdog;
} esd_service_t;

/* Reads the environment.  The process that the manager has started calls it,
   before it goes on in a child. */
void esd_service_init(esd_service_t *service);

/* The process waits until the dispatcher that is process `pid` (0: unknown)
   ends.  Called at least every ten seconds meanwhile, so that the manager does
   not take the start for one that hangs. */
void esd_service_waits(esd_dispatcher_t *d, long pid);
/* The process has the store for itself, and reads its last state. */
void esd_service_starts(esd_dispatcher_t *d);
/* It tails the log.  Starts the watchdog's timer. */
void esd_service_ready(esd_dispatcher_t *d);
/* Each second while the loop runs. */
void esd_service_tick(esd_dispatcher_t *d);
/* A reload was requested; it has ended, well or not. */
void esd_service_reloads(esd_dispatcher_t *d);
void esd_service_reloaded(esd_dispatcher_t *d);
/* No new event is sent from now on. */
void esd_service_stops(esd_dispatcher_t *d);

#endif /* ESD_SERVICE_H */
