/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Writes delivery state to disk, with many deliveries in one commit.
 *
 * There are two sets of changes: the loop fills one while a thread commits the
 * other.  A set is handed over when the interval has passed since its first
 * change and the thread is free.  Lanes whose progress has moved are listed
 * and written once, at that moment, so that attempts, retries and progress of
 * one moment are in one commit.
 *
 * A failed commit changes nothing.  The set is kept and tried again each
 * second. Meanwhile nothing new is sent, so that the unwritten state is
 * bounded by the requests that were in flight.
 */

#include <curl/curl.h>
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/reason.h"
#include "delivery/cases.h"
#include "delivery/delivery.h"
#include "delivery/hint.h"
#include "delivery/tally.h"
#include "registry/registry.h"

#include "attempt_log.h"
#include "dispatcher.h"
#include "figures.h"
#include "fresh.h"
#include "item.h"
#include "lane.h"
#include "log.h"
#include "outcome.h"
#include "recorder.h"
#include "redact.h"
#include "response.h"
#include "send.h"
#include "target.h"
#include "thread.h"
#include "trusted_clock.h"
#include "types.h"

#define ESD_CASES_US  1000000

static void esd_recorder_done(struct ev_loop *ev, ev_async *w, int revents);
static void esd_recorder_due(struct ev_loop *ev, ev_timer *w, int revents);
static void *esd_recorder_main(void *ctx);


/* The state on disk is correct; without the change, the state in memory would
   not be. */

static void __attribute__((noreturn))
esd_recorder_exit(es_rc_t rc)
{
    esd_log_line(ESD_LOG_ERROR, "cannot record a delivery: %s; ending, so that "
                 "a restart continues from the last commit",
                 es_reason(rc));
    _exit(1);
}


void
esd_out_of_memory(void)
{
    esd_recorder_exit(ES_NOMEM);
}


void
esd_must(esd_dispatcher_t *d, es_rc_t rc)
{
    if (rc != ES_OK) {
        esd_recorder_exit(rc);
    }

    esd_recorder_touch(d);
}


/* Attempts and dead letters are counted where they are recorded. */

void
esd_record_attempt(esd_dispatcher_t *d, const es_attempt_t *attempt)
{
    es_tally_attempt(&d->recorder.tally, attempt);
    es_cases_attempt(&d->recorder.cases, attempt);
    d->recorder.tallied = true;
    d->recorder.cased = true;

    esd_must(d, esd_figures_attempt(d, attempt));
    esd_must(d, es_changeset_attempt(d->recorder.filling, attempt));
}


/* The store's time never runs backwards, but the dispatcher may know an earlier
   one than the commit. */

void
esd_record_delivered(esd_dispatcher_t *d, const esd_lane_t *lane,
    const esd_item_t *item)
{
    int64_t       delay_ms;
    es_case_of_t  c;

    if (item->time_ms == 0) {
        return;
    }

    c.time_ms = esd_clock_stamp_ms(d);
    delay_ms = c.time_ms > item->time_ms ? c.time_ms - item->time_ms : 0;
    c.us = (uint64_t) delay_ms * 1000;
    c.sequence = item->sequence;
    c.feed = lane->source->feed.number;
    c.endpoint = lane->target->number;

    es_tally_delivered(&d->recorder.tally, (uint64_t) delay_ms);
    es_cases_delivered(&d->recorder.cases, &c);
    d->recorder.tallied = true;
    d->recorder.cased = true;
}


/* Without an answer the cause is stored, because the message of libcurl may
   name addresses that partners must not see. */

static const char *
esd_recorder_cause(const es_attempt_t *attempt, const esd_send_t *send)
{
    const es_hint_t   *hint;
    es_hint_answer_t   answer = {
        .class = (es_attempt_class_t) attempt->class,
        .body = es_str(send->error)
    };

    hint = es_hint(&answer);

    return hint != NULL ? hint->cause : "";
}


static void
esd_recorder_text(es_attempt_t *attempt, const char *text)
{
    size_t  n;

    n = text != NULL ? strnlen(text, sizeof(attempt->body)) : 0;
    attempt->body_len = (uint16_t) n;
    memcpy(attempt->body, text != NULL ? text : "", n);
}


/* The first bytes of an encoded body are not readable text, so that the name of
   the coding is stored instead. */

static void
esd_recorder_bytes(es_attempt_t *attempt, const esd_send_t *send)
{
    const char  *coding;

    switch (es_attempt_bytes(attempt)) {

    case ES_BYTES_CAUSE:
        esd_recorder_text(attempt, esd_recorder_cause(attempt, send));
        return;

    case ES_BYTES_LOCATION:
        esd_recorder_text(attempt, esd_response_field(send, "location", 0));
        return;

    case ES_BYTES_BODY:
        break;
    }

    coding = send->first_len != 0 ? esd_response_coding(send) : "";

    if (coding[0] == '\0') {
        attempt->body_len = (uint16_t) send->first_len;
        memcpy(attempt->body, send->first, send->first_len);
        return;
    }

    attempt->body_len = (uint16_t) snprintf(attempt->body,
                                            sizeof(attempt->body),
                                            "(content-encoding: %.31s)",
                                            coding);
}


/* A receiver may answer with what it was sent, and the partner's readers of
   attempts must not learn the secrets of the endpoint from that. */

static void
esd_recorder_body(es_attempt_t *attempt, const esd_send_t *send)
{
    esd_recorder_bytes(attempt, send);
    esd_redact(send, attempt->body, attempt->body_len,
               attempt->body_len == sizeof(attempt->body));
}


void
esd_record_send(esd_send_t *send, const char *id, uint64_t sequence,
    uint32_t number, const esd_outcome_t *o)
{
    long               connects;
    int64_t            latency_us;
    es_attempt_t       attempt;
    esd_dispatcher_t  *d;

    d = send->d;
    connects = 0;
    (void) curl_easy_getinfo(send->easy, CURLINFO_NUM_CONNECTS, &connects);
    latency_us = es_clock_mono_us() - send->sent_us;

    attempt.endpoint = send->target->number;
    attempt.feed = send->lane != NULL ? send->lane->source->feed.number : 0;
    attempt.sequence = sequence;
    attempt.time_ms = esd_clock_stamp_ms(d) - latency_us / 1000;
    attempt.latency_us = latency_us < UINT32_MAX ? (uint32_t) latency_us
                                                 : UINT32_MAX;
    attempt.attempt = number;
    attempt.status = o->status;
    attempt.class = (uint8_t) o->class;
    attempt.flags = connects == 0 && o->status != 0 ? ES_ATTEMPT_REUSED : 0;
    attempt.flags |= send->kind == ESD_SEND_TEST ? ES_ATTEMPT_TEST
                     : send->kind == ESD_SEND_NUDGE ? ES_ATTEMPT_NUDGE
                     : send->kind == ESD_SEND_TOKEN ? ES_ATTEMPT_FETCH
                     : !esd_send_trusts(send) ? ES_ATTEMPT_CHECK : 0;
    attempt.flags |= send->simulate != ES_SIMULATE_NONE
                     ? ES_ATTEMPT_SIMULATED_FLAG : 0;
    esd_recorder_body(&attempt, send);

    esd_record_attempt(d, &attempt);
    esd_attempt_log(send, id, &attempt);
}


void
esd_record_dead(esd_dispatcher_t *d, const esd_lane_t *lane,
    const esd_item_t *item, es_attempt_class_t class, const char *reason,
    es_dead_t *dead)
{
    memset(dead, 0, sizeof(es_dead_t));
    dead->endpoint = lane->target->number;
    dead->feed = lane->source->feed.number;
    memcpy(dead->epoch,
           es_feed_epoch_of(&lane->source->feed, item->sequence),
           sizeof(dead->epoch));
    dead->sequence = item->sequence;
    dead->prevcursor = item->prev;
    dead->time_ms = esd_clock_stamp_ms(d);

    /* an event that dies again does not belong to the redrive that sent it,
       even if the clock was set back */

    if (dead->time_ms <= lane->target->redrive_ms) {
        dead->time_ms = lane->target->redrive_ms + 1;
    }

    dead->attempts = item->attempts;
    dead->status = item->status;
    dead->class = (uint8_t) class;
    (void) snprintf(dead->reason, sizeof(dead->reason), "%s", reason);

    d->recorder.tally.dead++;
    d->recorder.tallied = true;

    esd_must(d, esd_figures_dead(d, dead->endpoint));
    esd_must(d, es_changeset_dead(d->recorder.filling, dead));
}


/* Records the time up to which this process has seen all changes, because the
   next run must not treat earlier events as new. */

void
esd_record_heartbeat(esd_dispatcher_t *d)
{
    int64_t  at_ms;

    at_ms = esd_clock_due_ms(d) - (esd_clock_stamp_ms(d) - d->alive_ms);
    esd_must(d, es_changeset_heartbeat(d->recorder.filling, at_ms));
}


es_rc_t
esd_recorder_start(esd_dispatcher_t *d)
{
    es_rc_t          rc;
    esd_recorder_t  *recorder;

    recorder = &d->recorder;

    TAILQ_INIT(&recorder->dirty);
    TAILQ_INIT(&d->figures);
    TAILQ_INIT(&d->fresh);

    recorder->filling = es_changeset_create();
    recorder->committing = es_changeset_create();

    if (recorder->filling == NULL || recorder->committing == NULL) {
        return ES_NOMEM;
    }

    rc = es_delivery_tally(d->store, &recorder->tally);

    if (rc == ES_OK) {
        rc = es_delivery_cases(d->store, &recorder->cases);
    }

    if (rc != ES_OK) {
        return rc;
    }

    ev_async_init(&recorder->done, esd_recorder_done);
    recorder->done.data = d;
    ev_async_start(d->loop.ev, &recorder->done);

    ev_init(&recorder->timer, esd_recorder_due);
    recorder->timer.data = d;

    return esd_thread_start(&recorder->thread, "es-recorder",
                            esd_recorder_main, d);
}


static void *
esd_recorder_main(void *ctx)
{
    es_rc_t            rc;
    esd_dispatcher_t  *d;
    esd_recorder_t    *recorder;

    d = ctx;
    recorder = &d->recorder;

    esd_thread_lock(&recorder->thread);

    for ( ;; ) {
        while (!recorder->handed && !recorder->thread.quit) {
            esd_thread_wait(&recorder->thread);
        }

        if (!recorder->handed) {
            break;
        }

        esd_thread_unlock(&recorder->thread);
        rc = es_delivery_commit(d->store, recorder->committing);
        esd_thread_lock(&recorder->thread);

        recorder->rc = rc;
        recorder->error = errno;
        es_reason_take(&recorder->reason);
        recorder->handed = false;
        ev_async_send(d->loop.ev, &recorder->done);
    }

    esd_thread_unlock(&recorder->thread);

    return NULL;
}


/* Events beyond the capacity are counted, so that the record is refused. */

static void
esd_recorder_pending(es_progress_t *progress, const esd_item_t *items,
    size_t n)
{
    size_t  i;

    for (i = 0; i < n; i++) {
        if (items[i].recorded) {
            continue;
        }

        if (progress->npending < ES_INFLIGHT_MAX) {
            progress->pending[progress->npending] = items[i].sequence;
            progress->pending_prev[progress->npending] = items[i].prev;
            progress->pending_batch[progress->npending] = items[i].batch;
        }

        progress->npending++;
    }
}


/* Writes the progress of the lane and its unfinished events. */

static es_rc_t
esd_recorder_progress(es_changeset_t *changes, const esd_lane_t *lane)
{
    const esd_send_t    *send;
    static es_progress_t  progress;    /* large, and only the loop uses it */

    progress.endpoint = lane->target->number;
    progress.feed = lane->source->feed.number;
    memcpy(progress.epoch, lane->epoch, sizeof(progress.epoch));
    progress.sequence = lane->position;
    progress.matched = lane->matched;
    progress.npending = 0;

    esd_each(send, &lane->sends, link) {
        esd_recorder_pending(&progress, send->items, send->nitems);
    }

    if (lane->npending > 0) {
        esd_recorder_pending(&progress, lane->waiting, lane->nwaiting);
    }

    /* I7: each event up to the position that has no retry record is listed */

    ES_ASSERT(progress.npending == lane->npending + lane->nflying);

    return es_changeset_progress(changes, &progress);
}


void
esd_record_progress(esd_dispatcher_t *d, esd_lane_t *lane)
{
    if (lane->dirty) {
        TAILQ_REMOVE(&d->recorder.dirty, lane, in_dirty);
        lane->dirty = false;
    }

    lane->moved = false;
    esd_must(d, esd_recorder_progress(d->recorder.filling, lane));
}


/* The cases are greater than the counters, and need not be in each commit. */

static void
esd_recorder_cases(esd_dispatcher_t *d, bool all)
{
    int64_t          now_us;
    esd_recorder_t  *recorder;

    recorder = &d->recorder;
    now_us = es_clock_mono_us();

    if (recorder->cased
        && (all || now_us - recorder->cased_us >= ESD_CASES_US))
    {
        recorder->cased = false;
        recorder->cased_us = now_us;
        esd_must(d, es_changeset_cases(recorder->filling, &recorder->cases));
    }
}


/* With `all`, nothing is left for a later commit. */

static void
esd_recorder_gather(esd_dispatcher_t *d, bool all)
{
    esd_lane_t      *lane;
    esd_recorder_t  *recorder;

    recorder = &d->recorder;

    while ((lane = TAILQ_FIRST(&recorder->dirty)) != NULL) {
        esd_record_progress(d, lane);
    }

    if (recorder->tallied) {
        recorder->tallied = false;
        esd_must(d, es_changeset_tally(recorder->filling, &recorder->tally));
    }

    esd_recorder_cases(d, all);

    esd_must(d, esd_figures_gather(d, recorder->filling, all));
    esd_must(d, esd_fresh_gather(d, recorder->filling, all));

    ev_timer_stop(d->loop.ev, &recorder->timer);
    recorder->due = false;
}


/* Requires the thread's lock. */

static void
esd_recorder_hand(esd_recorder_t *recorder)
{
    recorder->handed = true;
    recorder->handed_us = es_clock_mono_us();
    esd_thread_wake(&recorder->thread);
}


int64_t
esd_recorder_busy_us(esd_dispatcher_t *d)
{
    int64_t          busy_us;
    esd_recorder_t  *recorder;

    recorder = &d->recorder;

    esd_thread_lock(&recorder->thread);
    busy_us = recorder->handed ? es_clock_mono_us() - recorder->handed_us : 0;
    esd_thread_unlock(&recorder->thread);

    return busy_us;
}


static void
esd_recorder_submit(esd_dispatcher_t *d)
{
    es_changeset_t  *changes;
    esd_recorder_t  *recorder;

    recorder = &d->recorder;

    esd_recorder_gather(d, false);

    if (es_changeset_empty(recorder->filling)) {
        return;
    }

    changes = recorder->filling;
    recorder->filling = recorder->committing;
    recorder->committing = changes;
    recorder->noticed = recorder->notices;
    recorder->notices = false;
    recorder->busy = true;

    esd_thread_lock(&recorder->thread);
    esd_recorder_hand(recorder);
    esd_thread_unlock(&recorder->thread);
}


void
esd_recorder_touch(esd_dispatcher_t *d)
{
    esd_recorder_t  *recorder;

    recorder = &d->recorder;

    if (recorder->due || ev_is_active(&recorder->timer)) {
        return;
    }

    ev_timer_set(&recorder->timer, d->options.commit_ms / 1000.0, 0);
    ev_timer_start(d->loop.ev, &recorder->timer);
}


static void
esd_recorder_due(struct ev_loop *ev, ev_timer *w, int revents)
{
    esd_dispatcher_t  *d;

    (void) ev;
    (void) revents;

    d = w->data;

    if (d->recorder.busy) {
        d->recorder.due = true;
        return;
    }

    esd_recorder_submit(d);
}


static void
esd_recorder_failed(esd_dispatcher_t *d, es_rc_t rc, int error)
{
    bool  disk;

    disk = rc == ES_FULL && error != 0;

    if (!d->recorder.failed) {
        esd_log_line(ESD_LOG_ERROR, "cannot write delivery state: %s%s%s; "
                     "nothing new is sent until this succeeds",
                     es_reason(rc), disk ? ", " : "",
                     disk ? strerror(error) : "");
    }

    d->recorder.failed = true;
    d->recorder.full = rc == ES_FULL;
    d->halted = true;
}


static void
esd_recorder_done(struct ev_loop *ev, ev_async *w, int revents)
{
    int                error;
    bool               handed;
    es_rc_t            rc;
    esd_dispatcher_t  *d;
    esd_recorder_t    *recorder;

    (void) ev;
    (void) revents;

    d = w->data;
    recorder = &d->recorder;

    esd_thread_lock(&recorder->thread);
    rc = recorder->rc;
    error = recorder->error;
    es_reason_give(&recorder->reason);
    handed = recorder->handed;
    esd_thread_unlock(&recorder->thread);

    if (handed || !recorder->busy) {
        return;
    }

    if (rc != ES_OK) {
        esd_recorder_failed(d, rc, error);
        return;
    }

    recorder->busy = false;
    recorder->commits++;

    recorder->announce |= recorder->noticed;

    if (recorder->failed) {
        esd_log_line(ESD_LOG_WARN, "delivery state can be written again");
        recorder->failed = false;
        d->halted = false;
    }

    if (recorder->due) {
        esd_recorder_submit(d);
    }
}


/* Joins the new changes to the failed set: where delivery/ is full, the removal
   of an endpoint must not wait for space that it would free itself. */

static void
esd_recorder_join(esd_dispatcher_t *d)
{
    esd_recorder_t  *recorder;

    recorder = &d->recorder;

    esd_recorder_gather(d, false);
    esd_must(d, es_changeset_join(recorder->committing, recorder->filling));

    recorder->noticed = recorder->noticed || recorder->notices;
    recorder->notices = false;
}


/* Hands the failed set to the thread again. */

void
esd_recorder_retry(esd_dispatcher_t *d)
{
    esd_recorder_t  *recorder;

    recorder = &d->recorder;

    if (!recorder->failed) {
        return;
    }

    esd_thread_lock(&recorder->thread);

    if (!recorder->handed) {
        esd_recorder_join(d);
        esd_recorder_hand(recorder);
    }

    esd_thread_unlock(&recorder->thread);
}


/* The loop has ended, and only this thread writes from now on. */

es_rc_t
esd_recorder_finish(esd_dispatcher_t *d)
{
    es_rc_t          rc;
    esd_recorder_t  *recorder;

    recorder = &d->recorder;

    if (!esd_thread_finish(&recorder->thread)) {
        es_changeset_destroy(recorder->committing);
        es_changeset_destroy(recorder->filling);
        return ES_OK;
    }

    /* This set is empty if its commit succeeded. */

    rc = es_delivery_commit(d->store, recorder->committing);

    if (rc == ES_OK) {
        esd_recorder_gather(d, true);
        rc = es_delivery_commit(d->store, recorder->filling);
    }

    es_changeset_destroy(recorder->committing);
    es_changeset_destroy(recorder->filling);

    return rc;
}
