/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Wakes: finds the waiting requests that a commit or a revoked key concerns,
 * and answers them.
 *
 * The requests that wait for the same feed are a crowd. A wake reads the feed
 * of each crowd once; if the feed has changed, all members of the crowd are
 * due. Due requests are served in turns of the event loop, one of each crowd
 * after another, so that neither many waiters nor large pages delay other
 * requests.
 *
 * Within a turn all pages are composed before any is sent, because sending may
 * run the next request of a connection, which begins a transaction of its own.
 * A turn is therefore limited in bytes, too.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_stream.h"
#include "ngx_http_eventsync_worker.h"

#include "log/feed.h"
#include "registry/access.h"
#include "store/txn.h"


/* limits of one turn: waiters, and bytes composed for them */
#define NGX_HTTP_EVENTSYNC_WAKE_TURN   64
#define NGX_HTTP_EVENTSYNC_WAKE_BYTES  (1024 * 1024)


static ngx_uint_t ngx_http_eventsync_wake_all(
    ngx_http_eventsync_worker_t *w);
static void ngx_http_eventsync_turn(ngx_http_eventsync_worker_t *w,
    ngx_uint_t refresh, ngx_uint_t all);
static void ngx_http_eventsync_turn_event(ngx_event_t *ev);
static void ngx_http_eventsync_refresh(ngx_http_eventsync_worker_t *w,
    es_txn_t *txn, ngx_uint_t all);
static void ngx_http_eventsync_refresh_feed(ngx_http_eventsync_worker_t *w,
    es_txn_t *txn, ngx_http_eventsync_crowd_t *crowd);
static void ngx_http_eventsync_serve_expired(ngx_http_eventsync_worker_t *w,
    es_txn_t *txn, es_rc_t es, ngx_queue_t *ready);
static void ngx_http_eventsync_serve_due(ngx_http_eventsync_worker_t *w,
    es_txn_t *txn, ngx_queue_t *ready);
static void ngx_http_eventsync_send_ready(ngx_queue_t *ready);


void
ngx_http_eventsync_wake_init(ngx_http_eventsync_worker_t *w, ngx_log_t *log)
{
    ngx_rbtree_init(&w->crowds, &w->sentinel, ngx_str_rbtree_insert_value);
    ngx_queue_init(&w->due);
    ngx_queue_init(&w->expired);

    w->turn.handler = ngx_http_eventsync_turn_event;
    w->turn.data = w;
    w->turn.log = log;

    w->tick.handler = ngx_http_eventsync_tick;
    w->tick.data = w;
    w->tick.log = log;
}


/*
 * Joins the crowd of the request's feed. A crowd stores the feed head seen by
 * its first member; later members have seen at least that.
 */

ngx_int_t
ngx_http_eventsync_crowd_join(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_wait_t     *wait;
    ngx_http_eventsync_crowd_t    *crowd;
    ngx_http_eventsync_worker_t   *w;
    ngx_http_eventsync_reading_t  *reading;

    w = ctx->worker;
    reading = ctx->reading;
    wait = ctx->wait;

    crowd = ngx_http_eventsync_crowd(w, &ctx->feed);

    if (crowd == NULL) {
        crowd = ngx_calloc(sizeof(ngx_http_eventsync_crowd_t),
                           ctx->request->connection->log);
        if (crowd == NULL) {
            return NGX_ERROR;
        }

        /* the feed exists, so its name fits */

        ngx_memcpy(crowd->name, ctx->feed.data, ctx->feed.len);

        crowd->node.node.key = ngx_crc32_short(ctx->feed.data, ctx->feed.len);
        crowd->node.str.data = crowd->name;
        crowd->node.str.len = ctx->feed.len;

        ngx_memcpy(crowd->epoch, reading->key.epoch, sizeof(crowd->epoch));
        crowd->last = reading->scan;

        ngx_queue_init(&crowd->waiters);
        ngx_queue_init(&crowd->due);

        ngx_rbtree_insert(&w->crowds, &crowd->node.node);
    }

    crowd->refs++;
    wait->crowd = crowd;

    return NGX_OK;
}


/* the crowd that waits for the feed, or NULL */

ngx_http_eventsync_crowd_t *
ngx_http_eventsync_crowd(ngx_http_eventsync_worker_t *w, ngx_str_t *feed)
{
    return (ngx_http_eventsync_crowd_t *)
           ngx_str_rbtree_lookup(&w->crowds, feed,
                                 ngx_crc32_short(feed->data, feed->len));
}


void
ngx_http_eventsync_crowd_leave(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_crowd_t  *crowd;

    crowd = ctx->wait->crowd;

    if (crowd == NULL) {
        return;
    }

    ctx->wait->crowd = NULL;

    if (--crowd->refs) {
        return;
    }

    if (crowd->listed) {
        ngx_queue_remove(&crowd->queue);
    }

    ngx_rbtree_delete(&ctx->worker->crowds, &crowd->node.node);
    ngx_free(crowd);
}


/* queues a request whose wait is over, because many may end at once */

void
ngx_http_eventsync_expire(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_worker_t  *w;

    w = ctx->worker;

    ngx_queue_remove(&ctx->wait->queue);
    ngx_queue_insert_tail(&w->expired, &ctx->wait->queue);

    ngx_post_event(&w->turn, &ngx_posted_events);
}


void
ngx_http_eventsync_wake(ngx_http_eventsync_worker_t *w)
{
    ngx_uint_t  all;

    if (w->crowds.root == w->crowds.sentinel) {
        return;
    }

    all = ngx_http_eventsync_wake_all(w);

    if (all || es_store_version(w->es) != w->version) {
        ngx_http_eventsync_turn(w, 1, all);
    }
}


/*
 * the worker exits, or a change of the registry or of an issuer's file may have
 * revoked keys
 */

static ngx_uint_t
ngx_http_eventsync_wake_all(ngx_http_eventsync_worker_t *w)
{
    return ngx_exiting
           || (w->access
               && (ngx_http_eventsync_access(w) != ES_OK
                   || es_access_changes(w->access) != w->changes
                || ngx_http_eventsync_issuers_changes() != w->issuers));
}


void
ngx_http_eventsync_tick(ngx_event_t *ev)
{
    ngx_http_eventsync_worker_t  *w = ev->data;

    ngx_http_eventsync_claims_check(w);
    ngx_http_eventsync_wake(w);

    if (w->crowds.root != w->crowds.sentinel) {
        ngx_add_timer(ev, NGX_HTTP_EVENTSYNC_TICK);
    }
}


static void
ngx_http_eventsync_turn_event(ngx_event_t *ev)
{
    ngx_http_eventsync_turn(ev->data, 0, 0);
}


static void
ngx_http_eventsync_turn(ngx_http_eventsync_worker_t *w, ngx_uint_t refresh,
    ngx_uint_t all)
{
    es_rc_t      es;
    es_txn_t    *txn;
    ngx_queue_t  ready;

    ngx_queue_init(&ready);

    w->composed = 0;
    w->turns++;

    es = es_txn_begin(w->es, &txn);

    if (es == ES_OK) {

        if (refresh) {
            ngx_http_eventsync_refresh(w, txn, all);
        }

        ngx_http_eventsync_serve_expired(w, txn, es, &ready);
        ngx_http_eventsync_serve_due(w, txn, &ready);

        es_txn_end(txn);

    } else {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                      "eventsync cannot wake waiting requests: %s",
                      es_reason(es));

        /* makes the next tick check the feeds again */

        w->version = 0;

        ngx_http_eventsync_serve_expired(w, NULL, es, &ready);
    }

    ngx_http_eventsync_send_ready(&ready);

    if (!ngx_queue_empty(&w->expired)
        || (es == ES_OK && !ngx_queue_empty(&w->due)))
    {
        ngx_post_event(&w->turn, &ngx_posted_next_events);
    }
}


/* makes due the crowds whose feed has changed, or all */

static void
ngx_http_eventsync_refresh(ngx_http_eventsync_worker_t *w, es_txn_t *txn,
    ngx_uint_t all)
{
    ngx_rbtree_node_t           *node;
    ngx_http_eventsync_crowd_t  *crowd;

    w->changes = w->access ? es_access_changes(w->access) : 0;
    w->issuers = ngx_http_eventsync_issuers_changes();

    /*
     * the number of this transaction, not the newest one in shared memory: a
     * commit has a number before readers can see it
     */

    w->version = es_txn_version(txn);

    for (node = ngx_rbtree_min(w->crowds.root, w->crowds.sentinel);
         node;
         node = ngx_rbtree_next(&w->crowds, node))
    {
        crowd = (ngx_http_eventsync_crowd_t *) node;

        ngx_http_eventsync_refresh_feed(w, txn, crowd);

        if (crowd->rc == ES_OK) {

            if (!all
                && crowd->feed.last == crowd->last
                && ngx_strcmp(crowd->feed.epoch, crowd->epoch) == 0)
            {
                continue;
            }

            ngx_memcpy(crowd->epoch, crowd->feed.epoch,
                       sizeof(crowd->epoch));
            crowd->last = crowd->feed.last;
        }

        if (ngx_queue_empty(&crowd->waiters)) {
            continue;
        }

        ngx_queue_add(&crowd->due, &crowd->waiters);
        ngx_queue_init(&crowd->waiters);

        if (!crowd->listed) {
            crowd->listed = 1;
            ngx_queue_insert_tail(&w->due, &crowd->queue);
        }
    }
}


/* reads the crowd's feed, once in a turn */

static void
ngx_http_eventsync_refresh_feed(ngx_http_eventsync_worker_t *w, es_txn_t *txn,
    ngx_http_eventsync_crowd_t *crowd)
{
    if (crowd->turn == w->turns) {
        return;
    }

    crowd->turn = w->turns;
    crowd->rc = es_feed_get(txn, ngx_http_eventsync_str(&crowd->node.str),
                            &crowd->feed);
}


/* without a transaction, the requests fail with the reason */

static void
ngx_http_eventsync_serve_expired(ngx_http_eventsync_worker_t *w,
    es_txn_t *txn, es_rc_t es, ngx_queue_t *ready)
{
    ngx_uint_t                  n;
    ngx_queue_t                *q;
    ngx_http_eventsync_wait_t  *wait;

    for (n = 0; n < NGX_HTTP_EVENTSYNC_WAKE_TURN; n++) {

        if (ngx_queue_empty(&w->expired)
            || w->composed >= NGX_HTTP_EVENTSYNC_WAKE_BYTES)
        {
            return;
        }

        q = ngx_queue_head(&w->expired);
        wait = ngx_queue_data(q, ngx_http_eventsync_wait_t, queue);

        if (txn) {
            ngx_http_eventsync_refresh_feed(w, txn, wait->crowd);
            (void) ngx_http_eventsync_poll_again(wait->ctx, txn,
                                                 wait->crowd->rc,
                                                 &wait->crowd->feed, 1);

        } else {
            (void) ngx_http_eventsync_fail_store(wait->ctx, es);
        }

        ngx_queue_remove(q);
        ngx_queue_insert_tail(ready, q);
    }
}


static void
ngx_http_eventsync_serve_due(ngx_http_eventsync_worker_t *w, es_txn_t *txn,
    ngx_queue_t *ready)
{
    ngx_int_t                    rc;
    ngx_uint_t                   n;
    ngx_queue_t                 *q;
    ngx_http_eventsync_wait_t   *wait;
    ngx_http_eventsync_crowd_t  *crowd;

    for (n = 0; n < NGX_HTTP_EVENTSYNC_WAKE_TURN; n++) {

        if (ngx_queue_empty(&w->due)
            || w->composed >= NGX_HTTP_EVENTSYNC_WAKE_BYTES)
        {
            return;
        }

        q = ngx_queue_head(&w->due);
        crowd = ngx_queue_data(q, ngx_http_eventsync_crowd_t, queue);

        /* another one each time, which the analyzer does not see:
           NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        ngx_queue_remove(q);
        crowd->listed = 0;

        /* all due requests may have left */

        if (ngx_queue_empty(&crowd->due)) {
            continue;
        }

        ngx_http_eventsync_refresh_feed(w, txn, crowd);

        q = ngx_queue_head(&crowd->due);
        wait = ngx_queue_data(q, ngx_http_eventsync_wait_t, queue);

        rc = wait->ctx->stream
             ? ngx_http_eventsync_stream_again(wait->ctx, crowd->rc,
                                               &crowd->feed)
             : ngx_http_eventsync_poll_again(wait->ctx, txn, crowd->rc,
                                             &crowd->feed, ngx_exiting);

        if (rc == NGX_AGAIN) {
            ngx_http_eventsync_park_until(wait->ctx);
        }

        ngx_queue_remove(q);
        ngx_queue_insert_tail((rc == NGX_AGAIN) ? &crowd->waiters : ready, q);

        if (!ngx_queue_empty(&crowd->due)) {
            crowd->listed = 1;
            ngx_queue_insert_tail(&w->due, &crowd->queue);
        }
    }
}


static void
ngx_http_eventsync_send_ready(ngx_queue_t *ready)
{
    ngx_queue_t                *q;
    ngx_http_eventsync_wait_t  *wait;

    /* an answer can end other requests of its connection: take the head */

    while (!ngx_queue_empty(ready)) {
        q = ngx_queue_head(ready);
        wait = ngx_queue_data(q, ngx_http_eventsync_wait_t, queue);

        ngx_http_eventsync_unpark(wait->ctx);
        ngx_http_eventsync_answer(wait->ctx);
    }
}
