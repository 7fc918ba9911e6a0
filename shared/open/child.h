/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Goes on in a child process.
 *
 * For programs, not for libraries: the process that was started stays as the
 * parent, passes signals on to the child and ends as the child does.  Both
 * have the same standard input, output, terminal and process group.  There
 * must be no thread yet.
 */

#ifndef ES_CHILD_H
#define ES_CHILD_H

#include "base/base.h"

/*
 * Process 1 of a PID namespace goes on in a child.  The kernel lets no signal
 * end process 1 that it does not handle, and children that lose their parent
 * become its own.  Does nothing in other processes, or when it cannot fork.
 */
void es_child_of_first(void);

/* This is a child.  Its parent passes signals on, so that who sends one to both
   sends two to the child. */
bool es_child_is(void);

/*
 * es_store_open().  While the store takes this process for another one
 * (ES_TAKEN, or slots of a dead process with its number), it goes on in a
 * child, which has another number, and tries again there.  Where no child can
 * be made, the outcome is that of es_store_open().
 */
es_rc_t es_child_store_open(const char *path, unsigned flags,
    es_store_t **store, es_problem_t *problem);

#endif /* ES_CHILD_H */
