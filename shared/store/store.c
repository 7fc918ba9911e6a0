/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Facts about an open store, its recovery and its reader slots: functions that
 * ask each environment in turn.
 */

#include <fcntl.h>
#include <stdio.h>

#include "base/base.h"
#include "base/file.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"


es_rc_t
es_store_bell(const char *path, int access, int *fd)
{
    char  file[4096];

    (void) snprintf(file, sizeof(file), "%s/bell", path);

    return es_file_open(file, access | O_CREAT, ES_FILE_SHARED | ES_FILE_GROUP,
                        fd);
}


uint64_t
es_store_identity(const es_store_t *store)
{
    return store->identity;
}


uint64_t
es_store_version(es_store_t *store)
{
    return es_env_version(store->log);
}


bool
es_store_lost(es_store_t *store)
{
    return es_env_lost(store->log) || es_env_lost(store->registry)
           || (store->delivery && es_env_lost(store->delivery))
           || (store->checkpoints && es_env_lost(store->checkpoints));
}


bool
es_store_shadows(const es_store_t *store)
{
    return es_env_shadows(store->log) || es_env_shadows(store->registry)
           || (store->delivery && es_env_shadows(store->delivery))
           || (store->checkpoints && es_env_shadows(store->checkpoints));
}


es_rc_t
es_store_recover(es_store_t *store)
{
    es_rc_t  rc;

    rc = es_env_recover(store->log);

    if (rc == ES_OK) {
        rc = es_env_recover(store->registry);
    }

    if (rc == ES_OK && store->delivery != NULL) {
        rc = es_env_recover(store->delivery);
    }

    if (rc == ES_OK && store->checkpoints != NULL) {
        rc = es_env_recover(store->checkpoints);
    }

    return rc;
}


int
es_store_reap_readers(es_store_t *store)
{
    return es_env_reap(store->log) + es_env_reap(store->registry)
           + (store->delivery ? es_env_reap(store->delivery) : 0)
           + (store->checkpoints ? es_env_reap(store->checkpoints) : 0);
}
