/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Fairness of the writer's lock: a process that writes in a loop lets a waiting
 * process go first.
 */

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "open/open.h"
#include "store/store.h"
#include "tap.h"

#define ROUNDS   20
#define TRIES    10000    /* of a millisecond: nothing here takes so long */
#define LOOPING  1
#define WAITING  2

typedef struct {
    atomic_int  round;      /* the lock is held, and to be waited for */
    atomic_int  first;      /* who had it next */
    atomic_int  done;       /* the last round in which the other had it */
} shared_t;

static char       dir[] = "/tmp/eventsync-fair-XXXXXX";
static int        queue;
static shared_t  *shared;


static es_store_t *
open_store(void)
{
    es_store_t    *store;
    es_problem_t   problem;

    if (es_store_open(dir, ES_STORE_PUBLISH, &store, &problem) != ES_OK) {
        printf("Bail out! %s\n", problem.detail);
        exit(1);
    }

    return store;
}


static bool
somebody_waits(void)
{
    struct flock  lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

    return fcntl(queue, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}


/* Keeps the lock until the other process is there. */

static es_rc_t
hold(MDB_txn *txn, void *ctx)
{
    int  tries;

    (void) txn;

    atomic_store(&shared->first, 0);
    atomic_store(&shared->round, *(int *) ctx);

    for (tries = 0; tries < TRIES && !somebody_waits(); tries++) {
        (void) usleep(1000);
    }

    (void) usleep(5000);

    return ES_OK;
}


static es_rc_t
mark(MDB_txn *txn, void *ctx)
{
    int  none;

    (void) txn;

    none = 0;
    (void) atomic_compare_exchange_strong(&shared->first, &none, *(int *) ctx);

    return ES_OK;
}


static void
wait_rounds(void)
{
    int          round, tries, who;
    es_store_t  *store;

    who = WAITING;
    store = open_store();

    for (round = 1; round <= ROUNDS; round++) {
        for (tries = 0; tries < TRIES && atomic_load(&shared->round) != round;
             tries++)
        {
            (void) usleep(1000);
        }

        (void) es_env_update(store->log, mark, &who);
        atomic_store(&shared->done, round);
    }

    es_store_close(store);
    _exit(0);
}


int
main(void)
{
    int            round, tries, who, status, good;
    char           path[64];
    pid_t          pid;
    es_store_t    *store;
    es_problem_t   problem;

    (void) setvbuf(stdout, NULL, _IONBF, 0);

    shared = mmap(NULL, sizeof(shared_t), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (shared == MAP_FAILED
        || mkdtemp(dir) == NULL
        || es_store_create(dir, &problem) != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    pid = fork();
    if (pid == 0) {
        wait_rounds();
    }

    store = open_store();
    (void) snprintf(path, sizeof(path), "%s/log", dir);
    queue = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    who = LOOPING;
    good = 0;

    for (round = 1; round <= ROUNDS; round++) {
        (void) es_env_update(store->log, hold, &round);
        (void) es_env_update(store->log, mark, &who);

        for (tries = 0; tries < TRIES && atomic_load(&shared->done) != round;
             tries++)
        {
            (void) usleep(1000);
        }

        good += atomic_load(&shared->first) == WAITING;
    }

    ok(waitpid(pid, &status, 0) == pid && status == 0, "both could write");
    ok(good >= ROUNDS / 2, "who waited went first (%d of %d times)", good,
       ROUNDS);
    ok(!somebody_waits(), "and waits no more");

    es_store_close(store);
    (void) close(queue);

    (void) snprintf(path, sizeof(path), "rm -rf %s", dir);

    return system(path) != 0 || done();
}
