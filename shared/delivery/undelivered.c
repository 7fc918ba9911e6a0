/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Counts the undelivered events of endpoints, by feed.
 */

#include <stdlib.h>

#include "base/base.h"
#include "delivery/away_feeds.h"
#include "delivery/delivery.h"
#include "delivery/report.h"
#include "delivery/undelivered.h"
#include "log/feed.h"

typedef struct {
    es_str_t                feed;
    uint64_t                before;
    es_report_feeds_t       feeds;
    es_buf_t                buf;       /* es_undelivered_t ... */
    size_t                  at;        /* item that the retries have reached */
} es_undelivered_walk_t;


static size_t
es_undelivered_n(const es_undelivered_walk_t *w)
{
    return w->buf.len / sizeof(es_undelivered_t);
}


static es_undelivered_t *
es_undelivered_at(const es_undelivered_walk_t *w, size_t i)
{
    return (es_undelivered_t *) (void *) w->buf.data + i;
}


static es_rc_t
es_undelivered_progress(void *ctx, const es_progress_t *p)
{
    unsigned                i;
    uint64_t                end;
    const es_feed_t        *feed;
    const es_away_t        *away;
    es_undelivered_t        u;
    es_undelivered_walk_t  *w = ctx;

    feed = es_report_feed(&w->feeds, p->feed);
    away = es_report_away(&w->feeds, p->endpoint, p->feed);

    if (feed->number == 0
        || (w->feed.len > 0 && !es_str_eq(w->feed, es_str(feed->name))))
    {
        return ES_OK;
    }

    memset(&u, 0, sizeof(u));
    u.endpoint = p->endpoint;
    u.away = away != NULL;

    if (away != NULL) {
        memcpy(u.name, away->name, sizeof(u.name));
    }

    memcpy(u.feed, feed->name, sizeof(feed->name));

    /* the events of an epoch that has ended are lost already */

    if (es_feed_has(feed, p->epoch, p->sequence)) {
        end = feed->last < w->before - 1 ? feed->last : w->before - 1;
        u.events = end > p->sequence ? end - p->sequence : 0;

        for (i = 0; i < p->npending; i++) {
            u.events += p->pending[i] < w->before;
        }
    }

    return es_buf_append(&w->buf, &u, sizeof(u));
}


/* Retries come in the order of the progress records. */

static es_rc_t
es_undelivered_retry(void *ctx, const es_retry_t *r)
{
    const char             *feed;
    es_undelivered_t       *u;
    es_undelivered_walk_t  *w = ctx;

    feed = es_report_feed(&w->feeds, r->feed)->name;

    for ( /* void */ ; w->at < es_undelivered_n(w); w->at++) {
        u = es_undelivered_at(w, w->at);

        if (u->endpoint == r->endpoint && strcmp(u->feed, feed) == 0) {
            u->events += r->sequence < w->before;
            break;
        }

        if (u->endpoint > r->endpoint) {
            break;
        }
    }

    return ES_OK;
}


es_rc_t
es_undelivered_load(es_store_t *store, uint32_t endpoint, es_str_t feed,
    uint64_t before, es_undelivered_list_t *out)
{
    es_rc_t                rc;
    es_undelivered_walk_t  w = { .feed = feed,
                                 .before = before > 0 ? before : 1 };

    memset(out, 0, sizeof(es_undelivered_list_t));

    rc = es_report_feeds_load(store, &w.feeds);

    if (rc == ES_OK) {
        rc = es_delivery_each_progress(store, endpoint,
                                       es_undelivered_progress, &w);
    }

    if (rc == ES_OK) {
        rc = es_delivery_each_retry(store, endpoint, es_undelivered_retry, &w);
    }

    es_report_feeds_free(&w.feeds);

    if (rc != ES_OK) {
        es_buf_free(&w.buf);
        return rc;
    }

    out->n = es_undelivered_n(&w);
    out->list = (es_undelivered_t *) (void *) w.buf.data;

    return ES_OK;
}


void
es_undelivered_free(es_undelivered_list_t *list)
{
    free(list->list);
    memset(list, 0, sizeof(es_undelivered_list_t));
}
