/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * entries appends entries to the audit of a store's registry, with the library.
 *
 *   entries --store D --n N
 *
 * An entry is like that of a change of an endpoint over HTTP.
 */

#include "audit/audit.h"
#include "bench.h"
#include "eventsync.h"
#include "store/env.h"
#include "store/store.h"

#define ENTRIES_COMMIT  10000

typedef struct {
    es_store_t  *store;
    long         first;
    long         n;
} entries_t;


static es_rc_t
entries_run(MDB_txn *txn, void *ctx)
{
    char                name[32];
    long                i;
    es_rc_t             rc;
    entries_t          *e = ctx;
    es_audit_change_t   change = { .action = "change", .kind = "endpoint",
                                   .partner = es_lit("acme") };

    change.before = json_pack("{s:s}", "url", "https://a.example/webhooks");
    change.after = json_pack("{s:s}", "url", "https://b.example/webhooks");

    for (i = 0, rc = ES_OK; rc == ES_OK && i < e->n; i++) {
        (void) snprintf(name, sizeof(name), "ep_%016ld", e->first + i);
        change.object = es_str(name);
        rc = es_audit_append(e->store, txn, ES_AUDIT_REGISTRY, &change);
    }

    json_decref(change.before);
    json_decref(change.after);

    return rc;
}


int
main(int argc, char **argv)
{
    long           n;
    entries_t      e = { 0 };
    es_actor_t     actor = { "key k3b7a2c5d9", "192.0.2.7" };
    es_problem_t   problem;

    n = bench_arg_n(argc, argv, "--n", NULL);

    if (es_store_open(bench_arg(argc, argv, "--store", NULL), ES_STORE_ADMIN,
                      &e.store, &problem) != ES_OK)
    {
        bench_die("%s", problem.detail);
    }

    es_actor_set(&actor);

    for (e.first = 0; e.first < n; e.first += e.n) {
        e.n = n - e.first < ENTRIES_COMMIT ? n - e.first : ENTRIES_COMMIT;

        if (es_env_update(e.store->registry, entries_run, &e) != ES_OK) {
            bench_die("cannot append entries");
        }
    }

    es_store_close(e.store);
    printf("{\"entries\":%ld}\n", n);

    return 0;
}
