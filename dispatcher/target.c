/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The endpoints of the registry, and the feeds that each receives.
 *
 * A lane exists for each feed that is in the endpoint's list and that its
 * partner may read.
 */

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "delivery/stall.h"
#include "keys/signature.h"
#include "log/store_clock.h"
#include "read/reader.h"
#include "registry/registry.h"
#include "registry/secrets.h"
#include "store/txn.h"

#include "about.h"
#include "away.h"
#include "certificates.h"
#include "clearing.h"
#include "dispatcher.h"
#include "failing.h"
#include "figures.h"
#include "fresh.h"
#include "health.h"
#include "host.h"
#include "lane.h"
#include "lane_check.h"
#include "log.h"
#include "loss.h"
#include "ordering.h"
#include "rate.h"
#include "ready.h"
#include "recorder.h"
#include "saved_state.h"
#include "schedule.h"
#include "send.h"
#include "slots.h"
#include "stall.h"
#include "table.h"
#include "target.h"
#include "test_event.h"
#include "token.h"
#include "trusted_clock.h"
#include "types.h"
#include "verification.h"
#include "window.h"

#define ESD_IDLE_US  30000000

static void esd_lane_begin(esd_dispatcher_t *d, es_txn_t *txn,
    esd_target_t *target, esd_source_t *source);


static void
esd_target_signers(esd_target_t *target)
{
    es_rc_t               rc;
    unsigned              i;
    const es_endpoint_t  *conf;

    conf = target->conf;

    for (i = 0; i < target->nsigners; i++) {
        es_signer_destroy(target->signers[i]);
    }

    target->nsigners = 0;
    target->locked = conf->locked;

    if (conf->locked != ES_OK) {
        esd_log_about(ESD_LOG_ERROR, esd_about_target(target),
                      "endpoint %s: %s; nothing is sent", target->name,
                      es_secrets_reason(conf->locked));
        return;
    }

    for (i = 0; i < conf->nsecrets; i++) {
        rc = es_signer_create(conf->secrets[i],
                              &target->signers[target->nsigners]);
        if (rc == ES_OK) {
            target->signer_expires_ms[target->nsigners++]
                = conf->secret_expires_ms[i];

        } else {
            esd_log_about(ESD_LOG_ERROR, esd_about_target(target),
                          "endpoint %s: secret %u cannot be used: %s",
                          target->name, i + 1, es_reason(rc));
        }
    }

    if (target->nsigners == 0) {
        esd_log_about(ESD_LOG_ERROR, esd_about_target(target),
                      "endpoint %s has no secret to sign with, so nothing "
                      "is sent", target->name);
    }
}


static void
esd_target_idle_free(esd_target_t *target)
{
    esd_send_t  *send;

    while ((send = TAILQ_FIRST(&target->idle)) != NULL) {
        esd_send_destroy(send);
    }
}


static esd_target_t *
esd_target_create(esd_dispatcher_t *d, const es_endpoint_t *conf)
{
    void          *slots;
    esd_target_t  *target;

    slots = esd_table_reserve(d->targets, &d->ntargets, conf->number);
    target = calloc(1, sizeof(esd_target_t));

    if (slots == NULL || target == NULL) {
        esd_out_of_memory();
    }

    d->targets = slots;
    d->targets[conf->number] = target;

    target->d = d;
    target->number = conf->number;
    target->holder = esd_slot_holder_get(d, conf->partner->number);
    (void) snprintf(target->name, sizeof(target->name), "%.*s",
                    (int) conf->name.len, conf->name.data);
    (void) snprintf(target->partner, sizeof(target->partner), "%.*s",
                    (int) conf->partner->name.len, conf->partner->name.data);
    target->stopped_revision = esd_saved_stop(&d->saved, conf->number);
    (void) es_delivery_redrive(d->store, conf->number, &target->redrive_ms);
    esd_health_load(d, target);
    esd_failing_load(d, target);
    esd_stall_load(d, target, NULL);
    esd_clearing_load(d, target);
    esd_verification_load(d, target);
    esd_figures_load(d, target);
    TAILQ_INIT(&target->lanes);
    TAILQ_INIT(&target->others);
    TAILQ_INIT(&target->idle);
    TAILQ_INIT(&target->tests);

    return target;
}


static void
esd_target_destroy(esd_dispatcher_t *d, esd_target_t *target)
{
    unsigned     i;
    esd_lane_t  *lane;
    esd_send_t  *send;

    esd_verification_drop(d, target);

    while ((lane = TAILQ_FIRST(&target->lanes)) != NULL) {
        esd_lane_destroy(d, lane);
    }

    while ((send = TAILQ_FIRST(&target->others)) != NULL) {
        esd_send_end(send);
    }

    esd_rate_done(target);
    esd_caller_set(target, &target->caller, es_null_str);
    esd_caller_set(target, &target->token_caller, es_null_str);
    esd_token_done(target);
    esd_ready_leave_tests(d, target);
    esd_test_events_drop(target);
    esd_clearing_drop(d, target);
    esd_figures_drop(d, target);
    esd_target_idle_free(target);

    for (i = 0; i < target->nsigners; i++) {
        es_signer_destroy(target->signers[i]);
    }

    d->targets[target->number] = NULL;
    free(target);
}


/* Takes over a changed record.  Waiting events become due, so that the author
   of the change sees its effect at once. */

static void
esd_target_change(esd_dispatcher_t *d, es_txn_t *txn, esd_target_t *target)
{
    size_t       i;
    esd_lane_t  *lane;

    if (target->revision != 0) {
        target->throttled_us = 0;
        target->busy = 0;
        target->batch_bytes = 0;
        esd_log_about(ESD_LOG_INFO, esd_about_target(target),
                      "endpoint %s: its record changed%s", target->name,
                      target->conf->paused ? " and it is paused" : "");
    }

    target->revision = target->conf->revision;
    esd_certificates_load(d, target);
    target->stopped = target->stopped_revision == target->revision;
    target->longest_ms = esd_schedule_longest(target->conf);
    esd_window_reset(target);
    esd_rate_reset(target);
    esd_caller_set(target, &target->caller, target->conf->url);
    esd_caller_set(target, &target->token_caller,
                   target->conf->oauth.token_url);
    esd_token_reset(target);

    esd_failing_change(d, target);
    esd_target_idle_free(target);
    target->channel = NULL;
    esd_target_signers(target);
    esd_verification_change(d, target);

    esd_each(lane, &target->lanes, in_target) {
        for (i = 0; i < lane->nwaiting; i++) {
            lane->waiting[i].next_ms = 0;
        }

        lane->stuck_ms = 0;
        lane->unmatched = 0;
        lane->swapped = 0;
        esd_lane_stop_lingering(d, lane);
        esd_lane_reset_nudge(lane);

        /* this also sorts the waiting events */

        esd_ordering_restore(txn, lane);
    }
}


/* The same as es_endpoint_allows(), except that the endpoints of a disabled
   partner keep their lanes. */

static bool
esd_target_wants(const esd_target_t *target, const esd_source_t *source)
{
    return es_endpoint_lists(target->conf, es_str(source->feed.name));
}


void
esd_target_join(esd_dispatcher_t *d, es_txn_t *txn, esd_target_t *target,
    esd_source_t *source)
{
    bool         wants;
    esd_lane_t  *lane;

    wants = esd_target_wants(target, source);
    lane = esd_lane_of(target, source);

    if (wants && lane == NULL) {
        esd_lane_begin(d, txn, target, source);

    } else if (!wants && lane != NULL) {
        esd_away_lane(d, lane, "no longer receives a feed");

    } else if (lane != NULL) {
        esd_ready_lane(d, lane);
    }
}


/*
 * The position at which an endpoint starts: the oldest event, or after the
 * events committed before the endpoint was created.  It may receive a feed for
 * the first time much later, because the feed is new or its list of feeds
 * changed. Then events that existed at the last refresh are not sent.
 */

static es_rc_t
esd_lane_start(esd_dispatcher_t *d, es_txn_t *txn, const esd_target_t *target,
    const esd_source_t *source, uint64_t *position)
{
    es_rc_t  rc;
    int64_t  from_ms, now_ms;

    if (target->conf->from_oldest) {
        *position = source->feed.oldest - 1;
        return ES_OK;
    }

    /* the clock of the command that created it may have been ahead */

    now_ms = esd_clock_stamp_ms(d);
    from_ms = target->conf->created_ms < now_ms ? target->conf->created_ms
                                                : now_ms;
    from_ms = d->alive_ms > from_ms ? d->alive_ms : from_ms;

    rc = es_feed_seek_time(txn, &source->feed, from_ms, position);

    /* events dated in the future, by a clock that was ahead, are older */

    if (source->feed.last_ms > now_ms + ES_CLOCK_AHEAD_MS
        && es_feed_has(&source->feed, source->known_epoch, source->known)
        && source->known > *position)
    {
        *position = source->known;
    }

    return rc;
}


static void
esd_lane_begin(esd_dispatcher_t *d, es_txn_t *txn, esd_target_t *target,
    esd_source_t *source)
{
    size_t             i;
    es_rc_t            rc;
    uint64_t           position;
    esd_lane_t        *lane;
    esd_about_t        about;
    esd_saved_lane_t  *saved;

    saved = esd_saved_lane(&d->saved, target->number, source->feed.number);

    if (saved == NULL || saved->taken) {
        saved = esd_away_progress(d, target->number, source->feed.number);
    }

    if (saved == NULL) {
        rc = esd_lane_start(d, txn, target, source, &position);
        if (rc != ES_OK) {
            about = esd_about_target(target);
            about.feed = source->feed.name;
            esd_log_about(ESD_LOG_ERROR, about,
                          "cannot read feed \"%s\" for endpoint %s: %s",
                          source->feed.name, target->name, es_reason(rc));
            d->unjoined = true;
            return;
        }

        esd_fresh_excuse(d, target);
        lane = esd_lane_create(target, source);
        lane->position = position;
        lane->matched = position;
        esd_lane_dirty(d, lane);
        esd_ready_lane(d, lane);
        return;
    }

    saved->taken = true;
    lane = esd_lane_create(target, source);
    memcpy(lane->epoch, saved->epoch, sizeof(lane->epoch));
    lane->position = saved->sequence;
    lane->matched = saved->matched;
    lane->loss = saved->loss;
    esd_stall_load(d, target, lane);

    if (saved->nitems > 0) {
        esd_fresh_excuse(d, target);
    }

    for (i = 0; i < saved->nitems; i++) {
        target->retries += saved->items[i].recorded;
        esd_lane_wait(d, lane, &saved->items[i]);
    }

    esd_away_resumed(d, saved);
    esd_ordering_restore(txn, lane);
    (void) esd_lane_check(d, txn, lane);
    esd_ready_lane(d, lane);
}


/* True: neither the record, nor the partner's, nor whether it has the flag has
   changed since the endpoint was joined to its feeds. */

static bool
esd_target_joined(const esd_target_t *target)
{
    return target->revision == target->conf->revision
           && target->partner_revision == target->conf->partner->revision
           && target->gated == target->conf->gated
           && target->locked == target->conf->locked;
}


static void
esd_target_joins(esd_dispatcher_t *d, es_txn_t *txn, esd_target_t *target)
{
    size_t  i;

    target->partner_revision = target->conf->partner->revision;
    target->gated = target->conf->gated;

    for (i = 0; i < d->nsources; i++) {
        if (d->sources[i] != NULL) {
            esd_target_join(d, txn, target, d->sources[i]);
        }
    }
}


/* The record was removed.  It may come back under the same name, unless its
   partner was removed as well. */

static void
esd_target_gone(esd_dispatcher_t *d, esd_target_t *target)
{
    bool         over;
    esd_lane_t  *lane;

    over = es_registry_partner(d->registry, es_str(target->partner)) == NULL;

    while ((lane = TAILQ_FIRST(&target->lanes)) != NULL) {
        if (over) {
            esd_stall_end(d, lane);
            esd_lane_destroy(d, lane);

        } else {
            esd_away_lane(d, lane, "was removed");
        }
    }

    if (over) {
        esd_away_forget(d, target->number);
    }

    esd_must(d, es_changeset_stalls_done(d->recorder.filling,
                                         target->number));

    if (!esd_away_any(d, target->number)) {
        esd_must(d, es_changeset_forget(d->recorder.filling, target->number));
    }

    esd_target_destroy(d, target);
}


/* The lists of an endpoint or of its partner may be good again. */

static void
esd_target_lists(esd_dispatcher_t *d, esd_target_t *target)
{
    esd_lane_t  *lane;

    esd_each(lane, &target->lanes, in_target) {
        if (lane->refused) {
            lane->refused = false;
            lane->stuck_ms = 0;
            esd_ready_lane(d, lane);
        }
    }
}


void
esd_targets_sync(esd_dispatcher_t *d, es_txn_t *txn, bool all)
{
    bool                  joined, wanted;
    size_t                i, n;
    esd_target_t         *target;
    const es_endpoint_t  *conf;

    d->syncs++;
    d->locked = false;
    wanted = false;
    conf = es_registry_endpoints(d->registry, &n);

    for (i = 0; i < n; i++) {
        target = conf[i].number < d->ntargets ? d->targets[conf[i].number]
                                              : NULL;
        if (target == NULL) {
            target = esd_target_create(d, &conf[i]);
        }

        target->conf = &conf[i];
        target->seen = d->syncs;
        wanted |= conf[i].partner->operations.data != NULL;
        d->locked |= conf[i].locked == ES_NOT_FOUND;
        joined = esd_target_joined(target);

        if (!joined && target->revision != 0) {
            esd_fresh_excuse(d, target);
        }

        if (target->revision != conf[i].revision
            || target->locked != conf[i].locked)
        {
            esd_target_change(d, txn, target);
        }

        if (all || !joined) {
            esd_target_joins(d, txn, target);
        }

        esd_target_lists(d, target);
    }

    atomic_store(&d->notifier.wanted, wanted);

    for (i = 0; i < d->ntargets; i++) {
        target = d->targets[i];

        if (target != NULL && target->seen != d->syncs) {
            esd_target_gone(d, target);
        }
    }
}


/* Runs every second: frees handles that were not used, and writes progress over
   events that did not match. */

void
esd_targets_tick(esd_dispatcher_t *d)
{
    size_t         i;
    int64_t        now_us;
    esd_lane_t    *lane;
    esd_target_t  *target;

    now_us = es_clock_mono_us();

    for (i = 0; i < d->ntargets; i++) {
        target = d->targets[i];

        if (target == NULL) {
            continue;
        }

        if (!esd_target_enabled(target)) {
            esd_fresh_excuse(d, target);
        }

        esd_failing_tick(d, target);
        esd_stalls_tick(d, target);

        if (target->in_flight == 0 && now_us - target->used_us > ESD_IDLE_US) {
            esd_target_idle_free(target);
        }

        esd_each(lane, &target->lanes, in_target) {
            if (lane->moved) {
                esd_lane_dirty(d, lane);
            }

            esd_loss_tick(d, lane);
        }

        esd_ready_tests(d, target);
    }
}


void
esd_targets_done(esd_dispatcher_t *d)
{
    size_t  i;

    for (i = 0; i < d->ntargets; i++) {
        if (d->targets[i] != NULL) {
            esd_target_destroy(d, d->targets[i]);
        }
    }

    for (i = 0; i < d->nsources; i++) {
        free(d->sources[i]);
    }

    esd_slots_done(d);
    esd_hosts_done(d);
    esd_away_done(d);
    free(d->targets);
    free(d->sources);
    esd_saved_free(&d->saved);
    es_registry_free(d->registry);
}
