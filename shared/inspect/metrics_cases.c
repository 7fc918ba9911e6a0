/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds the events of the latest cases, and makes exemplars of them.
 */

#include <stdio.h>

#include "base/base.h"
#include "event/trace.h"
#include "inspect/metrics_cases.h"
#include "log/feed.h"
#include "read/reader.h"
#include "store/txn.h"

_Static_assert(ES_CASES_N == ES_ATTEMPT_CLASSES + 2 * (ES_TALLY_BUCKETS + 1),
               "cases and exemplars correspond");
_Static_assert(offsetof(es_case_exemplars_t, texts)
               == ES_CASES_N * sizeof(es_exemplar_t),
               "exemplars are contiguous");


static void
es_case_label(es_exemplar_t *exemplar, const char *name, const char *value)
{
    es_label_t  *label;

    label = &exemplar->labels[exemplar->nlabels++];
    label->name = name;
    label->value = es_str(value);
}


/* An id that would not fit beside a trace gives way to the cursor. */

static void
es_case_exemplar(const es_case_of_t *c, const es_feed_t *feed,
    const es_event_t *event, es_exemplar_t *exemplar, es_case_text_t *text)
{
    es_trace_t  trace;

    exemplar->value_us = c->us;
    exemplar->time_ms = c->time_ms;

    if (es_event_trace(event->json, &trace)) {
        *es_trace_hex(trace.id, ES_TRACE_ID, text->trace) = '\0';
        es_case_label(exemplar, "trace_id", text->trace);
    }

    if (event->id.len <= ES_EXEMPLAR_MAX - sizeof("trace_id" "webhook_id") + 1
                         - 2 * ES_TRACE_ID)
    {
        (void) snprintf(text->id, sizeof(text->id), "%.*s",
                        (int) event->id.len, event->id.data);
        es_case_label(exemplar, "webhook_id", text->id);

    } else {
        (void) es_feed_cursor(feed, event->sequence, text->cursor);
        es_case_label(exemplar, "cursor", text->cursor);
    }
}


es_rc_t
es_case_exemplars(es_store_t *store, const es_report_feeds_t *feeds,
    es_case_exemplars_t *exemplars)
{
    size_t               i;
    es_rc_t              rc;
    es_txn_t            *txn;
    es_feed_t            feed;
    es_cases_t           cases;
    es_event_t           event;
    const es_case_of_t  *c;

    rc = es_delivery_cases(store, &cases);

    if (rc == ES_OK) {
        rc = es_txn_begin(store, &txn);
    }

    if (rc != ES_OK) {
        return rc;
    }

    for (i = 0; i < ES_CASES_N; i++) {
        c = &((const es_case_of_t *) &cases)[i];

        if (c->time_ms != 0
            && es_feed_get(txn, es_str(es_report_feed(feeds, c->feed)->name),
                           &feed) == ES_OK
            && feed.number == c->feed
            && es_event_get(txn, &feed, c->sequence, &event) == ES_OK
            && event.time_ms <= c->time_ms)
        {
            es_case_exemplar(c, &feed, &event,
                             &((es_exemplar_t *) exemplars)[i],
                             &exemplars->texts[i]);
        }
    }

    es_txn_end(txn);

    return ES_OK;
}
