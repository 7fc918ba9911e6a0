/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The spans of deliveries: one for the delivery of an event to an endpoint,
 * and one for each attempt below it.
 */

#ifndef ESD_TRACING_H
#define ESD_TRACING_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "read/reader.h"
#include "trace/context.h"

#include "item.h"
#include "types.h"

/* The trace of an event in a request. */
typedef struct {
    es_trace_t  trace;     /* with the span that published the event; no bit
                              is set in one that is not sampled */
    bool        root;      /* nobody has begun the trace */
    int64_t     time_ms;   /* of the commit */
} esd_traced_t;

/*
 * Finds the trace that the event's request continues: the event's own, or with
 * --otlp-share one of ours.  False: there is none.  With --otlp, the trace is
 * kept for the event at `i` of the request.
 */
bool esd_tracing_find(esd_send_t *send, const esd_lane_t *lane,
    const es_event_t *event, unsigned i, es_trace_t *trace);

/* The attempt is over.  Only with --otlp. */
void esd_tracing_attempt(esd_send_t *send, CURLcode result,
    const esd_outcome_t *o);

/* The delivery of an event of the request is over, too.  Only with --otlp. */
void esd_tracing_done(esd_send_t *send, const esd_item_t *item,
    const esd_outcome_t *o);

#endif /* ESD_TRACING_H */
