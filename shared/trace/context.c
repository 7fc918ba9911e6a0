/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads and writes `traceparent` and `tracestate`.
 */

#include "base/ascii.h"
#include "base/base.h"
#include "base/random.h"
#include "trace/context.h"

#define ES_TRACESTATE_MEMBERS  32
#define ES_TRACESTATE_LONG     128   /* such members are left out first */
#define ES_TRACESTATE_KEY      256
#define ES_TRACESTATE_VALUE    256
#define ES_TRACESTATE_TENANT   241
#define ES_TRACESTATE_SYSTEM   14

typedef struct {
    es_str_t  text;            /* key=value */
    size_t    key;             /* length of the key */
} es_trace_member_t;


static es_str_t
es_trace_trim(es_str_t text)
{
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.len--;
    }

    while (text.len > 0 && (text.data[text.len - 1] == ' '
                            || text.data[text.len - 1] == '\t'))
    {
        text.len--;
    }

    return text;
}


/* The value of a lowercase hexadecimal digit; -1: it is none. */

static int
es_trace_digit(char c)
{
    if (es_is_digit(c)) {
        return c - '0';
    }

    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}


static bool
es_trace_bytes(const char *text, size_t n, uint8_t *out)
{
    int     high, low;
    size_t  i;

    for (i = 0; i < n; i++) {
        high = es_trace_digit(text[2 * i]);
        low = es_trace_digit(text[2 * i + 1]);

        if (high < 0 || low < 0) {
            return false;
        }

        out[i] = (uint8_t) (high << 4 | low);
    }

    return true;
}


static bool
es_trace_zero(const uint8_t *bytes, size_t n)
{
    size_t  i;

    for (i = 0; i < n && bytes[i] == 0; i++) { /* void */ }

    return i == n;
}


bool
es_trace_parse(es_str_t text, es_trace_t *trace)
{
    uint8_t      version;
    es_trace_t   parsed;
    const char  *p;

    text = es_trace_trim(text);
    p = text.data;

    if (text.len < ES_TRACEPARENT_LEN
        || p[2] != '-' || p[35] != '-' || p[52] != '-'
        || !es_trace_bytes(p, 1, &version)
        || !es_trace_bytes(p + 3, ES_TRACE_ID, parsed.id)
        || !es_trace_bytes(p + 36, ES_SPAN_ID, parsed.span)
        || !es_trace_bytes(p + 53, 1, &parsed.flags))
    {
        return false;
    }

    /* a later version may have more behind these parts */

    if (version == 0xff
        || (text.len > ES_TRACEPARENT_LEN
            && (version == 0 || p[ES_TRACEPARENT_LEN] != '-'))
        || es_trace_zero(parsed.id, ES_TRACE_ID)
        || es_trace_zero(parsed.span, ES_SPAN_ID))
    {
        return false;
    }

    /* of a later version only the flag "sampled" has a known meaning */

    parsed.flags &= version == 0 ? ES_TRACE_SAMPLED|ES_TRACE_RANDOM
                                 : ES_TRACE_SAMPLED;
    *trace = parsed;

    return true;
}


char *
es_trace_hex(const uint8_t *bytes, size_t len, char *out)
{
    size_t  i;

    static const char  digits[] = "0123456789abcdef";

    for (i = 0; i < len; i++) {
        *out++ = digits[bytes[i] >> 4];
        *out++ = digits[bytes[i] & 15];
    }

    return out;
}


char *
es_trace_print(const es_trace_t *trace, char *out)
{
    *out++ = '0';
    *out++ = '0';
    *out++ = '-';
    out = es_trace_hex(trace->id, ES_TRACE_ID, out);
    *out++ = '-';
    out = es_trace_hex(trace->span, ES_SPAN_ID, out);
    *out++ = '-';

    return es_trace_hex(&trace->flags, 1, out);
}


es_rc_t
es_trace_span(es_trace_t *trace)
{
    es_rc_t  rc;
    uint8_t  span[ES_SPAN_ID];

    rc = es_random(span, sizeof(span));
    if (rc != ES_OK) {
        return rc;
    }

    span[0] |= es_trace_zero(span, sizeof(span));
    memcpy(trace->span, span, sizeof(span));

    return ES_OK;
}


es_rc_t
es_trace_new(es_trace_t *trace)
{
    es_rc_t  rc;

    rc = es_random(trace->id, sizeof(trace->id));
    if (rc != ES_OK) {
        return rc;
    }

    trace->id[0] |= es_trace_zero(trace->id, sizeof(trace->id));
    trace->flags = ES_TRACE_SAMPLED|ES_TRACE_RANDOM;

    return es_trace_span(trace);
}


/* ---- tracestate ---- */


static bool
es_state_letter(char c)
{
    return c >= 'a' && c <= 'z';
}


static bool
es_state_key_chars(es_str_t text)
{
    char    c;
    size_t  i;

    for (i = 0; i < text.len; i++) {
        c = text.data[i];

        if (!es_state_letter(c) && !es_is_digit(c) && c != '_' && c != '-'
            && c != '*' && c != '/')
        {
            return false;
        }
    }

    return text.len > 0;
}


/* A key is a name, or TENANT@SYSTEM. */

static bool
es_state_key_ok(es_str_t key)
{
    es_str_t     tenant, system;
    const char  *at;

    at = memchr(key.data, '@', key.len);

    if (at == NULL) {
        return key.len <= ES_TRACESTATE_KEY && es_state_key_chars(key)
               && es_state_letter(key.data[0]);
    }

    tenant.data = key.data;
    tenant.len = (size_t) (at - key.data);
    system.data = at + 1;
    system.len = key.len - tenant.len - 1;

    return tenant.len <= ES_TRACESTATE_TENANT && es_state_key_chars(tenant)
           && (es_state_letter(*tenant.data) || es_is_digit(*tenant.data))
           && system.len <= ES_TRACESTATE_SYSTEM && es_state_key_chars(system)
           && es_state_letter(*system.data);
}


/* Printable ASCII without ',' and '='; a space may not come last. */

static bool
es_state_value_ok(es_str_t value)
{
    char    c;
    size_t  i;

    for (i = 0; i < value.len; i++) {
        c = value.data[i];

        if (c < ' ' || c > '~' || c == ',' || c == '=') {
            return false;
        }
    }

    return value.len > 0 && value.len <= ES_TRACESTATE_VALUE;
}


/* Adds a member to the list.  False: it is malformed, or its key is there
   already. */

static bool
es_state_member(es_str_t text, es_trace_member_t *list, size_t n)
{
    size_t       i;
    es_str_t     key, value;
    const char  *equals;

    equals = memchr(text.data, '=', text.len);
    if (equals == NULL || n == ES_TRACESTATE_MEMBERS) {
        return false;
    }

    key.data = text.data;
    key.len = (size_t) (equals - text.data);
    value.data = equals + 1;
    value.len = text.len - key.len - 1;

    if (!es_state_key_ok(key) || !es_state_value_ok(value)) {
        return false;
    }

    for (i = 0; i < n; i++) {
        if (list[i].key == key.len
            && memcmp(list[i].text.data, key.data, key.len) == 0)
        {
            return false;
        }
    }

    list[n].text = text;
    list[n].key = key.len;

    return true;
}


/* Parses the list.  False: it is invalid. */

static bool
es_state_parse(es_str_t text, es_trace_member_t *list, size_t *n)
{
    es_str_t     member;
    const char  *comma, *end;

    *n = 0;
    end = text.data + text.len;

    for ( ;; ) {
        comma = text.len > 0 ? memchr(text.data, ',', text.len) : NULL;

        member.data = text.data;
        member.len = (size_t) ((comma ? comma : end) - text.data);
        member = es_trace_trim(member);

        if (member.len > 0) {
            if (!es_state_member(member, list, *n)) {
                return false;
            }

            (*n)++;
        }

        if (comma == NULL) {
            return true;
        }

        text.data = comma + 1;
        text.len = (size_t) (end - text.data);
    }
}


static size_t
es_state_size(const es_trace_member_t *list, size_t n)
{
    size_t  i, size;

    for (i = 0, size = 0; i < n; i++) {
        size += list[i].text.len + (list[i].text.len > 0 && size > 0);
    }

    return size;
}


/* Makes the list fit: a member that is left out becomes empty. */

static void
es_state_shorten(es_trace_member_t *list, size_t n)
{
    size_t  i;

    for (i = n; i > 0 && es_state_size(list, n) > ES_TRACESTATE_MAX; i--) {
        if (list[i - 1].text.len > ES_TRACESTATE_LONG) {
            list[i - 1].text.len = 0;
        }
    }

    for (i = n; i > 0 && es_state_size(list, n) > ES_TRACESTATE_MAX; i--) {
        list[i - 1].text.len = 0;
    }
}


size_t
es_tracestate_clean(es_str_t text, char out[ES_TRACESTATE_MAX])
{
    size_t             i, n, len;
    es_trace_member_t  list[ES_TRACESTATE_MEMBERS];

    if (!es_state_parse(text, list, &n)) {
        return 0;
    }

    es_state_shorten(list, n);

    for (i = 0, len = 0; i < n; i++) {
        if (list[i].text.len == 0) {
            continue;
        }

        if (len > 0) {
            out[len++] = ',';
        }

        memcpy(out + len, list[i].text.data, list[i].text.len);
        len += list[i].text.len;
    }

    return len;
}
