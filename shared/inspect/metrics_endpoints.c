/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Chooses the endpoints that are worst off, and writes their series.
 */

#include <stdlib.h>

#include "base/base.h"
#include "base/exposition.h"
#include "delivery/endpoint_state.h"
#include "delivery/figures.h"
#include "inspect/metrics_certificates.h"
#include "inspect/metrics_endpoints.h"
#include "inspect/watched.h"
#include "registry/registry.h"

/* No endpoint has this name. */
#define ES_WORST_REST  "other"

typedef enum {
    ES_WORST_STATE,
    ES_WORST_BACKLOG,
    ES_WORST_LAG,
    ES_WORST_ATTEMPTS,
    ES_WORST_SUCCESS,
    ES_WORST_CERTIFICATE,
    ES_WORST_RETRIES,
    ES_WORST_DEAD,
    ES_WORST_METRICS
} es_worst_metric_t;

typedef struct {
    es_watched_list_t  *watched;
    int64_t             now_ms;
} es_worst_figures_t;


static es_endpoint_state_t
es_worst_state(const es_watched_t *watched)
{
    return es_endpoint_state(&watched->facts);
}


static bool
es_worst_wrong(const es_watched_t *watched)
{
    if (watched->expiring) {
        return true;
    }

    switch (es_worst_state(watched)) {

    case ES_STATE_STOPPED:
    case ES_STATE_FAILING:
    case ES_STATE_STALLED:
        return true;

    case ES_STATE_DISABLED:
    case ES_STATE_PAUSED:
    case ES_STATE_UNVERIFIED:
    case ES_STATE_ACTIVE:
    case ES_STATES:
        break;
    }

    return false;
}


static int
es_worst_more(uint64_t a, uint64_t b)
{
    return a > b ? -1 : a < b;
}


static int
es_worst_order(const void *one, const void *two)
{
    int                         order;
    const es_watched_t         *a, *b;

    a = *(es_watched_t *const *) one;
    b = *(es_watched_t *const *) two;

    order = es_worst_more(es_worst_wrong(a), es_worst_wrong(b));

    if (order == 0) {
        order = es_worst_more(a->hour.attempts - a->hour.ok,
                              b->hour.attempts - b->hour.ok);
    }

    if (order == 0) {
        order = es_worst_more(a->backlog + a->retries,
                              b->backlog + b->retries);
    }

    return order != 0 ? order : es_worst_more(b->endpoint->number,
                                              a->endpoint->number);
}


static es_rc_t
es_worst_hour(void *ctx, uint32_t endpoint, const es_figures_t *figures)
{
    es_watched_t        *watched;
    es_worst_figures_t  *f = ctx;

    watched = es_watched_get(f->watched, endpoint);

    if (watched != NULL) {
        es_figures_total(figures, ES_SPAN_HOUR, f->now_ms, &watched->hour);
    }

    return ES_OK;
}


static void
es_worst_add(es_worst_t *worst, const es_watched_t *watched)
{
    worst->nrest++;
    worst->states[es_worst_state(watched)]++;
    worst->rest.backlog += watched->backlog;
    worst->rest.retries += watched->retries;
    worst->rest.dead += watched->dead;
    worst->rest.hour.attempts += watched->hour.attempts;
    worst->rest.hour.ok += watched->hour.ok;

    if (watched->expiry.ms != 0
        && (worst->rest.expiry.ms == 0
            || watched->expiry.ms < worst->rest.expiry.ms))
    {
        worst->rest.expiry = watched->expiry;
    }
}


es_rc_t
es_worst_choose(es_store_t *store, es_watched_list_t *watched, size_t max,
    int64_t now_ms, es_worst_t *worst)
{
    size_t              i, n;
    es_rc_t             rc;
    es_worst_figures_t  figures = { watched, now_ms };

    memset(worst, 0, sizeof(*worst));

    rc = es_delivery_each_figures(store, es_worst_hour, &figures);
    if (rc != ES_OK) {
        return rc;
    }

    worst->worst = calloc(watched->n + 1, sizeof(es_watched_t *));
    if (worst->worst == NULL) {
        return ES_NOMEM;
    }

    n = 0;

    for (i = 0; i < watched->n; i++) {
        if (watched->list[i].endpoint != NULL) {
            worst->worst[n++] = &watched->list[i];
        }
    }

    qsort(worst->worst, n, sizeof(es_watched_t *), es_worst_order);

    worst->n = n < max ? n : max;

    for (i = 0; i < n; i++) {
        if (i < worst->n) {
            worst->worst[i]->shown = true;

        } else {
            es_worst_add(worst, worst->worst[i]);
        }
    }

    return ES_OK;
}


void
es_worst_free(es_worst_t *worst)
{
    free(worst->worst);
    worst->worst = NULL;
}


static void
es_metrics_state(const es_worst_t *worst, const es_watched_t *watched,
    es_label_t *labels, size_t n, es_exposition_t *e)
{
    size_t               i;
    uint64_t             count;
    es_endpoint_state_t  state;

    state = watched->endpoint ? es_worst_state(watched) : ES_STATES;
    labels[n].name = "state";

    for (i = 0; i < ES_STATES; i++) {
        count = state == ES_STATES ? worst->states[i] : i == state;

        if (count > 0) {
            labels[n].value =
                es_str(es_endpoint_state_name((es_endpoint_state_t) i));
            es_metric(e, "", labels, n + 1, count);
        }
    }
}


/* Writes the samples of an endpoint, or of the rest. */

static void
es_metrics_endpoint(const es_worst_t *worst, const es_watched_t *watched,
    es_worst_metric_t metric, es_exposition_t *e)
{
    size_t      n;
    es_label_t  labels[3];

    labels[0].name = "endpoint";
    labels[0].value = watched->endpoint ? watched->endpoint->name
                                        : es_lit(ES_WORST_REST);
    n = 1;

    if (watched->endpoint != NULL) {
        labels[n].name = "partner";
        labels[n++].value = watched->endpoint->partner->name;
    }

    switch (metric) {

    case ES_WORST_STATE:
        es_metrics_state(worst, watched, labels, n, e);
        break;

    case ES_WORST_BACKLOG:
        es_metric(e, "", labels, n, watched->backlog);
        break;

    case ES_WORST_LAG:

        /* ages have no sum */

        if (watched->endpoint != NULL) {
            es_metric_ms(e, "", labels, n, (uint64_t) watched->lag_ms);
        }

        break;

    case ES_WORST_ATTEMPTS:
        es_metric(e, "", labels, n, watched->hour.attempts);
        break;

    case ES_WORST_SUCCESS:

        if (watched->hour.attempts > 0) {
            es_metric_us(e, "", labels, n, watched->hour.ok * 1000000
                                           / watched->hour.attempts);
        }

        break;

    case ES_WORST_CERTIFICATE:
        es_metrics_expiry(&watched->expiry, labels, n, e);
        break;

    case ES_WORST_RETRIES:
        es_metric(e, "", labels, n, watched->retries);
        break;

    case ES_WORST_DEAD:
        es_metric(e, "", labels, n, watched->dead);
        break;

    case ES_WORST_METRICS:
        break;
    }
}


void
es_metrics_endpoints(const es_worst_t *worst, bool counted,
    es_exposition_t *e)
{
    size_t    i;
    unsigned  k, n;

    static const struct {
        const char  *name;
        const char  *help;
    } families[ES_WORST_METRICS] = {
        [ES_WORST_STATE] = { "eventsync_endpoint_state", "1 for the state of "
                             "the endpoint." },
        [ES_WORST_BACKLOG] = { "eventsync_endpoint_backlog_events", "Events "
                               "after the endpoint's cursors." },
        [ES_WORST_LAG] = { "eventsync_endpoint_lag_seconds", "Age of the "
                           "oldest event that waits for the endpoint; 0: "
                           "none waits." },
        [ES_WORST_ATTEMPTS] = { "eventsync_endpoint_hour_attempts", "Attempts "
                                "of the last hour." },
        [ES_WORST_SUCCESS] = { "eventsync_endpoint_hour_success_ratio",
                               "Attempts of the last hour that succeeded, "
                               "divided by all." },
        [ES_WORST_CERTIFICATE] = {
            "eventsync_endpoint_certificate_expiry_timestamp_seconds", "When "
            "the first certificate of the endpoint's connections expires." },
        [ES_WORST_RETRIES] = { "eventsync_endpoint_retries", "Events of the "
                               "endpoint that wait for an attempt." },
        [ES_WORST_DEAD] = { "eventsync_endpoint_dead_letters", "Dead letters "
                            "of the endpoint." }
    };

    n = counted ? ES_WORST_METRICS : ES_WORST_RETRIES;

    for (k = 0; k < n; k++) {
        es_metric_family(e, families[k].name, "gauge", families[k].help);

        for (i = 0; i < worst->n; i++) {
            es_metrics_endpoint(worst, worst->worst[i], (es_worst_metric_t) k,
                                e);
        }

        if (worst->nrest > 0) {
            es_metrics_endpoint(worst, &worst->rest, (es_worst_metric_t) k, e);
        }
    }
}
