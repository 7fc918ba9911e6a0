/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Keeps a long job to a number of bytes a second, so that it leaves disk and
 * processor to others, and says how far it is.
 */

#ifndef ES_PACE_H
#define ES_PACE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/base.h"

typedef struct {
    uint64_t         rate;     /* bytes a second; 0: no limit */
    int64_t          due_us;   /* when the next bytes may follow, monotonic;
                                  0: at once */
    atomic_bool      stop;     /* the job is in vain; it may end */
    pthread_mutex_t  lock;     /* of the rest; zeroed: free */
    uint64_t         done;     /* bytes that es_pace_done() has counted */
    void           (*progress)(uint64_t done);     /* is told that; NULL:
                                                      nobody is */
} es_pace_t;

/* Sleeps until `bytes` more bytes may follow.  Time that was not used is lost
   but for a moment, so there are no bursts.  One thread at a time. */
void es_pace(es_pace_t *pace, uint64_t bytes);

/* Counts bytes that were copied.  Any thread may call it. */
void es_pace_done(es_pace_t *pace, uint64_t bytes);

/* Nobody is told any more when this returns. */
void es_pace_hush(es_pace_t *pace);

#endif /* ES_PACE_H */
