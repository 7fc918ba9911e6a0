/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes the ciphertexts of fields, and wakes the lanes that wait for them.
 */

#include <ev.h>

#include "base/base.h"
#include "base/reason.h"
#include "fields/fields.h"
#include "jwe/jwe.h"
#include "read/ciphertexts.h"
#include "read/encrypter.h"

#include "about.h"
#include "dispatcher.h"
#include "encrypt.h"
#include "lane.h"
#include "log.h"
#include "ready.h"
#include "target.h"
#include "thread.h"

static void esd_encrypt_ready(struct ev_loop *ev, ev_async *w, int revents);
static void *esd_encrypt_main(void *ctx);


es_rc_t
esd_encrypt_start(esd_dispatcher_t *d)
{
    esd_encrypt_t  *e;

    e = &d->encrypt;
    e->texts = es_ciphertexts_create(d->store, ES_CIPHERTEXTS_HALF);

    if (e->texts == NULL) {
        return ES_NOMEM;
    }

    if (!es_jwe_available()) {
        return es_refused_text(ES_IO, ES_JWE_UNAVAILABLE);
    }

    TAILQ_INIT(&e->waiting);
    es_encrypter_init(&e->read, e->texts);

    ev_async_init(&e->ready, esd_encrypt_ready);
    e->ready.data = d;
    ev_async_start(d->loop.ev, &e->ready);

    return esd_thread_start(&e->thread, "es-encrypt", esd_encrypt_main, d);
}


void
esd_encrypt_finish(esd_dispatcher_t *d)
{
    (void) esd_thread_finish(&d->encrypt.thread);
    es_encrypter_free(&d->encrypt.read);
    es_encrypter_free(&d->encrypt.job);
    es_ciphertexts_free(d->encrypt.texts);
    d->encrypt.texts = NULL;
}


static void *
esd_encrypt_main(void *ctx)
{
    es_rc_t            rc;
    esd_encrypt_t     *e;
    esd_dispatcher_t  *d;

    d = ctx;
    e = &d->encrypt;

    esd_thread_lock(&e->thread);

    for ( ;; ) {
        while (!e->requested && !e->thread.quit) {
            esd_thread_wait(&e->thread);
        }

        if (e->thread.quit) {
            break;
        }

        esd_thread_unlock(&e->thread);
        rc = es_encrypter_make(&e->job);
        esd_thread_lock(&e->thread);

        e->requested = false;
        e->done = true;
        e->rc = rc;
        es_reason_take(&e->reason);
        ev_async_send(d->loop.ev, &e->ready);
    }

    esd_thread_unlock(&e->thread);

    return NULL;
}


/* Gives the thread what the last event lacked, unless it is busy: the lane then
   comes again when it is not. */

static void
esd_encrypt_request(esd_dispatcher_t *d, const esd_lane_t *lane)
{
    esd_encrypt_t  *e;

    e = &d->encrypt;

    esd_thread_lock(&e->thread);

    if (!e->requested && !e->done) {
        es_encrypter_free(&e->job);
        es_encrypter_move(&e->read, &e->job);
        e->lane = lane;
        e->requested = true;
        esd_thread_wake(&e->thread);
    }

    esd_thread_unlock(&e->thread);
}


es_rc_t
esd_encrypt_event(esd_dispatcher_t *d, const esd_lane_t *lane,
    const es_fields_t *fields, es_str_t event, es_buf_t *out)
{
    es_rc_t            rc;
    es_fields_seal_t  *seal;

    seal = &d->encrypt.read.seal;
    seal->missing = false;

    rc = es_fields_event(fields, seal, event, out);

    if (rc == ES_OK && seal->missing) {
        esd_encrypt_request(d, lane);
        rc = ES_PENDING;
    }

    return rc;
}


/* Its fields cannot be encrypted: the event is not sent, and tried again. */

static void
esd_encrypt_failed(esd_lane_t *lane, es_rc_t rc)
{
    esd_log_about(ESD_LOG_ERROR, esd_about_event(lane, lane->stuck_at),
                  "cannot encrypt fields of feed \"%s\" for endpoint %s: %s; "
                  "trying again in %d s", lane->source->feed.name,
                  lane->target->name,
                  rc == ES_INVALID ? "the partner's key cannot be used"
                                   : es_reason(rc), ESD_STUCK_MS / 1000);

    lane->refused = true;
}


static void
esd_encrypt_ready(struct ev_loop *ev, ev_async *w, int revents)
{
    es_rc_t            rc;
    esd_lane_t        *lane;
    esd_encrypt_t     *e;
    esd_dispatcher_t  *d;

    (void) ev;
    (void) revents;

    d = w->data;
    e = &d->encrypt;

    esd_thread_lock(&e->thread);
    rc = e->done ? e->rc : ES_OK;
    es_reason_give(&e->reason);
    e->done = false;
    esd_thread_unlock(&e->thread);

    while ((lane = TAILQ_FIRST(&e->waiting)) != NULL) {
        TAILQ_REMOVE(&e->waiting, lane, in_encrypt);
        lane->encrypting = false;

        if (rc != ES_OK && lane == e->lane) {
            esd_encrypt_failed(lane, rc);
            continue;
        }

        lane->stuck_ms = 0;
        esd_ready_lane(d, lane);
    }
}
