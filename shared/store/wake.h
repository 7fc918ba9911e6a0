/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Wakes all other processes after a commit.
 *
 * After each commit the writer writes one byte to the file `bell` in the
 * store; readers watch the file by inotify.  The commit is visible before the
 * bell rings, so a reader that wakes always finds it.  A writer may be killed
 * between the commit and the bell, so readers also check es_store_version()
 * from a slow timer.
 */

#ifndef ES_WAKE_H
#define ES_WAKE_H

#include "base/base.h"

/*
 * Opens a non-blocking, close-on-exec inotify descriptor, which becomes
 * readable after commits to the event log or the registry.  Makes the bell if
 * it is missing.  ES_IO with errno.  The caller closes `*fd`.
 */
es_rc_t es_wake_open(es_store_t *store, int *fd);

/* Empties the descriptor.  The caller then compares the versions. */
void es_wake_drain(int fd);

/* Rings.  The library calls this after each commit. */
void es_wake_ring(es_store_t *store);

#endif /* ES_WAKE_H */
