/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The sandbox: what the dispatcher itself forbids this process.
 */

#ifndef ESD_SANDBOX_H
#define ESD_SANDBOX_H

#include "types.h"

/*
 * Process-wide: enters the sandbox of --sandbox.  The store must be open, the
 * PID file written, and no other thread started.
 *
 * Where the kernel lacks a part of it, one line in the log says so, and the
 * dispatcher runs without that part.
 */
void esd_sandbox_enter(const esd_dispatcher_t *d);

#endif /* ESD_SANDBOX_H */
