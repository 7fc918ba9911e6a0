/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Chunks that have to be read from disk.
 *
 * Distant chunks cost one disk read each, and all that the same thread serves
 * waits for it.  For chunks in memory this must cost nothing.  So only after
 * some chunks have taken long is the kernel asked whether it had to read; the
 * thread may have waited for the processor instead.
 */

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "read/walk.h"

#define ES_COLD_ASK    16      /* chunks whose time is taken ... */
#define ES_COLD_US     500     /* ... and the time that counts as long */
#define ES_COLD_BYTES  65536   /* of a chunk; the rest of a large event is
                                  read as it is sent */


/* Returns the disk reads that this thread has waited for. */

static long
es_walk_faults(void)
{
    struct rusage  usage;

    return getrusage(RUSAGE_THREAD, &usage) == 0 ? usage.ru_majflt : 0;
}


void
es_walk_warm(es_walk_t *walk)
{
    walk->asked_us = es_clock_mono_us();
    walk->faults = ES_WALK_UNKNOWN;
}


void
es_walk_looked(es_walk_t *walk, unsigned n)
{
    long     faults;
    int64_t  now_us, took_us;

    if (walk->cold > 0) {
        walk->cold += n;
        return;
    }

    walk->looked += n;

    if (walk->looked < ES_COLD_ASK) {
        return;
    }

    walk->looked = 0;
    now_us = es_clock_mono_us();
    took_us = now_us - walk->asked_us;
    walk->asked_us = now_us;

    if (took_us <= ES_COLD_US) {
        return;
    }

    faults = es_walk_faults();
    walk->cold = walk->faults != ES_WALK_UNKNOWN && walk->faults != faults;
    walk->faults = faults;
}


void
es_walk_advise(const es_walk_t *walk, const MDB_val *value)
{
    size_t     len;
    uintptr_t  from, page;

    if (walk->cold == 0) {
        return;
    }

    page = (uintptr_t) sysconf(_SC_PAGESIZE);
    from = (uintptr_t) value->mv_data & ~(page - 1);
    len = value->mv_size < ES_COLD_BYTES ? value->mv_size : ES_COLD_BYTES;

    /* This is a hint: the chunk is read in any case. */

    (void) madvise((void *) from, (uintptr_t) value->mv_data + len - from,
                   MADV_WILLNEED);
}
