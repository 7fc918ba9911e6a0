/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Selection: which lane is sent something next, and which event.
 */

#ifndef ESD_SELECT_H
#define ESD_SELECT_H

#include <stdbool.h>

#include "types.h"

/* Wakes lanes with events that are due. */
void esd_select_due(esd_dispatcher_t *d);
/* Gives ready lanes their turns; true when more could be done at once. */
bool esd_select_run(esd_dispatcher_t *d);

#endif /* ESD_SELECT_H */
