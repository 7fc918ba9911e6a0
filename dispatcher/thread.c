/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Threads beside the loop: starting, waking and ending them.
 */

#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/reason.h"

#include "thread.h"


/* A thread names itself: for another one, the C library would write a file of
   /proc, which the sandbox refuses. */

static void *
esd_thread_main(void *arg)
{
    esd_thread_t  *thread;

    thread = arg;
    (void) prctl(PR_SET_NAME, thread->name, 0, 0, 0);

    return thread->run(thread->ctx);
}


es_rc_t
esd_thread_start(esd_thread_t *thread, const char *name,
    void *(*run)(void *ctx), void *ctx)
{
    int  err;

    (void) pthread_mutex_init(&thread->lock, NULL);
    (void) pthread_cond_init(&thread->cond, NULL);

    thread->name = name;
    thread->run = run;
    thread->ctx = ctx;

    err = pthread_create(&thread->id, NULL, esd_thread_main, thread);
    if (err != 0) {
        return es_refused(err, "create a thread", name);
    }

    thread->started = true;

    return ES_OK;
}


bool
esd_thread_finish(esd_thread_t *thread)
{
    if (!thread->started) {
        return false;
    }

    esd_thread_lock(thread);
    thread->quit = true;
    esd_thread_wake(thread);
    esd_thread_unlock(thread);

    (void) pthread_join(thread->id, NULL);
    thread->started = false;

    return true;
}


void
esd_thread_lock(esd_thread_t *thread)
{
    (void) pthread_mutex_lock(&thread->lock);
}


void
esd_thread_unlock(esd_thread_t *thread)
{
    (void) pthread_mutex_unlock(&thread->lock);
}


void
esd_thread_wake(esd_thread_t *thread)
{
    (void) pthread_cond_signal(&thread->cond);
}


void
esd_thread_wait(esd_thread_t *thread)
{
    (void) pthread_cond_wait(&thread->cond, &thread->lock);
}


/* Reads the kernel's clock without the C library, because the wait below uses
   the kernel's: with a faked clock it might never end. */

void
esd_thread_deadline(struct timespec *until, int seconds)
{
    (void) syscall(SYS_clock_gettime, CLOCK_MONOTONIC, until);
    until->tv_sec += seconds;
}


/*
 * The wait uses the monotonic clock, so that setting the wall clock back does
 * not extend it.  The clock is an argument of the wait: under libfaketime,
 * pthread_cond_timedwait() with the clock as an attribute of the condition
 * always returns at once.
 */

bool
esd_thread_wait_until(esd_thread_t *thread, const struct timespec *until)
{
    return pthread_cond_clockwait(&thread->cond, &thread->lock,
                                  CLOCK_MONOTONIC, until) == 0;
}
