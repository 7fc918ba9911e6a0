/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * damage replaces a record by one byte or by a text, or removes it or its whole
 * database, as no part of eventsync does.  A '%' in KEY stands for a NUL.
 *
 *   damage DIRECTORY DATABASE KEY [remove | drop | TEXT]
 */

#include <lmdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

int
main(int argc, char **argv)
{
    int       rc;
    char     *p;
    MDB_dbi   dbi;
    MDB_env  *env;
    MDB_txn  *txn;
    MDB_val   key, value = { 1, (char []) { "x" } };

    bool      removes, drops;

    if (argc != 4 && argc != 5) {
        return 2;
    }

    removes = argc == 5 && strcmp(argv[4], "remove") == 0;
    drops = argc == 5 && strcmp(argv[4], "drop") == 0;

    if (argc == 5) {
        value.mv_data = argv[4];
        value.mv_size = strlen(argv[4]);
    }

    key.mv_data = argv[3];
    key.mv_size = strlen(argv[3]);

    for (p = argv[3]; (p = strchr(p, '%')) != NULL; p++) {
        *p = '\0';
    }

    if ((rc = mdb_env_create(&env)) != 0
        || (rc = mdb_env_set_maxdbs(env, 16)) != 0
        || (rc = mdb_env_set_mapsize(env, 1 << 30)) != 0
        || (rc = mdb_env_open(env, argv[1], 0, 0660)) != 0
        || (rc = mdb_txn_begin(env, NULL, 0, &txn)) != 0
        || (rc = mdb_dbi_open(txn, argv[2], 0, &dbi)) != 0
        || (rc = drops ? mdb_drop(txn, dbi, 1)
                 : removes ? mdb_del(txn, dbi, &key, NULL)
                           : mdb_put(txn, dbi, &key, &value, 0)) != 0
        || (rc = mdb_txn_commit(txn)) != 0)
    {
        fprintf(stderr, "damage: %s\n", mdb_strerror(rc));
        return 1;
    }

    mdb_env_close(env);

    return 0;
}
