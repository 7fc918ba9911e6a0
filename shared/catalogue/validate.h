/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The schemas that a store has compiled, so that events are judged
 * without compiling them again.
 */

#ifndef ES_CONFORM_H
#define ES_CONFORM_H

#include "store/store.h"

/* NULL: out of memory.  One for each store handle; it locks for itself. */
es_conform_t *es_conform_create(void);
void es_conform_destroy(es_conform_t *conform);

#endif /* ES_CONFORM_H */
