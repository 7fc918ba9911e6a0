/* SPDX-License-Identifier: BSD-2-Clause */

/* The dispatcher's counters: counting, and their record in the store. */

#include <stdlib.h>
#include <unistd.h>

#include "delivery/cases.h"
#include "delivery/delivery_keys.h"
#include "delivery/tally.h"
#include "open/open.h"
#include "tap.h"

static char           dir[] = "/tmp/eventsync-tally-XXXXXX";
static es_store_t    *store;
static es_changeset_t  *changes;


static void
count(es_tally_t *tally, es_attempt_class_t class, uint32_t us)
{
    es_attempt_t  attempt = { .class = (uint8_t) class, .latency_us = us };

    es_tally_attempt(tally, &attempt);
}


static void
test_counts(void)
{
    es_tally_t  tally = { 0 };

    count(&tally, ES_ATTEMPT_OK, 0);
    count(&tally, ES_ATTEMPT_OK, 5000);
    count(&tally, ES_ATTEMPT_STATUS, 5001);
    count(&tally, ES_ATTEMPT_TIMEOUT, 30000000);
    count(&tally, ES_ATTEMPT_TOKEN, UINT32_MAX);
    count(&tally, ES_ATTEMPT_SIMULATED, 0);
    count(&tally, ES_ATTEMPT_CLASSES, 1);

    ok(tally.attempts[ES_ATTEMPT_OK] == 2
       && tally.attempts[ES_ATTEMPT_STATUS] == 1
       && tally.attempts[ES_ATTEMPT_TIMEOUT] == 1
       && tally.attempts[ES_ATTEMPT_TOKEN] == 1
       && tally.attempts[ES_ATTEMPT_SIMULATED] == 1
       && tally.attempts[ES_ATTEMPT_DNS] == 0, "attempts by class");
    ok(tally.within[0] == 3 && tally.within[1] == 1
       && tally.within[ES_TALLY_BUCKETS - 1] == 1
       && tally.within[ES_TALLY_BUCKETS] == 1,
       "durations: a bound is part of what is below it");
    es_tally_delivered(&tally, 0);
    es_tally_delivered(&tally, 10);
    es_tally_delivered(&tally, 11);
    es_tally_delivered(&tally, 3600001);
    ok(tally.delays[0] == 2 && tally.delays[1] == 1
       && tally.delays[ES_TALLY_BUCKETS] == 1 && tally.delay_ms == 3600022,
       "delays");

    ok(tally.duration_us == 5000 + 5001 + 30000000ull + UINT32_MAX + 1,
       "their sum");
}


static es_rc_t
put(const void *record, size_t len)
{
    es_rc_t    rc;
    es_dkey_t  key = { ES_META_TALLY, sizeof(ES_META_TALLY) - 1 };

    rc = es_changeset_meta_put(changes, &key, record, len);

    return rc == ES_OK ? es_delivery_commit(store, changes) : rc;
}


static void
test_record(void)
{
    size_t      i;
    es_tally_t  tally, read;
    struct __attribute__((packed)) {
        uint32_t  classes, durations;
        uint64_t  dead, host_waits, duration_us, numbers[4];
    } other = { 2, 2, 7, 9, 8, { 1, 2, 3, 4 } };

    memset(&read, 1, sizeof(read));
    memset(&tally, 0, sizeof(tally));
    ok(es_delivery_tally(store, &read) == ES_OK
       && memcmp(&read, &tally, sizeof(read)) == 0, "a new store has none");

    for (i = 0; i < sizeof(tally) / sizeof(uint64_t); i++) {
        ((uint64_t *) &tally)[i] = i * i + 1;
    }

    ok(es_changeset_tally(changes, &tally) == ES_OK
       && es_delivery_commit(store, changes) == ES_OK
       && es_delivery_tally(store, &read) == ES_OK
       && memcmp(&read, &tally, sizeof(read)) == 0, "what is written is read");

    ok(put(&other, sizeof(other)) == ES_OK
       && es_delivery_tally(store, &read) == ES_OK, "of another version");
    ok(read.attempts[0] == 1 && read.attempts[1] == 2 && read.attempts[2] == 0
       && read.dead == 7 && read.host_waits == 9, "are the classes that it had");
    ok(read.within[0] == 0 && read.within[1] == 0 && read.duration_us == 0,
       "and no durations, if their bounds are others");

    ok(put(&other, sizeof(other) - 8) == ES_OK
       && es_delivery_tally(store, &read) == ES_CORRUPT, "one that is cut");
    ok(put(&other, 7) == ES_OK
       && es_delivery_tally(store, &read) == ES_CORRUPT, "one that is short");
}


/* The latest case of each counter and bucket, and their record. */

static void
test_cases(void)
{
    es_cases_t    cases = { 0 }, read;
    es_case_of_t  delivered = { 7, 11000, 4, 1, 2 };
    es_attempt_t  attempt = { .endpoint = 2, .feed = 1, .sequence = 3,
                              .time_ms = 5, .latency_us = 6000,
                              .class = ES_ATTEMPT_STATUS };

    memset(&read, 1, sizeof(read));
    ok(es_delivery_cases(store, &read) == ES_OK
       && memcmp(&read, &cases, sizeof(read)) == 0, "a new store has no case");

    es_cases_attempt(&cases, &attempt);
    attempt.sequence = 4;
    es_cases_attempt(&cases, &attempt);
    ok(cases.classes[ES_ATTEMPT_STATUS].sequence == 4
       && cases.classes[ES_ATTEMPT_OK].time_ms == 0
       && cases.durations[1].us == 6000
       && cases.durations[1].endpoint == 2
       && cases.durations[0].time_ms == 0, "the latest attempt is the case");

    attempt.class = ES_ATTEMPT_SIMULATED;
    attempt.latency_us = 0;
    es_cases_attempt(&cases, &attempt);
    ok(cases.classes[ES_ATTEMPT_SIMULATED].feed == 1
       && cases.durations[0].time_ms == 0, "a simulated one has no duration");

    attempt.feed = 0;
    attempt.sequence = 9;
    es_cases_attempt(&cases, &attempt);
    ok(cases.classes[ES_ATTEMPT_SIMULATED].sequence == 4,
       "and one without an event is no case");

    es_cases_delivered(&cases, &delivered);
    ok(cases.delays[1].sequence == 4 && cases.delays[0].time_ms == 0,
       "a delivery");

    ok(es_changeset_cases(changes, &cases) == ES_OK
       && es_delivery_commit(store, changes) == ES_OK
       && es_delivery_cases(store, &read) == ES_OK
       && memcmp(&read, &cases, sizeof(read)) == 0, "what is written is read");
}


int
main(void)
{
    char          command[64];
    es_problem_t  problem;

    test_counts();

    if (mkdtemp(dir) == NULL
        || es_store_create(dir, &problem) != ES_OK
        || es_store_open(dir, ES_STORE_DELIVER, &store, &problem) != ES_OK
        || (changes = es_changeset_create()) == NULL)
    {
        return 1;
    }

    test_cases();
    test_record();

    es_changeset_destroy(changes);
    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
