/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Keeps the writer lock of one environment of a store until its standard input
 * ends, like a process whose transaction takes long:
 *
 *     writer DIR/registry
 *
 * It prints a line when it has the lock, and writes nothing.
 */

#include <lmdb.h>
#include <stdio.h>
#include <unistd.h>


int
main(int argc, char **argv)
{
    char      byte;
    MDB_env  *env;
    MDB_txn  *txn;

    if (argc != 2
        || mdb_env_create(&env) != 0
        || mdb_env_set_maxdbs(env, 8) != 0
        || mdb_env_open(env, argv[1], 0, 0) != 0
        || mdb_txn_begin(env, NULL, 0, &txn) != 0)
    {
        fprintf(stderr, "usage: writer environment\n");
        return 2;
    }

    printf("locked\n");
    fflush(stdout);

    while (read(STDIN_FILENO, &byte, 1) > 0) { /* void */ }

    mdb_txn_abort(txn);
    mdb_env_close(env);

    return 0;
}
