/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Opens the store, alone or after another dispatcher (--wait).
 *
 * A process that waits has checked all that its start needs, and keeps nothing
 * open but the file of the lock.  When it has the lock, it opens the store
 * anew, because the directory may be another store by then, of another format
 * or with other keys.
 */

#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include "audit/actor.h"
#include "base/base.h"
#include "base/reason.h"
#include "delivery/owner.h"
#include "open/child.h"
#include "registry/registry.h"

#include "dispatcher.h"
#include "log.h"
#include "secret_keys.h"
#include "service.h"
#include "store.h"

/* The signals that reach a process which waits.  SIGALRM ends each wait after
   a second. */
static const int  esd_store_signals[] = {
    SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGALRM
};

/* Of the handler below. */
static volatile sig_atomic_t  esd_store_ends;
static volatile sig_atomic_t  esd_store_checks;


static void
esd_store_signal(int sig)
{
    if (sig == SIGHUP) {
        esd_store_checks = 1;

    } else if (sig != SIGALRM) {
        esd_store_ends = sig;
    }
}


/* Lets signals interrupt system calls, or gives them their default action
   back. */

static void
esd_store_interrupts(bool on)
{
    size_t            i;
    struct sigaction  action;
    struct itimerval  timer;

    memset(&action, 0, sizeof(action));
    memset(&timer, 0, sizeof(timer));

    action.sa_handler = on ? esd_store_signal : SIG_DFL;
    timer.it_interval.tv_sec = on ? 1 : 0;
    timer.it_value = timer.it_interval;

    if (!on) {
        (void) setitimer(ITIMER_REAL, &timer, NULL);
    }

    for (i = 0; i < sizeof(esd_store_signals) / sizeof(int); i++) {
        (void) sigaction(esd_store_signals[i], &action, NULL);
    }

    if (on) {
        (void) setitimer(ITIMER_REAL, &timer, NULL);
    }
}


void
esd_store_release(esd_dispatcher_t *d)
{
    es_owner_close(&d->owner);
    d->owned = false;
}


void
esd_store_close(esd_dispatcher_t *d)
{
    es_store_close(d->store);
    d->store = NULL;
}


static es_rc_t
esd_store_try(esd_dispatcher_t *d)
{
    es_rc_t       rc;
    es_problem_t  problem;

    rc = es_child_store_open(d->options.store,
                             ES_STORE_DELIVER | ES_STORE_PUBLISH
                             | ES_STORE_CHECKPOINT_READ, &d->store, &problem);
    if (rc != ES_OK) {
        esd_log_line(ESD_LOG_ERROR, "cannot open the store: %s",
                     problem.detail);
        return rc;
    }

    es_actor_program(d->store, "dispatcher");

    return esd_secret_keys_open(d);
}


/* Reads what the start will read, and closes the store. */

static es_rc_t
esd_store_check(esd_dispatcher_t *d)
{
    es_rc_t         rc;
    es_registry_t  *registry;

    rc = esd_secret_keys_load(d, &registry);

    if (rc == ES_OK) {
        es_registry_free(registry);
    } else {
        esd_log_line(ESD_LOG_ERROR, "cannot load the registry: %s",
                     es_reason(rc));
    }

    esd_store_close(d);

    return rc;
}


/* Says for whom the process waits, when that has changed. */

static void
esd_store_say(esd_dispatcher_t *d, long *last)
{
    long  pid;

    pid = es_owner_pid(&d->owner);

    if (pid != *last && pid != 0) {
        esd_log_line(ESD_LOG_INFO, "waiting until the dispatcher with the "
                     "process id %ld ends, which has the store \"%s\"", pid,
                     d->options.store);

    } else if (pid != *last && *last == -1) {
        esd_log_line(ESD_LOG_INFO, "waiting until the dispatcher ends that has "
                     "the store \"%s\"", d->options.store);
    }

    *last = pid;
    esd_service_waits(d, pid);
}


/* A HUP lets the process check again what it has checked before the wait, with
   the present files.  A fault does not end the wait: it may be mended. */

static void
esd_store_check_again(esd_dispatcher_t *d)
{
    es_rc_t  rc;

    esd_store_checks = 0;

    rc = esd_store_try(d);
    esd_store_interrupts(true);     /* a child does not inherit the timer */

    if (rc == ES_OK) {
        rc = esd_store_check(d);
    }

    esd_store_close(d);

    if (rc == ES_OK) {
        esd_log_line(ESD_LOG_INFO, "checked again: this dispatcher can start");
    }
}


/* Waits for the lock.  ES_OK: this process has it; or the wait must begin anew,
   because the directory is another store, or end, because of a signal. */

static es_rc_t
esd_store_wait(esd_dispatcher_t *d)
{
    long     pid;
    es_rc_t  rc;

    pid = -1;
    rc = ES_BUSY;

    esd_store_interrupts(true);

    while (rc == ES_BUSY && esd_store_ends == 0
           && es_owner_store(d->options.store, &d->owner)
              != ES_OWNER_REPLACED)
    {
        if (esd_store_checks) {
            esd_store_check_again(d);
        }

        esd_store_say(d, &pid);
        rc = es_owner_await(&d->owner);
    }

    esd_store_interrupts(false);

    d->owned = rc == ES_OK;

    if (esd_store_ends != 0) {
        esd_log_line(ESD_LOG_INFO, "signal %d: the wait ends",
                     (int) esd_store_ends);
        d->stopping = true;
        esd_service_stops(d);
    }

    return rc == ES_BUSY ? ES_OK : rc;
}


/* The store is open.  ES_EXISTS: another dispatcher has it. */

static es_rc_t
esd_store_lock(esd_dispatcher_t *d)
{
    es_rc_t  rc;

    if (d->owned
        && es_owner_store(d->options.store, &d->owner) == ES_OWNER_SAME)
    {
        return ES_OK;
    }

    if (d->owner.fd != -1) {
        esd_log_line(ESD_LOG_WARN, "the directory \"%s\" is another store than "
                     "before the wait", d->options.store);
        es_owner_close(&d->owner);
    }

    rc = es_owner_open(d->options.store, &d->owner);

    if (rc == ES_OK) {
        rc = es_owner_take(&d->owner);
    }

    d->owned = rc == ES_OK;

    if (rc != ES_OK && rc != ES_EXISTS) {
        esd_log_line(ESD_LOG_ERROR, "cannot lock the store: %s",
                     es_reason(rc));
    }

    return rc;
}


static void
esd_store_refuse(const esd_dispatcher_t *d)
{
    long  pid;

    pid = es_owner_pid(&d->owner);

    if (pid != 0) {
        esd_log_line(ESD_LOG_ERROR, "another dispatcher runs on the store "
                     "\"%s\", with the process id %ld", d->options.store, pid);
    } else {
        esd_log_line(ESD_LOG_ERROR, "another dispatcher runs on the store "
                     "\"%s\"", d->options.store);
    }
}


es_rc_t
esd_store_open(esd_dispatcher_t *d)
{
    es_rc_t  rc;

    for ( ;; ) {
        rc = esd_store_try(d);

        if (rc == ES_OK) {
            rc = esd_store_lock(d);
        }

        if (rc != ES_EXISTS) {
            return rc;
        }

        if (!d->options.wait) {
            esd_store_refuse(d);
            return rc;
        }

        rc = esd_store_check(d);

        if (rc == ES_OK) {
            rc = esd_store_wait(d);
        }

        if (rc != ES_OK || d->stopping) {
            return rc;
        }
    }
}
