/* SPDX-License-Identifier: BSD-2-Clause */

/* Deprecated versions and the feeds that they concern, and damaged records,
   which hide nothing else. */

#include <unistd.h>

#include "delivery/report.h"
#include "log/feed.h"
#include "manage/deprecations.h"
#include "manage/partner_status.h"
#include "open/open.h"
#include "registry/registry.h"
#include "store/env.h"
#include "store/plain_secrets.h"
#include "store/store.h"
#include "tap.h"

static char           dir[] = "/tmp/eventsync-deprecations-XXXXXX";
static es_store_t    *store;
static es_problem_t   problem;


static bool
version(const char *type, const char *text, int64_t deprecated_ms)
{
    es_lifetime_t  lifetime = { .deprecated_ms = deprecated_ms };

    return es_catalogue_register(store, es_str(type), es_str(text),
                                 es_str("{\"type\":\"object\"}"),
                                 es_str("not \"deprecated\""), NULL, &problem)
           == ES_OK
           && (deprecated_ms == 0
               || es_catalogue_change(store, es_str(type), es_str(text),
                                      &lifetime, &problem) == ES_OK);
}


static es_rc_t
put(MDB_txn *txn, void *ctx)
{
    MDB_val  *pair = ctx;

    return es_env_rc(mdb_put(txn, es_env_dbi(store->registry,
                                             ES_REGISTRY_OBJECTS),
                             &pair[0], &pair[1], 0));
}


static bool
damage(const char *key)
{
    char     text[] = "{\"deprecated\"";
    MDB_val  pair[2];

    pair[0].mv_data = (void *) (uintptr_t) key;
    pair[0].mv_size = strlen(key);
    pair[1].mv_data = text;
    pair[1].mv_size = strlen(text);

    return es_env_update(store->registry, put, pair) == ES_OK;
}


static es_rc_t
load(es_deprecations_t *out)
{
    es_rc_t            rc;
    es_report_feeds_t  feeds;

    memset(out, 0, sizeof(*out));
    rc = es_report_feeds_load(store, &feeds);

    if (rc == ES_OK) {
        rc = es_deprecations_load(store, &feeds, NULL, NULL, out);
    }

    es_report_feeds_free(&feeds);

    return rc;
}


static void
test_versions(void)
{
    es_deprecations_t  found;

    ok(version("a.b", "1.2.0", 1000) && version("a.b", "1.10.0", 0)
       && version("a.b", "2.0.0", 0) && version("a.c", "1.0.0", 0)
       && version("b", "1.0.0", 2000), "versions of types");
    is_int(load(&found), ES_OK, "they are read");
    is_int((int64_t) found.n, 2, "two are deprecated");
    is_str(es_str(found.list[0].type), "a.b", "the first");
    is_str(es_str(found.list[0].version), "1.2.0", "by its version");
    is_str(es_str(found.list[0].successor), "1.10.0",
           "whose successor is the next one, by number");
    is_int(found.list[0].lifetime.deprecated_ms, 1000, "since then");
    is_str(es_str(found.list[1].successor), "", "another has none");
    is_int((int64_t) json_array_size(found.list[0].feeds), 0,
           "no feed has events of it");
    ok(found.all, "these are all");
    es_deprecations_free(&found);
}


static bool
reads(void *ctx, es_str_t feed)
{
    (void) ctx;
    (void) feed;

    return true;
}


static void
test_damage(void)
{
    es_buf_t             out = { 0 };
    unsigned             examined;
    es_deprecations_t    found;
    es_partner_status_t  q = { .partner = es_lit("acme"), .reads = reads };

    ok(damage("ta.b/1.2.0") && damage("ta.b/1.10.0") && damage("forders"),
       "records are damaged");
    is_int(load(&found), ES_OK, "the others are read");
    is_int((int64_t) found.n, 1, "one is left");
    is_str(es_str(found.list[0].type), "b", "the other one");
    es_deprecations_free(&found);

    ok(es_partner_status(store, &q, &out, &examined) == ES_OK
       && es_buf_append(&out, "", 1) == ES_OK
       && strstr(out.data, "\"fresh_within\":null") != NULL,
       "and the status of a partner");
    es_buf_free(&out);
}


static void
test_many(void)
{
    char               type[16];
    unsigned           i;
    es_deprecations_t  found;

    for (i = 0; i < ES_DEPRECATIONS_MAX; i++) {
        (void) snprintf(type, sizeof(type), "many.%03u", i);

        if (!version(type, "1.0.0", 1000)) {
            break;
        }
    }

    is_int(i, ES_DEPRECATIONS_MAX, "a hundred more");
    is_int(load(&found), ES_OK, "are read");
    is_int((int64_t) found.n, ES_DEPRECATIONS_MAX, "a hundred");
    ok(!found.all, "which are not all");
    es_deprecations_free(&found);
}


int
main(void)
{
    char       command[64];
    es_feed_t  feed;

    if (mkdtemp(dir) == NULL
        || es_store_create(dir, &problem) != ES_OK
        || es_plain_secrets_begin(dir) != ES_OK
        || es_store_open(dir, ES_STORE_DELIVER | ES_STORE_ADMIN
                              | ES_STORE_PUBLISH, &store, &problem) != ES_OK
        || es_feed_create(store, es_str("orders"), NULL, &feed) != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    test_versions();
    test_damage();
    test_many();

    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
