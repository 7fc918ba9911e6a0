/* SPDX-License-Identifier: BSD-2-Clause */

/* Operations feeds that are not one partner's alone, as an earlier version has
   stored them: read, changed otherwise, and reported. */

#include <stdlib.h>
#include <unistd.h>

#include "inspect/verify.h"
#include "registry/object.h"
#include "registry/registry.h"
#include "store/env.h"
#include "store/store.h"
#include "open/open.h"
#include "tap.h"

static char         dir[] = "/tmp/eventsync-operations-XXXXXX";
static char         said[1024];
static es_store_t  *store;

typedef struct {
    const char  *name;
    const char  *text;
} record_t;


static es_rc_t
put(MDB_txn *txn, void *ctx)
{
    char             buf[ES_OBJECT_KEY_MAX];
    MDB_val          key, data;
    const record_t  *record = ctx;

    key = es_object_key(ES_KIND_PARTNER, es_str(record->name), buf);
    data.mv_data = (void *) (uintptr_t) record->text;
    data.mv_size = strlen(record->text);

    return es_env_rc(mdb_put(txn, es_env_dbi(store->registry,
                                             ES_REGISTRY_OBJECTS),
                             &key, &data, 0));
}


static void
stored(const char *name, const char *text)
{
    record_t  record = { name, text };

    is_int(es_env_update(store->registry, put, &record), ES_OK, name);
}


static void
say(void *ctx, const char *text)
{
    (void) ctx;
    (void) strncat(said, text, sizeof(said) - strlen(said) - 2);
    (void) strcat(said, "\n");
}


static void
changed(const char *name, const char *change, const char *pointer)
{
    es_rc_t       rc;
    es_problem_t  problem = { 0 };

    rc = es_registry_change(store, ES_KIND_PARTNER, es_str(name), change,
                            &problem);
    is_int(rc, pointer[0] ? ES_INVALID : ES_OK, change);
    is_str(es_str(problem.pointer), pointer, "the pointer");
}


int
main(void)
{
    char            command[128];
    es_verify_t     totals = { 0 };
    es_problem_t    problem = { 0 };
    es_registry_t  *registry;

    if (mkdtemp(dir) == NULL
        || es_store_create(dir, &problem) != ES_OK
        || es_store_open(dir, ES_STORE_ADMIN, &store, &problem) != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    stored("acme", "{\"operations\":\"ops\",\"number\":1,\"revision\":1}");
    stored("bolt", "{\"operations\":\"ops\",\"number\":2,\"revision\":1}");
    stored("cord", "{\"publish\":[\"o*\"],\"number\":3,\"revision\":1}");
    stored("dock", "{\"operations\":\"own\",\"publish\":[\"own\"],"
           "\"number\":4,\"revision\":1}");
    stored("edge", "{\"publish\":[\"x\"],\"number\":5,\"revision\":1}");

    is_int(es_registry_load(store, &registry), ES_OK, "they are read");
    ok(es_str_eq(es_registry_partner(registry, es_lit("bolt"))->operations,
                 es_lit("ops")), "as they are");
    es_registry_free(registry);

    is_int(es_verify_registry(store, say, NULL, &totals), ES_OK, "verified");
    is_int((long) totals.faults, 0, "they are no faults of the store");
    ok(strstr(said, "partner acme: the feed \"ops\" has the operational events "
              "of the partner \"bolt\"\n") != NULL, "a shared feed is said");
    ok(strstr(said, "partner bolt: the feed \"ops\"") != NULL,
       "of both partners");
    ok(strstr(said, "partner dock: the feed \"own\" cannot be for operational "
              "events and for the partner \"cord\"") != NULL
       || strstr(said, "partner dock: the feed \"own\" cannot be for "
                 "operational events and for the partner \"dock\"") != NULL,
       "a feed that is published to is said");
    ok(strstr(said, "cord:") == NULL && strstr(said, "edge:") == NULL,
       "once");

    changed("acme", "{\"feeds\":[\"ops\"]}", "");
    changed("bolt", "{\"disabled\":true}", "");
    changed("cord", "{\"publish\":[\"o*\",\"y\"]}", "/publish");
    changed("edge", "{\"publish\":[\"*\"]}", "/publish");
    changed("edge", "{\"publish\":[\"ops\"]}", "/publish");
    changed("edge", "{\"publish\":[\"x\",\"op\"]}", "");
    changed("bolt", "{\"operations\":null}", "");
    changed("cord", "{\"publish\":null}", "");
    changed("dock", "{\"publish\":null}", "");

    said[0] = '\0';
    is_int(es_verify_registry(store, say, NULL, &totals), ES_OK, "verified");
    is_str(es_str(said), "", "nothing is left to say");

    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -r %s", dir);
    ok(system(command) == 0, "removed");

    return done();
}
