/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The reader table: any process clears the slots of dead ones, a process whose
 * number another PID namespace uses is refused, and a process notices slots of
 * a dead one with its own number.
 */

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/reason.h"
#include "log/feed.h"
#include "open/open.h"
#include "store/reader_table.h"
#include "store/store.h"
#include "tap.h"

static char  dir[] = "/tmp/eventsync-readers-XXXXXX";

/* How a child's opening went. */
typedef struct {
    es_rc_t  rc;
    bool     shadows;
    pid_t    pid;              /* as it is seen here: it still lives */
    char     detail[256];
} opened_t;


static es_store_t *
open_store(unsigned flags)
{
    es_store_t    *store;
    es_problem_t   problem;

    if (es_store_open(dir, flags, &store, &problem) != ES_OK) {
        printf("Bail out! %s\n", problem.detail);
        exit(1);
    }

    return store;
}


static void
publish(es_store_t *store)
{
    int           len;
    char          json[128];
    es_batch_t   *batch;
    es_problem_t  problem;

    static unsigned  n;

    len = snprintf(json, sizeof(json), "{\"specversion\":\"1.0\",\"id\":\"%u\""
                   ",\"source\":\"/s\",\"type\":\"t\"}", ++n);

    batch = es_batch_create(es_lit("a"), NULL);
    (void) es_batch_add(batch, json, (size_t) len, &problem);
    es_publish(store, &batch, 1);
    es_batch_destroy(batch);
}


static es_reader_table_t
look(es_store_t *store)
{
    es_reader_table_t  readers;

    es_reader_table_read(es_env_handle(store->log), &readers);

    return readers;
}


/* Opens the store, takes so many slots, tells, and waits to be killed. */

static void
reader(int out, pid_t seen, unsigned slots)
{
    es_txn_t      *txn;
    opened_t       opened = { 0 };
    es_store_t    *store;
    es_problem_t   problem = { 0 };

    opened.rc = es_store_open(dir, ES_STORE_READ, &store, &problem);
    opened.pid = seen;
    memcpy(opened.detail, problem.detail, sizeof(opened.detail));

    if (opened.rc == ES_OK) {
        opened.shadows = es_store_shadows(store);

        while (slots-- > 0 && es_txn_begin(store, &txn) == ES_OK) {
            /* void */
        }
    }

    (void) !write(out, &opened, sizeof(opened));
    (void) close(out);

    for ( ;; ) {
        (void) pause();
    }
}


/* A reader in a PID namespace of its own, where it is process 1, or in this
   one.  Its parent, which is returned, dies with it. */

static pid_t
start(bool contained, unsigned slots, opened_t *opened)
{
    int    pipes[2];
    pid_t  pid, child;

    memset(opened, 0, sizeof(opened_t));
    opened->rc = ES_IO;

    (void) !pipe(pipes);
    (void) fflush(stdout);

    pid = fork();

    if (pid == 0) {
        if (!contained) {
            reader(pipes[1], getpid(), slots);
        }

        if (unshare(CLONE_NEWPID) != 0) {
            _exit(77);
        }

        child = fork();
        if (child == 0) {
            reader(pipes[1], 0, slots);
        }

        (void) close(pipes[1]);
        (void) waitpid(child, NULL, 0);
        _exit(0);
    }

    (void) close(pipes[1]);
    (void) !read(pipes[0], opened, sizeof(opened_t));
    (void) close(pipes[0]);

    return pid;
}


static void
end(pid_t pid)
{
    char   command[64];
    FILE  *children;
    pid_t  child;

    (void) snprintf(command, sizeof(command), "/proc/%d/task/%d/children",
                    (int) pid, (int) pid);

    children = fopen(command, "r");

    if (children != NULL && fscanf(children, "%d", &child) == 1) {
        (void) kill(child, SIGKILL);

    } else {
        (void) kill(pid, SIGKILL);
    }

    if (children != NULL) {
        (void) fclose(children);
    }

    (void) waitpid(pid, NULL, 0);
}


static void
test_lag(void)
{
    pid_t        pid;
    opened_t     opened;
    es_store_t  *store;

    store = open_store(ES_STORE_PUBLISH);
    publish(store);

    pid = start(false, 1, &opened);
    is_int(opened.rc, ES_OK, "a reader");
    ok(!opened.shadows, "with a number that nobody had");
    is_int((int64_t) (es_store_version(store) - look(store).oldest), 0,
           "reads the present");
    publish(store);
    publish(store);
    is_int((int64_t) (es_store_version(store) - look(store).oldest), 2,
           "and stays behind by two commits");
    end(pid);
    is_int(es_store_reap_readers(store) > 0, true, "when dead it is cleared");
    is_int((int64_t) look(store).oldest, 0, "and nobody reads");

    es_store_close(store);
}


static void
test_full(void)
{
    pid_t        pid;
    es_txn_t    *txn;
    opened_t     opened;
    es_store_t  *store, *other;

    store = open_store(ES_STORE_READ);
    pid = start(false, 2000, &opened);
    is_int((int64_t) look(store).taken, 1022, "a reader takes every slot");
    is_int(es_txn_begin(store, &txn) == ES_OK
           ? es_txn_begin(store, &txn) : ES_BUSY, ES_BUSY,
           "there is none for others");
    end(pid);
    is_int(es_txn_begin(store, &txn), ES_OK, "until it is dead");
    es_txn_end(txn);
    es_store_close(store);

    pid = start(false, 2000, &opened);
    end(pid);
    other = open_store(ES_STORE_READ);
    ok(other != NULL, "a table full of the dead can be opened");
    is_int(look(other).taken < 10, true, "and is cleared by that");
    es_store_close(other);
}


static void
test_namespaces(void)
{
    pid_t        a, b;
    opened_t     opened;
    es_store_t  *store;

    store = open_store(ES_STORE_READ);

    a = start(true, 3, &opened);
    if (opened.rc != ES_OK) {
        end(a);
        printf("# a PID namespace cannot be made here\n");
        es_store_close(store);
        return;
    }

    ok(!opened.shadows, "process 1 of a PID namespace opens the store");

    b = start(true, 1, &opened);
    is_int(opened.rc, ES_TAKEN, "process 1 of another one cannot");
    ok(strstr(opened.detail, "/log\": a process in another PID namespace has "
              "the same process id, 1; run both in one PID namespace")
       != NULL, "and is told why: %s", opened.detail);
    end(b);
    is_int((int64_t) look(store).taken >= 3, true,
           "which leaves the first one's slots alone");

    end(a);
    b = start(true, 1, &opened);
    is_int(opened.rc, ES_OK, "once the first one is killed it can");
    ok(opened.shadows, "and knows of the slots that it keeps from being freed");
    (void) es_store_reap_readers(store);
    is_int((int64_t) look(store).taken >= 4, true, "they are there");
    end(b);
    (void) es_store_reap_readers(store);
    is_int((int64_t) look(store).oldest, 0, "until it ends");

    es_store_close(store);
}


int
main(void)
{
    char          command[64];
    es_feed_t     feed;
    es_store_t   *store;
    es_problem_t  problem;

    if (mkdtemp(dir) == NULL || es_store_create(dir, &problem) != ES_OK) {
        printf("Bail out! no store\n");
        return 1;
    }

    store = open_store(ES_STORE_PUBLISH | ES_STORE_ADMIN);
    (void) es_feed_create(store, es_lit("a"), NULL, &feed);
    es_store_close(store);

    test_lag();
    test_full();
    test_namespaces();

    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);
    (void) !system(command);

    return done();
}
