/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One LMDB environment as this project uses it.
 *
 * A process opens an environment once, after fork().  An open or its first
 * transaction can fail because another process opens or closes at that moment.
 * The library then retries for half a second before it returns the error.
 *
 * Any thread may begin a transaction.  A transaction belongs to one thread
 * until it ends.  The map grows while it is in use: es_env_update() doubles a
 * full map, and every begin adapts to growth by another process.  Both wait
 * until this process has no transaction open, so transactions must be short,
 * and a thread must not nest them.
 *
 * A commit whose meta page cannot be written leaves LMDB's handle unusable,
 * and the state of the disk unknown.  The environment is then lost: reads
 * return ES_BUSY at once, and the next write or es_env_recover() opens it
 * anew.  Before anything else is written, both meta pages are written and
 * synced as every process sees them.
 *
 * LMDB's page buffers of a process may have what was erased since, and only a
 * close frees them.  So the first write after es_env_scrub() (scrub.h) opens
 * the environment anew.  It waits for this process's transactions; reads wait
 * until it is open again.
 *
 * All functions record why the system refused a call (reason.h).
 */

#ifndef ES_ENV_H
#define ES_ENV_H

#include <lmdb.h>

#include "base/base.h"

#define ES_ENV_DBS_MAX  8

typedef struct es_env  es_env_t;

typedef struct {
    const char    *name;
    unsigned       flags;      /* MDB_DUPSORT ... */
    MDB_cmp_func  *order;      /* the order of memcmp(), but faster; or NULL */
    bool           late;       /* made by es_env_late_make(), not with the
                                  environment; only the last one may be */
} es_env_db_t;

typedef struct {
    const char         *dir;
    bool                writable;
    bool                create;        /* make the files and databases */
    uint64_t            map_initial;   /* bytes */
    uint64_t            map_max;       /* bytes; ES_FULL beyond */
    uint64_t            reserve;       /* bytes that only deletions may use */
    uint64_t            step;          /* bytes that the file grows by */
    const char         *remedy;        /* "trim feeds"; not copied */
    const es_env_db_t  *dbs;           /* ends with a NULL name; not copied */

    /* Returns the current `map_max` in bytes.  Called from any thread
       before a write is refused.  May be NULL. */
    uint64_t          (*limit)(void *ctx);
    void               *limit_ctx;

    /*
     * Called before an environment is closed to be opened anew.  It ends what
     * is kept of it, such as reset transactions.  No transaction is open then.
     * May be NULL.
     */
    void              (*drop)(void *ctx);
    void               *drop_ctx;
} es_env_options_t;

/*
 * Opens an environment.  The caller closes it.  ES_TAKEN: a process of another
 * PID namespace has the same process id and has the environment open
 * (reader_table.h).
 */
es_rc_t es_env_open(const es_env_options_t *options, es_env_t **env);
/* The present `map_max` in bytes, of options.limit().  Any thread. */
uint64_t es_env_limit(const es_env_t *env);

/* Fills a problem that says why `dir` could not be opened.  Returns `rc`. */
es_rc_t es_env_problem(es_problem_t *problem, es_rc_t rc, const char *dir);

void es_env_close(es_env_t *env);

/* Returns the handle of the i-th database of the options. */
MDB_dbi es_env_dbi(const es_env_t *env, unsigned i);

/*
 * The late database, which an environment may lack.
 *
 * es_env_late_make() returns its handle within a write transaction, and makes
 * the database if it is missing.  es_env_late_open() is for readers, before
 * they begin their transaction: it finds a database that another process has
 * made since the open.  ES_NOT_FOUND: there is none.
 */
es_rc_t es_env_late_make(es_env_t *env, MDB_txn *txn, MDB_dbi *dbi);
es_rc_t es_env_late_open(es_env_t *env, MDB_dbi *dbi);

/* Begins a read transaction, which es_env_read_end() ends.  ES_BUSY: no
   reader slot is free, or the environment is lost. */
es_rc_t es_env_read_begin(es_env_t *env, MDB_txn **txn);
void es_env_read_end(es_env_t *env, MDB_txn *txn);

/*
 * The same in parts, for callers that keep transactions and renew them.
 * Between es_env_enter() and es_env_leave() the environment stays open and its
 * map stays in place.  After a failed begin or renewal the caller calls
 * es_env_again() in place of es_env_leave(); true: the caller enters again.
 */
es_rc_t es_env_enter(es_env_t *env);
void es_env_leave(es_env_t *env);
MDB_env *es_env_handle(es_env_t *env);
bool es_env_again(es_env_t *env, int mdb_rc, es_rc_t *rc);

/* Returns a number that changes whenever this thread has no transaction open
   any more, of any environment.  Memory that is valid within the transactions
   of a thread can then be reused. */
uint64_t es_env_era(void);

/*
 * Runs `fn` in a write transaction and commits it durably.  If the map is
 * full, it is grown and `fn` runs again from the start, so `fn` must be
 * repeatable.  An outcome of `fn` other than ES_OK aborts the transaction and
 * is returned.
 *
 * Blocks for the writer lock and the disk.
 *
 * ES_FULL: the commit would use the page reserve (page_reserve.h).
 * es_reason() says whether the map or the disk is full; errno is 0 for the
 * map.  ES_IO: the outcome is unknown; the transaction has happened wholly or
 * not at all.
 */
typedef es_rc_t (*es_env_fn)(MDB_txn *txn, void *ctx);

es_rc_t es_env_update(es_env_t *env, es_env_fn fn, void *ctx);

/* How many items one transaction handles: at most `max`, which is never
   above `most`. */
typedef struct {
    unsigned  most;
    unsigned  max;
} es_slice_t;

/*
 * The same for a transaction that frees pages, such as a deletion: it may use
 * the page reserve.  `fn` handles at most `slice->max` items.
 *
 * If the reserve has no room for that, `max` shrinks, down to 1, and `fn` runs
 * again; after a success `max` grows.  So a loop over slices also ends in a
 * full environment.  If not even one item fits, the call waits up to a second
 * for readers that lag behind, and then returns ES_FULL.  es_reason() then
 * names the process of a reader that keeps pages from reuse.
 */
es_rc_t es_env_shrink(es_env_t *env, es_env_fn fn, void *ctx,
    es_slice_t *slice);

/* True after a commit that has made the environment unusable.  A memory
   read. */
bool es_env_lost(es_env_t *env);

/*
 * Opens a lost environment anew, and does nothing with one that is not lost.
 * Waits for this process's transactions and for the disk.  After an outcome
 * other than ES_OK it is still lost, and the caller may try again.
 */
es_rc_t es_env_recover(es_env_t *env);

/*
 * Writes a copy of the environment, without its free pages, to `fd`.  The copy
 * is one read transaction: until it ends, writers cannot reuse the pages that
 * they free.  ES_IO, ES_FULL: errno says why `fd` could not be written.
 */
es_rc_t es_env_copy(es_env_t *env, int fd);

/* Returns how many bytes of its file the environment uses, free pages among them
   included.  0: it is lost.  A memory read. */
uint64_t es_env_bytes(es_env_t *env);

/* Returns the number of the last commit.  A memory read. */
uint64_t es_env_version(es_env_t *env);

/* Frees reader slots of dead processes and returns their number.  An open
   does the same, and so does a writer once in ten seconds. */
int es_env_reap(es_env_t *env);

/* True if the reader table had slots of a dead process with this process's
   id at the open.  Nobody can free them while this process lives. */
bool es_env_shadows(const es_env_t *env);

/* Turns a result of LMDB, or an errno, into an outcome.  ES_IO is recorded. */
es_rc_t es_env_rc(int mdb_rc);

#endif /* ES_ENV_H */
