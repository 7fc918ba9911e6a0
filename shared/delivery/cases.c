/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Takes cases, and reads and writes their record, which is the struct.
 */

#include "base/assert.h"
#include "delivery/cases.h"
#include "delivery/delivery_keys.h"

#define ES_META_CASES  "cases"

ES_STORED_SIZE(es_case_of_t, 32);


void
es_cases_attempt(es_cases_t *cases, const es_attempt_t *attempt)
{
    es_case_of_t  c;

    if (attempt->feed == 0 || attempt->class >= ES_ATTEMPT_CLASSES) {
        return;
    }

    c.time_ms = attempt->time_ms;
    c.us = attempt->latency_us;
    c.sequence = attempt->sequence;
    c.feed = attempt->feed;
    c.endpoint = attempt->endpoint;

    cases->classes[attempt->class] = c;

    if (es_tally_timed(attempt)) {
        cases->durations[es_tally_bucket(attempt->latency_us)] = c;
    }
}


void
es_cases_delivered(es_cases_t *cases, const es_case_of_t *c)
{
    cases->delays[es_tally_delay(c->us / 1000)] = *c;
}


es_rc_t
es_changeset_cases(es_changeset_t *c, const es_cases_t *cases)
{
    es_dkey_t  key;

    key = es_meta_key(ES_META_CASES);

    return es_changeset_meta_put(c, &key, cases, sizeof(*cases));
}


static es_rc_t
es_cases_decode(void *ctx, const MDB_val *key, const MDB_val *record)
{
    (void) key;

    if (record->mv_size == sizeof(es_cases_t)) {
        memcpy(ctx, record->mv_data, sizeof(es_cases_t));
    }

    return ES_OK;
}


es_rc_t
es_delivery_cases(es_store_t *store, es_cases_t *cases)
{
    es_rc_t  rc;

    memset(cases, 0, sizeof(*cases));

    rc = es_delivery_get_meta(store, es_meta_key(ES_META_CASES),
                              es_cases_decode, cases);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}
