/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The rules by which an answer gets its hint.
 */

#include <strings.h>

#include "base/base.h"
#include "delivery/delivery.h"
#include "delivery/hint.h"
#include "delivery/hint_text.h"

/* An answer matches a rule if its status is in the range, it is a web page if
   that is asked for, and it has one of the words, which a '|' separates. */
typedef struct {
    const char   *words;       /* in lower case; NULL: any body */
    int           from;
    int           to;
    es_hint_id_t  hint;
    bool          page;
} es_hint_rule_t;

/* The same without an answer. */
typedef struct {
    const char   *words;
    int           class;       /* es_attempt_class_t, or ANY_CLASS */
    es_hint_id_t  hint;
} es_hint_fault_t;

#define ANY_CLASS  (-1)

#define ES_HINT_LOGIN_PAGE  "type=\"password\"|type='password'|log in|login|" \
                            "sign in|signin"


static const es_hint_fault_t  es_hint_faults[] = {
    { "certificate has expired", ES_ATTEMPT_TLS, ES_HINT_TLS_EXPIRED },
    { "not yet valid", ES_ATTEMPT_TLS, ES_HINT_TLS_NOT_YET },
    { "self-signed|self signed", ES_ATTEMPT_TLS, ES_HINT_TLS_SELF_SIGNED },
    { "local issuer|issuer certificate|verify the first",
      ES_ATTEMPT_TLS, ES_HINT_TLS_CHAIN },
    { "subject name|hostname mismatch|address mismatch|"
      "unrecognized name", ES_ATTEMPT_TLS, ES_HINT_TLS_NAME },
    { "wrong version number|packet length too long|"
      "record layer failure", ES_ATTEMPT_TLS, ES_HINT_TLS_PLAIN },
    { "protocol version|unsupported protocol|"
      "handshake failure|no protocols", ES_ATTEMPT_TLS, ES_HINT_TLS_VERSION },
    { "certificate required|alert bad certificate|"
      "alert certificate unknown|alert unknown ca",
      ANY_CLASS, ES_HINT_TLS_CLIENT },
    { NULL, ES_ATTEMPT_TLS, ES_HINT_TLS },
    { NULL, ES_ATTEMPT_DNS, ES_HINT_DNS },
    { NULL, ES_ATTEMPT_CONNECT, ES_HINT_CONNECT },
    { "connection timed out|connection timeout|"
      "failed to connect|resolving timed out",
      ES_ATTEMPT_TIMEOUT, ES_HINT_CONNECT_TIMEOUT },
    { NULL, ES_ATTEMPT_TIMEOUT, ES_HINT_TIMEOUT },
    { NULL, ES_ATTEMPT_RESET, ES_HINT_CLOSED },
    { NULL, ES_ATTEMPT_PROTOCOL, ES_HINT_NOT_HTTP },
    { NULL, ES_ATTEMPT_ADDRESS, ES_HINT_ADDRESS },
    { NULL, ES_ATTEMPT_PROXY, ES_HINT_PROXY },
    { NULL, ES_ATTEMPT_TOKEN, ES_HINT_TOKEN },
};


static const es_hint_rule_t  es_hint_rules[] = {
    { "http request was sent to https|"
      "http request to an https|plain http to an ssl|port requires tls",
      400, 499, ES_HINT_TLS_PORT, false },
    { "no required ssl certificate|ssl certificate error",
      400, 499, ES_HINT_TLS_CLIENT, false },
    { "ngrok|localtunnel|tunnel unavailable", 400, 599, ES_HINT_TUNNEL, false },
    { "csrf|authenticitytoken|authenticity token",
      400, 499, ES_HINT_CSRF, false },
    { NULL, 419, 419, ES_HINT_CSRF, false },
    { "blocked host|disallowedhost|http_host|allowed_hosts|"
      "invalid host|this host (", 400, 499, ES_HINT_HOST, false },
    { NULL, 421, 421, ES_HINT_HOST, false },
    { ES_HINT_LOGIN_PAGE, 200, 299, ES_HINT_LOGIN, true },
    { ES_HINT_LOGIN_PAGE, 401, 403, ES_HINT_LOGIN, true },
    { NULL, 200, 299, ES_HINT_WEB_PAGE, true },
    { NULL, 415, 415, ES_HINT_CONTENT_TYPE, false },
    { "unsupported media type|content-type was not|"
      "invalid content-type|unsupported content-type|no cloud event detected",
      400, 599, ES_HINT_CONTENT_TYPE, false },
    { "missing required header", 400, 599, ES_HINT_FIELDS, false },
    { "timestamp too old|timestamp too new|"
      "timestamp outside", 400, 599, ES_HINT_CLOCK, false },
    { "of undefined|received undefined|is undefined|"
      "of null|nonetype|end of json input|property 'undefined|"
      "expecting value: line 1 column 1", 400, 599, ES_HINT_NO_BODY, false },
    { "payload to be of type string|instance of object|"
      "[object object]|token o in json|bytes-like object is required",
      400, 599, ES_HINT_PARSED_BODY, false },
    { NULL, 413, 413, ES_HINT_TOO_LARGE, false },
    { "too large for|entity too large|payload too large|"
      "body is too large|maximum request body",
      400, 599, ES_HINT_TOO_LARGE, false },
    { NULL, 411, 411, ES_HINT_LENGTH, false },
    { NULL, 431, 431, ES_HINT_HEADERS, false },
    { NULL, 401, 401, ES_HINT_ACCESS, true },
    { NULL, 403, 403, ES_HINT_ACCESS, true },
    { NULL, 400, 401, ES_HINT_REFUSED, false },
    { NULL, 403, 403, ES_HINT_REFUSED, false },
    { NULL, 404, 404, ES_HINT_NOT_FOUND, false },
    { NULL, 405, 405, ES_HINT_METHOD, false },
    { NULL, 408, 408, ES_HINT_GATEWAY, false },
    { NULL, 410, 410, ES_HINT_GONE, false },
    { NULL, 422, 422, ES_HINT_UNPROCESSABLE, false },
    { NULL, 429, 429, ES_HINT_BUSY, false },
    { NULL, 501, 501, ES_HINT_METHOD, false },
    { NULL, 502, 502, ES_HINT_GATEWAY, false },
    { NULL, 503, 503, ES_HINT_UNAVAILABLE, false },
    { NULL, 504, 504, ES_HINT_GATEWAY, false },
    { NULL, 520, 530, ES_HINT_GATEWAY, false },
    { NULL, 500, 599, ES_HINT_FAILED, false },
};

static const char  es_hint_logins[] = "login|signin|sign-in|sign_in|/auth/|"
                                      "/authorize|oauth|/sso|saml";


static bool
es_hint_word(es_str_t text, const char *word, size_t len)
{
    size_t  i;

    for (i = 0; text.data != NULL && i + len <= text.len; i++) {
        if (strncasecmp(text.data + i, word, len) == 0) {
            return true;
        }
    }

    return false;
}


/* True if the text has one of the words. */

static bool
es_hint_has(es_str_t text, const char *words)
{
    size_t  len;

    for ( ;; words += len + 1) {
        len = strcspn(words, "|");

        if (es_hint_word(text, words, len)) {
            return true;
        }

        if (words[len] == '\0') {
            return false;
        }
    }
}


static bool
es_hint_begins(es_str_t text, const char *word)
{
    return text.len >= strlen(word)
           && strncasecmp(text.data, word, strlen(word)) == 0;
}


static bool
es_hint_page(const es_hint_answer_t *answer)
{
    es_str_t  body;

    body = answer->body;

    while (body.len > 0 && strchr(" \t\r\n\xef\xbb\xbf", body.data[0])) {
        body.data++;
        body.len--;
    }

    /* some frameworks have this type in an answer without a body */

    return body.len > 0
           && (es_hint_begins(answer->type, "text/html")
               || es_hint_begins(body, "<!doctype html")
               || es_hint_begins(body, "<html"));
}


static es_str_t
es_hint_from(es_str_t text, size_t n)
{
    return (es_str_t) { text.data + n, text.len - n };
}


/* Cuts the scheme off, and also the host if `path` is set. */

static es_str_t
es_hint_url(es_str_t url, bool path)
{
    size_t  n;

    n = es_hint_begins(url, "https://") ? 8
        : es_hint_begins(url, "http://") ? 7 : 0;

    if (path && n > 0) {
        while (n < url.len && url.data[n] != '/') {
            n++;
        }
    }

    return es_hint_from(url, n);
}


static bool
es_hint_slash(es_str_t shorter, es_str_t longer)
{
    return shorter.len + 1 == longer.len
           && longer.data[shorter.len] == '/'
           && (shorter.len == 0
               || memcmp(shorter.data, longer.data, shorter.len) == 0);
}


static es_hint_id_t
es_hint_redirect(const es_hint_answer_t *answer)
{
    bool      whole;
    es_str_t  to, url;

    /* a Location without a host stays on the host of the URL */

    whole = es_hint_begins(answer->location, "http");
    to = es_hint_url(answer->location, !whole);
    url = es_hint_url(answer->url, !whole);

    if (es_hint_begins(answer->url, "http://")
        && es_hint_begins(answer->location, "https://")
        && (es_str_eq(to, url) || es_hint_slash(url, to)))
    {
        return ES_HINT_REDIRECT_HTTPS;
    }

    if (es_hint_slash(to, url) || es_hint_slash(url, to)) {
        return ES_HINT_REDIRECT_SLASH;
    }

    return es_hint_has(answer->location, es_hint_logins) ? ES_HINT_LOGIN
                                                         : ES_HINT_REDIRECT;
}


static const es_hint_t *
es_hint_fault(const es_hint_answer_t *answer)
{
    size_t                  i;
    const es_hint_fault_t  *fault;

    for (i = 0; i < sizeof(es_hint_faults) / sizeof(es_hint_faults[0]); i++) {
        fault = &es_hint_faults[i];

        if ((fault->class == ANY_CLASS || fault->class == (int) answer->class)
            && (fault->words == NULL
                || es_hint_has(answer->body, fault->words)))
        {
            return &es_hints[fault->hint];
        }
    }

    return NULL;
}


const es_hint_t *
es_hint(const es_hint_answer_t *answer)
{
    size_t                 i;
    bool                   page;
    const es_hint_rule_t  *rule;

    if (answer->status == 0) {
        return es_hint_fault(answer);
    }

    if (answer->status / 100 == 3) {
        return &es_hints[es_hint_redirect(answer)];
    }

    if ((answer->status == 401 || answer->status == 403)
        && answer->credential.len > 0)
    {
        return &es_hints[ES_HINT_CREDENTIAL];
    }

    page = es_hint_page(answer);

    for (i = 0; i < sizeof(es_hint_rules) / sizeof(es_hint_rules[0]); i++) {
        rule = &es_hint_rules[i];

        if (answer->status >= rule->from && answer->status <= rule->to
            && (page || !rule->page)
            && (rule->words == NULL || es_hint_has(answer->body, rule->words)))
        {
            return &es_hints[rule->hint];
        }
    }

    return NULL;
}


const es_hint_t *
es_hint_attempt(const es_attempt_t *attempt)
{
    es_str_t          body;
    es_hint_answer_t       answer = { .status = attempt->status };
    const es_hint_t  *hint;

    if (attempt->flags & (ES_ATTEMPT_FETCH | ES_ATTEMPT_SIMULATED_FLAG)) {
        return NULL;
    }

    body.data = attempt->body;
    body.len = attempt->body_len;
    answer.class = (es_attempt_class_t) attempt->class;
    hint = NULL;

    switch (es_attempt_bytes(attempt)) {

    case ES_BYTES_BODY:
        answer.body = body;
        break;

    case ES_BYTES_CAUSE:
        hint = es_hint_named(body);
        break;

    case ES_BYTES_LOCATION:
        answer.location = body;
        break;
    }

    return hint != NULL ? hint : es_hint(&answer);
}


const es_hint_t *
es_hint_named(es_str_t cause)
{
    size_t  i;

    for (i = 0; i < ES_HINTS; i++) {
        if (es_str_eq(cause, es_str(es_hints[i].cause))) {
            return &es_hints[i];
        }
    }

    return NULL;
}


const es_hint_t *
es_hint_at(size_t i)
{
    return i < ES_HINTS ? &es_hints[i] : NULL;
}
