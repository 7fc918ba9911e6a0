/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Publishes operational events in a thread.
 */

#ifndef ESD_NOTIFIER_H
#define ESD_NOTIFIER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "delivery/delivery.h"
#include "registry/registry.h"

#include "thread.h"
#include "types.h"

typedef struct {
    esd_thread_t      thread;
    bool              told;        /* look into the outbox */
    _Atomic uint64_t  last;        /* place in the outbox that was given */
    _Atomic bool      wanted;      /* there are partners to tell */

    /* The thread's. */
    es_changeset_t   *changes;
    es_registry_t    *registry;
    int64_t           warning_us;  /* monotonic: no look before */
    uint64_t          after;       /* place up to which it has read */
    bool              failed;      /* and it was said */
    bool              blind;       /* retention_warning.c failed, and it was
                                      said */
    uint64_t          dropped;     /* events, since the store was made */
} esd_notifier_t;

es_rc_t esd_notifier_start(esd_dispatcher_t *d);
/* There are operational events in the outbox. */
void esd_notifier_wake(esd_dispatcher_t *d);
/* Publishes all that are in the outbox, and ends the thread. */
void esd_notifier_finish(esd_dispatcher_t *d);

#endif /* ESD_NOTIFIER_H */
