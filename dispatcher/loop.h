/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The event loop.
 */

#ifndef ESD_LOOP_H
#define ESD_LOOP_H

#include <ev.h>

#include "base/base.h"

#include "types.h"

typedef struct {
    struct ev_loop  *ev;
    ev_prepare       prepare;
    ev_idle          idle;         /* active while work is left */
} esd_loop_t;

es_rc_t esd_loop_init(esd_dispatcher_t *d);
void esd_loop_done(esd_dispatcher_t *d);

#endif /* ESD_LOOP_H */
