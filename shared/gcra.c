/*
 * gcra.c - interval T, burst B, cost c, theoretical arrival time TAT:
 *
 *     new = max(now, TAT) + c * T;  admitted when new - now <= B * T
 */

#include <stdatomic.h>

#include "gcra.h"


/*
 * The judgement of one value of the word.  `*next` receives the word's new
 * value if it is admitted and charged.
 *
 * A word that is further ahead than B * T was charged under a slower rate;
 * it counts as an empty bucket of the rate in force, or a change to a faster
 * one would take effect only when the old debt is paid.
 */

static es_gcra_t
es_gcra_judge(uint64_t tat, es_rate_t rate, uint64_t now_us, uint64_t cost,
    uint64_t *next)
{
    uint64_t   bucket, used, charge;
    es_gcra_t  result;

    if (__builtin_mul_overflow(rate.burst, rate.interval_us, &bucket)) {
        bucket = UINT64_MAX;
    }

    used = tat > now_us ? tat - now_us : 0;

    if (used > bucket) {
        used = bucket;
    }

    if (__builtin_mul_overflow(cost, rate.interval_us, &charge)
        || charge > bucket)
    {
        result.admitted = false;
        result.retry_after_us = UINT64_MAX;

    } else if (charge > bucket - used) {
        result.admitted = false;
        result.retry_after_us = charge - (bucket - used);

    } else {
        result.admitted = true;
        result.retry_after_us = 0;
        used += charge;
    }

    result.remaining = (bucket - used) / rate.interval_us;
    result.reset_us = used;
    *next = now_us + used;

    return result;
}


static es_gcra_t
es_gcra_unlimited(void)
{
    es_gcra_t  result;

    result.admitted = true;
    result.remaining = UINT64_MAX;
    result.retry_after_us = 0;
    result.reset_us = 0;

    return result;
}


es_gcra_t
es_gcra_peek(const _Atomic uint64_t *tat, es_rate_t rate, uint64_t now_us,
    uint64_t cost)
{
    uint64_t  next;

    if (rate.interval_us == 0) {
        return es_gcra_unlimited();
    }

    return es_gcra_judge(atomic_load_explicit(tat, memory_order_relaxed), rate,
                         now_us, cost, &next);
}


es_gcra_t
es_gcra_take(_Atomic uint64_t *tat, es_rate_t rate, uint64_t now_us,
    uint64_t cost)
{
    uint64_t   seen, next;
    es_gcra_t  result;

    if (rate.interval_us == 0) {
        return es_gcra_unlimited();
    }

    /* The word guards nothing but itself, so no order is asked for. */

    seen = atomic_load_explicit(tat, memory_order_relaxed);

    do {
        result = es_gcra_judge(seen, rate, now_us, cost, &next);

        if (!result.admitted || cost == 0) {
            return result;
        }

    } while (!atomic_compare_exchange_weak_explicit(tat, &seen, next,
                                                    memory_order_relaxed,
                                                    memory_order_relaxed));

    return result;
}


es_rc_t
es_rate_parse(es_str_t text, es_rate_t *rate)
{
    size_t    i;
    uint64_t  n, unit_us;

    n = 0;

    for (i = 0; i < text.len && text.data[i] >= '0' && text.data[i] <= '9';
         i++)
    {
        if (i == 12) {
            return ES_INVALID;
        }

        n = n * 10 + (uint64_t) (text.data[i] - '0');
    }

    if (n == 0 || text.len - i != 3 || text.data[i] != 'r'
        || text.data[i + 1] != '/')
    {
        return ES_INVALID;
    }

    switch (text.data[i + 2]) {
    case 's':
        unit_us = UINT64_C(1000000);
        break;
    case 'm':
        unit_us = UINT64_C(60) * 1000000;
        break;
    case 'h':
        unit_us = UINT64_C(3600) * 1000000;
        break;
    case 'd':
        unit_us = UINT64_C(86400) * 1000000;
        break;
    default:
        return ES_INVALID;
    }

    if (n > unit_us) {
        return ES_INVALID;
    }

    rate->interval_us = unit_us / n;

    return ES_OK;
}
