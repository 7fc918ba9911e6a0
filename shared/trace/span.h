/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A span as text: the JSON encoding of opentelemetry.proto.trace.v1.Span
 * (OTLP 1.5, "JSON Protobuf Encoding": ids are hexadecimal, and numbers of 64
 * bits are strings).
 *
 * The caller opens a span, writes its attributes and closes it.  The functions
 * fail only without memory; the text after a failure is of no use, and the
 * caller cuts the buffer to where it was.
 */

#ifndef ES_TRACE_SPAN_H
#define ES_TRACE_SPAN_H

#include "base/base.h"
#include "trace/context.h"

/* The numbers of the protocol. */
typedef enum {
    ES_SPAN_INTERNAL = 1,
    ES_SPAN_SERVER = 2,
    ES_SPAN_CLIENT = 3
} es_span_kind_t;

typedef struct {
    es_trace_t       trace;    /* the span's own ids, and the flags */
    const uint8_t   *parent;   /* ES_SPAN_ID bytes; NULL: it is a root */
    bool             remote;   /* the parent is of another process */
    es_span_kind_t   kind;
    const char      *name;     /* without '"' and '\' */
    int64_t          start_us; /* since the epoch, UTC */
    int64_t          end_us;
} es_otlp_span_t;

/* Begins a span; its attributes follow. */
es_rc_t es_span_open(es_buf_t *out, const es_otlp_span_t *span);

/* Writes an attribute.  A text that is not UTF-8 becomes empty, and one of
   over 256 bytes is cut. */
es_rc_t es_span_text(es_buf_t *out, const char *name, es_str_t value);
es_rc_t es_span_number(es_buf_t *out, const char *name, int64_t value);

/* Ends a span, with links to spans of other traces.  `error` says why the span
   failed, without '"' and '\'; NULL: it did not. */
es_rc_t es_span_close(es_buf_t *out, const es_trace_t *links, size_t nlinks,
    const char *error);

/*
 * Writes the id of a span that many attempts share, and that nobody stores: a
 * hash of the trace and of `data`, which tells it from all others of the
 * trace.
 */
void es_span_derive(const es_trace_t *trace, const void *data, size_t len,
    uint8_t span[ES_SPAN_ID]);

/*
 * Makes the trace of an event that has none, of what identifies the event, and
 * decides whether it is sampled: of all such events the share `share_ppm`, in
 * millionths, is.  False: this one is not.
 */
bool es_trace_pick(const void *data, size_t len, uint32_t share_ppm,
    es_trace_t *trace);

#endif /* ES_TRACE_SPAN_H */
