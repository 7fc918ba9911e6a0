/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Parses durations, and checks URLs and feed patterns.
 */

#include <arpa/inet.h>
#include <strings.h>

#include "base/ascii.h"
#include "event/attribute.h"
#include "event/cursor.h"
#include "registry/values.h"

#define ES_DURATION_MAX_MS  (UINT64_C(30) * 86400 * 1000)


/* Reads a unit and returns it in milliseconds.  At the end of the text the unit
   is a second.  0: it is not a unit. */

static uint64_t
es_unit(const char **p, const char *end)
{
    char  c;

    if (*p == end) {
        return 1000;
    }

    c = *(*p)++;

    switch (c) {
    case 'm':
        if (*p < end && **p == 's') {
            (*p)++;
            return 1;
        }
        return 60 * 1000;
    case 's':
        return 1000;
    case 'h':
        return 3600 * 1000;
    case 'd':
        return 86400 * 1000;
    default:
        return 0;
    }
}


es_rc_t
es_duration_parse(es_str_t text, uint32_t *ms)
{
    uint64_t     n, unit, total;
    const char  *p, *end, *digits;

    if (text.len == 0) {
        return ES_INVALID;
    }

    p = text.data;
    end = p + text.len;
    total = 0;

    while (p < end) {
        n = 0;

        for (digits = p; p < end && *p >= '0' && *p <= '9'; p++) {
            n = n * 10 + (uint64_t) (*p - '0');

            if (n > ES_DURATION_MAX_MS) {
                return ES_INVALID;
            }
        }

        if (p == digits) {
            return ES_INVALID;
        }

        unit = es_unit(&p, end);
        total += n * unit;

        if (unit == 0 || total > ES_DURATION_MAX_MS) {
            return ES_INVALID;
        }
    }

    *ms = (uint32_t) total;

    return ES_OK;
}


bool
es_pattern_ok(es_str_t text)
{
    if (text.len > 0 && text.data[text.len - 1] == '*') {
        text.len--;
        return text.len == 0 || es_feed_name_ok(text);
    }

    return es_feed_name_ok(text);
}


static bool
es_port_ok(es_str_t port)
{
    size_t    i;
    unsigned  n;

    n = 0;

    if (port.len == 0 || port.len > 5) {
        return false;
    }

    for (i = 0; i < port.len; i++) {
        if (port.data[i] < '0' || port.data[i] > '9') {
            return false;
        }
        n = n * 10 + (unsigned) (port.data[i] - '0');
    }

    return n >= 1 && n <= 65535;
}


static bool
es_ipv6_ok(es_str_t host)
{
    char             text[INET6_ADDRSTRLEN];
    struct in6_addr  addr;

    if (host.len >= sizeof(text)) {
        return false;
    }

    memcpy(text, host.data, host.len);
    text[host.len] = '\0';

    return inet_pton(AF_INET6, text, &addr) == 1;
}


/* A name or an IPv4 address: labels of letters, digits, '-' and '_'. */

static bool
es_host_ok(es_str_t host)
{
    char    c;
    size_t  i, label;

    if (host.len == 0 || host.len > 253) {
        return false;
    }

    label = 0;

    for (i = 0; i < host.len; i++) {
        c = host.data[i];

        if (c == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
            continue;
        }

        if ((!es_is_alnum(c) && c != '-' && c != '_') || ++label > 63) {
            return false;
        }
    }

    return true;
}


static const char *
es_authority_fault(es_str_t authority)
{
    size_t       n;
    es_str_t     host, port;
    const char  *p;

    if (memchr(authority.data, '@', authority.len) != NULL) {
        return "must not have a user name or password";
    }

    host = authority;

    if (host.len > 0 && host.data[0] == '[') {
        p = memchr(host.data, ']', host.len);
        if (p == NULL) {
            return "has a malformed host";
        }

        host.data++;
        host.len = (size_t) (p - host.data);

        if (!es_ipv6_ok(host)) {
            return "has a malformed host";
        }

        n = host.len + 2;

    } else {
        p = memchr(host.data, ':', host.len);
        if (p != NULL) {
            host.len = (size_t) (p - host.data);
        }

        if (!es_host_ok(host)) {
            return "has a malformed host";
        }

        n = host.len;
    }

    if (n == authority.len) {
        return NULL;
    }

    port.data = authority.data + n + 1;
    port.len = authority.len - n - 1;

    return authority.data[n] == ':' && es_port_ok(port)
           ? NULL : "has a malformed port";
}


const char *
es_url_fault(es_str_t url)
{
    size_t       n;
    es_rc_t      rc;
    es_str_t     authority;
    const char  *fault;

    fault = es_attr_fault(ES_ATTR_DATASCHEMA, url, &rc);
    if (fault != NULL) {
        return fault;
    }

    if (url.len > 8 && strncasecmp(url.data, "https://", 8) == 0) {
        n = 8;

    } else if (url.len > 7 && strncasecmp(url.data, "http://", 7) == 0) {
        n = 7;

    } else {
        return "must begin with https:// or http://";
    }

    if (memchr(url.data, '#', url.len) != NULL) {
        return "must not have a fragment";
    }

    authority.data = url.data + n;

    for (authority.len = 0; n + authority.len < url.len; authority.len++) {
        if (authority.data[authority.len] == '/'
            || authority.data[authority.len] == '?')
        {
            break;
        }
    }

    return es_authority_fault(authority);
}
