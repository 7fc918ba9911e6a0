/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checks whether endpoints agree to be sent events, and stores the result.
 *
 * The results of checks have no effect on the health of an endpoint: its
 * circuit, window and failing begin with its first event.
 */

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "delivery/verification.h"
#include "registry/control_request.h"
#include "registry/origin.h"
#include "registry/registry.h"

#include "about.h"
#include "challenge.h"
#include "channel.h"
#include "clearing.h"
#include "dispatcher.h"
#include "host.h"
#include "log.h"
#include "notice.h"
#include "outcome.h"
#include "proxy.h"
#include "ready.h"
#include "recorder.h"
#include "schedule.h"
#include "send.h"
#include "slots.h"
#include "target.h"
#include "trusted_clock.h"
#include "verification.h"

#define ESD_CHECKS_TURN     64         /* that begin at once */
#define ESD_CHECK_AGAIN_MS  30000      /* after one that failed by our fault */
#define ESD_HOST_CHECK_US   10000000   /* a host waits after a failed check, */
#define ESD_HOST_CHECKS     7          /* and twice as long after each more */

_Static_assert(ES_VERIFIED_ORIGIN_MAX == ES_ORIGIN_MAX, "an origin fits");

/* The delay after each failed check; no check follows the last one. */
static const int64_t  esd_check_delays_ms[] = {
    10000, 60000, 5 * 60000, 30 * 60000, 2 * 3600000, 6 * 3600000,
    24 * 3600000
};

#define ESD_CHECK_DELAYS                                                      \
    (sizeof(esd_check_delays_ms) / sizeof(esd_check_delays_ms[0]))


static bool
esd_verification_required(const esd_dispatcher_t *d,
    const es_endpoint_t *conf)
{
    switch (d->options.verify) {

    case ESD_VERIFY_OFF:
        return false;

    case ESD_VERIFY_HTTP:
        return conf->by_key;

    case ESD_VERIFY_ALL:
        return true;
    }

    return true;
}


static void
esd_verification_record(esd_dispatcher_t *d, const esd_target_t *target)
{
    esd_must(d, es_changeset_verification(d->recorder.filling,
                                          &target->verification->record));
    esd_recorder_touch(d);
}


static void
esd_verification_set(esd_dispatcher_t *d, esd_target_t *target,
    bool unverified)
{
    d->nunverified -= target->unverified;
    d->nunverified += unverified;
    target->unverified = unverified;
}


static es_verification_t *
esd_verification_make(esd_target_t *target)
{
    if (target->verification == NULL) {
        target->verification = calloc(1, sizeof(esd_verification_t));

        if (target->verification == NULL) {
            esd_out_of_memory();
        }

        target->verification->record.endpoint = target->number;
    }

    return &target->verification->record;
}


void
esd_verification_load(esd_dispatcher_t *d, esd_target_t *target)
{
    es_verification_t  record;

    if (es_delivery_verification(d->store, target->number, &record) == ES_OK) {
        *esd_verification_make(target) = record;
    }
}


static void
esd_verification_free(esd_target_t *target)
{
    free(target->verification);
    target->verification = NULL;
}


/* The host waits before it is checked again, for whichever endpoint. */

static void
esd_check_back_off(esd_dispatcher_t *d, esd_host_t *host)
{
    unsigned  n;

    n = host->failed_checks < ESD_HOST_CHECKS ? host->failed_checks
                                              : ESD_HOST_CHECKS - 1;
    host->failed_checks++;
    host->check_us = es_clock_mono_us() + ((int64_t) ESD_HOST_CHECK_US << n);
    esd_host_keep(d, host);
}


/* A check that ends with its endpoint counts as failed for the host. */

void
esd_verification_drop(esd_dispatcher_t *d, esd_target_t *target)
{
    const esd_send_t  *send;

    esd_each(send, &target->others, link) {
        if (send->kind == ESD_SEND_HANDSHAKE
            || send->kind == ESD_SEND_CHALLENGE)
        {
            send->host->checking = false;
            esd_check_back_off(d, send->host);
        }
    }

    esd_verification_set(d, target, false);
    esd_verification_free(target);
}


/* The agreement holds for the origin, and after a handshake for the name of
   this sender. */

static bool
esd_verification_holds(const esd_dispatcher_t *d, const es_verification_t *v,
    const char *origin)
{
    return v->method != ES_VERIFIED_NOT
           && strcmp(v->origin, origin) == 0
           && (v->method != ES_VERIFIED_HANDSHAKE
               || strcmp(v->sender, "*") == 0
               || strcasecmp(v->sender, d->options.webhook_origin) == 0);
}


/* An endpoint of the same partner that has agreed at this origin. */

static const es_verification_t *
esd_verification_sibling(const esd_dispatcher_t *d, const esd_target_t *target,
    const char *origin)
{
    size_t               i;
    const esd_target_t  *other;

    for (i = 0; i < d->ntargets; i++) {
        other = d->targets[i];

        if (other != NULL
            && other != target
            && other->holder == target->holder
            && other->caller.host == target->caller.host
            && other->verification != NULL
            && esd_verification_holds(d, &other->verification->record, origin))
        {
            return &other->verification->record;
        }
    }

    return NULL;
}


static void
esd_verification_agreed(esd_dispatcher_t *d, esd_target_t *target,
    es_verified_by_t method, const char *sender, const char *how)
{
    es_verification_t  *v;

    v = &target->verification->record;

    if (v->reason[0] != '\0') {
        esd_notice_verified(d, target, v);
    }

    v->method = (uint8_t) method;
    v->class = ES_ATTEMPT_OK;
    v->next_ms = 0;
    v->time_ms = esd_clock_stamp_ms(d);
    v->reason[0] = '\0';
    (void) snprintf(v->sender, sizeof(v->sender), "%s", sender);

    esd_log_about(ESD_LOG_INFO, esd_about_target(target),
                  "endpoint %s: %s agrees to be sent events, %s", target->name,
                  v->origin, how);

    esd_verification_record(d, target);
    esd_verification_set(d, target, false);
    esd_ready_lanes(d, target);
}


/* The agreement also holds for the partner's other endpoints at this origin. */

static void
esd_verification_share(esd_dispatcher_t *d, const esd_target_t *target)
{
    size_t                    i;
    esd_target_t             *other;
    const es_verification_t  *v;

    v = &target->verification->record;

    for (i = 0; i < d->ntargets; i++) {
        other = d->targets[i];

        if (other != NULL
            && other->unverified
            && other->holder == target->holder
            && strcmp(other->verification->record.origin, v->origin) == 0)
        {
            esd_verification_agreed(d, other, (es_verified_by_t) v->method,
                                    v->sender, "by another endpoint");
        }
    }
}


/* Nothing is sent until the origin of the URL agrees.  An agreement of another
   endpoint of the partner counts. */

static void
esd_verification_begin(esd_dispatcher_t *d, esd_target_t *target,
    const char *origin)
{
    es_verification_t        *v;
    const es_verification_t  *sibling;

    v = esd_verification_make(target);
    target->verification->check = NULL;

    memset(v, 0, sizeof(es_verification_t));
    v->endpoint = target->number;
    v->revision = target->revision;
    v->next_ms = esd_schedule_ms(d);
    (void) snprintf(v->origin, sizeof(v->origin), "%s", origin);

    sibling = esd_verification_sibling(d, target, origin);

    if (sibling != NULL) {
        esd_verification_agreed(d, target, (es_verified_by_t) sibling->method,
                                sibling->sender, "by another endpoint");
        return;
    }

    esd_log_about(ESD_LOG_INFO, esd_about_target(target),
                  "endpoint %s is unverified: nothing is sent until %s "
                  "agrees", target->name, origin);

    esd_verification_set(d, target, true);
    esd_verification_record(d, target);
    d->verify = true;
}


void
esd_verification_change(esd_dispatcher_t *d, esd_target_t *target)
{
    char                origin[ES_ORIGIN_MAX];
    es_verification_t  *v;

    v = target->verification != NULL ? &target->verification->record : NULL;

    if (!esd_verification_required(d, target->conf)) {
        if (v != NULL && v->method == ES_VERIFIED_NOT) {
            esd_must(d, es_changeset_verification_done(d->recorder.filling,
                                                       target->number));
            esd_recorder_touch(d);
            esd_verification_free(target);
        }

        esd_verification_set(d, target, false);
        return;
    }

    if (!es_origin(target->conf->url, origin)) {
        origin[0] = '\0';
    }

    if (v != NULL && esd_verification_holds(d, v, origin)) {
        esd_verification_set(d, target, false);

    } else if (v != NULL && v->method == ES_VERIFIED_NOT
               && v->revision == target->revision
               && strcmp(v->origin, origin) == 0)
    {
        /* the last run checked it */

        esd_verification_set(d, target, true);
        d->verify = true;

    } else {
        esd_verification_begin(d, target, origin);
    }
}


/* ---- results ---- */


static void
esd_check_failed(esd_dispatcher_t *d, esd_target_t *target,
    const esd_outcome_t *o, const char *reason)
{
    char                next[ES_TIME_LEN + 1];
    int64_t             delay_ms;
    es_verification_t  *v;

    v = &target->verification->record;
    v->checks++;
    v->class = (uint8_t) o->class;
    v->status = o->status;
    v->time_ms = esd_clock_stamp_ms(d);
    (void) snprintf(v->reason, sizeof(v->reason), "%s", reason);

    if (v->checks <= ESD_CHECK_DELAYS) {
        delay_ms = esd_check_delays_ms[v->checks - 1];
        delay_ms = delay_ms > o->retry_after_ms ? delay_ms : o->retry_after_ms;
        v->next_ms = esd_schedule_ms(d) + delay_ms;
        esd_log_about(ESD_LOG_WARN, esd_about_target(target),
                      "endpoint %s is unverified: %s; the next check is at "
                      "%s", target->name, reason,
                      esd_notice_time(v->next_ms, next));

    } else {
        v->next_ms = 0;
        esd_log_about(ESD_LOG_WARN, esd_about_target(target),
                      "endpoint %s is unverified: %s; no check follows "
                      "until its record changes", target->name, reason);
    }

    esd_verification_record(d, target);

    if (v->checks == 1 || v->next_ms == 0) {
        esd_notice_unverified(d, target, v);
    }
}


static void
esd_check_done(esd_dispatcher_t *d, esd_target_t *target, esd_host_t *host,
    const esd_outcome_t *o, esd_answer_t answer)
{
    char                 reason[ES_REASON_MAX];
    esd_verification_t  *v;

    v = target->verification;
    v->check = NULL;
    d->verify = true;

    if (o->ours) {
        v->record.next_ms = esd_schedule_ms(d) + ESD_CHECK_AGAIN_MS;
        esd_verification_record(d, target);
        return;
    }

    if (answer == ESD_ANSWER_AGREES || answer == ESD_ANSWER_AGREES_ALL) {
        host->failed_checks = 0;
        host->check_us = 0;
        v->record.checks++;
        v->record.status = o->status;

        esd_verification_agreed(d, target,
                                v->challenge[0] != '\0'
                                ? ES_VERIFIED_CHALLENGE
                                : ES_VERIFIED_HANDSHAKE,
                                answer == ESD_ANSWER_AGREES_ALL
                                ? "*" : d->options.webhook_origin,
                                v->challenge[0] != '\0'
                                ? "by the challenge" : "by the handshake");
        esd_verification_share(d, target);
        return;
    }

    esd_challenge_reason(o, answer, reason);
    esd_check_back_off(d, host);
    esd_check_failed(d, target, o, reason);
}


/* The answer to a check of an earlier record does not count, and neither does
   one after an operator or another endpoint has agreed.  The host waits all the
   same: many changes must not make many checks. */

static void
esd_check_stale(esd_send_t *send, const esd_outcome_t *o)
{
    esd_dispatcher_t  *d;

    d = send->d;
    esd_check_back_off(d, send->host);
    esd_outcome_apply(send, o);
    d->verify = true;
}


static void
esd_check_ended(esd_send_t *send, CURLcode result)
{
    es_rc_t              rc;
    esd_host_t          *host;
    esd_answer_t         answer;
    esd_target_t        *target;
    esd_outcome_t        o;
    esd_dispatcher_t    *d;
    esd_verification_t  *v;

    d = send->d;
    host = send->host;
    target = send->target;
    v = target->verification;

    esd_outcome_read(send, result, &o);
    o.stop = NULL;
    host->checking = false;

    /* the handle is set up for one request, and must not send another */

    send->revision = 0;

    answer = esd_challenge_answer(send, v != NULL ? v->challenge : "", &o);

    if (answer != ESD_ANSWER_AGREES && answer != ESD_ANSWER_AGREES_ALL
        && o.success)
    {
        o.success = false;
        o.class = ES_ATTEMPT_UNVERIFIED;
    }

    esd_record_send(send, "", 0, send->attempt, &o);

    if (v == NULL || v->check != send || !target->unverified) {
        esd_check_stale(send, &o);
        return;
    }

    host->users++;
    esd_outcome_apply(send, &o);

    if (answer == ESD_ANSWER_UNDECIDED && v->challenge[0] == '\0') {
        rc = esd_challenge_send(d, target, v->challenge, esd_check_ended,
                                &v->check);

        if (rc == ES_OK) {
            host->checking = true;
            esd_host_leave(d, host);
            return;
        }

        o.ours = true;
    }

    esd_check_done(d, target, host, &o, answer);
    esd_host_leave(d, host);
}


/* ---- beginning ---- */


static bool
esd_check_due(const esd_target_t *target, int64_t now_ms, int64_t now_us)
{
    const es_verification_t  *v;

    if (!target->unverified || !esd_target_allowed(target)) {
        return false;
    }

    v = &target->verification->record;

    return v->next_ms != 0
           && (v->next_ms <= now_ms
               || v->next_ms - now_ms > ESD_RETRY_AFTER_MAX_MS)
           && !target->caller.host->checking
           && target->caller.host->check_us <= now_us;
}


/* Endpoints that were checked less often come first, so that those of one
   partner that never agree keep nobody waiting for long. */

static bool
esd_check_earlier(const esd_target_t *a, const esd_target_t *b)
{
    const es_verification_t  *one, *other;

    one = &a->verification->record;
    other = &b->verification->record;

    return one->checks != other->checks ? one->checks < other->checks
                                        : one->next_ms < other->next_ms;
}


static bool
esd_check_begin(esd_dispatcher_t *d, esd_target_t *target)
{
    es_rc_t              rc;
    esd_host_t          *host;
    esd_verification_t  *v;

    v = target->verification;
    host = target->caller.host;

    if (!esd_slot_available(d, target)
        || !esd_host_room(d, &target->caller))
    {
        return false;
    }

    v->challenge[0] = '\0';
    rc = esd_handshake_send(d, target, v->record.checks + 1, esd_check_ended,
                            &v->check);

    if (rc != ES_OK) {
        esd_log_about(ESD_LOG_ERROR, esd_about_target(target),
                      "endpoint %s: cannot be checked: %s", target->name,
                      es_reason(rc));
        v->record.next_ms = esd_schedule_ms(d) + ESD_CHECK_AGAIN_MS;
        return false;
    }

    host->checking = true;

    return true;
}


void
esd_verifications_run(esd_dispatcher_t *d)
{
    size_t         i;
    int64_t        now_ms, now_us;
    unsigned       begun;
    esd_host_t    *host;
    esd_target_t  *target;

    d->verify = false;

    if (d->nunverified == 0 || d->stopping || d->halted || esd_proxy_holds(d)
        || esd_descriptors_short(d))
    {
        return;
    }

    now_ms = esd_schedule_ms(d);
    now_us = es_clock_mono_us();
    begun = 0;

    for (i = 0; i < d->ntargets; i++) {
        target = d->targets[i];

        if (target != NULL && esd_check_due(target, now_ms, now_us)) {
            host = target->caller.host;

            if (host->candidate == NULL
                || esd_check_earlier(target, host->candidate))
            {
                host->candidate = target;
            }
        }
    }

    for (i = 0; i < d->ntargets; i++) {
        target = d->targets[i];
        host = target != NULL ? target->caller.host : NULL;

        if (host != NULL && host->candidate == target) {
            host->candidate = NULL;
            begun += begun < ESD_CHECKS_TURN && esd_check_begin(d, target);
        }
    }
}


/* ---- requests of operators ---- */


void
esd_verification_request(esd_dispatcher_t *d, esd_target_t *target,
    const es_control_request_t *request)
{
    char                origin[ES_ORIGIN_MAX];
    es_verification_t  *v;

    if (request->sequence == 0 && !target->unverified) {
        esd_clearing_reply(d, request, request->event, ES_CONFLICT, 0,
                           "the endpoint is not unverified");
        return;
    }

    if (request->sequence == 0) {
        v = &target->verification->record;
        v->checks = v->checks > ESD_CHECK_DELAYS ? ESD_CHECK_DELAYS
                                                 : v->checks;
        v->next_ms = esd_schedule_ms(d);
        target->caller.host->check_us = 0;
        d->verify = true;

        esd_log_about(ESD_LOG_INFO, esd_about_target(target),
                      "endpoint %s is checked now, by %s", target->name,
                      request->event);
        return;
    }

    v = esd_verification_make(target);
    target->verification->check = NULL;

    if (es_origin(target->conf->url, origin)) {
        (void) snprintf(v->origin, sizeof(v->origin), "%s", origin);
    }

    v->revision = target->revision;
    esd_log_about(ESD_LOG_WARN, esd_about_target(target),
                  "endpoint %s counts as verified, by %s", target->name,
                  request->event);
    esd_verification_agreed(d, target, ES_VERIFIED_OPERATOR, "",
                            "says an operator");
    esd_verification_share(d, target);
}
