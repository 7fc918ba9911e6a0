/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What waits is not sent: retries, what is held, and events that are
 * yet to come.
 *
 * What waits when the request is taken is listed.  The types of these events
 * are then looked up, slice by slice, and those that are meant are taken off
 * the lane, slice by slice, if they still wait.
 */

#include "dispatcher.h"

#define ES_CANCEL_LOOKS    500     /* events read in a slice */
#define ES_CANCEL_REMOVES  2000


static es_lane_t *
es_cancel_lane(const es_dispatcher_t *d, const es_target_t *target,
    const es_clearing_job_t *job)
{
    es_lane_t  *lane;

    lane = es_lane_find(d, target, job->clear.request.feed);

    return lane != NULL && strcmp(lane->epoch, job->clear.request.epoch) == 0
           ? lane : NULL;
}


static void
es_cancel_list(es_dispatcher_t *d, const es_lane_t *lane,
    es_clearing_job_t *job)
{
    size_t            i;
    const es_item_t  *item;

    job->begun = true;
    job->n = 0;
    job->at = 0;
    job->kept = 0;
    (void) es_clearing_fresh(&job->clearing, lane->position,
                             lane->source->feed.last, &job->upto);

    if (lane->nwaiting == 0) {
        return;
    }

    job->list = malloc(lane->nwaiting * sizeof(es_clearing_item_t));
    if (job->list == NULL) {
        es_record(d, ES_NOMEM);
        return;
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


/* Keeps those of the list whose types are meant. */

static es_slice_t
es_cancel_look(es_txn_t *txn, const es_lane_t *lane, es_clearing_job_t *job)
{
    size_t  end;

    end = job->at + ES_CANCEL_LOOKS;
    end = job->clearing.filter.ntypes > 0 && end < job->n ? end : job->n;

    for ( /* void */ ; job->at < end; job->at++) {
        if (es_clearing_type(&job->clearing, txn, &lane->source->feed,
                             lane->epoch, job->list[job->at].sequence))
        {
            job->list[job->kept++] = job->list[job->at];
        }
    }

    if (job->at < job->n) {
        return ES_SLICE_AGAIN;
    }

    job->looked = true;
    job->n = job->kept;
    job->at = 0;
    job->count = job->n;

    if (job->upto > lane->position) {
        job->count += job->upto - lane->position;
    }

    return ES_SLICE_COUNTED;
}


/* What is in flight may be delivered, and is not tried again. */

static void
es_cancel_pass(es_dispatcher_t *d, es_lane_t *lane, es_clearing_job_t *job)
{
    unsigned    i;
    es_send_t  *send;

    if (job->upto <= lane->position) {
        return;
    }

    es_each(send, &lane->sends, link) {
        for (i = 0; i < send->nitems; i++) {
            send->items[i].acked |= send->items[i].sequence
                                    >= job->clearing.from;
        }
    }

    job->count += job->upto - lane->position;
    lane->position = job->upto;
    lane->matched = job->upto;
    lane->stuck_ms = 0;
    es_fresh_leave(d, lane);
    es_nudge_reset(lane);
}


static void
es_cancel_remove(es_dispatcher_t *d, es_txn_t *txn, es_lane_t *lane,
    es_clearing_job_t *job)
{
    size_t                     i;
    es_item_t                  item;
    const es_clearing_item_t  *meant;

    meant = &job->list[job->at];
    i = es_lane_at(lane, meant->key, meant->sequence);

    if (i == ES_NO_ITEM) {

        /* the ordering may have changed */

        i = es_lane_at(lane, es_key_read(txn, lane, meant->sequence),
                       meant->sequence);
    }

    if (i == ES_NO_ITEM) {
        return;
    }

    item = lane->waiting[i];
    es_lane_unwait(d, lane, i);
    es_lane_done(d, lane, &item);
    job->count++;
}


es_slice_t
es_cancel_slice(es_dispatcher_t *d, es_txn_t *txn, es_target_t *target,
    es_clearing_job_t *job)
{
    size_t      end;
    es_lane_t  *lane;

    lane = es_cancel_lane(d, target, job);
    if (lane == NULL) {
        return ES_SLICE_AWAY;
    }

    if (!job->begun) {
        es_cancel_list(d, lane, job);
    }

    if (!job->clear.removing) {
        return es_cancel_look(txn, lane, job);
    }

    /* after a restart the list is made anew */

    if (!job->looked) {
        (void) es_cancel_look(txn, lane, job);
        job->count = 0;
        return ES_SLICE_AGAIN;
    }

    if (job->at == 0) {
        es_cancel_pass(d, lane, job);
    }

    end = job->at + ES_CANCEL_REMOVES;
    end = end < job->n ? end : job->n;

    for ( /* void */ ; job->at < end; job->at++) {
        es_cancel_remove(d, txn, lane, job);
    }

    es_lane_dirty(d, lane);
    es_stall_look(d, lane);
    es_lane_wake(d, lane);

    return job->at < job->n ? ES_SLICE_AGAIN : ES_SLICE_DONE;
}
