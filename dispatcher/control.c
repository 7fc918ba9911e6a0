/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Requests of operators: replay, resend and redrive.  Skip is in skip.c, cancel
 * and discard are in clearing.c, and verify is in verification.c.
 *
 * The number of the last request is written in the same commit as the effect of
 * the request, so that each request takes effect once.
 */

#include <sys/queue.h>

#include "base/base.h"
#include "delivery/delivery.h"
#include "delivery/verification.h"
#include "registry/control_request.h"
#include "registry/registry.h"
#include "store/txn.h"

#include "about.h"
#include "clearing.h"
#include "control.h"
#include "dispatcher.h"
#include "fresh.h"
#include "item.h"
#include "lane.h"
#include "log.h"
#include "ordering.h"
#include "ready.h"
#include "recorder.h"
#include "send.h"
#include "skip.h"
#include "target.h"
#include "test_event.h"
#include "types.h"
#include "verification.h"
#include "waiting.h"

#define ESD_REDRIVE_MAX   500      /* untried events at once */
#define ESD_REDRIVE_PART  4        /* of --max-waiting may be filled */

typedef struct {
    esd_dispatcher_t  *d;
    es_txn_t          *txn;
    esd_target_t      *target;
    unsigned           taken;
} esd_dead_walk_t;


static bool
esd_replay_ends(const esd_send_t *send, uint64_t after)
{
    return send->kind == ESD_SEND_NUDGE
           || send->items[send->nitems - 1].sequence > after;
}


/* Events of a batch before the position are kept; they are tried again with
   their remaining attempts. */

static void
esd_replay_end(esd_dispatcher_t *d, esd_lane_t *lane, esd_send_t *send,
    uint64_t after)
{
    unsigned  i;

    for (i = 0; i < send->nitems; i++) {
        if (send->items[i].sequence > after) {
            esd_lane_drop(d, lane, &send->items[i]);

        } else {
            esd_lane_wait(d, lane, &send->items[i]);
        }
    }

    esd_send_end(send);
}


/* Events that the replay sends again are no longer dead letters. */

static void
esd_replay_letters(esd_dispatcher_t *d, const esd_lane_t *lane, uint64_t after)
{
    uint32_t          i;
    const es_feed_t  *feed;

    feed = &lane->source->feed;

    for (i = 0; i <= feed->nearlier; i++) {
        if (i < feed->nearlier && feed->earlier[i].last <= after) {
            continue;
        }

        esd_must(d, es_changeset_dead_after(d->recorder.filling,
                                            lane->target->number, feed->number,
                                            i < feed->nearlier
                                            ? feed->earlier[i].name
                                            : feed->epoch, after));
    }
}


static void
esd_replay(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane,
    uint64_t after)
{
    size_t       i;
    esd_send_t  *send, *next;

    if (after >= lane->position) {
        return;
    }

    for (send = TAILQ_FIRST(&lane->sends); send != NULL; send = next) {
        next = TAILQ_NEXT(send, link);

        if (esd_replay_ends(send, after)) {
            esd_replay_end(d, lane, send, after);
        }
    }

    for (i = lane->nwaiting; i-- > 0; ) {
        if (lane->waiting[i].sequence > after) {
            esd_lane_drop(d, lane, &lane->waiting[i]);
            esd_lane_unwait(d, lane, i);
        }
    }

    lane->position = after;
    lane->matched = after;
    lane->stuck_ms = 0;
    lane->unmatched = 0;
    esd_lane_stop_lingering(d, lane);
    esd_lane_reset_nudge(lane);
    esd_ordering_restore(txn, lane);

    esd_replay_letters(d, lane, after);
    esd_lane_dirty(d, lane);
}


static bool
esd_lane_sends(const esd_lane_t *lane, uint64_t sequence)
{
    size_t             i;
    const esd_send_t  *send;

    esd_each(send, &lane->sends, link) {
        for (i = 0; i < send->nitems; i++) {
            if (send->items[i].sequence == sequence) {
                return true;
            }
        }
    }

    return false;
}


/* Redriven events may fail again and must leave room for new ones. */

static bool
esd_redrive_room(const esd_dispatcher_t *d, const esd_lane_t *lane)
{
    return esd_lane_room(d, lane, 0)
           && lane->nwaiting <= d->options.max_waiting / ESD_REDRIVE_PART;
}


static bool
esd_control_has(const esd_lane_t *lane, const es_control_request_t *request)
{
    return es_feed_has(&lane->source->feed, request->epoch, request->sequence);
}


/* A waiting event becomes due at once; an event after the position needs no
   change, because the lane will send it. */

static void
esd_resend(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane,
    uint64_t sequence, uint64_t prev)
{
    size_t      i;
    esd_item_t  item;

    esd_must(d, es_changeset_dead_done(d->recorder.filling,
                                       lane->target->number,
                                       lane->source->feed.number,
                                       es_feed_epoch_of(&lane->source->feed,
                                                        sequence),
                                       sequence));

    memset(&item, 0, sizeof(item));
    item.sequence = sequence;
    item.prev = prev;
    item.key = esd_ordering_key_at(txn, lane, sequence);
    item.keyed = item.key != 0;
    i = esd_lane_find_item(lane, item.key, sequence);

    if (i != ESD_NO_ITEM) {
        esd_waiting_move(lane, i, lane->waiting[i].held, 0);

    } else if (sequence <= lane->position && !esd_lane_sends(lane, sequence)) {
        item.requested = true;
        esd_lane_retry(d, lane, &item, 0);
        esd_ordering_join(lane, esd_lane_find_item(lane, item.key, sequence));
    }

    esd_lane_dirty(d, lane);
}


static void
esd_control_redrive(esd_dispatcher_t *d, esd_target_t *target,
    const es_control_request_t *request)
{
    esd_log_about(ESD_LOG_INFO, esd_about_target(target),
                  "endpoint %s: dead letters are tried again", target->name);
    esd_fresh_excuse(d, target);
    target->redrive_ms = request->time_ms;

    /* dead letters of the current commits are visible only afterwards */

    target->redrive_commits = d->recorder.commits + 2;
    esd_must(d, es_changeset_redrive(d->recorder.filling, target->number,
                                     target->redrive_ms));
}


static void
esd_control_test(esd_dispatcher_t *d, esd_target_t *target,
    const es_control_request_t *request)
{
    if (target->unverified) {
        esd_clearing_reply(d, request, "", ES_CONFLICT, 0,
                           ES_UNVERIFIED_DETAIL);
    }

    esd_test_event_send(d, target, request);
}


/* Replay and resend. */

static void
esd_control_lane(esd_dispatcher_t *d, es_txn_t *txn, esd_target_t *target,
    const es_control_request_t *request)
{
    esd_lane_t  *lane;

    lane = esd_lane_find(d, target, request->feed);

    if (lane == NULL || !esd_control_has(lane, request)) {
        esd_clearing_reply(d, request, "", ES_CONFLICT, 0,
                           "the endpoint does not receive this feed or epoch");
        return;
    }

    esd_fresh_excuse(d, target);
    esd_log_about(ESD_LOG_INFO, esd_about_event(lane, request->sequence),
                  "endpoint %s: %s %s-%llu of feed \"%s\" by request",
                  target->name,
                  request->kind == ES_CONTROL_REPLAY ? "goes back to"
                                                     : "sends again",
                  request->epoch, (unsigned long long) request->sequence,
                  lane->source->feed.name);

    if (request->kind == ES_CONTROL_REPLAY) {
        esd_replay(d, txn, lane, request->sequence);

    } else {
        esd_resend(d, txn, lane, request->sequence, request->sequence - 1);
    }

    esd_ready_lane(d, lane);
}


static void
esd_control_run(esd_dispatcher_t *d, es_txn_t *txn,
    const es_control_request_t *request)
{
    esd_target_t  *target;

    target = request->endpoint < d->ntargets ? d->targets[request->endpoint]
                                             : NULL;
    if (target == NULL) {
        esd_clearing_reply(d, request, "", ES_NOT_FOUND, 0,
                           "the endpoint was removed");
        return;
    }

    switch (request->kind) {

    case ES_CONTROL_REPLAY:
    case ES_CONTROL_RESEND:
        esd_control_lane(d, txn, target, request);
        break;

    case ES_CONTROL_REDRIVE:
        esd_control_redrive(d, target, request);
        break;

    case ES_CONTROL_TEST:
        esd_control_test(d, target, request);
        break;

    case ES_CONTROL_SKIP:
        esd_skip(d, txn, target, request);
        break;

    case ES_CONTROL_CANCEL:
    case ES_CONTROL_DISCARD:
        esd_clearing_begin(d, target, request);
        break;

    case ES_CONTROL_VERIFY:
        esd_verification_request(d, target, request);
        break;
    }
}


static void
esd_control_audit(esd_dispatcher_t *d, const es_control_request_t *request)
{
    const esd_target_t  *target;

    target = request->endpoint < d->ntargets ? d->targets[request->endpoint]
                                             : NULL;

    esd_must(d, es_changeset_audit(d->recorder.filling,
                                   es_control_word(request->kind),
                                   target ? target->partner : "",
                                   target ? target->name : "", request->id,
                                   NULL));
}


/* Takes only requests that existed when the registry was loaded: a later one
   may be for an endpoint or a secret that the loaded registry lacks. */

void
esd_control_take(esd_dispatcher_t *d, es_txn_t *txn)
{
    es_rc_t               rc;
    uint64_t              last;
    es_control_request_t  request;

    rc = ES_OK;
    last = es_registry_loaded_requests(d->registry);

    while (d->taken < last
           && (rc = es_control_request_next(d->store, d->taken,
                                            &request)) == ES_OK
           && request.id <= last)
    {
        esd_control_audit(d, &request);
        esd_control_run(d, txn, &request);
        d->taken = request.id;
        esd_must(d, es_changeset_control_taken(d->recorder.filling, d->taken));
        esd_recorder_touch(d);
    }

    if (rc != ES_OK && rc != ES_NOT_FOUND) {
        esd_log_line(ESD_LOG_ERROR, "cannot read requests: %s",
                     es_reason(rc));
    }
}


static es_rc_t
esd_redrive_dead(void *ctx, const es_dead_t *dead)
{
    esd_lane_t        *lane;
    esd_dead_walk_t   *walk;
    esd_dispatcher_t  *d;

    walk = ctx;
    d = walk->d;

    if (dead->time_ms > walk->target->redrive_ms) {
        return ES_OK;
    }

    if (walk->target->requested >= ESD_REDRIVE_MAX) {
        walk->taken++;
        return ES_STOP;
    }

    lane = esd_lane_find(d, walk->target, dead->feed);

    if (lane == NULL
        || !es_feed_has(&lane->source->feed, dead->epoch, dead->sequence))
    {

        /* the event was deleted; its dead letter stays */

        return ES_OK;
    }

    walk->taken++;

    if (!esd_redrive_room(d, lane)) {
        return ES_OK;
    }

    esd_resend(d, walk->txn, lane, dead->sequence, dead->prevcursor);
    esd_ready_lane(d, lane);

    return ES_OK;
}


/* Takes the next dead letters, as many as there is room for.  That is on disk
   two commits later; until then they would be taken again. */

static void
esd_redrive(esd_dispatcher_t *d, esd_target_t *target)
{
    es_rc_t          rc;
    esd_dead_walk_t  walk = { .d = d, .target = target };

    if (target->redrive_ms == 0
        || target->requested >= ESD_REDRIVE_MAX
        || d->recorder.commits < target->redrive_commits)
    {
        return;
    }

    rc = es_txn_begin(d->store, &walk.txn);

    if (rc == ES_OK) {
        rc = es_delivery_each_dead(d->store, target->number, esd_redrive_dead,
                                   &walk);
        es_txn_end(walk.txn);
    }

    if (rc != ES_OK && rc != ES_STOP) {
        esd_log_about(ESD_LOG_ERROR, esd_about_target(target),
                      "cannot read the dead letters of endpoint %s: %s",
                      target->name, es_reason(rc));
        return;
    }

    target->redrive_commits = d->recorder.commits + 2;

    if (walk.taken == 0) {
        target->redrive_ms = 0;
        esd_must(d, es_changeset_redrive(d->recorder.filling, target->number,
                                         0));
    }

    esd_recorder_touch(d);
}


void
esd_control_tick(esd_dispatcher_t *d)
{
    size_t  i;

    for (i = 0; i < d->ntargets; i++) {
        if (d->targets[i] != NULL) {
            esd_redrive(d, d->targets[i]);
        }
    }
}
