/* SPDX-License-Identifier: BSD-2-Clause */

/* A full environment: additions are refused, removals are not, and no mapped
   file has holes. */

#include <sys/stat.h>
#include <unistd.h>

#include "delivery/delivery.h"
#include "open/open.h"
#include "store/env.h"
#include "store/store.h"
#include "tap.h"

#define VALUE   6000           /* bytes: pages of their own */
#define ROUNDS  40

static const es_env_db_t  dbs[] = {
    { "things", 0, NULL, false },
    { NULL, 0, NULL, false }
};

static char         dir[] = "/tmp/eventsync-room-XXXXXX";
static es_env_t    *env;
static uint64_t     limit;
static unsigned     number;    /* of the next thing */
static unsigned     most;      /* that one run of remove_some() took on */
static es_slice_t   slice;


static uint64_t
limit_now(void *ctx)
{
    (void) ctx;

    return limit;
}


static es_rc_t
add(MDB_txn *txn, void *ctx)
{
    char     value[VALUE] = { 0 };
    MDB_val  k, v;

    (void) ctx;

    k.mv_data = &number;
    k.mv_size = sizeof(number);
    v.mv_data = value;
    v.mv_size = sizeof(value);

    return es_env_rc(mdb_put(txn, es_env_dbi(env, 0), &k, &v, 0));
}


/* Removes as much as the slice says; `ctx`: how many runs there were. */

static es_rc_t
remove_some(MDB_txn *txn, void *ctx)
{
    int          rc;
    MDB_val      k, v;
    unsigned     n;
    MDB_cursor  *cursor;

    ++*(unsigned *) ctx;
    most = slice.max > most ? slice.max : most;

    if (mdb_cursor_open(txn, es_env_dbi(env, 0), &cursor) != 0) {
        return ES_IO;
    }

    rc = 0;

    for (n = 0; rc == 0 && n < slice.max; n++) {
        rc = mdb_cursor_get(cursor, &k, &v, MDB_FIRST);
        if (rc == 0) {
            rc = mdb_cursor_del(cursor, 0);
        }
    }

    mdb_cursor_close(cursor);

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


static es_rc_t
full_if_many(MDB_txn *txn, void *ctx)
{
    (void) txn;

    ++*(unsigned *) ctx;

    return slice.max > 3 ? es_env_rc(MDB_MAP_FULL) : ES_OK;
}


/* Adds until there is no room; how many there are. */

static unsigned
fill(void)
{
    unsigned  n;
    es_rc_t   rc;

    for (n = 0; (rc = es_env_update(env, add, NULL)) == ES_OK; n++) {
        number++;
    }

    return rc == ES_FULL ? n : 0;
}


static void
open_env(void)
{
    es_env_options_t  options = { 0 };

    limit = 1 << 20;
    options.dir = dir;
    options.writable = true;
    options.create = true;
    options.map_initial = 1 << 18;
    options.map_max = limit;
    options.reserve = 1 << 18;
    options.step = 1 << 14;
    options.remedy = "remove things";
    options.dbs = dbs;
    options.limit = limit_now;

    if (es_env_open(&options, &env) != ES_OK) {
        printf("Bail out! cannot open %s\n", dir);
        exit(1);
    }
}


static void
test_full(void)
{
    char      words[400];
    unsigned  n, i, runs, bad;

    n = fill();
    ok(n > 50 && n < 128, "at map_max nothing can be added");

    (void) snprintf(words, sizeof(words), "store full: %s/ has reached map_max "
                    "(1048576 bytes): remove things, or raise it in the file "
                    "\"format\"", strrchr(dir, '/') + 1);
    ok(strcmp(es_reason(ES_FULL), words) == 0, "the reason says so");

    bad = 0;
    runs = 0;

    for (i = 0; i < ROUNDS; i++) {
        slice.most = 1;
        slice.max = 1;
        bad += es_env_shrink(env, remove_some, &runs, &slice) != ES_OK;
        bad += fill() > 2;
    }

    is_int(bad, 0, "one can be removed and another added, again and again");

    slice.most = 1000;
    slice.max = 1000;
    is_int(es_env_shrink(env, remove_some, &runs, &slice), ES_OK,
           "all can be removed");
    ok(fill() >= n - 5, "and as many be added again");

    limit = 1 << 21;
    ok(fill() > 50, "a limit that was raised holds at once");
}


static void
test_slices(void)
{
    unsigned  runs = 0;

    slice.most = 100;
    slice.max = 100;
    is_int(es_env_shrink(env, full_if_many, &runs, &slice), ES_OK,
           "what does not fit is made smaller");
    is_int(runs, 4, "in some steps");
    is_int(slice.max, 2, "and greater after a success");
}


static void
test_holes(void)
{
    char         path[100];
    struct stat  st;

    es_env_close(env);
    open_env();

    (void) snprintf(path, sizeof(path), "%s/lock.mdb", dir);
    ok(stat(path, &st) == 0 && st.st_blocks * 512 >= st.st_size,
       "the reader table has its place on disk");

    (void) snprintf(path, sizeof(path), "%s/data.mdb", dir);
    ok(stat(path, &st) == 0 && st.st_blocks * 512 >= st.st_size,
       "and so have the pages that are kept back");
}


static es_rc_t
count(void *ctx, const es_retry_t *retry)
{
    *(uint64_t *) ctx = *(uint64_t *) ctx * 10 + retry->sequence;

    return ES_OK;
}


/* Changes that are joined happen in their order. */

static void
test_joined(void)
{
    char             path[100];
    uint64_t         seen = 0;
    es_retry_t       retry = { .endpoint = 1, .feed = 1 };
    es_store_t      *store;
    es_changeset_t  *first, *later;
    es_problem_t     problem;

    (void) snprintf(path, sizeof(path), "%s/store", dir);
    first = es_changeset_create();
    later = es_changeset_create();

    if (first == NULL || later == NULL
        || es_store_create(path, &problem) != ES_OK
        || es_store_open(path, ES_STORE_DELIVER, &store, &problem) != ES_OK)
    {
        printf("Bail out! no store\n");
        exit(1);
    }

    for (retry.sequence = 1; retry.sequence < 4; retry.sequence++) {
        (void) es_changeset_retry(first, &retry);
    }

    (void) es_changeset_retry_done(later, 1, 1, 2);

    ok(es_changeset_join(first, later) == ES_OK && es_changeset_empty(later)
       && es_changeset_join(first, later) == ES_OK
       && es_delivery_commit(store, first) == ES_OK
       && es_delivery_each_retry(store, 0, count, &seen) == ES_OK,
       "changes are joined");
    is_int((int64_t) seen, 13, "and happen in their order");

    es_changeset_destroy(first);
    es_changeset_destroy(later);
    es_store_close(store);
}


int
main(void)
{
    char  command[100];

    if (mkdtemp(dir) == NULL) {
        printf("Bail out! no directory\n");
        return 1;
    }

    open_env();
    test_full();
    test_slices();
    test_holes();
    es_env_close(env);
    test_joined();

    (void) snprintf(command, sizeof(command), "rm -r %s", dir);
    ok(system(command) == 0, "all of it is gone");

    return done();
}
