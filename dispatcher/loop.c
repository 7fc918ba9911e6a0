/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The event loop: libev, and all the work before each wait.
 *
 * No function that this file calls calls it back.  The other parts of the
 * dispatcher put a lane into a queue or set a flag, which the loop checks
 * here.
 */

#include <ev.h>
#include <sys/queue.h>

#include "base/base.h"

#include "channel.h"
#include "dispatcher.h"
#include "host.h"
#include "loop.h"
#include "notifier.h"
#include "refresh.h"
#include "select.h"
#include "test_event.h"
#include "verification.h"

#define ESD_LOOP_TURNS  64

static void esd_loop_prepare(struct ev_loop *ev, ev_prepare *w, int revents);


static void
esd_loop_idle(struct ev_loop *ev, ev_idle *w, int revents)
{
    (void) ev;
    (void) w;
    (void) revents;
}


es_rc_t
esd_loop_init(esd_dispatcher_t *d)
{
    esd_loop_t  *loop;

    loop = &d->loop;
    loop->ev = ev_loop_new(EVFLAG_AUTO);

    if (loop->ev == NULL) {
        return ES_NOMEM;
    }

    ev_prepare_init(&loop->prepare, esd_loop_prepare);
    loop->prepare.data = d;
    ev_prepare_start(loop->ev, &loop->prepare);

    ev_idle_init(&loop->idle, esd_loop_idle);

    return ES_OK;
}


void
esd_loop_done(esd_dispatcher_t *d)
{
    if (d->loop.ev != NULL) {
        ev_loop_destroy(d->loop.ev);
    }
}


/*
 * Does all work before each wait: finished attempts get their outcome, events
 * that can be sent go to libcurl, and libcurl runs, until no work is left.
 */

static void
esd_loop_prepare(struct ev_loop *ev, ev_prepare *w, int revents)
{
    int                n;
    bool               more;
    esd_dispatcher_t  *d;

    (void) revents;

    d = w->data;
    d->nlater = 0;
    more = false;

    if (d->recorder.announce) {
        d->recorder.announce = false;
        esd_notifier_wake(d);
    }

    for (n = 0; n < ESD_LOOP_TURNS; n++) {
        esd_refresh(d);
        esd_channels_reap(d);
        (void) esd_hosts_wake(d);
        esd_test_events_run(d);

        if (d->verify) {
            esd_verifications_run(d);
        }

        more = esd_select_run(d);
        more |= !TAILQ_EMPTY(&d->testing);

        if (!esd_channels_run(d)) {
            break;
        }
    }

    /* With an active idle watcher the loop does not wait. */

    if (more || n == ESD_LOOP_TURNS) {
        ev_idle_start(ev, &d->loop.idle);

    } else {
        ev_idle_stop(ev, &d->loop.idle);
    }
}
