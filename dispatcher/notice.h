/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Composes operational events.  Each function adds one to the outbox if the
 * partner has a feed for them; a time of 0 is left out.
 */

#ifndef ESD_NOTICE_H
#define ESD_NOTICE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/away_feeds.h"
#include "delivery/delivery.h"
#include "delivery/stall.h"
#include "delivery/verification.h"
#include "event/cursor.h"
#include "read/lag.h"
#include "registry/registry.h"

#include "types.h"

/* True when the lane's feed is the partner's feed of operational events. */
bool esd_notice_own(const esd_lane_t *lane);
/* The time as text; NULL for 0. */
const char *esd_notice_time(int64_t ms, char text[ES_TIME_LEN + 1]);

void esd_notice_stopped(esd_dispatcher_t *d, const esd_target_t *target,
    const char *reason);
void esd_notice_failing(esd_dispatcher_t *d, const esd_target_t *target,
    const char *reason, int64_t next_ms, int64_t disable_ms);
void esd_notice_recovered(esd_dispatcher_t *d, const esd_target_t *target);
/* `id` is the event's, or NULL. */
void esd_notice_exhausted(esd_dispatcher_t *d, const esd_lane_t *lane,
    const es_dead_t *dead, const char *id, const char *reason);
void esd_notice_skipped(esd_dispatcher_t *d, const esd_lane_t *lane,
    const es_dead_t *dead, const char *id, const char *by);
/* The endpoint is no longer sent a feed; all events up to `cursor` are
   done. */
void esd_notice_away(esd_dispatcher_t *d, const es_away_t *away,
    const char *cursor, uint64_t behind);
void esd_notice_lost(esd_dispatcher_t *d, const es_away_t *away,
    const es_loss_t *loss);
/* `feed` is NULL for all feeds. */
void esd_notice_cancelled(esd_dispatcher_t *d, const esd_target_t *target,
    const char *feed, const esd_clearing_job_t *job);
void esd_notice_discarded(esd_dispatcher_t *d, const esd_target_t *target,
    const char *feed, const esd_clearing_job_t *job);
/* A lane, or with NULL the endpoint, makes no progress, and makes progress
   again.  `report` is that of es_stall_report(), and is released. */
void esd_notice_stalled(esd_dispatcher_t *d, const esd_target_t *target,
    const esd_lane_t *lane, const es_stall_t *stall, json_t *report);
void esd_notice_unstalled(esd_dispatcher_t *d, const esd_target_t *target,
    const esd_lane_t *lane, const es_stall_t *stall);
/* The endpoint has not agreed to be sent events, and agrees. */
void esd_notice_unverified(esd_dispatcher_t *d, const esd_target_t *target,
    const es_verification_t *v);
void esd_notice_verified(esd_dispatcher_t *d, const esd_target_t *target,
    const es_verification_t *v);
/* In the notifier's thread and its set of changes: retention will soon remove
   events that the endpoint has still to be sent. */
es_rc_t esd_notice_retention(esd_dispatcher_t *d,
    const es_endpoint_t *endpoint, const char *feed, const es_cursor_t *done,
    const es_lag_t *lag);
/* The same: a version of an event type is deprecated.  Releases `data`, a
   report of deprecations.h. */
es_rc_t esd_notice_deprecated(esd_dispatcher_t *d,
    const es_partner_t *partner, json_t *data);

/* The same: events of a feed were erased.  `data` has "feed", "count" and
   "cursors", and `number` is that of the first erasure.  Releases `data`. */
es_rc_t esd_notice_erased(esd_dispatcher_t *d, const es_partner_t *partner,
    uint64_t number, json_t *data);

/* The same: the partner's data-use agreement ends within `days`. */
es_rc_t esd_notice_data_use(esd_dispatcher_t *d, const es_partner_t *partner,
    unsigned days);

#endif /* ESD_NOTICE_H */
