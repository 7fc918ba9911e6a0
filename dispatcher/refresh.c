/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What others have changed: the registry, the feeds and their events,
 * requests.  When the bell rings, and each second.
 */

#include <ev.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/away_feeds.h"
#include "delivery/delivery.h"
#include "delivery/stall.h"
#include "log/feed.h"
#include "registry/registry.h"
#include "store/txn.h"

#include "ack.h"
#include "dispatcher.h"
#include "lane.h"
#include "loader.h"
#include "log.h"
#include "loss.h"
#include "parked.h"
#include "ready.h"
#include "recorder.h"
#include "refresh.h"
#include "request.h"
#include "saved_state.h"
#include "secret_keys.h"
#include "slots.h"
#include "stall.h"
#include "table.h"
#include "target.h"
#include "trusted_clock.h"
#include "types.h"

#define ESD_RELOAD_US  900000       /* less than between ticks */


static void
esd_registry_use(esd_dispatcher_t *d, es_txn_t *txn, es_registry_t *registry)
{
    bool            all;
    es_registry_t  *old;

    all = d->unjoined;
    old = d->registry;

    d->unjoined = false;
    d->registry = registry;
    d->registry_version = es_registry_loaded_version(registry);

    esd_targets_sync(d, txn, all);
    es_registry_free(old);
}


/* Where nothing is to be loaded.  False: something is. */

static bool
esd_registry_same(esd_dispatcher_t *d, es_txn_t *txn, uint64_t version)
{
    if (version != d->registry_version) {
        if (!es_registry_unchanged(d->store, d->registry)) {
            return false;
        }

        d->registry_version = es_registry_loaded_version(d->registry);

    } else if (d->unjoined) {
        d->unjoined = false;
        esd_targets_sync(d, txn, true);
    }

    return true;
}


/* It is tried again each second: memory or a reader's slot may have lacked. */

static void
esd_registry_failed(esd_dispatcher_t *d, es_rc_t rc)
{
    esd_loader_t  *loader;

    loader = &d->loader;

    if (loader->failed_version != loader->asked_version) {
        loader->failed_version = loader->asked_version;
        esd_log_line(ESD_LOG_ERROR, "cannot load the registry: %s; going on "
                     "with what was loaded before", es_reason(rc));
    }

    loader->until_us = es_clock_mono_us() + ESD_RELOAD_US;
}


/* `*as_of_ms` comes as the present time, and becomes that up to which changes
   are known. */

static es_rc_t
esd_refresh_registry(esd_dispatcher_t *d, es_txn_t *txn, int64_t *as_of_ms)
{
    bool            taken;
    es_rc_t         rc;
    uint64_t        version;
    es_registry_t  *registry;

    if (d->registry == NULL) {
        rc = esd_secret_keys_load(d, &registry);

        if (rc == ES_OK) {
            esd_registry_use(d, txn, registry);
        }

        return rc;
    }

    taken = esd_loader_take(d, &rc, &registry);
    version = es_registry_version(d->store);

    if (!taken) {
        if (d->reload || !esd_registry_same(d, txn, version)) {
            esd_loader_request(d, version);
            *as_of_ms = d->alive_ms;
        }

        return ES_OK;
    }

    *as_of_ms = d->loader.asked_ms;

    if (rc != ES_OK) {
        esd_registry_failed(d, rc);
        return rc;
    }

    d->reload = false;
    d->loader.failed_version = 0;
    esd_registry_use(d, txn, registry);

    if (d->registry_version != version) {
        esd_loader_request(d, version);
    }

    return ES_OK;
}


static esd_source_t *
esd_source_create(esd_dispatcher_t *d, es_txn_t *txn, const es_feed_t *feed)
{
    void          *slots;
    size_t         i;
    esd_source_t  *source;

    slots = esd_table_reserve(d->sources, &d->nsources, feed->number);
    source = calloc(1, sizeof(esd_source_t));

    if (slots == NULL || source == NULL) {
        esd_out_of_memory();
    }

    d->sources = slots;
    d->sources[feed->number] = source;

    source->feed = *feed;
    TAILQ_INIT(&source->lanes);

    for (i = 0; i < d->ntargets; i++) {
        if (d->targets[i] != NULL) {
            esd_target_join(d, txn, d->targets[i], source);
        }
    }

    return source;
}


static void
esd_source_destroy(esd_dispatcher_t *d, es_txn_t *txn, esd_source_t *source)
{
    uint32_t     number;
    esd_lane_t  *lane;

    while ((lane = TAILQ_FIRST(&source->lanes)) != NULL) {
        esd_loss_epoch(d, txn, lane, ES_LOSS_REMOVED);
        esd_stall_end(d, lane);
        esd_must(d, es_changeset_forget_feed(d->recorder.filling,
                                             lane->target->number,
                                             source->feed.number));
        esd_lane_destroy(d, lane);
    }

    number = source->feed.number;
    d->sources[number] = NULL;
    free(source);
    esd_parked_feed_gone(d, txn, number);
}


static void
esd_refresh_source(esd_dispatcher_t *d, es_txn_t *txn, const es_feed_t *feed)
{
    esd_lane_t    *lane;
    esd_source_t  *source;

    source = feed->number < d->nsources ? d->sources[feed->number] : NULL;

    if (source == NULL) {
        source = esd_source_create(d, txn, feed);
    }

    source->seen = d->refreshes;
    source->feed = *feed;

    esd_each(lane, &source->lanes, in_source) {
        (void) esd_lane_check(d, txn, lane);

        if (lane->position < feed->last) {
            esd_ready_lane(d, lane);
        }
    }
}


static es_rc_t
esd_refresh_sources(esd_dispatcher_t *d, es_txn_t *txn)
{
    size_t     i;
    es_rc_t    rc;
    es_str_t   name;
    es_feed_t  feed;

    d->refreshes++;
    name = es_null_str;

    while ((rc = es_feed_next(txn, name, &feed)) == ES_OK) {
        esd_refresh_source(d, txn, &feed);
        name = es_str(feed.name);
    }

    if (rc != ES_NOT_FOUND) {
        return rc;
    }

    for (i = 0; i < d->nsources; i++) {
        if (d->sources[i] != NULL && d->sources[i]->seen != d->refreshes) {
            esd_source_destroy(d, txn, d->sources[i]);
        }
    }

    return ES_OK;
}


/* The present picture of the registry is as new as that of the feeds: who
   begins later begins after these events, whatever their times say. */

static void
esd_sources_known(esd_dispatcher_t *d)
{
    size_t         i;
    esd_source_t  *source;

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
esd_refresh_read(esd_dispatcher_t *d)
{
    es_rc_t    rc, log_rc;
    int64_t    now_ms, as_of_ms;
    es_txn_t  *txn;

    now_ms = esd_clock_stamp_ms(d);
    as_of_ms = now_ms;

    /* The registry first and by itself: a damaged log must not keep an
       endpoint from being changed. */

    rc = es_txn_begin(d->store, &txn);
    if (rc != ES_OK) {
        esd_log_line(ESD_LOG_ERROR, "cannot read the log: %s", es_reason(rc));
        return rc;
    }

    rc = esd_refresh_registry(d, txn, &as_of_ms);
    log_rc = esd_refresh_sources(d, txn);

    if (rc == ES_OK && log_rc == ES_OK) {
        esd_requests_take(d, txn);
        esd_parked_expire(d, txn, esd_clock_expiry_ms(d));
    }

    es_txn_end(txn);

    if (log_rc != ES_OK) {
        esd_log_line(ESD_LOG_ERROR, "cannot read the feeds: %s",
                     es_reason(log_rc));
        return log_rc;
    }

    /* what could not be begun begins at what is new since then */

    if (rc == ES_OK && !d->unjoined) {
        d->alive_ms = as_of_ms;

        if (as_of_ms == now_ms) {
            esd_sources_known(d);
        }
    }

    return rc;
}


/* Looks as often as the bell rings, but for a fifth of the time at most. */

void
esd_refresh(esd_dispatcher_t *d)
{
    int64_t  began_us, ended_us;

    if (!d->refresh) {
        return;
    }

    began_us = es_clock_mono_us();

    if (began_us < d->refresh_us) {
        if (!ev_is_active(&d->refresh_timer)) {
            ev_timer_set(&d->refresh_timer,
                         (double) (d->refresh_us - began_us) / 1000000, 0);
            ev_timer_start(d->loop.ev, &d->refresh_timer);
        }

        return;
    }

    d->refresh = false;

    (void) esd_refresh_read(d);

    ended_us = es_clock_mono_us();
    d->refresh_us = ended_us + 4 * (ended_us - began_us);
}


es_rc_t
esd_refresh_load(esd_dispatcher_t *d)
{
    int64_t    now_ms;
    es_rc_t    rc;
    es_txn_t  *txn;

    esd_ready_init(d);
    esd_slots_init(d);

    rc = esd_saved_load(d->store, &d->saved);

    if (rc == ES_OK) {
        rc = es_delivery_control_taken(d->store, &d->taken);
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

    now_ms = esd_clock_stamp_ms(d);
    d->alive_ms = d->saved.alive_ms < now_ms ? d->saved.alive_ms : now_ms;
    esd_ack_init(d);

    rc = esd_refresh_read(d);

    /* What nobody has taken belongs to endpoints and feeds that are gone, or
       are not for each other any more: all of both have been read. */

    if (rc == ES_OK) {
        rc = es_txn_begin(d->store, &txn);
    }

    if (rc != ES_OK) {
        return rc;
    }

    esd_parked_load(d, txn);
    es_txn_end(txn);

    esd_saved_free(&d->saved);
    esd_record_heartbeat(d);

    return ES_OK;
}
