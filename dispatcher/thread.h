/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A thread beside the loop's, which waits until it is told to do
 * something or to end.
 */

#ifndef ES_HELPER_H
#define ES_HELPER_H

#include <pthread.h>
#include <time.h>

#include "base/base.h"

typedef struct {
    pthread_t        thread;
    pthread_mutex_t  lock;     /* of what is said to it and by it */
    pthread_cond_t   cond;
    bool             started;
    bool             quit;     /* it is to end; under the lock */
} es_helper_t;

/* Runs `run` with `ctx`; `name` has at most 15 bytes.  ES_IO: there can be no
   thread. */
es_rc_t es_helper_start(es_helper_t *helper, const char *name,
    void *(*run)(void *ctx), void *ctx);

/* Tells it to end and waits for that.  False when it was not started. */
bool es_helper_finish(es_helper_t *helper);

void es_helper_lock(es_helper_t *helper);
void es_helper_unlock(es_helper_t *helper);

/* The time, `seconds` from now, that a wait is to last until. */
void es_helper_after(struct timespec *until, int seconds);

/* All three with the lock.  The wait ends when it is woken, or for no reason;
   false: when the time, of es_helper_after(), has come. */
void es_helper_wake(es_helper_t *helper);
void es_helper_wait(es_helper_t *helper);
bool es_helper_wait_until(es_helper_t *helper, const struct timespec *until);

#endif /* ES_HELPER_H */
