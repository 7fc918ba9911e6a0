/* SPDX-License-Identifier: BSD-2-Clause */

/* Validation of events by the catalogue, as users of the C library see it. */

#include <unistd.h>

#include "catalogue/catalogue.h"
#include "catalogue/catalogue_keys.h"
#include "log/feed.h"
#include "open/open.h"
#include "registry/registry.h"
#include "schema/schema.h"
#include "store/env.h"
#include "tap.h"

static es_store_t  *store;
static const char  *type = "t";


static void
make_store(const char *path)
{
    es_problem_t  problem;

    if (es_store_create(path, &problem) != ES_OK
        || es_store_open(path, ES_STORE_PUBLISH | ES_STORE_ADMIN, &store,
                         &problem) != ES_OK
        || es_feed_create(store, es_lit("strict"), NULL, NULL) != ES_OK
        || es_feed_create(store, es_lit("free"), NULL, NULL) != ES_OK
        || es_registry_create(store, ES_KIND_FEED, es_lit("strict"),
                              "{\"schema\":\"enforce\"}", &problem) != ES_OK
        || es_catalogue_register(store, es_lit("t"), es_lit("1.0.0"),
                                 es_lit("{\"maximum\":3}"), es_lit(""), NULL,
                                 &problem) != ES_OK)
    {
        printf("Bail out! no store: %s\n", problem.detail);
        exit(1);
    }
}


/* Events of `type`, each with the data of one number. */

static es_batch_t *
make_batch(const char *feed, const char *const *data)
{
    int            len;
    char           text[256];
    es_batch_t    *batch;
    es_problem_t   problem;

    static int  id;

    batch = es_batch_create(es_str(feed), NULL);

    for ( /* void */ ; *data != NULL; data++) {
        len = snprintf(text, sizeof(text), "{\"specversion\":\"1.0\","
                       "\"id\":\"%d\",\"source\":\"/s\",\"type\":\"%s\","
                       "\"data\":%s}", ++id, type, *data);

        if (es_batch_add(batch, text, (size_t) len, &problem) != ES_OK) {
            printf("Bail out! no event: %s\n", problem.detail);
            exit(1);
        }
    }

    return batch;
}


static uint64_t
last_of(const char *feed)
{
    es_txn_t   *txn;
    es_feed_t   found = { .last = 0 };

    if (es_txn_begin(store, &txn) == ES_OK) {
        (void) es_feed_get(txn, es_str(feed), &found);
        es_txn_end(txn);
    }

    return found.last;
}


static void
test_enforced(void)
{
    es_batch_t          *batches[3];
    const es_problem_t  *problem;

    static const char *const  good[] = { "1", "3", NULL };
    static const char *const  bad[] = { "1", "4", NULL };

    batches[0] = make_batch("strict", good);
    batches[1] = make_batch("strict", bad);
    batches[2] = make_batch("free", bad);

    es_publish(store, batches, 3);

    is_int(es_batch_rc(batches[0]), ES_OK, "a batch that is right");
    is_int(es_batch_rc(batches[1]), ES_MISMATCH, "one that is not");
    is_int(es_batch_rc(batches[2]), ES_OK, "a feed that does not ask");

    problem = es_batch_problem(batches[1]);
    is_int(problem->index, 1, "the event that is wrong");
    is_str(es_str(problem->pointer), "/data", "its place");
    is_str(es_str(problem->keyword), "maximum", "the keyword");
    is_int((int64_t) last_of("strict"), 2, "none of its batch is stored");
    is_int((int64_t) last_of("free"), 2, "the others are");

    es_publish(store, &batches[1], 1);
    is_int(es_batch_rc(batches[1]), ES_MISMATCH, "it stays refused");
    is_int((int64_t) last_of("strict"), 2, "and not stored");

    es_batch_destroy(batches[0]);
    es_batch_destroy(batches[1]);
    es_batch_destroy(batches[2]);
}


static void
test_beforehand(void)
{
    es_batch_t    *batch;
    es_problem_t   problem;

    static const char *const  good[] = { "2", NULL };
    static const char *const  bad[] = { "5", NULL };

    batch = make_batch("strict", bad);
    is_int(es_batch_validate(store, batch, &problem), ES_MISMATCH,
           "validated beforehand");
    is_int(problem.index, 0, "with the event");
    is_int(es_batch_validate(store, batch, NULL), ES_MISMATCH, "and once more");
    es_batch_destroy(batch);

    batch = make_batch("strict", good);
    is_int(es_batch_validate(store, batch, &problem), ES_OK, "or it is right");
    es_publish(store, &batch, 1);
    is_int(es_batch_rc(batch), ES_OK, "and published");
    es_batch_destroy(batch);
}


static void
test_warned(void)
{
    es_batch_t         *batch;
    const es_result_t  *result;

    static const char *const  mixed[] = { "9", "1", "8", NULL };

    (void) es_registry_change(store, ES_KIND_FEED, es_lit("strict"),
                              "{\"schema\":\"warn\"}", NULL);

    batch = make_batch("strict", mixed);
    es_publish(store, &batch, 1);

    is_int(es_batch_rc(batch), ES_OK, "stored with a warning");
    is_int((int64_t) es_batch_warnings(batch), 2, "two of them");

    result = es_batch_result(batch, 0);
    ok(result->warning != NULL
       && strcmp(result->warning->pointer, "/data") == 0, "of the first");
    ok(es_batch_result(batch, 1)->warning == NULL, "not of the second");
    ok(es_batch_result(batch, 2)->warning != NULL, "of the third");

    es_batch_destroy(batch);
}


/* Publishes an event of the type "t" to the feed that enforces schemas. */

static es_rc_t
published(void)
{
    es_rc_t      rc;
    es_batch_t  *batch;

    static const char *const  good[] = { "1", NULL };

    batch = make_batch("strict", good);
    es_publish(store, &batch, 1);
    rc = es_batch_rc(batch);
    es_batch_destroy(batch);

    return rc;
}


static es_rc_t
damage_feeds(MDB_txn *txn, void *ctx)
{
    return es_type_put(store, txn, 't', es_lit("t"), es_null_str,
                       es_str(ctx));
}


static void
test_feeds(void)
{
    size_t            i;
    json_t           *feeds;
    es_buf_t          out = { NULL, 0, 0 };
    es_lifetime_t     lifetime;

    static const char *const  damages[] = {
        "", "[]", "{}", "{\"feeds\":null}", "{\"feeds\":[1]}",
        "{\"feeds\":[\"\"]}", "{\"feeds\":[\"A\"]}"
    };

    (void) es_registry_change(store, ES_KIND_FEED, es_lit("strict"),
                              "{\"schema\":\"enforce\"}", NULL);
    is_int(published(), ES_OK, "a type that names no feeds");

    feeds = json_pack("[s]", "free");
    is_int(es_catalogue_change_feeds(store, es_lit("t"), feeds, NULL), ES_OK,
           "a type of another feed");
    is_int(published(), ES_MISMATCH, "is refused");

    json_array_append_new(feeds, json_string("str*"));
    is_int(es_catalogue_change_feeds(store, es_lit("t"), feeds, NULL), ES_OK,
           "a type of this feed, too");
    is_int(published(), ES_OK, "is not");
    json_decref(feeds);

    for (i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
        is_int(es_env_update(store->registry, damage_feeds,
                             (void *) (uintptr_t) damages[i]), ES_OK,
               "the record of its feeds is damaged");
        is_int(published(), ES_CORRUPT, "nothing is published");
        is_int(es_catalogue_type(store, es_lit("t"), NULL, &out), ES_CORRUPT,
               "nor shown");
        is_int(es_catalogue_get(store, es_lit("t"), es_lit("1.0.0"), NULL,
                                &out, &lifetime), ES_CORRUPT,
               "not a version either");
        is_int(es_catalogue_list(store, es_null_str, es_null_str, 9, NULL, &out),
               ES_CORRUPT, "nor listed");
    }

    es_buf_free(&out);
}


static void
test_versions(void)
{
    char           text[16];
    unsigned       i;
    es_rc_t        rc;
    es_problem_t   problem;

    static const char *const  wrong[] = {
        "", "1", "1.0", "1.0.", "1.0.0.", "1.0.0.0", "01.0.0", "1.0.00",
        "1.0.-1", "1.0.1000000", "1.0.0-rc1", "v1.0.0", " 1.0.0", "1..0"
    };

    for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        es_version_t  version;

        ok(es_version_parse(es_str(wrong[i]), &version) == ES_INVALID,
           "'%s' is no version", wrong[i]);
    }

    rc = ES_OK;

    for (i = 0; i < ES_VERSIONS_MAX && rc == ES_OK; i++) {
        (void) snprintf(text, sizeof(text), "0.0.%u", i);
        rc = es_catalogue_register(store, es_lit("many"), es_str(text),
                                   es_lit("true"), es_lit(""), NULL, &problem);
    }

    is_int(rc, ES_OK, "as many versions as a type may have");
    is_int(es_catalogue_register(store, es_lit("many"), es_lit("1.0.0"),
                                 es_lit("true"), es_lit(""), NULL, &problem),
           ES_TOO_LARGE, "and not one more");
    is_int(es_catalogue_register(store, es_lit("t"), es_lit("2.0.0"),
                                 es_lit("true"), es_lit("\xff"), NULL, &problem),
           ES_INVALID, "a description must be UTF-8");
}


/* A schema that was registered before such patterns were refused. */

static es_rc_t
put_exponential(MDB_txn *txn, void *ctx)
{
    es_rc_t  rc;

    (void) ctx;

    rc = es_type_put(store, txn, 's', es_str(type), es_lit("3.0.0"),
                     es_lit("{\"pattern\":\"^(a+)+$\"}"));

    return rc != ES_OK ? rc
                       : es_type_put(store, txn, 't', es_str(type),
                                     es_lit("3.0.0"), es_lit("{}"));
}


static void
test_exponential(void)
{
    es_batch_t          *batch;
    es_problem_t         problem = { 0 };
    const es_problem_t  *said;

    static const char *const  good[] = { "\"aaaa\"", NULL };
    static const char *const  bad[] = {
        "\"aaaa\"", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"", NULL
    };

    type = "exp";
    (void) es_registry_change(store, ES_KIND_FEED, es_lit("strict"),
                              "{\"schema\":\"enforce\"}", NULL);

    is_int(es_catalogue_register(store, es_str(type), es_lit("3.0.0"),
                                 es_lit("{\"pattern\":\"^(a+)+$\"}"),
                                 es_lit(""), NULL, &problem),
           ES_INVALID, "an exponential pattern is not registered");
    is_str(es_str(problem.pointer), "/pattern", "exponential: its place");

    is_int(es_env_update(store->registry, put_exponential, NULL), ES_OK,
           "exponential: one from before");

    batch = make_batch("strict", good);
    es_publish(store, &batch, 1);
    is_int(es_batch_rc(batch), ES_OK, "exponential: it is loaded");
    es_batch_destroy(batch);

    batch = make_batch("strict", bad);
    es_publish(store, &batch, 1);
    said = es_batch_problem(batch);
    is_int(es_batch_rc(batch), ES_MISMATCH, "exponential: it is bounded");
    is_int(said->index, 1, "exponential: by the event");
    ok(strstr(said->detail, "exp/3.0.0: ") != NULL
       && strstr(said->detail, "too long") != NULL, "exponential: %s",
       said->detail);
    es_batch_destroy(batch);
}


/* The events of a batch share the steps of their validation. */

static void
test_shared_steps(void)
{
    unsigned      i, n;
    es_batch_t   *batch;
    const char   *data[17] = { NULL };

    static const char  schema[] = "{\"pattern\":\"^(.*)(.*)(.*)x?$\","
        "\"not\":{\"pattern\":\"^(.*)(.*)(.*)x$\"}}";
    static char  text[128];

    text[0] = '"';
    memset(text + 1, 'a', 100);
    (void) strcpy(text + 101, "x!\"");

    type = "shared";

    is_int(es_catalogue_register(store, es_str(type), es_lit("4.0.0"),
                                 es_str(schema), es_lit(""), NULL, NULL), ES_OK,
           "shared steps: a costly schema");

    for (n = 1; n <= 16; n *= 16) {
        for (i = 0; i < n; i++) {
            data[i] = text;
        }

        batch = make_batch("strict", data);
        es_publish(store, &batch, 1);
        is_int(es_batch_rc(batch), n == 1 ? ES_OK : ES_MISMATCH,
               n == 1 ? "shared steps: one event is right"
                      : "shared steps: many of the same are too many");

        if (n > 1) {
            i = (unsigned) es_batch_problem(batch)->index;
            ok(i > 1 && i < n, "shared steps: used up at the event %u", i);
        }

        es_batch_destroy(batch);
    }
}


int
main(void)
{
    char  dir[] = "/tmp/es-conform-XXXXXX", path[64], command[96];

    if (mkdtemp(dir) == NULL) {
        return 1;
    }

    (void) snprintf(path, sizeof(path), "%s/store", dir);
    make_store(path);

    test_enforced();
    test_beforehand();
    test_warned();
    test_versions();
    test_feeds();
    test_exponential();
    test_shared_steps();

    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
