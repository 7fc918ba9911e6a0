/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes an endpoint's extra header fields, which each request carries.
 *
 * The dispatcher sends them as they are.  So a field is refused if RFC 9110
 * does not allow it, if it frames or routes a request, or if only the
 * dispatcher may set it.
 */

#include <strings.h>

#include "base/ascii.h"
#include "base/base.h"
#include "base/json.h"
#include "base/pool.h"
#include "keys/keyring.h"
#include "registry/endpoint_members.h"
#include "registry/member.h"
#include "registry/registry.h"

#define ES_HEADERS_N    32
#define ES_HEADERS_MAX  4096   /* bytes of all names and values */

/* Refused names, and prefixes of names that end in '*'. */

static const char  *const  es_headers_denied[] = {
    "accept", "accept-encoding", "connection", "content-*", "eventsync-*",
    "expect", "forwarded", "host", "http2-settings", "keep-alive", "proxy-*",
    "te", "traceparent", "tracestate", "trailer", "transfer-encoding",
    "upgrade", "user-agent", "via", "webhook-*", "x-forwarded-*"
};


/* A token (RFC 9110, section 5.6.2). */

static bool
es_field_name_ok(es_str_t text)
{
    char    c;
    size_t  i;

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if (!es_is_alnum(c)
            && (c == '\0' || strchr("!#$%&'*+-.^_`|~", c) == NULL))
        {
            return false;
        }
    }

    return text.len > 0;
}


/* A field value (RFC 9110, section 5.5) without obs-text: visible ASCII, and
   blanks or tabs inside. */

static bool
es_field_value_ok(es_str_t text)
{
    char    c;
    size_t  i;

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if ((c == ' ' || c == '\t') && i > 0 && i + 1 < text.len) {
            continue;
        }

        if (c <= ' ' || c > '~') {
            return false;
        }
    }

    return text.len > 0;
}


static bool
es_header_denied(es_str_t name)
{
    size_t       i, len;
    const char  *word;

    for (i = 0; i < sizeof(es_headers_denied) / sizeof(char *); i++) {
        word = es_headers_denied[i];
        len = strlen(word);

        if (word[len - 1] == '*') {
            len--;

            if (name.len >= len && strncasecmp(name.data, word, len) == 0) {
                return true;
            }

        } else if (name.len == len
                   && strncasecmp(name.data, word, len) == 0)
        {
            return true;
        }
    }

    return false;
}


static bool
es_header_twice(json_t *headers, es_str_t name)
{
    json_t      *value;
    unsigned     n;
    const char  *other;

    n = 0;

    json_object_foreach(headers, other, value) {
        n += strcasecmp(other, name.data) == 0;
    }

    return n > 1;
}


static const char *
es_header_fault(json_t *headers, es_str_t name, const json_t *value,
    es_body_t body)
{
    es_str_t  text;

    if (!es_field_name_ok(name)) {
        return "is not the name of a header field";
    }

    if (es_header_denied(name)) {
        return "is a header field that an endpoint cannot set";
    }

    if (body == ES_BODY_BINARY && name.len >= 3
        && strncasecmp(name.data, "ce-", 3) == 0)
    {
        return "is a header field of the event with \"body\" \"binary\"";
    }

    if (es_header_twice(headers, name)) {
        return "is repeated";
    }

    text = es_text(value);

    return es_sealed(text) || es_field_value_ok(text)
           ? NULL : "must be a string of visible ASCII characters with blanks "
                    "only between them";
}


/* The lines as they are sent.  Each begins with the CR LF that ends the line
   before it. */

static es_rc_t
es_headers_lines(es_record_t *r, json_t *headers, size_t len, es_str_t *out)
{
    char        *p;
    json_t      *value;
    const char  *name;

    p = es_pool_alloc(r->pool, len);
    if (p == NULL) {
        return es_nomem(r);
    }

    out->data = p;
    out->len = len;

    json_object_foreach(headers, name, value) {
        p = mempcpy(p, "\r\n", 2);
        p = mempcpy(p, name, strlen(name));
        p = mempcpy(p, ": ", 2);
        p = mempcpy(p, json_string_value(value), json_string_length(value));
    }

    return ES_OK;
}


es_rc_t
es_take_headers(es_record_t *r, es_endpoint_t *out)
{
    char         pointer[ES_POINTER_MAX] = "/headers";
    json_t      *headers, *value;
    size_t       len, plain;
    const char  *name, *fault;

    headers = json_object_get(r->object, "headers");
    if (headers == NULL) {
        return ES_OK;
    }

    if (!json_is_object(headers)) {
        return es_fault(r, pointer, "must be an object");
    }

    len = 0;
    plain = 0;

    json_object_foreach(headers, name, value) {
        fault = es_header_fault(headers, es_str(name), value, out->body);
        if (fault != NULL) {
            es_pointer_add(pointer, sizeof(pointer), es_str(name));
            return es_fault(r, pointer, fault);
        }

        len += strlen(name) + json_string_length(value) + 4;
        plain += strlen(name) + (es_sealed(es_text(value))
                                 ? 0 : json_string_length(value));
    }

    if (json_object_size(headers) > ES_HEADERS_N || plain > ES_HEADERS_MAX) {
        return es_fault(r, pointer, "may have at most 32 fields, and 4096 "
                        "bytes of names and values");
    }

    return len > 0 ? es_headers_lines(r, headers, len, &out->headers) : ES_OK;
}
