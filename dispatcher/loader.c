/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Loads the registry in a thread, because thousands of endpoints take as long
 * to load as hundreds of deliveries.
 *
 * The loop requests a load and continues with the registry that it has.  When
 * the new one is loaded, the loop refreshes and takes it.
 */

#include <ev.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/reason.h"
#include "registry/registry.h"

#include "dispatcher.h"
#include "loader.h"
#include "secret_keys.h"
#include "thread.h"
#include "trusted_clock.h"

static void esd_loader_ready(struct ev_loop *ev, ev_async *w, int revents);
static void *esd_loader_main(void *ctx);


es_rc_t
esd_loader_start(esd_dispatcher_t *d)
{
    esd_loader_t  *loader;

    loader = &d->loader;

    ev_async_init(&loader->ready, esd_loader_ready);
    loader->ready.data = d;
    ev_async_start(d->loop.ev, &loader->ready);

    return esd_thread_start(&loader->thread, "es-loader", esd_loader_main, d);
}


void
esd_loader_finish(esd_dispatcher_t *d)
{
    if (esd_thread_finish(&d->loader.thread)) {
        es_registry_free(d->loader.registry);
    }
}


static void *
esd_loader_main(void *ctx)
{
    es_rc_t            rc;
    esd_loader_t      *loader;
    es_registry_t     *registry;
    esd_dispatcher_t  *d;

    d = ctx;
    loader = &d->loader;

    esd_thread_lock(&loader->thread);

    for ( ;; ) {
        while (!loader->requested && !loader->thread.quit) {
            esd_thread_wait(&loader->thread);
        }

        if (loader->thread.quit) {
            break;
        }

        esd_thread_unlock(&loader->thread);
        registry = NULL;
        rc = esd_secret_keys_load(d, &registry);
        esd_thread_lock(&loader->thread);

        loader->requested = false;
        loader->done = true;
        loader->rc = rc;
        es_reason_take(&loader->reason);
        loader->registry = registry;
        ev_async_send(d->loop.ev, &loader->ready);
    }

    esd_thread_unlock(&loader->thread);

    return NULL;
}


static void
esd_loader_ready(struct ev_loop *ev, ev_async *w, int revents)
{
    esd_dispatcher_t  *d;

    (void) ev;
    (void) revents;

    d = w->data;
    d->refresh = true;
}


bool
esd_loader_take(esd_dispatcher_t *d, es_rc_t *rc, es_registry_t **registry)
{
    bool           done;
    esd_loader_t  *loader;

    loader = &d->loader;

    esd_thread_lock(&loader->thread);

    done = loader->done;

    if (done) {
        *rc = loader->rc;
        es_reason_give(&loader->reason);
        *registry = loader->registry;
        loader->registry = NULL;
        loader->done = false;
    }

    esd_thread_unlock(&loader->thread);

    return done;
}


void
esd_loader_request(esd_dispatcher_t *d, uint64_t version)
{
    esd_loader_t  *loader;

    loader = &d->loader;

    if (es_clock_mono_us() < loader->until_us) {
        return;
    }

    esd_thread_lock(&loader->thread);

    if (!loader->requested && !loader->done) {
        loader->requested = true;
        loader->requested_us = es_clock_mono_us();
        loader->requested_ms = esd_clock_stamp_ms(d);
        loader->requested_version = version;
        esd_thread_wake(&loader->thread);
    }

    esd_thread_unlock(&loader->thread);
}


int64_t
esd_loader_busy_us(esd_dispatcher_t *d)
{
    int64_t        busy_us;
    esd_loader_t  *loader;

    loader = &d->loader;

    esd_thread_lock(&loader->thread);
    busy_us = loader->requested ? es_clock_mono_us() - loader->requested_us
                                : 0;
    esd_thread_unlock(&loader->thread);

    return busy_us;
}
