/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What was done goes to disk, many deliveries in one commit.
 *
 * Two sets of changes: the loop fills one while the helper thread commits the
 * other.  A set is handed over when the interval has passed since its first
 * change and the thread is free.  Lanes whose progress has moved are listed,
 * and written once, as they are at that moment: attempts, retries and progress
 * of one moment are one commit.
 *
 * A commit that fails changes nothing.  The set is kept and tried again each
 * second; meanwhile nothing new is sent, so that what is not on disk stays
 * bounded by what was in flight.
 */

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "dispatcher.h"

static void es_recorder_done(struct ev_loop *ev, ev_async *w, int revents);
static void es_recorder_due(struct ev_loop *ev, ev_timer *w, int revents);
static void *es_recorder_main(void *ctx);


void
es_record(es_dispatcher_t *d, es_rc_t rc)
{
    if (rc == ES_OK) {
        es_recorder_touch(d);
        return;
    }

    /* What is on disk is right; going on without it would not be. */

    es_log_line(ES_LOG_ERROR, "cannot record what was delivered: %s; ending, "
                "to go on from the last commit after a restart",
                es_reason(rc));
    _exit(1);
}


/* An attempt and a dead letter are counted where they are recorded. */

void
es_record_attempt(es_dispatcher_t *d, const es_attempt_t *attempt)
{
    es_tally_attempt(&d->recorder.tally, attempt);
    d->recorder.tallied = true;

    es_record(d, es_changes_attempt(d->recorder.filling, attempt));
}


void
es_record_dead(es_dispatcher_t *d, const es_dead_t *dead)
{
    d->recorder.tally.dead++;
    d->recorder.tallied = true;

    es_record(d, es_changes_dead(d->recorder.filling, dead));
}


es_rc_t
es_recorder_start(es_dispatcher_t *d)
{
    es_rc_t         rc;
    es_recorder_t  *recorder;

    recorder = &d->recorder;

    TAILQ_INIT(&recorder->dirty);

    recorder->filling = es_changes_create();
    recorder->committing = es_changes_create();

    if (recorder->filling == NULL || recorder->committing == NULL) {
        return ES_NOMEM;
    }

    rc = es_delivery_tally(d->store, &recorder->tally);
    if (rc != ES_OK) {
        return rc;
    }

    ev_async_init(&recorder->done, es_recorder_done);
    recorder->done.data = d;
    ev_async_start(d->loop.ev, &recorder->done);

    ev_init(&recorder->timer, es_recorder_due);
    recorder->timer.data = d;

    return es_helper_start(&recorder->helper, "es-recorder", es_recorder_main,
                           d);
}


static void *
es_recorder_main(void *ctx)
{
    es_rc_t           rc;
    es_dispatcher_t  *d;
    es_recorder_t    *recorder;

    d = ctx;
    recorder = &d->recorder;

    es_helper_lock(&recorder->helper);

    for ( ;; ) {
        while (!recorder->handed && !recorder->helper.quit) {
            es_helper_wait(&recorder->helper);
        }

        if (!recorder->handed) {
            break;
        }

        es_helper_unlock(&recorder->helper);
        rc = es_delivery_commit(d->store, recorder->committing);
        es_helper_lock(&recorder->helper);

        recorder->rc = rc;
        recorder->error = errno;
        es_reason_take(&recorder->reason);
        recorder->handed = false;
        ev_async_send(d->loop.ev, &recorder->done);
    }

    es_helper_unlock(&recorder->helper);

    return NULL;
}


/* More than there is room for are counted, and then refused. */

static void
es_recorder_pending(es_progress_t *progress, const es_item_t *items, size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (items[i].recorded) {
            continue;
        }

        if (progress->npending < ES_INFLIGHT_MAX) {
            progress->pending[progress->npending] = items[i].sequence;
            progress->pending_prev[progress->npending] = items[i].prev;
        }

        progress->npending++;
    }
}


/* What the lane has taken and not finished, as the next start must see it. */

static es_rc_t
es_recorder_progress(es_changes_t *changes, const es_lane_t *lane)
{
    const es_send_t    *send;
    static es_progress_t  progress;    /* big, and only the loop's */

    progress.endpoint = lane->target->number;
    progress.feed = lane->source->feed.number;
    memcpy(progress.epoch, lane->epoch, sizeof(progress.epoch));
    progress.sequence = lane->position;
    progress.matched = lane->matched;
    progress.npending = 0;

    es_each(send, &lane->sends, link) {
        es_recorder_pending(&progress, send->items, send->nitems);
    }

    if (lane->npending > 0) {
        es_recorder_pending(&progress, lane->waiting, lane->nwaiting);
    }

    return es_changes_progress(changes, &progress);
}


void
es_record_progress(es_dispatcher_t *d, es_lane_t *lane)
{
    if (lane->dirty) {
        TAILQ_REMOVE(&d->recorder.dirty, lane, in_dirty);
        lane->dirty = false;
    }

    lane->moved = false;
    es_record(d, es_recorder_progress(d->recorder.filling, lane));
}


static void
es_recorder_gather(es_dispatcher_t *d)
{
    es_lane_t      *lane;
    es_recorder_t  *recorder;

    recorder = &d->recorder;

    while ((lane = TAILQ_FIRST(&recorder->dirty)) != NULL) {
        es_record_progress(d, lane);
    }

    if (recorder->tallied) {
        recorder->tallied = false;
        es_record(d, es_changes_tally(recorder->filling, &recorder->tally));
    }

    ev_timer_stop(d->loop.ev, &recorder->timer);
    recorder->due = false;
}


static void
es_recorder_submit(es_dispatcher_t *d)
{
    es_changes_t   *changes;
    es_recorder_t  *recorder;

    recorder = &d->recorder;

    es_recorder_gather(d);

    if (es_changes_empty(recorder->filling)) {
        return;
    }

    changes = recorder->filling;
    recorder->filling = recorder->committing;
    recorder->committing = changes;
    recorder->noticed = recorder->notices;
    recorder->notices = false;
    recorder->busy = true;

    es_helper_lock(&recorder->helper);
    recorder->handed = true;
    es_helper_wake(&recorder->helper);
    es_helper_unlock(&recorder->helper);
}


void
es_recorder_touch(es_dispatcher_t *d)
{
    es_recorder_t  *recorder;

    recorder = &d->recorder;

    if (recorder->due || ev_is_active(&recorder->timer)) {
        return;
    }

    ev_timer_set(&recorder->timer, d->options.commit_ms / 1000.0, 0);
    ev_timer_start(d->loop.ev, &recorder->timer);
}


static void
es_recorder_due(struct ev_loop *ev, ev_timer *w, int revents)
{
    es_dispatcher_t  *d;

    (void) ev;
    (void) revents;

    d = w->data;

    if (d->recorder.busy) {
        d->recorder.due = true;
        return;
    }

    es_recorder_submit(d);
}


static void
es_recorder_failed(es_dispatcher_t *d, es_rc_t rc, int error)
{
    bool  disk;

    disk = rc == ES_FULL && error != 0;

    if (!d->recorder.failed) {
        es_log_line(ES_LOG_ERROR, "cannot write delivery state: %s%s%s; "
                    "nothing new is sent until it can be written",
                    es_reason(rc), disk ? ", " : "",
                    disk ? strerror(error) : "");
    }

    d->recorder.failed = true;
    d->recorder.full = rc == ES_FULL;
    d->halted = true;
}


static void
es_recorder_done(struct ev_loop *ev, ev_async *w, int revents)
{
    int               error;
    bool              handed;
    es_rc_t           rc;
    es_dispatcher_t  *d;
    es_recorder_t    *recorder;

    (void) ev;
    (void) revents;

    d = w->data;
    recorder = &d->recorder;

    es_helper_lock(&recorder->helper);
    rc = recorder->rc;
    error = recorder->error;
    es_reason_give(&recorder->reason);
    handed = recorder->handed;
    es_helper_unlock(&recorder->helper);

    if (handed || !recorder->busy) {
        return;
    }

    if (rc != ES_OK) {
        es_recorder_failed(d, rc, error);
        return;
    }

    recorder->busy = false;
    recorder->commits++;

    if (recorder->noticed) {
        es_notifier_tell(d);
    }

    if (recorder->failed) {
        es_log_line(ES_LOG_WARN, "delivery state can be written again");
        recorder->failed = false;
        d->halted = false;
    }

    if (recorder->due) {
        es_recorder_submit(d);
    }
}


/* What has come since the set failed goes with it: where delivery/ is full, the
   removal of an endpoint must not wait for room that it gives back itself. */

static void
es_recorder_join(es_dispatcher_t *d)
{
    es_recorder_t  *recorder;

    recorder = &d->recorder;

    es_recorder_gather(d);
    es_record(d, es_changes_join(recorder->committing, recorder->filling));

    recorder->noticed = recorder->noticed || recorder->notices;
    recorder->notices = false;
}


/* Hands the set that failed to the thread again. */

void
es_recorder_retry(es_dispatcher_t *d)
{
    es_recorder_t  *recorder;

    recorder = &d->recorder;

    if (!recorder->failed) {
        return;
    }

    es_helper_lock(&recorder->helper);

    if (!recorder->handed) {
        es_recorder_join(d);
        recorder->handed = true;
        es_helper_wake(&recorder->helper);
    }

    es_helper_unlock(&recorder->helper);
}


/* The loop has ended: from here on this is the only thread that writes. */

es_rc_t
es_recorder_finish(es_dispatcher_t *d)
{
    es_rc_t         rc;
    es_recorder_t  *recorder;

    recorder = &d->recorder;

    if (!es_helper_finish(&recorder->helper)) {
        es_changes_destroy(recorder->committing);
        es_changes_destroy(recorder->filling);
        return ES_OK;
    }

    /* Empty when its commit succeeded. */

    rc = es_delivery_commit(d->store, recorder->committing);

    if (rc == ES_OK) {
        es_recorder_gather(d);
        rc = es_delivery_commit(d->store, recorder->filling);
    }

    es_changes_destroy(recorder->committing);
    es_changes_destroy(recorder->filling);

    return rc;
}
