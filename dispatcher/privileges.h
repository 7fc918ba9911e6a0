/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Gives up what the process was started with: root, and ways to become it.
 */

#ifndef ESD_PRIVILEGES_H
#define ESD_PRIVILEGES_H

#include <stdbool.h>

/*
 * Process-wide: makes this process one of the user that `who` names, and of the
 * user's groups.  `who` is "USER" or "USER:GROUP", by name or number; without
 * GROUP the user's own group counts.  NULL: the process keeps its user.
 *
 * In any case it can gain no privileges from then on, by no program that it
 * executes (no_new_privs).
 *
 * False: a line in the log says why.
 */
bool esd_privileges_drop(const char *who);

#endif /* ESD_PRIVILEGES_H */
