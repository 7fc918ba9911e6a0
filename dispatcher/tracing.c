/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes the spans of deliveries and attempts.
 *
 * The span of a delivery outlives attempts and restarts, and nothing of it is
 * stored: its id is a hash, and its start is the commit of the event.
 *
 * Attributes have names of partners, endpoints, feeds and hosts, and cursors.
 * They have no path and query of a URL, which may be secret, no header field
 * and no body.
 */

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "event/trace.h"
#include "log/feed.h"
#include "registry/registry.h"
#include "trace/otlp.h"
#include "trace/span.h"

#include "dispatcher.h"
#include "exporter.h"
#include "item.h"
#include "lane.h"
#include "outcome.h"
#include "send.h"
#include "target.h"
#include "tracing.h"

/* What tells an event from all others. */
typedef struct {
    char      feed[ES_FEED_MAX + 1];
    char      epoch[ES_EPOCH_MAX + 1];
    uint64_t  sequence;
} esd_event_key_t;

/* What tells the span of a delivery from others of the event's trace. */
typedef struct {
    uint32_t  endpoint;
    uint32_t  feed;
    uint64_t  sequence;
} esd_delivery_key_t;


/* All endpoints find the same trace for an event that has none. */

static bool
esd_tracing_pick(const esd_dispatcher_t *d, const esd_lane_t *lane,
    uint64_t sequence, es_trace_t *trace)
{
    const char       *epoch;
    esd_event_key_t   key;
    const es_feed_t  *feed;

    if (d->exporter->share_ppm == 0) {
        return false;
    }

    feed = &lane->source->feed;

    memset(&key, 0, sizeof(key));
    memcpy(key.feed, feed->name, strlen(feed->name));
    epoch = es_feed_epoch_of(feed, sequence);
    memcpy(key.epoch, epoch, strlen(epoch));
    key.sequence = sequence;

    return es_trace_pick(&key, sizeof(key), d->exporter->share_ppm, trace);
}


bool
esd_tracing_find(esd_send_t *send, const esd_lane_t *lane,
    const es_event_t *event, unsigned i, es_trace_t *trace)
{
    bool           found;
    esd_traced_t  *traced;

    found = es_event_trace(event->before, trace);

    if (send->d->exporter == NULL) {
        return found;
    }

    traced = &send->events[i];
    traced->root = false;
    traced->time_ms = event->time_ms;

    if (!found) {
        traced->root = true;
        found = esd_tracing_pick(send->d, lane, event->sequence, trace);
    }

    if (found) {
        traced->trace = *trace;

    } else {
        traced->trace.flags = 0;
    }

    return found;
}


static bool
esd_tracing_sampled(const esd_traced_t *traced)
{
    return traced->trace.flags & ES_TRACE_SAMPLED;
}


/* The span of the delivery of an event to the endpoint. */

static es_trace_t
esd_tracing_delivery(const esd_send_t *send, const esd_traced_t *traced,
    const esd_item_t *item)
{
    es_trace_t          trace;
    esd_delivery_key_t  key;

    key.endpoint = send->target->number;
    key.feed = send->lane->source->feed.number;
    key.sequence = item->sequence;

    trace = traced->trace;
    es_span_derive(&trace, &key, sizeof(key), trace.span);

    return trace;
}


/* Attributes that both spans have. */

static void
esd_tracing_names(es_buf_t *out, const esd_send_t *send,
    const esd_item_t *item)
{
    char    cursor[ES_CURSOR_MAX];
    size_t  len;

    const es_feed_t      *feed;
    const es_endpoint_t  *conf;

    feed = &send->lane->source->feed;
    conf = send->target->conf;
    len = es_feed_cursor(feed, item->sequence, cursor);

    (void) es_span_text(out, "eventsync.endpoint", conf->name);
    (void) es_span_text(out, "eventsync.partner", conf->partner->name);
    (void) es_span_text(out, "eventsync.feed", es_str(feed->name));
    (void) es_span_text(out, "eventsync.cursor", (es_str_t) { cursor, len });
}


static void
esd_tracing_port(es_buf_t *out, const char *name, const char *text)
{
    (void) es_span_number(out, name, strtol(text, NULL, 10));
}


/* The server, by the endpoint's URL, and the peer, by the connection. */

static void
esd_tracing_server(es_buf_t *out, esd_send_t *send)
{
    long   port;
    char  *text, *ip;

    if (curl_url_get(send->url, CURLUPART_HOST, &text, 0) == CURLUE_OK) {
        (void) es_span_text(out, "server.address", es_str(text));
        curl_free(text);
    }

    if (curl_url_get(send->url, CURLUPART_PORT, &text, CURLU_DEFAULT_PORT)
        == CURLUE_OK)
    {
        esd_tracing_port(out, "server.port", text);
        curl_free(text);
    }

    if (curl_url_get(send->url, CURLUPART_SCHEME, &text, 0) == CURLUE_OK) {
        (void) es_span_text(out, "url.scheme", es_str(text));
        curl_free(text);
    }

    ip = NULL;
    port = 0;
    (void) curl_easy_getinfo(send->easy, CURLINFO_PRIMARY_IP, &ip);
    (void) curl_easy_getinfo(send->easy, CURLINFO_PRIMARY_PORT, &port);

    if (ip != NULL && ip[0] != '\0') {
        (void) es_span_text(out, "network.peer.address", es_str(ip));
        (void) es_span_number(out, "network.peer.port", port);
    }
}


/* Semantic conventions of HTTP client spans, 1.23 and later. */

static void
esd_tracing_http(es_buf_t *out, esd_send_t *send, CURLcode result,
    const esd_outcome_t *o)
{
    long  version;
    char  status[12];

    (void) es_span_text(out, "http.request.method", es_lit("POST"));

    if (result != CURLE_FAILED_INIT) {
        esd_tracing_server(out, send);
        version = 0;
        (void) curl_easy_getinfo(send->easy, CURLINFO_HTTP_VERSION, &version);

        if (version != 0) {
            (void) es_span_text(out, "network.protocol.version",
                                version == CURL_HTTP_VERSION_2_0
                                ? es_lit("2") : es_lit("1.1"));
        }
    }

    if (o->status != 0) {
        (void) es_span_number(out, "http.response.status_code", o->status);
    }

    if (send->attempt > 1) {
        (void) es_span_number(out, "http.request.resend_count",
                              send->attempt - 1);
    }

    (void) es_span_number(out, "http.request.body.size",
                          (int64_t) send->body.len);

    if (o->class == ES_ATTEMPT_STATUS) {
        (void) snprintf(status, sizeof(status), "%d", (int) o->status);
        (void) es_span_text(out, "error.type", es_str(status));

    } else if (!o->success) {
        (void) es_span_text(out, "error.type",
                            es_str(es_attempt_class_name(o->class)));
    }
}


/* A request of several events is an attempt in the trace that it continues, and
   has links to the deliveries of the others. */

void
esd_tracing_attempt(esd_send_t *send, CURLcode result, const esd_outcome_t *o)
{
    size_t           nlinks;
    int64_t          took_us;
    unsigned         i, first;
    es_buf_t        *out;
    es_otlp_span_t   span;
    es_trace_t       delivery, links[ES_OTLP_LINKS];
    esd_exporter_t  *x;

    x = send->d->exporter;

    if (!send->traced || !(send->trace.flags & ES_TRACE_SAMPLED)) {
        return;
    }

    nlinks = 0;
    first = send->nitems;

    for (i = 0; i < send->nitems && nlinks < ES_OTLP_LINKS; i++) {
        if (!esd_tracing_sampled(&send->events[i])) {
            continue;
        }

        if (first == send->nitems) {
            first = i;

        } else {
            links[nlinks++] = esd_tracing_delivery(send, &send->events[i],
                                                   &send->items[i]);
        }
    }

    if (first == send->nitems) {
        return;
    }

    delivery = esd_tracing_delivery(send, &send->events[first],
                                    &send->items[first]);
    took_us = es_clock_mono_us() - send->sent_us;

    span.trace = send->trace;
    span.parent = delivery.span;
    span.remote = false;
    span.kind = ES_SPAN_CLIENT;
    span.name = "POST";
    span.start_us = send->sent_ms * 1000;
    span.end_us = span.start_us + (took_us > 0 ? took_us : 0);

    out = esd_exporter_begin(x, &span);
    if (out == NULL) {
        return;
    }

    esd_tracing_names(out, send, &send->items[first]);

    if (send->nitems > 1) {
        (void) es_span_number(out, "eventsync.batch.size", send->nitems);
    }

    esd_tracing_http(out, send, result, o);
    esd_exporter_end(x, links, nlinks,
                     o->success ? NULL : es_attempt_class_name(o->class));
}


void
esd_tracing_done(esd_send_t *send, const esd_item_t *item,
    const esd_outcome_t *o)
{
    int64_t              now_us;
    es_buf_t            *out;
    es_otlp_span_t            span;
    const esd_traced_t  *traced;

    traced = &send->events[item - send->items];

    if (!esd_tracing_sampled(traced)) {
        return;
    }

    now_us = es_clock_ms() * 1000;

    span.trace = esd_tracing_delivery(send, traced, item);
    span.parent = traced->root ? NULL : traced->trace.span;
    span.remote = !traced->root;
    span.kind = ES_SPAN_INTERNAL;
    span.name = "deliver";
    span.start_us = traced->time_ms * 1000;
    span.end_us = now_us > span.start_us ? now_us : span.start_us;

    out = esd_exporter_begin(send->d->exporter, &span);
    if (out == NULL) {
        return;
    }

    esd_tracing_names(out, send, item);
    (void) es_span_number(out, "eventsync.attempts", item->attempts);
    esd_exporter_end(send->d->exporter, NULL, 0,
                     o->success ? NULL : "dead letter");
}
