/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Cancel and discard: the events are counted first, and the job continues only
 * if their number is the one that the request states.
 *
 * Both work in slices, because there may be very many events.  A job is stored
 * until it is done, so that a restart continues it.
 */

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "delivery/delivery.h"
#include "manage/clearing.h"
#include "registry/control_reply.h"
#include "registry/control_request.h"
#include "store/txn.h"

#include "about.h"
#include "cancel.h"
#include "clearing.h"
#include "discard.h"
#include "dispatcher.h"
#include "lane.h"
#include "log.h"
#include "notice.h"
#include "recorder.h"
#include "target.h"
#include "trusted_clock.h"

#define ESD_CLEARING_S  0.01          /* between two slices */

static void esd_on_clearing(struct ev_loop *ev, ev_timer *w, int revents);


void
esd_clearing_init(esd_dispatcher_t *d)
{
    ev_timer_init(&d->clearing_timer, esd_on_clearing, 0, ESD_CLEARING_S);
    d->clearing_timer.data = d;
}


void
esd_clearing_reply(esd_dispatcher_t *d, const es_control_request_t *request,
    const char *by, es_rc_t rc, uint64_t count, const char *detail)
{
    es_control_reply_t  reply;

    memset(&reply, 0, sizeof(reply));
    reply.id = request->id;
    reply.kind = request->kind;
    reply.endpoint = request->endpoint;
    reply.rc = rc;
    reply.count = count;
    reply.time_ms = esd_clock_stamp_ms(d);
    (void) snprintf(reply.by, sizeof(reply.by), "%s", by);
    (void) snprintf(reply.detail, sizeof(reply.detail), "%s",
                    detail != NULL ? detail : "");

    esd_must(d, es_changeset_control_reply(d->recorder.filling, &reply));

    if (rc != ES_OK) {
        esd_log_line(ESD_LOG_WARN, "request %llu%s%s%s was refused: %s",
                     (unsigned long long) request->id,
                     by[0] != '\0' ? ", by " : "", by,
                     by[0] != '\0' ? "," : "", reply.detail);
    }
}


static void
esd_clearing_add(esd_dispatcher_t *d, esd_target_t *target,
    esd_clearing_job_t *job)
{
    target->job = job;
    d->njobs++;

    /* the latest changes are not on disk yet */

    job->commits = d->recorder.commits + 2;
    esd_recorder_touch(d);

    if (!ev_is_active(&d->clearing_timer)) {
        ev_timer_again(d->loop.ev, &d->clearing_timer);
    }
}


void
esd_clearing_drop(esd_dispatcher_t *d, esd_target_t *target)
{
    esd_clearing_job_t  *job;

    job = target->job;

    if (job != NULL) {
        target->job = NULL;
        d->njobs--;
        es_clearing_free(&job->clearing);
        free(job->list);
        free(job);
    }
}


static esd_clearing_job_t *
esd_clearing_create(void)
{
    esd_clearing_job_t  *job;

    job = calloc(1, sizeof(esd_clearing_job_t));

    if (job == NULL) {
        esd_out_of_memory();
    }

    return job;
}


void
esd_clearing_load(esd_dispatcher_t *d, esd_target_t *target)
{
    esd_clearing_job_t  *job;

    job = esd_clearing_create();

    if (es_delivery_clearing(d->store, target->number, &job->clear) != ES_OK
        || es_clearing_read(&job->clear.request, &job->clearing) != ES_OK)
    {
        free(job);
        return;
    }

    esd_clearing_add(d, target, job);
}


void
esd_clearing_begin(esd_dispatcher_t *d, esd_target_t *target,
    const es_control_request_t *request)
{
    esd_clearing_job_t  *job;

    job = esd_clearing_create();
    job->clear.request = *request;

    if (es_clearing_read(request, &job->clearing) != ES_OK) {
        esd_clearing_reply(d, request, "", ES_CORRUPT, 0,
                           "the request cannot be read");
        free(job);
        return;
    }

    if (target->job != NULL) {
        esd_clearing_reply(d, request, job->clearing.by, ES_BUSY, 0,
                           "another cancel or discard of the endpoint is "
                           "in progress");
        es_clearing_free(&job->clearing);
        free(job);
        return;
    }

    esd_must(d, es_changeset_clearing(d->recorder.filling, &job->clear));
    esd_clearing_add(d, target, job);
}


static const char *
esd_clearing_feed(const esd_dispatcher_t *d,
    const es_control_request_t *request)
{
    return request->feed == 0
           ? NULL
           : request->feed < d->nsources && d->sources[request->feed] != NULL
             ? d->sources[request->feed]->feed.name : "(removed)";
}


static void
esd_clearing_end(esd_dispatcher_t *d, esd_target_t *target, es_rc_t rc,
    const char *detail)
{
    const char          *feed;
    esd_clearing_job_t  *job;

    job = target->job;
    feed = esd_clearing_feed(d, &job->clear.request);

    esd_clearing_reply(d, &job->clear.request, job->clearing.by, rc,
                       job->count, detail);
    esd_must(d, es_changeset_clearing_done(d->recorder.filling,
                                           target->number));

    if (rc == ES_OK && job->clear.request.kind == ES_CONTROL_CANCEL) {
        esd_notice_cancelled(d, target, feed, job);

    } else if (rc == ES_OK) {
        esd_notice_discarded(d, target, feed, job);
    }

    if (rc == ES_OK) {
        esd_log_about(ESD_LOG_WARN, esd_about_target(target),
                      "endpoint %s: %llu %s%s%s%s, by %s", target->name,
                      (unsigned long long) job->count,
                      job->clear.request.kind == ES_CONTROL_CANCEL
                      ? "waiting events were cancelled"
                      : "dead letters were discarded",
                      feed ? ", feed \"" : "", feed ? feed : "",
                      feed ? "\"" : "", job->clearing.by);
    }

    esd_clearing_drop(d, target);
}


static void
esd_clearing_counted(esd_dispatcher_t *d, esd_target_t *target)
{
    char                 detail[ES_REASON_MAX];
    esd_clearing_job_t  *job;

    job = target->job;

    if (job->clearing.expects && job->clearing.expect != job->count) {
        (void) snprintf(detail, sizeof(detail), "there are %llu events, not "
                        "%llu", (unsigned long long) job->count,
                        (unsigned long long) job->clearing.expect);
        esd_clearing_end(d, target, ES_MISMATCH, detail);
        return;
    }

    job->clear.removing = true;
    job->count = 0;
    job->at = 0;
    memset(&job->position, 0, sizeof(job->position));
    esd_must(d, es_changeset_clearing(d->recorder.filling, &job->clear));
}


/* Where delivery/ is full, a discard continues: its deletions join the set that
   could not be committed, and make room for it. */

static bool
esd_clearing_waits(const esd_dispatcher_t *d, const esd_clearing_job_t *job)
{
    if (d->halted) {
        return !d->recorder.full
               || job->clear.request.kind != ES_CONTROL_DISCARD;
    }

    return d->recorder.commits < job->commits;
}


static void
esd_clearing_slice(esd_dispatcher_t *d, es_txn_t *txn, esd_target_t *target)
{
    esd_slice_t  slice;

    if (esd_clearing_waits(d, target->job)) {

        /* the job may have nothing to commit */

        if (!d->halted) {
            esd_record_heartbeat(d);
        }

        return;
    }

    slice = target->job->clear.request.kind == ES_CONTROL_CANCEL
            ? esd_cancel_slice(d, txn, target, target->job)
            : esd_discard_slice(d, txn, target, target->job);

    switch (slice) {

    case ESD_SLICE_COUNTED:
        esd_clearing_counted(d, target);
        break;

    case ESD_SLICE_DONE:
        esd_clearing_end(d, target, ES_OK, NULL);
        break;

    case ESD_SLICE_AWAY:
        esd_clearing_end(d, target, ES_CONFLICT,
                         "the endpoint does not receive this "
                         "feed or epoch");
        break;

    case ESD_SLICE_AGAIN:
        break;
    }
}


static void
esd_on_clearing(struct ev_loop *ev, ev_timer *w, int revents)
{
    size_t             i;
    es_txn_t          *txn;
    esd_dispatcher_t  *d;

    (void) revents;

    d = w->data;

    if (d->njobs == 0) {
        ev_timer_stop(ev, w);
        return;
    }

    if (es_txn_begin(d->store, &txn) != ES_OK) {
        return;
    }

    for (i = 0; i < d->ntargets; i++) {
        if (d->targets[i] != NULL && d->targets[i]->job != NULL) {
            esd_clearing_slice(d, txn, d->targets[i]);
        }
    }

    es_txn_end(txn);
}
