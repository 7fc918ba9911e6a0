/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * endpoints creates many endpoints with the library, because a process for each
 * of ten thousand takes minutes.
 *
 *   endpoints --store D --partner P --feed F --n N --url U
 *             [--ordering fifo] [--in-flight 8] [--start latest]
 *             [--timeout 30s] [--partners 0]
 *
 * The URL of endpoint i is U/i.  All belong to P, whose quotas become the
 * greatest ones; with --partners M, they belong to P-1 to P-M in turn.
 */

#include "bench.h"
#include "manage/manage.h"

static void
raise_quotas(es_store_t *store, const char *partner)
{
    es_problem_t  problem;

    if (es_registry_change(store, ES_KIND_PARTNER, es_str(partner),
                           "{\"quotas\":{\"endpoints\":1000000,"
                           "\"bytes\":1073741824}}", &problem) != ES_OK)
    {
        bench_die("%s", problem.detail);
    }
}

int
main(int argc, char **argv)
{
    long           i, n, partners;
    char           name[ES_ENDPOINT_NAME_MAX], secret[ES_SECRET_TEXT_MAX];
    char           of[32] = "";
    char           json[2048];
    uint64_t       began;
    es_store_t    *store;
    es_problem_t   problem;

    n = bench_arg_n(argc, argv, "--n", NULL);

    if (es_store_open(bench_arg(argc, argv, "--store", NULL), ES_STORE_ADMIN,
                      &store, &problem) != ES_OK)
    {
        bench_die("%s", problem.detail);
    }

    partners = bench_arg_n(argc, argv, "--partners", "0");
    if (partners == 0) {
        raise_quotas(store, bench_arg(argc, argv, "--partner", NULL));
    }

    began = bench_now_ns();

    for (i = 1; i <= n; i++) {
        if (es_endpoint_name(name) != ES_OK || es_secret_create(secret) != ES_OK) {
            bench_die("cannot get random bytes");
        }

        if (partners > 0) {
            (void) snprintf(of, sizeof(of), "-%ld", i % partners + 1);
        }

        (void) snprintf(json, sizeof(json), "{\"partner\":\"%s%s\","
                        "\"url\":\"%s/%ld\",\"feeds\":[\"%s\"],"
                        "\"ordering\":\"%s\",\"in_flight\":%ld,"
                        "\"start\":\"%s\",\"timeout\":\"%s\","
                        "\"secrets\":[\"%s\"]}",
                        bench_arg(argc, argv, "--partner", NULL), of,
                        bench_arg(argc, argv, "--url", NULL), i,
                        bench_arg(argc, argv, "--feed", NULL),
                        bench_arg(argc, argv, "--ordering", "fifo"),
                        bench_arg_n(argc, argv, "--in-flight", "8"),
                        bench_arg(argc, argv, "--start", "latest"),
                        bench_arg(argc, argv, "--timeout", "30s"), secret);

        if (es_registry_create(store, ES_KIND_ENDPOINT, es_str(name), json,
                               &problem) != ES_OK)
        {
            bench_die("%s: %s", problem.pointer, problem.detail);
        }
    }

    printf("{\"endpoints\":%ld,\"seconds\":%.3f}\n", n,
           (double) (bench_now_ns() - began) / 1e9);
    es_store_close(store);

    return 0;
}
