/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Limits the time that the rest of a response may take.
 */

#ifndef ESD_TRICKLE_H
#define ESD_TRICKLE_H

#include "types.h"

void esd_trickle_init(esd_dispatcher_t *d);
/* The response headers have been received. */
void esd_trickle_begin(esd_send_t *send);
void esd_trickle_end(esd_send_t *send);

#endif /* ESD_TRICKLE_H */
