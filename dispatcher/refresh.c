/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What others have changed: the registry, the feeds and their events,
 * requests.  When the bell rings, and each second.
 */

#include "dispatcher.h"

#define ES_AGAIN_US  900000        /* less than between ticks */


static void
es_registry_use(es_dispatcher_t *d, es_txn_t *txn, es_registry_t *registry)
{
    bool            all;
    es_registry_t  *old;

    all = d->unjoined;
    old = d->registry;

    d->unjoined = false;
    d->registry = registry;
    d->registry_version = es_registry_loaded_version(registry);

    es_targets_sync(d, txn, all);
    es_registry_free(old);
}


/* Where nothing is to be loaded.  False: something is. */

static bool
es_registry_same(es_dispatcher_t *d, es_txn_t *txn, uint64_t version)
{
    if (version != d->registry_version) {
        if (!es_registry_kept(d->store, d->registry)) {
            return false;
        }

        d->registry_version = es_registry_loaded_version(d->registry);

    } else if (d->unjoined) {
        d->unjoined = false;
        es_targets_sync(d, txn, true);
    }

    return true;
}


/* It is tried again each second: memory or a reader's slot may have lacked. */

static void
es_registry_failed(es_dispatcher_t *d, es_rc_t rc)
{
    es_loader_t  *loader;

    loader = &d->loader;

    if (loader->failed_version != loader->asked_version) {
        loader->failed_version = loader->asked_version;
        es_log_line(ES_LOG_ERROR, "cannot load the registry: %s; going on "
                    "with what was loaded before", es_reason(rc));
    }

    loader->until_us = es_clock_mono_us() + ES_AGAIN_US;
}


/* `*as_of_ms` comes as the present time, and becomes that up to which changes
   are known. */

static es_rc_t
es_registry_look(es_dispatcher_t *d, es_txn_t *txn, int64_t *as_of_ms)
{
    bool            taken;
    es_rc_t         rc;
    uint64_t        version;
    es_registry_t  *registry;

    if (d->registry == NULL) {
        rc = es_keys_load(d, &registry);

        if (rc == ES_OK) {
            es_registry_use(d, txn, registry);
        }

        return rc;
    }

    taken = es_loader_take(d, &rc, &registry);
    version = es_registry_version(d->store);

    if (!taken) {
        if (d->reload || !es_registry_same(d, txn, version)) {
            es_loader_ask(d, version);
            *as_of_ms = d->alive_ms;
        }

        return ES_OK;
    }

    *as_of_ms = d->loader.asked_ms;

    if (rc != ES_OK) {
        es_registry_failed(d, rc);
        return rc;
    }

    d->reload = false;
    d->loader.failed_version = 0;
    es_registry_use(d, txn, registry);

    if (d->registry_version != version) {
        es_loader_ask(d, version);
    }

    return ES_OK;
}


static es_source_t *
es_source_create(es_dispatcher_t *d, es_txn_t *txn, const es_feed_t *feed)
{
    void         *slots;
    size_t        i;
    es_source_t  *source;

    slots = es_slot(d->sources, &d->nsources, feed->number);
    source = calloc(1, sizeof(es_source_t));

    if (slots == NULL || source == NULL) {
        es_record(d, ES_NOMEM);
        abort();
    }

    d->sources = slots;
    d->sources[feed->number] = source;

    source->feed = *feed;
    TAILQ_INIT(&source->lanes);

    for (i = 0; i < d->ntargets; i++) {
        if (d->targets[i] != NULL) {
            es_target_join(d, txn, d->targets[i], source);
        }
    }

    return source;
}


static void
es_source_destroy(es_dispatcher_t *d, es_txn_t *txn, es_source_t *source)
{
    uint32_t    number;
    es_lane_t  *lane;

    while ((lane = TAILQ_FIRST(&source->lanes)) != NULL) {
        es_loss_epoch(d, txn, lane, ES_LOSS_REMOVED);
        es_stall_end(d, lane);
        es_record(d, es_changes_forget_feed(d->recorder.filling,
                                            lane->target->number,
                                            source->feed.number));
        es_lane_destroy(d, lane);
    }

    number = source->feed.number;
    d->sources[number] = NULL;
    free(source);
    es_parked_feed_gone(d, txn, number);
}


static void
es_source_look(es_dispatcher_t *d, es_txn_t *txn, const es_feed_t *feed)
{
    es_lane_t    *lane;
    es_source_t  *source;

    source = feed->number < d->nsources ? d->sources[feed->number] : NULL;

    if (source == NULL) {
        source = es_source_create(d, txn, feed);
    }

    source->seen = d->looks;
    source->feed = *feed;

    es_each(lane, &source->lanes, in_source) {
        (void) es_lane_check(d, txn, lane);

        if (lane->position < feed->last) {
            es_lane_wake(d, lane);
        }
    }
}


static es_rc_t
es_sources_look(es_dispatcher_t *d, es_txn_t *txn)
{
    size_t     i;
    es_rc_t    rc;
    es_str_t   name;
    es_feed_t  feed;

    d->looks++;
    name = es_null_str;

    while ((rc = es_feed_next(txn, name, &feed)) == ES_OK) {
        es_source_look(d, txn, &feed);
        name = es_str(feed.name);
    }

    if (rc != ES_NOT_FOUND) {
        return rc;
    }

    for (i = 0; i < d->nsources; i++) {
        if (d->sources[i] != NULL && d->sources[i]->seen != d->looks) {
            es_source_destroy(d, txn, d->sources[i]);
        }
    }

    return ES_OK;
}


/* The present picture of the registry is as new as that of the feeds: who
   begins later begins after these events, whatever their times say. */

static void
es_sources_known(es_dispatcher_t *d)
{
    size_t        i;
    es_source_t  *source;

    for (i = 0; i < d->nsources; i++) {
        source = d->sources[i];

        if (source != NULL) {
            source->known = source->feed.last;
            memcpy(source->known_epoch, source->feed.epoch,
                   sizeof(source->known_epoch));
        }
    }
}


static es_rc_t
es_look(es_dispatcher_t *d)
{
    es_rc_t    rc, log_rc;
    int64_t    now_ms, as_of_ms;
    es_txn_t  *txn;

    now_ms = es_stamp_ms(d);
    as_of_ms = now_ms;

    /* The registry first and by itself: a damaged log must not keep an
       endpoint from being changed. */

    rc = es_txn_begin(d->store, &txn);
    if (rc != ES_OK) {
        es_log_line(ES_LOG_ERROR, "cannot read the log: %s", es_reason(rc));
        return rc;
    }

    rc = es_registry_look(d, txn, &as_of_ms);
    log_rc = es_sources_look(d, txn);

    if (rc == ES_OK && log_rc == ES_OK) {
        es_requests_look(d, txn);
        es_parked_expire(d, txn, es_caution_ms(d));
    }

    es_txn_end(txn);

    if (log_rc != ES_OK) {
        es_log_line(ES_LOG_ERROR, "cannot read the feeds: %s",
                    es_reason(log_rc));
        return log_rc;
    }

    /* what could not be begun begins at what is new since then */

    if (rc == ES_OK && !d->unjoined) {
        d->alive_ms = as_of_ms;

        if (as_of_ms == now_ms) {
            es_sources_known(d);
        }
    }

    return rc;
}


/* Looks as often as the bell rings, but for a fifth of the time at most. */

void
es_targets_look(es_dispatcher_t *d)
{
    int64_t  began_us, ended_us;

    if (!d->look) {
        return;
    }

    began_us = es_clock_mono_us();

    if (began_us < d->look_us) {
        if (!ev_is_active(&d->look_timer)) {
            ev_timer_set(&d->look_timer,
                         (double) (d->look_us - began_us) / 1000000, 0);
            ev_timer_start(d->loop.ev, &d->look_timer);
        }

        return;
    }

    d->look = false;

    (void) es_look(d);

    ended_us = es_clock_mono_us();
    d->look_us = ended_us + 4 * (ended_us - began_us);
}


int64_t
es_look_heartbeat(const es_dispatcher_t *d)
{
    return es_due_ms(d) - (es_stamp_ms(d) - d->alive_ms);
}


es_rc_t
es_targets_load(es_dispatcher_t *d)
{
    int64_t            now_ms;
    es_rc_t    rc;
    es_txn_t  *txn;

    TAILQ_INIT(&d->ready);
    TAILQ_INIT(&d->later);
    es_places_init(d);

    rc = es_saved_load(d->store, &d->saved);

    if (rc == ES_OK) {
        rc = es_delivery_taken(d->store, &d->taken);
    }

    if (rc == ES_OK) {
        rc = es_delivery_lost(d->store, &d->lost);
    }

    if (rc == ES_OK) {
        rc = es_delivery_stall(d->store, 0, 0, &d->stall);
        rc = rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    if (rc != ES_OK) {
        return rc;
    }

    /* by the wall clock of a run that may have been wrong */

    now_ms = es_stamp_ms(d);
    d->alive_ms = d->saved.alive_ms < now_ms ? d->saved.alive_ms : now_ms;
    es_ack_init(d);

    rc = es_look(d);

    /* What nobody has taken belongs to endpoints and feeds that are gone, or
       are not for each other any more: all of both have been read. */

    if (rc == ES_OK) {
        rc = es_txn_begin(d->store, &txn);
    }

    if (rc != ES_OK) {
        return rc;
    }

    es_parked_load(d, txn);
    es_txn_end(txn);

    es_saved_free(&d->saved);
    es_record(d, es_changes_heartbeat(d->recorder.filling,
                                      es_look_heartbeat(d)));

    return ES_OK;
}
