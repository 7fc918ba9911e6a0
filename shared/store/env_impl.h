/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The inside of an environment, for the files env*.c only.
 */

#ifndef ES_ENV_IMPL_H
#define ES_ENV_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/env.h"
#include "store/page_reserve.h"

#define ES_ENV_NO_DB  ES_ENV_DBS_MAX

struct es_env {
    MDB_env            *mdb;           /* NULL: lost and not open */
    MDB_dbi             dbis[ES_ENV_DBS_MAX];
    unsigned            ndbs;          /* without the late one */
    unsigned            meta;          /* the index of `meta`; ES_ENV_NO_DB */
    _Atomic MDB_dbi     late;          /* its handle; 0: not open */
    MDB_dbi             making;        /* the same, opened by the write
                                          transaction; 0: it has opened none */
    es_env_options_t    options;       /* `dir` is a copy */
    /* A transaction holds it shared.  Remapping and reopening hold it
       exclusively. */
    pthread_rwlock_t    lock;
    atomic_bool         lost;
    _Atomic uint64_t    version;       /* last seen */
    int                 queue;         /* the directory, see es_env_queue() */
    _Atomic int64_t     wrote_us;      /* last commit, monotonic */
    uint64_t            scrubs;        /* as of the first write since it was
                                          opened; of the writer lock's holder */
    bool                buffers;       /* it has written since it was opened */
    _Atomic int64_t     reaped_us;     /* last check for dead readers,
                                          monotonic */
    bool                shadows;       /* see es_env_shadows() */

    _Atomic uint64_t    map_max;       /* the limit as last read */
    es_reserve_t        reserve;
};

/* Maps `size` bytes; 0 takes the size that another process has set. */
es_rc_t es_env_remap(es_env_t *env, uint64_t size);

/* Opens the environment anew after a scrub, which frees LMDB's page buffers.
   After an outcome other than ES_OK it is lost. */
es_rc_t es_env_renew(es_env_t *env, uint64_t scrubs);

/* Opens the late database within a write transaction, if there is one. */
es_rc_t es_env_late_find(es_env_t *env, MDB_txn *txn, unsigned flags);

/* Returns the process of a reader that lags behind and keeps pages from reuse;
   0: there is none. */
int es_env_lagging(es_env_t *env);

/* As es_env_rc(), and records "cannot WHAT" with the environment's path. */
es_rc_t es_env_failed(const es_env_t *env, int mdb_rc, const char *what);

#endif /* ES_ENV_IMPL_H */
