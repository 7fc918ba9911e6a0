/* SPDX-License-Identifier: BSD-2-Clause */

/* How far the history of a feed is packed, as the log tells it. */

#include <stdlib.h>

#include "log/feed.h"
#include "open/open.h"
#include "pack/pack.h"
#include "pack/position.h"
#include "store/txn.h"

#include "tap.h"

static char         dir[] = "/tmp/eventsync-position-XXXXXX";
static es_store_t  *store;
static unsigned     published;


static void
publish(unsigned n)
{
    int           len;
    char          json[256];
    es_batch_t   *batch;
    es_problem_t  problem;

    batch = es_batch_create(es_lit("f"), NULL);

    while (n-- > 0) {
        len = snprintf(json, sizeof(json), "{\"specversion\":\"1.0\","
                       "\"id\":\"e%u\",\"source\":\"/s\",\"type\":\"t\"}",
                       ++published);
        (void) es_batch_add(batch, json, (size_t) len, &problem);
    }

    es_publish(store, &batch, 1);
    ok(es_batch_rc(batch) == ES_OK, "events are published");
    es_batch_destroy(batch);
}


static void
position(uint64_t expected, uint64_t end, const char *name)
{
    uint64_t    after;
    es_txn_t   *txn;
    es_feed_t   feed;

    (void) es_txn_begin(store, &txn);
    (void) es_feed_get(txn, es_lit("f"), &feed);
    ok(es_pack_position(txn, &feed, &after) == ES_OK, "%s", name);
    is_int((int64_t) after, (int64_t) expected, "... begins there");
    is_int((int64_t) es_pack_end(&feed), (int64_t) end, "... ends there");
    es_txn_end(txn);
}


static void
pack(uint64_t after, unsigned runs, unsigned expected)
{
    es_packed_runs_t  packed;

    ok(es_pack_step(store, es_lit("f"), after, runs, 1, &packed) == ES_OK
       && packed.runs == expected, "%u of %u runs are packed", expected, runs);
}


static void
test_positions(void)
{
    unsigned  i;

    position(0, 0, "an empty feed");
    publish(199);
    position(0, 0, "a feed whose last events stay plain");
    publish(1);
    position(0, 100, "a feed of one full page and a hundred events");
    publish(1100);
    position(0, 1200, "a plain feed");

    /* each number of packed runs from 1 to 12 */

    for (i = 1; i <= 12; i++) {
        pack((i - 1) * 100, 1, 1);
        position(i * 100, 1200, "a feed that is packed in part");
    }

    publish(100);
    position(1200, 1300, "a feed that grows");
    (void) es_feed_trim(store, es_lit("f"), 551);
    position(1200, 1300, "a feed whose oldest page is packed");
    (void) es_feed_trim(store, es_lit("f"), 1251);
    position(1200, 1300, "a feed whose oldest page is plain");
    pack(1200, 64, 0);
    (void) es_feed_trim(store, es_lit("f"), UINT64_MAX);
    position(1400, 1300, "a feed without events");
}


int
main(void)
{
    char          cmd[256];
    es_problem_t  problem;

    if (mkdtemp(dir) == NULL
        || es_store_create(dir, &problem) != ES_OK
        || es_store_open(dir, ES_STORE_PUBLISH, &store, &problem) != ES_OK
        || es_feed_create(store, es_lit("f"), NULL, NULL) != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    test_positions();

    es_store_close(store);
    (void) snprintf(cmd, sizeof(cmd), "rm -r %s", dir);

    return system(cmd) != 0 ? 1 : done();
}
