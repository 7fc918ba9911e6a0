/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * partners creates many partners, each with a key, with the library.
 *
 *   partners --store D --n N
 *
 * Partner i is named other-i, and may read the feed "bench".
 */

#include "bench.h"
#include "eventsync.h"
#include "keys/apikey.h"
#include "registry/registry.h"

static void
create(es_store_t *store, es_kind_t kind, const char *name, const char *json)
{
    es_problem_t  problem;

    if (es_registry_create(store, kind, es_str(name), json, &problem)
        != ES_OK)
    {
        bench_die("%s: %s", problem.pointer, problem.detail);
    }
}

int
main(int argc, char **argv)
{
    char           name[32], text[ES_APIKEY_LEN + 1], json[512];
    long           i, n;
    size_t         k;
    es_apikey_t    key;
    es_store_t    *store;
    es_problem_t   problem;
    char           digest[2 * ES_DIGEST_LEN + 1];

    n = bench_arg_n(argc, argv, "--n", NULL);

    if (es_store_open(bench_arg(argc, argv, "--store", NULL), ES_STORE_ADMIN,
                      &store, &problem) != ES_OK)
    {
        bench_die("%s", problem.detail);
    }

    for (i = 1; i <= n; i++) {
        (void) snprintf(name, sizeof(name), "other-%ld", i);
        create(store, ES_KIND_PARTNER, name, "{\"feeds\":[\"bench\"]}");

        if (es_apikey_create(false, text, &key) != ES_OK) {
            bench_die("cannot get random bytes");
        }

        for (k = 0; k < ES_DIGEST_LEN; k++) {
            (void) snprintf(digest + 2 * k, 3, "%02x", key.digest[k]);
        }

        (void) snprintf(json, sizeof(json), "{\"partner\":\"%s\","
                        "\"digest\":\"%s\",\"scopes\":[\"read\"]}", name,
                        digest);
        create(store, ES_KIND_KEY, key.id, json);
    }

    printf("{\"partners\":%ld}\n", n);
    es_store_close(store);

    return 0;
}
