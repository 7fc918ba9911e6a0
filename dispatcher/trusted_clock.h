/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The time by which data expires and by which records are stamped, safe
 * from jumps of the wall clock.
 */

#ifndef ESD_TRUSTED_CLOCK_H
#define ESD_TRUSTED_CLOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "log/store_clock.h"

#include "types.h"

/* The first three are times less the monotonic clock. */
typedef struct {
    _Atomic int64_t    time_ms;
    _Atomic int64_t    due_ms;
    _Atomic int64_t    sure_ms;

    /* The janitor's. */
    es_clock_record_t  record;     /* at the last comparison */
    bool               held;       /* the wall clock is not trusted */
    bool               proved;     /* or trusted, after ten minutes */
    int64_t            since_ms;   /* monotonic */
    int64_t            offset_ms;  /* of the wall clock to it, since then */
    int                reported;   /* logged; 1: held; 2: proved */
} esd_clock_t;

void esd_clock_init(esd_dispatcher_t *d);
/* Reads the store's clock: at start, and then in the janitor's thread only.
   When it fails, the last result stays. */
es_rc_t esd_clock_update(esd_dispatcher_t *d);

/* Any thread may call these. */

/* Decides what is too old.  A jump of the wall clock does not move it until
   the jump has lasted. */
int64_t esd_clock_expiry_ms(const esd_dispatcher_t *d);
/* The time that records get: the store's. */
int64_t esd_clock_stamp_ms(const esd_dispatcher_t *d);
/* The same, but not earlier where the wall clock is behind; see
   log/store_clock.h. */
int64_t esd_clock_due_ms(const esd_dispatcher_t *d);

#endif /* ESD_TRUSTED_CLOCK_H */
