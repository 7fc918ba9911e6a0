/* SPDX-License-Identifier: BSD-2-Clause */

/* Rate meters of keys that a client can invent, in a full table. */

#include "limit/meters.h"
#include "tap.h"

#define SETS  16
#define NOW   (1000 * ES_SECOND_NS)

static const es_rate_t  rate = { 1, ES_SECOND_NS, 5 };


static es_meters_t *
make(void)
{
    es_meters_t  *meters;

    meters = calloc(1, es_meters_size(SETS));

    if (meters == NULL || es_meters_init(meters, SETS) != ES_OK) {
        exit(1);
    }

    return meters;
}


static uint64_t
key(const es_meters_t *meters, uint32_t n)
{
    return es_meters_key(meters, &n, sizeof(n));
}


static void
test_keys(void)
{
    int           i;
    es_meters_t  *a, *b;

    a = make();
    b = make();

    ok(key(a, 1) == key(a, 1) && key(a, 1) != key(a, 2), "keys are apart");
    ok(key(a, 1) != key(b, 1), "and of another table nobody can tell");

    for (i = 0; i < 5; i++) {
        if (!es_meters_take(a, key(a, 1), &rate, NOW, 1).admitted) {
            break;
        }
    }

    is_int(i, 5, "a burst is admitted");
    ok(!es_meters_take(a, key(a, 1), &rate, NOW, 1).admitted, "and no more");
    ok(!es_meters_peek(a, key(a, 1), &rate, NOW, 1).admitted, "as a look says");
    ok(es_meters_take(a, key(a, 2), &rate, NOW, 1).admitted, "another has its own");
    es_meters_refund(a, key(a, 1), &rate, 1);
    ok(es_meters_take(a, key(a, 1), &rate, NOW, 1).admitted, "what is given back");
    ok(es_meters_take(a, key(a, 1), &rate, NOW + ES_SECOND_NS, 1).admitted,
       "what is earned");

    free(a);
    free(b);
}


/* Ten keys to each meter, all of them used up. */

static void
test_flood(void)
{
    int           n, i;
    uint32_t      k;
    es_meters_t  *meters;

    meters = make();

    for (i = 0; i < 6; i++) {
        (void) es_meters_take(meters, key(meters, 1), &rate, NOW, 1);
    }

    for (k = 1000; k < 1000 + SETS * 8 * 10; k++) {
        (void) es_meters_take(meters, key(meters, k), &rate, NOW, 1);
    }

    ok(!es_meters_take(meters, key(meters, 1), &rate, NOW, 1).admitted,
       "a flood of keys does not clear who had used up its own");

    n = 0;

    for (i = 0; i < 20; i++) {
        for (k = 1000; k < 1000 + SETS * 8 * 10; k++) {
            n += es_meters_take(meters, key(meters, k), &rate, NOW,
                                1).admitted;
        }
    }

    ok(n <= SETS * 8 * 5, "keys together are admitted what the table holds");
    ok(es_meters_peek(meters, key(meters, 99), &rate, NOW, 1).admitted,
       "a key that was never charged is not refused");
    ok(es_meters_take(meters, key(meters, 98), &rate,
                      NOW + 5 * ES_SECOND_NS, 1).remaining == 4,
       "and when the flood is over, has all");

    free(meters);
}


int
main(void)
{
    test_keys();
    test_flood();

    return done();
}
