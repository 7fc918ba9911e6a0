/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A thread beside the loop's, which waits until it is told to do
 * something or to end.
 */

#ifndef ESD_THREAD_H
#define ESD_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "base/base.h"

typedef struct {
    pthread_t        id;
    pthread_mutex_t  lock;     /* of what is said to it and by it */
    pthread_cond_t   cond;
    bool             started;
    bool             quit;     /* it is to end; under the lock */
} esd_thread_t;

/* Runs `run` with `ctx`; `name` has at most 15 bytes.  ES_IO: there can be no
   thread. */
es_rc_t esd_thread_start(esd_thread_t *thread, const char *name,
    void *(*run)(void *ctx), void *ctx);

/* Tells it to end and waits for that.  False when it was not started. */
bool esd_thread_finish(esd_thread_t *thread);

void esd_thread_lock(esd_thread_t *thread);
void esd_thread_unlock(esd_thread_t *thread);

/* The time, `seconds` from now, that a wait is to last until. */
void esd_thread_deadline(struct timespec *until, int seconds);

/* All three with the lock.  The wait ends when it is woken, or for no reason;
   false: when the time, of esd_thread_deadline(), has come. */
void esd_thread_wake(esd_thread_t *thread);
void esd_thread_wait(esd_thread_t *thread);
bool esd_thread_wait_until(esd_thread_t *thread, const struct timespec *until);

#endif /* ESD_THREAD_H */
