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

#include "base/base.h"

/*
 * Takes the bytes of attempts of events that were erased since the last call,
 * also from the bytes of the files (scrub.h).  `*erased` is the number of such
 * erasures; 0: none, and nothing was done.  Blocks for the disk.
 */
es_rc_t es_delivery_erase(es_store_t *store, uint64_t *erased);

#endif /* ES_ERASED_ANSWERS_H */
