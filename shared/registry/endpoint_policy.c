/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Members of endpoints that govern their deliveries: rate, acknowledgement,
 * when an endpoint that only fails is stopped, and exceptions from the rules
 * for connections.
 */

#include <jansson.h>

#include "base/json.h"
#include "limit/gcra.h"
#include "registry/endpoint_members.h"
#include "registry/exceptions.h"
#include "registry/member.h"
#include "registry/registry.h"
#include "registry/values.h"

#define ES_DISABLE_AFTER_MIN_MS  1000
#define ES_ENDPOINT_BURST_MAX    1000000


es_rc_t
es_take_rate(es_record_t *r, es_endpoint_t *out)
{
    json_t  *rate;

    rate = json_object_get(r->object, "rate");

    return rate == NULL
           || es_rate_parse(es_text(rate), false, &out->rate) == ES_OK
           ? ES_OK : es_fault(r, "/rate", "must be a rate such as \"10r/s\"");
}


es_rc_t
es_take_burst(es_record_t *r, es_endpoint_t *out)
{
    json_t      *burst;
    json_int_t   n;

    burst = json_object_get(r->object, "burst");

    if (json_object_get(r->object, "rate") == NULL) {
        return burst == NULL ? ES_OK
                             : es_fault(r, "/burst", "requires \"rate\"");
    }

    n = burst != NULL ? json_integer_value(burst) : 1;

    if (n < 1 || n > ES_ENDPOINT_BURST_MAX) {
        return es_fault(r, "/burst", "must be a whole number from 1 to "
                        "1000000");
    }

    out->rate.burst = (uint64_t) n;

    return es_rate_ok(&out->rate)
           ? ES_OK : es_fault(r, "/burst", "must not be more than the rate "
                              "allows in 100 years");
}


es_rc_t
es_ack_check(es_record_t *r, es_endpoint_t *out)
{
    return out->ack.data == NULL || es_pattern_ok(out->ack)
           ? ES_OK
           : es_fault(r, "/ack", "must be the name of a consumer, or a prefix "
                      "followed by \"*\"");
}


es_rc_t
es_disable_after_check(es_record_t *r, es_endpoint_t *out)
{
    return out->disable_after_ms == 0
           || out->disable_after_ms >= ES_DISABLE_AFTER_MIN_MS
           ? ES_OK
           : es_fault(r, "/disable_after", "must be \"0\" (never) or a time "
                      "of at least 1s");
}


es_rc_t
es_take_allow_addresses(es_record_t *r, es_endpoint_t *out)
{
    return es_take_exception_addresses(r, &out->exceptions);
}


es_rc_t
es_take_allow_ports(es_record_t *r, es_endpoint_t *out)
{
    return es_take_exception_ports(r, &out->exceptions);
}
