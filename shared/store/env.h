/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One LMDB environment as this project uses it.
 *
 * Opened once per process, after fork().  An open, or its first transaction,
 * can fail because another process opens or closes at that very moment: it is
 * closed and tried again for half a second, then the error stands.
 *
 * Any thread may begin transactions; a transaction belongs to one thread until
 * it ends.  The map grows online: es_env_update() doubles it when it is full,
 * and every begin adapts to growth by another process; both wait until this
 * process has no transaction open, which is why transactions must be short and
 * never nested in a thread.
 *
 * A commit whose meta page cannot be written leaves LMDB's handle unusable,
 * and what is on disk unknown.  The environment is then lost: reads answer
 * ES_BUSY at once, and whoever writes next, or calls es_env_recover(), opens
 * it anew.  Nothing is written before both meta pages are on disk as every
 * process sees them.
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
    MDB_cmp_func  *order;      /* as memcmp() would, but faster; or NULL */
} es_env_db_t;

typedef struct {
    const char         *dir;
    bool                writable;
    bool                create;        /* make the files and databases */
    uint64_t            map_initial;   /* bytes */
    uint64_t            map_max;       /* bytes; ES_FULL beyond */
    uint64_t            reserve;       /* bytes for deletions only */
    uint64_t            step;          /* bytes that the file grows by */
    const char         *remedy;        /* "trim feeds"; stays */
    const es_env_db_t  *dbs;           /* ends with a NULL name; stays */

    /* What `map_max` is now, in bytes: asked before a write is refused, from
       any thread.  May be NULL. */
    uint64_t          (*limit)(void *ctx);
    void               *limit_ctx;

    /* Before a lost environment is closed: ends what is kept of it, such as
       reset transactions.  No transaction is open then.  May be NULL. */
    void              (*drop)(void *ctx);
    void               *drop_ctx;
} es_env_options_t;

/*
 * What the system refuses is recorded (reason.h), as by every function here.
 * ES_TAKEN: a process of another PID namespace has the number of this one and
 * has the environment open (reader_table.h).
 */
es_rc_t es_env_open(const es_env_options_t *options, es_env_t **env);

/* Fills a problem with why `dir` could not be opened; is `rc`. */
es_rc_t es_env_problem(es_problem_t *problem, es_rc_t rc, const char *dir);

void es_env_close(es_env_t *env);

/* Handle of the i-th database of the options. */
MDB_dbi es_env_dbi(const es_env_t *env, unsigned i);

/* A read transaction.  ES_BUSY: no reader slot is free, or it is lost. */
es_rc_t es_env_read_begin(es_env_t *env, MDB_txn **txn);
void es_env_read_end(es_env_t *env, MDB_txn *txn);

/*
 * The same in parts, for who keeps transactions to renew them.  Between
 * es_env_enter() and es_env_leave() the environment is open and its map stays
 * where it is.  When a begin or renewal failed, es_env_again() takes the place
 * of es_env_leave(): true means to try all of it again.
 */
es_rc_t es_env_enter(es_env_t *env);
void es_env_leave(es_env_t *env);
MDB_env *es_env_handle(es_env_t *env);
bool es_env_again(es_env_t *env, int mdb_rc, es_rc_t *rc);

/*
 * Runs `fn` in a write transaction and commits it durably.  When the map is
 * full it is grown and `fn` runs again from the start, so `fn` must be
 * repeatable.  Whatever but ES_OK `fn` returns aborts and is returned.
 * ES_FULL: it would use the page reserve; es_reason() says whether the map
 * or the disk is full, and errno is 0 for the map.
 * Blocks for the writer lock and the disk.  After ES_IO the outcome is not
 * known: the transaction may have happened, wholly or not at all.
 */
typedef es_rc_t (*es_env_fn)(MDB_txn *txn, void *ctx);

es_rc_t es_env_update(es_env_t *env, es_env_fn fn, void *ctx);

/* How much one transaction takes on: `max` of at most `most`. */
typedef struct {
    unsigned  most;
    unsigned  max;
} es_slice_t;

/*
 * The same for what gives room back, such as a deletion: it may use the
 * reserve of pages that es_env_update() leaves alone.  `fn` takes on
 * `slice->max` things at most.  Without room for that, `max` becomes smaller,
 * down to 1, and `fn` runs again; after a success it becomes greater.  So a
 * loop over slices ends in an environment that is full, too.  If not even 1
 * fits, it waits up to a second for readers that lag behind; ES_FULL then, and
 * es_reason() names the process of one that keeps pages from use.
 */
es_rc_t es_env_shrink(es_env_t *env, es_env_fn fn, void *ctx,
    es_slice_t *slice);

/* A commit has made the environment unusable; a memory read. */
bool es_env_lost(es_env_t *env);

/*
 * Opens a lost environment anew; does nothing with one that is not.  Waits
 * for this process's transactions and for the disk.  Whatever but ES_OK: still
 * lost, to be tried again.
 */
es_rc_t es_env_recover(es_env_t *env);

/*
 * Writes a copy of the environment as it is now to `fd`, without the pages that
 * are free.  It is one read transaction, so the pages that writers give back
 * meanwhile are not used again before it ends.  ES_IO, ES_FULL: errno says why
 * `fd` could not be written.
 */
es_rc_t es_env_copy(es_env_t *env, int fd);

/* Number of the last commit; a memory read. */
uint64_t es_env_version(es_env_t *env);

/* Frees reader slots of dead processes; returns how many.  Opening does so
   too, and so does whoever writes, each ten seconds. */
int es_env_reap(es_env_t *env);

/* When it was opened the reader table had slots of a dead process with the
   number of this one: nobody can free them before this process has ended. */
bool es_env_shadows(const es_env_t *env);

/* An LMDB or errno result as the library's outcome, which is recorded if it is
   ES_IO. */
es_rc_t es_env_rc(int mdb_rc);

#endif /* ES_ENV_H */
