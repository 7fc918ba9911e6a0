/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sends spans to a collector, in a thread: it is never in the way of a
 * delivery.
 */

#ifndef ESD_EXPORTER_H
#define ESD_EXPORTER_H

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "trace/otlp.h"
#include "trace/span.h"

#include "thread.h"
#include "types.h"

struct esd_exporter {
    esd_thread_t        thread;    /* its lock protects `otlp` */
    es_otlp_t           otlp;
    es_otlp_counts_t    recorded;  /* as they were written last */
    uint32_t            share_ppm; /* of events without a trace */

    /* The thread's. */
    CURL               *easy;
    struct curl_slist  *fields;
    char               *url;
    es_buf_t            answer;
    bool                failing;   /* and that was logged */
    _Atomic int64_t     ending_us; /* monotonic: no request lasts longer; 0:
                                      the process does not stop */
};

/* True for a URL that --otlp accepts. */
bool esd_exporter_ok(const char *text);
/* With --otlp, sets d->exporter, which else stays NULL.  Reads files and logs
   what is wrong with them. */
es_rc_t esd_exporter_init(esd_dispatcher_t *d);
/* Starts the thread. */
es_rc_t esd_exporter_start(esd_dispatcher_t *d);
/* Makes a last attempt to send what is left, for at most two seconds. */
void esd_exporter_finish(esd_dispatcher_t *d);

/* Begins a span, with the lock.  NULL: there is no room, and the lock is not
   held. */
es_buf_t *esd_exporter_begin(esd_exporter_t *x, const es_otlp_span_t *span);
/* Ends it, and releases the lock. */
void esd_exporter_end(esd_exporter_t *x, const es_trace_t *links,
    size_t nlinks, const char *error);

/* Copies the counters since the store was made.  False: they have not moved
   since the last call. */
bool esd_exporter_moved(esd_exporter_t *x, es_otlp_counts_t *counts);

#endif /* ESD_EXPORTER_H */
