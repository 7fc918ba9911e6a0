/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A long work beside publishers: how much of it one transaction does, and the
 * pause after that.
 *
 * Other writers wait for a transaction to end.  So the next one does twice as
 * much if this one was short, and half as much if it took long.  Writers that
 * wait go first anyway (env_write.c).  The pause is half as long as the
 * transaction, so a third of the time is left to them.
 */

#ifndef ES_DUTY_H
#define ES_DUTY_H

#include "base/base.h"

typedef struct {
    unsigned  items;           /* of the next transaction */
    unsigned  least;
    unsigned  most;
} es_duty_t;

/* Sleeps after a transaction that took `took_us`, and sets `items`.  Blocks. */
void es_duty_pause(es_duty_t *duty, int64_t took_us);

#endif /* ES_DUTY_H */
