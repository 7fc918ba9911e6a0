/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Starts and ends threads.
 */

#include "base/reason.h"
#include <sys/syscall.h>
#include <unistd.h>

#include "thread.h"


es_rc_t
es_helper_start(es_helper_t *helper, const char *name,
    void *(*run)(void *ctx), void *ctx)
{
    int  err;

    (void) pthread_mutex_init(&helper->lock, NULL);
    (void) pthread_cond_init(&helper->cond, NULL);

    err = pthread_create(&helper->thread, NULL, run, ctx);
    if (err != 0) {
        return es_refused(err, "make a thread", name);
    }

    (void) pthread_setname_np(helper->thread, name);
    helper->started = true;

    return ES_OK;
}


bool
es_helper_finish(es_helper_t *helper)
{
    if (!helper->started) {
        return false;
    }

    es_helper_lock(helper);
    helper->quit = true;
    es_helper_wake(helper);
    es_helper_unlock(helper);

    (void) pthread_join(helper->thread, NULL);
    helper->started = false;

    return true;
}


void
es_helper_lock(es_helper_t *helper)
{
    (void) pthread_mutex_lock(&helper->lock);
}


void
es_helper_unlock(es_helper_t *helper)
{
    (void) pthread_mutex_unlock(&helper->lock);
}


void
es_helper_wake(es_helper_t *helper)
{
    (void) pthread_cond_signal(&helper->cond);
}


void
es_helper_wait(es_helper_t *helper)
{
    (void) pthread_cond_wait(&helper->cond, &helper->lock);
}


/* The kernel's clock, past the C library, as the wait below is the kernel's: a
   clock that only this process believes in would make it last for ever. */

void
es_helper_after(struct timespec *until, int seconds)
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
es_helper_wait_until(es_helper_t *helper, const struct timespec *until)
{
    return pthread_cond_clockwait(&helper->cond, &helper->lock,
                                  CLOCK_MONOTONIC, until) == 0;
}
