/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Takes every slot of a store's reader table, or as many as the second argument
 * says, prints their number, and keeps them until it is killed.
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/store.h"
#include "store/txn.h"


int
main(int argc, char **argv)
{
    unsigned       n, max;
    es_rc_t        rc;
    es_txn_t      *txn;
    es_store_t    *store;
    es_problem_t   problem;

    if (argc < 2
        || es_store_open(argv[1], ES_STORE_READ, &store, &problem) != ES_OK)
    {
        fprintf(stderr, "usage: readers store [number]\n");
        return 2;
    }

    n = 0;
    max = argc > 2 ? (unsigned) atoi(argv[2]) : 0;
    rc = ES_OK;

    while ((max == 0 || n < max)
           && (rc = es_txn_begin(store, &txn)) == ES_OK)
    {
        n++;
    }

    printf("%s after %u\n", rc == ES_BUSY ? "full" : es_strerror(rc), n);
    fflush(stdout);

    for ( ;; ) {
        pause();
    }
}
