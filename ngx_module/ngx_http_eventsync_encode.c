/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Pages that a thread makes: large ones, and encoded ones that are not stored
 * yet.
 *
 * Each worker and store has one task at a time, so that the thread pool stays
 * free for commits. Jobs that come while it runs wait for the next one. All
 * requests for the same page wait for the same job.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_encrypt.h"
#include "ngx_http_eventsync_fields.h"
#include "ngx_http_eventsync_pages.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_task.h"
#include "ngx_http_eventsync_worker.h"

#include "base/base.h"
#include "base/encode.h"
#include "base/reason.h"
#include "log/erased.h"
#include "log/feed.h"
#include "read/ciphertexts.h"
#include "read/encoded_pages.h"
#include "read/encrypter.h"
#include "read/reader.h"
#include "store/txn.h"


#define NGX_HTTP_EVENTSYNC_PRUNE_TIME  5000


typedef struct {
    es_store_t                       *es;
    es_encoded_pages_t               *kept;
    es_ciphertexts_t                 *ciphertexts;
    ngx_uint_t                        prune;      /* unsigned  prune:1 */
    es_rc_t                           rc;         /* of storing and pruning */
    es_reason_t                       reason;
    ngx_uint_t                        n;
    ngx_http_eventsync_cached_job_t    *jobs[NGX_HTTP_EVENTSYNC_CACHED_GROUP];
} ngx_http_eventsync_encode_t;


static ngx_http_eventsync_cached_job_t *ngx_http_eventsync_encode_find(
    ngx_queue_t *queue, const ngx_http_eventsync_cached_key_t *key);
static ngx_http_eventsync_cached_job_t *ngx_http_eventsync_encode_job(
    ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_encode_start(
    ngx_http_eventsync_worker_t *w, ngx_uint_t prune);
static void ngx_http_eventsync_encode_thread(void *data, ngx_log_t *log);
static ngx_http_eventsync_cached_t *ngx_http_eventsync_encode_plain(
    ngx_http_eventsync_encode_t *task, ngx_http_eventsync_cached_job_t *job,
    es_encoded_item_t *item, ngx_log_t *log);
static ngx_http_eventsync_cached_t *ngx_http_eventsync_encode_compose(
    es_store_t *es, ngx_http_eventsync_cached_job_t *job, es_page_t *page,
    es_encoded_item_t *item, ngx_log_t *log);
static void ngx_http_eventsync_encode_finish(
    ngx_http_eventsync_cached_job_t *job, es_encoded_item_t *item,
    ngx_http_eventsync_cached_t *plain, ngx_log_t *log);
static es_rc_t ngx_http_eventsync_encode_read(es_txn_t *txn,
    ngx_http_eventsync_cached_job_t *job, es_page_t *page);
static void ngx_http_eventsync_encode_page(
    ngx_http_eventsync_cached_job_t *job, es_encoded_item_t *item,
    ngx_log_t *log);
static void ngx_http_eventsync_encode_event(ngx_event_t *ev);
static void ngx_http_eventsync_encode_done(ngx_http_eventsync_worker_t *w,
    ngx_queue_t *jobs, es_rc_t rc);
static void ngx_http_eventsync_encode_resume(ngx_http_request_t *r);
static void ngx_http_eventsync_encode_prune(ngx_event_t *ev);


/* the request waits for its page; NGX_DECLINED: it does not */

ngx_int_t
ngx_http_eventsync_encode(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_request_t                   *r;
    ngx_http_eventsync_pages_t           *pages;
    ngx_http_eventsync_cached_job_t      *job;
    ngx_http_eventsync_cached_request_t  *lr;

    r = ctx->request;
    lr = ctx->cached;
    pages = ctx->worker->pages;

    job = ngx_http_eventsync_encode_find(&pages->running, &lr->key);

    if (job == NULL) {
        job = ngx_http_eventsync_encode_find(&pages->jobs, &lr->key);
    }

    if (job == NULL) {
        job = ngx_http_eventsync_encode_job(ctx);
        if (job == NULL) {
            return NGX_DECLINED;
        }

        ngx_queue_insert_tail(&pages->jobs, &job->queue);

        if (!pages->busy
            && ngx_http_eventsync_encode_start(ctx->worker, 0) != NGX_OK)
        {
            ngx_queue_remove(&job->queue);
            ngx_free(job);

            return ngx_http_eventsync_fail_store(ctx, ES_BUSY);
        }
    }

    ngx_queue_insert_tail(&job->waiters, &lr->queue);

    r->write_event_handler = ngx_http_eventsync_encode_resume;

    r->main->blocked++;
    r->aio = 1;

    return NGX_OK;
}


static ngx_http_eventsync_cached_job_t *
ngx_http_eventsync_encode_find(ngx_queue_t *queue,
    const ngx_http_eventsync_cached_key_t *key)
{
    ngx_queue_t                      *q;
    ngx_http_eventsync_cached_job_t  *job;

    for (q = ngx_queue_head(queue);
         q != ngx_queue_sentinel(queue);
         q = ngx_queue_next(q))
    {
        job = ngx_queue_data(q, ngx_http_eventsync_cached_job_t, queue);

        if (ngx_memcmp(&job->key, key, sizeof(*key)) == 0) {
            return job;
        }
    }

    return NULL;
}


static ngx_http_eventsync_cached_job_t *
ngx_http_eventsync_encode_job(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_cached_job_t  *job;

    job = ngx_calloc(sizeof(ngx_http_eventsync_cached_job_t),
                     ctx->request->connection->log);
    if (job == NULL) {
        return NULL;
    }

    job->key = ctx->cached->key;
    job->feed.len = ngx_min(ctx->feed.len, ES_FEED_MAX);
    job->feed.data = job->name;
    ngx_memcpy(job->name, ctx->feed.data, job->feed.len);
    job->fields = ngx_http_eventsync_fields(ctx);

    ngx_queue_init(&job->waiters);

    return job;
}


/* takes waiting jobs, up to a group, to a thread */

static ngx_int_t
ngx_http_eventsync_encode_start(ngx_http_eventsync_worker_t *w,
    ngx_uint_t prune)
{
    ngx_queue_t                  *q;
    ngx_http_eventsync_pages_t   *pages;
    ngx_http_eventsync_store_t   *store;
    ngx_http_eventsync_encode_t  *task;

    pages = w->pages;
    store = w->data;
    task = pages->task->ctx;

    task->es = w->es;
    task->ciphertexts = w->ciphertexts;
    task->kept = pages->kept;
    task->prune = prune;
    task->rc = ES_OK;
    task->n = 0;

    while (!ngx_queue_empty(&pages->jobs)
           && task->n < NGX_HTTP_EVENTSYNC_CACHED_GROUP)
    {
        q = ngx_queue_head(&pages->jobs);
        ngx_queue_remove(q);
        ngx_queue_insert_tail(&pages->running, q);

        task->jobs[task->n++] = ngx_queue_data(q,
                                       ngx_http_eventsync_cached_job_t, queue);
    }

    if (ngx_thread_task_post(store->pool, pages->task) != NGX_OK) {

        /* puts the jobs back to the front, in order */

        while (task->n) {
            q = &task->jobs[--task->n]->queue;
            ngx_queue_remove(q);
            ngx_queue_insert_head(&pages->jobs, q);
        }

        return NGX_ERROR;
    }

    /* the timer keeps an exiting worker alive until the task is done */

    ngx_add_timer(&pages->task->event, NGX_HTTP_EVENTSYNC_TASK_TIME);

    pages->busy = 1;

    return NGX_OK;
}


static void
ngx_http_eventsync_encode_thread(void *data, ngx_log_t *log)
{
    ngx_http_eventsync_encode_t  *task = data;

    ngx_uint_t                        i, n;
    es_encoded_item_t                 items[NGX_HTTP_EVENTSYNC_CACHED_GROUP];
    ngx_http_eventsync_cached_t      *plain[NGX_HTTP_EVENTSYNC_CACHED_GROUP];
    ngx_http_eventsync_cached_job_t  *jobs[NGX_HTTP_EVENTSYNC_CACHED_GROUP];
    ngx_http_eventsync_cached_job_t  *job;

    n = 0;

    for (i = 0; i < task->n; i++) {
        job = task->jobs[i];

        plain[n] = ngx_http_eventsync_encode_plain(task, job, &items[n], log);

        if (plain[n] == NULL) {
            continue;
        }

        if (job->key.encoding == ES_ENCODING_IDENTITY) {
            job->cached = plain[n];
            continue;
        }

        if (job->fields) {

            /* stored pages are those of the log */

            (void) es_encoded_make(NULL, &items[n], 1);

            ngx_http_eventsync_encode_finish(job, &items[n], plain[n], log);
            continue;
        }

        jobs[n++] = job;
    }

    if (n) {
        task->rc = es_encoded_make(task->kept, items, n);
    }

    for (i = 0; i < n; i++) {
        ngx_http_eventsync_encode_finish(jobs[i], &items[i], plain[i], log);
    }

    if (task->prune && task->kept && task->rc == ES_OK) {
        task->rc = es_encoded_prune(task->kept, task->es);
    }

    es_reason_take(&task->reason);
}


static void
ngx_http_eventsync_encode_finish(ngx_http_eventsync_cached_job_t *job,
    es_encoded_item_t *item, ngx_http_eventsync_cached_t *plain,
    ngx_log_t *log)
{
    ngx_http_eventsync_encode_page(job, item, log);
    es_buf_free(&item->out);
    ngx_http_eventsync_cached_release(plain);
}


/* reads the page without encoding, which will then be encoded */

static ngx_http_eventsync_cached_t *
ngx_http_eventsync_encode_plain(ngx_http_eventsync_encode_t *task,
    ngx_http_eventsync_cached_job_t *job, es_encoded_item_t *item,
    ngx_log_t *log)
{
    es_page_t                     page;
    es_encrypter_t                encrypter;
    ngx_http_eventsync_cached_t  *plain;

    ngx_memzero(&page, sizeof(es_page_t));
    ngx_memzero(&encrypter, sizeof(es_encrypter_t));

    es_encrypter_init(&encrypter, task->ciphertexts);
    page.seal = &encrypter.seal;

    do {
        plain = ngx_http_eventsync_encode_compose(task->es, job, &page, item,
                                                  log);

    } while (job->rc == ES_PENDING
             && (job->rc = ngx_http_eventsync_encrypt_now(&encrypter, log))
                == ES_OK);

    es_encrypter_free(&encrypter);
    es_page_free(&page);

    return plain;
}


static ngx_http_eventsync_cached_t *
ngx_http_eventsync_encode_compose(es_store_t *es,
    ngx_http_eventsync_cached_job_t *job, es_page_t *page,
    es_encoded_item_t *item, ngx_log_t *log)
{
    es_txn_t                        *txn;
    ngx_http_eventsync_cached_t     *plain;
    ngx_http_eventsync_cached_key_t  key;

    plain = NULL;

    job->rc = es_txn_begin(es, &txn);

    if (job->rc != ES_OK) {
        return NULL;
    }

    job->rc = ngx_http_eventsync_encode_read(txn, job, page);

    if (job->rc == ES_OK) {
        key = job->key;
        key.encoding = ES_ENCODING_IDENTITY;

        plain = ngx_http_eventsync_cached_compose(&key, &job->head, page,
                                                  job->time_ms, log);
        job->rc = plain ? ES_OK : ES_NOMEM;
    }

    if (plain) {
        ngx_memzero(item, sizeof(es_encoded_item_t));
        ngx_http_eventsync_cached_pages_key(&job->key, page, &item->key);
        item->in.data = (char *) plain->data;
        item->in.len = plain->len;

        if (es_erasures_count(txn, &item->erased) != ES_OK) {
            item->erased = (uint64_t) -1;
        }
    }

    es_txn_end(txn);

    return plain;
}


/* reads exactly the requested page, or none: the feed may have moved on */

static es_rc_t
ngx_http_eventsync_encode_read(es_txn_t *txn,
    ngx_http_eventsync_cached_job_t *job, es_page_t *page)
{
    es_rc_t      rc;
    uint64_t     first;
    es_event_t   event;
    es_feed_t   *feed;

    feed = &job->head;

    rc = es_feed_get(txn, ngx_http_eventsync_str(&job->feed), feed);

    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_EXPIRED : rc;
    }

    first = (job->key.page - 1) * feed->page_size + 1;

    if (feed->number != job->key.feed
        || !es_feed_has(feed, job->key.epoch, job->key.last)
        || feed->oldest > first
        || feed->last < job->key.last)
    {
        return ES_EXPIRED;
    }

    rc = es_event_get(txn, feed, first, &event);

    if (rc != ES_OK) {
        return rc;
    }

    job->time_ms = event.time_ms;

    return es_page_read(txn, feed, first - 1, es_null_str,
                        job->key.last - first + 1, NGX_MAX_SIZE_T_VALUE, NULL,
                        job->fields, page);
}


static void
ngx_http_eventsync_encode_page(ngx_http_eventsync_cached_job_t *job,
    es_encoded_item_t *item, ngx_log_t *log)
{
    es_str_t  bytes;

    job->rc = item->rc;

    if (job->rc != ES_OK) {
        return;
    }

    bytes.data = item->out.data;
    bytes.len = item->out.len;

    job->cached = ngx_http_eventsync_cached_encoded(&job->key, &job->head,
                                                    job->time_ms, bytes, log);
    if (job->cached == NULL) {
        job->rc = ES_NOMEM;
        return;
    }

    job->cached->source = item->key.source;
}


static void
ngx_http_eventsync_encode_event(ngx_event_t *ev)
{
    ngx_http_eventsync_worker_t  *w = ev->data;

    ngx_queue_t                   done, failed;
    ngx_http_eventsync_pages_t   *pages;
    ngx_http_eventsync_encode_t  *task;

    if (ngx_http_eventsync_task_late(ev)) {
        return;
    }

    pages = w->pages;
    task = pages->task->ctx;

    es_reason_give(&task->reason);

    if (task->rc != ES_OK) {
        ngx_log_error(NGX_LOG_WARN, ev->log, 0,
                      "eventsync cannot store encoded pages: %s",
                      es_reason(task->rc));
    }

    pages->busy = 0;

    ngx_queue_init(&done);
    ngx_queue_init(&failed);

    if (!ngx_queue_empty(&pages->running)) {
        ngx_queue_add(&done, &pages->running);
        ngx_queue_init(&pages->running);
    }

    if (!ngx_queue_empty(&pages->jobs)
        && ngx_http_eventsync_encode_start(w, 0) != NGX_OK)
    {
        ngx_queue_add(&failed, &pages->jobs);
        ngx_queue_init(&pages->jobs);
    }

    ngx_http_eventsync_encode_done(w, &failed, ES_BUSY);
    ngx_http_eventsync_encode_done(w, &done, ES_OK);
}


/* answers all waiting requests; `rc` other than ES_OK: nothing was made */

static void
ngx_http_eventsync_encode_done(ngx_http_eventsync_worker_t *w,
    ngx_queue_t *jobs, es_rc_t rc)
{
    ngx_queue_t                          *q, *next;
    ngx_http_eventsync_cached_job_t      *job;
    ngx_http_eventsync_cached_request_t  *lr;

    while (!ngx_queue_empty(jobs)) {
        q = ngx_queue_head(jobs);
        ngx_queue_remove(q);

        job = ngx_queue_data(q, ngx_http_eventsync_cached_job_t, queue);

        if (rc != ES_OK) {
            job->rc = rc;
        }

        if (job->cached) {
            ngx_http_eventsync_cached_slim(w->pages, job->cached);
            ngx_http_eventsync_cached_remember(w->pages, job->cached);
        }

        for (q = ngx_queue_head(&job->waiters);
             q != ngx_queue_sentinel(&job->waiters);
             q = next)
        {
            next = ngx_queue_next(q);

            lr = ngx_queue_data(q, ngx_http_eventsync_cached_request_t, queue);

            lr->rc = job->rc;
            lr->cached = job->cached;

            if (lr->cached) {
                lr->cached->refs++;
            }

            ngx_http_eventsync_task_unblock(lr->ctx);
        }

        ngx_http_eventsync_cached_release(job->cached);
        ngx_free(job);
    }
}


static void
ngx_http_eventsync_encode_resume(ngx_http_request_t *r)
{
    ngx_http_eventsync_ctx_t  *ctx;

    if (r->aio) {

        /* ignore a writable socket for now */

        return;
    }

    r->write_event_handler = ngx_http_request_empty_handler;

    ctx = ngx_http_get_module_ctx(r, ngx_http_eventsync_module);

    ngx_http_finalize_request(r, ngx_http_eventsync_pages_resume(ctx));
}


/* pages that retention has trimmed are deleted soon, whatever is requested */

static void
ngx_http_eventsync_encode_prune(ngx_event_t *ev)
{
    ngx_http_eventsync_worker_t  *w = ev->data;

    uint64_t                     version;
    ngx_http_eventsync_pages_t  *pages;

    pages = w->pages;

    if (w->es && pages->kept && !pages->busy && !ngx_exiting) {
        version = es_store_version(w->es);

        if (version != pages->pruned
            && ngx_http_eventsync_encode_start(w, 1) == NGX_OK)
        {
            pages->pruned = version;
        }
    }

    ngx_add_timer(ev, NGX_HTTP_EVENTSYNC_PRUNE_TIME);
}


/* allocates memory; the environment is opened with the store */

ngx_int_t
ngx_http_eventsync_pages_init(ngx_http_eventsync_worker_t *w,
    ngx_cycle_t *cycle)
{
    ngx_thread_task_t           *task;
    ngx_http_eventsync_store_t  *store;
    ngx_http_eventsync_pages_t  *pages;

    store = w->data;

    if (!store->pages) {
        return NGX_OK;
    }

    pages = ngx_pcalloc(cycle->pool, sizeof(ngx_http_eventsync_pages_t));
    if (pages == NULL) {
        return NGX_ERROR;
    }

    task = ngx_thread_task_alloc(cycle->pool,
                                 sizeof(ngx_http_eventsync_encode_t));
    if (task == NULL) {
        return NGX_ERROR;
    }

    task->handler = ngx_http_eventsync_encode_thread;
    task->event.handler = ngx_http_eventsync_encode_event;
    task->event.data = w;
    task->event.log = cycle->log;

    pages->task = task;

    ngx_queue_init(&pages->by_use);
    ngx_queue_init(&pages->jobs);
    ngx_queue_init(&pages->running);

    pages->prune.handler = ngx_http_eventsync_encode_prune;
    pages->prune.data = w;
    pages->prune.log = cycle->log;
    pages->prune.cancelable = 1;

    w->pages = pages;

    ngx_add_timer(&pages->prune, NGX_HTTP_EVENTSYNC_PRUNE_TIME);

    return NGX_OK;
}


/* without stored pages, pages are still served, only slower */

void
ngx_http_eventsync_pages_open(ngx_http_eventsync_worker_t *w,
    ngx_cycle_t *cycle)
{
    es_problem_t                 problem;
    ngx_http_eventsync_store_t  *store;

    if (w->pages == NULL) {
        return;
    }

    store = w->data;

    if (es_encoded_open(w->es, store->pages_size, &w->pages->kept, &problem)
        != ES_OK)
    {
        w->pages->kept = NULL;

        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "eventsync cannot store encoded pages of \"%V\": %s",
                      &store->path, problem.detail);
    }
}


void
ngx_http_eventsync_pages_close(ngx_http_eventsync_worker_t *w)
{
    if (w->pages == NULL) {
        return;
    }

    ngx_http_eventsync_cached_free_all(w->pages);

    es_encoded_close(w->pages->kept);
    w->pages->kept = NULL;
}
