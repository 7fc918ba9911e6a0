/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Which threads are event loops.
 *
 * An event loop serves everybody, so it must not sign, list, load, or wait for
 * a disk or a writer lock.  Functions that do so assert that a thread calls
 * them.  A thread that has not said otherwise is none.
 */

#ifndef ES_EVENT_LOOP_H
#define ES_EVENT_LOOP_H

#include <stdbool.h>

#include "base/assert.h"

/* Says that the calling thread is an event loop from now on, or no longer. */
void es_event_loop_set(bool is);

bool es_event_loop(void);

#define ES_ASSERT_NO_EVENT_LOOP()  ES_ASSERT(!es_event_loop())

#endif /* ES_EVENT_LOOP_H */
