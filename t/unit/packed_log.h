/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A log of events of all kinds, for the tests of packed history.
 */

#ifndef ES_PACKED_LOG_H
#define ES_PACKED_LOG_H

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "erase/erase.h"
#include "event/batch.h"
#include "log/feed.h"
#include "open/open.h"
#include "pack/pack.h"
#include "registry/registry.h"
#include "store/store.h"
#include "tap.h"
#include "verifies.h"

#define DIGEST  "00112233445566778899aabbccddeeff"                             \
                "00112233445566778899aabbccddeeff"
#define EVENTS  1250

static char          dir[] = "/tmp/eventsync-packed-XXXXXX";
static es_store_t   *store;
static es_feed_t     feed;
static unsigned      seed = 7;
static unsigned      made;


static inline unsigned
pick(unsigned n)
{
    seed = seed * 1103515245 + 12345;

    return (seed >> 16) % n;
}


static inline void
head(void)
{
    es_txn_t  *txn;

    (void) es_txn_begin(store, &txn);
    (void) es_feed_get(txn, es_lit("f"), &feed);
    es_txn_end(txn);
}


/* A UUID, or what almost is one. */

static inline const char *
uuid(char out[64])
{
    static const char  *const others[] = {
        "", "-", "0-00000000-0000-0000-0000-0000000000000-0",
        "00000000-0000-0000-0000-00000000000", "--------------------",
        "0123456789ABCDEF-0123-4567-89ab-cdef01234567",
        "01234567-89ab-cdef-0123-456789abcdeg",
        "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee-bbbb-cccc-dddd-eeeeeeeeeeee"
    };

    if (pick(3) == 0) {
        return others[pick(sizeof(others) / sizeof(others[0]))];
    }

    (void) snprintf(out, 64, "%08x-%04x-4%03x-%04x-%06x%06x", pick(1 << 16),
                    pick(1 << 16), pick(1 << 12), pick(1 << 16),
                    pick(1 << 16), pick(1 << 16));

    return out;
}


/* Events with and without subject and time, with long types and subjects,
   escapes, binary data, and some that are larger than a packed chunk. */

static inline size_t
compose(char *json, size_t size)
{
    char    type[256], subject[900], data[3000], first[64], second[64];
    size_t  len;

    made++;
    memset(type, 't', sizeof(type));
    type[made % 97 == 0 ? sizeof(type) - 1 : 1 + pick(4)] = '\0';
    memset(subject, 's', sizeof(subject));
    subject[made % 89 == 0 ? sizeof(subject) - 1 : 1 + pick(30)] = '\0';
    memset(data, 'd', sizeof(data));
    data[pick(8) == 0 ? sizeof(data) - 1 : pick(60)] = '\0';

    len = (size_t) snprintf(json, size, "{\"specversion\":\"1.0\",\"id\":"
                            "\"%s-%u\",\"source\":\"/%u\",\"ext\":"
                            "\"\\u00e9\\\"\",\"type\":\"%s\"",
                            uuid(first), made, made % 3, type);

    if (pick(5) != 0) {
        len += (size_t) snprintf(json + len, size - len,
                                 ",\"subject\":\"%s\"", subject);
    }

    if (pick(3) == 0) {
        len += (size_t) snprintf(json + len, size - len,
                                 ",\"time\":\"2020-01-01T00:00:00Z\"");
    }

    len += pick(4) == 0
           ? (size_t) snprintf(json + len, size - len,
                               ",\"data_base64\":\"AP8%c\"}", "AQgw"[pick(4)])
           : (size_t) snprintf(json + len, size - len,
                               ",\"data\":\"%u%s\\n\\\"%s%s\"}", made,
                               uuid(first), uuid(second), data);

    return len;
}


static inline void
publish(unsigned n, uint32_t partner, uint32_t key)
{
    char          json[8192];
    unsigned      i;
    es_batch_t   *batch;
    es_problem_t  problem;

    batch = es_batch_create(es_lit("f"), NULL);
    batch->publisher.partner = partner;
    batch->publisher.key = key;

    for (i = 0; i < n; i++) {
        if (es_batch_add(batch, json, compose(json, sizeof(json)), &problem)
            != ES_OK)
        {
            printf("Bail out! %s\n", problem.detail);
            exit(1);
        }
    }

    es_publish(store, &batch, 1);

    if (es_batch_rc(batch) != ES_OK) {
        printf("Bail out! %s\n", es_batch_problem(batch)->detail);
        exit(1);
    }

    es_batch_destroy(batch);
}


/* An event that has a frame of its own. */

static inline void
publish_large(size_t size)
{
    char         *json;
    size_t        len;
    es_batch_t   *batch;
    es_limits_t   limits = { 0 };
    es_problem_t  problem;

    limits.event_max = 2 * size;
    json = malloc(size + 200);
    len = (size_t) sprintf(json, "{\"specversion\":\"1.0\",\"id\":\"l%u\","
                           "\"source\":\"/l\",\"type\":\"t\",\"data\":\"",
                           ++made);

    for ( ; len < size; len++) {
        json[len] = (char) ('a' + pick(26));
    }

    len += (size_t) sprintf(json + len, "\"}");
    batch = es_batch_create(es_lit("f"), &limits);

    if (es_batch_add(batch, json, len, &problem) != ES_OK) {
        printf("Bail out! %s\n", problem.detail);
        exit(1);
    }

    es_publish(store, &batch, 1);
    ok(es_batch_rc(batch) == ES_OK, "a large event");
    es_batch_destroy(batch);
    free(json);
}


static inline bool
create(void)
{
    es_problem_t  problem;

    static const char  *const keys[] = { "aaaaaaaaaa", "bbbbbbbbbb" };

    (void) mkdtemp(dir);

    if (es_store_create(dir, &problem) == ES_OK
        && es_store_open(dir, ES_STORE_PUBLISH | ES_STORE_ADMIN, &store,
                         &problem) == ES_OK
        && es_feed_create(store, es_lit("f"), NULL, NULL) == ES_OK
        && es_registry_create(store, ES_KIND_PARTNER, es_lit("acme"),
                              "{\"publish\":[\"f\"]}", &problem) == ES_OK
        && es_registry_create(store, ES_KIND_KEY, es_str(keys[0]),
                              "{\"partner\":\"acme\",\"digest\":\"" DIGEST
                              "\",\"scopes\":[\"publish\"]}", &problem)
           == ES_OK
        && es_registry_create(store, ES_KIND_KEY, es_str(keys[1]),
                              "{\"partner\":\"acme\",\"digest\":\"" DIGEST
                              "\",\"scopes\":[\"publish\"]}", &problem)
           == ES_OK)
    {
        return true;
    }

    printf("Bail out! %s\n", problem.detail);

    return false;
}


/* One by one and in batches, by two keys and the operator. */

static inline void
publish_all(void)
{
    unsigned  n, left;

    for (left = EVENTS - 2; left > 0; left -= n) {
        n = pick(3) == 0 ? 1 + pick(120) : 1;
        n = n < left ? n : left;
        n = left > EVENTS - 200 ? 1 : n;

        switch (pick(8)) {

        case 0:
            publish(n, 0, 0);
            break;

        case 1:
            publish(n, 1, 2);
            break;

        default:
            publish(n, 1, 1);
        }
    }
}


static inline es_packed_runs_t
pack_all(unsigned level)
{
    es_rc_t           rc;
    uint64_t          after;
    es_packed_runs_t  done, sum = { 0 };

    for (after = 0, done.done = false; !done.done; after = done.next) {
        rc = level > 0
             ? es_pack_step(store, es_lit("f"), after, 3, level, &done)
             : es_unpack_step(store, es_lit("f"), after, 3, &done);

        if (rc != ES_OK) {
            printf("Bail out! %s\n", es_strerror(rc));
            exit(1);
        }

        sum.runs += done.runs;
        sum.events += done.events;
        sum.chunks += done.chunks;
        sum.before += done.before;
        sum.after += done.after;
    }

    return sum;
}


static inline void
erased(void *ctx, const es_feed_t *of, uint64_t sequence)
{
    (void) of;
    (void) sequence;
    (*(unsigned *) ctx)++;
}


static inline void
erase(uint64_t sequence)
{
    unsigned    n = 0;
    es_erase_t  what = { .feed = es_lit("f"), .forget = true, .each = erased,
                         .ctx = &n };

    what.event.sequence = sequence;
    memcpy(what.event.epoch, es_feed_epoch_of(&feed, sequence),
           sizeof(what.event.epoch));
    (void) es_erase(store, &what);
    ok(n == 1, "event %llu is erased", (unsigned long long) sequence);
}


/* Removes the store.  Returns the value of main(). */

static inline int
end(void)
{
    char  command[64];

    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}

#endif /* ES_PACKED_LOG_H */
