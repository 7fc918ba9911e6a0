/* SPDX-License-Identifier: BSD-2-Clause */

/* The setting of packed history. */

#include <stdlib.h>

#include "log/feed.h"
#include "log/feed_pack.h"
#include "open/open.h"
#include "store/env.h"
#include "store/txn.h"

#include "tap.h"

static char  dir[] = "/tmp/eventsync-feed-pack-XXXXXX";

typedef struct {
    es_store_t  *store;
    uint32_t     feed;
    unsigned     level;
} put_t;


static unsigned
level_of(es_store_t *store, uint32_t feed, es_rc_t *rc)
{
    unsigned   level = 99;
    es_txn_t  *txn;

    *rc = es_txn_begin(store, &txn);

    if (*rc == ES_OK) {
        *rc = es_feed_pack_get(txn, feed, &level);
        es_txn_end(txn);
    }

    return level;
}


static es_rc_t
put(MDB_txn *txn, void *ctx)
{
    put_t  *p = ctx;

    return es_feed_pack_save(p->store, txn, p->feed, p->level);
}


/* The record has one byte; a later build may store more. */

static void
test_records(es_store_t *store, uint32_t feed)
{
    put_t    p = { store, feed, 250 };
    es_rc_t  rc;

    ok(es_env_update(store->log, put, &p) == ES_OK, "a level is stored");
    (void) level_of(store, feed, &rc);
    ok(rc == ES_CORRUPT, "that no build knows");

    p.level = ES_PACK_MAX;
    (void) es_env_update(store->log, put, &p);
    ok(level_of(store, feed, &rc) == ES_PACK_MAX && rc == ES_OK,
       "the highest level is one");

    p.level = ES_PACK_OFF;
    (void) es_env_update(store->log, put, &p);
    ok(es_env_update(store->log, put, &p) == ES_OK
       && level_of(store, feed, &rc) == ES_PACK_OFF && rc == ES_OK,
       "off is no record, and may be said twice");
    ok(level_of(store, feed + 1, &rc) == ES_PACK_OFF && rc == ES_OK,
       "a feed that never had a setting is off");
}


int
main(void)
{
    char               cmd[256];
    es_rc_t            rc;
    es_feed_t          feed;
    es_store_t        *store;
    es_problem_t       problem;
    es_feed_options_t  options = { .retain_count = 5, .pack = 3 };

    if (mkdtemp(dir) == NULL
        || es_store_create(dir, &problem) != ES_OK
        || es_store_open(dir, ES_STORE_PUBLISH, &store, &problem) != ES_OK)
    {
        return 1;
    }

    ok(es_feed_create(store, es_lit("packed"), &options, &feed) == ES_OK
       && level_of(store, feed.number, &rc) == 3 && rc == ES_OK,
       "a feed is made with its level");
    options.pack = 9;
    ok(es_feed_change(store, es_lit("packed"), &options) == ES_OK
       && level_of(store, feed.number, &rc) == 9, "it is changed");
    ok(es_feed_reset(store, es_lit("packed"), NULL) == ES_OK
       && level_of(store, feed.number, &rc) == 9, "a reset keeps it");
    ok(es_feed_remove(store, es_lit("packed")) == ES_OK
       && level_of(store, feed.number, &rc) == ES_PACK_OFF && rc == ES_OK,
       "it goes with the feed");
    ok(es_feed_create(store, es_lit("plain"), NULL, &feed) == ES_OK
       && level_of(store, feed.number, &rc) == ES_PACK_OFF,
       "a feed without options is off");

    test_records(store, feed.number);

    es_store_close(store);
    (void) snprintf(cmd, sizeof(cmd), "rm -r %s", dir);

    return system(cmd) != 0 ? 1 : done();
}
