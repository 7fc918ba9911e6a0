/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Joins the dates of the catalogue with the types that feeds have.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "catalogue/catalogue.h"
#include "catalogue/deprecated.h"
#include "delivery/report.h"
#include "log/feed.h"
#include "log/feed_types.h"
#include "manage/deprecations.h"
#include "registry/patterns.h"
#include "store/txn.h"

typedef struct {
    const es_report_feeds_t  *feeds;
    es_deprecation_reads_fn   reads;
    void                     *ctx;
    es_txn_t                 *txn;     /* of the log */
    es_deprecations_t        *out;
} es_deprecations_walk_t;


/* Adds the names of the feeds that keep events of the type. */

static es_rc_t
es_deprecation_feeds(const es_deprecations_walk_t *w,
    const es_deprecated_t *found, json_t *names)
{
    size_t            i;
    es_rc_t           rc;
    uint32_t          type;
    const es_feed_t  *feed;

    rc = es_type_number(w->txn, found->type, &type);
    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    for (i = 0; i < w->feeds->n; i++) {
        feed = &w->feeds->feeds[i];

        if ((found->feeds->n > 0
             && !es_patterns_match(found->feeds, es_str(feed->name)))
            || (w->reads != NULL && !w->reads(w->ctx, es_str(feed->name))))
        {
            continue;
        }

        rc = es_feed_type(w->txn, feed->number, type);

        if (rc == ES_OK
            && json_array_append_new(names, json_string(feed->name)) != 0)
        {
            rc = ES_NOMEM;
        }

        if (rc != ES_OK && rc != ES_NOT_FOUND) {
            return rc;
        }
    }

    return ES_OK;
}


static es_rc_t
es_on_deprecated(void *ctx, const es_deprecated_t *found)
{
    es_deprecation_t        *d;
    es_deprecations_walk_t  *w = ctx;

    if (w->out->n == ES_DEPRECATIONS_MAX) {
        w->out->all = false;
        return ES_STOP;
    }

    d = &w->out->list[w->out->n];
    d->feeds = json_array();

    if (d->feeds == NULL) {
        return ES_NOMEM;
    }

    w->out->n++;
    d->lifetime = found->lifetime;
    (void) snprintf(d->type, sizeof(d->type), "%.*s", (int) found->type.len,
                    found->type.data);
    (void) snprintf(d->version, sizeof(d->version), "%.*s",
                    (int) found->version.len, found->version.data);
    (void) snprintf(d->successor, sizeof(d->successor), "%s",
                    found->successor);

    return es_deprecation_feeds(w, found, d->feeds);
}


es_rc_t
es_deprecations_load(es_store_t *store, const es_report_feeds_t *feeds,
    es_deprecation_reads_fn reads, void *ctx, es_deprecations_t *out)
{
    es_rc_t                 rc;
    es_deprecations_walk_t  w = { .feeds = feeds, .reads = reads, .ctx = ctx,
                                  .out = out };

    out->all = true;
    out->list = calloc(ES_DEPRECATIONS_MAX, sizeof(es_deprecation_t));
    if (out->list == NULL) {
        return ES_NOMEM;
    }

    rc = es_txn_begin(store, &w.txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_catalogue_each_deprecated(store, es_on_deprecated, &w);
    es_txn_end(w.txn);

    return rc == ES_STOP ? ES_OK : rc;
}


void
es_deprecations_free(es_deprecations_t *deprecations)
{
    size_t  i;

    for (i = 0; i < deprecations->n; i++) {
        json_decref(deprecations->list[i].feeds);
    }

    free(deprecations->list);
    memset(deprecations, 0, sizeof(*deprecations));
}


static json_t *
es_deprecation_time(int64_t ms)
{
    char  time[ES_TIME_LEN];

    if (ms == 0) {
        return json_null();
    }

    es_time_print(ms, time);

    return json_stringn(time, sizeof(time));
}


json_t *
es_deprecation_report(const es_deprecation_t *d, json_t *feeds)
{
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:O}",
                     "type", d->type, "version", d->version,
                     "deprecated", es_deprecation_time(
                                       d->lifetime.deprecated_ms),
                     "sunset", es_deprecation_time(d->lifetime.sunset_ms),
                     "successor", d->successor[0] != '\0'
                                  ? json_string(d->successor) : json_null(),
                     "feeds", feeds);
}
