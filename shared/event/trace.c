/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds the trace context in the text of a stored event.
 *
 * The text is searched for ,"NAME": which no value can contain, because a quote
 * inside a string has a backslash before it.  The extensions stand before
 * `data`, so the first place is the attribute.
 */

#include "base/base.h"
#include "base/json.h"
#include "event/filter.h"
#include "event/trace.h"

#define ES_TRACEPARENT_NAME  ",\"traceparent\":"
#define ES_TRACESTATE_NAME   ",\"tracestate\":"

/* The attributes that are compared: before, between and after the two. */
#define ES_TRACE_PIECES      3


/* The length of a JSON value that is no object and no array; 0: it has no
   end. */

static size_t
es_trace_value(es_str_t text)
{
    size_t  i;

    if (text.len == 0 || text.data[0] != '"') {
        for (i = 0; i < text.len; i++) {
            if (text.data[i] == ',' || text.data[i] == '}') {
                return i;
            }
        }

        return text.len;
    }

    for (i = 1; i < text.len; i++) {
        if (text.data[i] == '"') {
            return i + 1;
        }

        i += text.data[i] == '\\';
    }

    return 0;
}


/* Finds a member; `*value` is its JSON text. */

static bool
es_trace_member(es_str_t text, es_str_t name, es_str_t *value)
{
    const char  *p;

    p = memmem(text.data, text.len, name.data, name.len);
    if (p == NULL) {
        return false;
    }

    value->data = p + name.len;
    value->len = text.len - (size_t) (value->data - text.data);
    value->len = es_trace_value(*value);

    return value->len > 0;
}


bool
es_event_trace(es_str_t text, es_trace_t *trace)
{
    es_str_t  value;

    if (!es_trace_member(text, es_lit(ES_TRACEPARENT_NAME), &value)
        || value.data[0] != '"')
    {
        return false;
    }

    /* a valid one has nothing that JSON escapes */

    value.data++;
    value.len -= 2;

    return es_trace_parse(value, trace);
}


size_t
es_event_tracestate(es_str_t text, char out[ES_TRACESTATE_MAX])
{
    char             decoded[2 * ES_ATTR_MAX + 2];
    es_str_t         value;
    es_json_value_t  json;

    if (!es_trace_member(text, es_lit(ES_TRACESTATE_NAME), &value)
        || value.data[0] != '"'
        || value.len > sizeof(decoded))
    {
        return 0;
    }

    json.type = ES_JSON_STRING;
    json.text = value;
    json.escaped = true;

    value.len = (size_t) (es_json_decode(&json, decoded) - decoded);
    value.data = decoded;

    return es_tracestate_clean(value, out);
}


/* Cuts one member out of the last piece, which becomes two. */

static void
es_trace_cut(es_str_t name, es_str_t *pieces, size_t *n)
{
    es_str_t  value, last;

    last = pieces[*n - 1];

    if (!es_trace_member(last, name, &value)) {
        return;
    }

    pieces[*n - 1].len = (size_t) (value.data - name.len - last.data);
    pieces[*n].data = value.data + value.len;
    pieces[*n].len = last.len - pieces[*n - 1].len - name.len - value.len;
    (*n)++;
}


/* Extensions are stored in the order of their names. */

static size_t
es_trace_pieces(es_str_t text, es_str_t pieces[ES_TRACE_PIECES])
{
    size_t  n;

    pieces[0] = text;
    n = 1;

    es_trace_cut(es_lit(ES_TRACEPARENT_NAME), pieces, &n);
    es_trace_cut(es_lit(ES_TRACESTATE_NAME), pieces, &n);

    return n;
}


bool
es_event_same(es_str_t a, es_str_t b)
{
    size_t    i, j, n, na, nb;
    es_str_t  as[ES_TRACE_PIECES], bs[ES_TRACE_PIECES];

    if (es_str_eq(a, b)) {
        return true;
    }

    na = es_trace_pieces(a, as);
    nb = es_trace_pieces(b, bs);

    i = 0;
    j = 0;

    for ( ;; ) {
        for ( /* void */ ; i < na && as[i].len == 0; i++) { /* void */ }
        for ( /* void */ ; j < nb && bs[j].len == 0; j++) { /* void */ }

        if (i == na || j == nb) {
            return i == na && j == nb;
        }

        n = as[i].len < bs[j].len ? as[i].len : bs[j].len;

        if (memcmp(as[i].data, bs[j].data, n) != 0) {
            return false;
        }

        as[i].data += n;
        as[i].len -= n;
        bs[j].data += n;
        bs[j].len -= n;
    }
}
