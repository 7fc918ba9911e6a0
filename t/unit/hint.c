/* SPDX-License-Identifier: BSD-2-Clause */

/* Hints: which answer gets which. */

#include "delivery/hint.h"
#include "tap.h"

typedef struct {
    int          status;
    const char  *type;
    const char  *location;
    const char  *body;
    const char  *cause;        /* "" for none */
} answer_case_t;

static const answer_case_t  answers[] = {
    { 200, "application/json", "", "{\"ok\":true}", "" },
    { 204, "", "", "", "" },
    { 200, "text/html; charset=utf-8", "", "<h1>Hello</h1>", "web-page" },
    { 200, "", "", " \t<!DOCTYPE html><title>Shop</title>", "web-page" },
    { 200, "TEXT/HTML", "", "<form><input TYPE=\"password\">", "login" },
    { 401, "", "", "<html><body><h1>Sign in</h1>", "login" },
    { 401, "", "", "<html><title>401 Authorization Required</title>",
      "access" },
    { 403, "text/html", "", "<title>Just a moment...</title>", "access" },
    { 403, "text/html", "", "<p>CSRF verification failed.", "csrf" },
    { 422, "text/plain", "", "ActionController::InvalidAuthenticityToken",
      "csrf" },
    { 419, "text/html", "", "<title>Page Expired</title>", "csrf" },
    { 403, "", "", "Blocked host: a.example", "host" },
    { 400, "", "", "DisallowedHost at /hook", "host" },
    { 421, "", "", "", "host" },
    { 404, "text/html", "", "ERR_NGROK_3200", "tunnel" },
    { 404, "text/html", "", "Cannot POST /hook", "not-found" },
    { 405, "", "", "", "method" },
    { 501, "", "", "Unsupported method ('POST')", "method" },
    { 411, "", "", "", "length" },
    { 413, "", "", "", "too-large" },
    { 500, "", "", "PayloadTooLargeError: request entity too large",
      "too-large" },
    { 431, "", "", "", "headers" },
    { 415, "", "", "", "content-type" },
    { 400, "", "", "Did not attempt to load JSON data because the request "
      "Content-Type was not 'application/json'.", "content-type" },
    { 500, "text/html", "", "<pre>TypeError: Cannot read properties of "
      "undefined (reading &#39;id&#39;)", "no-body" },
    { 500, "", "", "The \"data\" argument must be of type string or an "
      "instance of Buffer. Received undefined", "no-body" },
    { 500, "", "", "'NoneType' object is not subscriptable", "no-body" },
    { 400, "", "", "Unexpected end of JSON input", "no-body" },
    { 500, "text/html", "", "<pre>Error: Expected payload to be of type "
      "string or Buffer.", "parsed-body" },
    { 204, "text/html", "", "", "" },
    { 400, "text/html", "", "at /srv/login/hook.js", "refused" },
    { 401, "text/html", "", "", "refused" },
    { 500, "text/html", "", "<pre>TypeError: no cloud event detected",
      "content-type" },
    { 400, "", "", "Missing required headers", "fields" },
    { 400, "", "", "Message timestamp too old", "clock" },
    { 500, "", "", "a bytes-like object is required, not 'NoneType'",
      "no-body" },
    { 500, "", "", "a bytes-like object is required, not 'dict'",
      "parsed-body" },
    { 400, "", "", "\"[object Object]\" is not valid JSON", "parsed-body" },
    { 400, "", "", "The plain HTTP request was sent to HTTPS port",
      "tls-port" },
    { 400, "", "", "Client sent an HTTP request to an HTTPS server.",
      "tls-port" },
    { 400, "", "", "400 No required SSL certificate was sent", "tls-client" },
    { 400, "", "", "bad signature", "refused" },
    { 401, "", "", "", "refused" },
    { 403, "", "", "", "refused" },
    { 410, "", "", "", "gone" },
    { 422, "", "", "", "unprocessable" },
    { 429, "", "", "", "busy" },
    { 500, "", "", "", "failed" },
    { 502, "text/html", "", "<title>502 Bad Gateway</title>", "gateway" },
    { 503, "", "", "", "unavailable" },
    { 504, "", "", "", "gateway" },
    { 522, "", "", "", "gateway" },
    { 418, "", "", "", "" },
    { 301, "", "https://a.example/hook", "", "redirect-https" },
    { 308, "", "https://a.example/hook/", "", "redirect-https" },
    { 307, "", "/hook/", "", "redirect-slash" },
    { 308, "", "http://a.example/hook/", "", "redirect-slash" },
    { 302, "", "/users/sign_in", "", "login" },
    { 302, "", "https://id.example/oauth2/start", "", "login" },
    { 301, "", "https://www.a.example/hook", "", "redirect" },
    { 301, "", "http://www.a.example/hook/", "", "redirect" },
    { 301, "", "/authors", "", "redirect" },
    { 304, "", "", "", "redirect" },
    { 0, NULL, NULL, NULL, NULL }
};

typedef struct {
    es_attempt_class_t  class;
    const char         *message;
    const char         *cause;
} fault_case_t;

static const fault_case_t  faults[] = {
    { ES_ATTEMPT_DNS, "Could not resolve host: a.example", "dns" },
    { ES_ATTEMPT_CONNECT, "Failed to connect to 127.0.0.1 port 1", "connect" },
    { ES_ATTEMPT_TIMEOUT, "Connection timed out after 10001 milliseconds",
      "connect-timeout" },
    { ES_ATTEMPT_TIMEOUT, "Failed to connect to a.example port 443 after 10002 "
      "ms: Timeout was reached", "connect-timeout" },
    { ES_ATTEMPT_TIMEOUT, "Operation timed out after 30001 milliseconds with "
      "0 bytes received", "timeout" },
    { ES_ATTEMPT_TLS, "SSL certificate problem: certificate has expired",
      "tls-expired" },
    { ES_ATTEMPT_TLS, "SSL certificate problem: certificate is not yet valid",
      "tls-not-yet-valid" },
    { ES_ATTEMPT_TLS, "SSL certificate problem: self-signed certificate",
      "tls-self-signed" },
    { ES_ATTEMPT_TLS, "SSL certificate problem: unable to get local issuer "
      "certificate", "tls-chain" },
    { ES_ATTEMPT_TLS, "SSL: no alternative certificate subject name matches "
      "target host name 'b.example'", "tls-name" },
    { ES_ATTEMPT_TLS, "SSL: certificate subject name 'a' does not match "
      "target host name 'b'", "tls-name" },
    { ES_ATTEMPT_TLS, "error:0A00010B:SSL routines::wrong version number",
      "tls-plain" },
    { ES_ATTEMPT_TLS, "error:0A00042E:SSL routines::tlsv1 alert protocol "
      "version", "tls-version" },
    { ES_ATTEMPT_RESET, "OpenSSL SSL_read: error:0A00045C:SSL routines::tlsv13 "
      "alert certificate required, errno 0", "tls-client" },
    { ES_ATTEMPT_TLS, "something else", "tls" },
    { ES_ATTEMPT_RESET, "Empty reply from server", "closed" },
    { ES_ATTEMPT_PROTOCOL, "Received HTTP/0.9 when not allowed", "not-http" },
    { ES_ATTEMPT_ADDRESS, "", "address" },
    { ES_ATTEMPT_PROXY, "", "proxy" },
    { ES_ATTEMPT_TOKEN, "", "token" },
    { ES_ATTEMPT_INTERNAL, "out of memory", "" },
    { ES_ATTEMPT_OK, NULL, NULL }
};


static void
is_cause(const es_hint_t *hint, const char *cause, const char *name)
{
    ok(strcmp(hint != NULL ? hint->cause : "", cause) == 0, "%s: %s", name,
       hint != NULL ? hint->cause : "none");
}


static void
test_answers(void)
{
    char                  name[100];
    const answer_case_t  *a;

    for (a = answers; a->body != NULL; a++) {
        es_hint_answer_t  answer = {
            .status = a->status, .url = es_lit("http://a.example/hook"),
            .type = es_str(a->type), .location = es_str(a->location),
            .body = es_str(a->body), .class = ES_ATTEMPT_STATUS
        };

        (void) snprintf(name, sizeof(name), "%d %.60s", a->status,
                        a->location[0] != '\0' ? a->location : a->body);
        is_cause(es_hint(&answer), a->cause, name);
    }

    es_hint_answer_t  basic = {
        .status = 401, .credential = es_lit("Basic realm=\"x\""),
        .body = es_lit("<html>"), .class = ES_ATTEMPT_STATUS
    };

    is_cause(es_hint(&basic), "credential", "401 with WWW-Authenticate");
}


static void
test_faults(void)
{
    const fault_case_t  *f;

    for (f = faults; f->message != NULL; f++) {
        es_hint_answer_t  answer = {
            .class = f->class, .body = es_str(f->message)
        };

        is_cause(es_hint(&answer), f->cause, f->message);
    }
}


static const es_hint_t *
recorded(int status, es_attempt_class_t class, unsigned flags,
    const char *body)
{
    es_attempt_t  attempt = {
        .status = status, .class = (uint8_t) class, .flags = (uint8_t) flags,
        .body_len = (uint16_t) strlen(body)
    };

    memcpy(attempt.body, body, strlen(body));

    return es_hint_attempt(&attempt);
}


static void
test_attempts(void)
{
    is_cause(recorded(0, ES_ATTEMPT_TLS, 0, "tls-expired"), "tls-expired",
             "a recorded cause");
    is_cause(recorded(0, ES_ATTEMPT_TLS, 0, ""), "tls",
             "an attempt without one, by its class");
    is_cause(recorded(302, ES_ATTEMPT_REDIRECT, 0, "/login"), "login",
             "the Location of a redirect");
    is_cause(recorded(415, ES_ATTEMPT_STATUS, 0, ""), "content-type",
             "a status");
    is_cause(recorded(500, ES_ATTEMPT_STATUS, 0, "dns"), "failed",
             "a body that is the word of a cause is a body");
    is_cause(recorded(415, ES_ATTEMPT_STATUS, ES_ATTEMPT_SIMULATED_FLAG, ""),
             "", "a simulated failure says nothing");
    is_cause(recorded(401, ES_ATTEMPT_TOKEN, ES_ATTEMPT_FETCH, ""), "",
             "nor does the server of access tokens");
}


static void
test_words(void)
{
    size_t            i, j;
    bool              once;
    const es_hint_t  *hint;

    for (once = true, i = 0; (hint = es_hint_at(i)) != NULL; i++) {
        once &= es_hint_named(es_str(hint->cause)) == hint;

        for (j = 0; hint->cause[j] != '\0'; j++) {
            once &= strchr("abcdefghijklmnopqrstuvwxyz-", hint->cause[j])
                    != NULL;
        }
    }

    ok(i > 50 && once, "each hint has a word of its own");
    ok(es_hint_named(es_lit("")) == NULL, "no other word has one");
}


int
main(void)
{
    test_answers();
    test_faults();
    test_attempts();
    test_words();

    return done();
}
