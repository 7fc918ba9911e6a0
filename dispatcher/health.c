/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The health of an endpoint, which limits the requests to it.
 *
 *     doubt     An endpoint is doubted until its first answer, and after an
 *               attempt without one.  It has one request in flight.  All
 *               doubted endpoints together have half of the slots, so that
 *               endpoints that never answer leave the other half free.
 *     circuit   The circuit opens after ESD_TRIP_FAILURES failures in a row
 *               without an answer or with 5xx, if they took ESD_TRIP_MS.  Then
 *               only single probes are sent, at increasing intervals, until
 *               one succeeds.
 *     pause     After an answer that the receiver is busy, nothing is sent for
 *               as long as it requests.  Without a request the pause doubles
 *               with each such answer.
 */

#include "base/base.h"
#include "base/clock.h"
#include "delivery/delivery.h"

#include "about.h"
#include "dispatcher.h"
#include "failing.h"
#include "health.h"
#include "log.h"
#include "outcome.h"
#include "recorder.h"
#include "schedule.h"
#include "send.h"
#include "target.h"
#include "window.h"

#define ESD_THROTTLE_MS    1000
#define ESD_TRIP_FAILURES  5
#define ESD_TRIP_MS        10000
#define ESD_PROBE_MS       5000
#define ESD_PROBE_MAX_MS   300000
#define ESD_BUSY_MAX_MS    300000
#define ESD_BUSY_DOUBLINGS 9


static void
esd_health_pause(esd_target_t *target, int64_t pause_ms)
{
    int64_t  until_us;

    until_us = es_clock_mono_us() + pause_ms * 1000;

    if (until_us > target->throttled_us) {
        target->throttled_us = until_us;
    }
}


bool
esd_health_doubted(const esd_target_t *target)
{
    return target->doubted || target->trips > 0;
}


bool
esd_health_room(esd_target_t *target)
{
    if (esd_health_doubted(target) && target->in_flight > 0) {
        target->full = true;
        return false;
    }

    return true;
}


void
esd_health_load(esd_dispatcher_t *d, esd_target_t *target)
{
    int64_t       wait_ms;
    es_circuit_t  circuit;

    target->doubted = true;

    if (es_delivery_circuit(d->store, target->number, &circuit) != ES_OK) {
        return;
    }

    target->trips = circuit.trips;
    target->broken = circuit.failures;
    target->broken_ms = circuit.since_ms;

    wait_ms = circuit.next_ms - esd_schedule_ms(d);
    wait_ms = wait_ms > ESD_PROBE_MAX_MS ? ESD_PROBE_MAX_MS : wait_ms;
    esd_health_pause(target, wait_ms > 0 ? wait_ms : 0);
}


/* Opens the circuit, or keeps it open for twice as long as before. */

static void
esd_circuit_open(esd_dispatcher_t *d, esd_target_t *target)
{
    int64_t       pause_ms;
    es_circuit_t  circuit;

    pause_ms = target->trips < 7 ? (int64_t) ESD_PROBE_MS << target->trips
                                 : ESD_PROBE_MAX_MS;
    pause_ms = pause_ms < ESD_PROBE_MAX_MS ? pause_ms : ESD_PROBE_MAX_MS;

    circuit.next_ms = esd_schedule_ms(d) + pause_ms;

    esd_failing_circuit(d, target, "circuit open", circuit.next_ms);

    esd_log_about(target->trips == 0 ? ESD_LOG_WARN : ESD_LOG_DEBUG,
                  esd_about_target(target),
                  "endpoint %s: circuit open after %u failures, next probe "
                  "in %lld s", target->name, target->broken,
                  (long long) (pause_ms / 1000));

    target->trips++;
    esd_health_pause(target, pause_ms);

    circuit.endpoint = target->number;
    circuit.trips = target->trips;
    circuit.failures = target->broken;
    circuit.since_ms = target->broken_ms;
    esd_must(d, es_changeset_circuit(d->recorder.filling, &circuit));
}


static void
esd_circuit_close(esd_dispatcher_t *d, esd_target_t *target)
{
    target->broken = 0;

    if (target->trips > 0) {
        target->trips = 0;
        esd_log_about(ESD_LOG_INFO, esd_about_target(target),
                      "endpoint %s: circuit closed", target->name);
        esd_must(d, es_changeset_circuit_closed(d->recorder.filling,
                                                target->number));
    }
}


void
esd_health_success(esd_dispatcher_t *d, esd_target_t *target,
    const esd_send_t *send)
{
    target->doubted = false;
    target->busy = 0;
    esd_circuit_close(d, target);
    esd_failing_succeeded(d, target);
    esd_window_success(target, send);

    if (target->failures > 0) {
        esd_log_about(ESD_LOG_INFO, esd_about_target(target),
                      "endpoint %s: delivered again, after %u failed "
                      "attempts", target->name, target->failures);
        target->failures = 0;
    }
}


void
esd_health_answered(esd_dispatcher_t *d, esd_target_t *target)
{
    target->doubted = false;
    esd_circuit_close(d, target);
}


int64_t
esd_health_busy(esd_dispatcher_t *d, esd_target_t *target,
    const esd_send_t *send, const esd_outcome_t *o)
{
    int64_t  pause_ms;

    esd_health_answered(d, target);

    /* requests that were in flight together count once */

    if (send->sent_us >= target->busy_us) {
        target->busy_us = es_clock_mono_us();
        esd_window_halve(target);
        target->busy += target->busy < ESD_BUSY_DOUBLINGS;

        esd_log_about(target->busy == 1 ? ESD_LOG_INFO : ESD_LOG_DEBUG,
                      esd_about_target(target),
                      "endpoint %s is busy: status %d", target->name,
                      o->status);
    }

    pause_ms = o->retry_after_ms;

    if (pause_ms < 0) {
        pause_ms = (int64_t) ESD_THROTTLE_MS << (target->busy - 1);
        pause_ms = pause_ms < ESD_BUSY_MAX_MS ? pause_ms : ESD_BUSY_MAX_MS;
    }

    pause_ms = pause_ms > ESD_THROTTLE_MS ? pause_ms : ESD_THROTTLE_MS;
    esd_health_pause(target, pause_ms);

    return pause_ms;
}


void
esd_health_failure(esd_dispatcher_t *d, esd_target_t *target,
    const esd_send_t *send, const esd_outcome_t *o)
{
    bool  silent;

    silent = o->status == 0;
    target->doubted = silent;
    target->busy = 0;
    esd_failing_failed(d, target, send);

    if (silent || o->throttle) {
        esd_window_halve(target);
    }

    if (o->throttle) {
        esd_health_pause(target, ESD_THROTTLE_MS);
    }

    if (!silent && o->status < 500) {
        esd_circuit_close(d, target);
        return;
    }

    if (target->broken++ == 0) {
        target->broken_us = send->sent_us;
        target->broken_ms = send->sent_ms;
    }

    /* a request that was in flight when the circuit opened is not a probe */

    if (target->trips > 0
        ? send->doubted
        : target->broken >= ESD_TRIP_FAILURES
          && es_clock_mono_us() - target->broken_us >= ESD_TRIP_MS * 1000)
    {
        esd_circuit_open(d, target);
    }
}
