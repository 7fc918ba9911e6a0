/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A new picture of the registry, loaded by a thread: of thousands
 * of endpoints that takes as long as hundreds of deliveries.
 *
 * The loop asks and goes on with the picture that it has; when the new one is
 * there it looks again, and takes it.
 */

#include "dispatcher.h"

static void es_loader_ready(struct ev_loop *ev, ev_async *w, int revents);
static void *es_loader_main(void *ctx);


es_rc_t
es_loader_start(es_dispatcher_t *d)
{
    es_loader_t  *loader;

    loader = &d->loader;

    ev_async_init(&loader->ready, es_loader_ready);
    loader->ready.data = d;
    ev_async_start(d->loop.ev, &loader->ready);

    return es_helper_start(&loader->helper, "es-loader", es_loader_main, d);
}


void
es_loader_finish(es_dispatcher_t *d)
{
    if (es_helper_finish(&d->loader.helper)) {
        es_registry_free(d->loader.registry);
    }
}


static void *
es_loader_main(void *ctx)
{
    es_rc_t           rc;
    es_loader_t      *loader;
    es_registry_t    *registry;
    es_dispatcher_t  *d;

    d = ctx;
    loader = &d->loader;

    es_helper_lock(&loader->helper);

    for ( ;; ) {
        while (!loader->asked && !loader->helper.quit) {
            es_helper_wait(&loader->helper);
        }

        if (loader->helper.quit) {
            break;
        }

        es_helper_unlock(&loader->helper);
        registry = NULL;
        rc = es_keys_load(d, &registry);
        es_helper_lock(&loader->helper);

        loader->asked = false;
        loader->done = true;
        loader->rc = rc;
        es_reason_take(&loader->reason);
        loader->registry = registry;
        ev_async_send(d->loop.ev, &loader->ready);
    }

    es_helper_unlock(&loader->helper);

    return NULL;
}


static void
es_loader_ready(struct ev_loop *ev, ev_async *w, int revents)
{
    es_dispatcher_t  *d;

    (void) ev;
    (void) revents;

    d = w->data;
    d->look = true;
}


bool
es_loader_take(es_dispatcher_t *d, es_rc_t *rc, es_registry_t **registry)
{
    bool          done;
    es_loader_t  *loader;

    loader = &d->loader;

    es_helper_lock(&loader->helper);

    done = loader->done;

    if (done) {
        *rc = loader->rc;
        es_reason_give(&loader->reason);
        *registry = loader->registry;
        loader->registry = NULL;
        loader->done = false;
    }

    es_helper_unlock(&loader->helper);

    return done;
}


void
es_loader_ask(es_dispatcher_t *d, uint64_t version)
{
    es_loader_t  *loader;

    loader = &d->loader;

    if (es_clock_mono_us() < loader->until_us) {
        return;
    }

    es_helper_lock(&loader->helper);

    if (!loader->asked && !loader->done) {
        loader->asked = true;
        loader->asked_ms = es_stamp_ms(d);
        loader->asked_version = version;
        es_helper_wake(&loader->helper);
    }

    es_helper_unlock(&loader->helper);
}
