/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Signs the heads of the audit once a minute, for --audit-heads.
 */

#ifndef ESD_HEADS_H
#define ESD_HEADS_H

#include "base/base.h"

#include "types.h"

typedef struct {
    int64_t   due_us;          /* monotonic */
    bool      failing;
    bool      known;           /* the store knows whether heads are signed */
} esd_heads_t;

/* Checks the key of --audit-key.  It has logged a failure. */
es_rc_t esd_heads_check(const esd_dispatcher_t *d);

/* Signs the heads and replaces the file, if that is due, or at once with
   `now`.  Blocks for the disk: for the janitor's thread. */
void esd_heads_sign(esd_dispatcher_t *d, esd_heads_t *heads, bool now);

#endif /* ESD_HEADS_H */
