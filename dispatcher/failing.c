/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An endpoint that only fails: it is said, and in the end it is
 * disabled.
 *
 * From its first failure without a success after it an endpoint is failing;
 * a change of its record begins anew.  That is announced when its circuit
 * opens, when half of `disable_after` has passed, and when a day of that is
 * left.  The attempt that fails after all of it stops the endpoint as 410
 * does.  What was announced, and since when it fails, is on disk.
 *
 * Failures of operational events count, but are not announced: an event about
 * them would only be the next to fail.
 */

#include <stdio.h>

#include "dispatcher.h"

#define ES_DAY_MS  (24 * 3600 * 1000)


static void
es_policy_record(es_dispatcher_t *d, const es_target_t *target)
{
    es_record(d, es_changes_failing(d->recorder.filling, &target->failing));
}


void
es_policy_load(es_dispatcher_t *d, es_target_t *target)
{
    if (es_delivery_failing(d->store, target->number, &target->failing)
        != ES_OK)
    {
        memset(&target->failing, 0, sizeof(target->failing));
        target->failing.endpoint = target->number;
    }
}


/* What was announced stays so, for a success to be announced too. */

void
es_policy_change(es_dispatcher_t *d, es_target_t *target)
{
    es_failing_t  *failing;

    failing = &target->failing;

    if (failing->revision == target->revision) {
        return;
    }

    if (failing->since_ms != 0 || failing->level != ES_FAILING_QUIET) {
        failing->revision = target->revision;
        failing->since_ms = 0;
        failing->failures = 0;
        es_policy_record(d, target);
    }

    failing->revision = target->revision;
}


void
es_policy_success(es_dispatcher_t *d, es_target_t *target)
{
    es_failing_t  *failing;

    failing = &target->failing;

    if (failing->since_ms == 0 && failing->level == ES_FAILING_QUIET) {
        return;
    }

    if (failing->level != ES_FAILING_QUIET) {
        es_notice_recovered(d, target);
    }

    failing->since_ms = 0;
    failing->failures = 0;
    failing->level = ES_FAILING_QUIET;
    failing->loud = false;

    es_record(d, es_changes_failing_done(d->recorder.filling,
                                         target->number));
}


void
es_policy_failure(es_dispatcher_t *d, es_target_t *target,
    const es_send_t *send)
{
    es_failing_t  *failing;

    failing = &target->failing;

    if (failing->since_ms == 0) {
        failing->since_ms = es_stamp_ms(d);

        if (failing->level > ES_FAILING_CIRCUIT) {
            failing->level = ES_FAILING_CIRCUIT;
        }
    }

    failing->failures++;
    failing->loud |= send->lane == NULL || !es_notice_own(send->lane);

    es_policy_record(d, target);
}


const char *
es_policy_over(es_target_t *target)
{
    char           since[ES_TIME_LEN + 1];
    es_failing_t  *failing;

    failing = &target->failing;

    if (target->conf->disable_after_ms == 0
        || failing->since_ms == 0
        || es_caution_ms(target->d) - failing->since_ms
           < (int64_t) target->conf->disable_after_ms)
    {
        return NULL;
    }

    (void) snprintf(target->over, sizeof(target->over),
                    "no success since %s",
                    es_notice_time(failing->since_ms, since));

    return target->over;
}


static void
es_policy_announce(es_dispatcher_t *d, es_target_t *target,
    es_failing_level_t level, const char *reason, int64_t next_ms)
{
    es_failing_t  *failing;

    failing = &target->failing;

    if (level <= failing->level || !failing->loud || failing->since_ms == 0) {
        return;
    }

    failing->level = (uint8_t) level;
    es_policy_record(d, target);

    es_notice_failing(d, target, reason, next_ms,
                      target->conf->disable_after_ms != 0
                      ? failing->since_ms + target->conf->disable_after_ms
                      : 0);
}


void
es_policy_circuit(es_dispatcher_t *d, es_target_t *target, const char *reason,
    int64_t next_ms)
{
    es_policy_announce(d, target, ES_FAILING_CIRCUIT, reason, next_ms);
}


void
es_policy_tick(es_dispatcher_t *d, es_target_t *target, int64_t now_ms)
{
    int64_t  after_ms, passed_ms;

    after_ms = target->conf->disable_after_ms;

    if (target->failing.since_ms == 0 || after_ms == 0 || target->stopped) {
        return;
    }

    passed_ms = now_ms - target->failing.since_ms;

    if (after_ms > 2 * ES_DAY_MS && passed_ms >= after_ms - ES_DAY_MS) {
        es_policy_announce(d, target, ES_FAILING_DAY,
                           "a day is left until it is disabled", 0);

    } else if (passed_ms >= after_ms / 2) {
        es_policy_announce(d, target, ES_FAILING_HALF,
                           "half of the time until it is disabled has passed",
                           0);
    }
}


void
es_policy_stopped(es_dispatcher_t *d, es_target_t *target, const char *reason)
{
    es_notice_disabled(d, target, reason);

    target->failing.level = ES_FAILING_DISABLED;
    target->failing.revision = target->revision;
    es_policy_record(d, target);
}
