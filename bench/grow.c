/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * grow fills a feed with the library in large commits, so that a benchmark can
 * start with a long history.
 *
 *   grow --store D --feed F --events N [--batch 1000] [--size 120]
 *        [--types 10] [--variants 1] [--subjects 1000] [--prefix grow]
 *        [--orders SEED] [--pack LEVEL]
 *
 * The types and subjects are used in turn; --size is the length of the text in
 * the data.  With --variants N, every second type becomes N types with a common
 * prefix.  With --orders the events are those of orders.h instead, and only
 * the first four options count.  --pack packs the history every PACK_EVERY
 * commits and at the end, as a dispatcher does beside a publisher.
 */

#include "bench.h"
#include "eventsync.h"
#include "orders.h"
#include "pack/pack.h"

#define PACK_EVERY  10

static es_batch_t *
start_batch(const char *feed)
{
    es_str_t     name = { feed, strlen(feed) };
    es_batch_t  *batch = es_batch_create(name, NULL);

    if (batch == NULL) {
        bench_die("out of memory");
    }
    return batch;
}

static void
add(es_batch_t *batch, const char *json, int len)
{
    es_problem_t  problem;

    if (es_batch_add(batch, json, (size_t) len, &problem) != ES_OK) {
        bench_die("%s: %s", problem.pointer, problem.detail);
    }
}

static es_batch_t *
order_batch(const char *feed, orders_t *orders, unsigned long n)
{
    char         json[1024];
    es_batch_t  *batch = start_batch(feed);

    while (n-- > 0) {
        add(batch, json, orders_print(orders, json, sizeof(json)));
    }
    return batch;
}

static es_batch_t *
make_batch(const char *feed, const char *prefix, const char *payload,
    unsigned long first, unsigned long n, unsigned long types,
    unsigned long variants, unsigned long subjects)
{
    int            len;
    char           json[4096], variant[32];
    es_batch_t    *batch = start_batch(feed);
    unsigned long  i;

    for (i = first; i < first + n; i++) {
        variant[0] = '\0';
        if (variants > 1 && i % types % 2 == 0) {
            snprintf(variant, sizeof(variant), ".v%lu", i / types % variants);
        }
        len = snprintf(json, sizeof(json), "{\"specversion\":\"1.0\","
                       "\"id\":\"%s-%lu\",\"source\":\"/bench\","
                       "\"type\":\"bench.type%lu%s\",\"subject\":\"item/%lu\","
                       "\"data\":{\"n\":%lu,\"text\":\"%s\"}}",
                       prefix, i, i % types, variant, i % subjects, i, payload);
        add(batch, json, len);
    }
    return batch;
}

typedef struct {
    unsigned  level;           /* 0: nothing is packed */
    uint64_t  after;
    uint64_t  events;
    uint64_t  bytes;           /* of their records */
} packing_t;

/* Packs all full pages after the last one that it has packed. */
static void
pack(es_store_t *store, const char *feed, packing_t *packing)
{
    es_rc_t           rc;
    es_str_t          name = { feed, strlen(feed) };
    es_packed_runs_t  step = { 0 };

    while (packing->level > 0 && !step.done) {
        rc = es_pack_step(store, name, packing->after, ES_PACK_RUNS_MAX,
                          packing->level, &step);
        if (rc != ES_OK) {
            bench_die("pack: %s", es_strerror(rc));
        }
        packing->after = step.next;
        packing->events += step.events;
        packing->bytes += step.after;
    }
}

int
main(int argc, char **argv)
{
    char           *payload;
    uint64_t        began, ns;
    packing_t       packing = { 0 };
    orders_t        orders = { 0 };
    es_store_t     *store;
    es_batch_t     *batch;
    const char     *feed, *prefix;
    es_problem_t    problem;
    unsigned long   i, n, events, size, per_batch, types, variants, subjects;

    feed = bench_arg(argc, argv, "--feed", NULL);
    prefix = bench_arg(argc, argv, "--prefix", "grow");
    events = (unsigned long) bench_arg_n(argc, argv, "--events", NULL);
    per_batch = (unsigned long) bench_arg_n(argc, argv, "--batch", "1000");
    size = (unsigned long) bench_arg_n(argc, argv, "--size", "120");
    types = (unsigned long) bench_arg_n(argc, argv, "--types", "10");
    variants = (unsigned long) bench_arg_n(argc, argv, "--variants", "1");
    subjects = (unsigned long) bench_arg_n(argc, argv, "--subjects", "1000");
    orders.state = (uint64_t) bench_arg_n(argc, argv, "--orders", "0");
    packing.level = (unsigned) bench_arg_n(argc, argv, "--pack", "0");
    if (size > 3000 || per_batch == 0 || types == 0 || variants == 0
        || subjects == 0)
    {
        bench_die("--size must be at most 3000, and the others at least 1");
    }
    payload = bench_alloc(1, size + 1);
    memset(payload, 'x', size);

    if (es_store_open(bench_arg(argc, argv, "--store", NULL),
                      ES_STORE_PUBLISH, &store, &problem) != ES_OK)
    {
        bench_die("%s", problem.detail);
    }

    began = bench_now_ns();
    for (i = 0; i < events; i += n) {
        n = events - i < per_batch ? events - i : per_batch;
        batch = orders.state != 0
                ? order_batch(feed, &orders, n)
                : make_batch(feed, prefix, payload, i, n, types, variants,
                             subjects);
        es_publish(store, &batch, 1);
        if (es_batch_rc(batch) != ES_OK) {
            bench_die("publish: %s", es_strerror(es_batch_rc(batch)));
        }
        es_batch_destroy(batch);
        if (i / per_batch % PACK_EVERY == PACK_EVERY - 1) {
            pack(store, feed, &packing);
        }
    }
    pack(store, feed, &packing);

    ns = bench_now_ns() - began;
    printf("{\"events\":%lu,\"seconds\":%.3f,\"rate\":%.1f,\"packed\":%llu,"
           "\"packed_bytes\":%llu}\n", events, (double) ns / 1e9,
           (double) events * 1e9 / (double) ns,
           (unsigned long long) packing.events,
           (unsigned long long) packing.bytes);
    es_store_close(store);
    free(payload);
    return 0;
}
