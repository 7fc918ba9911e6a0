/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Events that a consumer of the partner has acknowledged are not sent.
 *
 * An endpoint with `ack` follows a checkpoint of its partner.  When that moves,
 * the lane skips all events up to it, and those in flight are not tried again.
 * Only a move counts, so that a replay sends events that were acknowledged
 * before.
 */

#include <ev.h>

#include "base/base.h"
#include "base/clock.h"
#include "checkpoint/checkpoint.h"
#include "registry/registry.h"

#include "about.h"
#include "ack.h"
#include "dispatcher.h"
#include "item.h"
#include "lane.h"
#include "log.h"
#include "ordering.h"
#include "ready.h"
#include "send.h"
#include "stall.h"
#include "target.h"
#include "types.h"

#define ESD_ACK_SLICE_US  100
#define ESD_ACK_LANES     8        /* between checks of the clock */
#define ESD_ACK_SLACK_MS  5000


void
esd_ack_pass(esd_dispatcher_t *d, esd_lane_t *lane, uint64_t sequence,
    const char *why)
{
    size_t       i, waited;
    esd_item_t   item;
    uint64_t     ahead;
    esd_send_t  *send;

    waited = 0;

    esd_each(send, &lane->sends, link) {
        for (i = 0; i < send->nitems; i++) {
            send->items[i].acked |= send->items[i].sequence <= sequence;
        }
    }

    /* an event that is released may move, so this starts at the end again */

    for (i = lane->nwaiting; i-- > 0; ) {
        item = lane->waiting[i];

        if (item.sequence <= sequence) {
            esd_lane_unwait(d, lane, i);
            esd_ordering_done(d, lane, &item);
            waited++;
        }
    }

    ahead = sequence > lane->position ? sequence - lane->position : 0;

    if (ahead > 0) {
        lane->position = sequence;
        lane->matched = sequence;
        esd_lane_stop_lingering(d, lane);
    }

    if (ahead == 0 && waited == 0) {
        return;
    }

    /* the receiver knows what a nudge would announce */

    lane->stuck_ms = 0;
    esd_lane_reset_nudge(lane);

    esd_log_about(ESD_LOG_INFO, esd_about_event(lane, sequence),
                  "endpoint %s: %s feed \"%s\" up to %s-%llu: %zu waiting "
                  "events and %llu later ones are skipped", lane->target->name,
                  why, lane->source->feed.name, lane->epoch,
                  (unsigned long long) sequence, waited,
                  (unsigned long long) ahead);

    esd_lane_dirty(d, lane);
    esd_stall_check(d, lane);
    esd_ready_lane(d, lane);
}


/* The first check uses only acknowledgements since the last run, which has
   handled the earlier ones; their events may have been replayed. */

static void
esd_ack_lane(esd_dispatcher_t *d, esd_lane_t *lane)
{
    es_rc_t                rc;
    uint64_t               all, moved;
    es_checkpoint_query_t  q;

    memset(&q, 0, sizeof(q));
    q.feed = &lane->source->feed;
    q.partner = lane->target->conf->partner->number;
    q.pattern = lane->target->conf->ack;

    rc = es_checkpoint_reached(d->store, &q, &all);
    moved = all;

    if (rc == ES_OK && lane->acked == 0 && d->ack_since_ms != 0) {
        q.since_ms = d->ack_since_ms;
        rc = es_checkpoint_reached(d->store, &q, &moved);
    }

    if (rc != ES_OK) {
        esd_log_about(ESD_LOG_ERROR, esd_about_target(lane->target),
                      "cannot read the checkpoints of endpoint %s: %s",
                      lane->target->name, es_reason(rc));
        d->ack_version = 0;
        return;
    }

    if (moved > lane->acked) {
        esd_ack_pass(d, lane, moved, "a checkpoint acknowledges");
    }

    lane->acked = all > lane->acked ? all : lane->acked;
}


static void
esd_ack_target(esd_dispatcher_t *d, esd_target_t *target, unsigned *lanes)
{
    esd_lane_t  *lane;

    if (target == NULL || target->conf->ack.data == NULL) {
        return;
    }

    esd_each(lane, &target->lanes, in_target) {
        esd_ack_lane(d, lane);
        (*lanes)++;
    }
}


/* Runs in slices, because there may be thousands of endpoints. */

static void
esd_ack_run(esd_dispatcher_t *d)
{
    unsigned  lanes, examined;
    int64_t   end_us;

    end_us = es_clock_mono_us() + ESD_ACK_SLICE_US;
    examined = 0;

    while (d->ack_next < d->ntargets) {
        lanes = examined / ESD_ACK_LANES;
        esd_ack_target(d, d->targets[d->ack_next++], &examined);

        if (examined / ESD_ACK_LANES != lanes && es_clock_mono_us() > end_us) {
            break;
        }
    }

    if (d->ack_next < d->ntargets) {
        ev_timer_again(d->loop.ev, &d->ack_timer);
        return;
    }

    ev_timer_stop(d->loop.ev, &d->ack_timer);

    /* a checkpoint that could not be read is checked again as the first time */

    if (d->ack_version != 0) {
        d->ack_since_ms = 0;
    }
}


static void
esd_on_ack(struct ev_loop *ev, ev_timer *w, int revents)
{
    (void) ev;
    (void) revents;

    esd_ack_run(w->data);
}


void
esd_ack_init(esd_dispatcher_t *d)
{
    /* the last heartbeat of the previous run may be missing */

    d->ack_since_ms = d->alive_ms > ESD_ACK_SLACK_MS
                      ? d->alive_ms - ESD_ACK_SLACK_MS : 0;
    d->ack_version = 0;

    ev_timer_init(&d->ack_timer, esd_on_ack, 0, 0.001);
    d->ack_timer.data = d;
}


/* Each second. */

void
esd_ack_tick(esd_dispatcher_t *d)
{
    uint64_t  version;

    if (ev_is_active(&d->ack_timer)) {
        return;
    }

    version = es_checkpoint_version(d->store) + 1;

    if (version == d->ack_version
        && d->registry_version == d->ack_registry_version)
    {
        return;
    }

    d->ack_version = version;
    d->ack_registry_version = d->registry_version;
    d->ack_next = 0;
    esd_ack_run(d);
}
