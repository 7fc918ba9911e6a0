/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Simulated failures, which an operator or partner requests to test a
 * receiver.
 *
 * The choice of the attempts that fail depends on the event's id and the
 * attempt, as the jitter does, so that it is predictable.  Before its first
 * attempt an event can be dropped, delayed or overtaken by the next one.
 * During an attempt the request can be damaged.  Afterwards the outcome can be
 * replaced, or the event sent again.
 */

#include <curl/curl.h>

#include "base/base.h"
#include "delivery/delivery.h"
#include "registry/registry.h"

#include "dispatcher.h"
#include "item.h"
#include "lane.h"
#include "outcome.h"
#include "recorder.h"
#include "schedule.h"
#include "send.h"
#include "simulate.h"
#include "target.h"
#include "trusted_clock.h"
#include "waiting.h"

#define ESD_REORDER_MS  2000       /* unless another event comes earlier */

/* The pin of a key that no certificate has. */
static const char  esd_simulate_pin[] =
    "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";


static es_failure_t
esd_simulate_pick(const esd_dispatcher_t *d, const es_endpoint_t *conf,
    es_str_t id, uint32_t attempt)
{
    const es_simulation_t  *s;

    s = &conf->simulate;

    if (s->failure == ES_SIMULATE_NONE
        || s->until_ms <= esd_clock_stamp_ms(d)
        || esd_schedule_draw(id, conf->name, attempt) * 100
           >= (double) s->percent)
    {
        return ES_SIMULATE_NONE;
    }

    return s->failure;
}


static void
esd_simulate_drop(esd_dispatcher_t *d, const esd_lane_t *lane,
    const esd_item_t *item)
{
    es_attempt_t  attempt;

    memset(&attempt, 0, sizeof(attempt));
    attempt.endpoint = lane->target->number;
    attempt.feed = lane->source->feed.number;
    attempt.sequence = item->sequence;
    attempt.time_ms = esd_clock_stamp_ms(d);
    attempt.attempt = 1;
    attempt.class = ES_ATTEMPT_SIMULATED;
    attempt.flags = ES_ATTEMPT_SIMULATED_FLAG;

    esd_record_attempt(d, &attempt);
}


/* The event that was put back follows the one that overtook it. */

static void
esd_simulate_release(esd_lane_t *lane)
{
    size_t  i;

    for (i = 0; i < lane->nwaiting; i++) {
        if (lane->waiting[i].sequence == lane->swapped) {
            esd_waiting_move(lane, i, lane->waiting[i].held, 0);
        }
    }

    lane->swapped = 0;
}


bool
esd_simulate_new_event(esd_dispatcher_t *d, esd_lane_t *lane,
    const esd_item_t *item, es_str_t id, int64_t *next_ms)
{
    int64_t               now_ms;
    const es_endpoint_t  *conf;

    conf = lane->target->conf;
    now_ms = esd_schedule_ms(d);

    switch (esd_simulate_pick(d, conf, id, 1)) {

    case ES_SIMULATE_DROP:
        esd_simulate_drop(d, lane, item);
        *next_ms = -1;
        return true;

    case ES_SIMULATE_DELAY:
        *next_ms = now_ms + conf->simulate.delay_ms;
        return true;

    case ES_SIMULATE_REORDER:

        if (lane->swapped != 0) {
            esd_simulate_release(lane);
            return false;
        }

        lane->swapped = item->sequence;
        *next_ms = now_ms + ESD_REORDER_MS;
        return true;

    case ES_SIMULATE_NONE:
    case ES_SIMULATE_STATUS_CODE:
    case ES_SIMULATE_RESET:
    case ES_SIMULATE_TRUNCATE:
    case ES_SIMULATE_TLS:
    case ES_SIMULATE_DUPLICATE:
        break;
    }

    return false;
}


/* An event that was sent, because no other came in time, is not put back
   again. */

static bool
esd_simulate_back(const esd_lane_t *lane)
{
    size_t  i;

    for (i = 0; i < lane->nwaiting; i++) {
        if (lane->waiting[i].sequence == lane->swapped) {
            return lane->waiting[i].attempts == 0;
        }
    }

    return false;
}


bool
esd_simulate_swap(esd_lane_t *lane)
{
    if (lane->swapped != 0 && !esd_simulate_back(lane)) {
        lane->swapped = 0;
    }

    return lane->swapped != 0 && lane->position < lane->source->feed.last;
}


/* Sends half of the body and then stalls. */

static size_t
esd_simulate_read(char *out, size_t size, size_t n, void *ctx)
{
    size_t       len;
    esd_send_t  *send;

    send = ctx;
    len = send->body.len / 2 - send->truncated;

    if (len == 0) {
        return CURL_READFUNC_ABORT;
    }

    len = len < size * n ? len : size * n;
    memcpy(out, send->body.data + send->truncated, len);
    send->truncated += len;

    return len;
}


static CURLcode
esd_simulate_set(esd_send_t *send)
{
    CURLcode  rc;

    rc = curl_easy_setopt(send->easy, CURLOPT_PINNEDPUBLICKEY,
                          send->simulate == ES_SIMULATE_TLS ? esd_simulate_pin
                                                            : NULL);
    if (rc == CURLE_OK && send->simulate == ES_SIMULATE_TLS) {
        rc = curl_easy_setopt(send->easy, CURLOPT_FRESH_CONNECT, 1L);
    }

    if (rc == CURLE_OK && send->simulate == ES_SIMULATE_TRUNCATE) {
        send->truncated = 0;

        (void) curl_easy_setopt(send->easy, CURLOPT_READFUNCTION,
                                esd_simulate_read);
        (void) curl_easy_setopt(send->easy, CURLOPT_READDATA, send);
        rc = curl_easy_setopt(send->easy, CURLOPT_POSTFIELDS, NULL);
    }

    return rc;
}


CURLcode
esd_simulate_begin(esd_send_t *send)
{
    es_failure_t  was;

    was = send->simulate;
    send->simulate = ES_SIMULATE_NONE;

    if (send->kind == ESD_SEND_EVENTS && !send->items[0].repeated) {
        send->simulate = esd_simulate_pick(send->d, send->target->conf,
                                           es_str(send->ids.data),
                                           send->attempt);
    }

    return was == ES_SIMULATE_NONE && send->simulate == ES_SIMULATE_NONE
           ? CURLE_OK : esd_simulate_set(send);
}


void
esd_simulate_outcome(const esd_send_t *send, esd_outcome_t *o)
{
    int32_t  status;

    switch (send->simulate) {

    case ES_SIMULATE_STATUS_CODE:
        if (o->status == 0) {
            return;
        }

        status = (int32_t) send->target->conf->simulate.status;
        memset(o, 0, sizeof(esd_outcome_t));
        o->status = status;
        o->class = status < 400 ? ES_ATTEMPT_REDIRECT : ES_ATTEMPT_STATUS;
        o->busy = status == 429;
        o->throttle = status == 502 || status == 504;
        o->retry_after_ms = -1;
        return;

    case ES_SIMULATE_RESET:
    case ES_SIMULATE_TRUNCATE:
        memset(o, 0, sizeof(esd_outcome_t));
        o->class = ES_ATTEMPT_RESET;
        o->retry_after_ms = -1;
        return;

    case ES_SIMULATE_NONE:
    case ES_SIMULATE_DELAY:
    case ES_SIMULATE_TLS:
    case ES_SIMULATE_DUPLICATE:
    case ES_SIMULATE_REORDER:
    case ES_SIMULATE_DROP:
        return;
    }
}


bool
esd_simulate_repeats(const esd_send_t *send, const esd_item_t *item,
    esd_item_t *again)
{
    if (send->simulate != ES_SIMULATE_DUPLICATE) {
        return false;
    }

    memset(again, 0, sizeof(esd_item_t));
    again->sequence = item->sequence;
    again->prev = item->prev;
    again->key = item->key;
    again->keyed = item->keyed;
    again->repeated = true;

    return true;
}
