/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The compiled schemas of a store handle.  validate.c also implements
 * es_batch_validate() of eventsync.h, which validates a batch with them.
 */

#ifndef ES_VALIDATE_H
#define ES_VALIDATE_H

#include "store/store.h"

typedef struct es_validator  es_validator_t;

/* One for each store handle; it has its own lock, so threads may share it.
   NULL: out of memory. */
es_validator_t *es_validator_create(void);
void es_validator_destroy(es_validator_t *validator);

#endif /* ES_VALIDATE_H */
