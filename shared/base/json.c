/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The scanner.
 *
 * Strings are most of the bytes, so it searches them sixteen or eight bytes at
 * a time for the few that have a meaning.  Nesting needs no recursion: one bit
 * for each open bracket says whether the bracket is an object's.
 */

#include "base/json.h"
#include "base/json_scan.h"


static inline es_rc_t
es_json_fail(es_json_t *json, const char *pos, const char *error)
{
    json->pos = pos;
    json->error = error;

    return ES_INVALID;
}


static inline const char *
es_json_space(const char *p, const char *end)
{
    if (p < end && (unsigned char) *p > ' ') {
        return p;
    }

    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')) {
        p++;
    }

    return p;
}


bool
es_json_blank(es_str_t text)
{
    return es_json_space(text.data, text.data + text.len)
           == text.data + text.len;
}


void
es_json_init(es_json_t *json, const char *text, size_t len)
{
    json->pos = text;
    json->end = text + len;
    json->start = text;
    json->error = NULL;
    json->depth = 0;
}


size_t
es_utf8_len(const char *p, const char *end)
{
    size_t                n, i;
    const unsigned char  *u;

    u = (const unsigned char *) p;

    if (u[0] < 0x80) {
        return 1;
    }

    if (u[0] < 0xc2 || u[0] > 0xf4) {
        return 0;
    }

    n = u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;

    if ((size_t) (end - p) < n) {
        return 0;
    }

    for (i = 1; i < n; i++) {
        if ((u[i] & 0xc0) != 0x80) {
            return 0;
        }
    }

    /* overlong forms, surrogates, above U+10FFFF */

    if ((u[0] == 0xe0 && u[1] < 0xa0) || (u[0] == 0xed && u[1] > 0x9f)
        || (u[0] == 0xf0 && u[1] < 0x90) || (u[0] == 0xf4 && u[1] > 0x8f))
    {
        return 0;
    }

    return n;
}


bool
es_utf8_ok(es_str_t text)
{
    size_t       n;
    const char  *p, *end;

    p = text.data;
    end = p + text.len;

    while (p < end) {
        n = es_utf8_len(p, end);
        if (n == 0) {
            return false;
        }
        p += n;
    }

    return true;
}


/* Returns the value of four hexadecimal digits, or -1. */
static int
es_hex4(const char *p, const char *end)
{
    int   i, v;
    char  c;

    if (end - p < 4) {
        return -1;
    }

    v = 0;

    for (i = 0; i < 4; i++) {
        c = p[i];

        if (c >= '0' && c <= '9') {
            v = v * 16 + (c - '0');

        } else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
            v = v * 16 + ((c | 0x20) - 'a' + 10);

        } else {
            return -1;
        }
    }

    return v;
}


/* Skips the escape whose backslash is at `p`.  NULL: it is malformed. */
static const char *
es_json_escaped(es_json_t *json, const char *p)
{
    int          v;
    const char  *end;

    end = json->end;

    if (end - p < 2) {
        (void) es_json_fail(json, end, "the text ends inside a string");
        return NULL;
    }

    switch (p[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r':
    case 't':
        return p + 2;
    case 'u':
        break;
    default:
        (void) es_json_fail(json, p, "an unknown escape in a string");
        return NULL;
    }

    v = es_hex4(p + 2, end);
    if (v < 0) {
        (void) es_json_fail(json, p, "\\u without four hexadecimal digits");
        return NULL;
    }

    if (v < 0xd800 || v > 0xdfff) {
        return p + 6;
    }

    if (v < 0xdc00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u') {
        v = es_hex4(p + 8, end);
        if (v >= 0xdc00 && v <= 0xdfff) {
            return p + 12;
        }
    }

    (void) es_json_fail(json, p, "a surrogate without its pair in a string");

    return NULL;
}


/* Scans a string with escapes, or one that is not ASCII. */
static es_rc_t
es_json_any_string(es_json_t *json, bool *escaped)
{
    size_t       n;
    const char  *p, *end;

    p = json->pos + 1;
    end = json->end;
    *escaped = false;

    for ( ;; ) {
        p = es_json_plain(p, end);

        if (p == end) {
            return es_json_fail(json, p, "the text ends inside a string");
        }

        if (*p == '"') {
            json->pos = p + 1;
            return ES_OK;
        }

        if (*p == '\\') {
            *escaped = true;
            p = es_json_escaped(json, p);
            if (p == NULL) {
                return ES_INVALID;
            }
            continue;
        }

        if ((unsigned char) *p < 0x20) {
            return es_json_fail(json, p, "a control character in a string");
        }

        n = es_utf8_len(p, end);
        if (n == 0) {
            return es_json_fail(json, p, "a string that is not UTF-8");
        }

        p += n;
    }
}


/* Scans a string whose opening quote is at the position.  Most strings end at
   the first byte that has a meaning. */

static inline es_rc_t
es_json_string(es_json_t *json, bool *escaped)
{
    const char  *p;

    p = es_json_plain(json->pos + 1, json->end);

    if (p < json->end && *p == '"') {
        *escaped = false;
        json->pos = p + 1;
        return ES_OK;
    }

    return es_json_any_string(json, escaped);
}


static inline const char *
es_json_digits(const char *p, const char *end)
{
    while (p < end && *p >= '0' && *p <= '9') {
        p++;
    }

    return p;
}


static es_rc_t
es_json_number(es_json_t *json)
{
    const char  *p, *q, *end;

    p = json->pos;
    end = json->end;

    if (*p == '-') {
        p++;
    }

    q = es_json_digits(p, end);

    if (q == p || (*p == '0' && q - p > 1)) {
        return es_json_fail(json, json->pos, "a malformed number");
    }

    if (q < end && *q == '.') {
        p = q + 1;
        q = es_json_digits(p, end);
        if (q == p) {
            return es_json_fail(json, json->pos, "a malformed number");
        }
    }

    if (q < end && (*q == 'e' || *q == 'E')) {
        p = q + 1;
        if (p < end && (*p == '+' || *p == '-')) {
            p++;
        }
        q = es_json_digits(p, end);
        if (q == p) {
            return es_json_fail(json, json->pos, "a malformed number");
        }
    }

    json->pos = q;

    return ES_OK;
}


static es_rc_t
es_json_word(es_json_t *json, const char *word, size_t len)
{
    if ((size_t) (json->end - json->pos) < len
        || memcmp(json->pos, word, len) != 0)
    {
        return es_json_fail(json, json->pos, "an unknown word");
    }

    json->pos += len;

    return ES_OK;
}


/* Scans a value that has no brackets; the position is at its first byte. */
static es_rc_t
es_json_scalar(es_json_t *json, es_json_value_t *value)
{
    switch (*json->pos) {
    case '"':
        value->type = ES_JSON_STRING;
        return es_json_string(json, &value->escaped);

    case 't':
        value->type = ES_JSON_TRUE;
        return es_json_word(json, "true", 4);

    case 'f':
        value->type = ES_JSON_FALSE;
        return es_json_word(json, "false", 5);

    case 'n':
        value->type = ES_JSON_NULL;
        return es_json_word(json, "null", 4);

    case '-': case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9':
        value->type = ES_JSON_NUMBER;
        return es_json_number(json);

    default:
        return es_json_fail(json, json->pos, "a value was expected");
    }
}


/* Scans a member's name and its colon. */
static es_rc_t
es_json_name(es_json_t *json, es_json_value_t *name)
{
    const char  *p;

    p = es_json_space(json->pos, json->end);
    json->pos = p;

    if (p == json->end) {
        return es_json_fail(json, p, "the text ends inside an object");
    }

    if (*p != '"') {
        return es_json_fail(json, p, "a member's name was expected");
    }

    if (es_json_string(json, &name->escaped) != ES_OK) {
        return ES_INVALID;
    }

    name->type = ES_JSON_STRING;
    name->text.data = p;
    name->text.len = (size_t) (json->pos - p);

    p = es_json_space(json->pos, json->end);

    if (p == json->end || *p != ':') {
        return es_json_fail(json, p, "a ':' was expected");
    }

    json->pos = p + 1;

    return ES_OK;
}


static es_rc_t
es_json_no_comma(es_json_t *json, bool object)
{
    return es_json_fail(json, json->pos,
                        object ? "a ',' or '}' was expected"
                               : "a ',' or ']' was expected");
}


/*
 * Goes from an opening bracket to the byte after its closing one.  `open` has
 * a bit for each open bracket, the innermost lowest: 1 is an object's.
 */
static es_rc_t
es_json_nested(es_json_t *json)
{
    char             c;
    bool             value_next;
    uint64_t         open;
    unsigned         depth;
    es_json_value_t  scratch;

    open = 0;
    depth = 0;
    value_next = true;

    for ( ;; ) {
        json->pos = es_json_space(json->pos, json->end);

        if (json->pos == json->end) {
            return es_json_fail(json, json->pos,
                                "the text ends inside a value");
        }

        c = *json->pos;

        if (value_next && (c == '{' || c == '[')) {
            if (json->depth + depth == ES_JSON_DEPTH) {
                return es_json_fail(json, json->pos, "nested too deeply");
            }

            open = open << 1 | (c == '{');
            depth++;
            json->pos = es_json_space(json->pos + 1, json->end);

            if (json->pos < json->end
                && *json->pos == (c == '{' ? '}' : ']'))
            {
                value_next = false;
                continue;
            }

        } else if (value_next) {
            if (es_json_scalar(json, &scratch) != ES_OK) {
                return ES_INVALID;
            }

            value_next = false;
            continue;

        } else if (c == ',') {
            json->pos++;
            value_next = true;

        } else if (c == ((open & 1) ? '}' : ']')) {
            json->pos++;
            open >>= 1;

            if (--depth == 0) {
                return ES_OK;
            }

            continue;

        } else {
            return es_json_no_comma(json, open & 1);
        }

        if ((open & 1) && es_json_name(json, &scratch) != ES_OK) {
            return ES_INVALID;
        }
    }
}


es_rc_t
es_json_value(es_json_t *json, es_json_value_t *value)
{
    es_rc_t      rc;
    const char  *start;

    start = es_json_space(json->pos, json->end);
    json->pos = start;

    if (start == json->end) {
        return es_json_fail(json, start, "the text ends before a value");
    }

    value->escaped = false;

    if (*start == '{' || *start == '[') {
        value->type = *start == '{' ? ES_JSON_OBJECT : ES_JSON_ARRAY;
        rc = es_json_nested(json);

    } else {
        rc = es_json_scalar(json, value);
    }

    if (rc != ES_OK) {
        return rc;
    }

    value->text.data = start;
    value->text.len = (size_t) (json->pos - start);

    return ES_OK;
}


es_rc_t
es_json_end(es_json_t *json)
{
    json->pos = es_json_space(json->pos, json->end);

    if (json->pos != json->end) {
        return es_json_fail(json, json->pos, "something after the value");
    }

    return ES_OK;
}


/* RFC 8259, section 8.1: a sender must not add a byte order mark. */

static bool
es_json_marked(const es_json_t *json)
{
    return json->pos == json->start
           && json->end - json->start >= 3
           && memcmp(json->start, "\xef\xbb\xbf", 3) == 0;
}


es_rc_t
es_json_enter(es_json_t *json, char bracket)
{
    json->pos = es_json_space(json->pos, json->end);

    if (json->pos == json->end || *json->pos != bracket) {
        return es_json_fail(json, json->pos,
                            es_json_marked(json)
                            ? "JSON must not begin with a byte order mark"
                            : bracket == '{' ? "an object was expected"
                                             : "an array was expected");
    }

    if (json->depth == ES_JSON_DEPTH) {
        return es_json_fail(json, json->pos, "nested too deeply");
    }

    json->pos++;
    json->depth++;

    return ES_OK;
}


/* ES_OK: the position is at the next element.  ES_NOT_FOUND: there is none. */
static es_rc_t
es_json_next(es_json_t *json, bool first, char close)
{
    const char  *p;

    p = es_json_space(json->pos, json->end);

    if (p == json->end) {
        return es_json_fail(json, p, close == '}'
                                     ? "the text ends inside an object"
                                     : "the text ends inside an array");
    }

    if (*p == close) {
        json->pos = p + 1;
        json->depth--;
        return ES_NOT_FOUND;
    }

    if (first) {
        json->pos = p;
        return ES_OK;
    }

    if (*p != ',') {
        json->pos = p;
        return es_json_no_comma(json, close == '}');
    }

    json->pos = p + 1;

    return ES_OK;
}


es_rc_t
es_json_key(es_json_t *json, bool first, es_json_value_t *name)
{
    es_rc_t  rc;

    rc = es_json_next(json, first, '}');

    if (rc == ES_OK) {
        rc = es_json_name(json, name);
    }

    if (rc == ES_OK) {
        json->pos = es_json_space(json->pos, json->end);
    }

    return rc;
}


es_rc_t
es_json_element(es_json_t *json, bool first)
{
    es_rc_t  rc;

    rc = es_json_next(json, first, ']');

    if (rc == ES_OK) {
        json->pos = es_json_space(json->pos, json->end);
    }

    return rc;
}


es_rc_t
es_json_member(es_json_t *json, bool first, es_json_value_t *name,
    es_json_value_t *value)
{
    es_rc_t  rc;

    rc = es_json_key(json, first, name);

    return rc == ES_OK ? es_json_value(json, value) : rc;
}


es_rc_t
es_json_item(es_json_t *json, bool first, es_json_value_t *value)
{
    es_rc_t  rc;

    rc = es_json_element(json, first);

    return rc == ES_OK ? es_json_value(json, value) : rc;
}
