/* SPDX-License-Identifier: BSD-2-Clause */

/* The record of a verification: written, read, damaged, described. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "delivery/delivery_keys.h"
#include "delivery/endpoint_status.h"
#include "delivery/verification.h"
#include "open/open.h"
#include "tap.h"

static char             dir[] = "/tmp/eventsync-verification-XXXXXX";
static es_store_t      *store;
static es_changeset_t  *changes;


static es_verification_t
sample(uint32_t endpoint)
{
    es_verification_t  v = {
        .endpoint = endpoint, .class = ES_ATTEMPT_REDIRECT, .status = 307,
        .checks = 3, .revision = 9, .time_ms = 1790000000000,
        .next_ms = 1790000060000, .origin = "https://a.example",
        .reason = "moved"
    };

    return v;
}


static bool
same(const es_verification_t *a, const es_verification_t *b)
{
    return a->endpoint == b->endpoint && a->method == b->method
           && a->class == b->class && a->status == b->status
           && a->checks == b->checks && a->revision == b->revision
           && a->time_ms == b->time_ms && a->next_ms == b->next_ms
           && strcmp(a->origin, b->origin) == 0
           && strcmp(a->sender, b->sender) == 0
           && strcmp(a->reason, b->reason) == 0;
}


static es_rc_t
put(const es_verification_t *v)
{
    es_rc_t  rc;

    rc = es_changeset_verification(changes, v);

    return rc == ES_OK ? es_delivery_commit(store, changes) : rc;
}


static es_rc_t
count(void *ctx, const es_verification_t *v)
{
    unsigned  *n = ctx;

    *n += v->endpoint;

    return ES_OK;
}


static void
test_record(void)
{
    unsigned             n = 0;
    es_verification_t    v = sample(7), longest = sample(8), read;
    es_endpoint_facts_t  facts = { 0 };

    ok(es_delivery_verification(store, 7, &read) == ES_NOT_FOUND,
       "an endpoint has none");
    ok(put(&v) == ES_OK
       && es_delivery_verification(store, 7, &read) == ES_OK
       && same(&v, &read), "what is written is read");
    ok(es_endpoint_facts_read(store, 7, 9, &facts) == ES_OK
       && facts.unverified, "without a method it is unverified");

    v.method = ES_VERIFIED_HANDSHAKE;
    ok(put(&v) == ES_OK
       && es_endpoint_facts_read(store, 7, 9, &facts) == ES_OK
       && !facts.unverified, "with one it is not");
    ok(es_endpoint_facts_read(store, 6, 9, &facts) == ES_OK
       && !facts.unverified, "nor is one without a record");

    memset(longest.origin, 'o', sizeof(longest.origin) - 1);
    memset(longest.sender, 's', sizeof(longest.sender) - 1);
    memset(longest.reason, 'r', sizeof(longest.reason) - 1);
    ok(put(&longest) == ES_OK
       && es_delivery_verification(store, 8, &read) == ES_OK
       && same(&longest, &read), "the longest texts fit");
    ok(es_delivery_each_verification(store, count, &n) == ES_OK && n == 15,
       "each is visited");

    ok(es_changeset_forget(changes, 8) == ES_OK
       && es_delivery_commit(store, changes) == ES_OK
       && es_delivery_verification(store, 8, &read) == ES_NOT_FOUND
       && es_delivery_verification(store, 7, &read) == ES_OK,
       "a removed endpoint has none");
    ok(es_changeset_verification_done(changes, 7) == ES_OK
       && es_delivery_commit(store, changes) == ES_OK
       && es_delivery_verification(store, 7, &read) == ES_NOT_FOUND,
       "it can be deleted");
}


static void
test_damage(void)
{
    char               record[4096], text[16];
    size_t             len;
    es_dkey_t          key;
    es_verification_t  v = sample(5), read;

    static const char  texts[] = "o\0s\0r";

    key = es_meta_key("verification");
    es_key32(&key, 5);
    memset(record, 0, sizeof(record));

    for (len = 0; len < 34 + sizeof(texts) + 2; len++) {
        if (len == 34) {
            memcpy(record + 34, texts, sizeof(texts));
        }

        (void) snprintf(text, sizeof(text), "%zu bytes", len);
        (void) es_changeset_meta_put(changes, &key, record, len);
        (void) es_delivery_commit(store, changes);

        if ((es_delivery_verification(store, 5, &read) == ES_OK)
            != (len == 34 + sizeof(texts)))
        {
            break;
        }
    }

    ok(len == 34 + sizeof(texts) + 2, "a record that is cut is refused: %s",
       text);

    record[0] = ES_VERIFIED_METHODS;
    (void) es_changeset_meta_put(changes, &key, record, 34 + sizeof(texts));
    (void) es_delivery_commit(store, changes);
    ok(es_delivery_verification(store, 5, &read) == ES_CORRUPT,
       "so is an unknown method");
    ok(put(&v) == ES_OK
       && es_delivery_verification(store, 5, &read) == ES_OK,
       "another one replaces it");
}


static void
report_is(const es_verification_t *v, const char *expected)
{
    char    *text;
    json_t  *report;

    report = es_verification_report(v);
    text = json_dumps(report, JSON_COMPACT);
    ok(strcmp(text, expected) == 0, "%s", text);
    free(text);
    json_decref(report);
}


static void
test_report(void)
{
    es_verification_t  v = sample(1);

    report_is(&v, "{\"verified\":false,\"method\":\"none\",\"origin\":"
              "\"https://a.example\",\"checks\":3,"
              "\"time\":\"2026-09-21T14:13:20.000Z\","
              "\"next\":\"2026-09-21T14:14:20.000Z\",\"class\":\"redirect\","
              "\"status\":307,\"reason\":\"moved\"}");
    v.next_ms = 0;
    v.time_ms = 0;
    v.reason[0] = '\0';
    report_is(&v, "{\"verified\":false,\"method\":\"none\",\"origin\":"
              "\"https://a.example\",\"checks\":3}");
    v = sample(1);
    v.method = ES_VERIFIED_OPERATOR;
    report_is(&v, "{\"verified\":true,\"method\":\"operator\",\"origin\":"
              "\"https://a.example\",\"checks\":3,"
              "\"time\":\"2026-09-21T14:13:20.000Z\"}");
}


int
main(void)
{
    char          command[64];
    es_problem_t  problem;

    if (mkdtemp(dir) == NULL
        || es_store_create(dir, &problem) != ES_OK
        || es_store_open(dir, ES_STORE_DELIVER, &store, &problem) != ES_OK
        || (changes = es_changeset_create()) == NULL)
    {
        return 1;
    }

    test_record();
    test_damage();
    test_report();

    es_changeset_destroy(changes);
    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
