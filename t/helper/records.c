/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * records prints the key of each record of a database in hexadecimal, one per
 * line.
 *
 *   records DIRECTORY DATABASE
 */

#include <lmdb.h>
#include <stdio.h>

int
main(int argc, char **argv)
{
    int          rc;
    size_t       i;
    MDB_dbi      dbi;
    MDB_env     *env;
    MDB_txn     *txn;
    MDB_val      key, value;
    MDB_cursor  *cursor;

    if (argc != 3) {
        return 2;
    }

    if ((rc = mdb_env_create(&env)) != 0
        || (rc = mdb_env_set_maxdbs(env, 16)) != 0
        || (rc = mdb_env_open(env, argv[1], MDB_RDONLY, 0)) != 0
        || (rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn)) != 0
        || (rc = mdb_dbi_open(txn, argv[2], 0, &dbi)) != 0
        || (rc = mdb_cursor_open(txn, dbi, &cursor)) != 0)
    {
        fprintf(stderr, "records: %s\n", mdb_strerror(rc));
        return 1;
    }

    while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
        for (i = 0; i < key.mv_size; i++) {
            printf("%02x", ((unsigned char *) key.mv_data)[i]);
        }
        printf("\n");
    }

    mdb_cursor_close(cursor);
    mdb_txn_abort(txn);
    mdb_env_close(env);

    return 0;
}
