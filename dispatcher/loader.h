/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Loads the registry in a thread, so that a large one does not stop the
 * loop.
 */

#ifndef ESD_LOADER_H
#define ESD_LOADER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "base/reason.h"
#include "registry/registry.h"

#include "thread.h"
#include "types.h"

typedef struct {
    esd_thread_t     thread;
    bool             requested;
    bool             done;         /* the loop may take the result */
    int64_t          requested_us; /* monotonic */
    int64_t          requested_ms; /* esd_clock_stamp_ms(); the loop's */
    uint64_t         requested_version; /* of the registry then; the loop's */
    uint64_t         failed_version;   /* this failure was logged; the loop's */
    int64_t          until_us;     /* monotonic: no request before, after a
                                      failure; the loop's */
    es_rc_t         rc;
    es_reason_t     reason;        /* its record */
    es_registry_t  *registry;
    ev_async        ready;
} esd_loader_t;

es_rc_t esd_loader_start(esd_dispatcher_t *d);
void esd_loader_finish(esd_dispatcher_t *d);
/* Requests a registry of this version or later; d->refresh is set when it is
   loaded.  Does nothing while a request is in progress. */
void esd_loader_request(esd_dispatcher_t *d, uint64_t version);
/* For how long the present request has been in progress; 0: there is none. */
int64_t esd_loader_busy_us(esd_dispatcher_t *d);
/* False: nothing was loaded.  Otherwise `*rc` and `*registry` are those of
   esd_secret_keys_load(). */
bool esd_loader_take(esd_dispatcher_t *d, es_rc_t *rc,
    es_registry_t **registry);

#endif /* ESD_LOADER_H */
