/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Tells partners that a version of an event type is deprecated.
 */

#ifndef ESD_DEPRECATION_H
#define ESD_DEPRECATION_H

#include "types.h"

/* In the notifier's thread. */
void esd_deprecation_check(esd_dispatcher_t *d);

#endif /* ESD_DEPRECATION_H */
