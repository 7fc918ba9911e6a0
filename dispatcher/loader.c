/*
 * loader.c - a new picture of the registry, loaded by a thread: of thousands
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

    (void) pthread_mutex_init(&loader->lock, NULL);
    (void) pthread_cond_init(&loader->cond, NULL);

    ev_async_init(&loader->ready, es_loader_ready);
    loader->ready.data = d;
    ev_async_start(d->loop.ev, &loader->ready);

    if (pthread_create(&loader->thread, NULL, es_loader_main, d) != 0) {
        return ES_IO;
    }

    (void) pthread_setname_np(loader->thread, "es-loader");
    loader->started = true;

    return ES_OK;
}


void
es_loader_finish(es_dispatcher_t *d)
{
    es_loader_t  *loader;

    loader = &d->loader;

    if (!loader->started) {
        return;
    }

    (void) pthread_mutex_lock(&loader->lock);
    loader->quit = true;
    (void) pthread_cond_signal(&loader->cond);
    (void) pthread_mutex_unlock(&loader->lock);

    (void) pthread_join(loader->thread, NULL);
    loader->started = false;

    es_registry_free(loader->registry);
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

    (void) pthread_mutex_lock(&loader->lock);

    for ( ;; ) {
        while (!loader->asked && !loader->quit) {
            (void) pthread_cond_wait(&loader->cond, &loader->lock);
        }

        if (loader->quit) {
            break;
        }

        (void) pthread_mutex_unlock(&loader->lock);
        registry = NULL;
        rc = es_keys_load(d, &registry);
        (void) pthread_mutex_lock(&loader->lock);

        loader->asked = false;
        loader->done = true;
        loader->rc = rc;
        loader->registry = registry;
        ev_async_send(d->loop.ev, &loader->ready);
    }

    (void) pthread_mutex_unlock(&loader->lock);

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

    (void) pthread_mutex_lock(&loader->lock);

    done = loader->done;

    if (done) {
        *rc = loader->rc;
        *registry = loader->registry;
        loader->registry = NULL;
        loader->done = false;
    }

    (void) pthread_mutex_unlock(&loader->lock);

    return done;
}


void
es_loader_ask(es_dispatcher_t *d)
{
    es_loader_t  *loader;

    loader = &d->loader;

    (void) pthread_mutex_lock(&loader->lock);

    if (!loader->asked && !loader->done) {
        loader->asked = true;
        loader->asked_ms = es_clock_ms();
        (void) pthread_cond_signal(&loader->cond);
    }

    (void) pthread_mutex_unlock(&loader->lock);
}
