/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Writes spans as JSON.
 */

#include <xxhash.h>

#include "base/base.h"
#include "base/json.h"
#include "trace/context.h"
#include "trace/span.h"

#define ES_SPAN_TEXT     256       /* bytes of an attribute */
#define ES_SPAN_HEAD     512       /* of a span without its name */
#define ES_SPAN_LINK     128
#define ES_SHARE_ALL     1000000

/* Bits of Span.flags beside those of the trace. */
#define ES_SPAN_HAS_REMOTE  0x100
#define ES_SPAN_REMOTE      0x200


static char *
es_span_put(char *p, const char *text)
{
    size_t  len;

    len = strlen(text);
    memcpy(p, text, len);

    return p + len;
}


static char *
es_span_digits(char *p, uint64_t n)
{
    char    digits[20], *q;
    size_t  len;

    q = digits + sizeof(digits);

    do {
        *--q = (char) ('0' + n % 10);
        n /= 10;
    } while (n > 0);

    len = (size_t) (digits + sizeof(digits) - q);
    memcpy(p, q, len);

    return p + len;
}


static char *
es_span_ids(char *p, const es_trace_t *trace)
{
    p = es_span_put(p, "{\"traceId\":\"");
    p = es_trace_hex(trace->id, ES_TRACE_ID, p);
    p = es_span_put(p, "\",\"spanId\":\"");
    p = es_trace_hex(trace->span, ES_SPAN_ID, p);

    return p;
}


/* A time in nanoseconds. */

static char *
es_span_time(char *p, const char *name, int64_t us)
{
    p = es_span_put(p, name);
    p = es_span_digits(p, us > 0 ? (uint64_t) us : 0);

    return es_span_put(p, "000\"");
}


es_rc_t
es_span_open(es_buf_t *out, const es_otlp_span_t *span)
{
    char      *p;
    unsigned   flags;

    if (es_buf_reserve(out, ES_SPAN_HEAD + strlen(span->name)) != ES_OK) {
        return ES_NOMEM;
    }

    flags = span->trace.flags | ES_SPAN_HAS_REMOTE
            | (span->remote ? ES_SPAN_REMOTE : 0);

    p = es_span_ids(out->data + out->len, &span->trace);

    if (span->parent != NULL) {
        p = es_span_put(p, "\",\"parentSpanId\":\"");
        p = es_trace_hex(span->parent, ES_SPAN_ID, p);
    }

    p = es_span_put(p, "\",\"flags\":");
    p = es_span_digits(p, flags);
    p = es_span_put(p, ",\"name\":\"");
    p = es_span_put(p, span->name);
    p = es_span_put(p, "\",\"kind\":");
    p = es_span_digits(p, span->kind);
    p = es_span_time(p, ",\"startTimeUnixNano\":\"", span->start_us);
    p = es_span_time(p, ",\"endTimeUnixNano\":\"", span->end_us);
    p = es_span_put(p, ",\"attributes\":[");

    out->len = (size_t) (p - out->data);

    return ES_OK;
}


/* Begins an attribute; `type` is the member of its value. */

static es_rc_t
es_span_attr(es_buf_t *out, const char *name, const char *type, size_t more)
{
    char  *p;

    if (es_buf_reserve(out, strlen(name) + 64 + more) != ES_OK) {
        return ES_NOMEM;
    }

    p = out->data + out->len;

    if (p[-1] != '[') {
        *p++ = ',';
    }

    p = es_span_put(p, "{\"key\":\"");
    p = es_span_put(p, name);
    p = es_span_put(p, "\",\"value\":{\"");
    p = es_span_put(p, type);
    p = es_span_put(p, "\":\"");
    out->len = (size_t) (p - out->data);

    return ES_OK;
}


static void
es_span_attr_end(es_buf_t *out, char *p)
{
    p = es_span_put(p, "\"}}");
    out->len = (size_t) (p - out->data);
}


es_rc_t
es_span_text(es_buf_t *out, const char *name, es_str_t value)
{
    char  *p;

    if (value.len > ES_SPAN_TEXT) {
        value.len = ES_SPAN_TEXT;

        /* not within a character */

        while (value.len > 0 && ((unsigned char) value.data[value.len] & 0xc0)
                                == 0x80)
        {
            value.len--;
        }
    }

    if (!es_utf8_ok(value)) {
        value.len = 0;
    }

    if (es_span_attr(out, name, "stringValue", 6 * value.len) != ES_OK) {
        return ES_NOMEM;
    }

    p = out->data + out->len;

    if (value.len > 0) {
        p = es_json_encode(value, p);
    }

    es_span_attr_end(out, p);

    return ES_OK;
}


es_rc_t
es_span_number(es_buf_t *out, const char *name, int64_t value)
{
    char  *p;

    if (es_span_attr(out, name, "intValue", 0) != ES_OK) {
        return ES_NOMEM;
    }

    p = out->data + out->len;

    if (value < 0) {
        *p++ = '-';
    }

    p = es_span_digits(p, value < 0 ? 0 - (uint64_t) value : (uint64_t) value);
    es_span_attr_end(out, p);

    return ES_OK;
}


es_rc_t
es_span_close(es_buf_t *out, const es_trace_t *links, size_t nlinks,
    const char *error)
{
    char    *p;
    size_t   i;

    if (es_buf_reserve(out, 128 + nlinks * ES_SPAN_LINK
                            + (error != NULL ? strlen(error) : 0)) != ES_OK)
    {
        return ES_NOMEM;
    }

    p = es_span_put(out->data + out->len, "]");

    for (i = 0; i < nlinks; i++) {
        p = es_span_put(p, i == 0 ? ",\"links\":[" : ",");
        p = es_span_ids(p, &links[i]);
        p = es_span_put(p, "\",\"flags\":");
        p = es_span_digits(p, links[i].flags);
        p = es_span_put(p, i + 1 == nlinks ? "}]" : "}");
    }

    if (error != NULL) {
        p = es_span_put(p, ",\"status\":{\"code\":2,\"message\":\"");
        p = es_span_put(p, error);
        p = es_span_put(p, "\"}");
    }

    p = es_span_put(p, "}");
    out->len = (size_t) (p - out->data);

    return ES_OK;
}


void
es_span_derive(const es_trace_t *trace, const void *data, size_t len,
    uint8_t span[ES_SPAN_ID])
{
    uint64_t  hash;

    hash = XXH64(trace->id, ES_TRACE_ID, 0);
    hash = XXH64(data, len, hash);
    hash |= hash == 0;
    memcpy(span, &hash, ES_SPAN_ID);
}


bool
es_trace_pick(const void *data, size_t len, uint32_t share_ppm,
    es_trace_t *trace)
{
    XXH128_hash_t  hash;

    hash = XXH3_128bits(data, len);

    if (share_ppm < ES_SHARE_ALL && hash.low64 % ES_SHARE_ALL >= share_ppm) {
        return false;
    }

    hash.low64 |= hash.low64 == 0;

    memcpy(trace->id, &hash.high64, 8);
    memcpy(trace->id + 8, &hash.low64, 8);
    memset(trace->span, 0, ES_SPAN_ID);
    trace->flags = ES_TRACE_SAMPLED;

    return true;
}
