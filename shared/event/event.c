/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Parses events in the two content modes: the JSON event format, and
 * attributes beside binary data.  Fields point into the input until they are
 * composed.
 */

#include "base/base.h"
#include "base/json.h"
#include "event/attribute.h"
#include "event/compose.h"
#include "event/event.h"
#include "event/filter.h"


/* ---- the JSON event format ---- */


static es_rc_t
es_collect_data(es_event_parts_t *parts, const es_json_value_t *value)
{
    if (parts->has_data) {
        return es_attr_problem(parts, ES_INVALID, es_lit("data"),
                               "is repeated");
    }

    parts->has_data = true;
    parts->data = value->text;

    return ES_OK;
}


static es_rc_t
es_collect_base64(es_event_parts_t *parts, es_field_t value)
{
    if (parts->has_base64) {
        return es_attr_problem(parts, ES_INVALID, es_lit("data_base64"),
                               "is repeated");
    }

    parts->has_base64 = true;

    if (value.form == ES_FIELD_LITERAL) {
        return es_attr_problem(parts, ES_INVALID, es_lit("data_base64"),
                               "must be a string");
    }

    parts->base64 = value;

    return ES_OK;
}


static es_field_t
es_json_field(const es_json_value_t *value)
{
    es_field_t  field;

    field.text = value->text;

    switch (value->type) {
    case ES_JSON_NULL:
        field.form = ES_FIELD_NONE;
        break;

    case ES_JSON_STRING:
        field.form = value->escaped ? ES_FIELD_ESCAPED : ES_FIELD_PLAIN;
        field.text.data++;
        field.text.len -= 2;
        break;

    case ES_JSON_TRUE:
    case ES_JSON_FALSE:
    case ES_JSON_NUMBER:
    case ES_JSON_ARRAY:
    case ES_JSON_OBJECT:
        field.form = ES_FIELD_LITERAL;
        break;
    }

    return field;
}


static es_rc_t
es_collect_member(es_event_parts_t *parts, const es_json_value_t *name,
    const es_json_value_t *value)
{
    char        decoded[ES_ATTR_MAX];
    es_str_t    key;
    es_field_t  field;

    key.data = name->text.data + 1;
    key.len = name->text.len - 2;

    if (name->escaped && name->text.len <= sizeof(decoded)) {
        key.len = (size_t) (es_json_decode(name, decoded) - decoded);
        key.data = decoded;
    }

    if (es_str_eq(key, es_lit("data"))) {
        return es_collect_data(parts, value);
    }

    field = es_json_field(value);

    if (es_str_eq(key, es_lit("data_base64"))) {
        return es_collect_base64(parts, field);
    }

    return es_collect(parts, key, field);
}


static es_rc_t
es_json_problem(es_event_parts_t *parts, const es_json_t *json,
    const es_json_value_t *name)
{
    char    pointer[sizeof("/data_base64")];
    size_t  n;

    /* After a plain name, the position says where parsing failed. */

    pointer[0] = '\0';
    n = name->text.len;

    if (n > 2 && n - 2 < sizeof(pointer) - 1 && !name->escaped
        && memchr(name->text.data, '/', n) == NULL
        && memchr(name->text.data, '~', n) == NULL)
    {
        pointer[0] = '/';
        memcpy(pointer + 1, name->text.data + 1, n - 2);
        pointer[n - 1] = '\0';
    }

    return es_problem_set(parts->problem, ES_INVALID, parts->index, pointer,
                          "not valid JSON at byte %zu: %s",
                          (size_t) (json->pos - json->start), json->error);
}


/* Reads the whole object. */

static es_rc_t
es_collect_json(es_event_parts_t *parts, const char *text, size_t len)
{
    bool             first;
    es_rc_t          rc;
    es_json_t        json;
    es_json_value_t  name, value;

    es_json_init(&json, text, len);
    name.text = es_null_str;

    rc = es_json_enter(&json, '{');

    for (first = true; rc == ES_OK; first = false) {
        name.text = es_null_str;

        rc = es_json_member(&json, first, &name, &value);
        if (rc != ES_OK) {
            break;
        }

        rc = es_collect_member(parts, &name, &value);
        if (rc != ES_OK) {
            return rc;
        }
    }

    if (rc == ES_NOT_FOUND) {
        rc = es_json_end(&json);
    }

    return rc == ES_OK ? ES_OK : es_json_problem(parts, &json, &name);
}


es_rc_t
es_draft_json(const es_compose_t *compose, const char *json, size_t len,
    int index, es_buf_t *arena, es_draft_t *draft, es_problem_t *problem)
{
    es_rc_t           rc;
    es_problem_t      ignored;
    es_event_parts_t  parts;

    es_parts_init(&parts, compose, index, problem ? problem : &ignored);

    if (len > UINT32_MAX / 2) {
        return es_problem_set(problem, ES_TOO_LARGE, index, NULL,
                              "the event is over %zu bytes",
                              compose->event_max);
    }

    rc = es_collect_json(&parts, json, len);
    if (rc != ES_OK) {
        return rc;
    }

    if (parts.has_data && parts.base64.form != ES_FIELD_NONE) {
        return es_attr_problem(&parts, ES_INVALID, es_lit("data_base64"),
                               "cannot be used with data");
    }

    /* No member becomes longer; only the feed and the time are added. */

    return es_compose(&parts, len + compose->feed.len + 128, arena, draft);
}


/* ---- binary content mode ---- */


/* Checks the data and decides how it is stored. */

static es_rc_t
es_binary_data(es_event_parts_t *parts, es_str_t content_type)
{
    es_json_t        json;
    es_media_t       media;
    es_json_value_t  value;

    if (parts->data.len == 0) {
        return ES_OK;
    }

    parts->has_data = true;
    media = es_media(content_type);

    if (media == ES_MEDIA_JSON && !es_media_utf8(content_type)) {
        return es_attr_problem(parts, ES_INVALID,
                               es_attr_name(ES_ATTR_DATACONTENTTYPE),
                               "must not have a charset: JSON is UTF-8");
    }

    if (media == ES_MEDIA_JSON) {
        es_json_init(&json, parts->data.data, parts->data.len);

        /* it is stored in an object, which must be no deeper than another */

        json.depth = 1;

        if (es_json_value(&json, &value) == ES_OK
            && es_json_end(&json) == ES_OK)
        {
            parts->data = value.text;
            return ES_OK;
        }

        return es_problem_set(parts->problem, ES_INVALID, parts->index,
                              "/data", "the content type is JSON, but the "
                              "data is not JSON, at byte %zu: %s",
                              (size_t) (json.pos - json.start), json.error);
    }

    /* Bytes in another charset may be valid UTF-8 and mean something else. */

    if (media == ES_MEDIA_TEXT && es_media_utf8(content_type)
        && es_utf8_ok(parts->data))
    {
        parts->data_is_text = true;

    } else {
        parts->data_is_bytes = true;
    }

    return ES_OK;
}


/* Header names come in any case. */

static es_rc_t
es_binary_attr(es_event_parts_t *parts, const es_attr_t *attr)
{
    char        name[ES_EXTENSION_NAME_MAX];
    size_t      i;
    es_str_t    key;
    es_field_t  field;

    key = attr->name;

    if (key.len <= sizeof(name)) {
        for (i = 0; i < key.len; i++) {
            name[i] = key.data[i];
            if (name[i] >= 'A' && name[i] <= 'Z') {
                name[i] = (char) (name[i] | 0x20);
            }
        }
        key.data = name;
    }

    if (es_attr_find(key) == ES_ATTR_DATACONTENTTYPE) {
        return es_attr_problem(parts, ES_INVALID, key,
                               "must be in Content-Type in binary mode");
    }

    if (!es_utf8_ok(attr->value)) {
        return es_attr_problem(parts, ES_INVALID, key, "is not UTF-8");
    }

    field.text = attr->value;
    field.form = ES_FIELD_DECODED;

    return es_collect(parts, key, field);
}


es_rc_t
es_draft_binary(const es_compose_t *compose, const es_attr_t *attrs,
    size_t nattrs, es_str_t content_type, const char *data, size_t len,
    es_buf_t *arena, es_draft_t *draft, es_problem_t *problem)
{
    size_t            i, bound;
    es_rc_t           rc;
    es_field_t        field;
    es_problem_t      ignored;
    es_event_parts_t  parts;

    es_parts_init(&parts, compose, 0, problem ? problem : &ignored);

    /* An escape takes at most six bytes for one. */

    bound = compose->feed.len + 256 + (content_type.len + len) * 6;

    for (i = 0; i < nattrs; i++) {
        bound += attrs[i].name.len + attrs[i].value.len * 6 + 8;

        rc = es_binary_attr(&parts, &attrs[i]);
        if (rc != ES_OK) {
            return rc;
        }
    }

    if (content_type.len > 0) {
        field.text = content_type;
        field.form = ES_FIELD_DECODED;
        parts.attrs[ES_ATTR_DATACONTENTTYPE] = field;

        if (!es_utf8_ok(content_type)) {
            return es_attr_problem(&parts, ES_INVALID,
                                   es_attr_name(ES_ATTR_DATACONTENTTYPE),
                                   "is not UTF-8");
        }
    }

    parts.data.data = data;
    parts.data.len = len;

    rc = es_binary_data(&parts, content_type);
    if (rc != ES_OK) {
        return rc;
    }

    return es_compose(&parts, bound, arena, draft);
}
