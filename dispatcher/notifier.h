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
    bool              pending;     /* the outbox must be read */
    _Atomic uint64_t  last;        /* last number given in the outbox */
    _Atomic bool      wanted;      /* some partner has an operations feed */

    /* The thread's. */
    es_changeset_t   *changes;
    es_registry_t    *registry;
    int64_t           warning_us;  /* monotonic: not again before */
    uint64_t          deprecation_version; /* of the registry at the last
                                              check; 0: check again */
    int64_t           deprecation_us;  /* monotonic: check again then */
    bool              deprecation_failed;  /* and that was logged */
    uint64_t          data_use_version;    /* the same for data_use.c */
    int64_t           data_use_us;
    bool              data_use_failed;
    uint64_t          erasures;    /* that partners were told of; erasure.c */
    bool              erasures_read;   /* that number */
    bool              erasures_failed;
    uint64_t          after;       /* number up to which it has read */
    bool              failed;      /* and that was logged */
    bool              warning_failed; /* retention_warning.c failed, and that
                                         was logged */
    uint64_t          dropped;     /* events since the store was created */
} esd_notifier_t;

es_rc_t esd_notifier_start(esd_dispatcher_t *d);
/* There are operational events in the outbox. */
void esd_notifier_wake(esd_dispatcher_t *d);
/* Publishes all that are in the outbox, and ends the thread. */
void esd_notifier_finish(esd_dispatcher_t *d);

#endif /* ESD_NOTIFIER_H */
