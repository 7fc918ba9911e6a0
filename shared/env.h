/*
 * env.h - one LMDB environment as this project uses it.
 *
 * Opened once per process, after fork().  Any thread may begin transactions;
 * a transaction belongs to one thread until it ends.  The map grows online:
 * es_env_update() doubles it when it is full, and every begin adapts to
 * growth by another process; both wait until this process has no transaction
 * open, which is why transactions must be short and never nested in a thread.
 */

#ifndef ES_ENV_H
#define ES_ENV_H

#include <lmdb.h>

#include "base.h"

#define ES_ENV_DBS_MAX  8

typedef struct es_env  es_env_t;

typedef struct {
    const char  *name;
    unsigned     flags;        /* MDB_DUPSORT ... */
} es_env_db_t;

typedef struct {
    const char         *dir;
    bool                writable;
    bool                create;        /* make the files and databases */
    uint64_t            map_initial;   /* bytes */
    uint64_t            map_max;       /* bytes; ES_FULL beyond */
    const es_env_db_t  *dbs;           /* ends with a NULL name */
} es_env_options_t;

es_rc_t es_env_open(const es_env_options_t *options, es_env_t **env);
void es_env_close(es_env_t *env);

/* Handle of the i-th database of the options. */
MDB_dbi es_env_dbi(const es_env_t *env, unsigned i);

/* A new or renewed read transaction.  ES_BUSY: no reader slot is free. */
es_rc_t es_env_read_begin(es_env_t *env, MDB_txn **txn);
void es_env_read_end(es_env_t *env, MDB_txn *txn);

/* Renews a transaction that es_env_read_park() has reset. */
es_rc_t es_env_read_renew(es_env_t *env, MDB_txn *txn);
void es_env_read_park(es_env_t *env, MDB_txn *txn);

/*
 * Runs `fn` in a write transaction and commits it durably.  When the map is
 * full it is grown and `fn` runs again from the start, so `fn` must be
 * repeatable.  Whatever but ES_OK `fn` returns aborts and is returned.
 * Blocks for the writer lock and the disk.
 */
typedef es_rc_t (*es_env_fn)(MDB_txn *txn, void *ctx);

es_rc_t es_env_update(es_env_t *env, es_env_fn fn, void *ctx);

/* Number of the last commit; a memory read. */
uint64_t es_env_version(const es_env_t *env);

/* Frees reader slots of dead processes; returns how many. */
int es_env_reap(es_env_t *env);

/* An LMDB or errno result as the library's outcome. */
es_rc_t es_env_rc(int mdb_rc);

#endif /* ES_ENV_H */
