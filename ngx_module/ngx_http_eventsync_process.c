/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The store in a worker: opened after fork, watched by the event loop, closed
 * at exit. If the store cannot be opened, or reopened after a failed commit,
 * the worker tries again every second; until then it answers requests with 503.
 *
 * LMDB identifies processes by pid, and a process in another PID namespace may
 * have the pid of this worker. Then the worker exits, and nginx's master
 * starts another, which has another pid.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_checkpoint.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_encrypt.h"
#include "ngx_http_eventsync_otlp.h"
#include "ngx_http_eventsync_pages.h"
#include "ngx_http_eventsync_poll.h"
#include "ngx_http_eventsync_publish.h"
#include "ngx_http_eventsync_worker.h"

#include "audit/actor.h"
#include "base/event_loop.h"
#include "inspect/partners.h"
#include "read/reader.h"
#include "registry/access.h"
#include "store/txn.h"
#include "store/wake.h"


/* more than a reader table has slots */
#define NGX_HTTP_EVENTSYNC_RETIRED_MAX  1024


static ngx_int_t ngx_http_eventsync_init_store(
    ngx_http_eventsync_store_t *store, ngx_cycle_t *cycle);
static ngx_int_t ngx_http_eventsync_open(ngx_http_eventsync_store_t *store,
    ngx_cycle_t *cycle);
static ngx_int_t ngx_http_eventsync_watch(ngx_http_eventsync_worker_t *w,
    ngx_cycle_t *cycle);
static void ngx_http_eventsync_reopen(ngx_event_t *ev);
static void ngx_http_eventsync_bell(ngx_event_t *rev);
static void ngx_http_eventsync_close(ngx_http_eventsync_worker_t *w);


ngx_int_t
ngx_http_eventsync_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                        i;
    ngx_http_eventsync_store_t      **stores;
    ngx_http_eventsync_main_conf_t   *emcf;

    /* cache helpers run this as well, but serve no requests */

    if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    emcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_eventsync_module);
    if (emcf == NULL) {
        return NGX_OK;
    }

    ngx_http_eventsync_keys_private(cycle);

    if (emcf->otlp) {
        emcf->exporter = ngx_http_eventsync_otlp_init(cycle, emcf->otlp);
        if (emcf->exporter == NULL) {
            return NGX_ERROR;
        }
    }

    stores = emcf->stores.elts;

    for (i = 0; i < emcf->stores.nelts; i++) {
        if (ngx_http_eventsync_init_store(stores[i], cycle) != NGX_OK) {
            return NGX_ERROR;
        }

        stores[i]->worker->exporter = emcf->exporter;
        ngx_http_eventsync_digest_text(emcf, stores[i]->worker->config);

        if (i == 0) {
            ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                          "eventsync configuration %s",
                          stores[i]->worker->config);
        }
    }

    es_event_loop_set(1);

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_init_store(ngx_http_eventsync_store_t *store,
    ngx_cycle_t *cycle)
{
    ngx_http_eventsync_worker_t  *w;

    w = ngx_pcalloc(cycle->pool, sizeof(ngx_http_eventsync_worker_t));
    if (w == NULL) {
        return NGX_ERROR;
    }

    w->ident = -1;

    ngx_http_eventsync_work_init(w->works);
    ngx_http_eventsync_wake_init(w, cycle->log);
    ngx_queue_init(&w->rooms);

    w->reopen.handler = ngx_http_eventsync_reopen;
    w->reopen.data = w;
    w->reopen.log = cycle->log;
    w->reopen.cancelable = 1;

    w->data = store;
    store->worker = w;

    ngx_log_error(NGX_LOG_NOTICE, cycle->log, 0,
                  "eventsync " ES_VERSION " on store \"%V\"",
                  &store->path);

    ngx_http_eventsync_limit_start(store->zone);

    if (ngx_http_eventsync_commit_init(w, cycle) != NGX_OK
        || ngx_http_eventsync_checkpoint_commit_init(w, cycle) != NGX_OK
        || ngx_http_eventsync_pages_init(w, cycle) != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (ngx_http_eventsync_open(store, cycle) != NGX_OK) {

        /*
         * no request has come yet: exit, so that the master replaces the
         * worker at once
         */

        if (w->retired) {
            ngx_http_eventsync_exit_process(cycle);
            exit(0);
        }

        ngx_add_timer(&w->reopen, NGX_HTTP_EVENTSYNC_REOPEN);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_open(ngx_http_eventsync_store_t *store, ngx_cycle_t *cycle)
{
    es_rc_t                       rc;
    es_problem_t                  problem;
    ngx_http_eventsync_zone_t    *zone;
    ngx_http_eventsync_worker_t  *w;

    w = store->worker;

    ngx_memzero(&problem, sizeof(es_problem_t));

    rc = es_store_open((char *) store->path.data,
                       (store->publish ? ES_STORE_PUBLISH : ES_STORE_READ)
                       | (store->manage
                          ? ES_STORE_ADMIN | ES_STORE_DELIVERY_READ : 0)
                       | (store->observe ? ES_STORE_DELIVERY_READ : 0)
                       | (store->checkpoint ? ES_STORE_CHECKPOINT : 0),
                       &w->es, &problem);

    if (rc == ES_OK && es_store_shadows(w->es)
        && ngx_http_eventsync_retire(store, 0, cycle->log))
    {
        ngx_http_eventsync_close(w);
        return NGX_ERROR;
    }

    if (rc != ES_OK) {
        w->es = NULL;

        if (rc == ES_TAKEN && ngx_http_eventsync_retire(store, 1, cycle->log))
        {
            return NGX_ERROR;
        }

        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "eventsync store \"%V\" cannot be opened: %s",
                      &store->path,
                      problem.detail[0] ? problem.detail : es_reason(rc));
        return NGX_ERROR;
    }

    zone = store->zone->data;
    zone->refusals->retired = 0;

    w->version = 0;

    es_actor_program(w->es, "nginx");
    ngx_http_eventsync_clock(w);

    if (ngx_http_eventsync_watch(w, cycle) != NGX_OK
        || ngx_http_eventsync_encrypt_open(w) != NGX_OK)
    {
        ngx_http_eventsync_close(w);
        return NGX_ERROR;
    }

    ngx_http_eventsync_pages_open(w, cycle);
    ngx_http_eventsync_keys_open(store, cycle->log);

    return NGX_OK;
}


/*
 * Ends the worker gracefully, so that the master starts one with another pid.
 * `taken`: a live process has this pid, otherwise a dead one has left its
 * readers. Returns 0 if there is no master, or if new workers have not helped.
 */

ngx_uint_t
ngx_http_eventsync_retire(ngx_http_eventsync_store_t *store, ngx_uint_t taken,
    ngx_log_t *log)
{
    ngx_http_eventsync_zone_t  *zone;

    zone = store->zone->data;

    if (ngx_process != NGX_PROCESS_WORKER
        || ngx_exiting
        || zone->refusals->retired++ >= NGX_HTTP_EVENTSYNC_RETIRED_MAX)
    {
        return 0;
    }

    ngx_log_error(NGX_LOG_NOTICE, log, 0,
                  "eventsync store \"%V\" has readers of a %s with pid %P: "
                  "this worker exits and another replaces it", &store->path,
                  taken ? "process of another PID namespace"
                        : "killed process", ngx_pid);

    store->worker->retired = 1;
    ngx_quit = 1;

    return 1;
}


static ngx_int_t
ngx_http_eventsync_watch(ngx_http_eventsync_worker_t *w, ngx_cycle_t *cycle)
{
    int                fd;
    es_rc_t            rc;
    ngx_connection_t  *c;

    rc = es_wake_open(w->es, &fd);

    if (rc != ES_OK) {
        ngx_log_error(NGX_LOG_CRIT, cycle->log, 0,
                      "eventsync store \"%V\" cannot be watched: %s",
                      &((ngx_http_eventsync_store_t *) w->data)->path,
                      es_reason(rc));
        return NGX_ERROR;
    }

    c = ngx_get_connection(fd, cycle->log);

    if (c == NULL) {
        if (close(fd) == -1) {
            ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                          "close() of inotify descriptor failed");
        }

        return NGX_ERROR;
    }

    c->data = w;
    c->read->handler = ngx_http_eventsync_bell;
    c->read->log = cycle->log;
    c->write->log = cycle->log;

    /* nginx closes idle connections when the worker begins to exit */

    c->idle = 1;

    if (ngx_add_event(c->read, NGX_READ_EVENT, 0) != NGX_OK) {
        ngx_close_connection(c);
        return NGX_ERROR;
    }

    w->bell = c;

    return NGX_OK;
}


static void
ngx_http_eventsync_reopen(ngx_event_t *ev)
{
    ngx_http_eventsync_worker_t  *w = ev->data;

    if (w->es) {
        if (es_store_lost(w->es)) {
            ngx_http_eventsync_commit_recover(w);
        }

        return;
    }

    /* nobody waits for the store meanwhile but its own requests, with 503 */

    es_event_loop_set(0);

    if (ngx_http_eventsync_open(w->data, (ngx_cycle_t *) ngx_cycle) != NGX_OK)
    {
        ngx_add_timer(ev, NGX_HTTP_EVENTSYNC_REOPEN);
    }

    es_event_loop_set(1);
}


static void
ngx_http_eventsync_bell(ngx_event_t *rev)
{
    ngx_connection_t             *c;
    ngx_http_eventsync_worker_t  *w;

    c = rev->data;
    w = c->data;

    if (c->close) {

        /*
         * happens once; the bell stays open until the last request has ended
         */

        c->close = 0;
        w->exiting = ngx_current_msec;
        ngx_http_eventsync_wake(w);
        return;
    }

    es_wake_drain(c->fd);

    ngx_http_eventsync_clock(w);
    ngx_http_eventsync_wake(w);
}


void
ngx_http_eventsync_exit_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                        i;
    ngx_http_eventsync_store_t      **stores;
    ngx_http_eventsync_main_conf_t   *emcf;

    emcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_eventsync_module);
    if (emcf == NULL) {
        return;
    }

    es_event_loop_set(0);
    ngx_http_eventsync_keys_private(cycle);

    stores = emcf->stores.elts;

    if (emcf->exporter) {
        ngx_http_eventsync_otlp_free(emcf->exporter);
        emcf->exporter = NULL;
    }

    for (i = 0; i < emcf->stores.nelts; i++) {
        if (stores[i]->worker) {
            ngx_http_eventsync_commit_free(stores[i]->worker);
            ngx_http_eventsync_checkpoint_commit_free(stores[i]->worker);
            ngx_http_eventsync_close(stores[i]->worker);
        }
    }
}


static void
ngx_http_eventsync_close(ngx_http_eventsync_worker_t *w)
{
    if (w->bell) {
        ngx_close_connection(w->bell);
        w->bell = NULL;
    }

    es_page_free(&w->page);

    ngx_http_eventsync_memo_free(w);
    ngx_http_eventsync_tokens_free(w);
    ngx_http_eventsync_issued_free(w);
    ngx_http_eventsync_status_free(w);

    es_partners_free(w->partners);
    w->partners = NULL;

    ngx_http_eventsync_pages_close(w);
    ngx_http_eventsync_encrypt_close(w);

    es_access_free(w->access);
    w->access = NULL;

    if (w->es) {
        es_store_close(w->es);
        w->es = NULL;
    }
}
