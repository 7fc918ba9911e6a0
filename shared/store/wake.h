/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One process's commit wakes every other.
 *
 * After each commit the writer writes one byte to the file `bell` in the
 * store; readers watch it by inotify.  The bell rings after the commit can be
 * seen, so that a reader that looks upon waking always finds it.  A writer
 * killed between commit and bell is the reason to look at es_store_version()
 * from a slow timer too.
 */

#ifndef ES_WAKE_H
#define ES_WAKE_H

#include "base/base.h"

/*
 * Opens a non-blocking, close-on-exec inotify descriptor that becomes
 * readable after commits to the event log, or to the registry.  Makes the
 * bell where it is missing.  ES_IO with errno.  The caller closes it.
 */
es_rc_t es_wake_open(es_store_t *store, int *fd);

/* Empties the descriptor; to be followed by a look at the versions. */
void es_wake_drain(int fd);

/* Rings; called by the library itself after each commit. */
void es_wake_ring(es_store_t *store);

#endif /* ES_WAKE_H */
