
/*
 * Long polls: requests that wait for the next commit.  No transaction is open
 * while they do.
 *
 * The bell wakes them after each commit; a tick, there only while somebody
 * waits, finds what a writer killed before ringing has left.
 */


#include "ngx_http_eventsync.h"


static void ngx_http_eventsync_answer(ngx_http_eventsync_ctx_t *ctx);
static void ngx_http_eventsync_timeout(ngx_event_t *ev);
static void ngx_http_eventsync_wait_cleanup(void *data);


ngx_int_t
ngx_http_eventsync_wait(ngx_http_eventsync_ctx_t *ctx)
{
    if (ngx_http_eventsync_hold(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_eventsync_park(ctx,
                            ngx_http_eventsync_until(ctx, ctx->poll->wait));

    return NGX_DONE;
}


/* keeps a request that is to be parked, and sees its client leave */

ngx_int_t
ngx_http_eventsync_hold(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_cleanup_t  *cln;
    ngx_http_request_t  *r;

    r = ctx->request;

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    /* as limit_req does */

    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);

    } else {
        if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    cln->handler = ngx_http_eventsync_wait_cleanup;
    cln->data = ctx;

    r->main->count++;

    return NGX_OK;
}


void
ngx_http_eventsync_park(ngx_http_eventsync_ctx_t *ctx, ngx_msec_t time)
{
    ngx_http_eventsync_poll_t    *poll;
    ngx_http_eventsync_worker_t  *w;

    w = ctx->worker;
    poll = ctx->poll;

    poll->timer.handler = ngx_http_eventsync_timeout;
    poll->timer.data = ctx;
    poll->timer.log = ctx->request->connection->log;
    ngx_add_timer(&poll->timer, time);

    poll->parked = 1;
    ngx_queue_insert_tail(&w->waiters, &poll->queue);
    ngx_http_eventsync_count_waiting(ctx, 1);

    if (!w->tick.timer_set) {
        ngx_add_timer(&w->tick, NGX_HTTP_EVENTSYNC_TICK);
    }
}


/*
 * Looks again for everybody in one transaction, and sends when it has ended.
 * With `all` nobody is left waiting.
 */

void
ngx_http_eventsync_wake(ngx_http_eventsync_worker_t *w, ngx_uint_t all)
{
    es_rc_t                     es;
    es_txn_t                   *txn;
    ngx_int_t                   rc;
    ngx_queue_t                *q, *next, ready;
    ngx_http_eventsync_ctx_t   *ctx;
    ngx_http_eventsync_poll_t  *poll;

    if (ngx_queue_empty(&w->waiters)) {
        return;
    }

    /* read first: what is committed from here on is seen by the next tick */

    w->version = es_store_version(w->es);

    es = es_txn_begin(w->es, &txn);

    if (es != ES_OK) {
        ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, ngx_errno,
                      "eventsync cannot wake waiting requests: %s",
                      es_strerror(es));
        w->version = 0;
        return;
    }

    ngx_queue_init(&ready);

    for (q = ngx_queue_head(&w->waiters);
         q != ngx_queue_sentinel(&w->waiters);
         q = next)
    {
        next = ngx_queue_next(q);

        poll = ngx_queue_data(q, ngx_http_eventsync_poll_t, queue);
        ctx = poll->ctx;

        rc = ctx->stream ? ngx_http_eventsync_stream_again(ctx, txn, all)
                         : ngx_http_eventsync_poll_again(ctx, txn, all);

        if (rc == NGX_AGAIN) {
            continue;
        }

        ngx_queue_remove(q);
        ngx_queue_insert_tail(&ready, q);
    }

    es_txn_end(txn);

    /* an answer can end other requests of its connection: take the head */

    while (!ngx_queue_empty(&ready)) {
        q = ngx_queue_head(&ready);

        poll = ngx_queue_data(q, ngx_http_eventsync_poll_t, queue);
        ctx = poll->ctx;

        ngx_http_eventsync_unpark(ctx);
        ngx_http_eventsync_answer(ctx);
    }
}


void
ngx_http_eventsync_tick(ngx_event_t *ev)
{
    ngx_http_eventsync_worker_t  *w = ev->data;

    if (ngx_exiting) {
        ngx_http_eventsync_wake(w, 1);

    } else if (es_store_version(w->es) != w->version
               || (w->registry
                   && es_registry_version(w->es)
                      != es_registry_loaded_version(w->registry)))
    {
        ngx_http_eventsync_wake(w, 0);
    }

    if (!ngx_queue_empty(&w->waiters)) {
        ngx_add_timer(ev, NGX_HTTP_EVENTSYNC_TICK);
    }
}


static void
ngx_http_eventsync_timeout(ngx_event_t *ev)
{
    ngx_http_eventsync_ctx_t  *ctx = ev->data;

    es_rc_t              es;
    es_txn_t            *txn;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    if (ctx->stream) {
        r = ctx->request;
        c = r->connection;

        ngx_http_set_log_request(c->log, r);
        ngx_http_eventsync_unpark(ctx);
        ngx_http_eventsync_stream_timeout(ctx);
        ngx_http_run_posted_requests(c);
        return;
    }

    es = es_txn_begin(ctx->worker->es, &txn);

    if (es == ES_OK) {
        (void) ngx_http_eventsync_poll_again(ctx, txn, 1);
        es_txn_end(txn);

    } else {
        (void) ngx_http_eventsync_fail_store(ctx, es);
    }

    ngx_http_eventsync_unpark(ctx);
    ngx_http_eventsync_answer(ctx);
}


static void
ngx_http_eventsync_answer(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_int_t            rc;
    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);

    ngx_log_debug2(NGX_LOG_DEBUG_HTTP, c->log, 0,
                   "eventsync wait ends: \"%V?%V\"", &r->uri, &r->args);

    if (ctx->stream) {
        ngx_http_eventsync_stream_run(ctx);
        ngx_http_run_posted_requests(c);
        return;
    }

    ngx_http_eventsync_limit_leave(ctx);

    rc = ctx->out ? ngx_http_eventsync_send_page(ctx)
                  : ngx_http_eventsync_send_problem(ctx);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


void
ngx_http_eventsync_unpark(ngx_http_eventsync_ctx_t *ctx)
{
    if (!ctx->poll->parked) {
        return;
    }

    ctx->poll->parked = 0;

    ngx_queue_remove(&ctx->poll->queue);
    ngx_http_eventsync_count_waiting(ctx, -1);

    if (ctx->poll->timer.timer_set) {
        ngx_del_timer(&ctx->poll->timer);
    }
}


static void
ngx_http_eventsync_wait_cleanup(void *data)
{
    ngx_http_eventsync_unpark(data);
}
