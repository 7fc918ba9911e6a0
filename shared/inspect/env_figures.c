/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads the figures of environments from LMDB.
 */

#include "base/base.h"
#include "inspect/env_figures.h"
#include "store/env.h"
#include "store/reader_table.h"
#include "store/store.h"


static es_rc_t
es_env_figures_read(es_env_t *env, es_env_figures_t *figures)
{
    es_rc_t            rc;
    MDB_env           *mdb;
    MDB_stat           main;
    MDB_envinfo        info;
    es_reader_table_t  readers;

    rc = es_env_enter(env);
    if (rc != ES_OK) {
        return rc;
    }

    mdb = es_env_handle(env);
    (void) mdb_env_info(mdb, &info);
    (void) mdb_env_stat(mdb, &main);

    figures->map = info.me_mapsize;
    figures->used = (uint64_t) (info.me_last_pgno + 1) * main.ms_psize;
    figures->readers_max = info.me_maxreaders;

    es_reader_table_read(mdb, &readers);
    figures->readers = readers.taken;
    figures->slowest = readers.oldest != 0 ? (uint64_t) readers.slowest : 0;

    /* a reader may have begun after mdb_env_info() */

    figures->readers_lag = readers.oldest != 0
                           && readers.oldest < info.me_last_txnid
                           ? info.me_last_txnid - readers.oldest : 0;

    es_env_leave(env);

    return ES_OK;
}


es_rc_t
es_env_figures(es_store_t *store, es_env_t *pages,
    es_env_figures_t envs[ES_FIGURES_ENVS], size_t *n)
{
    size_t   i;
    es_rc_t  rc;

    const struct {
        const char  *name;
        es_env_t    *env;
    } all[ES_FIGURES_ENVS] = {
        { "log", store->log },
        { "registry", store->registry },
        { "delivery", store->delivery },
        { "checkpoints", store->checkpoints },
        { "pages", pages }
    };

    *n = 0;

    for (i = 0; i < ES_FIGURES_ENVS; i++) {
        if (all[i].env == NULL) {
            continue;
        }

        envs[*n].name = es_str(all[i].name);

        rc = es_env_figures_read(all[i].env, &envs[(*n)++]);
        if (rc != ES_OK) {
            return rc;
        }
    }

    return ES_OK;
}


uint64_t
es_map_limit(const es_store_t *store)
{
    return es_env_limit(store->log);
}
