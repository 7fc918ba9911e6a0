/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Spans on their way to a collector by OTLP/HTTP in JSON: the bounded buffer,
 * the body of a request, and what its answer means.
 *
 *     https://opentelemetry.io/docs/specs/otlp/  (OTLP 1.5)
 *
 * It knows no transport: a worker sends by nginx's event loop, the dispatcher
 * by libcurl.  A span is added with es_otlp_begin() and es_otlp_end().  When
 * es_otlp_due() says so, es_otlp_take() makes the next request of what has
 * been added.  The request stays the same until es_otlp_answer() says that it
 * is over.  Meanwhile others are added, up to the limit, and those beyond it
 * are dropped and counted.  So nothing grows while a collector is away.
 *
 * A caller with several threads protects the struct by a lock.  What
 * es_otlp_take() returned may be read without.
 */

#ifndef ES_TRACE_OTLP_H
#define ES_TRACE_OTLP_H

#include "base/base.h"
#include "trace/span.h"

#define ES_OTLP_PATH       "/v1/traces"
#define ES_OTLP_LINKS      32      /* of a span */
#define ES_OTLP_ANSWER     16384   /* bytes of an answer that are read */
#define ES_OTLP_MIN        65536   /* bytes of a buffer */
#define ES_OTLP_WAIT_MS    1000    /* a span waits so long for others */

/* What became of a span. */
typedef enum {
    ES_OTLP_EXPORTED = 0,
    ES_OTLP_DROPPED,           /* there was no room for it */
    ES_OTLP_REFUSED,           /* the collector refused the request */
    ES_OTLP_REJECTED,          /* the collector took the request but for it */
    ES_OTLP_FATES
} es_otlp_fate_t;

/* What became of a request. */
typedef enum {
    ES_OTLP_TAKEN = 0,
    ES_OTLP_PARTIAL,           /* some spans are rejected */
    ES_OTLP_GARBLED,           /* 200 with a body that is no answer */
    ES_OTLP_RETRIED,           /* it will be repeated */
    ES_OTLP_FAILED,            /* it was refused for good */
    ES_OTLP_OUTCOMES
} es_otlp_outcome_t;

typedef struct {
    uint64_t  spans[ES_OTLP_FATES];
    uint64_t  requests[ES_OTLP_OUTCOMES];
} es_otlp_counts_t;

typedef struct {
    size_t            max;         /* bytes of each buffer */
    size_t            prefix;      /* bytes before the first span */
    es_buf_t          filling;     /* the next request */
    size_t            nfilling;    /* its spans */
    size_t            open;        /* length before the span in progress */
    es_buf_t          sending;     /* the request under way; len 0: none */
    size_t            nsending;
    unsigned          failures;    /* of this request, one after the other */
    es_otlp_counts_t  counts;
    char              said[160];   /* what is wrong, NUL-terminated */
} es_otlp_t;

typedef struct {
    int       status;          /* 0: no answer */
    int64_t   retry_after_ms;  /* -1: none */
    es_str_t  body;            /* at most ES_OTLP_ANSWER bytes */
} es_otlp_answer_t;

extern const char *const  es_otlp_fates[ES_OTLP_FATES];
extern const char *const  es_otlp_outcomes[ES_OTLP_OUTCOMES];

/* Makes buffers of `max` bytes, at least ES_OTLP_MIN; es_otlp_free() frees
   them.  `service` is the resource's service.name.  ES_NOMEM, ES_IO. */
es_rc_t es_otlp_init(es_otlp_t *otlp, size_t max, const char *service);
void es_otlp_free(es_otlp_t *otlp);

/* Begins a span: its attributes are written to the buffer.  NULL: there is no
   room, and the span is dropped. */
es_buf_t *es_otlp_begin(es_otlp_t *otlp, const es_otlp_span_t *span);

/* Ends it; see es_span_close().  At most ES_OTLP_LINKS links are written. */
void es_otlp_end(es_otlp_t *otlp, const es_trace_t *links, size_t nlinks,
    const char *error);

/* True if the next request should not wait for more spans. */
bool es_otlp_due(const es_otlp_t *otlp);

/* Makes the next request; its body stays until es_otlp_answer() returns -1.
   False: there are no spans, or a request is under way. */
bool es_otlp_take(es_otlp_t *otlp, es_str_t *body);

/*
 * Judges the answer to the request.  Returns the milliseconds after which the
 * request must be repeated.  -1: it is over; es_otlp_take() makes the next one.
 * otlp->said has what is wrong, and is "" if nothing is.
 */
int64_t es_otlp_answer(es_otlp_t *otlp, const es_otlp_answer_t *answer);

/* Gives up the request under way, which counts as dropped. */
void es_otlp_drop(es_otlp_t *otlp);

/* Reads a share such as "0.01" or "1" into millionths.  ES_INVALID. */
es_rc_t es_otlp_share(es_str_t text, uint32_t *ppm);

#endif /* ES_TRACE_OTLP_H */
