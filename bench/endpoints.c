/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * endpoints creates many endpoints of one partner with the library, because a
 * process for each of ten thousand takes minutes.
 *
 *   endpoints --store D --partner P --feed F --n N --url U
 *             [--ordering fifo] [--in-flight 8] [--start latest]
 *             [--timeout 30s]
 *
 * The URL of endpoint i is U/i.  The partner's quotas become the greatest ones.
 */

#include "bench.h"
#include "manage/manage.h"

int
main(int argc, char **argv)
{
    long           i, n;
    char           name[ES_ENDPOINT_NAME_MAX], secret[ES_SECRET_TEXT_MAX];
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

    if (es_registry_change(store, ES_KIND_PARTNER,
                           es_str(bench_arg(argc, argv, "--partner", NULL)),
                           "{\"quotas\":{\"endpoints\":1000000,"
                           "\"bytes\":1073741824}}", &problem) != ES_OK)
    {
        bench_die("%s", problem.detail);
    }

    began = bench_now_ns();

    for (i = 1; i <= n; i++) {
        if (es_endpoint_name(name) != ES_OK || es_secret_create(secret) != ES_OK) {
            bench_die("cannot get random bytes");
        }

        (void) snprintf(json, sizeof(json), "{\"partner\":\"%s\","
                        "\"url\":\"%s/%ld\",\"feeds\":[\"%s\"],"
                        "\"ordering\":\"%s\",\"in_flight\":%ld,"
                        "\"start\":\"%s\",\"timeout\":\"%s\","
                        "\"secrets\":[\"%s\"]}",
                        bench_arg(argc, argv, "--partner", NULL),
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
