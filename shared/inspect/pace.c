/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sleeps between the pieces of a long job.
 */

#include <unistd.h>

#include "base/clock.h"
#include "inspect/pace.h"

#define ES_PACE_BURST_US  20000    /* at most this time can be made up for */


void
es_pace(es_pace_t *pace, uint64_t bytes)
{
    int64_t  now_us;

    if (pace->rate == 0) {
        return;
    }

    now_us = es_clock_mono_us();

    if (pace->due_us < now_us - ES_PACE_BURST_US) {
        pace->due_us = now_us - ES_PACE_BURST_US;
    }

    while (now_us < pace->due_us && !atomic_load(&pace->stop)) {
        (void) usleep(pace->due_us - now_us < 999999
                      ? (useconds_t) (pace->due_us - now_us) : 999999);
        now_us = es_clock_mono_us();
    }

    pace->due_us += (int64_t) ((double) bytes * 1e6 / (double) pace->rate);
}


void
es_pace_done(es_pace_t *pace, uint64_t bytes)
{
    (void) pthread_mutex_lock(&pace->lock);

    pace->done += bytes;

    if (pace->progress != NULL) {
        pace->progress(pace->done);
    }

    (void) pthread_mutex_unlock(&pace->lock);
}


void
es_pace_hush(es_pace_t *pace)
{
    (void) pthread_mutex_lock(&pace->lock);
    pace->progress = NULL;
    (void) pthread_mutex_unlock(&pace->lock);
}
