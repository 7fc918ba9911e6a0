/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The keys that encrypt stored secrets. The master reads them together with
 * the configuration, so that workers need no permission to read the file.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_worker.h"

#include "base/private.h"
#include "keys/keyring.h"
#include "registry/registry.h"


static es_rc_t ngx_http_eventsync_keys_load(char *path, void **keys,
    es_problem_t *problem);
static void ngx_http_eventsync_keys_free(void *data);


char *
ngx_http_eventsync_keys_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_eventsync_srv_conf_t *escf = conf;

    return ngx_http_eventsync_keys_file(cf, (void **) &escf->keys,
                                        ngx_http_eventsync_keys_load,
                                        ngx_http_eventsync_keys_free);
}


static es_rc_t
ngx_http_eventsync_keys_load(char *path, void **keys, es_problem_t *problem)
{
    return es_keyring_load(path, (es_keyring_t **) keys, problem);
}


static void
ngx_http_eventsync_keys_free(void *data)
{
    es_keyring_free(data);
}


/*
 * handles a directive with a file of keys, and frees the keys with the cycle
 */

char *
ngx_http_eventsync_keys_file(ngx_conf_t *cf, void **keys,
    ngx_http_eventsync_keys_load_pt load, ngx_pool_cleanup_pt free)
{
    ngx_str_t                       *value, path;
    es_problem_t                     problem;
    ngx_pool_cleanup_t              *cln;

    if (*keys != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;
    path = value[1];

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&problem, sizeof(es_problem_t));

    if (load((char *) path.data, keys, &problem) != ES_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s", problem.detail);
        return NGX_CONF_ERROR;
    }

    cln->handler = free;
    cln->data = *keys;

    return NGX_CONF_OK;
}


/*
 * sets the keys of a store; all servers that write its secrets, or that publish
 * and have keys, must have the same
 */

char *
ngx_http_eventsync_keys_use(ngx_conf_t *cf, ngx_http_eventsync_store_t *store,
    es_keyring_t *keys)
{
    if ((store->manage || store->keys) && store->keys != keys
        && !(store->keys && keys && es_keyring_equal(store->keys, keys)))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"eventsync_key_file\" of store \"%V\" differs "
                           "from that of another server", &store->path);
        return NGX_CONF_ERROR;
    }

    store->keys = keys;

    return NGX_CONF_OK;
}


/*
 * Keeps secrets out of core dumps: the keys and tokens of clients in requests,
 * and the keys of files. nginx makes its workers dumpable, so this must come
 * after that. An operator who sets "worker_rlimit_core" wants core dumps.
 */

void
ngx_http_eventsync_keys_private(ngx_cycle_t *cycle)
{
    ngx_core_conf_t                 *ccf;
    ngx_http_eventsync_main_conf_t  *emcf;

    ccf = (ngx_core_conf_t *) ngx_get_conf(cycle->conf_ctx, ngx_core_module);
    emcf = ngx_http_cycle_get_module_main_conf(cycle,
                                               ngx_http_eventsync_module);

    if (emcf->stores.nelts == 0) {
        return;
    }

    if (ccf->rlimit_core != NGX_CONF_UNSET) {
        ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                      "eventsync: because of \"worker_rlimit_core\", a core "
                      "dump of a worker has keys of clients and of files");
        return;
    }

    if (!es_process_private()) {
        ngx_log_error(NGX_LOG_ALERT, cycle->log, ngx_errno,
                      "eventsync: cannot switch core dumps off");
    }
}


/*
 * Called in a worker that has opened the store. Without the right keys the
 * worker goes on, but cannot write a secret.
 */

void
ngx_http_eventsync_keys_open(ngx_http_eventsync_store_t *store, ngx_log_t *log)
{
    es_rc_t        rc;
    es_keyring_t  *keys;
    es_problem_t   problem;

    if (!store->manage && !store->keys) {
        return;
    }

    keys = NULL;

    if (store->keys) {
        keys = es_keyring_copy(store->keys);

        if (keys == NULL) {
            ngx_log_error(NGX_LOG_ALERT, log, 0,
                          "eventsync: no memory for keys");
            return;
        }
    }

    ngx_memzero(&problem, sizeof(es_problem_t));

    rc = es_registry_keys(store->worker->es, keys, &problem);

    if (rc != ES_OK) {
        es_keyring_free(keys);

        ngx_log_error(NGX_LOG_CRIT, log, 0,
                      "eventsync store \"%V\": %s; %s", &store->path,
                      problem.detail,
                      store->manage ? "endpoints cannot be created and their "
                                      "secrets cannot be changed"
                                    : "erased events cannot be recognized");

    } else if (keys == NULL) {
        ngx_log_error(NGX_LOG_WARN, log, 0,
                      "eventsync store \"%V\": no \"eventsync_key_file\": "
                      "secrets of endpoints are stored in plain text",
                      &store->path);
    }
}
