/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * burn takes processor time at an even rate, and does nothing else.
 *
 *   burn --ms N [--threads 2]
 *
 * All threads together take N milliseconds of processor time in each second,
 * in bursts of 20 ms.  It runs until it is killed.
 */

#include "bench.h"

#include <pthread.h>

#define BURST_NS  UINT64_C(20000000)

typedef struct {
    double  share;             /* of a processor, for each thread */
} burn_t;


static uint64_t
cpu_ns(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}


static void *
burn(void *data)
{
    burn_t           *b = data;
    uint64_t          began, due;
    struct timespec   ts = { 0, 1000000 };

    began = bench_now_ns();

    for ( ;; ) {
        due = (uint64_t) ((double) (bench_now_ns() - began) * b->share);

        if (due < cpu_ns() + BURST_NS) {
            (void) nanosleep(&ts, NULL);
            continue;
        }

        due = cpu_ns() + BURST_NS;
        while (cpu_ns() < due) { /* void */ }
    }

    return NULL;
}


int
main(int argc, char **argv)
{
    long       i, threads;
    burn_t     b;
    pthread_t  thread;

    threads = bench_arg_n(argc, argv, "--threads", "2");
    b.share = (double) bench_arg_n(argc, argv, "--ms", NULL) / 1000
              / (double) threads;

    for (i = 1; i < threads; i++) {
        if (pthread_create(&thread, NULL, burn, &b) != 0) {
            bench_die("cannot create a thread");
        }
    }

    (void) burn(&b);

    return 0;
}
