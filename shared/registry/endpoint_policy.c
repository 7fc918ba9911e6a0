/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Members of partners and endpoints that say how deliveries are
 * governed: the feed of operational events, disabling, rate, acknowledgement.
 */

#include "event/cursor.h"
#include "limit/gcra.h"
#include "registry/member.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "registry/values.h"

#define ES_DISABLE_AFTER_MS      (5 * 24 * 3600 * 1000)
#define ES_DISABLE_AFTER_MIN_MS  1000
#define ES_ENDPOINT_BURST_MAX             1000000


es_rc_t
es_take_operations(es_record_t *r, es_partner_t *out)
{
    es_rc_t  rc;

    rc = es_take_str(r, "/operations", false, &out->operations);

    if (rc == ES_OK
        && out->operations.data != NULL
        && !es_feed_name_ok(out->operations))
    {
        rc = es_fault(r, "/operations", "must be the name of a feed");
    }

    return rc;
}


static es_rc_t
es_take_rate(es_record_t *r, es_endpoint_t *out)
{
    json_t      *rate, *burst;
    json_int_t   n;

    rate = json_object_get(r->object, "rate");
    burst = json_object_get(r->object, "burst");

    if (rate == NULL) {
        return burst == NULL ? ES_OK
                             : es_fault(r, "/burst", "requires \"rate\"");
    }

    n = burst != NULL ? json_integer_value(burst) : 1;

    if (n < 1 || n > ES_ENDPOINT_BURST_MAX) {
        return es_fault(r, "/burst", "must be a whole number from 1 to "
                        "1000000");
    }

    if (es_rate_parse(es_text(rate), false, &out->rate) != ES_OK) {
        return es_fault(r, "/rate", "must be a rate such as \"10r/s\"");
    }

    out->rate.burst = (uint64_t) n;

    return es_rate_ok(&out->rate)
           ? ES_OK : es_fault(r, "/burst", "must not be more than the rate "
                              "allows in 100 years");
}


static es_rc_t
es_take_ack(es_record_t *r, es_endpoint_t *out)
{
    es_rc_t  rc;

    rc = es_take_str(r, "/ack", false, &out->ack);

    if (rc == ES_OK && out->ack.data != NULL && !es_pattern_ok(out->ack)) {
        rc = es_fault(r, "/ack", "must be the name of a consumer, or a prefix "
                      "followed by \"*\"");
    }

    return rc;
}


es_rc_t
es_take_policy(es_record_t *r, es_endpoint_t *out)
{
    es_rc_t  rc;

    out->disable_after_ms = ES_DISABLE_AFTER_MS;

    rc = es_take_duration(r, "/disable_after", 0, UINT32_MAX,
                          &out->disable_after_ms);
    if (rc != ES_OK) {
        return rc;
    }

    if (out->disable_after_ms != 0
        && out->disable_after_ms < ES_DISABLE_AFTER_MIN_MS)
    {
        return es_fault(r, "/disable_after", "must be \"0\" (never) or a time "
                        "of at least 1s");
    }

    rc = es_take_ack(r, out);

    return rc == ES_OK ? es_take_rate(r, out) : rc;
}
