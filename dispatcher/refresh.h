/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Follows changes of the registry, of the feeds and of the requests.
 */

#ifndef ESD_REFRESH_H
#define ESD_REFRESH_H

#include "base/base.h"

#include "types.h"

/* Takes over the state of the last run.  After ES_CORRUPT and other errors the
   dispatcher cannot start. */
es_rc_t esd_refresh_load(esd_dispatcher_t *d);
/* Reads all changes, if d->refresh is set. */
void esd_refresh(esd_dispatcher_t *d);

#endif /* ESD_REFRESH_H */
