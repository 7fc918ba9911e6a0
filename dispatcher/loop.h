/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The event loop.
 */

#ifndef ESD_LOOP_H
#define ESD_LOOP_H

#include <ev.h>

#include "base/base.h"

struct esd_dispatcher;

typedef struct {
    struct ev_loop  *ev;
    ev_prepare       prepare;
    ev_idle          idle;         /* runs while there is work left */
} esd_loop_t;

es_rc_t esd_loop_init(struct esd_dispatcher *d);
void esd_loop_done(struct esd_dispatcher *d);

#endif /* ESD_LOOP_H */
