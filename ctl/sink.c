/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The destination of "publish".
 *
 * Events that the store refuses are reported with their line or number in the
 * input, counted over all commits.  By HTTP, a request is repeated after 429
 * with Retry-After: the store drops duplicates, so that this is safe.
 */

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/json.h"

#include "progress.h"
#include "sink.h"

#define SINK_BYTES         (512 * 1024)    /* nginx accepts 1m by default */
#define SINK_RETRY_MAX_S   60


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

    const es_limits_t  limits = { .count_max = sink->batch_max,
                                  .handling = ES_HANDLE_REPLACE };

    static es_rc_t  (*const add[])(es_batch_t *batch, const char *text,
        size_t len, es_problem_t *problem) =
    {
        [CTL_NDJSON] = es_batch_add_ndjson,
        [CTL_JSON] = es_batch_add,
        [CTL_BATCH] = es_batch_add_array
    };

    if (sink->batch == NULL) {
        sink->batch = es_batch_create(es_str(sink->feed), &limits);
    }

    if (sink->batch == NULL) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    rc = add[format](sink->batch, text.data, text.len, &problem);
    if (rc != ES_OK) {
        return ctl_sink_fault(sink, &problem);
    }

    sink->count = es_batch_count(sink->batch);

    return CTL_OK;
}


/*
 * Takes the log's own members out of a line that "tail" printed.  They follow
 * one another, and the first text like theirs is theirs: in a string before
 * them the quotes would be escaped.
 */

static int
ctl_sink_untail(const ctl_sink_t *sink, es_str_t *line)
{
    char        *from;
    const char  *to, *end;

    static const char  first[] = ",\"feed\":\"", last[] = ",\"prevcursor\":\"";

    if (line->len == 0) {
        return CTL_OK;
    }

    end = line->data + line->len;
    from = memmem(line->data, line->len, first, sizeof(first) - 1);
    to = from ? memmem(from, (size_t) (end - from), last, sizeof(last) - 1)
              : NULL;

    if (to != NULL) {
        to += sizeof(last) - 1;
        to = memchr(to, '"', (size_t) (end - to));
    }

    if (to == NULL) {
        return ctl_fail(CTL_FAILED, "line %llu: not a line of \"tail\"",
                        (unsigned long long) sink->line);
    }

    to++;
    memmove(from, to, (size_t) (end - to));
    line->len -= (size_t) (to - from);

    return CTL_OK;
}


int
ctl_sink_add(ctl_sink_t *sink, ctl_format_t format, es_str_t text)
{
    if (format == CTL_TAIL) {
        format = CTL_NDJSON;

        if (ctl_sink_untail(sink, &text) != CTL_OK) {
            return CTL_FAILED;
        }
    }

    if (text.len == 0) {
        text.data = "";
    }

    if (sink->http == NULL) {
        return ctl_sink_add_store(sink, format, text);
    }

    if (format == CTL_NDJSON && es_json_blank(text)) {
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


/* Counts an event after its commit, and prints it with --results. */

static void
ctl_sink_stored(ctl_sink_t *sink, const char *cursor, es_str_t id,
    bool duplicate, bool warning)
{
    json_t  *json;

    sink->duplicates += duplicate;
    sink->stored += !duplicate;
    sink->warnings += warning;

    if (!sink->results) {
        return;
    }

    ctl_progress_hide();

    if (!sink->ctl->json) {
        (void) printf("%s %.*s%s%s\n", cursor, (int) id.len, id.data,
                      duplicate ? " duplicate" : "", warning ? " warning" : "");
        return;
    }

    json = json_pack("{s:s, s:s%, s:b, s:b}", "cursor", cursor, "id", id.data,
                     id.len, "duplicate", duplicate, "warning", warning);
    ctl_print(json);
    json_decref(json);
}


/* Prints one line per commit: its first warning, and the number of warnings. */

static void
ctl_sink_warn(const ctl_sink_t *sink, size_t index, size_t count,
    const char *pointer, const char *detail)
{
    ctl_warn("warning: feed \"%s\": event %" PRIu64 ": %s: %s (%zu of "
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
        sink->replaced += (unsigned) result->replaced;

        if (result->warning != NULL && warned > 0) {
            ctl_sink_warn(sink, i, warned, result->warning->pointer,
                          result->warning->detail);
            warned = 0;
        }

        ctl_sink_stored(sink, result->cursor, result->id, result->duplicate,
                        result->warning != NULL);
    }

    sink->before += es_batch_count(sink->batch);
    es_batch_destroy(sink->batch);
    sink->batch = NULL;

    ctl_report(sink->ctl, false);

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
    json_t      *answer, *results, *result, *warning, *noted;
    const char  *id, *cursor;

    answer = json_loadb(sink->http->body.data, sink->http->body.len, 0, NULL);
    results = json_object_get(answer, "results");
    rc = CTL_OK;
    first = 0;
    warned = 0;
    noted = NULL;

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
            noted = warning;
        }

        ctl_sink_stored(sink, cursor, (es_str_t) { id, n }, duplicate != 0,
                        warning != NULL);
    }

    if (rc != CTL_OK || json_array_size(results) == 0) {
        rc = ctl_fail(CTL_FAILED, "\"%s\" does not answer like eventsync",
                      sink->http->url);
    }

    if (rc == CTL_OK && warned > 0) {
        ctl_sink_warn(sink, first, warned,
                      json_string_value(json_object_get(noted, "pointer")),
                      json_string_value(json_object_get(noted, "detail")));
    }

    sink->before += json_array_size(results);
    json_decref(answer);

    return rc;
}


/* A stored event is not stored again, so that a request may be repeated after
   429. */

static int
ctl_sink_commit_http(ctl_sink_t *sink, ctl_format_t format)
{
    int       rc;
    unsigned  after_s;
    es_str_t  body;

    static const char *const  types[] = {
        [CTL_NDJSON] = "application/x-ndjson",
        [CTL_JSON] = "application/cloudevents+json",
        [CTL_BATCH] = "application/cloudevents-batch+json"
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

    /* A result that was printed must reach its reader. */

    if (fflush(stdout) != 0 && rc == CTL_OK) {
        return ctl_fail(CTL_FAILED, "cannot write to standard output");
    }

    return rc;
}


/* The producer may have meant a sequence of its own. */

void
ctl_sink_report(const ctl_sink_t *sink, int rc)
{
    if (rc == CTL_OK && sink->before == 0) {
        ctl_note("the input has no event");
    }

    if (sink->replaced > 0) {
        ctl_warn("feed \"%s\": the log has replaced its own attributes "
                 "(feed, sequence, sequencetype, cursor, prevcursor) in "
                 "%" PRIu64 " of %" PRIu64 " events", sink->feed,
                 sink->replaced, sink->before);
    }

    ctl_result(sink->ctl,
               json_pack("{s:s, s:I, s:I, s:I}", "feed", sink->feed, "events",
                         (json_int_t) sink->before, "duplicates",
                         (json_int_t) sink->duplicates, "warnings",
                         (json_int_t) sink->warnings));
}


void
ctl_sink_free(ctl_sink_t *sink)
{
    es_batch_destroy(sink->batch);
    es_buf_free(&sink->text);
}
