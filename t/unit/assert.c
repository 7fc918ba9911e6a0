/* SPDX-License-Identifier: BSD-2-Clause */

/* Assertions: a broken invariant ends the process. */

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/assert.h"
#include "event/batch.h"
#include "log/feed.h"
#include "log/feed_record.h"
#include "open/open.h"
#include "publish/append.h"
#include "publish/dirty_subjects.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"
#include "tap.h"

#define MESSAGE_MAX  1024

typedef void (*act_fn)(es_store_t *store);

static char  dir[] = "/tmp/eventsync-assert-XXXXXX";


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


/* Runs `act` in a child that opens the store, and fills `message` with the
   child's standard error.  Returns the child's status. */

static int
run(act_fn act, char message[MESSAGE_MAX])
{
    int            fds[2], status;
    pid_t          pid;
    size_t         len;
    ssize_t        n;
    struct rlimit  no_core = { 0, 0 };

    (void) fflush(stdout);

    if (pipe(fds) != 0 || (pid = fork()) == -1) {
        printf("Bail out! no child\n");
        exit(1);
    }

    if (pid == 0) {
        (void) setrlimit(RLIMIT_CORE, &no_core);
        (void) dup2(fds[1], STDERR_FILENO);
        (void) signal(SIGABRT, SIG_DFL);
        act(open_store());
        _exit(0);
    }

    (void) close(fds[1]);

    for (len = 0; len < MESSAGE_MAX - 1; len += (size_t) n) {
        n = read(fds[0], message + len, MESSAGE_MAX - 1 - len);
        if (n <= 0) {
            break;
        }
    }

    message[len] = '\0';
    (void) close(fds[0]);
    (void) waitpid(pid, &status, 0);

    return status;
}


static void
aborts(act_fn act, const char *condition, const char *name)
{
    int   status;
    char  message[MESSAGE_MAX];

    status = run(act, message);

    ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT, "%s: SIGABRT", name);

    if (!ok(strstr(message, "assertion failed: ") != NULL
            && strstr(message, condition) != NULL,
            "%s: the line names the condition", name))
    {
        printf("# %s\n", message);
    }
}


static void
holds(es_store_t *store)
{
    (void) store;
    ES_ASSERT(store != NULL);
}


static void
end_twice(es_store_t *store)
{
    es_txn_t  *txn;

    if (es_txn_begin(store, &txn) == ES_OK) {
        es_txn_end(txn);
        es_txn_end(txn);
    }
}


static void
close_while_reading(es_store_t *store)
{
    es_txn_t  *txn;

    if (es_txn_begin(store, &txn) == ES_OK) {
        es_store_close(store);
    }
}


/* Writes a commit's only event `gap` sequences after the one that is next. */

static es_rc_t
write_at(es_commit_t *c, MDB_txn *txn, uint64_t gap)
{
    es_rc_t       rc;
    es_append_t  *append;

    append = c->appends;

    rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(c->store->log,
                                                   ES_LOG_EVENTS),
                                   &c->events));
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_feed_load(c->store, txn, es_lit("f"), &append->feed);

    if (rc == ES_OK) {
        c->txn = txn;
        append->first = append->feed.last + 1 + gap;
        rc = es_append_write(c, append);
    }

    mdb_cursor_close(c->events);
    es_dirty_subjects_free(&c->dirty);

    return rc;
}


static es_rc_t
write_next(MDB_txn *txn, void *ctx)
{
    return write_at(ctx, txn, 0);
}


static es_rc_t
write_beyond(MDB_txn *txn, void *ctx)
{
    return write_at(ctx, txn, 1);
}


static void
publish(es_store_t *store, es_env_fn write)
{
    es_batch_t        *batch;
    es_append_t        append = { 0 };
    es_commit_t        c = { 0 };
    es_problem_t       problem;
    const es_draft_t  *draft;

    static const char  json[] =
        "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/a\","
        "\"type\":\"t\",\"subject\":\"s\"}";

    batch = es_batch_create(es_lit("f"), NULL);

    if (es_feed_create(store, es_lit("f"), &(es_feed_options_t) { 0 },
                       &append.feed) != ES_OK
        || es_batch_add(batch, json, sizeof(json) - 1, &problem) != ES_OK
        || es_batch_seal(batch) != ES_OK)
    {
        _exit(1);
    }

    draft = batch->drafts;
    append.drafts = &draft;
    append.n = 1;
    c.store = store;
    c.appends = &append;

    if (es_env_update(store->log, write, &c) != ES_OK) {
        _exit(1);
    }
}


static void
publish_next(es_store_t *store)
{
    publish(store, write_next);
}


static void
publish_beyond(es_store_t *store)
{
    publish(store, write_beyond);
}


/* The log after a commit that an assertion has ended. */

static void
test_log(const char *name)
{
    es_rc_t      rc;
    es_txn_t    *txn;
    es_feed_t    feed = { 0 };
    es_store_t  *store;

    store = open_store();
    rc = es_txn_begin(store, &txn);

    if (rc == ES_OK) {
        rc = es_feed_get(txn, es_lit("f"), &feed);
        es_txn_end(txn);
    }

    ok(rc == ES_OK && feed.last == 0, "%s", name);

    (void) es_feed_remove(store, es_lit("f"));
    es_store_close(store);
}


int
main(void)
{
    char          message[MESSAGE_MAX], command[64];
    es_problem_t  problem;

    if (mkdtemp(dir) == NULL || es_store_create(dir, &problem) != ES_OK) {
        printf("Bail out! no store\n");
        return 1;
    }

    is_int(run(holds, message), 0, "a condition that holds does nothing");

    aborts(end_twice, "txn->open", "I8, a read transaction that ends twice");
    aborts(close_while_reading, "store->reading == 0",
           "I8, a store that is closed while somebody reads");

    aborts(publish_beyond, "append->feed.last + 1",
           "I1, an event that leaves a gap after the last");
    test_log("the log has nothing of that commit");
    is_int(run(publish_next, message), 0, "the next event is written");

    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
