/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The outcome of an attempt, and its effect on the event and the endpoint.
 *
 *     2xx                    The event is delivered; the rest of the body is
 *                            ignored.
 *     410, disable           The endpoint is stopped until its record changes,
 *                            and the event waits.
 *     abort                  The event becomes a dead letter at once.
 *     429, and 503 with      The receiver is busy, which says nothing of the
 *     Retry-After            event.  The endpoint pauses, and the event takes
 *                            no step of its schedule.
 *     anything else          The event is tried again by the schedule.
 *                            health.c limits the requests meanwhile.
 *     end of the schedule    The event becomes a dead letter, and the next one
 *                            is sent.
 */

#include <curl/curl.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "registry/registry.h"

#include "about.h"
#include "batch.h"
#include "bearer.h"
#include "channel.h"
#include "dispatcher.h"
#include "failing.h"
#include "fresh.h"
#include "health.h"
#include "item.h"
#include "lane.h"
#include "log.h"
#include "notice.h"
#include "ordering.h"
#include "outcome.h"
#include "proxy.h"
#include "ready.h"
#include "recorder.h"
#include "response.h"
#include "schedule.h"
#include "send.h"
#include "simulate.h"
#include "stall.h"
#include "target.h"
#include "tracing.h"


/* An event that is only deferred takes a step of its schedule after so long, so
   that it does not wait forever. */
#define ESD_DEFER_MAX_MS         (24 * 3600 * 1000)

#define ESD_CURLE_TOO_LARGE      100        /* older headers lack the code */
#define ESD_CURL_HAS_TOO_LARGE   0x080600   /* libcurl 8.6.0 */


/*
 * True for libcurl's own limit on response headers, which is "out of memory"
 * before 8.6, and for an error code newer than this build.  In both cases the
 * status is not one that the receiver chose.
 */

static bool
esd_outcome_beyond(CURLcode result)
{
    if (result == CURLE_OUT_OF_MEMORY) {
        return curl_version_info(CURLVERSION_NOW)->version_num
               < ESD_CURL_HAS_TOO_LARGE;
    }

    return (unsigned) result == ESD_CURLE_TOO_LARGE
           || (unsigned) result >= CURL_LAST;
}


static es_attempt_class_t
esd_outcome_class(const esd_send_t *send, CURLcode result)
{
    switch (result) {

    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return ES_ATTEMPT_DNS;

    case CURLE_COULDNT_CONNECT:
        return send->refused ? ES_ATTEMPT_ADDRESS
               : send->starved ? ES_ATTEMPT_INTERNAL : ES_ATTEMPT_CONNECT;

    case CURLE_UNSUPPORTED_PROTOCOL:

        /* An answer that is not HTTP/1 has this code as well. */

        return !send->d->options.egress.http && send->destination.plain
               ? ES_ATTEMPT_ADDRESS : ES_ATTEMPT_PROTOCOL;

    case CURLE_ABORTED_BY_CALLBACK:
        return send->refused ? ES_ATTEMPT_ADDRESS : ES_ATTEMPT_INTERNAL;

    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_SHUTDOWN_FAILED:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    case CURLE_USE_SSL_FAILED:
        return ES_ATTEMPT_TLS;

    case CURLE_OPERATION_TIMEDOUT:
        return ES_ATTEMPT_TIMEOUT;

    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
    case CURLE_HTTP2_STREAM:
        return ES_ATTEMPT_RESET;

    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_WRITE_ERROR:
    case CURLE_BAD_CONTENT_ENCODING:
    case CURLE_HTTP2:
        return ES_ATTEMPT_PROTOCOL;

    default:
        return ES_ATTEMPT_INTERNAL;
    }
}


/* Without descriptors, names and certificates cannot be read either. */

static bool
esd_outcome_starved(const esd_send_t *send, es_attempt_class_t class)
{
    if (class == ES_ATTEMPT_INTERNAL && send->starved) {
        return true;
    }

    return (class == ES_ATTEMPT_INTERNAL
            || class == ES_ATTEMPT_DNS
            || class == ES_ATTEMPT_TLS)
           && !esd_descriptors_spare(send->d);
}


static void
esd_outcome_no_answer(const esd_send_t *send, CURLcode result,
    esd_outcome_t *o)
{
    if (send->overflow || result == CURLE_OK) {
        o->class = ES_ATTEMPT_PROTOCOL;
        return;
    }

    o->class = esd_outcome_class(send, result);

    if (esd_outcome_starved(send, o->class)) {
        o->class = ES_ATTEMPT_INTERNAL;
        o->ours = true;
        return;
    }

    o->class = esd_proxy_class(send, result, o->class);
    o->ours = o->class == ES_ATTEMPT_PROXY;
}


/* A final status counts even when the body was not received completely. */

static void
esd_outcome_of(const esd_send_t *send, CURLcode result, esd_outcome_t *o)
{
    long         status;
    const char  *after;

    memset(o, 0, sizeof(esd_outcome_t));
    o->retry_after_ms = -1;

    /* a send that never reached libcurl has the status of its last request */

    status = 0;

    if (result != CURLE_FAILED_INIT) {
        (void) curl_easy_getinfo(send->easy, CURLINFO_RESPONSE_CODE, &status);
    }

    if (status < 200 || status > 999 || send->overflow) {
        esd_outcome_no_answer(send, result, o);
        return;
    }

    o->status = (int32_t) status;
    o->stop = status == 410 ? "410 Gone"
              : esd_response_says(send, "disable")
                ? "webhook-delivery: disable" : NULL;
    o->abort = esd_response_says(send, "abort");

    if (status < 300) {
        o->success = true;
        return;
    }

    o->class = status < 400 ? ES_ATTEMPT_REDIRECT : ES_ATTEMPT_STATUS;
    o->throttle = status == 502 || status == 504;

    after = esd_response_field(send, "retry-after", 0);

    if ((status == 429 || status == 503) && after != NULL) {
        o->retry_after_ms = esd_schedule_retry_after(after, es_clock_ms());
    }

    o->busy = (status == 429 || o->retry_after_ms >= 0)
              && o->stop == NULL && !o->abort;
}


/* What a line about the failure of an attempt is about. */

static esd_about_t
esd_outcome_about(const esd_lane_t *lane, const esd_item_t *item, es_str_t id,
    const esd_outcome_t *o)
{
    esd_about_t  about;

    about = esd_about_event(lane, item->sequence);
    about.event_id = id.data;
    about.attempt = item->attempts;
    about.status = o->status;

    return about;
}


static void
esd_outcome_dead(esd_dispatcher_t *d, esd_lane_t *lane, const esd_item_t *item,
    es_str_t id, const esd_outcome_t *o)
{
    es_dead_t  dead;

    esd_ordering_done(d, lane, item);

    esd_record_dead(d, lane, item, o->class,
                    o->abort ? "webhook-delivery: abort"
                             : "the schedule has ended", &dead);
    esd_notice_exhausted(d, lane, &dead, id.data, dead.reason);

    esd_log_about(ESD_LOG_WARN, esd_outcome_about(lane, item, id, o),
                  "endpoint %s: event %s-%llu of feed \"%s\" became a dead "
                  "letter after %u attempts, the last: %s, status %d",
                  lane->target->name,
                  es_feed_epoch_of(&lane->source->feed, item->sequence),
                  (unsigned long long) item->sequence, lane->source->feed.name,
                  item->attempts, es_attempt_class_name(o->class), o->status);
}


/* The events of a batch that is repeated share the delay of the first. */

static int64_t
esd_outcome_delay(const esd_send_t *send, const esd_item_t *item, es_str_t id)
{
    return esd_schedule_delay(send->target->conf,
                              item->batch != 0 ? es_str(send->ids.data) : id,
                              item->attempts);
}


static void
esd_outcome_failure(esd_send_t *send, esd_item_t *item, es_str_t id,
    const esd_outcome_t *o)
{
    bool               first;
    int64_t            delay_ms, now_ms;
    esd_lane_t        *lane;
    esd_target_t      *target;
    esd_dispatcher_t  *d;

    d = send->d;
    lane = send->lane;
    target = lane->target;
    now_ms = esd_schedule_ms(d);

    first = target->failures++ == 0;

    if (!d->options.log_attempts) {
        esd_log_about(first ? ESD_LOG_INFO : ESD_LOG_DEBUG,
                      esd_outcome_about(lane, item, id, o),
                      "endpoint %s: attempt %u of event %s-%llu of feed "
                      "\"%s\" failed: %s, status %d", target->name,
                      item->attempts, lane->epoch,
                      (unsigned long long) item->sequence,
                      lane->source->feed.name, es_attempt_class_name(o->class),
                      o->status);
    }

    if (item->acked) {
        esd_ordering_done(d, lane, item);
        return;
    }

    if (o->stop != NULL) {

        /* One attempt is left for the time after the record changes. */

        if (item->attempts >= target->conf->nschedule) {
            item->attempts = target->conf->nschedule - 1;
        }

        esd_lane_retry(d, lane, item, now_ms);
        return;
    }

    delay_ms = o->abort ? -1 : esd_outcome_delay(send, item, id);

    if (delay_ms < 0) {
        if (d->exporter != NULL) {
            esd_tracing_done(send, item, o);
        }

        esd_outcome_dead(d, lane, item, id, o);
        return;
    }

    if (o->retry_after_ms > delay_ms) {
        delay_ms = o->retry_after_ms;
    }

    esd_lane_retry(d, lane, item, o->stale ? now_ms : now_ms + delay_ms);
}


static void
esd_outcome_answered(const esd_send_t *send, esd_item_t *item,
    const esd_outcome_t *o)
{
    item->status = o->status;
    item->first_ms = item->first_ms ? item->first_ms : send->sent_ms;
}


/* The events wait and the attempt does not count: the proxy or the dispatcher
   itself has failed, or a batch was too large. */

static void
esd_outcome_repeat(esd_send_t *send, const esd_outcome_t *o)
{
    char        *id;
    unsigned     i;
    esd_item_t  *item;

    id = send->ids.data;

    for (i = 0; i < send->nitems; i++, id += strlen(id) + 1) {
        item = &send->items[i];

        if (!o->ours) {
            esd_outcome_answered(send, item, o);
        }

        esd_record_send(send, id, item->sequence, item->attempts + 1, o);

        if (item->acked) {
            esd_ordering_done(send->d, send->lane, item);

        } else {
            esd_lane_retry(send->d, send->lane, item,
                           esd_schedule_ms(send->d));
        }
    }
}


/* The receiver is busy: its events wait for the endpoint's pause. */

static void
esd_outcome_defer(esd_send_t *send, const esd_outcome_t *o)
{
    char        *id;
    int64_t      now_ms, pause_ms;
    unsigned     i;
    esd_item_t  *item;

    now_ms = esd_schedule_ms(send->d);
    esd_fresh_excuse(send->d, send->target);
    pause_ms = o->stale ? 0 : esd_health_busy(send->d, send->target, send, o);
    id = send->ids.data;

    for (i = 0; i < send->nitems; i++, id += strlen(id) + 1) {
        item = &send->items[i];
        esd_outcome_answered(send, item, o);
        item->deferred_ms = item->deferred_ms ? item->deferred_ms : now_ms;
        esd_record_send(send, id, item->sequence, item->attempts + 1, o);

        if (item->acked) {
            esd_ordering_done(send->d, send->lane, item);

        } else if (now_ms - item->deferred_ms >= ESD_DEFER_MAX_MS) {
            item->attempts++;
            item->deferred_ms = now_ms;
            esd_outcome_failure(send, item, es_str(id), o);

        } else {
            esd_lane_retry(send->d, send->lane, item, now_ms + pause_ms);
        }
    }
}


/* The receiver refuses the batch for its size: both halves go out at once, and
   no event has used an attempt. */

static void
esd_outcome_halve(esd_send_t *send, const esd_outcome_t *o)
{
    esd_health_answered(send->d, send->target);
    esd_fresh_excuse(send->d, send->target);
    esd_batch_halve(send);
    esd_outcome_repeat(send, o);
}


/* A simulated failure says nothing of what was promised. */

static void
esd_outcome_fresh(const esd_send_t *send, const esd_item_t *item)
{
    if (send->simulate == ES_SIMULATE_NONE && !item->repeated) {
        esd_record_delivered(send->d, send->lane, item);
        esd_must(send->d, esd_fresh_delivered(send->d, send->lane, item));
    }
}


/* Applies the outcome to all events of the request. */

static void
esd_outcome_settle(esd_send_t *send, esd_outcome_t *o)
{
    char              *id;
    unsigned           i;
    esd_item_t         again;
    esd_lane_t        *lane;
    esd_item_t        *item;
    esd_dispatcher_t  *d;

    d = send->d;
    lane = send->lane;
    id = send->ids.data;

    for (i = 0; i < send->nitems; i++, id += strlen(id) + 1) {
        item = &send->items[i];
        item->attempts++;
        item->deferred_ms = 0;
        esd_outcome_answered(send, item, o);
        esd_record_send(send, id, item->sequence, item->attempts, o);
    }

    id = send->ids.data;

    if (o->success) {
        esd_health_success(d, lane->target, send);

    } else {
        esd_fresh_excuse(d, lane->target);
        esd_health_failure(d, lane->target, send, o);
        esd_batch_failed(send, o);

        if (o->stop == NULL && send->simulate == ES_SIMULATE_NONE) {
            o->stop = esd_failing_stop_reason(lane->target);
        }
    }

    for (i = 0; i < send->nitems; i++) {
        if (o->success) {
            if (d->exporter != NULL) {
                esd_tracing_done(send, &send->items[i], o);
            }

            esd_outcome_fresh(send, &send->items[i]);
            esd_ordering_done(d, lane, &send->items[i]);

            if (esd_simulate_repeats(send, &send->items[i], &again)) {
                esd_lane_retry(d, lane, &again, 0);
            }

        } else {
            esd_outcome_failure(send, &send->items[i], es_str(id), o);
        }

        id += strlen(id) + 1;
    }
}


/* An outcome from before a change of the record neither stops nor pauses the
   endpoint, and does not delay the event. */

static void
esd_outcome_stale(esd_outcome_t *o)
{
    o->stale = true;
    o->stop = NULL;
    o->throttle = false;
    o->retry_after_ms = -1;
}


void
esd_outcome_read(esd_send_t *send, CURLcode result, esd_outcome_t *o)
{
    send->overflow |= esd_outcome_beyond(result);

    esd_outcome_of(send, result, o);

    if (!o->ours) {
        esd_simulate_outcome(send, o);
    }

    if (!o->ours || o->class == ES_ATTEMPT_PROXY) {
        esd_proxy_outcome(send->d, send, result, o);
    }

    if (send->revision != send->target->revision) {
        esd_outcome_stale(o);
    }

    if (o->status == 401) {
        esd_bearer_refused(send);
    }
}


void
esd_outcome_apply(esd_send_t *send, const esd_outcome_t *o)
{
    esd_lane_t        *lane;
    esd_target_t      *target;
    esd_dispatcher_t  *d;

    d = send->d;
    lane = send->lane;
    target = send->target;

    if (o->stop != NULL) {
        esd_failing_stop(d, target, o->stop);
    }

    esd_send_end(send);
    esd_ready_tests(d, target);

    if (lane != NULL) {
        esd_lane_dirty(d, lane);

        if (!o->success || target->conf->ordering == ES_ORDER_FIFO) {
            esd_stall_check(d, lane);
        }
    }

    if (lane != NULL && !target->full) {
        esd_ready_lane(d, lane);
        return;
    }

    /* the lane of this send comes last now */

    target->full = false;
    esd_ready_lanes(d, target);
}


void
esd_outcome_events(esd_send_t *send, CURLcode result)
{
    esd_outcome_t  outcome;

    esd_outcome_read(send, result, &outcome);

    if (send->d->exporter != NULL) {
        esd_tracing_attempt(send, result, &outcome);
    }

    if (outcome.ours) {
        esd_outcome_repeat(send, &outcome);

    } else if (outcome.busy) {
        esd_outcome_defer(send, &outcome);

    } else if (outcome.status == 413 && !outcome.abort && send->nitems > 1) {
        esd_outcome_halve(send, &outcome);

    } else {
        esd_outcome_settle(send, &outcome);
    }

    esd_outcome_apply(send, &outcome);
}
