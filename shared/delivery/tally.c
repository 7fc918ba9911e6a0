/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Counts attempts and deliveries, and reads and writes the records of the
 * counters.
 */

#include "base/assert.h"
#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"
#include "delivery/tally.h"
#include "store/store.h"

/* The head of the record; a number for each class and each duration follows.
   */
typedef struct __attribute__((packed)) {
    uint32_t  classes;
    uint32_t  durations;
    uint64_t  dead;
    uint64_t  host_waits;
    uint64_t  duration_us;
} es_tally_value_t;

ES_STORED_SIZE(es_tally_value_t, 32);

/* The head of the record of delays; a number for each follows. */
typedef struct __attribute__((packed)) {
    uint64_t  delays;
    uint64_t  delay_ms;
} es_delays_value_t;

ES_STORED_SIZE(es_delays_value_t, 16);

#define ES_META_DELAYS      "delays"
#define ES_TALLY_DURATIONS  (ES_TALLY_BUCKETS + 1)

const uint32_t  es_tally_bounds_ms[ES_TALLY_BUCKETS] = {
    5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000
};

const uint32_t  es_tally_delays_ms[ES_TALLY_BUCKETS] = {
    10, 50, 100, 250, 500, 1000, 2500, 5000, 15000, 60000, 600000, 3600000
};


unsigned
es_tally_bucket(uint32_t latency_us)
{
    unsigned  i;

    for (i = 0; i < ES_TALLY_BUCKETS; i++) {
        if (latency_us <= es_tally_bounds_ms[i] * 1000) {
            break;
        }
    }

    return i;
}


unsigned
es_tally_delay(uint64_t ms)
{
    unsigned  i;

    for (i = 0; i < ES_TALLY_BUCKETS; i++) {
        if (ms <= es_tally_delays_ms[i]) {
            break;
        }
    }

    return i;
}


void
es_tally_attempt(es_tally_t *tally, const es_attempt_t *attempt)
{
    if (attempt->class < ES_ATTEMPT_CLASSES) {
        tally->attempts[attempt->class]++;
    }

    /* a simulated failure sends nothing and has no duration */

    if (!es_tally_timed(attempt)) {
        return;
    }

    tally->within[es_tally_bucket(attempt->latency_us)]++;
    tally->duration_us += attempt->latency_us;
}


void
es_tally_delivered(es_tally_t *tally, uint64_t delay_ms)
{
    tally->delays[es_tally_delay(delay_ms)]++;
    tally->delay_ms += delay_ms;
}


static es_rc_t
es_changeset_delays(es_changeset_t *c, const es_tally_t *tally)
{
    char                record[sizeof(es_delays_value_t)
                               + sizeof(tally->delays)];
    es_dkey_t           key;
    es_delays_value_t   value = { ES_TALLY_DURATIONS, tally->delay_ms };

    key = es_meta_key(ES_META_DELAYS);
    memcpy(record, &value, sizeof(value));
    memcpy(record + sizeof(value), tally->delays, sizeof(tally->delays));

    return es_changeset_meta_put(c, &key, record, sizeof(record));
}


es_rc_t
es_changeset_tally(es_changeset_t *c, const es_tally_t *tally)
{
    char              *p;
    es_rc_t            rc;
    es_dkey_t          key;
    es_tally_value_t   value;

    char  record[sizeof(value) + sizeof(tally->attempts)
                 + sizeof(tally->within)];

    key = es_meta_key(ES_META_TALLY);

    value.classes = ES_ATTEMPT_CLASSES;
    value.durations = ES_TALLY_DURATIONS;
    value.dead = tally->dead;
    value.host_waits = tally->host_waits;
    value.duration_us = tally->duration_us;

    p = record;
    memcpy(p, &value, sizeof(value));
    p += sizeof(value);
    memcpy(p, tally->attempts, sizeof(tally->attempts));
    p += sizeof(tally->attempts);
    memcpy(p, tally->within, sizeof(tally->within));

    rc = es_changeset_meta_put(c, &key, record, sizeof(record));

    return rc == ES_OK ? es_changeset_delays(c, tally) : rc;
}


static es_rc_t
es_delays_decode(void *ctx, const MDB_val *key, const MDB_val *record)
{
    es_tally_t         *tally = ctx;
    es_delays_value_t   value;

    (void) key;

    if (record->mv_size < sizeof(value)) {
        return ES_CORRUPT;
    }

    memcpy(&value, record->mv_data, sizeof(value));

    if (record->mv_size != sizeof(value) + value.delays * sizeof(uint64_t)) {
        return ES_CORRUPT;
    }

    if (value.delays == ES_TALLY_DURATIONS) {
        memcpy(tally->delays, (const char *) record->mv_data + sizeof(value),
               sizeof(tally->delays));
        tally->delay_ms = value.delay_ms;
    }

    return ES_OK;
}


static es_rc_t
es_tally_decode(void *ctx, const MDB_val *key, const MDB_val *record)
{
    size_t             classes;
    const char        *p;
    es_tally_t        *tally = ctx;
    es_tally_value_t   value;

    (void) key;

    if (record->mv_size < sizeof(value)) {
        return ES_CORRUPT;
    }

    p = record->mv_data;
    memcpy(&value, p, sizeof(value));
    p += sizeof(value);

    if (record->mv_size != sizeof(value)
                           + ((uint64_t) value.classes + value.durations)
                             * sizeof(uint64_t))
    {
        return ES_CORRUPT;
    }

    classes = value.classes < ES_ATTEMPT_CLASSES ? value.classes
                                                 : ES_ATTEMPT_CLASSES;

    tally->dead = value.dead;
    tally->host_waits = value.host_waits;
    memcpy(tally->attempts, p, classes * sizeof(uint64_t));

    if (value.durations == ES_TALLY_DURATIONS) {
        p += value.classes * sizeof(uint64_t);
        memcpy(tally->within, p, sizeof(tally->within));
        tally->duration_us = value.duration_us;
    }

    return ES_OK;
}


es_rc_t
es_delivery_tally(es_store_t *store, es_tally_t *tally)
{
    es_rc_t  rc;

    memset(tally, 0, sizeof(*tally));

    rc = es_delivery_get_meta(store, es_meta_key(ES_META_TALLY),
                              es_tally_decode, tally);

    if (rc == ES_OK) {
        rc = es_delivery_get_meta(store, es_meta_key(ES_META_DELAYS),
                                  es_delays_decode, tally);
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}
