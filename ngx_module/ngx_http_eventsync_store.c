/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The directive eventsync_store. Servers that name the same path share one
 * store.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"

#include "open/open.h"
#include "store/txn.h"


#define NGX_HTTP_EVENTSYNC_ZONE_SIZE   (1024 * 1024)
#define NGX_HTTP_EVENTSYNC_PAGES_SIZE  (256 * 1024 * 1024)
#define NGX_HTTP_EVENTSYNC_PAGES_MIN   (1024 * 1024)


/* parameters of a store; 0: not given */

typedef struct {
    ssize_t                           zone;
    ssize_t                           pages;
} ngx_http_eventsync_sizes_t;


static char *ngx_http_eventsync_size(ngx_conf_t *cf, ngx_str_t *value,
    char *name, ssize_t min, ngx_str_t *path, ssize_t *size);
static char *ngx_http_eventsync_add_store(ngx_conf_t *cf, ngx_str_t *path,
    ngx_http_eventsync_sizes_t *sizes, ngx_http_eventsync_store_t **result);
static ngx_http_eventsync_store_t *ngx_http_eventsync_new_store(
    ngx_conf_t *cf, ngx_str_t *path, ngx_http_eventsync_sizes_t *sizes);
static ngx_int_t ngx_http_eventsync_same_size(ngx_conf_t *cf, char *name,
    ngx_str_t *path, size_t size, size_t old);


char *
ngx_http_eventsync_store_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_eventsync_srv_conf_t *escf = conf;

    char                        *rv;
    es_rc_t                      rc;
    ngx_str_t                   *value, path;
    ngx_uint_t                   i;
    es_problem_t                 problem;
    ngx_http_eventsync_sizes_t   sizes;

    if (escf->store != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;
    path = value[1];

    ngx_memzero(&sizes, sizeof(ngx_http_eventsync_sizes_t));

    for (i = 2; i < cf->args->nelts; i++) {

        if (ngx_strncmp(value[i].data, "zone_size=", 10) == 0) {
            rv = ngx_http_eventsync_size(cf, &value[i], "zone",
                                         16 * ngx_pagesize, &path,
                                         &sizes.zone);

        } else if (ngx_strncmp(value[i].data, "pages_size=", 11) == 0) {
            rv = ngx_http_eventsync_size(cf, &value[i], "pages",
                                         NGX_HTTP_EVENTSYNC_PAGES_MIN, &path,
                                         &sizes.pages);

        } else {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid parameter \"%V\"", &value[i]);
            return NGX_CONF_ERROR;
        }

        if (rv != NGX_CONF_OK) {
            return rv;
        }
    }

    if (ngx_conf_full_name(cf->cycle, &path, 0) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&problem, sizeof(es_problem_t));

    rc = es_store_probe((char *) path.data, &problem);

    if (rc != ES_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "eventsync store \"%V\" cannot be used: %s", &path,
                           problem.detail[0] ? problem.detail
                                             : es_reason(rc));
        return NGX_CONF_ERROR;
    }

    return ngx_http_eventsync_add_store(cf, &path, &sizes, &escf->store);
}


/* parses NAME_size=SIZE */

static char *
ngx_http_eventsync_size(ngx_conf_t *cf, ngx_str_t *value, char *name,
    ssize_t min, ngx_str_t *path, ssize_t *size)
{
    ngx_str_t  s;

    s = *value;
    s.data += ngx_strlen(name) + sizeof("_size=") - 1;
    s.len -= ngx_strlen(name) + sizeof("_size=") - 1;

    *size = ngx_parse_size(&s);

    if (*size == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid %s size \"%V\"",
                           name, value);
        return NGX_CONF_ERROR;
    }

    if (*size < min) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "%s size of \"%V\" is too small, the minimum "
                           "is %z bytes", name, path, min);
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_eventsync_same_size(ngx_conf_t *cf, char *name, ngx_str_t *path,
    size_t size, size_t old)
{
    if (size == 0 || size == old) {
        return NGX_OK;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "the %s size %uz of \"%V\" conflicts with already "
                       "declared size %uz", name, size, path, old);

    return NGX_DECLINED;
}


/* one store for each path, because a process may open a store only once */

static char *
ngx_http_eventsync_add_store(ngx_conf_t *cf, ngx_str_t *path,
    ngx_http_eventsync_sizes_t *sizes, ngx_http_eventsync_store_t **result)
{
    ngx_uint_t                        i;
    ngx_http_eventsync_store_t       *store, **stores;
    ngx_http_eventsync_main_conf_t   *emcf;

    emcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_eventsync_module);

    stores = emcf->stores.elts;

    for (i = 0; i < emcf->stores.nelts; i++) {
        store = stores[i];

        if (store->path.len != path->len
            || ngx_strncmp(store->path.data, path->data, path->len) != 0)
        {
            continue;
        }

        if (ngx_http_eventsync_same_size(cf, "zone", path, sizes->zone,
                                         store->zone->shm.size)
            != NGX_OK
            || ngx_http_eventsync_same_size(cf, "pages", path, sizes->pages,
                                            store->pages_size)
               != NGX_OK)
        {
            return NGX_CONF_ERROR;
        }

        *result = store;

        return NGX_CONF_OK;
    }

    store = ngx_http_eventsync_new_store(cf, path, sizes);
    stores = ngx_array_push(&emcf->stores);

    if (store == NULL || stores == NULL) {
        return NGX_CONF_ERROR;
    }

    *stores = store;
    *result = store;

    return NGX_CONF_OK;
}


static ngx_http_eventsync_store_t *
ngx_http_eventsync_new_store(ngx_conf_t *cf, ngx_str_t *path,
    ngx_http_eventsync_sizes_t *sizes)
{
    u_char                      *p;
    ngx_str_t                    name;
    ngx_http_eventsync_zone_t   *zone;
    ngx_http_eventsync_store_t  *store;

    store = ngx_pcalloc(cf->pool, sizeof(ngx_http_eventsync_store_t));
    zone = ngx_pcalloc(cf->pool, sizeof(ngx_http_eventsync_zone_t));
    name.len = sizeof("eventsync:") - 1 + path->len;
    name.data = ngx_pnalloc(cf->pool, name.len);

    if (store == NULL || zone == NULL || name.data == NULL) {
        return NULL;
    }

    p = ngx_http_eventsync_copy(name.data, "eventsync:");
    ngx_memcpy(p, path->data, path->len);

    store->path = *path;
    store->pages_size = sizes->pages ? (size_t) sizes->pages
                                     : NGX_HTTP_EVENTSYNC_PAGES_SIZE;
    store->zone = ngx_shared_memory_add(cf, &name,
                                        sizes->zone
                                        ? (size_t) sizes->zone
                                        : NGX_HTTP_EVENTSYNC_ZONE_SIZE,
                                        &ngx_http_eventsync_module);
    if (store->zone == NULL) {
        return NULL;
    }

    store->zone->init = ngx_http_eventsync_init_zone;
    store->zone->data = zone;

    return store;
}
