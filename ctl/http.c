/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Polls and publishes over HTTP with libcurl.
 */

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "http.h"
#include "registry/values.h"

#define HTTP_ANSWER_MAX        (64 * 1024 * 1024)
#define CTL_RETRY_AFTER_MAX_S  (24 * 3600)


static size_t
ctl_http_body(char *data, size_t size, size_t n, void *ctx)
{
    es_buf_t  *body = &((ctl_http_t *) ctx)->body;

    if (body->len + size * n > HTTP_ANSWER_MAX
        || es_buf_append(body, data, size * n) != ES_OK)
    {
        return 0;
    }

    return size * n;
}


bool
ctl_http_field(es_str_t line, const char *name, char *out, size_t size)
{
    size_t  n;

    n = strlen(name);

    if (line.len <= n || line.data[n] != ':'
        || strncasecmp(line.data, name, n) != 0)
    {
        return false;
    }

    line.data += n + 1;
    line.len -= n + 1;

    while (line.len > 0 && line.data[0] == ' ') {
        line.data++;
        line.len--;
    }

    while (line.len > 0 && (unsigned char) line.data[line.len - 1] <= ' ') {
        line.len--;
    }

    (void) snprintf(out, size, "%.*s", (int) line.len, line.data);

    return true;
}


static size_t
ctl_http_head(char *data, size_t size, size_t n, void *ctx)
{
    char         value[ES_CURSOR_MAX];
    es_str_t     line = { data, size * n };
    ctl_http_t  *http = ctx;

    if (ctl_http_field(line, "Eventsync-Next", value, sizeof(value))) {
        memcpy(http->next, value, sizeof(value));

    } else if (ctl_http_field(line, "Eventsync-Has-More", value,
                              sizeof(value)))
    {
        http->has_more = strcmp(value, "true") == 0;
    }

    return size * n;
}


/* A proxy that the environment names cannot reach this machine's loopback. */

static void
ctl_http_proxy(ctl_http_t *http)
{
    char   *host;
    CURLU  *parts;

    parts = curl_url();
    host = NULL;

    if (parts != NULL && curl_url_set(parts, CURLUPART_URL, http->url, 0) == 0
        && curl_url_get(parts, CURLUPART_HOST, &host, 0) == 0
        && (strncmp(host, "127.", 4) == 0 || strcmp(host, "[::1]") == 0
            || strcasecmp(host, "localhost") == 0))
    {
        (void) curl_easy_setopt(http->curl, CURLOPT_PROXY, "");
    }

    curl_free(host);
    curl_url_cleanup(parts);
}


int
ctl_http_open(ctl_http_t *http, const char *option, const char *url,
    const char *key)
{
    size_t       n;
    const char  *fault;

    fault = es_url_fault(es_str(url));
    if (fault != NULL) {
        return ctl_fail(CTL_USAGE, "\"--%s=%s\" %s", option, url, fault);
    }

    if (key == NULL) {
        key = getenv("EVENTSYNC_KEY");
    }

    if (key != NULL && strpbrk(key, "\r\n") != NULL) {
        return ctl_fail(CTL_USAGE, "\"--key\" contains a line break");
    }

    for (n = strlen(url); n > 0 && url[n - 1] == '/'; n--) { /* void */ }

    (void) curl_global_init(CURL_GLOBAL_DEFAULT);

    http->curl = curl_easy_init();
    http->url = strndup(url, n);

    if (http->curl == NULL || http->url == NULL
        || (key != NULL
            && asprintf(&http->auth, "Authorization: Bearer %s", key) < 0))
    {
        http->auth = NULL;
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    (void) curl_easy_setopt(http->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void) curl_easy_setopt(http->curl, CURLOPT_NOSIGNAL, 1L);
    (void) curl_easy_setopt(http->curl, CURLOPT_WRITEFUNCTION, ctl_http_body);
    (void) curl_easy_setopt(http->curl, CURLOPT_WRITEDATA, http);
    (void) curl_easy_setopt(http->curl, CURLOPT_HEADERFUNCTION, ctl_http_head);
    (void) curl_easy_setopt(http->curl, CURLOPT_HEADERDATA, http);
    ctl_http_proxy(http);

    return CTL_OK;
}


void
ctl_http_close(ctl_http_t *http)
{
    curl_easy_cleanup(http->curl);
    es_buf_free(&http->body);
    free(http->url);
    free(http->auth);
    memset(http, 0, sizeof(ctl_http_t));
}


static int
ctl_http_perform(ctl_http_t *http, const char *url, const char *first,
    const char *second)
{
    size_t              i;
    CURLcode            rc;
    curl_off_t          after_s;
    const char         *fields[] = { first, second, http->auth };
    struct curl_slist  *list, *longer;

    http->body.len = 0;
    http->next[0] = '\0';
    http->has_more = false;
    http->retry_after_s = 0;
    http->status = 0;
    list = NULL;

    for (i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (fields[i] == NULL) {
            continue;
        }

        longer = curl_slist_append(list, fields[i]);
        if (longer == NULL) {
            curl_slist_free_all(list);
            return ctl_fail(CTL_FAILED, "out of memory");
        }

        list = longer;
    }

    (void) curl_easy_setopt(http->curl, CURLOPT_URL, url);
    (void) curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, list);

    rc = curl_easy_perform(http->curl);

    (void) curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE,
                             &http->status);
    (void) curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(list);

    /* it may be a date, also of a proxy in between */

    if (curl_easy_getinfo(http->curl, CURLINFO_RETRY_AFTER, &after_s)
        == CURLE_OK && after_s > 0)
    {
        http->retry_after_s = after_s < CTL_RETRY_AFTER_MAX_S
                              ? (unsigned) after_s : CTL_RETRY_AFTER_MAX_S;
    }

    if (rc != CURLE_OK) {
        return ctl_fail(CTL_FAILED, "\"%s\": %s", url, curl_easy_strerror(rc));
    }

    if (es_buf_append(&http->body, "", 1) != ES_OK) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    http->body.len--;

    return CTL_OK;
}


/* Appends "&name=value", escaped, unless the value is NULL. */

static es_rc_t
ctl_http_parameter(ctl_http_t *http, es_buf_t *url, const char *name,
    const char *value)
{
    char     *text;
    es_rc_t   rc;

    if (value == NULL) {
        return ES_OK;
    }

    text = curl_easy_escape(http->curl, value, (int) strlen(value));
    if (text == NULL) {
        return ES_NOMEM;
    }

    rc = es_buf_printf(url, "&%s=%s", name, text);
    curl_free(text);

    return rc;
}


int
ctl_http_poll(ctl_http_t *http, const ctl_query_t *query)
{
    int       rc;
    size_t    i;
    es_rc_t   es;
    es_buf_t  url = { 0 };

    es = es_buf_printf(&url, "%s/feeds/%s/events?wait=%u", http->url,
                       query->feed, query->wait_s);

    for (i = 0; es == ES_OK && i < ES_FILTER_PARAMS; i++) {
        es = ctl_http_parameter(http, &url, es_filter_params[i].name,
                                query->filter[i]);
    }

    if (es != ES_OK
        || ctl_http_parameter(http, &url, "after", query->after) != ES_OK
        || ctl_http_parameter(http, &url, "from", query->from) != ES_OK
        || es_buf_append(&url, "", 1) != ES_OK)
    {
        es_buf_free(&url);
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    (void) curl_easy_setopt(http->curl, CURLOPT_HTTPGET, 1L);
    (void) curl_easy_setopt(http->curl, CURLOPT_TIMEOUT,
                            CTL_HTTP_TIMEOUT_S + (long) query->wait_s);

    /* This format has one event per line, as it was stored. */

    rc = ctl_http_perform(http, url.data, "Accept: application/x-ndjson",
                          NULL);
    es_buf_free(&url);

    if (rc == CTL_OK && http->status == 200 && http->next[0] == '\0') {
        return ctl_fail(CTL_FAILED, "the server at \"%s\" is not eventsync",
                        http->url);
    }

    return rc;
}


int
ctl_http_post(ctl_http_t *http, const char *feed, const char *type,
    es_str_t body)
{
    int   rc;
    char  field[80], *url;

    if (asprintf(&url, "%s/feeds/%s/events", http->url, feed) < 0) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    (void) snprintf(field, sizeof(field), "Content-Type: %s", type);
    (void) curl_easy_setopt(http->curl, CURLOPT_POST, 1L);
    (void) curl_easy_setopt(http->curl, CURLOPT_POSTFIELDS, body.data);
    (void) curl_easy_setopt(http->curl, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t) body.len);
    (void) curl_easy_setopt(http->curl, CURLOPT_TIMEOUT, CTL_HTTP_TIMEOUT_S);

    rc = ctl_http_perform(http, url, field, "Expect:");
    free(url);

    return rc;
}


static json_t *
ctl_http_problem(const ctl_http_t *http, const char *name)
{
    json_t  *document, *value;

    document = json_loadb(http->body.data, http->body.len, 0, NULL);
    value = json_incref(json_object_get(document, name));
    json_decref(document);

    return value;
}


bool
ctl_http_member(const ctl_http_t *http, const char *name, char *out,
    size_t size)
{
    json_t  *value;

    value = ctl_http_problem(http, name);
    out[0] = '\0';

    if (json_is_string(value)) {
        (void) snprintf(out, size, "%s", json_string_value(value));
    }

    json_decref(value);

    return out[0] != '\0';
}


bool
ctl_http_count(const ctl_http_t *http, const char *name, uint64_t *out)
{
    bool     found;
    json_t  *value;

    value = ctl_http_problem(http, name);
    found = json_is_integer(value) && json_integer_value(value) >= 0;

    if (found) {
        *out = (uint64_t) json_integer_value(value);
    }

    json_decref(value);

    return found;
}


int
ctl_http_refused(const ctl_http_t *http, const char *what)
{
    char  detail[300], pointer[160];

    if (!ctl_http_member(http, "detail", detail, sizeof(detail))) {
        return ctl_fail(CTL_FAILED, "%s: \"%s\" answered %ld", what,
                        http->url, http->status);
    }

    if (ctl_http_member(http, "pointer", pointer, sizeof(pointer))) {
        return ctl_fail(CTL_FAILED, "%s: answered %ld: %s: %s", what,
                        http->status, pointer, detail);
    }

    return ctl_fail(CTL_FAILED, "%s: answered %ld: %s", what, http->status,
                    detail);
}
