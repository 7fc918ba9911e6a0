/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Endpoints that keep failing: they are announced and finally stopped.
 *
 * An endpoint is failing from its first failure until its next success, or
 * until its record changes.  The dispatcher announces this when the circuit
 * opens, when half of `disable_after` has passed, and when a day of it is
 * left.  The first failed attempt after `disable_after` stops the endpoint, as
 * a 410 does.
 *
 * Time counts while the dispatcher has attempts to make.  When the last failed
 * event has ended, the count begins again: two failures with silence between
 * them do not stop an endpoint.  A pause of the endpoint, and the time when no
 * dispatcher runs, do not count either.  The announcements, the count and the
 * time of the first failure are stored.
 *
 * Failures of operational events count as well, but are not announced: the
 * next event to fail would be the one about them.
 */

#include <stdio.h>
#include <sys/queue.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "delivery/outbox.h"
#include "registry/registry.h"

#include "about.h"
#include "dispatcher.h"
#include "failing.h"
#include "lane.h"
#include "log.h"
#include "notice.h"
#include "recorder.h"
#include "send.h"
#include "target.h"
#include "trusted_clock.h"

#define ESD_DAY_MS    (24 * 3600 * 1000)
#define ESD_COUNT_MS  (10 * 60 * 1000)    /* the count is stored so often */


static void
esd_failing_record(esd_dispatcher_t *d, esd_target_t *target)
{
    target->failing_stored_ms = target->failing.counted_ms;

    esd_must(d, es_changeset_failing(d->recorder.filling, &target->failing));
}


void
esd_failing_load(esd_dispatcher_t *d, esd_target_t *target)
{
    if (es_delivery_failing(d->store, target->number, &target->failing)
        != ES_OK)
    {
        memset(&target->failing, 0, sizeof(target->failing));
        target->failing.endpoint = target->number;
    }
}


/* Adds the time since the last call of a row of them. */

static void
esd_failing_count(esd_target_t *target)
{
    int64_t  now_us, passed_ms;

    now_us = es_clock_mono_us();

    if (target->failing_us == 0) {
        target->failing_us = now_us;
        return;
    }

    passed_ms = (now_us - target->failing_us) / 1000;
    target->failing.counted_ms += passed_ms;
    target->failing_us += passed_ms * 1000;
}


/* The count begins again, and announcements by it do, too. */

static void
esd_failing_recount(esd_target_t *target)
{
    es_failing_t  *failing;

    failing = &target->failing;

    failing->counted_ms = 0;
    target->failing_us = 0;

    if (failing->level == ES_FAILING_HALF || failing->level == ES_FAILING_DAY) {
        failing->level = ES_FAILING_CIRCUIT;
    }
}


/* The announcements are kept, so that a success is announced as well. */

void
esd_failing_change(esd_dispatcher_t *d, esd_target_t *target)
{
    es_failing_t  *failing;

    failing = &target->failing;

    if (failing->revision == target->revision) {
        return;
    }

    if (failing->since_ms != 0 || failing->level != ES_FAILING_QUIET) {
        failing->revision = target->revision;
        failing->since_ms = 0;
        failing->counted_ms = 0;
        failing->failures = 0;
        target->failing_us = 0;
        esd_failing_record(d, target);
    }

    failing->revision = target->revision;
}


void
esd_failing_succeeded(esd_dispatcher_t *d, esd_target_t *target)
{
    es_failing_t  *failing;

    failing = &target->failing;

    if (failing->since_ms == 0 && failing->level == ES_FAILING_QUIET) {
        return;
    }

    if (failing->level != ES_FAILING_QUIET) {
        esd_notice_recovered(d, target);
    }

    failing->since_ms = 0;
    failing->counted_ms = 0;
    failing->failures = 0;
    target->failing_us = 0;
    failing->level = ES_FAILING_QUIET;
    failing->loud = false;

    esd_must(d, es_changeset_failing_done(d->recorder.filling,
                                          target->number));
}


void
esd_failing_failed(esd_dispatcher_t *d, esd_target_t *target,
    const esd_send_t *send)
{
    es_failing_t  *failing;

    failing = &target->failing;

    if (failing->since_ms == 0) {
        failing->since_ms = esd_clock_stamp_ms(d);

        if (failing->level > ES_FAILING_CIRCUIT) {
            failing->level = ES_FAILING_CIRCUIT;
        }

        esd_failing_recount(target);
    }

    esd_failing_count(target);
    failing->failures++;
    failing->loud |= send->lane == NULL || !esd_notice_own(send->lane);

    esd_failing_record(d, target);
}


const char *
esd_failing_stop_reason(esd_target_t *target)
{
    char           since[ES_TIME_LEN + 1];
    es_failing_t  *failing;

    failing = &target->failing;

    if (target->conf->disable_after_ms == 0
        || failing->since_ms == 0
        || failing->counted_ms < target->conf->disable_after_ms)
    {
        return NULL;
    }

    (void) snprintf(target->stop_reason, sizeof(target->stop_reason),
                    "no success since %s",
                    esd_notice_time(failing->since_ms, since));

    return target->stop_reason;
}


static void
esd_failing_announce(esd_dispatcher_t *d, esd_target_t *target,
    es_failing_level_t level, const char *reason, int64_t next_ms)
{
    es_failing_t  *failing;

    failing = &target->failing;

    if (level <= failing->level || !failing->loud || failing->since_ms == 0) {
        return;
    }

    failing->level = (uint8_t) level;
    esd_failing_record(d, target);

    esd_notice_failing(d, target, reason, next_ms,
                       target->conf->disable_after_ms != 0
                       ? esd_clock_stamp_ms(d) - failing->counted_ms
                         + target->conf->disable_after_ms
                       : 0);
}


void
esd_failing_circuit(esd_dispatcher_t *d, esd_target_t *target,
    const char *reason, int64_t next_ms)
{
    esd_failing_announce(d, target, ES_FAILING_CIRCUIT, reason, next_ms);
}


/* True: the dispatcher has attempts to make, because an event has failed. */

static bool
esd_failing_attempts(const esd_target_t *target)
{
    const esd_lane_t  *lane;

    if (target->failed > 0
        || target->retrying > 0
        || target->token.failures > 0)
    {
        return true;
    }

    esd_each(lane, &target->lanes, in_target) {
        if (lane->nudges > 0
            || (target->trips > 0
                && (lane->nwaiting > 0 || !TAILQ_EMPTY(&lane->sends)
                    || lane->position < lane->source->feed.last)))
        {
            return true;
        }
    }

    return false;
}


static void
esd_failing_announce_count(esd_dispatcher_t *d, esd_target_t *target)
{
    int64_t  after_ms, counted_ms;

    after_ms = target->conf->disable_after_ms;
    counted_ms = target->failing.counted_ms;

    if (after_ms > 2 * ESD_DAY_MS && counted_ms >= after_ms - ESD_DAY_MS) {
        esd_failing_announce(d, target, ES_FAILING_DAY,
                             "a day is left until it is stopped", 0);

    } else if (counted_ms >= after_ms / 2) {
        esd_failing_announce(d, target, ES_FAILING_HALF,
                             "half of the time until it is stopped has "
                             "passed",
                             0);
    }
}


void
esd_failing_tick(esd_dispatcher_t *d, esd_target_t *target)
{
    es_failing_t  *failing;

    failing = &target->failing;

    if (failing->since_ms == 0 || target->stopped) {
        return;
    }

    if (!esd_target_enabled(target)) {
        target->failing_us = 0;
        return;
    }

    if (!esd_failing_attempts(target)) {
        if (failing->counted_ms != 0) {
            esd_failing_recount(target);
            esd_failing_record(d, target);
        }

        target->failing_us = 0;
        return;
    }

    esd_failing_count(target);

    if (failing->counted_ms - target->failing_stored_ms >= ESD_COUNT_MS) {
        esd_failing_record(d, target);
    }

    if (target->conf->disable_after_ms != 0) {
        esd_failing_announce_count(d, target);
    }
}


static void
esd_failing_stopped(esd_dispatcher_t *d, esd_target_t *target,
    const char *reason)
{
    esd_notice_stopped(d, target, reason);

    target->failing.level = ES_FAILING_STOPPED;
    target->failing.revision = target->revision;
    esd_failing_record(d, target);
}


void
esd_failing_stop(esd_dispatcher_t *d, esd_target_t *target, const char *reason)
{
    es_stop_t  stop;

    if (target->stopped) {
        return;
    }

    target->stopped = true;
    target->stopped_revision = target->revision;

    memset(&stop, 0, sizeof(stop));
    stop.endpoint = target->number;
    stop.revision = target->revision;
    stop.time_ms = esd_clock_stamp_ms(d);
    (void) snprintf(stop.reason, sizeof(stop.reason), "%s", reason);
    esd_must(d, es_changeset_stop(d->recorder.filling, &stop));
    esd_must(d, es_changeset_audit(d->recorder.filling, "stop",
                                   target->partner, target->name, 0,
                                   reason));
    esd_failing_stopped(d, target, reason);

    esd_log_about(ESD_LOG_WARN, esd_about_target(target),
                  "endpoint %s is stopped until its record changes: %s",
                  target->name, reason);
}
