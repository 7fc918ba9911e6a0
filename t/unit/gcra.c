/* The limiter against a plain model, and under concurrency. */

#include <pthread.h>
#include <stdatomic.h>

#include "gcra.h"
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
    rate.interval_us = (uint64_t) t;
    rate.burst = (uint64_t) b;
    tat = 0;
    now = 1000000;
    atomic_init(&word, 0);

    for (i = 0; i < 2000; i++) {
        now += (int64_t) (next_random(&state) % (uint64_t) (2 * t));
        c = (int64_t) (next_random(&state) % (uint64_t) (b + 1));
        fresh = (now > tat ? now : tat) + c * t;

        got = es_gcra_peek(&word, rate, (uint64_t) now, (uint64_t) c);
        if (got.admitted != (fresh - now <= b * t)) {
            return false;
        }

        got = es_gcra_take(&word, rate, (uint64_t) now, (uint64_t) c);
        if (got.admitted != (fresh - now <= b * t)) {
            return false;
        }

        if (!got.admitted) {
            if ((int64_t) got.retry_after_us != fresh - b * t - now) {
                return false;
            }
            fresh = now > tat ? now : tat;

        } else if (c > 0) {
            tat = fresh;
        }

        if ((int64_t) got.remaining != (b * t - (fresh - now)) / t
            || (int64_t) got.reset_us != fresh - now)
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
    es_rate_t  rate = { 1000, 1000 };

    (void) arg;

    for (i = 0; i < TAKES; i++) {
        if (es_gcra_take(&shared_word, rate, 5000000, 1).admitted) {
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
    es_rate_t         rate = { 1000000, 3 };
    _Atomic uint64_t  word = 0;

    g = es_gcra_take(&word, rate, 100, 1);
    ok(g.admitted && g.remaining == 2 && g.reset_us == 1000000,
       "the first of three is admitted");
    g = es_gcra_take(&word, rate, 100, 2);
    ok(g.admitted && g.remaining == 0, "and two more at once");
    g = es_gcra_take(&word, rate, 100, 1);
    ok(!g.admitted && g.retry_after_us == 1000000,
       "the next must wait for one interval");
    g = es_gcra_take(&word, rate, 1000099, 1);
    ok(!g.admitted && g.retry_after_us == 1, "to the microsecond");
    g = es_gcra_take(&word, rate, 1000100, 1);
    ok(g.admitted, "and is admitted then");
    g = es_gcra_peek(&word, rate, 1000100, 0);
    ok(g.admitted && g.remaining == 0, "a cost of nothing is always admitted");
    g = es_gcra_peek(&word, rate, 1000100, 4);
    ok(!g.admitted && g.retry_after_us == UINT64_MAX,
       "a cost over the burst is never");
    g = es_gcra_peek(&word, rate, 1000100, UINT64_MAX);
    ok(!g.admitted, "nor one that overflows");

    rate.interval_us = 0;
    g = es_gcra_take(&word, rate, 0, 1000);
    ok(g.admitted && g.remaining == UINT64_MAX, "no interval is no limit");
}


static void
test_change(void)
{
    es_gcra_t         g;
    es_rate_t         slow = { UINT64_C(86400000000), 5 };
    es_rate_t         fast = { 1000, 10 };
    _Atomic uint64_t  word = 0;

    (void) es_gcra_take(&word, slow, 1000, 5);
    g = es_gcra_peek(&word, fast, 1000, 1);
    ok(!g.admitted && g.retry_after_us == 1000,
       "a faster rate takes effect without paying the slower one's debt");
    g = es_gcra_take(&word, fast, 2000, 1);
    ok(!g.admitted, "the bucket counts as empty until it is charged");
}


static void
test_parse(void)
{
    es_rate_t  rate;

    ok(es_rate_parse(es_lit("60r/m"), &rate) == ES_OK
       && rate.interval_us == 1000000, "60r/m");
    ok(es_rate_parse(es_lit("10r/s"), &rate) == ES_OK
       && rate.interval_us == 100000, "10r/s");
    ok(es_rate_parse(es_lit("1000r/h"), &rate) == ES_OK
       && rate.interval_us == 3600000, "1000r/h");
    ok(es_rate_parse(es_lit("5r/d"), &rate) == ES_OK
       && rate.interval_us == UINT64_C(17280000000), "5r/d");
    ok(es_rate_parse(es_lit("1000000r/s"), &rate) == ES_OK
       && rate.interval_us == 1, "a million a second");

    ok(es_rate_parse(es_lit("1000001r/s"), &rate) == ES_INVALID, "not more");
    ok(es_rate_parse(es_lit("0r/s"), &rate) == ES_INVALID, "not none");
    ok(es_rate_parse(es_lit("r/s"), &rate) == ES_INVALID, "not no number");
    ok(es_rate_parse(es_lit("1r/w"), &rate) == ES_INVALID, "no weeks");
    ok(es_rate_parse(es_lit("1r/ss"), &rate) == ES_INVALID, "nothing after");
    ok(es_rate_parse(es_lit("-1r/s"), &rate) == ES_INVALID, "no sign");
    ok(es_rate_parse(es_lit("1.5r/s"), &rate) == ES_INVALID, "no fraction");
    ok(es_rate_parse(es_lit("10"), &rate) == ES_INVALID, "not alone");
    ok(es_rate_parse(es_lit(""), &rate) == ES_INVALID, "not empty");
    ok(es_rate_parse(es_lit("99999999999999999999r/d"), &rate) == ES_INVALID,
       "no overflow");
}


int
main(void)
{
    uint64_t  seed;

    test_steps();
    test_change();
    test_parse();

    for (seed = 1; seed <= 50 && model(seed); seed++) { /* void */ }

    ok(seed == 51, "fifty random runs agree with the formula");

    test_concurrent();

    return done();
}
