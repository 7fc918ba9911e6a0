/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes an endpoint's record: the table of its members, and the loop over
 * it.
 *
 * A member that is a plain text, number, duration or boolean needs no code of
 * its own: its row has its bounds, its default and the field that it fills.
 */

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/pool.h"
#include "delivery/delivery.h"
#include "registry/endpoint_members.h"
#include "registry/member.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "registry/values.h"

const es_endpoint_member_t  es_endpoint_members[] = {
    { .name = "partner", .type = ES_MEMBER_TEXT, .access = ES_MEMBER_OWNER,
      .required = true, .preset = "required" },

    { .name = "url", .type = ES_MEMBER_TEXT, .required = true,
      .field = offsetof(es_endpoint_t, url), .preset = "required",
      .option = "url", .usage = "URL",
      .about = "where the webhooks go" },

    { .name = "feeds", .type = ES_MEMBER_LIST, .required = true,
      .take = es_take_feeds, .preset = "required", .option = "feeds",
      .usage = "A",
      .about = "the feeds that it is sent, as A or B-*" },

    { .name = "types", .type = ES_MEMBER_LIST, .take = es_take_types,
      .preset = "every type", .option = "types", .usage = "A,B.*",
      .about = "only these event types" },

    { .name = "subject", .type = ES_MEMBER_TEXT, .take = es_take_subject,
      .preset = "every subject", .option = "subject", .usage = "S",
      .about = "only events of this subject" },

    { .name = "ordering", .type = ES_MEMBER_TEXT, .take = es_take_ordering,
      .preset = "fifo", .option = "ordering", .usage = "fifo|key|none",
      .about = "one event after the other, in order for each subject, or side "
      "by side" },

    { .name = "secrets", .type = ES_MEMBER_LIST, .take = es_take_secrets,
      .preset = "required", .option = "secret", .usage = "@FILE",
      .about = "the file with the signing secret; without it, one is made" },

    { .name = "paused", .type = ES_MEMBER_BOOL,
      .field = offsetof(es_endpoint_t, paused), .preset = "false",
      .option = "paused",
      .about = "send nothing until it is resumed; nothing is lost" },

    { .name = "start", .type = ES_MEMBER_TEXT, .take = es_take_start,
      .preset = "latest", .option = "start", .usage = "latest|oldest",
      .about = "where it begins on a feed" },

    { .name = "fields", .type = ES_MEMBER_OBJECT, .take = es_take_fields,
      .preset = "those of its partner", .option = "fields", .usage = "JSON",
      .about = "what it is sent of each event, by feed, as "
      "{\"orders\":{\"allow\":[\"/id\"]}}" },

    { .name = "in_flight", .type = ES_MEMBER_NUMBER,
      .field = offsetof(es_endpoint_t, in_flight), .min = 1,
      .max = ES_INFLIGHT_MAX, .preset = "32", .option = "in-flight",
      .usage = "N",
      .about = "at most so many requests at a time, unless fifo" },

    { .name = "connect_timeout", .type = ES_MEMBER_DURATION,
      .field = offsetof(es_endpoint_t, connect_timeout_ms), .min = 10,
      .max = 10 * 60 * 1000, .preset = "10s", .option = "connect-timeout",
      .usage = "10s",
      .about = "limit of the time to connect" },

    { .name = "timeout", .type = ES_MEMBER_DURATION,
      .field = offsetof(es_endpoint_t, timeout_ms), .min = 10,
      .max = 10 * 60 * 1000, .preset = "30s", .option = "timeout",
      .usage = "30s",
      .about = "limit of an attempt as a whole" },

    { .name = "schedule", .type = ES_MEMBER_LIST, .take = es_take_schedule,
      .preset = "0 5s 5m 30m 2h 5h 10h 14h 20h 24h", .option = "schedule",
      .usage = "0,5s,...",
      .about = "the delay before each attempt" },

    { .name = "disable_after", .type = ES_MEMBER_DURATION,
      .field = offsetof(es_endpoint_t, disable_after_ms), .min = 0,
      .max = UINT32_MAX, .check = es_disable_after_check, .preset = "5d",
      .option = "disable-after", .usage = "5d",
      .about = "stop it when no attempt succeeded for so long; 0: never" },

    { .name = "rate", .type = ES_MEMBER_TEXT, .take = es_take_rate,
      .preset = "none", .option = "rate", .usage = "10r/s",
      .about = "at most so many attempts per s, m, h or d" },

    { .name = "burst", .type = ES_MEMBER_NUMBER, .min = 1, .max = 1000000,
      .take = es_take_burst, .preset = "1", .option = "burst", .usage = "N",
      .about = "how many of them may come at once" },

    { .name = "ack", .type = ES_MEMBER_TEXT,
      .field = offsetof(es_endpoint_t, ack), .check = es_ack_check,
      .preset = "none", .option = "ack", .usage = "CONSUMER",
      .about = "do not send what this checkpoint acknowledges" },

    { .name = "body", .type = ES_MEMBER_TEXT, .take = es_take_body,
      .preset = "whole", .option = "body", .usage = "whole|thin|binary|data",
      .about = "the event, the event without its data, or its data only" },

    { .name = "content_type", .type = ES_MEMBER_TEXT,
      .take = es_take_content_type, .preset = "application/json",
      .option = "content-type", .usage = "TYPE",
      .about = "application/json or application/cloudevents+json" },

    { .name = "batch", .type = ES_MEMBER_NUMBER,
      .field = offsetof(es_endpoint_t, batch), .min = 1, .max = ES_BATCH_MAX,
      .check = es_batch_check, .preset = "1", .option = "batch", .usage = "N",
      .about = "up to so many events in one request" },

    { .name = "batch_wait", .type = ES_MEMBER_DURATION,
      .field = offsetof(es_endpoint_t, batch_wait_ms), .min = 0,
      .max = 60 * 1000, .check = es_batch_wait_check, .preset = "0",
      .option = "batch-wait", .usage = "1s",
      .about = "how long a request waits to fill" },

    { .name = "nudge", .type = ES_MEMBER_NUMBER,
      .field = offsetof(es_endpoint_t, nudge), .min = 1, .max = 1000000000,
      .preset = "none", .option = "nudge", .usage = "N",
      .about = "when more events wait, say \"poll\" instead of sending them" },

    { .name = "simulate", .type = ES_MEMBER_OBJECT, .take = es_take_simulate,
      .preset = "none" },

    { .name = "headers", .type = ES_MEMBER_OBJECT, .take = es_take_headers,
      .preset = "none", .option = "headers", .usage = "@FILE",
      .about = "the file with header fields of each request, a JSON object" },

    { .name = "oauth", .type = ES_MEMBER_OBJECT, .take = es_take_oauth,
      .preset = "none", .option = "oauth", .usage = "@FILE",
      .about = "the file with the client credentials for access tokens, a "
      "JSON object" },

    { .name = "client_cert", .type = ES_MEMBER_TEXT,
      .access = ES_MEMBER_OPERATOR,
      .field = offsetof(es_endpoint_t, client_cert),
      .check = es_client_cert_check, .preset = "none", .option = "client-cert",
      .usage = "FILE",
      .about = "the certificate that the dispatcher presents" },

    { .name = "client_key", .type = ES_MEMBER_TEXT,
      .access = ES_MEMBER_OPERATOR,
      .field = offsetof(es_endpoint_t, client_key),
      .check = es_client_key_check, .preset = "client_cert",
      .option = "client-key", .usage = "FILE",
      .about = "the key of --client-cert" },

    { .name = "ca_file", .type = ES_MEMBER_TEXT, .access = ES_MEMBER_OPERATOR,
      .field = offsetof(es_endpoint_t, ca_file), .check = es_ca_file_check,
      .preset = "the dispatcher's --ca-file", .option = "ca-file",
      .usage = "FILE",
      .about = "certificates trusted for it" },

    { .name = "allow_http", .type = ES_MEMBER_BOOL,
      .access = ES_MEMBER_OPERATOR,
      .field = offsetof(es_endpoint_t, exceptions.http), .preset = "false",
      .option = "allow-http", .usage = "yes|no",
      .about = "allow http://, if the dispatcher does too" },

    { .name = "allow_addresses", .type = ES_MEMBER_LIST,
      .access = ES_MEMBER_OPERATOR, .take = es_take_allow_addresses,
      .preset = "none", .option = "allow-addresses", .usage = "CIDR,...",
      .about = "addresses that are not public, likewise" },

    { .name = "allow_ports", .type = ES_MEMBER_NUMBERS,
      .access = ES_MEMBER_OPERATOR, .min = 1, .max = 65535,
      .take = es_take_allow_ports, .preset = "none", .option = "allow-ports",
      .usage = "N,...",
      .about = "ports below 1024, likewise" },

    { .name = "flag", .type = ES_MEMBER_TEXT, .access = ES_MEMBER_OPERATOR,
      .field = offsetof(es_endpoint_t, flag), .check = es_flag_check,
      .preset = "none", .option = "flag", .usage = "FLAG",
      .about = "it is sent nothing unless its partner has the flag" }
};

_Static_assert(sizeof(es_endpoint_members) / sizeof(es_endpoint_members[0])
               == ES_ENDPOINT_MEMBERS, "ES_ENDPOINT_MEMBERS counts the rows");


const es_endpoint_member_t *
es_endpoint_member(const char *name)
{
    size_t  i;

    for (i = 0; i < ES_ENDPOINT_MEMBERS; i++) {
        if (strcmp(es_endpoint_members[i].name, name) == 0) {
            return &es_endpoint_members[i];
        }
    }

    return NULL;
}


/* Decodes a member by its type into its field.  Without the member, the field
   gets the default, or stays 0 if the default is not a value. */

static es_rc_t
es_member_take(es_record_t *r, const es_endpoint_member_t *m,
    es_endpoint_t *out)
{
    char   pointer[ES_POINTER_MAX];
    void  *field;

    (void) snprintf(pointer, sizeof(pointer), "/%s", m->name);
    field = (char *) out + m->field;

    switch (m->type) {

    case ES_MEMBER_TEXT:
        return es_take_str(r, pointer, m->required, field);

    case ES_MEMBER_DURATION:
        (void) es_duration_parse(es_str(m->preset), field);
        return es_take_duration(r, pointer, m->min, m->max, field);

    case ES_MEMBER_NUMBER:
        *(unsigned *) field = (unsigned) strtoul(m->preset, NULL, 10);
        return es_take_number(r, pointer, m->min, m->max, field);

    case ES_MEMBER_BOOL:
        return es_take_bool(r, pointer, field);

    case ES_MEMBER_LIST:
    case ES_MEMBER_NUMBERS:
    case ES_MEMBER_OBJECT:
        break;
    }

    return ES_INVALID;         /* such rows have `take` */
}


es_rc_t
es_endpoint_decode(json_t *object, es_pool_t *pool, es_endpoint_t *out,
    es_str_t *partner, es_problem_t *problem)
{
    size_t                       i;
    es_rc_t                      rc;
    es_record_t                  r = { object, pool, problem };
    const es_endpoint_member_t  *m;

    out->number = (uint32_t) json_integer_value(
                                 json_object_get(object, "number"));
    out->revision = (uint64_t) json_integer_value(
                                   json_object_get(object, "revision"));

    out->by_key = json_object_get(object, "made_by") != NULL
                  || json_object_get(object, "url_by") != NULL;

    rc = es_take_time(&r, "/created", &out->created_ms);

    for (i = 0; rc == ES_OK && i < ES_ENDPOINT_MEMBERS; i++) {
        m = &es_endpoint_members[i];

        if (m->access == ES_MEMBER_OWNER) {
            rc = es_take_str(&r, "/partner", true, partner);

        } else {
            rc = m->take ? m->take(&r, out) : es_member_take(&r, m, out);
        }

        if (rc == ES_OK && m->check != NULL) {
            rc = m->check(&r, out);
        }
    }

    return rc;
}
