/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A thread beside the loop, which waits for work or for its end.
 */

#ifndef ESD_THREAD_H
#define ESD_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "base/base.h"

typedef struct {
    pthread_t        id;
    pthread_mutex_t  lock;     /* protects what both threads access */
    pthread_cond_t   cond;
    bool             started;
    bool             quit;     /* the thread must end; under the lock */
    const char      *name;
    void          *(*run)(void *ctx);
    void            *ctx;
} esd_thread_t;

/* Runs `run` with `ctx`; `name` has at most 15 bytes,
   and outlives the thread.  ES_IO: no thread can be
   created. */
es_rc_t esd_thread_start(esd_thread_t *thread, const char *name,
    void *(*run)(void *ctx), void *ctx);

/* Ends the thread and waits for it.  False: it was not started. */
bool esd_thread_finish(esd_thread_t *thread);

void esd_thread_lock(esd_thread_t *thread);
void esd_thread_unlock(esd_thread_t *thread);

/* Sets the deadline of a wait, `seconds` from now. */
void esd_thread_deadline(struct timespec *until, int seconds);

/* All three require the lock.  A wait ends when the thread is woken, or
   spuriously.  False: the deadline has passed. */
void esd_thread_wake(esd_thread_t *thread);
void esd_thread_wait(esd_thread_t *thread);
bool esd_thread_wait_until(esd_thread_t *thread, const struct timespec *until);

#endif /* ESD_THREAD_H */
