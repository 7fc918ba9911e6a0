/* SPDX-License-Identifier: BSD-2-Clause */

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "sink.h"

#define SINK_BYTES         (512 * 1024)    /* nginx takes 1m unless told */
#define SINK_RETRY_MAX_S   60


static bool
ctl_sink_blank(es_str_t text)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {
        if (strchr(" \t\r\n", text.data[i]) == NULL || text.data[i] == '\0') {
            return false;
        }
    }

    return true;
}


static int
ctl_sink_fault(const ctl_sink_t *sink, const es_problem_t *problem)
{
    char  where[40];

    if (sink->line > 0) {
        (void) snprintf(where, sizeof(where), "line %" PRIu64, sink->line);
    } else {
        (void) snprintf(where, sizeof(where), "event %d", problem->index + 1);
    }

    return ctl_fail(CTL_FAILED, "%s: %s%s%s", where, problem->pointer,
                    problem->pointer[0] ? ": " : "", problem->detail);
}


static int
ctl_sink_add_store(ctl_sink_t *sink, ctl_format_t format, es_str_t text)
{
    es_rc_t       rc;
    es_problem_t  problem;

    if (sink->batch == NULL) {
        sink->batch = es_batch_create(es_str(sink->feed), NULL);
    }

    if (sink->batch == NULL) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    switch (format) {

    case CTL_JSON:
        rc = es_batch_add(sink->batch, text.data, text.len, &problem);
        break;

    case CTL_BATCH:
        rc = es_batch_add_array(sink->batch, text.data, text.len, &problem);
        break;

    default: /* CTL_NDJSON */
        rc = es_batch_add_ndjson(sink->batch, text.data, text.len, &problem);
        break;
    }

    if (rc != ES_OK) {
        return ctl_sink_fault(sink, &problem);
    }

    sink->count = es_batch_count(sink->batch);

    return CTL_OK;
}


int
ctl_sink_add(ctl_sink_t *sink, ctl_format_t format, es_str_t text)
{
    if (text.len == 0) {
        text.data = "";
    }

    if (sink->http == NULL) {
        return ctl_sink_add_store(sink, format, text);
    }

    if (format == CTL_NDJSON && ctl_sink_blank(text)) {
        return CTL_OK;
    }

    if (es_buf_str(&sink->text, text) != ES_OK
        || es_buf_append(&sink->text, "\n", 1) != ES_OK)
    {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    sink->count++;

    return CTL_OK;
}


bool
ctl_sink_full(const ctl_sink_t *sink, uint64_t size)
{
    return sink->count >= size || sink->text.len >= SINK_BYTES;
}


static void
ctl_sink_print(const char *cursor, es_str_t id, bool duplicate, bool warning)
{
    (void) printf("%s %.*s%s%s\n", cursor, (int) id.len, id.data,
                  duplicate ? " duplicate" : "", warning ? " warning" : "");
}


/* One line for the first of a commit's: its index, and how many there are. */

static void
ctl_sink_warn(const ctl_sink_t *sink, size_t index, size_t count,
    const char *pointer, const char *detail)
{
    ctl_complain("warning: feed \"%s\": event %" PRIu64 ": %s: %s (%zu of "
                 "these %" PRIu64 " events)", sink->feed,
                 sink->before + index + 1, pointer, detail, count,
                 sink->count);
}


static int
ctl_sink_commit_store(ctl_sink_t *sink)
{
    size_t               i, warned;
    const es_result_t   *result;
    const es_problem_t  *problem;

    es_publish(sink->ctl->store, &sink->batch, 1);

    if (es_batch_rc(sink->batch) != ES_OK) {
        problem = es_batch_problem(sink->batch);

        return ctl_fail(CTL_FAILED, "feed \"%s\": event %" PRIu64 ": %s%s%s",
                        sink->feed, sink->before + 1
                        + (problem->index > 0 ? (unsigned) problem->index : 0),
                        problem->rc == ES_MISMATCH ? problem->pointer : "",
                        problem->rc == ES_MISMATCH ? ": " : "",
                        problem->detail);
    }

    warned = es_batch_warnings(sink->batch);

    for (i = 0; i < es_batch_count(sink->batch); i++) {
        result = es_batch_result(sink->batch, i);

        if (result->warning != NULL && warned > 0) {
            ctl_sink_warn(sink, i, warned, result->warning->pointer,
                          result->warning->detail);
            warned = 0;
        }

        if (sink->results) {
            ctl_sink_print(result->cursor, result->id, result->duplicate,
                           result->warning != NULL);
        }
    }

    sink->before += es_batch_count(sink->batch);
    es_batch_destroy(sink->batch);
    sink->batch = NULL;

    ctl_tell(sink->ctl, false);

    return CTL_OK;
}


static int
ctl_sink_refused(const ctl_sink_t *sink)
{
    char      what[ES_FEED_MAX + 48];
    uint64_t  index;

    if (ctl_http_count(sink->http, "index", &index)) {
        (void) snprintf(what, sizeof(what), "feed \"%s\": event %" PRIu64,
                        sink->feed, sink->before + index + 1);
    } else {
        (void) snprintf(what, sizeof(what), "feed \"%s\"", sink->feed);
    }

    return ctl_http_refused(sink->http, what);
}


static int
ctl_sink_results(ctl_sink_t *sink)
{
    int          rc, duplicate;
    size_t       i, n, first, warned;
    json_t      *answer, *results, *result, *warning, *said;
    const char  *id, *cursor;

    answer = json_loadb(sink->http->body.data, sink->http->body.len, 0, NULL);
    results = json_object_get(answer, "results");
    rc = CTL_OK;
    first = 0;
    warned = 0;
    said = NULL;

    json_array_foreach(results, i, result) {
        if (json_unpack(result, "{s:s%, s:s, s:b}", "id", &id, &n, "cursor",
                        &cursor, "duplicate", &duplicate) != 0)
        {
            rc = CTL_FAILED;
            break;
        }

        warning = json_object_get(result, "warning");

        if (warning != NULL && warned++ == 0) {
            first = i;
            said = warning;
        }

        if (sink->results) {
            ctl_sink_print(cursor, (es_str_t) { id, n }, duplicate != 0,
                           warning != NULL);
        }
    }

    if (rc != CTL_OK || json_array_size(results) == 0) {
        rc = ctl_fail(CTL_FAILED, "\"%s\" does not answer as eventsync does",
                      sink->http->url);
    }

    if (rc == CTL_OK && warned > 0) {
        ctl_sink_warn(sink, first, warned,
                      json_string_value(json_object_get(said, "pointer")),
                      json_string_value(json_object_get(said, "detail")));
    }

    sink->before += json_array_size(results);
    json_decref(answer);

    return rc;
}


/* An event that is there already is not stored again, so that a request may
   be repeated when it was too early. */

static int
ctl_sink_commit_http(ctl_sink_t *sink, ctl_format_t format)
{
    int       rc;
    unsigned  after_s;
    es_str_t  body;

    static const char *const  types[] = {
        "application/x-ndjson",
        "application/cloudevents+json",
        "application/cloudevents-batch+json"
    };

    body.data = sink->text.data;
    body.len = sink->text.len;

    for ( ;; ) {
        rc = ctl_http_post(sink->http, sink->feed, types[format], body);
        if (rc != CTL_OK) {
            return rc;
        }

        after_s = sink->http->retry_after_s;

        if (sink->http->status != 429 || after_s == 0
            || after_s > SINK_RETRY_MAX_S)
        {
            break;
        }

        (void) sleep(after_s);
    }

    if (sink->http->status != 201) {
        return ctl_sink_refused(sink);
    }

    sink->text.len = 0;

    return ctl_sink_results(sink);
}


int
ctl_sink_commit(ctl_sink_t *sink, ctl_format_t format)
{
    int  rc;

    if (sink->count == 0) {
        return CTL_OK;
    }

    rc = sink->http ? ctl_sink_commit_http(sink, format)
                    : ctl_sink_commit_store(sink);

    sink->count = 0;

    /* Whoever reads the results must be able to count on them. */

    if (fflush(stdout) != 0 && rc == CTL_OK) {
        return ctl_fail(CTL_FAILED, "cannot write to standard output");
    }

    return rc;
}


void
ctl_sink_free(ctl_sink_t *sink)
{
    es_batch_destroy(sink->batch);
    es_buf_free(&sink->text);
}
