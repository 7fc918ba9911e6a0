/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The destination of "publish": the store itself, or the HTTP interface.
 *
 * Events are collected and committed together; a commit stores all of them or
 * none.
 */

#ifndef CTL_SINK_H
#define CTL_SINK_H

#include "http.h"

typedef enum { CTL_NDJSON = 0, CTL_JSON, CTL_BATCH, CTL_TAIL } ctl_format_t;

typedef struct {
    ctl_t         *ctl;
    ctl_http_t    *http;           /* NULL: to the store */
    const char    *feed;
    bool           results;        /* print a line for each event */
    unsigned       batch_max;      /* events in a batch; 0: the default */
    uint64_t       line;           /* of the input, for errors; 0: the input has
                                      no lines */
    uint64_t       before;         /* events committed */
    uint64_t       count;          /* collected */
    uint64_t       stored;         /* of these, new in the store ... */
    uint64_t       duplicates;     /* ... and there already */
    uint64_t       warnings;       /* events that a schema warns of */
    uint64_t       replaced;       /* events with attributes of a log */
    es_batch_t    *batch;          /* to the store */
    es_buf_t       text;           /* by HTTP */
} ctl_sink_t;

/* Adds one line, or the whole input.  It changes a line of CTL_TAIL.
   CTL_FAILED with a message. */
int ctl_sink_add(ctl_sink_t *sink, ctl_format_t format, es_str_t text);

/* True when the collected events must be committed. */
bool ctl_sink_full(const ctl_sink_t *sink, uint64_t size);

int ctl_sink_commit(ctl_sink_t *sink, ctl_format_t format);

/* Tells on standard error what the commits have changed in events, and with
   --json prints the totals. */
void ctl_sink_report(const ctl_sink_t *sink, int rc);

void ctl_sink_free(ctl_sink_t *sink);

#endif /* CTL_SINK_H */
