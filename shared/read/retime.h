/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Repair of commit times that a clock that was ahead has left in the future.
 */

#ifndef ES_RETIME_H
#define ES_RETIME_H

#include "base/base.h"

/*
 * Sets commit times later than `now_ms` to `now_ms`, in slices of bounded
 * transactions; `*count` is the number of events.  For an operator who knows
 * that the clock is right now, because it cannot be undone.  Needs
 * ES_STORE_PUBLISH.  ES_HELD: a hold keeps the times, too.
 */
es_rc_t es_feed_retime(es_store_t *store, es_str_t name, int64_t now_ms,
    uint64_t *count);

#endif /* ES_RETIME_H */
