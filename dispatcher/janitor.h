/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The janitor: retention, expiry and dead reader slots, in a thread.
 */

#ifndef ESD_JANITOR_H
#define ESD_JANITOR_H

#include "base/base.h"

#include "types.h"

es_rc_t esd_janitor_start(esd_dispatcher_t *d);
void esd_janitor_finish(esd_dispatcher_t *d);

#endif /* ESD_JANITOR_H */
