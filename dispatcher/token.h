/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Gets access tokens.  All functions do nothing for endpoints without
 * `oauth`.
 */

#ifndef ESD_TOKEN_H
#define ESD_TOKEN_H

#include <stdbool.h>

#include "types.h"

/* The record is new or has changed. */
void esd_token_reset(esd_target_t *target);
void esd_token_done(esd_target_t *target);
/* True when the endpoint has a token to send.  Otherwise one is requested, and
   the endpoint's lanes and test events are woken when it is there. */
bool esd_token_ready(esd_dispatcher_t *d, esd_target_t *target);

#endif /* ESD_TOKEN_H */
