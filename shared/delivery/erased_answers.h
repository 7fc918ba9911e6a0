/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Answers of receivers to erased events.
 *
 * An attempt keeps the first bytes of the answer, and a receiver may repeat the
 * event in it.  So the dispatcher, which alone writes the attempts, takes these
 * bytes when events were erased.  The database `meta` has the number of
 * erasures for which that is done, under "erased".
 */

#ifndef ES_ERASED_ANSWERS_H
#define ES_ERASED_ANSWERS_H

#include <lmdb.h>

#include "base/base.h"

/*
 * Takes the bytes of attempts of events that were erased since the last call,
 * also from the bytes of the files (scrub.h).  `*erased` is the number of such
 * erasures; 0: none, and nothing was done.  Blocks for the disk.
 */
es_rc_t es_delivery_erase(es_store_t *store, uint64_t *erased);

/* When the last event was erased; 0: never; INT64_MAX: that cannot be read. */
int64_t es_answers_erased(es_store_t *store);

/*
 * Shortens the value of an attempt to what it has without the answer, if its
 * event, or one that may be in its batch, was erased.  So an answer that comes
 * after es_delivery_erase() is not kept either, nor one whose event cannot be
 * read.  `erased_ms` is that of es_answers_erased(); attempts long after it are
 * not looked at.  Within a write transaction of delivery/.
 */
void es_answer_forget(es_store_t *store, int64_t erased_ms,
    const MDB_val *key, MDB_val *value);

#endif /* ES_ERASED_ANSWERS_H */
