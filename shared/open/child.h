/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Continues a program in a child process.
 *
 * This is for programs, not for libraries.  The process that was started
 * becomes the parent: it passes signals on to the child and ends as the child
 * ends.  Both have the same standard input, output, terminal and process
 * group.  The process must not have other threads yet.
 */

#ifndef ES_CHILD_H
#define ES_CHILD_H

#include "base/base.h"

/*
 * Process 1 of a PID namespace continues in a child.  The kernel does not let
 * a signal end process 1 unless the process handles it, and process 1 inherits
 * all orphans.  Other processes do nothing, and neither does one that cannot
 * fork.
 */
void es_child_of_first(void);

/* True in such a child.  A signal that somebody sends to both processes
   reaches the child twice, because the parent passes it on. */
bool es_child_is(void);

/*
 * Opens a store as es_store_open() does.  If the store takes this process for
 * another one (ES_TAKEN, or slots of a dead process with the same id), the
 * program continues in a child, which has another id, and tries again there.
 * If it cannot fork, it returns the outcome of es_store_open().
 */
es_rc_t es_child_store_open(const char *path, unsigned flags,
    es_store_t **store, es_problem_t *problem);

#endif /* ES_CHILD_H */
