/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes the members of endpoints that govern sending: ordering, schedule,
 * body and batches.
 */

#include "registry/endpoint_members.h"
#include "registry/member.h"
#include "registry/object.h"
#include "registry/registry.h"

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
    { "whole", ES_BODY_WHOLE },
    { "thin", ES_BODY_THIN },
    { "binary", ES_BODY_BINARY },
    { "data", ES_BODY_DATA },
    { NULL, 0 }
};

static const es_word_t  es_content_types[] = {
    { "application/json", false },
    { "application/cloudevents+json", true },
    { NULL, 0 }
};


es_rc_t
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


es_rc_t
es_take_ordering(es_record_t *r, es_endpoint_t *out)
{
    es_rc_t   rc;
    unsigned  ordering;

    ordering = ES_ORDER_FIFO;

    rc = es_take_word(r, "/ordering", es_orderings, &ordering);
    out->ordering = (es_ordering_t) ordering;

    return rc;
}


es_rc_t
es_take_body(es_record_t *r, es_endpoint_t *out)
{
    es_rc_t   rc;
    unsigned  body;

    body = ES_BODY_WHOLE;

    rc = es_take_word(r, "/body", es_bodies, &body);
    out->body = (es_body_t) body;

    return rc;
}


es_rc_t
es_take_content_type(es_record_t *r, es_endpoint_t *out)
{
    es_rc_t   rc;
    unsigned  cloudevents;

    cloudevents = false;

    rc = es_take_word(r, "/content_type", es_content_types, &cloudevents);
    out->cloudevents = cloudevents;

    return rc != ES_OK || out->body < ES_BODY_BINARY
           || json_object_get(r->object, "content_type") == NULL
           ? rc : es_fault(r, "/content_type", "cannot be used with \"body\" "
                           "\"binary\" or \"data\": the type of such a "
                           "request is that of the event's data");
}


es_rc_t
es_batch_check(es_record_t *r, es_endpoint_t *out)
{
    if (out->batch > 1 && out->body >= ES_BODY_BINARY) {
        return es_fault(r, "/batch", "cannot be used with \"body\" "
                        "\"binary\" or \"data\": such a request has one "
                        "event");
    }

    return out->batch == 1 || out->ordering != ES_ORDER_KEY
           ? ES_OK
           : es_fault(r, "/batch", "cannot be used with \"ordering\" \"key\", "
                      "because events of a key are sent one by one");
}


es_rc_t
es_batch_wait_check(es_record_t *r, es_endpoint_t *out)
{
    return out->batch_wait_ms == 0 || out->batch > 1
           ? ES_OK : es_fault(r, "/batch_wait", "requires \"batch\"");
}


es_rc_t
es_flag_check(es_record_t *r, es_endpoint_t *out)
{
    return out->flag.data == NULL || es_object_name_ok(ES_KIND_FLAG, out->flag)
           ? ES_OK : es_fault(r, "/flag", "must be the name of a flag");
}
