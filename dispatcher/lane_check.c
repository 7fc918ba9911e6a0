/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Compares a lane with its feed, whose epoch or oldest event may be another
 * one than the lane knows.
 */

#include "base/base.h"
#include "delivery/delivery.h"
#include "log/feed.h"
#include "store/txn.h"

#include "about.h"
#include "dispatcher.h"
#include "lane.h"
#include "lane_check.h"
#include "log.h"
#include "loss.h"
#include "ordering.h"
#include "recorder.h"
#include "target.h"


/* The lane starts again, at the beginning of the feed's present epoch. */

static void
esd_lane_restart(esd_dispatcher_t *d, esd_lane_t *lane)
{
    esd_lane_forget(d, lane);
    esd_must(d, es_changeset_forget_feed(d->recorder.filling,
                                         lane->target->number,
                                         lane->source->feed.number));

    memcpy(lane->epoch, lane->source->feed.epoch, sizeof(lane->epoch));
    lane->position = 0;
    lane->matched = 0;
    lane->unmatched = 0;
    lane->acked = 0;
    esd_lane_dirty(d, lane);
}


/*
 * The feed began another epoch, which took over the lane's epoch up to `last`.
 * The lane goes on; what it was sent beyond is of a log that was lost.  Nothing
 * of that is in flight, because no process shortens a log that others have
 * open.
 */

static void
esd_lane_follow(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane,
    uint64_t last)
{
    size_t    i, n;
    uint64_t  first;

    if (lane->position > last) {
        n = 0;
        first = UINT64_MAX;

        for (i = lane->nwaiting; i-- > 0; ) {
            if (lane->waiting[i].sequence > last) {
                n++;
                first = lane->waiting[i].sequence < first
                        ? lane->waiting[i].sequence : first;
                esd_lane_drop(d, lane, &lane->waiting[i]);
                esd_lane_unwait(d, lane, i);
            }
        }

        esd_log_about(ESD_LOG_WARN, esd_about_lane(lane),
                      "feed \"%s\": epoch %s began after event %llu: "
                      "endpoint %s was sent events up to %s-%llu, and "
                      "continues in the new epoch", lane->source->feed.name,
                      lane->source->feed.epoch, (unsigned long long) last,
                      lane->target->name, lane->epoch,
                      (unsigned long long) lane->position);

        esd_loss_beyond(d, lane, n, first);

        lane->position = last;
        lane->matched = lane->matched < last ? lane->matched : last;
        lane->acked = lane->acked < last ? lane->acked : last;
        lane->unmatched = 0;
        lane->stuck_ms = 0;
        esd_lane_stop_lingering(d, lane);
        esd_lane_reset_nudge(lane);
        esd_ordering_restore(txn, lane);
    }

    memcpy(lane->epoch, lane->source->feed.epoch, sizeof(lane->epoch));
    esd_lane_dirty(d, lane);
}


bool
esd_lane_check(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane)
{
    uint64_t          last;
    const es_feed_t  *feed;

    feed = &lane->source->feed;

    if (!es_feed_epoch(feed, lane->epoch, &last)) {
        esd_loss_epoch(d, txn, lane, ES_LOSS_RESET);
        esd_log_about(ESD_LOG_INFO, esd_about_lane(lane),
                      "feed \"%s\" was reset: endpoint %s continues at the "
                      "beginning of epoch %s", feed->name, lane->target->name,
                      feed->epoch);
        esd_lane_restart(d, lane);

    } else if (last != UINT64_MAX) {
        esd_lane_follow(d, txn, lane, last);
    }

    if (lane->position + 1 < feed->oldest) {
        if (esd_loss_ending(txn, lane)) {
            return false;
        }

        esd_loss_overtaken(d, lane);
        lane->position = feed->oldest - 1;
        lane->matched = lane->position;
        esd_lane_dirty(d, lane);
    }

    return true;
}
