/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Keeps the memory of a process that holds secrets from other processes and
 * from disks.
 */

#ifndef ES_PRIVATE_H
#define ES_PRIVATE_H

#include <stdbool.h>

/*
 * Process-wide: from now on a crash leaves no core dump, and only root can
 * attach to the process.  A child inherits both until it executes a program.
 * With the environment variable EVENTSYNC_CORE_DUMPS=1 nothing changes, for
 * debugging.  False: the kernel refused.
 */
bool es_process_private(void);

/*
 * Process-wide: from now on JSON values are wiped when they are freed, also
 * those of libjose.  A program calls this before its first one; a library or an
 * nginx module, which shares the process, must not.
 */
void es_json_private(void);

#endif /* ES_PRIVATE_H */
