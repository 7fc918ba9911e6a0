/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Members of endpoints that say how they are sent: in what order,
 * how many, how often, and what a request carries.
 */

#include "delivery/delivery.h"
#include "registry/member.h"
#include "registry/record.h"
#include "registry/registry.h"

#define ES_IN_FLIGHT          32
#define ES_CONNECT_TIMEOUT_MS (10 * 1000)
#define ES_TIMEOUT_MS         (30 * 1000)
#define ES_TIMEOUT_MIN_MS     10
#define ES_TIMEOUT_MAX_MS     (10 * 60 * 1000)
#define ES_BATCH_WAIT_MAX_MS  (60 * 1000)
#define ES_NUDGE_MAX          1000000000

const uint32_t  es_schedule_default_ms[10] = {
    0,
    5 * 1000,
    5 * 60 * 1000,
    30 * 60 * 1000,
    2 * 3600 * 1000,
    5 * 3600 * 1000,
    10 * 3600 * 1000,
    14 * 3600 * 1000,
    20 * 3600 * 1000,
    24 * 3600 * 1000
};

static const es_word_t  es_orderings[] = {
    { "fifo", ES_ORDER_FIFO },
    { "key", ES_ORDER_KEY },
    { "none", ES_ORDER_NONE },
    { NULL, 0 }
};

static const es_word_t  es_bodies[] = {
    { "whole", false },
    { "thin", true },
    { NULL, 0 }
};


static es_rc_t
es_take_schedule(es_record_t *r, es_endpoint_t *out)
{
    char      item[ES_POINTER_MAX];
    json_t   *array, *value;
    size_t    i;
    es_rc_t   rc;

    rc = es_take_array(r, "/schedule", 0, ES_SCHEDULE_MAX, &array);
    if (rc != ES_OK) {
        return rc;
    }

    if (array == NULL) {
        memcpy(out->schedule_ms, es_schedule_default_ms,
               sizeof(es_schedule_default_ms));
        out->nschedule = sizeof(es_schedule_default_ms) / sizeof(uint32_t);
        return ES_OK;
    }

    out->nschedule = (unsigned) json_array_size(array);

    json_array_foreach(array, i, value) {
        rc = es_duration(r, es_item_pointer("/schedule", i, item), value, 0,
                         UINT32_MAX, &out->schedule_ms[i]);
        if (rc != ES_OK) {
            return rc;
        }
    }

    if (out->nschedule == 0 || out->schedule_ms[0] != 0) {
        return es_fault(r, "/schedule", "must begin with \"0\"");
    }

    return ES_OK;
}


static es_rc_t
es_take_order(es_record_t *r, es_endpoint_t *out)
{
    es_rc_t   rc;
    unsigned  ordering;

    ordering = ES_ORDER_FIFO;
    out->in_flight = ES_IN_FLIGHT;

    rc = es_take_word(r, "/ordering", es_orderings, &ordering);
    out->ordering = (es_ordering_t) ordering;

    return rc == ES_OK ? es_take_number(r, "/in_flight", 1, ES_INFLIGHT_MAX,
                                        &out->in_flight) : rc;
}


static es_rc_t
es_take_times(es_record_t *r, es_endpoint_t *out)
{
    es_rc_t  rc;

    out->connect_timeout_ms = ES_CONNECT_TIMEOUT_MS;
    out->timeout_ms = ES_TIMEOUT_MS;

    rc = es_take_duration(r, "/connect_timeout", ES_TIMEOUT_MIN_MS,
                          ES_TIMEOUT_MAX_MS, &out->connect_timeout_ms);

    if (rc == ES_OK) {
        rc = es_take_duration(r, "/timeout", ES_TIMEOUT_MIN_MS,
                              ES_TIMEOUT_MAX_MS, &out->timeout_ms);
    }

    return rc == ES_OK ? es_take_schedule(r, out) : rc;
}


static es_rc_t
es_take_batch(es_record_t *r, es_endpoint_t *out)
{
    es_rc_t  rc;

    out->batch = 1;

    rc = es_take_number(r, "/batch", 1, ES_BATCH_MAX, &out->batch);

    if (rc == ES_OK && out->batch > 1 && out->ordering == ES_ORDER_KEY) {
        rc = es_fault(r, "/batch", "cannot be used with \"ordering\" \"key\", "
                      "because events of a key are sent one by one");
    }

    if (rc == ES_OK) {
        rc = es_take_duration(r, "/batch_wait", 0, ES_BATCH_WAIT_MAX_MS,
                              &out->batch_wait_ms);
    }

    if (rc == ES_OK && out->batch_wait_ms > 0 && out->batch == 1) {
        rc = es_fault(r, "/batch_wait", "requires \"batch\"");
    }

    return rc;
}


static es_rc_t
es_take_body(es_record_t *r, es_endpoint_t *out)
{
    es_rc_t   rc;
    unsigned  thin;

    thin = false;

    rc = es_take_word(r, "/body", es_bodies, &thin);
    out->thin = thin;

    return rc == ES_OK ? es_take_number(r, "/nudge", 1, ES_NUDGE_MAX,
                                        &out->nudge) : rc;
}


es_rc_t
es_take_sending(es_record_t *r, es_endpoint_t *out)
{
    es_rc_t  rc;

    if ((rc = es_take_order(r, out)) != ES_OK
        || (rc = es_take_times(r, out)) != ES_OK
        || (rc = es_take_body(r, out)) != ES_OK)
    {
        return rc;
    }

    return es_take_batch(r, out);
}
