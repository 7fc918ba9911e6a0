/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads what other processes have changed: the registry, the feeds and their
 * events, and requests.  It runs when the bell rings, and every second.
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
#include "away.h"
#include "control.h"
#include "dispatcher.h"
#include "fresh.h"
#include "host.h"
#include "lane.h"
#include "lane_check.h"
#include "loader.h"
#include "log.h"
#include "loss.h"
#include "ready.h"
#include "recorder.h"
#include "refresh.h"
#include "saved_state.h"
#include "secret_keys.h"
#include "service.h"
#include "slots.h"
#include "stall.h"
#include "table.h"
#include "target.h"
#include "trusted_clock.h"
#include "types.h"

#define ESD_RELOAD_US  900000       /* less than a tick */


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


/* Handles a registry that need not be loaded.  False: it must be loaded. */

static bool
esd_registry_same(esd_dispatcher_t *d, es_txn_t *txn, uint64_t version)
{
    if (es_registry_ended(d->registry, es_clock_ms())) {
        return false;
    }

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


/* The load is tried every second, because memory or a reader slot may have
   been short. */

static void
esd_registry_failed(esd_dispatcher_t *d, es_rc_t rc)
{
    esd_loader_t  *loader;

    loader = &d->loader;

    if (loader->failed_version != loader->requested_version) {
        loader->failed_version = loader->requested_version;
        esd_log_line(ESD_LOG_ERROR, "cannot load the registry: %s; using the "
                     "one that was loaded before", es_reason(rc));
    }

    loader->until_us = es_clock_mono_us() + ESD_RELOAD_US;
}


/* `*as_of_ms` is the current time on entry, and the time up to which changes
   are known on return. */

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

    *as_of_ms = d->loader.requested_ms;
    esd_service_reloaded(d);

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

    esd_must(d, esd_fresh_drop(d, d->recorder.filling, source));

    number = source->feed.number;
    d->sources[number] = NULL;
    free(source);
    esd_away_feed_gone(d, txn, number);
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


/* The loaded registry is as new as the feeds, so that an endpoint which starts
   later starts after these events, whatever their times are. */

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

    /* The registry comes first and on its own: a damaged log must not prevent
       the change of an endpoint. */

    rc = es_txn_begin(d->store, &txn);
    if (rc != ES_OK) {
        esd_log_line(ESD_LOG_ERROR, "cannot read the log: %s", es_reason(rc));
        return rc;
    }

    rc = esd_refresh_registry(d, txn, &as_of_ms);
    log_rc = esd_refresh_sources(d, txn);

    if (rc == ES_OK && log_rc == ES_OK) {
        esd_control_take(d, txn);
        esd_away_expire(d, txn, esd_clock_expiry_ms(d));
    }

    es_txn_end(txn);

    if (log_rc != ES_OK) {
        esd_log_line(ESD_LOG_ERROR, "cannot read the feeds: %s",
                     es_reason(log_rc));
        return log_rc;
    }

    /* a lane that could not start will start at the events since then */

    if (rc == ES_OK && !d->unjoined) {
        d->alive_ms = as_of_ms;

        if (as_of_ms == now_ms) {
            esd_sources_known(d);
        }
    }

    return rc;
}


/* Refreshes when the bell rings, but uses a fifth of the time at most. */

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
    esd_hosts_init(d);

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

    /* the wall clock of the last run may have been wrong */

    now_ms = esd_clock_stamp_ms(d);
    d->alive_ms = d->saved.alive_ms < now_ms ? d->saved.alive_ms : now_ms;
    esd_ack_init(d);

    rc = esd_refresh_read(d);

    /* All endpoints and feeds have been read.  Positions that no lane has taken
       are of removed ones, or of endpoints that no longer receive the feed. */

    if (rc == ES_OK) {
        rc = es_txn_begin(d->store, &txn);
    }

    if (rc != ES_OK) {
        return rc;
    }

    esd_away_load(d, txn);
    es_txn_end(txn);

    esd_saved_free(&d->saved);
    esd_record_heartbeat(d);

    return ES_OK;
}
