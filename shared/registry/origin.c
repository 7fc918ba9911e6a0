/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Compares the origins of an endpoint's URLs before and after a change.
 */

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/base.h"
#include "base/json.h"
#include "keys/keyring.h"
#include "registry/member.h"
#include "registry/origin.h"
#include "registry/registry.h"
#include "registry/values.h"

/* The members that decide to whom the dispatcher proves its identity, whom it
   trusts, and what it may open that is closed to others. */

static const char  *const  es_origin_pins[] = {
    "client_cert", "client_key", "ca_file", "allow_http", "allow_addresses",
    "allow_ports"
};


static bool
es_origin_host(es_str_t host, char out[ES_HOST_MAX])
{
    char             text[INET6_ADDRSTRLEN];
    size_t           i;
    struct in6_addr  addr;

    if (host.len > 0 && host.data[0] == '[') {
        if (host.len < 2 || host.len - 2 >= sizeof(text)) {
            return false;
        }

        memcpy(text, host.data + 1, host.len - 2);
        text[host.len - 2] = '\0';

        if (inet_pton(AF_INET6, text, &addr) != 1
            || inet_ntop(AF_INET6, &addr, text, sizeof(text)) == NULL)
        {
            return false;
        }

        (void) snprintf(out, ES_HOST_MAX, "[%s]", text);
        return true;
    }

    if (host.len > 0 && host.data[host.len - 1] == '.') {
        host.len--;
    }

    ES_ASSERT(host.len < ES_HOST_MAX);      /* es_url_fault() */

    for (i = 0; i < host.len; i++) {
        out[i] = host.data[i];

        if (out[i] >= 'A' && out[i] <= 'Z') {
            out[i] = (char) (out[i] - 'A' + 'a');
        }
    }

    out[i] = '\0';

    return i > 0;
}


static uint16_t
es_origin_port(bool secure)
{
    return secure ? 443 : 80;
}


bool
es_origin_parse(es_str_t url, es_origin_t *origin)
{
    es_str_t     name;
    const char  *p, *end, *colon;

    if (url.data == NULL || es_url_fault(url) != NULL) {
        return false;
    }

    origin->secure = strncasecmp(url.data, "https:", 6) == 0;
    p = url.data + (origin->secure ? sizeof("https://") : sizeof("http://"))
        - 1;

    for (end = p; end < url.data + url.len && *end != '/' && *end != '?';
         end++)
    {
        /* void */
    }

    colon = memrchr(p, ':', (size_t) (end - p));

    /* a colon within brackets belongs to the address */

    if (colon != NULL && memchr(colon, ']', (size_t) (end - colon)) != NULL) {
        colon = NULL;
    }

    name.data = p;
    name.len = (size_t) ((colon ? colon : end) - p);
    origin->port = colon ? (uint16_t) strtol(colon + 1, NULL, 10)
                         : es_origin_port(origin->secure);

    return es_origin_host(name, origin->host);
}


bool
es_origin(es_str_t url, char out[ES_ORIGIN_MAX])
{
    char         port[8];
    es_origin_t  origin;

    if (!es_origin_parse(url, &origin)) {
        return false;
    }

    port[0] = '\0';

    if (origin.port != es_origin_port(origin.secure)) {
        (void) snprintf(port, sizeof(port), ":%u", (unsigned) origin.port);
    }

    (void) snprintf(out, ES_ORIGIN_MAX, "%s://%s%s",
                    origin.secure ? "https" : "http", origin.host, port);

    return true;
}


static es_str_t
es_origin_url(const json_t *object)
{
    return es_text(json_object_get(object, "url"));
}


static es_str_t
es_origin_token_url(const json_t *object)
{
    return es_text(json_object_get(json_object_get(object, "oauth"),
                                   "token_url"));
}


/* True if the change sets a URL of another origin.  A stored URL without an
   origin equals none. */

static bool
es_origin_moves(es_str_t was, es_str_t is, char origin[ES_ORIGIN_MAX])
{
    char  before[ES_ORIGIN_MAX];

    return es_origin(is, origin)
           && (!es_origin(was, before) || strcmp(before, origin) != 0);
}


bool
es_origin_changes(const json_t *stored, const json_t *change)
{
    char  origin[ES_ORIGIN_MAX];

    return es_origin_moves(es_origin_url(stored), es_origin_url(change),
                           origin);
}


static es_rc_t
es_origin_fault(es_problem_t *problem, const char *pointer, const char *url)
{
    return es_problem_set(problem, ES_INVALID, -1, pointer, "the change gives "
                          "\"%s\" another origin, so it must set this member "
                          "again or remove it", url);
}


/* A sealed value is the stored one. */

static es_rc_t
es_origin_headers(const json_t *stored, const json_t *change,
    es_problem_t *problem)
{
    char         pointer[ES_POINTER_MAX] = "/headers";
    json_t      *headers, *value;
    const char  *name;

    headers = json_object_get(change, "headers");

    if (headers == NULL) {
        return json_object_size(json_object_get(stored, "headers")) > 0
               ? es_origin_fault(problem, pointer, "url") : ES_OK;
    }

    json_object_foreach(headers, name, value) {
        if (es_sealed(es_text(value))) {
            es_pointer_add(pointer, sizeof(pointer), es_str(name));
            return es_origin_fault(problem, pointer, "url");
        }
    }

    return ES_OK;
}


static es_rc_t
es_origin_oauth(const json_t *stored, const json_t *change, const char *url,
    es_problem_t *problem)
{
    json_t  *oauth;

    oauth = json_object_get(change, "oauth");

    if (oauth == NULL) {
        return json_object_size(json_object_get(stored, "oauth")) > 0
               ? es_origin_fault(problem, "/oauth", url) : ES_OK;
    }

    return es_sealed(es_text(json_object_get(oauth, "client_secret")))
           ? es_origin_fault(problem, "/oauth/client_secret", url) : ES_OK;
}


es_rc_t
es_origin_check(const json_t *stored, const json_t *change,
    es_problem_t *problem)
{
    char     origin[ES_ORIGIN_MAX];
    es_rc_t  rc;

    rc = ES_OK;

    if (es_origin_moves(es_origin_url(stored), es_origin_url(change), origin))
    {
        rc = es_origin_headers(stored, change, problem);

        if (rc == ES_OK) {
            rc = es_origin_oauth(stored, change, "url", problem);
        }
    }

    if (rc == ES_OK
        && es_origin_moves(es_origin_token_url(stored),
                           es_origin_token_url(change), origin))
    {
        rc = es_origin_oauth(stored, change, "token_url", problem);
    }

    return rc;
}


const char *
es_origin_pinned(const json_t *stored, const json_t *change,
    char origin[ES_ORIGIN_MAX])
{
    bool     pinned;
    size_t   i;
    json_t  *pin;

    pinned = false;

    for (i = 0; i < sizeof(es_origin_pins) / sizeof(es_origin_pins[0]); i++) {
        pin = json_object_get(stored, es_origin_pins[i]);
        pinned |= json_is_string(pin)
                  || json_is_true(pin)
                  || json_array_size(pin) > 0;
    }

    if (!pinned) {
        return NULL;
    }

    if (es_origin_moves(es_origin_url(stored), es_origin_url(change), origin))
    {
        return "/url";
    }

    /* the origin of the endpoint itself may get the tokens as well */

    return es_origin_moves(es_origin_token_url(stored),
                           es_origin_token_url(change), origin)
           && es_origin_moves(es_origin_url(stored),
                              es_origin_token_url(change), origin)
           ? "/oauth/token_url" : NULL;
}
