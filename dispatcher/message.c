/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes the HTTP request of a webhook from its events: body, signatures, header
 * fields.
 *
 * libcurl searches its list of header fields a dozen times for each request.
 * All our fields are therefore one element of the list: their lines, with the
 * line breaks between them, in memory of the send.
 */

#include <openssl/evp.h>
#include <stdio.h>

#include "base/base.h"
#include "event/attribute.h"
#include "event/binary_mode.h"
#include "event/cursor.h"
#include "event/trace.h"
#include "fields/fields.h"
#include "keys/signature.h"
#include "read/reader.h"
#include "registry/registry.h"
#include "trace/context.h"

#include "dispatcher.h"
#include "encrypt.h"
#include "item.h"
#include "lane.h"
#include "message.h"
#include "send.h"
#include "signing.h"
#include "target.h"
#include "tracing.h"
#include "trusted_clock.h"
#include "verification.h"

#define ESD_BATCH_ID     "batch-"
#define ESD_BATCH_ID_BYTES  16     /* of a digest in the id of a batch */


void
esd_message_begin(esd_send_t *send)
{
    send->kind = ESD_SEND_EVENTS;
    send->nitems = 0;
    send->attempt = 1;
    send->body.len = 0;
    send->type.len = 0;
    send->attrs.len = 0;
    send->ids.len = 0;
    send->traced = false;
    send->told = true;
    send->state.len = 0;
    send->traces.len = 0;
}


static char *
esd_put_bytes(char *p, const char *data, size_t len)
{
    memcpy(p, data, len);

    return p + len;
}

#define esd_put_literal(p, text)  esd_put_bytes((p), (text), sizeof(text) - 1)


static char *
esd_put_number(char *p, uint64_t n)
{
    char  digits[20], *q;

    q = digits + sizeof(digits);

    do {
        *--q = (char) ('0' + n % 10);
        n /= 10;
    } while (n > 0);

    return esd_put_bytes(p, q, (size_t) (digits + sizeof(digits) - q));
}


static const es_fields_t *
esd_message_fields(const esd_send_t *send, const esd_lane_t *lane)
{
    return es_endpoint_fields(send->target->conf,
                              es_str(lane->source->feed.name));
}


/* True if field lists allow this attribute of the feed's events. */

static bool
esd_message_shows(const esd_send_t *send, const esd_lane_t *lane,
    es_str_t attribute)
{
    const es_fields_t  *fields;

    fields = esd_message_fields(send, lane);

    return fields == NULL || es_fields_shows(fields, attribute);
}


/* Continues the trace of the event with a span of this attempt.  A batch has
   many events: it continues the first trace that is sampled, else the first of
   all. */

static es_rc_t
esd_message_trace(esd_send_t *send, const esd_lane_t *lane,
    const es_event_t *event)
{
    bool        sampled;
    char        state[ES_TRACESTATE_MAX];
    size_t      len;
    es_trace_t  trace;

    sampled = send->traced && (send->trace.flags & ES_TRACE_SAMPLED);

    if (sampled && send->d->exporter == NULL) {
        return ES_OK;
    }

    if (!esd_tracing_find(send, lane, event, send->nitems, &trace)
        || sampled
        || (send->traced && !(trace.flags & ES_TRACE_SAMPLED))
        || es_trace_span(&trace) != ES_OK)
    {
        return ES_OK;
    }

    send->traced = true;
    send->trace = trace;
    send->told = esd_message_shows(send, lane, es_lit("traceparent"));
    send->state.len = 0;

    len = send->told && esd_message_shows(send, lane, es_lit("tracestate"))
          ? es_event_tracestate(event->before, state) : 0;

    if (len > 0
        && (es_buf_str(&send->state, es_lit("tracestate: ")) != ES_OK
            || es_buf_append(&send->state, state, len) != ES_OK
            || es_buf_append(&send->state, "", 1) != ES_OK))
    {
        return ES_NOMEM;
    }

    return ES_OK;
}


/* Keeps the trace id of each event for the log. */

static es_rc_t
esd_message_trace_id(esd_send_t *send, const esd_lane_t *lane,
    const es_event_t *event)
{
    es_trace_t  trace;

    if (!send->d->options.log_attempts) {
        return ES_OK;
    }

    if (!esd_tracing_find(send, lane, event, send->nitems, &trace)) {
        memset(trace.id, 0, ES_TRACE_ID);
    }

    return es_buf_append(&send->traces, trace.id, ES_TRACE_ID);
}


static es_rc_t
esd_message_id(esd_send_t *send, es_str_t id)
{
    es_rc_t  rc;

    rc = es_buf_str(&send->ids, id);

    return rc == ES_OK ? es_buf_append(&send->ids, "", 1) : rc;
}


/* Takes the event apart.  libcurl leaves a field out that has no value, and adds
   a Content-Type of its own where it is given none. */

static es_rc_t
esd_message_data(esd_send_t *send, es_str_t event, es_str_t prevcursor)
{
    es_rc_t  rc;

    rc = es_binary_mode(event, prevcursor, &send->type,
                        send->target->conf->body == ES_BODY_BINARY
                        ? &send->attrs : NULL, &send->body);

    if (rc == ES_OK && send->type.len == 0) {
        rc = es_buf_str(&send->type, es_lit("Content-Type:"));
    }

    if (rc == ES_OK) {
        rc = es_buf_append(&send->type, "", 1);
    }

    if (rc == ES_OK && send->attrs.len > 0) {
        rc = es_buf_append(&send->attrs, "", 1);
    }

    return rc == ES_INVALID ? ES_CORRUPT : rc;
}


/* Adds what the lists show of an event: all of its forms are made of that. */

static es_rc_t
esd_message_shown(esd_send_t *send, const esd_lane_t *lane,
    const es_event_t *event, es_str_t prev, const es_fields_t *fields)
{
    es_rc_t    rc;
    es_str_t   text;
    es_body_t  form;

    form = send->target->conf->body;
    send->event.len = 0;

    if (form >= ES_BODY_BINARY) {
        rc = esd_encrypt_event(send->d, lane, fields, event->json,
                               &send->event);
        text.data = send->event.data;
        text.len = send->event.len;

        return rc == ES_OK ? esd_message_data(send, text, prev) : rc;
    }

    rc = es_buf_str(&send->event, event->before);

    if (rc == ES_OK) {
        rc = es_buf_str(&send->event, prev);
    }

    if (rc == ES_OK) {
        rc = es_buf_str(&send->event, form == ES_BODY_THIN ? es_lit("\"}")
                                                           : event->after);
    }

    text.data = send->event.data;
    text.len = send->event.len;

    return rc == ES_OK
           ? esd_encrypt_event(send->d, lane, fields, text, &send->body) : rc;
}


/* Adds an event: unchanged, with another prevcursor where the filter skipped
   events, or without its data, which is stored after the attributes. */

static es_rc_t
esd_message_event(esd_send_t *send, const esd_lane_t *lane,
    const esd_item_t *item, const es_event_t *event)
{
    char               *p, prev[ES_CURSOR_MAX];
    size_t              len;
    es_buf_t           *body;
    es_str_t            after;
    es_body_t           form;
    const es_fields_t  *fields;

    body = &send->body;
    form = send->target->conf->body;
    fields = esd_message_fields(send, lane);

    if (item->prev + 1 == event->sequence && form == ES_BODY_WHOLE
        && fields == NULL)
    {
        return es_buf_str(body, event->json);
    }

    len = es_feed_cursor(&lane->source->feed, item->prev, prev);

    if (fields != NULL) {
        return esd_message_shown(send, lane, event, (es_str_t) { prev, len },
                                 fields);
    }

    if (form >= ES_BODY_BINARY) {
        return esd_message_data(send, event->json, (es_str_t) { prev, len });
    }

    after = form == ES_BODY_THIN ? es_str("\"}") : event->after;

    if (es_buf_reserve(body, event->before.len + len + after.len) != ES_OK) {
        return ES_NOMEM;
    }

    p = esd_put_bytes(body->data + body->len, event->before.data,
                      event->before.len);
    p = esd_put_bytes(p, prev, len);
    p = esd_put_bytes(p, after.data, after.len);
    body->len = (size_t) (p - body->data);

    return ES_OK;
}


es_rc_t
esd_message_add(esd_send_t *send, const esd_lane_t *lane,
    const esd_item_t *item, const es_event_t *event)
{
    bool     batch;
    size_t   body, ids;
    es_rc_t  rc;

    body = send->body.len;
    ids = send->ids.len;
    batch = send->target->conf->batch > 1;
    rc = esd_message_trace(send, lane, event);

    if (rc == ES_OK) {
        rc = esd_message_trace_id(send, lane, event);
    }

    if (rc == ES_OK && batch) {
        rc = es_buf_append(&send->body, send->nitems > 0 ? "," : "[", 1);
    }

    if (rc == ES_OK) {
        rc = esd_message_event(send, lane, item, event);
    }

    if (rc == ES_OK) {
        rc = esd_message_id(send, event->id);
    }

    if (rc == ES_OK && send->nitems == 0) {
        send->attempt = item->attempts + 1;
    }

    if (rc == ES_OK) {
        send->items[send->nitems] = *item;
        send->items[send->nitems++].time_ms = event->time_ms;

    } else {

        /* the events before it are sent all the same */

        send->body.len = body;
        send->ids.len = ids;
    }

    return rc;
}


es_rc_t
esd_message_own(esd_send_t *send, esd_send_kind_t kind, es_str_t id,
    es_str_t event)
{
    es_rc_t  rc;

    send->kind = kind;

    if (send->target->conf->body >= ES_BODY_BINARY) {
        rc = esd_message_data(send, event, es_null_str);
        return rc == ES_OK ? esd_message_id(send, id) : rc;
    }

    rc = send->target->conf->batch > 1 ? es_buf_append(&send->body, "[", 1)
                                       : ES_OK;

    if (rc == ES_OK) {
        rc = es_buf_str(&send->body, event);
    }

    return rc == ES_OK ? esd_message_id(send, id) : rc;
}


/* The id of a batch is unique for its list of events, because a receiver may
   drop a request whose id it has seen. */

static es_str_t
esd_message_name(const esd_send_t *send, char out[ES_ID_MAX + 1])
{
    size_t         i;
    es_str_t       id;
    unsigned char  digest[EVP_MAX_MD_SIZE];

    if (send->nitems <= 1) {
        return (es_str_t) { send->ids.data, send->ids.len - 1 };
    }

    if (EVP_Digest(send->ids.data, send->ids.len, digest, NULL, EVP_sha256(),
                   NULL) != 1)
    {
        return es_null_str;
    }

    memcpy(out, ESD_BATCH_ID, sizeof(ESD_BATCH_ID));

    for (i = 0; i < ESD_BATCH_ID_BYTES; i++) {
        (void) snprintf(out + sizeof(ESD_BATCH_ID) - 1 + 2 * i, 3, "%02x",
                        digest[i]);
    }

    id = es_str(out);

    return id;
}


/* Appends the signatures, or space for them, and moves `p`. */

static es_rc_t
esd_message_sign(esd_send_t *send, es_str_t id, int64_t now_s, char **p)
{
    char         *first;
    es_rc_t       rc;
    int64_t       expires_ms, now_ms;
    es_str_t      body;
    unsigned      i;
    es_signer_t  *signer;

    body.data = send->body.data;
    body.len = send->body.len;

    first = *p;
    now_ms = esd_clock_expiry_ms(send->d);

    for (i = 0; i < send->target->nsigners; i++) {
        expires_ms = send->target->signer_expires_ms[i];

        if (expires_ms != 0 && expires_ms <= now_ms) {
            continue;
        }

        if (*p != first) {
            *(*p)++ = ' ';
        }

        signer = send->target->signers[i];

        if (es_signer_is_v1a(signer)
            && (send->signing != NULL || esd_signing_idle(send->d)))
        {
            rc = esd_signing_add(send, signer, id, now_s, *p);
            *p += ES_SIGNATURE_V1A;

        } else {
            rc = es_sign(signer, id, now_s, &body, 1, *p);
            *p += rc == ES_OK ? strlen(*p) : 0;
        }

        if (rc != ES_OK) {
            return rc;
        }
    }

    return ES_OK;
}


/* Appends the header fields about the event. */

static char *
esd_message_about(const esd_send_t *send, const esd_lane_t *lane, char *p)
{
    const esd_verification_t  *v;

    p = esd_put_literal(p, "\r\neventsync-attempt: ");
    p = esd_put_number(p, send->attempt);

    if (lane != NULL) {
        p = esd_put_literal(p, "\r\neventsync-feed: ");
        p = esd_put_bytes(p, lane->source->feed.name,
                          strlen(lane->source->feed.name));
    }

    /* a receiver has allowed this sender, which each request must name then */

    v = send->target->verification;

    if (v != NULL && v->record.method == ES_VERIFIED_HANDSHAKE) {
        p = esd_put_literal(p, "\r\nWebHook-Request-Origin: ");
        p = esd_put_bytes(p, send->d->options.webhook_origin,
                          strlen(send->d->options.webhook_origin));
    }

    if (send->traced && send->told) {
        p = esd_put_literal(p, "\r\ntraceparent: ");
        p = es_trace_print(&send->trace, p);
    }

    return p;
}


static char *
esd_message_type(const esd_send_t *send, bool batch, char *p)
{
    if (send->type.len > 0) {
        return p;
    }

    p = esd_put_literal(p, "Content-Type: application/");

    if (send->target->conf->cloudevents) {
        p = esd_put_literal(p, "cloudevents");
        p = batch ? esd_put_literal(p, "-batch+") : esd_put_literal(p, "+");
    }

    return esd_put_literal(p, "json\r\n");
}


es_rc_t
esd_message_end(esd_send_t *send, const esd_lane_t *lane)
{
    char      *p, name[ES_ID_MAX + 1];
    bool       batch;
    es_rc_t    rc;
    es_str_t   id, own;

    batch = send->target->conf->batch > 1;
    own = esd_send_trusts(send) ? send->target->conf->headers : es_null_str;

    if (batch && es_buf_append(&send->body, "]", 1) != ES_OK) {
        return ES_NOMEM;
    }

    id = esd_message_name(send, name);

    if (id.len == 0) {
        return ES_NOMEM;
    }

    p = esd_message_type(send, batch, send->head);
    p = esd_put_literal(p, "User-Agent: eventsync/" ES_VERSION
                        "\r\nwebhook-id: ");
    p = esd_put_bytes(p, id.data, id.len);
    p = esd_put_literal(p, "\r\nwebhook-timestamp: ");
    p = esd_put_number(p, (uint64_t) send->sent_ms / 1000);
    p = esd_put_literal(p, "\r\nwebhook-signature: ");

    rc = esd_message_sign(send, id, send->sent_ms / 1000, &p);
    if (rc != ES_OK) {
        return rc;
    }

    p = esd_message_about(send, lane, p);

    send->own = own.len > 0 ? p : NULL;

    if (own.len > 0) {
        p = esd_put_bytes(p, own.data, own.len);
    }

    *p = '\0';

    return ES_OK;
}
