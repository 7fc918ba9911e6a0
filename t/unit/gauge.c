/* SPDX-License-Identifier: BSD-2-Clause */

/* The gauge of requests in progress, shared by processes that start, race and
   are killed. */

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "limit/gauge.h"
#include "tap.h"

#define WORKERS  4
#define TRIES    300


static es_gauge_t *
make(size_t words)
{
    es_gauge_t  *gauge;

    gauge = mmap(NULL, es_gauge_size(words), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (gauge == MAP_FAILED) {
        exit(1);
    }

    es_gauge_init(gauge, words);

    return gauge;
}


static void
test_one(void)
{
    es_gauge_t  *gauge;

    gauge = make(16);
    es_gauge_start(gauge, 3);

    ok(es_gauge_enter(gauge, 3, 7, 2) == ES_OK
       && es_gauge_enter(gauge, 3, 7, 2) == ES_OK, "two of two enter");
    ok(es_gauge_enter(gauge, 3, 7, 2) == ES_FULL, "a third does not");
    ok(es_gauge_enter(gauge, 3, 8, 2) == ES_OK, "another key is apart");
    ok(es_gauge_enter(gauge, 3, 7, 3) == ES_OK, "a raised limit holds at once");
    is_int((int64_t) es_gauge_count(gauge, 7), 3, "three are counted");
    es_gauge_leave(gauge, 3, 7);
    es_gauge_leave(gauge, 3, 7);
    ok(es_gauge_enter(gauge, 3, 7, 2) == ES_OK, "who leaves makes room");
    es_gauge_leave(gauge, 3, 99);
    es_gauge_leave(gauge, 3, 8);
    es_gauge_leave(gauge, 3, 8);
    is_int((int64_t) es_gauge_count(gauge, 8), 0, "leaving twice is once");
    ok(es_gauge_enter(gauge, 3, 8, 0) == ES_FULL, "none of none");

    /* as the next process in the same place */

    es_gauge_start(gauge, 3);
    is_int((int64_t) es_gauge_count(gauge, 7), 0,
           "a start drops what the place held");

    ok(es_gauge_enter(gauge, 3, 0, 1) == ES_OK
       && es_gauge_enter(gauge, 3, 0, 1) == ES_FULL, "zero is a key");
}


static void
test_room(void)
{
    uint32_t     i;
    es_gauge_t  *gauge;

    gauge = make(8);
    es_gauge_start(gauge, 0);

    for (i = 0; i < 8; i++) {
        if (es_gauge_enter(gauge, 0, i, 1) != ES_OK) {
            break;
        }
    }

    is_int(i, 8, "every word can be used");
    ok(es_gauge_enter(gauge, 0, 8, 1) == ES_NOMEM, "then there is no room");
    ok(es_gauge_enter(gauge, 0, 5, 9) == ES_OK, "except for who has a word");
    es_gauge_leave(gauge, 0, 2);
    ok(es_gauge_enter(gauge, 0, 8, 1) == ES_OK, "until one is free");
}


/* A process in the place that enters `n` of the key, says so, and stays. */

static pid_t
holder(es_gauge_t *gauge, unsigned place, uint32_t key, int n)
{
    int    i, pipes[2];
    char   byte;
    pid_t  pid;

    if (pipe(pipes) != 0 || (pid = fork()) < 0) {
        exit(1);
    }

    if (pid == 0) {
        es_gauge_start(gauge, place);

        for (i = 0; i < n; i++) {
            (void) es_gauge_enter(gauge, place, key, 1000);
        }

        if (write(pipes[1], "", 1) != 1) {
            _exit(1);
        }

        for ( ;; ) {
            (void) pause();
        }
    }

    if (read(pipes[0], &byte, 1) != 1) {
        exit(1);
    }

    (void) close(pipes[0]);
    (void) close(pipes[1]);

    return pid;
}


static void
slay(pid_t pid)
{
    (void) kill(pid, SIGKILL);
    (void) waitpid(pid, NULL, 0);
}


static void
test_killed(void)
{
    pid_t        a, b;
    es_gauge_t  *gauge;

    gauge = make(64);
    es_gauge_start(gauge, 0);
    a = holder(gauge, 1, 7, 3);
    b = holder(gauge, 2, 7, 2);

    is_int((int64_t) es_gauge_count(gauge, 7), 5, "two processes hold five");
    ok(es_gauge_enter(gauge, 0, 7, 5) == ES_FULL, "which is all");

    slay(a);
    ok(es_gauge_enter(gauge, 0, 7, 5) == ES_OK,
       "what a killed process held is free, though nobody came in its place");
    is_int((int64_t) es_gauge_count(gauge, 7), 3, "all of it, and no more");

    slay(b);
    b = holder(gauge, 2, 9, 1);
    is_int((int64_t) es_gauge_count(gauge, 7), 1,
           "who comes in a killed one's place drops what it held");
    is_int((int64_t) es_gauge_count(gauge, 9), 1, "and counts anew");
    slay(b);

    /* words of the dead make room for other keys */

    gauge = make(2);
    es_gauge_start(gauge, 0);
    a = holder(gauge, 1, 1, 1);
    b = holder(gauge, 2, 2, 1);
    ok(es_gauge_enter(gauge, 0, 3, 1) == ES_NOMEM, "no word is free");
    slay(a);
    ok(es_gauge_enter(gauge, 0, 3, 1) == ES_OK, "the dead's is");
    slay(b);
}


/* Processes that race for the same few, again and again. */

static void
test_race(void)
{
    int                i, status, failed;
    pid_t              pids[WORKERS];
    uint64_t          *entered;
    es_gauge_t        *gauge;

    gauge = make(64);
    entered = mmap(NULL, 2 * sizeof(uint64_t), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (entered == MAP_FAILED) {
        exit(1);
    }

    for (i = 0; i < WORKERS; i++) {
        pids[i] = fork();

        if (pids[i] == 0) {
            unsigned  place = (unsigned) i + 1;
            int       n;

            es_gauge_start(gauge, place);

            for (n = 0; n < TRIES; n++) {
                if (es_gauge_enter(gauge, place, 7, 100) == ES_OK) {
                    (void) __atomic_fetch_add(entered, 1, __ATOMIC_SEQ_CST);
                }
            }

            /* who ended before the others would be found dead */

            (void) __atomic_fetch_add(entered + 1, 1, __ATOMIC_SEQ_CST);

            while (__atomic_load_n(entered + 1, __ATOMIC_SEQ_CST) < WORKERS) {
                (void) usleep(1000);
            }

            _exit(0);
        }
    }

    failed = 0;

    for (i = 0; i < WORKERS; i++) {
        (void) waitpid(pids[i], &status, 0);
        failed += status != 0;
    }

    is_int(failed, 0, "processes race");
    is_int((int64_t) *entered, 100, "of many at once, exactly the most enter");
    is_int((int64_t) es_gauge_count(gauge, 7), 100, "and are counted");
}


int
main(void)
{
    test_one();
    test_room();
    test_killed();
    test_race();

    return done();
}
