/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Keeps one read transaction of a store's log open until it is killed, like a
 * reader that hangs.
 */

#include <stdio.h>
#include <unistd.h>

#include "store/store.h"
#include "store/txn.h"


int
main(int argc, char **argv)
{
    es_txn_t      *txn;
    es_store_t    *store;
    es_problem_t   problem;

    if (argc != 2
        || es_store_open(argv[1], ES_STORE_READ, &store, &problem) != ES_OK
        || es_txn_begin(store, &txn) != ES_OK)
    {
        fprintf(stderr, "usage: reader store\n");
        return 2;
    }

    printf("reading\n");
    fflush(stdout);

    for ( ;; ) {
        pause();
    }
}
