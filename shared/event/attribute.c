/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The rules for attribute values: CloudEvents 1.0.2 section 3, RFC 3986, RFC
 * 3339, RFC 9110 section 8.3.1, and the limits of the log.
 */

#include <strings.h>

#include "base/base.h"
#include "base/clock.h"
#include "event/attribute.h"
#include "event/filter.h"

/* Sets of ASCII characters, one bit for each. */

static const uint32_t  es_uri_chars[4] = {
    0x00000000, 0xaffffffa, 0xafffffff, 0x47fffffe
};

static const uint32_t  es_scheme_chars[4] = {
    0x00000000, 0x03ff6800, 0x07fffffe, 0x07fffffe
};

static const uint32_t  es_token_chars[4] = {
    0x00000000, 0x03ff6cfa, 0xc7fffffe, 0x57ffffff
};

/* visible ASCII without '.', '"' and '\' */
static const uint32_t  es_id_chars[4] = {
    0x00000000, 0xffffbffa, 0xefffffff, 0x7fffffff
};

static const uint32_t  es_extension_chars[4] = {
    0x00000000, 0x03ff0000, 0x00000000, 0x07fffffe
};

static const es_str_t  es_attr_names[ES_ATTRS] = {
    [ES_ATTR_SPECVERSION] = { "specversion", 11 },
    [ES_ATTR_ID] = { "id", 2 },
    [ES_ATTR_SOURCE] = { "source", 6 },
    [ES_ATTR_TYPE] = { "type", 4 },
    [ES_ATTR_TIME] = { "time", 4 },
    [ES_ATTR_SUBJECT] = { "subject", 7 },
    [ES_ATTR_DATASCHEMA] = { "dataschema", 10 },
    [ES_ATTR_DATACONTENTTYPE] = { "datacontenttype", 15 }
};


static inline bool
es_in(const uint32_t *set, char c)
{
    unsigned char  u;

    u = (unsigned char) c;

    return u < 0x80 && (set[u >> 5] >> (u & 31) & 1);
}


/* Returns how many bytes at the start are in the set. */

static size_t
es_span(const uint32_t *set, es_str_t text)
{
    size_t  i;

    for (i = 0; i < text.len && es_in(set, text.data[i]); i++) { /* void */ }

    return i;
}


es_str_t
es_attr_name(es_attr_kind_t kind)
{
    return es_attr_names[kind];
}


/* The length tells most names apart without a comparison. */

es_attr_kind_t
es_attr_find(es_str_t name)
{
    es_attr_kind_t  kind;

    switch (name.len) {
    case 2:
        kind = ES_ATTR_ID;
        break;
    case 4:
        kind = name.data[1] == 'y' ? ES_ATTR_TYPE : ES_ATTR_TIME;
        break;
    case 6:
        kind = ES_ATTR_SOURCE;
        break;
    case 7:
        kind = ES_ATTR_SUBJECT;
        break;
    case 10:
        kind = ES_ATTR_DATASCHEMA;
        break;
    case 11:
        kind = ES_ATTR_SPECVERSION;
        break;
    case 15:
        kind = ES_ATTR_DATACONTENTTYPE;
        break;
    default:
        return ES_ATTR_EXTENSION;
    }

    return memcmp(es_attr_names[kind].data, name.data, name.len) == 0
           ? kind : ES_ATTR_EXTENSION;
}


/*
 * CloudEvents' type String: no control characters and no noncharacters.  The
 * caller has checked that the text is UTF-8.
 */

static bool
es_string_ok(es_str_t text)
{
    size_t                i;
    const unsigned char  *u;

    u = (const unsigned char *) text.data;

    for (i = 0; i < text.len; i++) {
        if (u[i] >= 0x20 && u[i] < 0x7f) {
            continue;
        }

        if (u[i] < 0x80) {
            return false;
        }

        /* U+0080..U+009F */

        if (u[i] == 0xc2 && u[i + 1] < 0xa0) {
            return false;
        }

        /* U+FDD0..U+FDEF */

        if (u[i] == 0xef && u[i + 1] == 0xb7
            && u[i + 2] >= 0x90 && u[i + 2] <= 0xaf)
        {
            return false;
        }

        /* the last two of each plane */

        if (u[i] == 0xef && u[i + 1] == 0xbf && u[i + 2] >= 0xbe) {
            return false;
        }

        if (u[i] >= 0xf0 && (u[i + 1] & 0x0f) == 0x0f && u[i + 2] == 0xbf
            && u[i + 3] >= 0xbe)
        {
            return false;
        }

        i += u[i] < 0xe0 ? 1 : u[i] < 0xf0 ? 2 : 3;
    }

    return true;
}


static const char *
es_id_fault(es_str_t id)
{
    if (es_span(es_id_chars, id) != id.len) {
        return "must have only visible ASCII characters without '.', '\"' and "
               "'\\', because it is sent and signed as webhook-id";
    }

    return NULL;
}


static const char *
es_type_fault(es_str_t type)
{
    size_t  i;

    for (i = 0; i < type.len; i++) {
        switch (type.data[i]) {
        case '"': case '\\': case ',': case '*':
            return "must not contain '\"', '\\', ',' or '*', because filters "
                   "list types";
        default:
            break;
        }
    }

    return es_string_ok(type) ? NULL : "must not contain control characters";
}


/* Checks a URI, or with `relative` a URI reference: its characters, its
   percent escapes and its scheme. */

static const char *
es_uri_fault(es_str_t uri, bool relative)
{
    size_t    i, n, fragments;
    es_str_t  rest;

    if (es_span(es_uri_chars, uri) != uri.len) {
        return "has a character that is not allowed in a URI";
    }

    fragments = 0;

    for (i = 0; i < uri.len; i++) {
        if (uri.data[i] == '#' && ++fragments > 1) {
            return "has two fragments";
        }

        if (uri.data[i] != '%') {
            continue;
        }

        for (n = 1; n <= 2; n++) {
            if (i + n >= uri.len
                || strchr("0123456789abcdefABCDEF", uri.data[i + n]) == NULL)
            {
                return "has a '%' without two hexadecimal digits";
            }
        }
    }

    n = es_span(es_scheme_chars, uri);

    if (n < uri.len && uri.data[n] == ':' && n > 0
        && ((uri.data[0] | 0x20) >= 'a' && (uri.data[0] | 0x20) <= 'z'))
    {
        return NULL;
    }

    if (!relative) {
        return "is not a URI with a scheme";
    }

    /* A ':' in the first segment would make it a scheme. */

    for (i = 0; i < uri.len; i++) {
        rest.data = uri.data + i;

        if (*rest.data == '/' || *rest.data == '?' || *rest.data == '#') {
            break;
        }

        if (*rest.data == ':') {
            return "has a malformed URI scheme";
        }
    }

    return NULL;
}


/* Returns the length of a quoted-string at the start, or 0. */

static size_t
es_quoted(es_str_t text)
{
    size_t  i;

    for (i = 1; i < text.len; i++) {
        if (text.data[i] == '"') {
            return i + 1;
        }

        if (text.data[i] == '\\') {
            i++;
        }
    }

    return 0;
}


static void
es_media_skip(es_str_t *text, size_t n)
{
    text->data += n;
    text->len -= n;
}


static void
es_skip_space(es_str_t *text)
{
    while (text->len > 0 && (*text->data == ' ' || *text->data == '\t')) {
        es_media_skip(text, 1);
    }
}


/* Skips one parameter after its ';': name "=" ( token | quoted-string ), or
   nothing, which RFC 9110 allows. */

static bool
es_media_parameter(es_str_t *text)
{
    size_t  n;

    es_skip_space(text);

    if (text->len == 0 || *text->data == ';') {
        return true;
    }

    n = es_span(es_token_chars, *text);
    if (n == 0 || n == text->len || text->data[n] != '=') {
        return false;
    }

    es_media_skip(text, n + 1);

    n = text->len > 0 && *text->data == '"'
        ? es_quoted(*text) : es_span(es_token_chars, *text);
    if (n == 0) {
        return false;
    }

    es_media_skip(text, n);
    es_skip_space(text);

    return true;
}


static const char *
es_media_fault(es_str_t text)
{
    size_t  n;

    if (!es_string_ok(text)) {
        return "must not contain control characters";
    }

    n = es_span(es_token_chars, text);
    if (n == 0 || n == text.len || text.data[n] != '/') {
        return "is not a media type";
    }

    es_media_skip(&text, n + 1);

    n = es_span(es_token_chars, text);
    if (n == 0) {
        return "is not a media type";
    }

    es_media_skip(&text, n);
    es_skip_space(&text);

    while (text.len > 0) {
        if (*text.data != ';') {
            return "is not a media type";
        }

        es_media_skip(&text, 1);

        if (!es_media_parameter(&text)) {
            return "has a malformed media type parameter";
        }
    }

    return NULL;
}


const char *
es_attr_fault(es_attr_kind_t kind, es_str_t value, es_rc_t *rc)
{
    int64_t  ms;

    *rc = ES_INVALID;

    if (kind == ES_ATTR_SPECVERSION) {
        return es_str_eq(value, es_lit("1.0")) ? NULL : "must be \"1.0\"";
    }

    if (value.len == 0 && kind != ES_ATTR_EXTENSION) {
        return "must not be empty";
    }

    if (kind == ES_ATTR_ID && value.len > ES_ID_MAX) {
        *rc = ES_TOO_LARGE;
        return "may have at most 128 bytes";
    }

    if (kind == ES_ATTR_TYPE && value.len > ES_TYPE_MAX) {
        return "may have at most 255 bytes";
    }

    if (value.len > ES_ATTR_MAX) {
        *rc = ES_TOO_LARGE;
        return "may have at most 1024 bytes";
    }

    switch (kind) {
    case ES_ATTR_ID:
        return es_id_fault(value);

    case ES_ATTR_SOURCE:
        return es_uri_fault(value, true);

    case ES_ATTR_DATASCHEMA:
        return es_uri_fault(value, false);

    case ES_ATTR_TYPE:
        return es_type_fault(value);

    case ES_ATTR_TIME:
        return es_time_parse(value, &ms) == ES_OK
               ? NULL : "is not an RFC 3339 date and time";

    case ES_ATTR_DATACONTENTTYPE:
        return es_media_fault(value);

    case ES_ATTR_SPECVERSION:
    case ES_ATTR_SUBJECT:
    case ES_ATTR_EXTENSION:
        break;
    }

    return es_string_ok(value)
           ? NULL : "must not contain control characters or noncharacters";
}


bool
es_attr_reserved(es_str_t name)
{
    size_t  i;

    static const char  *const  reserved[] = {
        "feed", "sequence", "sequencetype", "cursor", "prevcursor"
    };

    for (i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        if (es_str_eq(name, es_str(reserved[i]))) {
            return true;
        }
    }

    return false;
}


const char *
es_extension_fault(es_str_t name)
{
    if (name.len == 0 || name.len > ES_EXTENSION_NAME_MAX
        || es_span(es_extension_chars, name) != name.len)
    {
        return "is unknown, and the name of an extension must have 1 to 128 "
               "characters of a-z and 0-9";
    }

    return es_attr_reserved(name) || es_str_eq(name, es_lit("data"))
           ? "is reserved for the event log" : NULL;
}


/* CloudEvents' Boolean, and Integer: 32 bits, no fraction, no exponent. */

const char *
es_literal_fault(es_str_t text)
{
    bool     negative;
    size_t   i;
    int64_t  n;

    switch (text.data[0]) {
    case 't': case 'f':
        return NULL;
    case '{': case '[':
        return "must be a string, a number or a boolean";
    default:
        break;
    }

    n = 0;
    negative = text.data[0] == '-';

    for (i = negative ? 1 : 0; i < text.len; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return "as a number must be an integer";
        }

        n = n * 10 + (text.data[i] - '0');

        if (n > INT64_C(2147483647) + (negative ? 1 : 0)) {
            return "as a number must be in the range of 32 bits";
        }
    }

    return NULL;
}


static bool
es_ends_with(es_str_t text, const char *end)
{
    size_t  n;

    n = strlen(end);

    return text.len >= n
           && strncasecmp(text.data + text.len - n, end, n) == 0;
}


static bool
es_media_begins_with(es_str_t text, const char *start)
{
    size_t  n;

    n = strlen(start);

    return text.len >= n && strncasecmp(text.data, start, n) == 0;
}


es_media_t
es_media(es_str_t content_type)
{
    size_t    i;
    es_str_t  type;

    type = content_type;

    for (i = 0; i < type.len; i++) {
        if (type.data[i] == ';' || type.data[i] == ' '
            || type.data[i] == '\t')
        {
            type.len = i;
        }
    }

    if (es_ends_with(type, "/json") || es_ends_with(type, "+json")) {
        return ES_MEDIA_JSON;
    }

    if (es_media_begins_with(type, "text/") || es_ends_with(type, "/xml")
        || es_ends_with(type, "+xml")
        || es_ends_with(type, "/x-www-form-urlencoded"))
    {
        return ES_MEDIA_TEXT;
    }

    return ES_MEDIA_OTHER;
}


static bool
es_is_utf8(es_str_t charset)
{
    size_t  i;

    static const char  *const  names[] = {
        "utf-8", "utf8", "us-ascii", "ascii"
    };

    if (charset.len > 1 && charset.data[0] == '"') {
        charset.data++;
        charset.len -= 2;
    }

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (charset.len == strlen(names[i])
            && strncasecmp(charset.data, names[i], charset.len) == 0)
        {
            return true;
        }
    }

    return false;
}


/* A malformed type is reported by es_media_fault(). */

bool
es_media_utf8(es_str_t content_type)
{
    es_str_t     text, name, value;
    const char  *p;

    text = content_type;

    while (text.len > 0 && (p = memchr(text.data, ';', text.len)) != NULL) {
        es_media_skip(&text, (size_t) (p - text.data) + 1);
        es_skip_space(&text);

        name = text;
        name.len = es_span(es_token_chars, text);

        if (name.len >= text.len || text.data[name.len] != '=') {
            continue;
        }

        es_media_skip(&text, name.len + 1);

        value = text;
        value.len = text.len > 0 && *text.data == '"'
                    ? es_quoted(text) : es_span(es_token_chars, text);
        es_media_skip(&text, value.len);

        if (name.len == 7 && strncasecmp(name.data, "charset", 7) == 0
            && !es_is_utf8(value))
        {
            return false;
        }
    }

    return true;
}
