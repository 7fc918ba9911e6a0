#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"
#include "receiver.h"

#define HEAL_ANSWER_MAX   (64 * 1024 * 1024)
#define HEAL_TIMEOUT_S    30L


static size_t
heal_write(char *data, size_t size, size_t n, void *ctx)
{
    es_buf_t  *buf = ctx;

    if (buf->len + size * n > HEAL_ANSWER_MAX
        || es_buf_append(buf, data, size * n) != ES_OK)
    {
        return 0;
    }

    return size * n;
}


/* One GET with the key; the answer's JSON, or NULL with a line said. */

static json_t *
heal_get(const receiver_t *receiver, const char *url)
{
    char                auth[128];
    long                status;
    CURL               *curl;
    json_t             *json;
    CURLcode            rc;
    es_buf_t            buf = { 0 };
    struct curl_slist  *headers;

    curl = curl_easy_init();
    if (curl == NULL) {
        (void) ctl_fail(CTL_FAILED, "out of memory");
        return NULL;
    }

    headers = NULL;

    if (receiver->key != NULL) {
        (void) snprintf(auth, sizeof(auth), "Authorization: Bearer %s",
                        receiver->key);
        headers = curl_slist_append(headers, auth);
    }

    (void) curl_easy_setopt(curl, CURLOPT_URL, url);
    (void) curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    (void) curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void) curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void) curl_easy_setopt(curl, CURLOPT_TIMEOUT, HEAL_TIMEOUT_S);
    (void) curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, heal_write);
    (void) curl_easy_setopt(curl, CURLOPT_WRITEDATA, &buf);

    rc = curl_easy_perform(curl);
    status = 0;
    (void) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);

    json = NULL;

    if (rc != CURLE_OK) {
        (void) ctl_fail(CTL_FAILED, "cannot poll \"%s\": %s", url,
                        curl_easy_strerror(rc));

    } else if (status != 200) {
        (void) ctl_fail(CTL_FAILED, "poll of \"%s\" answered %ld: %.*s", url,
                        status, (int) buf.len, buf.data ? buf.data : "");

    } else {
        json = json_loadb(buf.data, buf.len, 0, NULL);
        if (json == NULL) {
            (void) ctl_fail(CTL_FAILED, "poll of \"%s\" did not answer JSON",
                            url);
        }
    }

    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    es_buf_free(&buf);

    return json;
}


int
receiver_heal(receiver_t *receiver, const char *feed)
{
    int               rc;
    bool              more;
    char              url[2048], held[ES_CURSOR_MAX];
    size_t            i, n;
    json_t           *page, *event;
    es_cursor_t       next;
    receiver_held_t  *at;

    n = 0;

    do {
        at = receiver_find(receiver, feed);
        (void) es_cursor_print(at->cursor.epoch, at->cursor.sequence, held);
        (void) snprintf(url, sizeof(url), "%s/feeds/%s/events?after=%s",
                        receiver->url, feed, held);

        page = heal_get(receiver, url);
        if (page == NULL) {
            return CTL_FAILED;
        }

        json_array_foreach(json_object_get(page, "events"), i, event) {
            (void) printf("polled    %s %s %s %s\n", feed,
                json_string_value(json_object_get(event, "cursor")),
                json_string_value(json_object_get(event, "type")),
                json_object_get(event, "subject")
                ? json_string_value(json_object_get(event, "subject")) : "-");
            n++;
        }

        more = json_is_true(json_object_get(page, "has_more"));

        if (es_cursor_parse(es_str(json_string_value(json_object_get(page,
                                                                     "next"))),
                            &next)
            != ES_OK)
        {
            json_decref(page);
            return ctl_fail(CTL_FAILED, "poll of \"%s\" has no next cursor",
                            url);
        }

        json_decref(page);

        rc = receiver_hold(receiver, feed, &next);
    } while (rc == CTL_OK && more);

    if (n > 0) {
        (void) printf("healed    %s %zu events by polling\n", feed, n);
    }

    (void) fflush(stdout);

    return rc;
}
