/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Ed25519 signatures in threads.
 *
 * The length of a signature is known, so the header fields are written with
 * space for it.  The signed data is copied and the keys are held, because a
 * send may end at any time: a thread never accesses a send.
 */

#include <ev.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "base/base.h"
#include "keys/signature.h"
#include "registry/registry.h"

#include "dispatcher.h"
#include "log.h"
#include "send.h"
#include "signing.h"
#include "thread.h"

/* With so many signatures queued, 400 us of work, the loop signs itself. */
#define ESD_SIGNING_QUEUE  16

struct esd_signing {
    TAILQ_ENTRY(esd_signing)  link;
    esd_signing_thread_t     *thread;      /* NULL: not submitted yet */
    esd_send_t               *send;        /* the loop's; NULL: dropped */
    esd_signing_fn            signed_fn;   /* the loop's */
    es_signer_t              *signers[ES_SECRETS_MAX];
    char                     *out[ES_SECRETS_MAX]; /* the loop's */
    unsigned                  n;
    int64_t                   timestamp_s;
    es_str_t                  id;
    es_str_t                  body;
    es_rc_t                   rc;
    char                      signatures[ES_SECRETS_MAX][ES_SIGNATURE_MAX];
    char                      data[];      /* of id and body */
};

static void esd_signing_ready(struct ev_loop *ev, ev_async *w, int revents);
static void *esd_signing_main(void *ctx);


static void
esd_signing_start(esd_dispatcher_t *d)
{
    long                   n;
    esd_signings_t        *signings;
    esd_signing_thread_t  *thread;

    signings = &d->signings;
    signings->started = true;

    n = sysconf(_SC_NPROCESSORS_ONLN) - 1;
    n = n < ESD_SIGNING_THREADS ? n : ESD_SIGNING_THREADS;

    while ((long) signings->n < n) {
        thread = &signings->threads[signings->n];

        TAILQ_INIT(&thread->queue);
        TAILQ_INIT(&thread->done);
        ev_async_init(&thread->ready, esd_signing_ready);
        thread->ready.data = thread;
        thread->ev = d->loop.ev;

        if (esd_thread_start(&thread->thread, "es-signing", esd_signing_main,
                             thread)
            != ES_OK)
        {
            esd_log_line(ESD_LOG_WARN,
                         "%u threads sign; no more can be created",
                         signings->n);
            return;
        }

        ev_async_start(d->loop.ev, &thread->ready);
        signings->n++;
    }
}


static esd_signing_thread_t *
esd_signing_thread(esd_dispatcher_t *d)
{
    unsigned               i;
    esd_signings_t        *signings;
    esd_signing_thread_t  *least;

    signings = &d->signings;
    least = &signings->threads[0];

    for (i = 1; i < signings->n; i++) {
        if (signings->threads[i].pending < least->pending) {
            least = &signings->threads[i];
        }
    }

    return least;
}


bool
esd_signing_idle(esd_dispatcher_t *d)
{
    if (!d->signings.started) {
        esd_signing_start(d);
    }

    return d->signings.n > 0
           && esd_signing_thread(d)->pending < ESD_SIGNING_QUEUE;
}


static esd_signing_t *
esd_signing_create(esd_send_t *send, es_str_t id, int64_t timestamp_s)
{
    esd_signing_t  *signing;

    signing = malloc(sizeof(esd_signing_t) + id.len + send->body.len);
    if (signing == NULL) {
        return NULL;
    }

    signing->thread = NULL;
    signing->send = send;
    signing->n = 0;
    signing->timestamp_s = timestamp_s;
    signing->id = (es_str_t) { signing->data, id.len };
    signing->body = (es_str_t) { signing->data + id.len, send->body.len };
    memcpy(signing->data, id.data, id.len);
    memcpy(signing->data + id.len, send->body.data, send->body.len);

    return signing;
}


es_rc_t
esd_signing_add(esd_send_t *send, es_signer_t *signer, es_str_t id,
    int64_t timestamp_s, char *out)
{
    esd_signing_t  *signing;

    if (send->signing == NULL) {
        send->signing = esd_signing_create(send, id, timestamp_s);
    }

    signing = send->signing;

    if (signing == NULL) {
        return ES_NOMEM;
    }

    signing->signers[signing->n] = es_signer_hold(signer);
    signing->out[signing->n++] = out;

    return ES_OK;
}


static void
esd_signing_destroy(esd_signing_t *signing)
{
    unsigned  i;

    for (i = 0; i < signing->n; i++) {
        es_signer_destroy(signing->signers[i]);
    }

    free(signing);
}


void
esd_signing_submit(esd_send_t *send, esd_signing_fn signed_fn)
{
    esd_signing_t         *signing;
    esd_signing_thread_t  *thread;

    signing = send->signing;
    thread = esd_signing_thread(send->d);
    signing->thread = thread;
    signing->signed_fn = signed_fn;
    (void) atomic_fetch_add(&thread->pending, 1);

    esd_thread_lock(&thread->thread);
    TAILQ_INSERT_TAIL(&thread->queue, signing, link);
    esd_thread_wake(&thread->thread);
    esd_thread_unlock(&thread->thread);
}


void
esd_signing_drop(esd_send_t *send)
{
    esd_signing_t  *signing;

    signing = send->signing;
    send->signing = NULL;

    if (signing == NULL) {
        return;
    }

    if (signing->thread == NULL) {
        esd_signing_destroy(signing);
        return;
    }

    signing->send = NULL;
}


static void
esd_signing_take(esd_signing_t *signing)
{
    es_rc_t          rc;
    unsigned         i;
    esd_send_t      *send;
    esd_signing_fn   signed_fn;

    send = signing->send;
    rc = signing->rc;
    signed_fn = signing->signed_fn;

    for (i = 0; send != NULL && rc == ES_OK && i < signing->n; i++) {
        memcpy(signing->out[i], signing->signatures[i], ES_SIGNATURE_V1A);
    }

    esd_signing_destroy(signing);

    if (send != NULL) {
        send->signing = NULL;
        signed_fn(send, rc);
    }
}


static void
esd_signing_ready(struct ev_loop *ev, ev_async *w, int revents)
{
    esd_signing_t         *signing;
    esd_signing_list_t     done;
    esd_signing_thread_t  *thread;

    (void) ev;
    (void) revents;

    thread = w->data;
    TAILQ_INIT(&done);

    esd_thread_lock(&thread->thread);
    TAILQ_CONCAT(&done, &thread->done, link);
    esd_thread_unlock(&thread->thread);

    while ((signing = TAILQ_FIRST(&done)) != NULL) {
        TAILQ_REMOVE(&done, signing, link);
        esd_signing_take(signing);
    }
}


static void
esd_signing_make(esd_signing_t *signing)
{
    unsigned  i;

    signing->rc = ES_OK;

    for (i = 0; signing->rc == ES_OK && i < signing->n; i++) {
        signing->rc = es_sign(signing->signers[i], signing->id,
                              signing->timestamp_s, &signing->body, 1,
                              signing->signatures[i]);
    }
}


static void *
esd_signing_main(void *ctx)
{
    esd_signing_t         *signing;
    esd_signing_thread_t  *thread;

    thread = ctx;

    esd_thread_lock(&thread->thread);

    for ( ;; ) {
        while (TAILQ_EMPTY(&thread->queue) && !thread->thread.quit) {
            esd_thread_wait(&thread->thread);
        }

        if (thread->thread.quit) {
            break;
        }

        signing = TAILQ_FIRST(&thread->queue);
        TAILQ_REMOVE(&thread->queue, signing, link);

        esd_thread_unlock(&thread->thread);
        esd_signing_make(signing);
        (void) atomic_fetch_sub(&thread->pending, 1);
        esd_thread_lock(&thread->thread);

        TAILQ_INSERT_TAIL(&thread->done, signing, link);
        ev_async_send(thread->ev, &thread->ready);
    }

    esd_thread_unlock(&thread->thread);

    return NULL;
}


static void
esd_signing_drain(esd_signing_list_t *list)
{
    esd_signing_t  *signing;

    while ((signing = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, signing, link);

        if (signing->send != NULL) {
            signing->send->signing = NULL;
        }

        esd_signing_destroy(signing);
    }
}


void
esd_signing_finish(esd_dispatcher_t *d)
{
    unsigned               i;
    esd_signing_thread_t  *thread;

    for (i = 0; i < d->signings.n; i++) {
        thread = &d->signings.threads[i];

        (void) esd_thread_finish(&thread->thread);
        esd_signing_drain(&thread->queue);
        esd_signing_drain(&thread->done);
    }
}
