/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The trace context of an event: CloudEvents' Distributed Tracing extension,
 * which is the attributes `traceparent` and `tracestate`.
 *
 * They tell where the event's way began.  They are no content: a producer that
 * sends an event again sends it with another context.
 */

#ifndef ES_EVENT_TRACE_H
#define ES_EVENT_TRACE_H

#include "base/base.h"
#include "trace/context.h"

/*
 * Reads the attribute `traceparent` of a stored event, of which `text` has at
 * least all attributes and at most the member `data` is cut off.  False: there
 * is none, or it is invalid.
 */
bool es_event_trace(es_str_t text, es_trace_t *trace);

/* The same for `tracestate`, as es_tracestate_clean() does. */
size_t es_event_tracestate(es_str_t text, char out[ES_TRACESTATE_MAX]);

/* True if two lists of attributes, in the form in which events are stored, are
   the same apart from the trace context. */
bool es_event_same(es_str_t a, es_str_t b);

#endif /* ES_EVENT_TRACE_H */
