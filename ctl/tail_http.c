/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "tail" by HTTP: polls the feed and prints its events.
 *
 * A server may allow a shorter wait than the one requested, or set a rate
 * limit; the command adapts to both.
 */

#include <stdio.h>
#include <unistd.h>

#include "tail.h"

#define TAIL_WAIT_S  30


/* Prints the body, which has one event per line, up to the limit. */

static int
ctl_tail_body(const ctl_http_t *http, ctl_tail_args_t *args)
{
    size_t       len;
    const char  *end;

    len = args->limited ? 0 : http->body.len;

    while (len < http->body.len && args->limit > 0) {
        end = memchr(http->body.data + len, '\n', http->body.len - len);
        len = end ? (size_t) (end + 1 - http->body.data) : http->body.len;
        args->limit--;
    }

    (void) fwrite(http->body.data, 1, len, stdout);

    return fflush(stdout) == 0
           ? CTL_OK : ctl_fail(CTL_FAILED, "cannot write to standard output");
}


/* For an answer without events: true when the request must be repeated. */

static bool
ctl_tail_again(const ctl_http_t *http, ctl_query_t *query)
{
    char      parameter[16];
    uint64_t  maximum;

    if (http->status == 429 && http->retry_after_s > 0) {
        (void) sleep(http->retry_after_s);
        return true;
    }

    /* The problem document states the longest wait that the location allows. */

    if (http->status == 400 && query->wait_s > 0
        && ctl_http_member(http, "parameter", parameter, sizeof(parameter))
        && strcmp(parameter, "wait") == 0
        && ctl_http_count(http, "maximum", &maximum)
        && maximum < query->wait_s)
    {
        query->wait_s = (unsigned) maximum;
        return maximum > 0;
    }

    return false;
}


static int
ctl_tail_polls(ctl_http_t *http, ctl_tail_args_t *args)
{
    int           rc;
    char          cursor[ES_CURSOR_MAX];
    ctl_query_t  *query;

    query = &args->query;
    query->wait_s = args->follow ? TAIL_WAIT_S : 0;

    do {
        rc = ctl_http_poll(http, query);
        if (rc != CTL_OK) {
            return rc;
        }

        if (http->status != 200) {
            if (ctl_tail_again(http, query)) {
                continue;
            }

            return ctl_http_refused(http, query->feed);
        }

        rc = ctl_tail_body(http, args);

        memcpy(cursor, http->next, sizeof(cursor));
        query->after = cursor;
        query->from = NULL;

    } while (rc == CTL_OK && (args->follow || http->status != 200
                              || http->has_more)
             && !(args->limited && args->limit == 0));

    return rc;
}


int
ctl_tail_http(const char *url, const char *key, ctl_tail_args_t *args)
{
    int         rc;
    ctl_http_t  http = { 0 };

    if (!es_feed_name_ok(es_str(args->query.feed))) {
        return ctl_fail(CTL_USAGE, "\"%s\" is not a feed's name",
                        args->query.feed);
    }

    rc = ctl_http_open(&http, "url", url, key);

    if (rc == CTL_OK) {
        rc = ctl_tail_polls(&http, args);
    }

    ctl_http_close(&http);

    return rc;
}
