/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Warns of events that retention will soon remove.
 */

#ifndef ESD_RETENTION_WARNING_H
#define ESD_RETENTION_WARNING_H

#include "types.h"

/* In the notifier's thread. */
void esd_warning_check(esd_dispatcher_t *d);

#endif /* ESD_RETENTION_WARNING_H */
