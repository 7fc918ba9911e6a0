/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Cancel: waiting events of a lane are not sent, which are retries, held events
 * and events that the lane has not taken from the log yet.
 *
 * When the request is taken, the waiting events are listed.  The job then reads
 * the types of these events in slices, and removes the matching ones from the
 * lane in slices, if they still wait.
 */

#include <stdlib.h>

#include "manage/clearing.h"
#include "store/txn.h"

#include "cancel.h"
#include "clearing.h"
#include "dispatcher.h"
#include "item.h"
#include "lane.h"
#include "ordering.h"
#include "ready.h"
#include "recorder.h"
#include "send.h"
#include "stall.h"
#include "target.h"
#include "types.h"
#include "waiting.h"

#define ESD_CANCEL_MATCHES    500    /* events read in a slice */
#define ESD_CANCEL_REMOVES  2000


static esd_lane_t *
esd_cancel_lane(const esd_dispatcher_t *d, const esd_target_t *target,
    const esd_clearing_job_t *job)
{
    esd_lane_t  *lane;

    lane = esd_lane_find(d, target, job->clear.request.feed);

    return lane != NULL
           && es_feed_has(&lane->source->feed, job->clear.request.epoch, 0)
           ? lane : NULL;
}


static void
esd_cancel_list(const esd_lane_t *lane, esd_clearing_job_t *job)
{
    size_t             i;
    const esd_item_t  *item;

    job->begun = true;
    job->n = 0;
    job->at = 0;
    job->kept = 0;
    (void) es_clearing_ahead(&job->clearing, lane->position,
                             lane->source->feed.last, &job->upto);

    if (lane->nwaiting == 0) {
        return;
    }

    job->list = malloc(lane->nwaiting * sizeof(esd_clearing_item_t));
    if (job->list == NULL) {
        esd_out_of_memory();
    }

    for (i = 0; i < lane->nwaiting; i++) {
        item = &lane->waiting[i];

        if (item->recorded
            && item->sequence <= lane->position
            && es_clearing_waits(&job->clearing, item->sequence,
                                 item->attempts, item->status))
        {
            job->list[job->n].key = item->key;
            job->list[job->n++].sequence = item->sequence;
        }
    }
}


/* Keeps the events of the list whose types match. */

static esd_slice_t
esd_cancel_match(es_txn_t *txn, const esd_lane_t *lane,
    esd_clearing_job_t *job)
{
    size_t  end;

    end = job->at + ESD_CANCEL_MATCHES;
    end = job->clearing.filter.ntypes > 0 && end < job->n ? end : job->n;

    for ( /* void */ ; job->at < end; job->at++) {
        if (es_clearing_type(&job->clearing, txn, &lane->source->feed,
                             lane->epoch, job->list[job->at].sequence))
        {
            job->list[job->kept++] = job->list[job->at];
        }
    }

    if (job->at < job->n) {
        return ESD_SLICE_AGAIN;
    }

    job->matched = true;
    job->n = job->kept;
    job->at = 0;
    job->count = job->n;

    if (job->upto > lane->position) {
        job->count += job->upto - lane->position;
    }

    return ESD_SLICE_COUNTED;
}


/* An event in flight may still be delivered; it is not tried again. */

static void
esd_cancel_pass(esd_dispatcher_t *d, esd_lane_t *lane, esd_clearing_job_t *job)
{
    unsigned     i;
    esd_send_t  *send;

    if (job->upto <= lane->position) {
        return;
    }

    esd_each(send, &lane->sends, link) {
        for (i = 0; i < send->nitems; i++) {
            send->items[i].acked |= send->items[i].sequence
                                    >= job->clearing.from;
        }
    }

    job->count += job->upto - lane->position;
    lane->position = job->upto;
    lane->matched = job->upto;
    lane->stuck_ms = 0;
    esd_lane_stop_lingering(d, lane);
    esd_lane_reset_nudge(lane);
}


static void
esd_cancel_remove(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane,
    esd_clearing_job_t *job)
{
    size_t                      i;
    esd_item_t                  item;
    const esd_clearing_item_t  *match;

    match = &job->list[job->at];
    i = esd_lane_find_item(lane, match->key, match->sequence);

    if (i == ESD_NO_ITEM) {

        /* the ordering may have changed since */

        i = esd_lane_find_item(lane, esd_ordering_key_at(txn, lane,
                                                         match->sequence),
                               match->sequence);
    }

    if (i == ESD_NO_ITEM) {
        return;
    }

    item = lane->waiting[i];
    esd_lane_unwait(d, lane, i);
    esd_ordering_done(d, lane, &item);
    job->count++;
}


esd_slice_t
esd_cancel_slice(esd_dispatcher_t *d, es_txn_t *txn, esd_target_t *target,
    esd_clearing_job_t *job)
{
    size_t       end;
    esd_lane_t  *lane;

    lane = esd_cancel_lane(d, target, job);
    if (lane == NULL) {
        return ESD_SLICE_AWAY;
    }

    if (!job->begun) {
        esd_cancel_list(lane, job);
    }

    if (!job->clear.removing) {
        return esd_cancel_match(txn, lane, job);
    }

    /* after a restart the list is built again */

    if (!job->matched) {
        (void) esd_cancel_match(txn, lane, job);
        job->count = 0;
        return ESD_SLICE_AGAIN;
    }

    if (job->at == 0) {
        esd_cancel_pass(d, lane, job);
    }

    end = job->at + ESD_CANCEL_REMOVES;
    end = end < job->n ? end : job->n;

    for ( /* void */ ; job->at < end; job->at++) {
        esd_cancel_remove(d, txn, lane, job);
    }

    esd_lane_dirty(d, lane);
    esd_stall_check(d, lane);
    esd_ready_lane(d, lane);

    return job->at < job->n ? ESD_SLICE_AGAIN : ESD_SLICE_DONE;
}
