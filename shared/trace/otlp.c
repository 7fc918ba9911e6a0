/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The buffer of spans, and the answers of a collector.
 */

#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/base.h"
#include "base/json.h"
#include "base/random.h"
#include "trace/otlp.h"

#define ES_OTLP_SPAN         8192  /* the most that a span takes, about */
#define ES_OTLP_BACKOFF_MS   1000
#define ES_OTLP_BACKOFF_MAX  60000
#define ES_OTLP_PAUSE_MIN    100       /* of Retry-After */
#define ES_OTLP_PAUSE_MAX    600000
#define ES_OTLP_HOST         256

const char *const  es_otlp_fates[ES_OTLP_FATES] = {
    [ES_OTLP_EXPORTED] = "exported",
    [ES_OTLP_DROPPED] = "dropped",
    [ES_OTLP_REFUSED] = "refused",
    [ES_OTLP_REJECTED] = "rejected"
};

const char *const  es_otlp_outcomes[ES_OTLP_OUTCOMES] = {
    [ES_OTLP_TAKEN] = "taken",
    [ES_OTLP_PARTIAL] = "partial",
    [ES_OTLP_GARBLED] = "garbled",
    [ES_OTLP_RETRIED] = "retried",
    [ES_OTLP_FAILED] = "failed"
};

static const char  es_otlp_end_text[] = "]}]}]}";


/* Writes the beginning of a request, with the attributes of this process. */

static es_rc_t
es_otlp_prefix(es_otlp_t *otlp, const char *service)
{
    char       host[ES_OTLP_HOST], instance[33];
    es_rc_t    rc;
    uint8_t    bytes[16];
    es_buf_t  *out;

    rc = es_random(bytes, sizeof(bytes));
    if (rc != ES_OK) {
        return rc;
    }

    *es_trace_hex(bytes, sizeof(bytes), instance) = '\0';

    if (gethostname(host, sizeof(host)) != 0) {
        host[0] = '\0';
    }

    host[sizeof(host) - 1] = '\0';

    out = &otlp->filling;

    if (es_buf_str(out, es_lit("{\"resourceSpans\":[{\"resource\":{"
                               "\"attributes\":[")) != ES_OK
        || es_span_text(out, "service.name", es_str(service)) != ES_OK
        || es_span_text(out, "service.version", es_lit(ES_VERSION)) != ES_OK
        || es_span_text(out, "service.instance.id", es_str(instance)) != ES_OK
        || es_span_text(out, "host.name", es_str(host)) != ES_OK
        || es_span_number(out, "process.pid", getpid()) != ES_OK
        || es_buf_str(out, es_lit("]},\"scopeSpans\":[{\"scope\":{\"name\":"
                                  "\"eventsync\",\"version\":\"" ES_VERSION
                                  "\"},\"spans\":[")) != ES_OK)
    {
        return ES_NOMEM;
    }

    otlp->prefix = out->len;

    return es_buf_append(&otlp->sending, out->data, out->len);
}


es_rc_t
es_otlp_init(es_otlp_t *otlp, size_t max, const char *service)
{
    es_rc_t  rc;

    memset(otlp, 0, sizeof(es_otlp_t));
    otlp->max = max;

    rc = es_buf_reserve(&otlp->filling, max + ES_OTLP_SPAN);

    if (rc == ES_OK) {
        rc = es_buf_reserve(&otlp->sending, max + ES_OTLP_SPAN);
    }

    if (rc == ES_OK) {
        rc = es_otlp_prefix(otlp, service);
    }

    if (rc != ES_OK) {
        es_otlp_free(otlp);
    }

    return rc;
}


void
es_otlp_free(es_otlp_t *otlp)
{
    es_buf_free(&otlp->filling);
    es_buf_free(&otlp->sending);
}


es_buf_t *
es_otlp_begin(es_otlp_t *otlp, const es_otlp_span_t *span)
{
    es_buf_t  *out;

    out = &otlp->filling;

    if (out->len + ES_OTLP_SPAN > otlp->max) {
        otlp->counts.spans[ES_OTLP_DROPPED]++;
        return NULL;
    }

    otlp->open = out->len;

    if ((otlp->nfilling > 0 && es_buf_append(out, ",", 1) != ES_OK)
        || es_span_open(out, span) != ES_OK)
    {
        out->len = otlp->open;
        otlp->counts.spans[ES_OTLP_DROPPED]++;
        return NULL;
    }

    return out;
}


void
es_otlp_end(es_otlp_t *otlp, const es_trace_t *links, size_t nlinks,
    const char *error)
{
    nlinks = nlinks < ES_OTLP_LINKS ? nlinks : ES_OTLP_LINKS;

    if (es_span_close(&otlp->filling, links, nlinks, error) != ES_OK) {
        otlp->filling.len = otlp->open;
        otlp->counts.spans[ES_OTLP_DROPPED]++;
        return;
    }

    otlp->nfilling++;
}


bool
es_otlp_due(const es_otlp_t *otlp)
{
    return otlp->nsending == 0 && otlp->filling.len >= otlp->max / 2;
}


bool
es_otlp_take(es_otlp_t *otlp, es_str_t *body)
{
    es_buf_t  taken;

    if (otlp->nfilling == 0
        || otlp->nsending > 0
        || es_buf_str(&otlp->filling, es_lit(es_otlp_end_text)) != ES_OK)
    {
        return false;
    }

    /* both buffers begin with the same prefix */

    taken = otlp->filling;
    otlp->filling = otlp->sending;
    otlp->filling.len = otlp->prefix;
    otlp->sending = taken;

    otlp->nsending = otlp->nfilling;
    otlp->nfilling = 0;
    otlp->failures = 0;

    body->data = taken.data;
    body->len = taken.len;

    return true;
}


static void
es_otlp_over(es_otlp_t *otlp, es_otlp_outcome_t outcome, es_otlp_fate_t fate)
{
    otlp->counts.requests[outcome]++;
    otlp->counts.spans[fate] += otlp->nsending;
    otlp->nsending = 0;
    otlp->failures = 0;
}


void
es_otlp_drop(es_otlp_t *otlp)
{
    otlp->counts.spans[ES_OTLP_DROPPED] += otlp->nsending;
    otlp->nsending = 0;
    otlp->failures = 0;
}


/* Text of the collector, for a log line. */

static void
es_otlp_quote(es_otlp_t *otlp, size_t at, es_str_t text)
{
    char    c;
    size_t  i;

    for (i = 0; i < text.len && at + i < sizeof(otlp->said) - 1; i++) {
        c = text.data[i];
        otlp->said[at + i] = c >= ' ' && c <= '~' ? c : '?';
    }

    otlp->said[at + i] = '\0';
}


/* The number of rejected spans.  False: the body is no answer. */

static bool
es_otlp_rejected(es_str_t body, size_t *rejected, json_t **root)
{
    json_t     *partial, *count;
    long long   n;

    *rejected = 0;
    *root = json_loadb(body.data, body.len, 0, NULL);

    if (!json_is_object(*root)) {
        return false;
    }

    partial = json_object_get(*root, "partialSuccess");
    count = json_object_get(partial, "rejectedSpans");

    /* a number of 64 bits is a string, and receivers take both */

    n = json_is_string(count) ? atoll(json_string_value(count))
                              : json_integer_value(count);
    *rejected = n > 0 ? (size_t) n : 0;

    return partial == NULL || json_is_object(partial);
}


/* An empty body of a 200 is a complete success as well. */

static void
es_otlp_success(es_otlp_t *otlp, es_str_t body)
{
    int                 n;
    bool                answer;
    size_t              rejected;
    json_t             *root;
    es_otlp_outcome_t   outcome;

    root = NULL;
    rejected = 0;
    answer = body.len == 0 || es_otlp_rejected(body, &rejected, &root);
    rejected = rejected < otlp->nsending ? rejected : otlp->nsending;

    outcome = !answer ? ES_OTLP_GARBLED
              : rejected > 0 ? ES_OTLP_PARTIAL : ES_OTLP_TAKEN;

    if (outcome == ES_OTLP_GARBLED) {
        (void) snprintf(otlp->said, sizeof(otlp->said),
                        "its answer is no ExportTraceServiceResponse in JSON");

    } else if (rejected > 0) {
        n = snprintf(otlp->said, sizeof(otlp->said), "it rejected %zu of %zu "
                     "spans: ", rejected, otlp->nsending);
        es_otlp_quote(otlp, (size_t) n,
                      es_text(json_object_get(json_object_get(root,
                                              "partialSuccess"),
                                              "errorMessage")));
    }

    json_decref(root);

    otlp->counts.spans[ES_OTLP_REJECTED] += rejected;
    otlp->nsending -= rejected;
    es_otlp_over(otlp, outcome, ES_OTLP_EXPORTED);
}


/* Doubles from one second to a minute, with a fifth less or more, so that many
   processes do not come back at once. */

static int64_t
es_otlp_backoff(es_otlp_t *otlp)
{
    int64_t   ms;
    unsigned  i;
    uint32_t  random;

    ms = ES_OTLP_BACKOFF_MS;

    for (i = 1; i < otlp->failures && ms < ES_OTLP_BACKOFF_MAX; i++) {
        ms *= 2;
    }

    ms = ms < ES_OTLP_BACKOFF_MAX ? ms : ES_OTLP_BACKOFF_MAX;

    if (es_random(&random, sizeof(random)) != ES_OK) {
        return ms;
    }

    return ms * 4 / 5 + (int64_t) (random % (uint32_t) (ms * 2 / 5));
}


int64_t
es_otlp_answer(es_otlp_t *otlp, const es_otlp_answer_t *answer)
{
    int  status;

    status = answer->status;
    otlp->said[0] = '\0';

    if (status >= 200 && status < 300) {
        es_otlp_success(otlp, answer->body);
        return -1;
    }

    if (status != 0) {
        (void) snprintf(otlp->said, sizeof(otlp->said), "it answered %d",
                        status);
    } else {
        (void) snprintf(otlp->said, sizeof(otlp->said), "it does not answer");
    }

    if (status != 0 && status != 429 && status != 502 && status != 503
        && status != 504)
    {
        es_otlp_over(otlp, ES_OTLP_FAILED, ES_OTLP_REFUSED);
        return -1;
    }

    otlp->counts.requests[ES_OTLP_RETRIED]++;
    otlp->failures++;

    if (status != 0 && answer->retry_after_ms >= 0) {
        return answer->retry_after_ms < ES_OTLP_PAUSE_MIN ? ES_OTLP_PAUSE_MIN
               : answer->retry_after_ms > ES_OTLP_PAUSE_MAX ? ES_OTLP_PAUSE_MAX
               : answer->retry_after_ms;
    }

    return es_otlp_backoff(otlp);
}


es_rc_t
es_otlp_share(es_str_t text, uint32_t *ppm)
{
    size_t    i;
    uint32_t  whole, unit;

    if (text.len == 0 || text.len > 8
        || (text.data[0] != '0' && text.data[0] != '1')
        || (text.len > 1 && (text.len == 2 || text.data[1] != '.')))
    {
        return ES_INVALID;
    }

    whole = (uint32_t) (text.data[0] - '0') * 1000000;
    unit = 100000;

    for (i = 2; i < text.len; i++, unit /= 10) {
        if (!es_is_digit(text.data[i])) {
            return ES_INVALID;
        }

        whole += (uint32_t) (text.data[i] - '0') * unit;
    }

    if (whole > 1000000) {
        return ES_INVALID;
    }

    *ppm = whole;

    return ES_OK;
}
