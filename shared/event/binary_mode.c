/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Takes an event apart for the binary content mode, in one pass over its
 * members.
 */

#include "base/ascii.h"
#include "base/base.h"
#include "base/base64.h"
#include "base/json.h"
#include "event/attribute.h"
#include "event/binary_mode.h"
#include "event/filter.h"

/* What is left when the attributes are written. */
typedef struct {
    es_str_t         type;     /* decoded; empty: none */
    es_json_value_t  data;
    bool             has_data;
    bool             base64;
    char             text[2 * ES_ATTR_MAX + 2];    /* as JSON, with escapes */
} es_binary_rest_t;


static es_str_t
es_binary_inside(es_str_t text)
{
    return (es_str_t) { text.data + 1, text.len - 2 };
}


/* Appends the decoded string. */

static es_rc_t
es_binary_decode(const es_json_value_t *value, es_buf_t *out)
{
    if (es_buf_reserve(out, value->text.len) != ES_OK) {
        return ES_NOMEM;
    }

    out->len = (size_t) (es_json_decode(value, out->data + out->len)
                         - out->data);

    return ES_OK;
}


/* Encodes the bytes from `start` on: each becomes three at most. */

static es_rc_t
es_binary_percent(es_buf_t *out, size_t start)
{
    char           *p, *q;
    size_t          len, i, more;
    unsigned char   c;

    static const char  hex[] = "0123456789ABCDEF";

    len = out->len - start;
    more = 0;

#define es_binary_plain(c)                                                    \
    ((c) > ' ' && (c) <= '~' && (c) != '"' && (c) != '%')

    for (i = start; i < out->len; i++) {
        c = (unsigned char) out->data[i];
        more += es_binary_plain(c) ? 0 : 2;
    }

    if (es_buf_reserve(out, more) != ES_OK) {
        return ES_NOMEM;
    }

    /* from the end, so that nothing is overwritten before it is read */

    p = out->data + start + len;
    q = p + more;

    while (p < q) {
        c = (unsigned char) *--p;

        if (es_binary_plain(c)) {
            *--q = (char) c;
            continue;
        }

        *--q = hex[c & 15];
        *--q = hex[c >> 4];
        *--q = '%';
    }

#undef es_binary_plain

    out->len += more;

    return ES_OK;
}


static bool
es_binary_name_ok(es_str_t name)
{
    size_t  i;

    for (i = 0; i < name.len; i++) {
        if (!es_is_digit(name.data[i])
            && (name.data[i] < 'a' || name.data[i] > 'z'))
        {
            return false;
        }
    }

    return name.len > 0 && name.len <= ES_EXTENSION_NAME_MAX;
}


static es_rc_t
es_binary_attr(es_str_t name, const es_json_value_t *value, es_buf_t *out)
{
    size_t   start;
    es_rc_t  rc;

    if (value->type == ES_JSON_OBJECT || value->type == ES_JSON_ARRAY
        || !es_binary_name_ok(name))
    {
        return ES_INVALID;
    }

    rc = es_buf_str(out, out->len > 0 ? es_lit("\r\nce-") : es_lit("ce-"));

    if (rc == ES_OK) {
        rc = es_buf_str(out, name);
    }

    if (rc == ES_OK) {
        rc = es_buf_str(out, es_lit(": "));
    }

    if (rc != ES_OK || value->type != ES_JSON_STRING) {
        return rc == ES_OK ? es_buf_str(out, value->text) : rc;
    }

    start = out->len;
    rc = es_binary_decode(value, out);

    return rc == ES_OK ? es_binary_percent(out, start) : rc;
}


/* Content-Type is not percent-encoded.  Blanks at its end would make a field
   of HTTP/2 malformed. */

static es_rc_t
es_binary_type(const es_json_value_t *value, es_binary_rest_t *rest)
{
    size_t  i, len;

    if (value->type != ES_JSON_STRING || value->text.len > sizeof(rest->text)) {
        return ES_INVALID;
    }

    len = (size_t) (es_json_decode(value, rest->text) - rest->text);

    for (i = 0; i < len; i++) {
        if ((unsigned char) rest->text[i] < ' ' || rest->text[i] == 0x7f) {
            return ES_INVALID;
        }
    }

    while (len > 0 && rest->text[len - 1] == ' ') {
        len--;
    }

    rest->type = (es_str_t) { rest->text, len };

    return ES_OK;
}


static es_rc_t
es_binary_member(es_str_t name, const es_json_value_t *value,
    es_str_t prevcursor, es_buf_t *attrs, es_binary_rest_t *rest)
{
    es_json_value_t  text;

    if (es_str_eq(name, es_lit("data"))
        || es_str_eq(name, es_lit("data_base64")))
    {
        rest->base64 = name.len > 4;
        rest->data = *value;
        rest->has_data = true;
        return ES_OK;
    }

    if (value->type == ES_JSON_NULL) {
        return ES_OK;
    }

    if (es_attr_find(name) == ES_ATTR_DATACONTENTTYPE) {
        return es_binary_type(value, rest);
    }

    if (attrs == NULL) {
        return ES_OK;
    }

    if (prevcursor.len > 0 && es_str_eq(name, es_lit("prevcursor"))) {
        text.type = ES_JSON_TRUE;      /* that is, as it is */
        text.text = prevcursor;
        return es_binary_attr(name, &text, attrs);
    }

    return es_binary_attr(name, value, attrs);
}


static es_rc_t
es_binary_data(const es_binary_rest_t *rest, es_buf_t *data)
{
    size_t    len;
    es_rc_t   rc;
    es_str_t  inside;

    if (rest->base64) {
        if (rest->data.type != ES_JSON_STRING) {
            return ES_INVALID;
        }

        inside = es_binary_inside(rest->data.text);

        if (inside.len == 0) {
            return ES_OK;
        }

        if (es_buf_reserve(data, inside.len / 4 * 3) != ES_OK) {
            return ES_NOMEM;
        }

        rc = es_base64_decode(inside, data->data + data->len, &len);
        data->len += len;

        return rc;
    }

    return rest->data.type == ES_JSON_STRING && rest->type.len > 0
           && es_media(rest->type) != ES_MEDIA_JSON
           ? es_binary_decode(&rest->data, data)
           : es_buf_str(data, rest->data.text);
}


static es_rc_t
es_binary_content(const es_binary_rest_t *rest, es_buf_t *type, es_buf_t *data)
{
    es_rc_t   rc;
    es_str_t  name;

    if (es_buf_reserve(data, 1) != ES_OK) {
        return ES_NOMEM;
    }

    if (!rest->has_data) {
        return ES_OK;
    }

    name = rest->type.len > 0 ? rest->type
           : rest->base64 ? es_null_str : es_lit("application/json");

    rc = name.len > 0 ? es_buf_str(type, es_lit("Content-Type: ")) : ES_OK;

    if (rc == ES_OK) {
        rc = es_buf_str(type, name);
    }

    return rc == ES_OK ? es_binary_data(rest, data) : rc;
}


es_rc_t
es_binary_mode(es_str_t json, es_str_t prevcursor, es_buf_t *type,
    es_buf_t *attrs, es_buf_t *data)
{
    bool              first;
    es_rc_t           rc;
    es_json_t         scan;
    es_json_value_t   name, value;
    es_binary_rest_t  rest;

    rest.type = es_null_str;
    rest.has_data = false;

    es_json_init(&scan, json.data, json.len);

    rc = es_json_enter(&scan, '{');

    /* data that was published in binary mode is as deep as a text of its own */

    scan.depth = 0;

    for (first = true; rc == ES_OK; first = false) {
        rc = es_json_member(&scan, first, &name, &value);

        if (rc == ES_OK) {
            rc = es_binary_member(es_binary_inside(name.text), &value,
                                  prevcursor, attrs, &rest);
            if (rc != ES_OK) {
                return rc;
            }
        }
    }

    if (rc != ES_NOT_FOUND || es_json_end(&scan) != ES_OK) {
        return ES_INVALID;
    }

    return es_binary_content(&rest, type, data);
}
