/* SPDX-License-Identifier: BSD-2-Clause */

/* The record of certificates: written, read, damaged, described. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "delivery/certificates.h"
#include "delivery/delivery_keys.h"
#include "inspect/metrics_certificates.h"
#include "open/open.h"
#include "tap.h"

#define VALUE  56

static char             dir[] = "/tmp/eventsync-certificates-XXXXXX";
static es_store_t      *store;
static es_changeset_t  *changes;


static es_certificates_t
sample(uint32_t endpoint)
{
    es_certificates_t  c = {
        .endpoint = endpoint, .revision = 9,
        .expires_ms = { 1790000000000, 0, 1780000000000 },
        .seen_ms = { 1770000000000, 0, 1770000060000 }
    };

    return c;
}


static es_rc_t
put(const es_certificates_t *c)
{
    es_rc_t  rc;

    rc = es_changeset_certificates(changes, c);

    return rc == ES_OK ? es_delivery_commit(store, changes) : rc;
}


static es_rc_t
count(void *ctx, const es_certificates_t *c)
{
    unsigned  *n = ctx;

    *n += c->endpoint;

    return ES_OK;
}


static void
test_record(void)
{
    unsigned           n = 0;
    es_certificates_t  c = sample(7), other = sample(8), read;

    memset(&read, 0, sizeof(read));

    ok(es_delivery_certificates(store, 7, 9, &read) == ES_NOT_FOUND,
       "an endpoint has none");
    ok(put(&c) == ES_OK && put(&other) == ES_OK
       && es_delivery_certificates(store, 7, 9, &read) == ES_OK
       && read.endpoint == 7 && read.revision == 9
       && memcmp(read.expires_ms, c.expires_ms, sizeof(c.expires_ms)) == 0
       && memcmp(read.seen_ms, c.seen_ms, sizeof(c.seen_ms)) == 0,
       "what is written is read");
    ok(es_delivery_certificates(store, 7, 10, &read) == ES_NOT_FOUND,
       "after a change of the endpoint it counts no more");
    ok(es_delivery_each_certificates(store, count, &n) == ES_OK && n == 15,
       "each is visited");
    ok(es_changeset_forget(changes, 8) == ES_OK
       && es_delivery_commit(store, changes) == ES_OK
       && es_delivery_certificates(store, 8, 9, &read) == ES_NOT_FOUND
       && es_delivery_certificates(store, 7, 9, &read) == ES_OK,
       "a removed endpoint has none");
}


static void
test_damage(void)
{
    char               record[VALUE + 4] = { 0 };
    size_t             len;
    es_dkey_t          key;
    es_certificates_t  read;

    key = es_meta_key("certificates");
    es_key32(&key, 5);

    for (len = 0; len < sizeof(record); len++) {
        (void) es_changeset_meta_put(changes, &key, record, len);
        (void) es_delivery_commit(store, changes);

        if (es_delivery_certificates(store, 5, 0, &read)
            != (len == VALUE ? ES_OK : ES_CORRUPT))
        {
            break;
        }
    }

    ok(len == sizeof(record), "a record of another length is refused");
}


static void
test_report(void)
{
    char               *text;
    json_t             *object;
    es_certificates_t   c = sample(7);

    object = json_object();
    ok(put(&c) == ES_OK && es_certificates_add(store, 6, 9, object) == ES_OK
       && es_certificates_add(store, 7, 8, object) == ES_OK
       && json_object_size(object) == 0, "without a record nothing is added");
    ok(es_certificates_add(store, 7, 9, object) == ES_OK,
       "with one the report is");
    text = json_dumps(object, JSON_COMPACT);
    ok(strcmp(text, "{\"certificates\":{\"receiver\":{"
              "\"expires\":\"2026-09-21T14:13:20.000Z\","
              "\"seen\":\"2026-02-02T02:40:00.000Z\"},\"token\":{"
              "\"expires\":\"2026-05-28T20:26:40.000Z\","
              "\"seen\":\"2026-02-02T02:41:00.000Z\"}}}") == 0, "%s", text);
    free(text);
    json_decref(object);
}


static void
test_expiry(void)
{
    es_expiry_t        one = { 0 }, two = { 0 };
    es_expiries_t      all = { 0 };
    es_certificates_t  a = sample(7), b = { .expires_ms = { 5, 6, 0 } };

    es_expiry_take(&one, &all, &a);
    es_expiry_take(&two, &all, &b);
    ok(one.ms == 1780000000000 && one.cert == ES_CERT_TOKEN
       && two.ms == 5 && two.cert == ES_CERT_RECEIVER,
       "the first to expire is that of the endpoint");
    ok(all.ms[ES_CERT_RECEIVER] == 5 && all.ms[ES_CERT_CLIENT] == 6
       && all.ms[ES_CERT_TOKEN] == 1780000000000,
       "and the first of each kind is that of all");
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
    test_expiry();

    es_changeset_destroy(changes);
    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
