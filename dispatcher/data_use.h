/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Tells partners that their data-use agreement will end soon.
 */

#ifndef ESD_DATA_USE_H
#define ESD_DATA_USE_H

#include <stdbool.h>
#include <stdint.h>

#include "dispatcher.h"

/* In the notifier's thread: looks now and then, and after a change of the
   registry. */
void esd_data_use_check(esd_dispatcher_t *d);

/* True if es_delivery_each_deprecation() names a record of this file. */
bool esd_data_use_told(uint64_t hash);

#endif /* ESD_DATA_USE_H */
