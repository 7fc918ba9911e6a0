/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Keys that are looked up one by one: every change is seen at the next look,
 * and a look after a write that concerns no key or partner decodes nothing.
 */

#include "catalogue/catalogue.h"
#include "open/open.h"
#include "registry/access.h"
#include "registry/control_request.h"
#include "registry/registry.h"
#include "store/env.h"
#include "store/plain_secrets.h"
#include "store/store.h"
#include "tap.h"

#define DIGEST  "00112233445566778899aabbccddeeff" \
                "00112233445566778899aabbccddeeff"
#define KEY     "{\"partner\":\"acme\",\"digest\":\"" DIGEST "\"," \
                "\"scopes\":[\"read\"]}"
#define HOOK    "{\"partner\":\"acme\",\"url\":\"https://a.example/x\"," \
                "\"feeds\":[\"orders\"]," \
                "\"secrets\":[\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]}"
#define ID      "dddddddddd"

static char          dir[] = "/tmp/eventsync-access-XXXXXX";
static es_store_t   *store;
static es_access_t  *access;
static es_problem_t  problem;


static void
made(es_kind_t kind, const char *name, const char *json)
{
    if (!ok(es_registry_create(store, kind, es_str(name), json, &problem)
            == ES_OK, "a record is created"))
    {
        printf("# %s: %s\n", problem.pointer, problem.detail);
    }
}


static void
changed(es_kind_t kind, const char *name, const char *json)
{
    if (!ok(es_registry_change(store, kind, es_str(name), json, &problem)
            == ES_OK, "%s is changed: %s", name, json))
    {
        printf("# %s: %s\n", problem.pointer, problem.detail);
    }
}


/* The key as a request finds it now; the caller releases it. */

static const es_key_t *
found(const char *what)
{
    es_rc_t          rc;
    const es_key_t  *key = NULL;

    rc = es_access_find(access, ID, &key);
    is_int(rc, ES_OK, what);

    return rc == ES_OK ? key : NULL;
}


static void
missing(es_rc_t expected, const char *what)
{
    const es_key_t  *key;

    is_int(es_access_find(access, ID, &key), expected, what);
}


/* Writes that concern neither partners nor keys. */

static void
test_unconcerned(void)
{
    uint64_t              changes;
    const es_key_t       *key, *again;
    es_control_request_t  request;

    key = found("the key is found");
    changes = es_access_changes(access);

    made(ES_KIND_ENDPOINT, "ep_b", HOOK);
    changed(ES_KIND_ENDPOINT, "ep_b", "{\"paused\":true}");
    made(ES_KIND_FEED, "orders", "{\"schema\":\"warn\"}");
    is_int(es_catalogue_register(store, es_lit("a.b"), es_lit("1.0.0"),
                                 es_lit("{}"), es_null_str, NULL,
                                 &problem),
           ES_OK, "a type is registered");
    memset(&request, 0, sizeof(request));
    request.max = 1;
    request.kind = ES_CONTROL_REDRIVE;
    is_int(es_control_request_add(store, &request, 0, &problem), ES_OK,
           "a request is made of the dispatcher");

    is_int(es_access_refresh(access), ES_OK, "nothing of this");
    ok(es_access_changes(access) == changes, "is a change of access");

    again = found("the key is found again");
    ok(again == key, "and was not read again");
    es_access_release(again);
    es_access_release(key);
}


static void
test_changed(void)
{
    uint64_t         changes;
    const es_key_t  *key, *again;

    key = found("the key is found");
    ok(key->revision == 1 && key->partner->revision == 1
       && es_key_valid(key, 0), "with its partner, and is valid");

    changes = es_access_changes(access);
    changed(ES_KIND_PARTNER, "other", "{\"feeds\":[\"x\"]}");
    changed(ES_KIND_ENDPOINT, "ep_b", "{}");
    is_int(es_access_refresh(access), ES_OK, "a change of another partner");
    ok(es_access_changes(access) == changes + 1, "is a change");

    again = found("the key is found");
    ok(again == key, "and is the same, because its records are");
    es_access_release(again);

    changed(ES_KIND_PARTNER, "acme", "{\"disabled\":true}");
    again = found("the key is found");
    ok(!es_key_valid(again, 0) && again->partner->revision == 2,
       "and its partner is disabled");
    ok(es_key_valid(key, 0), "what was found before never changes");
    es_access_release(again);
    es_access_release(key);

    changed(ES_KIND_PARTNER, "acme", "{\"disabled\":false}");
    changed(ES_KIND_KEY, ID, "{\"revoked\":\"2020-01-01T00:00:00Z\"}");
    key = found("the key is found");
    ok(!es_key_valid(key, INT64_C(1893455999999)) && key->revision == 2,
       "and is revoked");
    es_access_release(key);
}


static const char  *damage;     /* the text that `silently` writes */


/* As a writer that leaves no notes. */

static es_rc_t
silently(MDB_txn *txn, void *ctx)
{
    MDB_dbi  dbi = es_env_dbi(store->registry, ES_REGISTRY_OBJECTS);
    MDB_val  key = { strlen(ctx), ctx };
    MDB_val  text = { strlen(damage), (void *) (uintptr_t) damage };

    return es_env_rc(*(const char *) ctx == 'p'
                     ? mdb_put(txn, dbi, &key, &text, 0)
                     : mdb_del(txn, dbi, &key, NULL));
}


static void
test_silent(void)
{
    const es_key_t  *key;

    damage = "{\"allow_from\":[\"nowhere\"]}";
    is_int(es_env_update(store->registry, silently, (char *) "pacme"), ES_OK,
           "the partner's list of addresses is damaged");
    changed(ES_KIND_ENDPOINT, "ep_b", "{}");
    missing(ES_CORRUPT, "the key is not admitted");

    damage = "{\"a\"";
    is_int(es_env_update(store->registry, silently, (char *) "pacme"), ES_OK,
           "the partner's record is damaged");
    changed(ES_KIND_ENDPOINT, "ep_b", "{}");
    missing(ES_CORRUPT, "the key is not admitted");
    is_int(es_access_find_partner(access, es_lit("acme"), &key), ES_CORRUPT,
           "nor is the partner without a key");

    is_int(es_env_update(store->registry, silently, (char *) "k" ID), ES_OK,
           "the key's record is removed without a note");
    changed(ES_KIND_ENDPOINT, "ep_b", "{}");
    missing(ES_NOT_FOUND, "the key is not there");

    is_int(es_access_find(access, "eeeeeeeeee", &key), ES_OK,
           "another partner's key is");
    es_access_free(access);
    ok(es_key_valid(key, 0), "and stays until it is released");
    es_access_release(key);
}


/* A partner without a key. */

static const es_key_t *
partner(const char *name)
{
    const es_key_t  *key = NULL;

    is_int(es_access_find_partner(access, es_str(name), &key), ES_OK, name);

    return key;
}


static void
test_partner(void)
{
    const es_key_t  *one, *again, *two;

    is_int(es_access_find_partner(access, es_lit("nobody"), &one),
           ES_NOT_FOUND, "a partner who does not exist");
    is_int(es_access_find_partner(access, es_lit(ID), &one), ES_NOT_FOUND,
           "a key's id is no partner");

    one = partner("acme");
    again = partner("acme");
    two = partner("other");

    ok(one == again, "the partner is remembered");
    is_int(one->number, 0, "it is no key of the registry");
    is_str(one->partner->name, "acme", "its name");
    ok(es_key_allows(one, ES_SCOPE_READ, es_lit("orders")), "its feed");
    ok(!es_key_allows(one, ES_SCOPE_READ, es_lit("prices")), "no other feed");
    ok(!es_key_allows(two, ES_SCOPE_READ, es_lit("orders")),
       "another partner lacks it");
    is_int(one->id[0], ES_ACCESS_NO_KEY, "its id is no key's");
    is_int((int64_t) strlen(one->id), ES_KEYID_LEN, "but as long");
    ok(strcmp(one->id, two->id) != 0, "and no other partner's");
    ok(es_key_valid(one, INT64_MAX), "it does not expire");

    changed(ES_KIND_PARTNER, "acme", "{\"disabled\":true}");
    es_access_release(again);
    again = partner("acme");
    ok(again != one && !es_key_valid(again, 0), "a change is seen at once");

    changed(ES_KIND_PARTNER, "acme", "{\"disabled\":false}");
    es_access_release(one);
    es_access_release(again);
    es_access_release(two);
}


int
main(void)
{
    char  command[128];

    if (mkdtemp(dir) == NULL
        || es_store_create(dir, &problem) != ES_OK
        || es_plain_secrets_begin(dir) != ES_OK
        || es_store_open(dir, ES_STORE_ADMIN, &store, &problem) != ES_OK
        || (access = es_access_create(store)) == NULL)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    missing(ES_NOT_FOUND, "an empty registry has no key");

    made(ES_KIND_PARTNER, "acme", "{\"feeds\":[\"orders\"]}");
    made(ES_KIND_PARTNER, "other", "{}");
    made(ES_KIND_KEY, ID, KEY);
    made(ES_KIND_KEY, "eeeeeeeeee", "{\"partner\":\"other\",\"digest\":\""
         DIGEST "\",\"scopes\":[\"read\"]}");

    test_unconcerned();
    test_changed();
    test_partner();
    test_silent();

    es_store_close(store);

    (void) snprintf(command, sizeof(command), "rm -r %s", dir);
    is_int(system(command), 0, "the store is removed");

    return done();
}
