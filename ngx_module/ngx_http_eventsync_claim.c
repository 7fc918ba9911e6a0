/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Claims: a reader that reconnects to its stream may find no free slot,
 * because its old stream is dead and nobody has noticed it.
 *
 * The reader waits for half a second at most. If the old stream is about to
 * end, that frees the slot. Otherwise the reader's worker writes a claim to
 * shared memory, and the worker that has such a stream ends it. The slot is
 * counted once at any time.
 *
 * A stream belongs to the reader only if key, feed, epoch and filter are the
 * same, it was sent the id that the reader gives, and its client either has
 * the same address or has acknowledged nothing for a while. If two streams are
 * alike, such as those of two tabs of a browser, the wrong one may be ended;
 * its reader then reconnects and claims the right one. A claimed slot is safe
 * for ten seconds, so that two readers with one slot do not drive each other
 * out.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_stream.h"
#include "ngx_http_eventsync_worker.h"

#include "base/clock.h"
#include "keys/apikey.h"

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdatomic.h>


#define NGX_HTTP_EVENTSYNC_CLAIMS       16
#define NGX_HTTP_EVENTSYNC_CLAIMING     64      /* in each worker */

/*
 * ms: maximum wait, time before a claim is made, interval of attempts, and
 * time for which a claimed slot is safe from other claims
 */
#define NGX_HTTP_EVENTSYNC_CLAIM_TIME   500
#define NGX_HTTP_EVENTSYNC_CLAIM_GRACE  60
#define NGX_HTTP_EVENTSYNC_CLAIM_STEP   20
#define NGX_HTTP_EVENTSYNC_CLAIM_KEPT   10000

/* ms without an acknowledgement of sent data: the client is gone */
#define NGX_HTTP_EVENTSYNC_CLAIM_GONE   3000

#define ngx_http_eventsync_claim_phase(state)  ((state) & 3)
#define ngx_http_eventsync_claim_until(state)  ((state) >> 2)
#define ngx_http_eventsync_claim_state(until, phase)                          \
    ((uint64_t) (until) << 2 | (phase))


typedef enum {
    NGX_HTTP_EVENTSYNC_CLAIM_FREE = 0,
    NGX_HTTP_EVENTSYNC_CLAIM_WRITING,
    NGX_HTTP_EVENTSYNC_CLAIM_MADE,
    NGX_HTTP_EVENTSYNC_CLAIM_MET
} ngx_http_eventsync_claim_phase_e;


/* in shared memory; an expired claim is free, even if its worker died */

typedef struct {
    _Atomic uint64_t                  state;
    uint64_t                          sequence;   /* of the reader's last id */
    uint64_t                          filter;
    uint64_t                          address;
    char                              epoch[ES_EPOCH_MAX + 1];
    u_char                            key[ES_KEYID_LEN];
    u_char                            feed_len;
    u_char                            feed[ES_FEED_MAX];
} ngx_http_eventsync_claim_t;


struct ngx_http_eventsync_claims_s {
    _Atomic uint64_t                  made;       /* number of claims so far */
    ngx_http_eventsync_claim_t        list[NGX_HTTP_EVENTSYNC_CLAIMS];
};


static void ngx_http_eventsync_claim_event(ngx_event_t *ev);
static void ngx_http_eventsync_claim_step(ngx_http_eventsync_ctx_t *ctx);
static void ngx_http_eventsync_claim_cleanup(void *data);
static void ngx_http_eventsync_claim_make(ngx_http_eventsync_ctx_t *ctx);
static void ngx_http_eventsync_claim_write(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_claim_t *claim);
static void ngx_http_eventsync_claim_drop(ngx_http_eventsync_ctx_t *ctx);
static ngx_http_eventsync_wait_t *ngx_http_eventsync_claim_find(
    ngx_http_eventsync_worker_t *w, ngx_http_eventsync_claim_t *claim);
static ngx_http_eventsync_wait_t *ngx_http_eventsync_claim_better(
    ngx_queue_t *queue, ngx_http_eventsync_claim_t *claim,
    ngx_http_eventsync_wait_t *best, ngx_uint_t *rank);
static ngx_uint_t ngx_http_eventsync_claim_rank(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_claim_t *claim);
static ngx_uint_t ngx_http_eventsync_claim_gone(ngx_connection_t *c);


static ngx_http_eventsync_claims_t *
ngx_http_eventsync_claims(ngx_http_eventsync_worker_t *w)
{
    ngx_http_eventsync_zone_t   *zone;
    ngx_http_eventsync_store_t  *store;

    store = w->data;
    zone = store->zone->data;

    return zone->claims;
}


static uint64_t
ngx_http_eventsync_claim_now(void)
{
    return (uint64_t) es_clock_mono_us() / 1000;
}


/* lays out the claims in zeroed memory; returns the size used */

size_t
ngx_http_eventsync_claims_init(ngx_http_eventsync_zone_t *zone, u_char *p)
{
    zone->claims = (ngx_http_eventsync_claims_t *) p;

    return ngx_align(sizeof(ngx_http_eventsync_claims_t), 64);
}


/* ---- the reader that reconnects ---- */


/* a request found no slot; NGX_DONE: it waits; NGX_DECLINED: it must not */

ngx_int_t
ngx_http_eventsync_claim(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_cleanup_t           *cln;
    ngx_http_request_t           *r;
    ngx_http_eventsync_wait_t    *wait;
    ngx_http_eventsync_worker_t  *w;

    r = ctx->request;
    w = ctx->worker;

    if (ngx_exiting || w->claiming == NGX_HTTP_EVENTSYNC_CLAIMING) {
        return NGX_DECLINED;
    }

    cln = ngx_http_cleanup_add(r, 0);
    if (cln == NULL) {
        return NGX_DECLINED;
    }

    if (ngx_http_eventsync_wait_create(ctx) != NGX_OK
        || ngx_http_eventsync_stay(r) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    cln->handler = ngx_http_eventsync_claim_cleanup;
    cln->data = ctx;

    wait = ctx->wait;

    w->claiming++;
    wait->claiming = 1;
    wait->claim_began = ngx_current_msec;

    ngx_http_eventsync_claim_step(ctx);

    return NGX_DONE;
}


static void
ngx_http_eventsync_claim_step(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_wait_t  *wait;

    wait = ctx->wait;

    wait->timer.handler = ngx_http_eventsync_claim_event;
    wait->timer.data = ctx;
    wait->timer.log = ctx->request->connection->log;

    ngx_add_timer(&wait->timer, NGX_HTTP_EVENTSYNC_CLAIM_STEP);
}


static void
ngx_http_eventsync_claim_event(ngx_event_t *ev)
{
    ngx_http_eventsync_ctx_t  *ctx = ev->data;

    ngx_int_t                   rc;
    ngx_msec_t                  waited;
    ngx_connection_t           *c;
    ngx_http_request_t         *r;
    ngx_http_eventsync_wait_t  *wait;

    r = ctx->request;
    c = r->connection;
    wait = ctx->wait;

    ngx_http_set_log_request(c->log, r);

    waited = ngx_current_msec - wait->claim_began;

    if (waited >= NGX_HTTP_EVENTSYNC_CLAIM_TIME || ngx_exiting) {
        ctx->limit.patient = 0;
    }

    rc = ngx_http_eventsync_poll_retry(ctx);

    if (rc == NGX_BUSY) {

        if (wait->claim == NULL
            && waited >= NGX_HTTP_EVENTSYNC_CLAIM_GRACE)
        {
            ngx_http_eventsync_claim_make(ctx);
            ngx_http_eventsync_claims_check(ctx->worker);
        }

        ngx_http_eventsync_claim_step(ctx);
        return;
    }

    ngx_http_eventsync_claim_cleanup(ctx);

    ngx_http_finalize_request(r, ngx_http_eventsync_poll_answer(ctx, rc));
    ngx_http_run_posted_requests(c);
}


/* also called when the client has left; may be called again */

static void
ngx_http_eventsync_claim_cleanup(void *data)
{
    ngx_http_eventsync_ctx_t  *ctx = data;

    if (!ctx->wait->claiming) {
        return;
    }

    ctx->wait->claiming = 0;
    ctx->worker->claiming--;

    if (ctx->wait->timer.timer_set) {
        ngx_del_timer(&ctx->wait->timer);
    }

    ngx_http_eventsync_claim_drop(ctx);
}


static void
ngx_http_eventsync_claim_make(ngx_http_eventsync_ctx_t *ctx)
{
    uint64_t                      state, until, now;
    ngx_uint_t                    i;
    ngx_http_eventsync_claim_t   *claim;
    ngx_http_eventsync_claims_t  *claims;

    claims = ngx_http_eventsync_claims(ctx->worker);

    now = ngx_http_eventsync_claim_now();
    until = now + NGX_HTTP_EVENTSYNC_CLAIM_TIME;

    for (i = 0; i < NGX_HTTP_EVENTSYNC_CLAIMS; i++) {
        claim = &claims->list[i];
        state = atomic_load(&claim->state);

        if ((ngx_http_eventsync_claim_phase(state)
             != NGX_HTTP_EVENTSYNC_CLAIM_FREE
             && ngx_http_eventsync_claim_until(state) >= now)
            || !atomic_compare_exchange_strong(&claim->state, &state,
                                  ngx_http_eventsync_claim_state(until,
                                      NGX_HTTP_EVENTSYNC_CLAIM_WRITING)))
        {
            continue;
        }

        ngx_http_eventsync_claim_write(ctx, claim);

        ctx->wait->claim = claim;
        ctx->wait->claim_until = until;

        atomic_store(&claim->state,
                     ngx_http_eventsync_claim_state(until,
                                            NGX_HTTP_EVENTSYNC_CLAIM_MADE));
        (void) atomic_fetch_add(&claims->made, 1);

        return;
    }
}


/* the feed exists, so its name fits */

static void
ngx_http_eventsync_claim_write(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_claim_t *claim)
{
    ngx_http_eventsync_reading_t  *reading;

    reading = ctx->reading;

    claim->sequence = reading->scan;
    claim->filter = reading->key.filter;
    claim->address = ngx_http_eventsync_limit_address_key(ctx);
    claim->feed_len = (u_char) ctx->feed.len;

    ngx_memcpy(claim->epoch, reading->key.epoch, sizeof(claim->epoch));
    ngx_memcpy(claim->key, ctx->key.id, sizeof(claim->key));
    ngx_memcpy(claim->feed, ctx->feed.data, ctx->feed.len);
}


static void
ngx_http_eventsync_claim_drop(ngx_http_eventsync_ctx_t *ctx)
{
    uint64_t                     state;
    ngx_http_eventsync_claim_t  *claim;

    claim = ctx->wait->claim;

    if (claim == NULL) {
        return;
    }

    ctx->wait->claim = NULL;

    /* frees the claim, made or met, unless it expired and is another's now */

    state = ngx_http_eventsync_claim_state(ctx->wait->claim_until,
                                           NGX_HTTP_EVENTSYNC_CLAIM_MADE);

    if (!atomic_compare_exchange_strong(&claim->state, &state, 0)) {
        state = ngx_http_eventsync_claim_state(ctx->wait->claim_until,
                                               NGX_HTTP_EVENTSYNC_CLAIM_MET);
        (void) atomic_compare_exchange_strong(&claim->state, &state, 0);
    }
}


/* ---- the worker of the old stream ---- */


/* costs one memory read if no claim was made since the last check */

void
ngx_http_eventsync_claims_check(ngx_http_eventsync_worker_t *w)
{
    uint64_t                      made, state;
    ngx_uint_t                    i;
    ngx_http_eventsync_wait_t    *wait;
    ngx_http_eventsync_claim_t    claim;
    ngx_http_eventsync_claims_t  *claims;

    claims = ngx_http_eventsync_claims(w);
    made = atomic_load(&claims->made);

    if (made == w->claims) {
        return;
    }

    w->claims = made;

    for (i = 0; i < NGX_HTTP_EVENTSYNC_CLAIMS; i++) {
        state = atomic_load(&claims->list[i].state);

        if (ngx_http_eventsync_claim_phase(state)
            != NGX_HTTP_EVENTSYNC_CLAIM_MADE
            || ngx_http_eventsync_claim_until(state)
               < ngx_http_eventsync_claim_now())
        {
            continue;
        }

        /* the copy is consistent if the state is still the same afterwards */

        ngx_memcpy(&claim, &claims->list[i], sizeof(claim));

        wait = ngx_http_eventsync_claim_find(w, &claim);

        if (wait
            && atomic_compare_exchange_strong(&claims->list[i].state, &state,
                    ngx_http_eventsync_claim_state(
                        ngx_http_eventsync_claim_until(state),
                        NGX_HTTP_EVENTSYNC_CLAIM_MET)))
        {
            ngx_http_eventsync_stream_displace(wait->ctx);
        }
    }
}


static ngx_http_eventsync_wait_t *
ngx_http_eventsync_claim_find(ngx_http_eventsync_worker_t *w,
    ngx_http_eventsync_claim_t *claim)
{
    ngx_str_t                    feed;
    ngx_uint_t                   rank;
    ngx_http_eventsync_wait_t   *best;
    ngx_http_eventsync_crowd_t  *crowd;

    feed.data = claim->feed;
    feed.len = ngx_min(claim->feed_len, sizeof(claim->feed));

    crowd = ngx_http_eventsync_crowd(w, &feed);

    if (crowd == NULL) {
        return NULL;
    }

    rank = 0;

    best = ngx_http_eventsync_claim_better(&crowd->waiters, claim, NULL,
                                           &rank);

    return ngx_http_eventsync_claim_better(&crowd->due, claim, best, &rank);
}


/* prefers a stream whose client is gone, then the oldest */

static ngx_http_eventsync_wait_t *
ngx_http_eventsync_claim_better(ngx_queue_t *queue,
    ngx_http_eventsync_claim_t *claim, ngx_http_eventsync_wait_t *best,
    ngx_uint_t *rank)
{
    ngx_uint_t                  found;
    ngx_queue_t                *q;
    ngx_http_eventsync_wait_t  *wait;

    for (q = ngx_queue_head(queue);
         q != ngx_queue_sentinel(queue);
         q = ngx_queue_next(q))
    {
        wait = ngx_queue_data(q, ngx_http_eventsync_wait_t, queue);
        found = ngx_http_eventsync_claim_rank(wait->ctx, claim);

        if (found > *rank
            || (found && found == *rank
                && (ngx_msec_int_t) (wait->ctx->stream->born
                                     - best->ctx->stream->born) < 0))
        {
            best = wait;
            *rank = found;
        }
    }

    return best;
}


/* 0: the stream belongs to another reader */

static ngx_uint_t
ngx_http_eventsync_claim_rank(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_claim_t *claim)
{
    ngx_http_eventsync_stream_t   *stream;
    ngx_http_eventsync_reading_t  *reading;

    reading = ctx->reading;
    stream = ctx->stream;

    if (stream == NULL
        || stream->closing || stream->displaced
        || !ctx->limit.waits
        || ngx_memcmp(ctx->key.id, claim->key, sizeof(claim->key)) != 0
        || ngx_memcmp(reading->key.epoch, claim->epoch, sizeof(claim->epoch))
           != 0
        || reading->key.filter != claim->filter
        || reading->key.after > claim->sequence
        || stream->held < claim->sequence)
    {
        return 0;
    }

    if (stream->claimed
        && ngx_current_msec - stream->born < NGX_HTTP_EVENTSYNC_CLAIM_KEPT)
    {
        return 0;
    }

    if (ngx_http_eventsync_claim_gone(ctx->request->connection)) {
        return 2;
    }

    return ngx_http_eventsync_limit_address_key(ctx) == claim->address;
}


/* data was sent or queued, and nothing was acknowledged for a while */

static ngx_uint_t
ngx_http_eventsync_claim_gone(ngx_connection_t *c)
{
    int              unacked;
    socklen_t        len;
    struct tcp_info  info;

    len = sizeof(info);

    return ioctl(c->fd, SIOCOUTQ, &unacked) == 0
           && unacked
           && getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0
           && info.tcpi_last_ack_recv > NGX_HTTP_EVENTSYNC_CLAIM_GONE;
}
