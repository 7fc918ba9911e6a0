/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Long polls: requests that wait for the next commit. They hold no transaction
 * while they wait.
 *
 * The store's bell wakes them after each commit (ngx_http_eventsync_wake.c).
 * If a writer was killed before it rang the bell, a tick finds its commit; the
 * tick runs only while requests wait.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_args.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_count.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_stream.h"
#include "ngx_http_eventsync_worker.h"


static void ngx_http_eventsync_timeout(ngx_event_t *ev);
static void ngx_http_eventsync_wait_cleanup(void *data);


ngx_int_t
ngx_http_eventsync_wait(ngx_http_eventsync_ctx_t *ctx)
{
    if (ngx_http_eventsync_hold(ctx) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_eventsync_park(ctx,
                            ngx_http_eventsync_until(ctx, ctx->args->wait));

    return NGX_DONE;
}


/* may be called again: a stream may have waited for its slot before */

ngx_int_t
ngx_http_eventsync_wait_create(ngx_http_eventsync_ctx_t *ctx)
{
    if (ctx->wait) {
        return NGX_OK;
    }

    ctx->wait = ngx_pcalloc(ctx->request->pool,
                            sizeof(ngx_http_eventsync_wait_t));
    if (ctx->wait == NULL) {
        return NGX_ERROR;
    }

    ctx->wait->ctx = ctx;

    return NGX_OK;
}


/* prepares a request for parking, and notices when its client leaves */

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

    if (ngx_http_eventsync_wait_create(ctx) != NGX_OK
        || ngx_http_eventsync_crowd_join(ctx) != NGX_OK)
    {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_eventsync_wait_cleanup;
    cln->data = ctx;

    return ngx_http_eventsync_stay(r);
}


/*
 * keeps the request for later, and notices when its client leaves, as
 * limit_req does
 */

ngx_int_t
ngx_http_eventsync_stay(ngx_http_request_t *r)
{
    if (r->connection->read->ready) {
        ngx_post_event(r->connection->read, &ngx_posted_events);

    } else {
        if (ngx_handle_read_event(r->connection->read, 0) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    r->read_event_handler = ngx_http_test_reading;
    r->write_event_handler = ngx_http_request_empty_handler;

    r->main->count++;

    return NGX_OK;
}


void
ngx_http_eventsync_park(ngx_http_eventsync_ctx_t *ctx, ngx_msec_t time)
{
    ngx_http_eventsync_wait_t    *wait;
    ngx_http_eventsync_worker_t  *w;

    w = ctx->worker;
    wait = ctx->wait;

    wait->timer.handler = ngx_http_eventsync_timeout;
    wait->timer.data = ctx;
    wait->timer.log = ctx->request->connection->log;
    ngx_add_timer(&wait->timer, time);

    wait->parked = 1;
    ngx_queue_insert_tail(&wait->crowd->waiters, &wait->queue);
    ngx_http_eventsync_count_waiting(ctx, 1);

    if (!w->tick.timer_set) {
        ngx_add_timer(&w->tick, NGX_HTTP_EVENTSYNC_TICK);
    }
}


/* a change may have brought the end of a parked request's credential nearer */

void
ngx_http_eventsync_park_until(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_msec_t      until;
    ngx_event_t    *timer;
    ngx_msec_int_t  left;

    if (ctx->expires_ms == 0
        || (ctx->stream && ctx->stream->state != NGX_HTTP_EVENTSYNC_IDLE))
    {
        return;
    }

    timer = &ctx->wait->timer;
    left = (ngx_msec_int_t) (timer->timer.key - ngx_current_msec);
    left = ngx_max(left, 0);
    until = ngx_http_eventsync_until(ctx, (ngx_msec_t) left);

    if (until < (ngx_msec_t) left) {
        ngx_add_timer(timer, until);
    }
}


static void
ngx_http_eventsync_timeout(ngx_event_t *ev)
{
    ngx_http_eventsync_ctx_t  *ctx = ev->data;

    ngx_connection_t    *c;
    ngx_http_request_t  *r;

    if (!ctx->stream) {
        ngx_http_eventsync_expire(ctx);
        return;
    }

    r = ctx->request;
    c = r->connection;

    ngx_http_set_log_request(c->log, r);
    ngx_http_eventsync_unpark(ctx);
    ngx_http_eventsync_stream_timeout(ctx);
    ngx_http_run_posted_requests(c);
}


void
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

    rc = (ctx->out || ctx->transfer)
         ? ngx_http_eventsync_send_page(ctx)
         : ngx_http_eventsync_send_problem(ctx);

    ngx_http_finalize_request(r, rc);
    ngx_http_run_posted_requests(c);
}


void
ngx_http_eventsync_unpark(ngx_http_eventsync_ctx_t *ctx)
{
    if (!ctx->wait->parked) {
        return;
    }

    ctx->wait->parked = 0;

    ngx_queue_remove(&ctx->wait->queue);
    ngx_http_eventsync_count_waiting(ctx, -1);

    if (ctx->wait->timer.timer_set) {
        ngx_del_timer(&ctx->wait->timer);
    }
}


static void
ngx_http_eventsync_wait_cleanup(void *data)
{
    ngx_http_eventsync_unpark(data);
    ngx_http_eventsync_crowd_leave(data);
}
