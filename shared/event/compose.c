/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checks an event's fields and writes them in the order of storage.
 *
 * The composer first reserves room for the largest result, so that while it
 * writes it neither allocates nor checks bounds.
 */

#include <openssl/evp.h>

#include "base/base.h"
#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"
#include "event/attribute.h"
#include "event/compose.h"
#include "event/event.h"
#include "event/filter.h"

#define ES_BYTE_ONES  UINT64_C(0x0101010101010101)


void
es_parts_init(es_event_parts_t *parts, const es_compose_t *compose, int index,
    es_problem_t *problem)
{
    parts->compose = compose;
    parts->problem = problem;
    parts->index = index;
    parts->seen = 0;
    parts->has_data = false;
    parts->has_base64 = false;
    parts->data_is_text = false;
    parts->data_is_bytes = false;
    parts->replaced = false;
    parts->data = es_null_str;
    parts->base64.form = ES_FIELD_NONE;
    memset(parts->attrs, 0, sizeof(parts->attrs));
    parts->nextensions = 0;
    parts->added = 0;
    parts->traced = false;
}


/* Reports a fault of an attribute.  The pointer has its name, escaped as
   RFC 6901 says. */

es_rc_t
es_attr_problem(es_event_parts_t *parts, es_rc_t rc, es_str_t name,
    const char *why)
{
    char  pointer[128];

    pointer[0] = '\0';
    es_pointer_add(pointer, sizeof(pointer), name);

    return es_problem_set(parts->problem, rc, parts->index, pointer,
                          "the attribute %s %s",
                          name.len <= 64 ? pointer + 1 : "by this name", why);
}


/* ---- collecting ---- */


static es_rc_t
es_collect_known(es_event_parts_t *parts, es_attr_kind_t kind,
    es_field_t value)
{
    if (parts->seen & (1u << kind)) {
        return es_attr_problem(parts, ES_INVALID, es_attr_name(kind),
                               "is repeated");
    }

    parts->seen |= 1u << kind;

    if (value.form == ES_FIELD_LITERAL) {
        return es_attr_problem(parts, ES_INVALID, es_attr_name(kind),
                               "must be a string");
    }

    parts->attrs[kind] = value;

    return ES_OK;
}


/* Finds the place of a name among the extensions, which are sorted by name.
   True: there is one by this name. */

static bool
es_extension_find(const es_event_parts_t *parts, es_str_t name, unsigned *place)
{
    int                    order;
    unsigned               i;
    const es_extension_t  *e;

    for (i = parts->nextensions; i > 0; i--) {
        e = &parts->extensions[i - 1];

        order = memcmp(e->name, name.data,
                       e->name_len < name.len ? e->name_len : name.len);
        if (order == 0) {
            order = (int) e->name_len - (int) name.len;
        }

        if (order == 0) {
            *place = i - 1;
            return true;
        }

        if (order < 0) {
            break;
        }
    }

    *place = i;

    return false;
}


static void
es_extension_insert(es_event_parts_t *parts, unsigned place, es_str_t name,
    es_field_t value)
{
    es_extension_t  *e;

    e = &parts->extensions[place];
    memmove(e + 1, e, (parts->nextensions - place) * sizeof(es_extension_t));

    memcpy(e->name, name.data, name.len);
    e->name_len = (unsigned) name.len;
    e->added = false;
    e->value = value;
    parts->nextensions++;
}


static es_rc_t
es_collect_extension(es_event_parts_t *parts, es_str_t name, es_field_t value)
{
    unsigned     place;
    const char  *fault;

    fault = es_extension_fault(name);
    if (fault != NULL) {
        return es_attr_problem(parts, ES_INVALID, name, fault);
    }

    if (es_extension_find(parts, name, &place)) {
        return es_attr_problem(parts, ES_INVALID, name, "is repeated");
    }

    if (parts->nextensions == ES_EXTENSIONS_MAX) {
        return es_attr_problem(parts, ES_INVALID, name,
                               "exceeds the limit of 20 extensions of an "
                               "event");
    }

    es_extension_insert(parts, place, name, value);

    return ES_OK;
}


es_rc_t
es_collect(es_event_parts_t *parts, es_str_t name, es_field_t value)
{
    es_attr_kind_t  kind;

    kind = es_attr_find(name);

    if (kind != ES_ATTR_EXTENSION) {
        return es_collect_known(parts, kind, value);
    }

    if (parts->compose->replace && es_attr_reserved(name)) {
        parts->replaced = true;
        return ES_OK;
    }

    return es_collect_extension(parts, name, value);
}


/* ---- the trace context of the request ---- */


static bool
es_has_extension(const es_event_parts_t *parts, es_str_t name)
{
    unsigned  place;

    return es_extension_find(parts, name, &place)
           && parts->extensions[place].value.form != ES_FIELD_NONE;
}


static void
es_add_extension(es_event_parts_t *parts, es_str_t name, es_str_t text)
{
    unsigned    place;
    es_field_t  value;

    value.text = text;
    value.form = ES_FIELD_DECODED;

    if (es_extension_find(parts, name, &place)) {       /* it is null */
        parts->extensions[place].value = value;

    } else {
        es_extension_insert(parts, place, name, value);
    }

    parts->extensions[place].added = true;
}


/* An event that has one of the two attributes keeps what it has: the two belong
   together. */

static void
es_add_trace(es_event_parts_t *parts)
{
    const es_compose_t  *compose;

    compose = parts->compose;
    parts->traced = parts->nextensions > 0
                    && es_has_extension(parts, es_lit("traceparent"));

    if (compose->traceparent.len == 0
        || parts->traced
        || es_has_extension(parts, es_lit("tracestate")))
    {
        return;
    }

    es_add_extension(parts, es_lit("traceparent"), compose->traceparent);

    if (compose->tracestate.len > 0) {
        es_add_extension(parts, es_lit("tracestate"), compose->tracestate);
    }
}


/* ---- composing ---- */


static inline void
es_compose_put(es_event_parts_t *parts, const char *data, size_t len)
{
    memcpy(parts->out, data, len);
    parts->out += len;
}


static inline uint32_t
es_put_offset(const es_event_parts_t *parts)
{
    return (uint32_t) (parts->out - parts->head);
}


/*
 * Checks and writes the inside of a string attribute.  An escaped string is
 * decoded and encoded again, so that equal values have equal bytes.
 */

static es_rc_t
es_put_string(es_event_parts_t *parts, es_attr_kind_t kind, es_str_t name,
    const es_field_t *field)
{
    es_rc_t          rc;
    es_str_t         value;
    const char      *fault;
    es_json_value_t  json;
    char             decoded[ES_ATTR_MAX * 6 + 2];

    value = field->text;

    /* A longer text exceeds every limit even when decoded. */

    if (field->form == ES_FIELD_ESCAPED && value.len <= ES_ATTR_MAX * 6) {
        json.type = ES_JSON_STRING;
        json.text.data = value.data - 1;
        json.text.len = value.len + 2;
        json.escaped = true;

        value.data = decoded;
        value.len = (size_t) (es_json_decode(&json, decoded) - decoded);
    }

    fault = es_attr_fault(kind, value, &rc);
    if (fault != NULL) {
        return es_attr_problem(parts, rc, name, fault);
    }

    if (field->form == ES_FIELD_PLAIN) {
        es_compose_put(parts, value.data, value.len);

    } else {
        parts->out = es_json_encode(value, parts->out);
    }

    return ES_OK;
}


/* Writes ,"name":"value" and returns where the value is. */

static es_rc_t
es_put_attr(es_event_parts_t *parts, es_attr_kind_t kind, uint32_t *off,
    uint32_t *len)
{
    es_rc_t   rc;
    es_str_t  name;

    name = es_attr_name(kind);

    *parts->out++ = ',';
    *parts->out++ = '"';
    es_compose_put(parts, name.data, name.len);
    es_compose_put(parts, "\":\"", 3);

    *off = es_put_offset(parts);
    rc = es_put_string(parts, kind, name, &parts->attrs[kind]);
    *len = es_put_offset(parts) - *off;

    *parts->out++ = '"';

    return rc;
}


static es_rc_t
es_put_extension(es_event_parts_t *parts, const es_extension_t *e)
{
    char        *start;
    es_rc_t      rc;
    es_str_t     name;
    const char  *fault;

    if (e->value.form == ES_FIELD_NONE) {
        return ES_OK;
    }

    name.data = e->name;
    name.len = e->name_len;
    start = parts->out;

    *parts->out++ = ',';
    *parts->out++ = '"';
    es_compose_put(parts, name.data, name.len);
    es_compose_put(parts, "\":", 2);

    if (e->value.form == ES_FIELD_LITERAL) {
        fault = es_literal_fault(e->value.text);
        if (fault != NULL) {
            return es_attr_problem(parts, ES_INVALID, name, fault);
        }

        es_compose_put(parts, e->value.text.data, e->value.text.len);

        return ES_OK;
    }

    *parts->out++ = '"';
    rc = es_put_string(parts, ES_ATTR_EXTENSION, name, &e->value);
    *parts->out++ = '"';

    if (e->added) {
        parts->added += (size_t) (parts->out - start);
    }

    return rc;
}


static es_rc_t
es_check_required(es_event_parts_t *parts)
{
    unsigned  kind;

    for (kind = ES_ATTR_SPECVERSION; kind <= ES_ATTR_TYPE; kind++) {
        if (parts->attrs[kind].form == ES_FIELD_NONE) {
            return es_attr_problem(parts, ES_INVALID,
                                   es_attr_name((es_attr_kind_t) kind),
                                   "is missing");
        }
    }

    return ES_OK;
}


/* Writes specversion to type, and time. */

static es_rc_t
es_compose_required(es_event_parts_t *parts, es_draft_t *draft)
{
    uint32_t  off, len;

    if (es_put_attr(parts, ES_ATTR_SPECVERSION, &off, &len) != ES_OK
        || es_put_attr(parts, ES_ATTR_ID, &draft->id_off, &draft->id_len)
           != ES_OK
        || es_put_attr(parts, ES_ATTR_SOURCE, &off, &len) != ES_OK)
    {
        return parts->problem->rc;
    }

    parts->head[0] = '{';
    draft->ident_len = es_put_offset(parts);

    if (es_put_attr(parts, ES_ATTR_TYPE, &draft->type_off, &draft->type_len)
        != ES_OK)
    {
        return parts->problem->rc;
    }

    draft->time_off = 0;

    if (parts->attrs[ES_ATTR_TIME].form != ES_FIELD_NONE) {
        return es_put_attr(parts, ES_ATTR_TIME, &off, &len);
    }

    es_compose_put(parts, ",\"time\":\"", 9);
    draft->time_off = es_put_offset(parts);
    es_time_print(parts->compose->now_ms, parts->out);
    parts->out += ES_TIME_LEN;
    *parts->out++ = '"';

    return ES_OK;
}


static es_rc_t
es_compose_head(es_event_parts_t *parts, es_draft_t *draft)
{
    es_rc_t   rc;
    uint32_t  off, len;
    unsigned  i;

    rc = es_compose_required(parts, draft);
    if (rc != ES_OK) {
        return rc;
    }

    draft->subject_off = 0;
    draft->subject_len = 0;

    if (parts->attrs[ES_ATTR_SUBJECT].form != ES_FIELD_NONE
        && es_put_attr(parts, ES_ATTR_SUBJECT, &draft->subject_off,
                       &draft->subject_len) != ES_OK)
    {
        return parts->problem->rc;
    }

    draft->schema_off = 0;
    draft->schema_len = 0;

    if (parts->attrs[ES_ATTR_DATASCHEMA].form != ES_FIELD_NONE
        && es_put_attr(parts, ES_ATTR_DATASCHEMA, &draft->schema_off,
                       &draft->schema_len) != ES_OK)
    {
        return parts->problem->rc;
    }

    if (parts->attrs[ES_ATTR_DATACONTENTTYPE].form != ES_FIELD_NONE
        && es_put_attr(parts, ES_ATTR_DATACONTENTTYPE, &off, &len) != ES_OK)
    {
        return parts->problem->rc;
    }

    es_add_trace(parts);

    for (i = 0; i < parts->nextensions; i++) {
        rc = es_put_extension(parts, &parts->extensions[i]);
        if (rc != ES_OK) {
            return rc;
        }
    }

    es_compose_put(parts, ",\"feed\":\"", 9);
    es_compose_put(parts, parts->compose->feed.data, parts->compose->feed.len);
    *parts->out++ = '"';

    return ES_OK;
}


/*
 * An event is one line, so raw line breaks and tabs become spaces.  In valid
 * JSON they stand only between tokens.
 */

static void
es_put_json_data(es_event_parts_t *parts)
{
    char      *p, *end;
    uint64_t   w;

    p = parts->out;
    es_compose_put(parts, parts->data.data, parts->data.len);
    end = parts->out;

    while (p < end) {
        if (end - p >= 8) {
            memcpy(&w, p, 8);

            if (!((w - ES_BYTE_ONES * 0x20) & ~w & ES_BYTE_ONES * 0x80)) {
                p += 8;
                continue;
            }
        }

        *p = (unsigned char) *p < 0x20 ? ' ' : *p;
        p++;
    }
}


/* The NUL that EVP_EncodeBlock() appends is overwritten by the quote. */

static void
es_put_base64(es_event_parts_t *parts)
{
    parts->out += EVP_EncodeBlock((unsigned char *) parts->out,
                                  (const unsigned char *) parts->data.data,
                                  (int) parts->data.len);
}


/* Undoes the escapes of the producer's base64 (some producers write "\/"). */

static es_rc_t
es_put_given_base64(es_event_parts_t *parts)
{
    es_str_t         text;
    es_json_value_t  json;

    text.data = parts->out;

    if (parts->base64.form == ES_FIELD_ESCAPED) {
        json.type = ES_JSON_STRING;
        json.text.data = parts->base64.text.data - 1;
        json.text.len = parts->base64.text.len + 2;
        json.escaped = true;
        parts->out = es_json_decode(&json, parts->out);

    } else {
        es_compose_put(parts, parts->base64.text.data, parts->base64.text.len);
    }

    text.len = (size_t) (parts->out - text.data);

    if (!es_base64_ok(text)) {
        return es_attr_problem(parts, ES_INVALID, es_lit("data_base64"),
                               "is not base64");
    }

    return ES_OK;
}


static es_rc_t
es_compose_tail(es_event_parts_t *parts)
{
    es_rc_t  rc;

    rc = ES_OK;

    if (parts->base64.form != ES_FIELD_NONE) {
        es_compose_put(parts, ",\"data_base64\":\"", 16);
        rc = es_put_given_base64(parts);
        *parts->out++ = '"';

    } else if (parts->data_is_bytes) {
        es_compose_put(parts, ",\"data_base64\":\"", 16);
        es_put_base64(parts);
        *parts->out++ = '"';

    } else if (parts->data_is_text) {
        es_compose_put(parts, ",\"data\":\"", 9);
        parts->out = es_json_encode(parts->data, parts->out);
        *parts->out++ = '"';

    } else if (parts->has_data) {
        es_compose_put(parts, ",\"data\":", 8);
        es_put_json_data(parts);
    }

    *parts->out++ = '}';

    return rc;
}


es_rc_t
es_compose(es_event_parts_t *parts, size_t bound, es_buf_t *arena,
    es_draft_t *draft)
{
    size_t   start, len;
    es_rc_t  rc;

    rc = es_check_required(parts);
    if (rc != ES_OK) {
        return rc;
    }

    if (parts->data.len > parts->compose->event_max) {
        return es_problem_set(parts->problem, ES_TOO_LARGE, parts->index,
                              "/data", "the data has %zu bytes; an event may "
                              "have at most %zu", parts->data.len,
                              parts->compose->event_max);
    }

    /* an escape takes at most six bytes for one */

    bound += parts->compose->traceparent.len
             + parts->compose->tracestate.len * 6 + 64;

    if (es_buf_reserve(arena, bound) != ES_OK) {
        return es_problem_set(parts->problem, ES_NOMEM, parts->index, NULL,
                              "out of memory");
    }

    start = arena->len;
    parts->head = arena->data + start;
    parts->out = parts->head;

    rc = es_compose_head(parts, draft);
    if (rc != ES_OK) {
        return rc;
    }

    draft->head.data = (const char *) (uintptr_t) start;
    draft->head.len = es_put_offset(parts);

    rc = es_compose_tail(parts);
    if (rc != ES_OK) {
        return rc;
    }

    draft->tail.data = (const char *) (uintptr_t) (start + draft->head.len);
    draft->tail.len = es_put_offset(parts) - draft->head.len;

    len = draft->head.len + draft->tail.len - parts->added;

    if (len > parts->compose->event_max) {
        return es_problem_set(parts->problem, ES_TOO_LARGE, parts->index,
                              NULL, "the event has %zu bytes; the maximum is "
                              "%zu", len, parts->compose->event_max);
    }

    draft->replaced = parts->replaced;
    draft->traced = parts->traced;
    draft->refused = NULL;
    arena->len = start + draft->head.len + draft->tail.len;

    return ES_OK;
}
