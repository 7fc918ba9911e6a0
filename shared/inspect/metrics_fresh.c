/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Metrics of the promises of feeds, and of how webhooks and polls kept them.
 */

#include <stdlib.h>
#include <string.h>

#include "base/base.h"
#include "base/exposition.h"
#include "base/fresh.h"
#include "delivery/fresh.h"
#include "delivery/report.h"
#include "inspect/metrics.h"
#include "inspect/metrics_fresh.h"
#include "limit/polls.h"
#include "log/feed.h"
#include "registry/registry.h"

typedef struct {
    const es_feed_t  *feed;
    uint32_t          within_ms;
    es_fresh_t        webhooks;
    es_fresh_t        polls;
} es_promise_t;

typedef struct {
    const es_metrics_t       *m;
    const es_report_feeds_t  *feeds;
    es_promise_t             *promises;
    size_t                    n;
} es_promises_t;


static int
es_promises_compare(const void *key, const void *feed)
{
    return strcmp(key, ((const es_feed_t *) feed)->name);
}


/* NULL: the feed does not exist. */

static const es_feed_t *
es_promises_feed(const es_promises_t *p, es_str_t name)
{
    char  text[ES_FEED_MAX + 1] = "";

    memcpy(text, name.data, name.len < ES_FEED_MAX ? name.len : ES_FEED_MAX);

    return bsearch(text, p->feeds->feeds, p->feeds->n, sizeof(es_feed_t),
                   es_promises_compare);
}


static es_rc_t
es_on_rule(void *ctx, es_str_t name, es_str_t text)
{
    es_rc_t          rc;
    es_promise_t    *promise;
    es_promises_t   *p = ctx;
    es_feed_rule_t   rule;

    rc = es_registry_rule_read(text, &rule);

    /* a damaged rule is left out, and the others are still reported */

    if (rc != ES_OK || rule.fresh_within_ms == 0 || p->n == p->feeds->n) {
        return rc == ES_NOMEM ? rc : ES_OK;
    }

    promise = &p->promises[p->n];
    promise->feed = es_promises_feed(p, name);

    if (promise->feed == NULL) {
        return ES_OK;
    }

    promise->within_ms = rule.fresh_within_ms;
    p->n++;

    if (p->m->polls != NULL) {
        es_polls_fresh(p->m->polls, promise->feed->number, &promise->polls);
    }

    return ES_OK;
}


static void
es_promise_write(es_exposition_t *e, const es_promise_t *promise,
    const char *channel, const es_fresh_t *fresh)
{
    unsigned    i;
    es_label_t  labels[3];

    labels[0].name = "feed";
    labels[0].value = es_str(promise->feed->name);
    labels[1].name = "channel";
    labels[1].value = es_str(channel);
    labels[2].name = "result";

    for (i = 0; i < ES_FRESH_VERDICTS; i++) {
        labels[2].value = es_str(es_fresh_name((es_fresh_verdict_t) i));
        es_metric(e, "", labels, 3, fresh->counts[i]);
    }
}


static void
es_promises_write(const es_promises_t *p, es_exposition_t *e)
{
    size_t      i;
    es_label_t  label = { "feed", es_null_str };

    es_metric_family(e, "eventsync_feed_fresh_within_seconds", "gauge",
                     "Promised time from the commit of an event to its "
                     "delivery and poll.");

    for (i = 0; i < p->n; i++) {
        label.value = es_str(p->promises[i].feed->name);
        es_metric_ms(e, "", &label, 1, p->promises[i].within_ms);
    }

    es_metric_family(e, "eventsync_feed_fresh_total", "counter",
                     "Delivered events, and answers to polls, of feeds with a "
                     "promise: kept, missed, or late for a reason of the "
                     "receiver.");

    for (i = 0; i < p->n; i++) {
        es_promise_write(e, &p->promises[i], "webhook",
                         &p->promises[i].webhooks);
        es_promise_write(e, &p->promises[i], "poll", &p->promises[i].polls);
    }
}


es_rc_t
es_metrics_fresh(const es_metrics_t *m, const es_report_feeds_t *feeds,
    es_exposition_t *e)
{
    size_t         i;
    es_rc_t        rc;
    es_promises_t  p = { .m = m, .feeds = feeds };

    p.promises = calloc(feeds->n + 1, sizeof(es_promise_t));
    if (p.promises == NULL) {
        return ES_NOMEM;
    }

    rc = es_registry_each(m->store, ES_KIND_FEED, es_null_str, es_on_rule, &p);

    for (i = 0; rc == ES_OK && i < p.n; i++) {
        rc = es_delivery_fresh(m->store, p.promises[i].feed->number,
                               &p.promises[i].webhooks);
    }

    if (rc == ES_OK) {
        es_promises_write(&p, e);
    }

    free(p.promises);

    return rc;
}
