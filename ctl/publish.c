/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "publish": reads events from standard input and commits them in batches.
 */

#include <unistd.h>

#include "input.h"
#include "progress.h"
#include "sink.h"

#define CTL_PUBLISH_BATCH  1000


static int
ctl_publish_input(es_rc_t rc)
{
    return ctl_fail(CTL_FAILED, rc == ES_NOMEM ? "out of memory"
                                               : "cannot read standard input");
}


/* Progress of a file is in bytes, and of other input in events.  A user who
   types events sees none.  True: it is a file. */

static bool
ctl_publish_progress(const ctl_input_t *input)
{
    uint64_t  bytes;

    bytes = ctl_input_size(input);

    if (bytes > 0) {
        ctl_progress_begin("publish", CTL_BYTES, bytes);

    } else if (!isatty(input->fd)) {
        ctl_progress_begin("publish", CTL_EVENTS, 0);
    }

    return bytes > 0;
}


/* Commits after each `size` lines, and when the next line has not arrived yet,
   so that endless input is published as it comes. */

static int
ctl_publish_lines(ctl_sink_t *sink, ctl_input_t *input, ctl_format_t format,
    uint64_t size)
{
    int       rc;
    bool      size_known;
    es_rc_t   es;
    es_str_t  line;

    size_known = ctl_publish_progress(input);

    while ((es = ctl_input_line(input, &line)) == ES_OK) {
        sink->line++;

        rc = ctl_sink_add(sink, format, line);

        if (rc == CTL_OK
            && (ctl_sink_full(sink, size) || !ctl_input_ready(input)))
        {
            rc = ctl_sink_commit(sink, CTL_NDJSON);
        }

        if (rc != CTL_OK) {
            return rc;
        }

        ctl_progress(size_known ? input->taken : sink->before);
    }

    return es == ES_NOT_FOUND ? ctl_sink_commit(sink, CTL_NDJSON)
                              : ctl_publish_input(es);
}


/* The whole input is one event or one array of events, and one commit. */

static int
ctl_publish_whole(ctl_sink_t *sink, ctl_input_t *input, ctl_format_t format)
{
    int       rc;
    es_rc_t   es;
    es_str_t  text;

    es = ctl_input_all(input, &text);
    if (es != ES_OK) {
        return ctl_publish_input(es);
    }

    rc = ctl_sink_add(sink, format, text);

    return rc == CTL_OK ? ctl_sink_commit(sink, format) : rc;
}


static int
ctl_publish_run(ctl_sink_t *sink, ctl_format_t format, uint64_t size)
{
    int          rc;
    ctl_input_t  input = { .fd = STDIN_FILENO };

    rc = format == CTL_NDJSON || format == CTL_TAIL
         ? ctl_publish_lines(sink, &input, format, size)
         : ctl_publish_whole(sink, &input, format);
    ctl_input_free(&input);

    return rc;
}


static int
ctl_publish_format(const char *text, ctl_format_t *format)
{
    if (strcmp(text, "ndjson") == 0) {
        *format = CTL_NDJSON;

    } else if (strcmp(text, "json") == 0) {
        *format = CTL_JSON;

    } else if (strcmp(text, "batch") == 0) {
        *format = CTL_BATCH;

    } else if (strcmp(text, "tail") == 0) {
        *format = CTL_TAIL;

    } else {
        return ctl_fail(CTL_USAGE, "\"--format=%s\" is not ndjson, json, "
                        "batch or tail", text);
    }

    return CTL_OK;
}


int
ctl_publish(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    uint64_t      size;
    const char   *name = NULL, *batch = NULL, *results = NULL, *url = NULL,
                 *key = NULL;
    ctl_sink_t    sink = { 0 };
    ctl_http_t    http = { 0 };
    ctl_format_t  format;

    const ctl_option_t  options[] = {
        { "format", &name },
        { "batch", &batch },
        { "results", &results },
        { "url", &url },
        { "key", &key },
        { NULL, NULL }
    };

    size = CTL_PUBLISH_BATCH;
    format = CTL_NDJSON;
    ctl->input = "the events";

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK && name != NULL) {
        rc = ctl_publish_format(name, &format);
    }

    if (rc == CTL_OK && batch != NULL) {
        rc = ctl_number("batch", batch, 1, 10000, &size);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    if (url == NULL && key != NULL) {
        return ctl_fail(CTL_USAGE, "\"--key\" needs \"--url\"");
    }

    if (url != NULL && !es_feed_name_ok(es_str(argv[0]))) {
        return ctl_fail(CTL_USAGE, "\"%s\" is not a feed's name", argv[0]);
    }

    sink.ctl = ctl;
    sink.feed = argv[0];
    sink.results = results != NULL;
    sink.http = url ? &http : NULL;

    rc = url ? ctl_http_open(&http, "url", url, key)
             : ctl_open(ctl, ES_STORE_PUBLISH);

    if (rc == CTL_OK) {
        rc = ctl_publish_run(&sink, format, size);
        ctl_progress_end();
        ctl_sink_report(&sink, rc);
    }

    ctl_sink_free(&sink);
    ctl_http_close(&http);

    return rc;
}
