/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The store, on which one dispatcher works at a time.
 */

#ifndef ESD_STORE_H
#define ESD_STORE_H

#include "base/base.h"

#include "types.h"

/*
 * Opens the store with its keys, and takes the dispatcher's lock.  While
 * another dispatcher has the lock, it is refused with ES_EXISTS, or with --wait
 * the process checks everything that the start needs and waits.  d->stopping is
 * set if a signal ended the wait; there is no store then.  Other errors were
 * logged.  The process may be a child afterwards (open/child.h), so it must not
 * have threads yet.
 */
es_rc_t esd_store_open(esd_dispatcher_t *d);

/* Gives the lock up, so that a dispatcher that waits begins. */
void esd_store_release(esd_dispatcher_t *d);

void esd_store_close(esd_dispatcher_t *d);

#endif /* ESD_STORE_H */
