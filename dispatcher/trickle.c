/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Answers whose body arrives slowly or never.
 *
 * The status decides the outcome, so the body has only some seconds.  Then the
 * attempt ends as if the body were complete, so that a receiver which sends it
 * byte by byte does not hold a slot.
 */

#include <curl/curl.h>
#include <ev.h>
#include <sys/queue.h>

#include "base/clock.h"

#include "dispatcher.h"
#include "send.h"
#include "trickle.h"

#define ESD_TRICKLE_US  5000000


static void
esd_trickle_due(struct ev_loop *ev, ev_timer *w, int revents)
{
    int64_t            left_us;
    esd_send_t        *send;
    esd_dispatcher_t  *d;

    (void) revents;

    d = w->data;
    ev_timer_stop(ev, w);

    while ((send = TAILQ_FIRST(&d->trickles)) != NULL) {
        left_us = send->trickle_us - es_clock_mono_us();

        if (left_us > 0) {
            ev_timer_set(w, (double) left_us / 1000000, 0);
            ev_timer_start(ev, w);
            return;
        }

        send->ended(send, CURLE_OPERATION_TIMEDOUT);
    }
}


void
esd_trickle_init(esd_dispatcher_t *d)
{
    TAILQ_INIT(&d->trickles);
    ev_init(&d->trickle, esd_trickle_due);
    d->trickle.data = d;
}


/* Does nothing for token requests, whose token is in the body. */

void
esd_trickle_begin(esd_send_t *send)
{
    long               status;
    esd_dispatcher_t  *d;

    d = send->d;
    status = 0;
    (void) curl_easy_getinfo(send->easy, CURLINFO_RESPONSE_CODE, &status);

    if (status < 200
        || send->trickle_us != 0
        || send->kind == ESD_SEND_TOKEN)
    {
        return;
    }

    send->trickle_us = es_clock_mono_us() + ESD_TRICKLE_US;
    TAILQ_INSERT_TAIL(&d->trickles, send, in_trickles);

    if (!ev_is_active(&d->trickle)) {
        ev_timer_set(&d->trickle, (double) ESD_TRICKLE_US / 1000000, 0);
        ev_timer_start(d->loop.ev, &d->trickle);
    }
}


void
esd_trickle_end(esd_send_t *send)
{
    if (send->trickle_us != 0) {
        send->trickle_us = 0;
        TAILQ_REMOVE(&send->d->trickles, send, in_trickles);
    }
}
