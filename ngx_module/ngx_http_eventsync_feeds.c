/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Feeds: the list of feeds that the credential may read, and one feed. A
 * thread writes both, because a list takes time for each feed of the store.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_task.h"

#include "base/base.h"
#include "base/clock.h"
#include "event/cursor.h"
#include "log/feed.h"
#include "log/store_clock.h"
#include "read/reader.h"
#include "read/retention.h"
#include "store/txn.h"


/* ms: the time over which the event rate of a feed is measured */
#define NGX_HTTP_EVENTSYNC_RATE_TIME  60000


static void ngx_http_eventsync_feeds_run(ngx_http_eventsync_task_t *task);
static es_rc_t ngx_http_eventsync_feeds_list(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn, es_buf_t *out);
static es_rc_t ngx_http_eventsync_feed_object(es_txn_t *txn,
    const es_feed_t *feed, es_buf_t *out);
static es_rc_t ngx_http_eventsync_feed_limit(const char *name, uint64_t value,
    es_buf_t *out);
static es_rc_t ngx_http_eventsync_feed_overdue(es_txn_t *txn,
    const es_feed_t *feed, es_buf_t *out);
static es_rc_t ngx_http_eventsync_feed_rate(es_txn_t *txn,
    const es_feed_t *feed, es_buf_t *out);


ngx_int_t
ngx_http_eventsync_feeds(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t                   rc;
    ngx_http_eventsync_task_t  *task;

    task = ngx_http_eventsync_task_create(ctx,
                                          NGX_HTTP_EVENTSYNC_WORK_MANAGE);
    if (task == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    task->run = ngx_http_eventsync_feeds_run;
    task->answer = ngx_http_eventsync_task_json;

    rc = ngx_http_eventsync_task_post(task);

    return (rc == NGX_DECLINED) ? ngx_http_eventsync_send_problem(ctx) : rc;
}


/* the thread may read what the key was granted, which does not change */

static void
ngx_http_eventsync_feeds_run(ngx_http_eventsync_task_t *task)
{
    es_txn_t                  *txn;
    es_feed_t                  feed;
    ngx_http_eventsync_ctx_t  *ctx;

    ctx = task->ctx;

    task->rc = es_txn_begin(task->es, &txn);
    if (task->rc != ES_OK) {
        return;
    }

    if (ctx->feed.data == NULL) {
        task->rc = ngx_http_eventsync_feeds_list(ctx, txn, &task->out);

    } else {
        task->rc = es_feed_get(txn, ngx_http_eventsync_str(&ctx->feed),
                               &feed);

        if (task->rc == ES_OK) {
            task->rc = ngx_http_eventsync_feed_object(txn, &feed, &task->out);
        }
    }

    es_txn_end(txn);
}


static es_rc_t
ngx_http_eventsync_feeds_list(ngx_http_eventsync_ctx_t *ctx, es_txn_t *txn,
    es_buf_t *out)
{
    es_rc_t      es;
    es_str_t     name;
    es_feed_t    feed;
    const char  *comma;

    comma = "";
    feed.name[0] = '\0';

    es = es_buf_printf(out, "{\"feeds\":[");

    while (es == ES_OK) {
        es = es_feed_next(txn, es_str(feed.name), &feed);

        if (es == ES_NOT_FOUND) {
            return es_buf_printf(out, "]}");
        }

        if (es != ES_OK) {
            break;
        }

        name = es_str(feed.name);

        if (!ngx_http_eventsync_may_read(ctx, name)) {
            continue;
        }

        es = es_buf_printf(out, "%s", comma);
        comma = ",";

        if (es == ES_OK) {
            es = ngx_http_eventsync_feed_object(txn, &feed, out);
        }
    }

    return es;
}


static es_rc_t
ngx_http_eventsync_feed_object(es_txn_t *txn, const es_feed_t *feed,
    es_buf_t *out)
{
    char     oldest[ES_CURSOR_MAX], latest[ES_CURSOR_MAX];
    es_rc_t  es;

    (void) es_feed_cursor(feed, feed->oldest - 1, oldest);
    (void) es_feed_cursor(feed, feed->last, latest);

    es = es_buf_printf(out, "{\"name\":\"%s\",\"epoch\":\"%s\","
                       "\"oldest\":\"%s\",\"latest\":\"%s\","
                       "\"page_size\":%u,\"retention\":{",
                       feed->name, feed->epoch, oldest, latest,
                       feed->page_size);

    if (es == ES_OK) {
        es = ngx_http_eventsync_feed_limit("\"count\":", feed->retain_count,
                                           out);
    }

    if (es == ES_OK) {
        es = ngx_http_eventsync_feed_limit(",\"bytes\":", feed->retain_bytes,
                                           out);
    }

    if (es == ES_OK) {
        es = ngx_http_eventsync_feed_limit(",\"seconds\":",
                                           feed->retain_ms / 1000, out);
    }

    if (es == ES_OK) {
        es = ngx_http_eventsync_feed_overdue(txn, feed, out);
    }

    return (es == ES_OK) ? ngx_http_eventsync_feed_rate(txn, feed, out) : es;
}


/* present only while nobody applies the limits */

static es_rc_t
ngx_http_eventsync_feed_overdue(es_txn_t *txn, const es_feed_t *feed,
    es_buf_t *out)
{
    char                 text[ES_TIME_LEN];
    es_rc_t              es;
    int64_t              since;
    es_clock_verdict_t   clock;

    if (!es_feed_limited(feed)) {
        return ES_OK;
    }

    since = 0;

    es = es_clock_peek(txn, &clock, NULL);

    if (es == ES_OK) {
        es = es_feed_overdue(txn, feed, clock.time_ms, &since);
    }

    if (es != ES_OK || since == 0) {
        return es;
    }

    es_time_print(since, text);

    return es_buf_printf(out, ",\"overdue_since\":\"%.*s\"", ES_TIME_LEN,
                         text);
}


/* zero means "no limit", which is null in JSON */

static es_rc_t
ngx_http_eventsync_feed_limit(const char *name, uint64_t value, es_buf_t *out)
{
    if (value == 0) {
        return es_buf_printf(out, "%snull", name);
    }

    return es_buf_printf(out, "%s%llu", name, (unsigned long long) value);
}


/* found by a search by commit time: no event is counted one by one */

static es_rc_t
ngx_http_eventsync_feed_rate(es_txn_t *txn, const es_feed_t *feed,
    es_buf_t *out)
{
    es_rc_t      es;
    int64_t      now;
    uint64_t     n;
    ngx_time_t  *tp;

    tp = ngx_timeofday();
    now = (int64_t) tp->sec * 1000 + tp->msec;

    es = es_feed_since(txn, feed, now - NGX_HTTP_EVENTSYNC_RATE_TIME, &n);
    if (es != ES_OK) {
        return es;
    }

    /* rounded to thousandths of an event per second */

    n = (n * 1000 + NGX_HTTP_EVENTSYNC_RATE_TIME / 2000)
        / (NGX_HTTP_EVENTSYNC_RATE_TIME / 1000);

    return es_buf_printf(out, "},\"event_rate\":%llu.%03llu}",
                         (unsigned long long) n / 1000,
                         (unsigned long long) n % 1000);
}
