/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Which endpoints there are, and what feeds they are sent.
 *
 * A lane exists for each feed that an endpoint asks for and its partner may
 * read.
 */

#include <stdio.h>

#include "dispatcher.h"

#define ES_IDLE_US  30000000

static void es_lane_begin(es_dispatcher_t *d, es_txn_t *txn,
    es_target_t *target, es_source_t *source);


void *
es_slot(void *list, size_t *n, uint32_t number)
{
    void   **slots;
    size_t   more;

    if (number < *n) {
        return list;
    }

    more = (size_t) number + 16;

    slots = realloc(list, more * sizeof(void *));
    if (slots == NULL) {
        return NULL;
    }

    memset(slots + *n, 0, (more - *n) * sizeof(void *));
    *n = more;

    return slots;
}


static void
es_target_signers(es_target_t *target)
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

    if (conf->locked) {
        es_log_line(ES_LOG_ERROR, "endpoint %s: a secret cannot be decrypted: "
                    "nothing is sent", target->name);
        return;
    }

    for (i = 0; i < conf->nsecrets; i++) {
        rc = es_signer_create(conf->secrets[i],
                              &target->signers[target->nsigners]);
        if (rc == ES_OK) {
            target->signer_expires_ms[target->nsigners++]
                = conf->secret_expires_ms[i];

        } else {
            es_log_line(ES_LOG_ERROR, "endpoint %s: secret %u cannot be used: "
                        "%s", target->name, i + 1, es_reason(rc));
        }
    }

    if (target->nsigners == 0) {
        es_log_line(ES_LOG_ERROR, "endpoint %s has no secret to sign with: "
                    "nothing is sent", target->name);
    }
}


static void
es_target_idle_free(es_target_t *target)
{
    es_send_t  *send;

    while ((send = TAILQ_FIRST(&target->idle)) != NULL) {
        es_send_destroy(send);
    }
}


static es_target_t *
es_target_create(es_dispatcher_t *d, const es_endpoint_t *conf)
{
    void         *slots;
    es_target_t  *target;

    slots = es_slot(d->targets, &d->ntargets, conf->number);
    target = calloc(1, sizeof(es_target_t));

    if (slots == NULL || target == NULL) {
        es_record(d, ES_NOMEM);
        abort();
    }

    d->targets = slots;
    d->targets[conf->number] = target;

    target->d = d;
    target->number = conf->number;
    target->holder = es_place_holder(d, conf->partner->number);
    (void) snprintf(target->name, sizeof(target->name), "%.*s",
                    (int) conf->name.len, conf->name.data);
    target->stopped_revision = es_saved_stop(&d->saved, conf->number);
    (void) es_delivery_redrive(d->store, conf->number, &target->redrive_ms);
    es_health_load(d, target);
    es_policy_load(d, target);
    es_stall_load(d, target, NULL);
    es_clear_load(d, target);
    TAILQ_INIT(&target->lanes);
    TAILQ_INIT(&target->others);
    TAILQ_INIT(&target->idle);
    TAILQ_INIT(&target->tests);

    return target;
}


static void
es_target_destroy(es_dispatcher_t *d, es_target_t *target)
{
    unsigned    i;
    es_lane_t  *lane;
    es_send_t  *send;

    while ((lane = TAILQ_FIRST(&target->lanes)) != NULL) {
        es_lane_destroy(d, lane);
    }

    while ((send = TAILQ_FIRST(&target->others)) != NULL) {
        es_send_end(send);
    }

    es_rate_done(target);
    es_token_done(target);
    es_tests_drop(target);
    es_clear_drop(d, target);
    es_target_idle_free(target);

    for (i = 0; i < target->nsigners; i++) {
        es_signer_destroy(target->signers[i]);
    }

    d->targets[target->number] = NULL;
    free(target);
}


/* Takes over a changed record.  Whoever changed it wants to see what comes of
   it: nothing waits for its old time. */

static void
es_target_change(es_dispatcher_t *d, es_txn_t *txn, es_target_t *target)
{
    size_t      i;
    es_lane_t  *lane;

    if (target->revision != 0) {
        target->throttled_us = 0;
        es_log_line(ES_LOG_INFO, "endpoint %s: changed%s", target->name,
                    target->conf->paused ? ", it is paused" : "");
    }

    target->revision = target->conf->revision;
    target->stopped = target->stopped_revision == target->revision;
    target->longest_ms = es_schedule_longest(target->conf);
    es_window_reset(target);
    es_rate_reset(target);
    es_token_reset(target);

    es_policy_change(d, target);
    es_target_idle_free(target);
    target->channel = NULL;
    es_target_signers(target);

    es_each(lane, &target->lanes, in_target) {
        for (i = 0; i < lane->nwaiting; i++) {
            lane->waiting[i].next_ms = 0;
        }

        lane->stuck_ms = 0;
        lane->unmatched = 0;
        lane->swapped = 0;
        es_fresh_leave(d, lane);
        es_nudge_reset(lane);

        /* this sorts what waits, too */

        es_key_restore(txn, lane);
    }
}


/* What es_endpoint_allows() says, but for a disabled partner, whose endpoints
   keep their places. */

static bool
es_target_wants(const es_target_t *target, const es_source_t *source)
{
    return es_endpoint_lists(target->conf, es_str(source->feed.name));
}


es_lane_t *
es_target_lane(const es_target_t *target, const es_source_t *source)
{
    es_lane_t  *lane;

    es_each(lane, &target->lanes, in_target) {
        if (lane->source == source) {
            return lane;
        }
    }

    return NULL;
}


void
es_target_join(es_dispatcher_t *d, es_txn_t *txn, es_target_t *target,
    es_source_t *source)
{
    bool        wants;
    es_lane_t  *lane;

    wants = es_target_wants(target, source);
    lane = es_target_lane(target, source);

    if (wants && lane == NULL) {
        es_lane_begin(d, txn, target, source);

    } else if (!wants && lane != NULL) {
        es_park(d, lane, "is not sent a feed any more");

    } else if (lane != NULL) {
        es_lane_wake(d, lane);
    }
}


/*
 * Where an endpoint starts: at the oldest event, or after those committed
 * before it was made.  It may be sent a feed for the first time long after,
 * because the feed is new, or its list of feeds was changed: then what was
 * there when we last looked, and it was not to be sent, is not sent.
 */

static es_rc_t
es_lane_start(es_dispatcher_t *d, es_txn_t *txn, const es_target_t *target,
    const es_source_t *source, uint64_t *position)
{
    es_rc_t  rc;
    int64_t  from_ms, now_ms;

    if (target->conf->from_oldest) {
        *position = source->feed.oldest - 1;
        return ES_OK;
    }

    /* who made it may have had a clock that was ahead */

    now_ms = es_stamp_ms(d);
    from_ms = target->conf->created_ms < now_ms ? target->conf->created_ms
                                                : now_ms;
    from_ms = d->alive_ms > from_ms ? d->alive_ms : from_ms;

    rc = es_feed_seek_time(txn, &source->feed, from_ms, position);

    /* events of the future, by a clock that was ahead, were there before */

    if (source->feed.last_ms > now_ms + ES_CLOCK_AHEAD_MS
        && strcmp(source->known_epoch, source->feed.epoch) == 0
        && source->known > *position)
    {
        *position = source->known;
    }

    return rc;
}


static void
es_lane_begin(es_dispatcher_t *d, es_txn_t *txn, es_target_t *target,
    es_source_t *source)
{
    size_t            i;
    es_rc_t           rc;
    uint64_t          position;
    es_lane_t        *lane;
    es_saved_lane_t  *saved;

    saved = es_saved_lane(&d->saved, target->number, source->feed.number);

    if (saved == NULL || saved->taken) {
        saved = es_parked_place(d, target->number, source->feed.number);
    }

    if (saved == NULL) {
        rc = es_lane_start(d, txn, target, source, &position);
        if (rc != ES_OK) {
            es_log_line(ES_LOG_ERROR, "cannot read feed \"%s\" for endpoint "
                        "%s: %s", source->feed.name, target->name,
                        es_reason(rc));
            d->unjoined = true;
            return;
        }

        lane = es_lane_create(d, target, source);
        lane->position = position;
        lane->matched = position;
        es_lane_dirty(d, lane);
        es_lane_wake(d, lane);
        return;
    }

    saved->taken = true;
    lane = es_lane_create(d, target, source);
    memcpy(lane->epoch, saved->epoch, sizeof(lane->epoch));
    lane->position = saved->sequence;
    lane->matched = saved->matched;
    lane->loss = saved->loss;
    es_stall_load(d, target, lane);

    for (i = 0; i < saved->nitems; i++) {
        target->retries += saved->items[i].recorded;
        es_lane_wait(d, lane, &saved->items[i]);
    }

    es_parked_back(d, saved);
    es_key_restore(txn, lane);
    (void) es_lane_check(d, txn, lane);
    es_lane_wake(d, lane);
}


/* As the record was when the endpoint was last joined to its feeds, and its
   partner's. */

static bool
es_target_joined(const es_target_t *target)
{
    return target->revision == target->conf->revision
           && target->partner_revision == target->conf->partner->revision
           && target->locked == target->conf->locked;
}


static void
es_target_joins(es_dispatcher_t *d, es_txn_t *txn, es_target_t *target)
{
    size_t  i;

    target->partner_revision = target->conf->partner->revision;

    for (i = 0; i < d->nsources; i++) {
        if (d->sources[i] != NULL) {
            es_target_join(d, txn, target, d->sources[i]);
        }
    }
}


/* Its record is not there any more.  It may come back under its name. */

static void
es_target_gone(es_dispatcher_t *d, es_target_t *target)
{
    es_lane_t  *lane;

    while ((lane = TAILQ_FIRST(&target->lanes)) != NULL) {
        es_park(d, lane, "was removed");
    }

    es_record(d, es_changes_stalls_done(d->recorder.filling,
                                        target->number));

    if (!es_parked_any(d, target->number)) {
        es_record(d, es_changes_forget(d->recorder.filling, target->number));
    }

    es_target_destroy(d, target);
}


void
es_targets_sync(es_dispatcher_t *d, es_txn_t *txn, bool all)
{
    bool                  joined, wanted;
    size_t                i, n;
    es_target_t          *target;
    const es_endpoint_t  *conf;

    d->syncs++;
    d->locked = false;
    wanted = false;
    conf = es_registry_endpoints(d->registry, &n);

    for (i = 0; i < n; i++) {
        target = conf[i].number < d->ntargets ? d->targets[conf[i].number]
                                              : NULL;
        if (target == NULL) {
            target = es_target_create(d, &conf[i]);
        }

        target->conf = &conf[i];
        target->seen = d->syncs;
        wanted |= conf[i].partner->operations.data != NULL;
        d->locked |= conf[i].locked;
        joined = es_target_joined(target);

        if (target->revision != conf[i].revision
            || target->locked != conf[i].locked)
        {
            es_target_change(d, txn, target);
        }

        if (all || !joined) {
            es_target_joins(d, txn, target);
        }
    }

    atomic_store(&d->notifier.wanted, wanted);

    for (i = 0; i < d->ntargets; i++) {
        target = d->targets[i];

        if (target != NULL && target->seen != d->syncs) {
            es_target_gone(d, target);
        }
    }
}


void
es_target_stop(es_dispatcher_t *d, es_target_t *target, const char *reason)
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
    stop.time_ms = es_stamp_ms(d);
    (void) snprintf(stop.reason, sizeof(stop.reason), "%s", reason);
    es_record(d, es_changes_stop(d->recorder.filling, &stop));
    es_policy_stopped(d, target, reason);

    es_log_line(ES_LOG_WARN, "endpoint %s is stopped until it is changed: %s",
                target->name, reason);
}


/* Each second: handles that have not been used go, and progress over events
   that did not match is written. */

void
es_targets_tick(es_dispatcher_t *d)
{
    size_t        i;
    int64_t       now_us;
    es_lane_t    *lane;
    es_target_t  *target;

    now_us = es_clock_mono_us();

    for (i = 0; i < d->ntargets; i++) {
        target = d->targets[i];

        if (target == NULL) {
            continue;
        }

        es_policy_tick(d, target, es_caution_ms(d));
        es_stalls_tick(d, target);

        if (target->in_flight == 0 && now_us - target->used_us > ES_IDLE_US) {
            es_target_idle_free(target);
        }

        es_each(lane, &target->lanes, in_target) {
            if (lane->moved) {
                es_lane_dirty(d, lane);
            }

            es_loss_tick(d, lane);
        }

        es_tests_turn(d, target);
        es_redrive(d, target);
    }
}


void
es_targets_done(es_dispatcher_t *d)
{
    size_t  i;

    for (i = 0; i < d->ntargets; i++) {
        if (d->targets[i] != NULL) {
            es_target_destroy(d, d->targets[i]);
        }
    }

    for (i = 0; i < d->nsources; i++) {
        free(d->sources[i]);
    }

    es_places_done(d);
    es_parked_done(d);
    free(d->targets);
    free(d->sources);
    es_saved_free(&d->saved);
    es_registry_free(d->registry);
}
