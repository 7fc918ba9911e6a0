/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The compiled schemas of a store handle.  validate.c also implements
 * es_batch_judge() of eventsync.h, which validates a batch with them.
 */

#ifndef ES_CONFORM_H
#define ES_CONFORM_H

#include "store/store.h"

/* One for each store handle; it has its own lock, so threads may share it.
   NULL: out of memory. */
es_conform_t *es_conform_create(void);
void es_conform_destroy(es_conform_t *conform);

#endif /* ES_CONFORM_H */
