/* SPDX-License-Identifier: BSD-2-Clause */

/* The rate limiter: compared with a simple model, and under concurrency. */

#include <pthread.h>
#include <stdatomic.h>

#include "limit/gcra.h"
#include "tap.h"

#define THREADS  4
#define TAKES    50000

static _Atomic uint64_t  shared_word;
static _Atomic uint64_t  shared_admitted;


static uint64_t
next_random(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005)
             + UINT64_C(1442695040888963407);

    return *state >> 33;
}


/* The formula of the facts, in signed arithmetic, against the function. */

static bool
model(uint64_t seed)
{
    int                i;
    int64_t            tat, now, t, b, c, fresh;
    uint64_t           state;
    es_gcra_t          got;
    es_rate_t          rate;
    _Atomic uint64_t   word;

    state = seed;
    t = (int64_t) (next_random(&state) % 1000 + 1);
    b = (int64_t) (next_random(&state) % 20 + 1);
    rate.units = 1;
    rate.period_ns = (uint64_t) t;
    rate.burst = (uint64_t) b;
    tat = 0;
    now = 1000000;
    atomic_init(&word, 0);

    for (i = 0; i < 2000; i++) {
        now += (int64_t) (next_random(&state) % (uint64_t) (2 * t));
        c = (int64_t) (next_random(&state) % (uint64_t) (b + 1));
        fresh = (now > tat ? now : tat) + c * t;

        got = es_gcra_peek(&word, &rate, (uint64_t) now, (uint64_t) c);
        if (got.admitted != (fresh - now <= b * t)) {
            return false;
        }

        got = es_gcra_take(&word, &rate, (uint64_t) now, (uint64_t) c);
        if (got.admitted != (fresh - now <= b * t)) {
            return false;
        }

        if (!got.admitted) {
            if ((int64_t) got.retry_after_ns != fresh - b * t - now) {
                return false;
            }
            fresh = now > tat ? now : tat;

        } else if (c > 0) {
            tat = fresh;
        }

        if ((int64_t) got.remaining != (b * t - (fresh - now)) / t
            || (int64_t) got.reset_ns != fresh - now)
        {
            return false;
        }
    }

    return true;
}


static void *
taker(void *arg)
{
    int        i;
    es_rate_t  rate = { 1, 1000, 1000 };

    (void) arg;

    for (i = 0; i < TAKES; i++) {
        if (es_gcra_take(&shared_word, &rate, 5000000, 1).admitted) {
            atomic_fetch_add(&shared_admitted, 1);
        }
    }

    return NULL;
}


static void
test_concurrent(void)
{
    int        i;
    pthread_t  threads[THREADS];

    for (i = 0; i < THREADS; i++) {
        (void) pthread_create(&threads[i], NULL, taker, NULL);
    }

    for (i = 0; i < THREADS; i++) {
        (void) pthread_join(threads[i], NULL);
    }

    is_int((int64_t) shared_admitted, 1000,
           "threads together are admitted the burst, exactly");
}


static void
test_steps(void)
{
    es_gcra_t         g;
    es_rate_t         rate = { 1, 1000000, 3 };
    _Atomic uint64_t  word = 0;

    g = es_gcra_take(&word, &rate, 100, 1);
    ok(g.admitted && g.remaining == 2 && g.reset_ns == 1000000,
       "the first of three is admitted");
    g = es_gcra_take(&word, &rate, 100, 2);
    ok(g.admitted && g.remaining == 0, "and two more at once");
    g = es_gcra_take(&word, &rate, 100, 1);
    ok(!g.admitted && g.retry_after_ns == 1000000,
       "the next must wait for one interval");
    g = es_gcra_take(&word, &rate, 1000099, 1);
    ok(!g.admitted && g.retry_after_ns == 1, "to the nanosecond");
    g = es_gcra_take(&word, &rate, 1000100, 1);
    ok(g.admitted, "and is admitted then");
    g = es_gcra_peek(&word, &rate, 1000100, 0);
    ok(g.admitted && g.remaining == 0, "a cost of nothing is always admitted");
    g = es_gcra_peek(&word, &rate, 1000100, 4);
    ok(!g.admitted && g.retry_after_ns == UINT64_MAX,
       "a cost over the burst is never");
    g = es_gcra_peek(&word, &rate, 1000100, UINT64_MAX);
    ok(!g.admitted, "nor one that overflows");

    rate.burst = 0;
    g = es_gcra_take(&word, &rate, 0, 1000);
    ok(g.admitted && g.remaining == UINT64_MAX, "no burst is no limit");
}


static void
test_change(void)
{
    es_gcra_t         g;
    es_rate_t         slow = { 1, UINT64_C(86400000000), 5 };
    es_rate_t         fast = { 1, 1000, 10 };
    _Atomic uint64_t  word = 0;

    (void) es_gcra_take(&word, &slow, 1000, 5);
    g = es_gcra_peek(&word, &fast, 1000, 1);
    ok(!g.admitted && g.retry_after_ns == 1000,
       "a faster rate takes effect without paying the slower one's debt");
    g = es_gcra_take(&word, &fast, 1999, 1);
    ok(!g.admitted && g.retry_after_ns == 1, "but with an empty bucket");
    g = es_gcra_take(&word, &fast, 2000, 1);
    ok(g.admitted && g.remaining == 0,
       "and admits when it was said to, which a peek has begun");

    word = 0;
    (void) es_gcra_take(&word, &slow, 1000, 5);
    ok(!es_gcra_take(&word, &fast, 1000, 1).admitted
       && es_gcra_take(&word, &fast, 2000, 1).admitted,
       "so does one that a take has begun");

    word = 0;
    (void) es_gcra_take(&word, &slow, 1000, 5);
    ok(!es_gcra_spend(&word, &fast, 1000, 1).admitted
       && es_gcra_spend(&word, &fast,
                        1000 + 1000 * (UINT64_C(1) + ES_GCRA_DEBT), 1)
          .admitted,
       "and a stream, whose debt is bounded");
}


/* Seven a second are no whole number of nanoseconds apart. */

static void
test_fraction(void)
{
    int               i, n;
    uint64_t          now;
    es_gcra_t         g;
    es_rate_t         rate = { 7, ES_SECOND_NS, 7 };
    _Atomic uint64_t  word = 0;

    for (n = 0; n < 100 && es_gcra_take(&word, &rate, 5, 1).admitted; n++) {
        /* void */
    }

    is_int(n, 7, "a burst whose interval is a fraction is admitted wholly");

    n = 0;

    for (i = 1; i <= 1000; i++) {
        now = 5 + (uint64_t) i * ES_SECOND_NS / 100;
        g = es_gcra_take(&word, &rate, now, 1);
        n += g.admitted;
    }

    ok(n == 70 || n == 69, "and the rate is kept: %d in ten seconds", n);
}


static void
test_extremes(void)
{
    es_gcra_t         g;
    es_rate_t         rate = { 1, ES_SECOND_NS, 10 };
    es_rate_t         huge = { 1, 86400 * ES_SECOND_NS, UINT64_MAX };
    _Atomic uint64_t  word = 0;

    (void) es_gcra_take(&word, &rate, 1000 * ES_SECOND_NS, 10);
    g = es_gcra_take(&word, &rate, 10 * ES_SECOND_NS, 1);
    ok(!g.admitted && g.retry_after_ns == ES_SECOND_NS
       && g.reset_ns == 10 * ES_SECOND_NS,
       "a clock that went back leaves the bucket empty and no worse");
    g = es_gcra_take(&word, &rate, 0, 1);
    ok(!g.admitted && g.retry_after_ns == ES_SECOND_NS, "even to zero");

    word = UINT64_MAX;
    g = es_gcra_peek(&word, &rate, 0, 1);
    ok(!g.admitted && g.remaining == 0, "the largest word is an empty bucket");
    g = es_gcra_peek(&word, &rate, UINT64_MAX, 1);
    ok(g.admitted && g.remaining == 9, "until its time has come");

    word = 0;
    ok(!es_rate_ok(&huge), "a burst of more than a century is not accepted");
    g = es_gcra_take(&word, &huge, 1000, UINT64_MAX);
    ok(!g.admitted && g.retry_after_ns == UINT64_MAX && word == 0,
       "nor does its product overflow");
    g = es_gcra_take(&word, &huge, 1000, 1);
    ok(g.admitted && word == 1000 + 86400 * ES_SECOND_NS, "a unit is a unit");
}


static void
test_refund(void)
{
    es_rate_t         rate = { 1, 1000, 5 };
    _Atomic uint64_t  word = 0;

    (void) es_gcra_take(&word, &rate, 100, 2);
    (void) es_gcra_take(&word, &rate, 100, 3);
    es_gcra_refund(&word, &rate, 3);
    is_int((int64_t) es_gcra_peek(&word, &rate, 100, 0).remaining, 3,
           "what is given back can be taken again");
    es_gcra_refund(&word, &rate, 1000);
    is_int((int64_t) word, 0, "giving back too much is a full bucket");
}


static void
test_spend(void)
{
    int               i;
    uint64_t          now, sent;
    es_gcra_t         g;
    es_rate_t         rate = { 1000, ES_SECOND_NS, 500 };
    es_rate_t         fast = { 1000000, ES_SECOND_NS, 500 };
    _Atomic uint64_t  word = 0;

    g = es_gcra_spend(&word, &rate, 0, 300);
    ok(g.admitted && g.remaining == 200, "a piece is charged");
    g = es_gcra_spend(&word, &rate, 0, 64000);
    ok(g.admitted && g.remaining == 0, "one over the burst, while any is left");
    g = es_gcra_spend(&word, &rate, 0, 0);
    ok(!g.admitted, "then none");
    is_int((int64_t) g.retry_after_ns,
           (300 + 64000 - 500) * 1000000LL + 1,
           "until what is owed has been earned");
    g = es_gcra_spend(&word, &rate, g.retry_after_ns - 1, 1);
    ok(!g.admitted, "to the nanosecond");
    g = es_gcra_spend(&word, &rate, 63800000000 + 1, 1);
    ok(g.admitted, "and on");

    word = 0;
    now = 0;
    sent = 0;

    for (i = 0; i < 1000; i++) {
        g = es_gcra_spend(&word, &rate, now, 700);

        if (g.admitted) {
            sent += 700;
        } else {
            now += g.retry_after_ns;
        }
    }

    ok(sent >= now / 1000000 && sent <= now / 1000000 + 500 + 700,
       "pieces over the burst keep to the rate: %d bytes in %d ms",
       (int) sent, (int) (now / 1000000));

    word = UINT64_C(1000000) * ES_SECOND_NS;
    g = es_gcra_spend(&word, &fast, 0, 0);
    ok(!g.admitted && g.retry_after_ns <= 2 * ES_SECOND_NS,
       "what was owed at a slow rate does not hold up a fast one for long");
}


static void
test_parse(void)
{
    uint64_t   size;
    es_rate_t  rate;

#define parses(text, bytes, n, seconds)                                       \
    ok(es_rate_parse(es_lit(text), bytes, &rate) == ES_OK                     \
       && rate.units == (n) && rate.period_ns == (seconds) * ES_SECOND_NS,    \
       "%s", text)

#define fails(text, bytes, why)                                               \
    ok(es_rate_parse(es_lit(text), bytes, &rate) == ES_INVALID, "%s: %s",     \
       text, why)

    parses("60r/m", false, 60, 60);
    parses("10r/s", false, 10, 1);
    parses("1000r/h", false, 1000, 3600);
    parses("5r/d", false, 5, 86400);
    parses("1000000r/s", false, 1000000, 1);

    fails("1000001r/s", false, "not more than a million a second");
    fails("0r/s", false, "not none");
    fails("r/s", false, "not no number");
    fails("1r/w", false, "no weeks");
    fails("1r/ss", false, "nothing after");
    fails("-1r/s", false, "no sign");
    fails("1.5r/s", false, "no fraction");
    fails("1rr/s", false, "one letter");
    fails("10", false, "not alone");
    fails("", false, "not empty");
    fails("1k/s", false, "no bytes");
    fails("99999999999999999999r/d", false, "no overflow");

    parses("9000/s", true, 9000, 1);
    parses("512k/s", true, 512 * 1024, 1);
    parses("100M/h", true, 100 * 1024 * 1024, 3600);
    parses("1g/d", true, UINT64_C(1) << 30, 86400);

    fails("1r/s", true, "no requests");
    fails("0k/s", true, "not none");
    fails("k/s", true, "not no number");
    fails("1kb/s", true, "nothing after");
    fails("999999999999999g/s", true, "no overflow");

    ok(es_size_parse(es_lit("4096"), &size) == ES_OK && size == 4096, "4096");
    ok(es_size_parse(es_lit("1000000000000000"), &size) == ES_INVALID,
       "sixteen digits are too many");
}


int
main(void)
{
    uint64_t  seed;

    test_steps();
    test_change();
    test_fraction();
    test_extremes();
    test_refund();
    test_spend();
    test_parse();

    for (seed = 1; seed <= 50 && model(seed); seed++) { /* void */ }

    ok(seed == 51, "fifty random runs agree with the formula");

    test_concurrent();

    return done();
}
