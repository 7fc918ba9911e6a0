/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * ten_minutes ages the clock record of a store by ten minutes, so that a test
 * need not wait until the store trusts a clock; see shared/log/store_clock.h.
 * With "reboot", the record seems to be of another machine.
 *
 *   ten_minutes STORE [reboot]
 */

#include <lmdb.h>
#include <stdio.h>
#include <string.h>

#include "log/store_clock.h"

int
main(int argc, char **argv)
{
    int                rc;
    char               path[4096];
    MDB_dbi            dbi;
    MDB_env           *env;
    MDB_txn           *txn;
    MDB_val            key, value;
    es_clock_record_t  record;

    if (argc < 2) {
        return 2;
    }

    (void) snprintf(path, sizeof(path), "%s/log", argv[1]);
    key.mv_data = (void *) (uintptr_t) "clock";
    key.mv_size = 5;

    if ((rc = mdb_env_create(&env)) != 0
        || (rc = mdb_env_set_maxdbs(env, 16)) != 0
        || (rc = mdb_env_open(env, path, 0, 0)) != 0
        || (rc = mdb_txn_begin(env, NULL, 0, &txn)) != 0
        || (rc = mdb_dbi_open(txn, "meta", 0, &dbi)) != 0
        || (rc = mdb_get(txn, dbi, &key, &value)) != 0)
    {
        fprintf(stderr, "ten_minutes: %s\n", mdb_strerror(rc));
        return 1;
    }

    memcpy(&record, value.mv_data, sizeof(record));

    if (argc > 2) {
        record.boot++;

    } else {
        record.jump_boot_ms -= ES_CLOCK_PROOF_MS;
        record.doubt_ms -= record.doubt_ms < 0 ? 0 : ES_CLOCK_PROOF_MS;
    }

    value.mv_data = &record;

    if ((rc = mdb_put(txn, dbi, &key, &value, 0)) != 0
        || (rc = mdb_txn_commit(txn)) != 0)
    {
        fprintf(stderr, "ten_minutes: %s\n", mdb_strerror(rc));
        return 1;
    }

    mdb_env_close(env);

    return 0;
}
