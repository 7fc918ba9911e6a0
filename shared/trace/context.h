/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The context of a trace: W3C Trace Context, levels 1 and 2.
 *
 * The header field `traceparent`, and the attribute of that name of
 * CloudEvents' Distributed Tracing extension, have the ids of a trace and of
 * one of its spans.  `tracestate` has what tracing systems add to them.
 */

#ifndef ES_TRACE_CONTEXT_H
#define ES_TRACE_CONTEXT_H

#include "base/base.h"

#define ES_TRACE_ID          16
#define ES_SPAN_ID           8
#define ES_TRACEPARENT_LEN   55    /* of version 00 */
#define ES_TRACESTATE_MAX    1024  /* bytes; an attribute may have as many */

/* Flags.  Others have no meaning yet and must not be sent. */
#define ES_TRACE_SAMPLED     0x01
#define ES_TRACE_RANDOM      0x02  /* level 2: the trace id is random */

typedef struct {
    uint8_t  id[ES_TRACE_ID];
    uint8_t  span[ES_SPAN_ID];
    uint8_t  flags;
} es_trace_t;

/*
 * Reads a value of `traceparent` of any version, with white space around it.
 * False: it is invalid and must be ignored as a whole, and `*trace` is
 * unchanged.
 */
bool es_trace_parse(es_str_t text, es_trace_t *trace);

/* Writes the value of version 00, without NUL, and returns its end. */
char *es_trace_print(const es_trace_t *trace, char *out);

/* Writes `len` bytes as lowercase hexadecimal digits, without NUL, and returns
   their end. */
char *es_trace_hex(const uint8_t *bytes, size_t len, char *out);

/* Gives the context another random span id.  ES_IO: there is none, and the
   context is unchanged. */
es_rc_t es_trace_span(es_trace_t *trace);

/* Makes a context of random ids with the flags "sampled" and "random".  ES_IO,
   which is recorded. */
es_rc_t es_trace_new(es_trace_t *trace);

/*
 * Checks a value of `tracestate`, of which several fields were joined by ',',
 * and writes it to `out` without empty members and white space.  A list that is
 * longer than ES_TRACESTATE_MAX loses members of more than 128 bytes first, and
 * then its last ones, as the specification advises.  Returns the length.  0: it
 * is empty or invalid, and must be ignored.
 */
size_t es_tracestate_clean(es_str_t text, char out[ES_TRACESTATE_MAX]);

#endif /* ES_TRACE_CONTEXT_H */
