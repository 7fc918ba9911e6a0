/* SPDX-License-Identifier: BSD-2-Clause */

/* Events in answers by feed, also of more feeds than there is room for, and in
   several processes. */

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "limit/batches.h"
#include "tap.h"

#define FEEDS    40
#define RACED    50000
#define ROUNDS   4
#define WORKERS  3


static es_batches_t *
make(size_t feeds)
{
    es_batches_t  *batches;

    batches = mmap(NULL, es_batches_size(feeds), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (batches == MAP_FAILED) {
        exit(1);
    }

    es_batches_init(batches, feeds);

    return batches;
}


static bool
are(const es_batches_t *batches, uint32_t feed, uint64_t answers,
    uint64_t events)
{
    es_batch_figures_t  figures;

    es_batches_get(batches, feed, &figures);

    return figures.answers == answers && figures.events == events;
}


static void
test_bound(void)
{
    uint32_t       i;
    unsigned       wrong;
    es_batches_t  *batches;

    batches = make(FEEDS);
    ok(are(batches, 7, 0, 0) && are(batches, 0, 0, 0), "nothing was read");

    for (i = 1; i <= FEEDS + 5; i++) {
        es_batches_count(batches, i, i);
        es_batches_count(batches, i, 1);
    }

    wrong = 0;

    for (i = 1; i <= FEEDS; i++) {
        wrong += !are(batches, i, 2, i + 1);
    }

    ok(wrong == 0, "each feed has its own figures");
    ok(are(batches, FEEDS + 1, 0, 0)
       && are(batches, 0, 10, 5 * FEEDS + 15 + 5),
       "those beyond the bound are together");

    batches = make(1);
    es_batches_count(batches, 9, 3);
    es_batches_count(batches, 8, 4);
    ok(are(batches, 9, 1, 3) && are(batches, 8, 0, 0)
       && are(batches, 0, 1, 4), "room for one");
}


/* All processes begin at the same time, and take the records of all feeds. */

static void
test_race(void)
{
    int              k;
    uint32_t         i, n;
    unsigned         wrong;
    es_batches_t    *batches;
    _Atomic int     *ready;

    batches = make(RACED);
    ready = mmap(NULL, sizeof(*ready), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ready == MAP_FAILED) {
        exit(1);
    }

    for (k = 0; k < WORKERS; k++) {
        if (fork() == 0) {
            atomic_fetch_add(ready, 1);
            while (atomic_load(ready) < WORKERS) { /* void */ }

            for (n = 0; n < ROUNDS; n++) {
                for (i = 1; i <= RACED; i++) {
                    es_batches_count(batches, i, 2);
                }
            }

            _exit(0);
        }
    }

    while (wait(NULL) > 0) { /* void */ }

    wrong = 0;

    for (i = 1; i <= RACED; i++) {
        wrong += !are(batches, i, WORKERS * ROUNDS, 2 * WORKERS * ROUNDS);
    }

    ok(wrong == 0 && are(batches, 0, 0, 0), "no process loses a count");
}


int
main(void)
{
    test_bound();
    test_race();

    return done();
}
