/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Interval T, burst B, cost c, theoretical arrival time TAT:
 *
 *     new = max(now, TAT) + c * T;  admitted when new - now <= B * T
 *
 * T need not be a whole number of nanoseconds: products are divided last.
 */

#include <stdatomic.h>

#include "base/assert.h"
#include "limit/gcra.h"

#define ES_GCRA_MAX_NS  (UINT64_C(100) * 366 * 86400 * ES_SECOND_NS)
#define ES_SIZE_MAX     UINT64_C(1000000000000000)

typedef es_gcra_t (*es_gcra_fn)(uint64_t tat, const es_rate_t *rate,
    uint64_t now_ns, uint64_t cost, uint64_t *next);


/* a * b / c, UINT64_MAX when it is more than that */

static uint64_t
es_scale(uint64_t a, uint64_t b, uint64_t c)
{
    uint64_t           product;
    unsigned __int128  wide;

    if (!__builtin_mul_overflow(a, b, &product)) {
        return product / c;
    }

    wide = (unsigned __int128) a * b / c;

    return wide > UINT64_MAX ? UINT64_MAX : (uint64_t) wide;
}


uint64_t
es_rate_time_ns(const es_rate_t *rate, uint64_t units)
{
    return es_scale(units, rate->period_ns, rate->units);
}


bool
es_rate_ok(const es_rate_t *rate)
{
    return es_rate_time_ns(rate, rate->burst) <= ES_GCRA_MAX_NS;
}


static uint64_t
es_gcra_bucket(const es_rate_t *rate)
{
    uint64_t  bucket;

    bucket = es_rate_time_ns(rate, rate->burst);

    return bucket < ES_GCRA_MAX_NS ? bucket : ES_GCRA_MAX_NS;
}


/*
 * Decides by one value of the word.  `*next` is the word's new value.
 *
 * A word that is further ahead than B * T was charged under a slower rate.  It
 * counts as an empty bucket of the current rate, and a refusal sets it to
 * that.  So a change to a faster rate does not wait until the old debt is
 * paid.
 */

static es_gcra_t
es_gcra_decide(uint64_t tat, const es_rate_t *rate, uint64_t now_ns,
    uint64_t cost, uint64_t *next)
{
    uint64_t   bucket, used, charge;
    es_gcra_t  result;

    bucket = es_gcra_bucket(rate);
    charge = es_rate_time_ns(rate, cost);
    used = tat > now_ns ? tat - now_ns : 0;

    if (used > bucket) {
        used = bucket;
    }

    if (cost > rate->burst || charge > bucket) {
        result.admitted = false;
        result.retry_after_ns = UINT64_MAX;

    } else if (charge > bucket - used) {
        result.admitted = false;
        result.retry_after_ns = charge - (bucket - used);

    } else {
        result.admitted = true;
        result.retry_after_ns = 0;
        used += charge;
    }

    ES_ASSERT(used <= bucket);                 /* I9 */

    result.remaining = es_scale(bucket - used, rate->units, rate->period_ns);
    result.reset_ns = used;
    *next = now_ns + used;

    return result;
}


/* The same for a piece of a stream, whose debt may exceed the bucket. */

static es_gcra_t
es_gcra_decide_piece(uint64_t tat, const es_rate_t *rate, uint64_t now_ns,
    uint64_t cost, uint64_t *next)
{
    uint64_t   bucket, used, most;
    es_gcra_t  result;

    bucket = es_gcra_bucket(rate);
    most = bucket + es_rate_time_ns(rate, ES_GCRA_DEBT);
    used = tat > now_ns ? tat - now_ns : 0;

    if (used > most) {
        used = most;
    }

    if (used >= bucket && bucket > 0) {
        result.admitted = false;
        result.remaining = 0;
        result.retry_after_ns = used - bucket + 1;

    } else {
        result.admitted = true;
        result.retry_after_ns = 0;
        used += es_rate_time_ns(rate, cost < ES_SIZE_MAX ? cost : ES_SIZE_MAX);
        result.remaining = used < bucket
                           ? es_scale(bucket - used, rate->units,
                                      rate->period_ns)
                           : 0;
    }

    result.reset_ns = used;
    *next = used < UINT64_MAX - now_ns ? now_ns + used : UINT64_MAX;

    return result;
}


/* Forgets the debt beyond a bucket, unless another process has changed the
   word. */

static void
es_gcra_forgive(_Atomic uint64_t *tat, uint64_t seen, uint64_t next)
{
    if (next < seen) {
        (void) atomic_compare_exchange_strong_explicit(tat, &seen, next,
                                                       memory_order_relaxed,
                                                       memory_order_relaxed);
    }
}


static es_gcra_t
es_gcra_unlimited(void)
{
    es_gcra_t  result;

    result.admitted = true;
    result.remaining = UINT64_MAX;
    result.retry_after_ns = 0;
    result.reset_ns = 0;

    return result;
}


static es_gcra_t
es_gcra_move(_Atomic uint64_t *tat, const es_rate_t *rate, uint64_t now_ns,
    uint64_t cost, es_gcra_fn decide)
{
    uint64_t   seen, next;
    es_gcra_t  result;

    if (rate->burst == 0) {
        return es_gcra_unlimited();
    }

    /* The word protects no other memory, so relaxed order is enough. */

    seen = atomic_load_explicit(tat, memory_order_relaxed);

    do {
        result = decide(seen, rate, now_ns, cost, &next);

        if (!result.admitted) {
            es_gcra_forgive(tat, seen, next);
            return result;
        }

        if (cost == 0) {
            return result;
        }

    } while (!atomic_compare_exchange_weak_explicit(tat, &seen, next,
                                                    memory_order_relaxed,
                                                    memory_order_relaxed));

    return result;
}


es_gcra_t
es_gcra_peek(_Atomic uint64_t *tat, const es_rate_t *rate, uint64_t now_ns,
    uint64_t cost)
{
    uint64_t   seen, next;
    es_gcra_t  result;

    if (rate->burst == 0) {
        return es_gcra_unlimited();
    }

    seen = atomic_load_explicit(tat, memory_order_relaxed);
    result = es_gcra_decide(seen, rate, now_ns, cost, &next);

    if (!result.admitted) {
        es_gcra_forgive(tat, seen, next);
    }

    return result;
}


es_gcra_t
es_gcra_take(_Atomic uint64_t *tat, const es_rate_t *rate, uint64_t now_ns,
    uint64_t cost)
{
    return es_gcra_move(tat, rate, now_ns, cost, es_gcra_decide);
}


es_gcra_t
es_gcra_spend(_Atomic uint64_t *tat, const es_rate_t *rate, uint64_t now_ns,
    uint64_t cost)
{
    return es_gcra_move(tat, rate, now_ns, cost, es_gcra_decide_piece);
}


void
es_gcra_refund(_Atomic uint64_t *tat, const es_rate_t *rate, uint64_t cost)
{
    uint64_t  seen, charge;

    if (rate->burst == 0) {
        return;
    }

    charge = es_rate_time_ns(rate, cost);
    seen = atomic_load_explicit(tat, memory_order_relaxed);

    while (!atomic_compare_exchange_weak_explicit(tat, &seen,
                                            seen > charge ? seen - charge : 0,
                                            memory_order_relaxed,
                                            memory_order_relaxed))
    {
        /* void */
    }
}


/* Returns how many digits `text` begins with, and their value. */

static size_t
es_rate_digits(es_str_t text, uint64_t *n)
{
    size_t  i;

    *n = 0;

    for (i = 0; i < text.len && text.data[i] >= '0' && text.data[i] <= '9';
         i++)
    {
        if (i == 15) {
            return 0;
        }

        *n = *n * 10 + (uint64_t) (text.data[i] - '0');
    }

    return *n > 0 ? i : 0;
}


es_rc_t
es_size_parse(es_str_t text, uint64_t *size)
{
    size_t    i;
    unsigned  shift;

    i = es_rate_digits(text, size);

    if (i == 0 || text.len - i > 1) {
        return ES_INVALID;
    }

    shift = 0;

    if (i < text.len) {

        switch (text.data[i] | 0x20) {
        case 'k':
            shift = 10;
            break;
        case 'm':
            shift = 20;
            break;
        case 'g':
            shift = 30;
            break;
        default:
            return ES_INVALID;
        }
    }

    if (*size > ES_SIZE_MAX >> shift) {
        return ES_INVALID;
    }

    *size <<= shift;

    return ES_OK;
}


es_rc_t
es_rate_parse(es_str_t text, bool bytes, es_rate_t *rate)
{
    size_t    i;
    uint64_t  n, seconds;

    if (text.len < 4 || text.data[text.len - 2] != '/') {
        return ES_INVALID;
    }

    switch (text.data[text.len - 1]) {
    case 's':
        seconds = 1;
        break;
    case 'm':
        seconds = 60;
        break;
    case 'h':
        seconds = 3600;
        break;
    case 'd':
        seconds = 86400;
        break;
    default:
        return ES_INVALID;
    }

    text.len -= 2;

    if (bytes) {
        if (es_size_parse(text, &n) != ES_OK) {
            return ES_INVALID;
        }

    } else {
        i = es_rate_digits(text, &n);

        if (i == 0 || i + 1 != text.len || text.data[i] != 'r'
            || n > seconds * 1000000)
        {
            return ES_INVALID;
        }
    }

    rate->units = n;
    rate->period_ns = seconds * ES_SECOND_NS;

    return ES_OK;
}
