/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Starts and ends threads.
 */

#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "base/reason.h"

#include "thread.h"


es_rc_t
esd_thread_start(esd_thread_t *thread, const char *name,
    void *(*run)(void *ctx), void *ctx)
{
    int  err;

    (void) pthread_mutex_init(&thread->lock, NULL);
    (void) pthread_cond_init(&thread->cond, NULL);

    err = pthread_create(&thread->id, NULL, run, ctx);
    if (err != 0) {
        return es_refused(err, "make a thread", name);
    }

    (void) pthread_setname_np(thread->id, name);
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


/* The kernel's clock, past the C library, as the wait below is the kernel's: a
   clock that only this process believes in would make it last for ever. */

void
esd_thread_deadline(struct timespec *until, int seconds)
{
    (void) syscall(SYS_clock_gettime, CLOCK_MONOTONIC, until);
    until->tv_sec += seconds;
}


/*
 * Nobody waits longer because the wall clock was put back.  The clock is named
 * at the wait: pthread_cond_timedwait() on a condition that has it as an
 * attribute returns at once, and again and again, under libfaketime.
 */

bool
esd_thread_wait_until(esd_thread_t *thread, const struct timespec *until)
{
    return pthread_cond_clockwait(&thread->cond, &thread->lock,
                                  CLOCK_MONOTONIC, until) == 0;
}
