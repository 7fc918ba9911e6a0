/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Tells partners which events were erased.
 */

#ifndef ESD_ERASURE_H
#define ESD_ERASURE_H

#include "types.h"

/*
 * Adds an operational event to the outbox for each partner with a feed of
 * operational events, and each feed that it may read, that had events erased
 * since the last call.  It names feed and cursors, and nothing else of the
 * events.  The commit also has the number of the last erasure that it tells, so
 * a dispatcher that is killed goes on there.  In the notifier's thread.
 */
void esd_erasure_check(esd_dispatcher_t *d);

#endif /* ESD_ERASURE_H */
