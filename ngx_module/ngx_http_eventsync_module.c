/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The module definition: directives, and creating and merging configurations.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_count.h"
#include "ngx_http_eventsync_otlp.h"
#include "ngx_http_eventsync_worker.h"

#include "jwe/jwe.h"


static void *ngx_http_eventsync_create_main_conf(ngx_conf_t *cf);
static void *ngx_http_eventsync_create_srv_conf(ngx_conf_t *cf);
static char *ngx_http_eventsync_merge_srv_conf(ngx_conf_t *cf, void *parent,
    void *child);
static void *ngx_http_eventsync_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_eventsync_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static char *ngx_http_eventsync_enable(ngx_conf_t *cf,
    ngx_http_eventsync_loc_conf_t *conf);
static void ngx_http_eventsync_use_store(
    ngx_http_eventsync_loc_conf_t *conf);
static ngx_int_t ngx_http_eventsync_preconfigure(ngx_conf_t *cf);
static ngx_int_t ngx_http_eventsync_configured(ngx_conf_t *cf);
static char *ngx_http_eventsync_poll_limit(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static char *ngx_http_eventsync_positive(ngx_conf_t *cf, void *post,
    void *data);


static ngx_conf_enum_t  ngx_http_eventsync_auths[] = {
    { ngx_string("off"), NGX_HTTP_EVENTSYNC_AUTH_OFF },
    { ngx_string("key"), NGX_HTTP_EVENTSYNC_AUTH_KEY },
    { ngx_string("mtls"), NGX_HTTP_EVENTSYNC_AUTH_MTLS },
    { ngx_string("key_or_mtls"), NGX_HTTP_EVENTSYNC_AUTH_EITHER },
    { ngx_string("key_and_mtls"), NGX_HTTP_EVENTSYNC_AUTH_BOTH },
    { ngx_null_string, 0 }
};


static ngx_conf_post_t  ngx_http_eventsync_positive_post = {
    ngx_http_eventsync_positive
};


static ngx_conf_post_t  ngx_http_eventsync_token_lifetime_post = {
    ngx_http_eventsync_token_lifetime
};


static ngx_conf_enum_t  ngx_http_eventsync_caches[] = {
    { ngx_string("private"), NGX_HTTP_EVENTSYNC_CACHE_PRIVATE },
    { ngx_string("shared"), NGX_HTTP_EVENTSYNC_CACHE_SHARED },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_eventsync_dashboards[] = {
    { ngx_string("off"), 0 },
    { ngx_string("on"), NGX_HTTP_EVENTSYNC_DASHBOARD_ON },
    { ngx_string("operator"), NGX_HTTP_EVENTSYNC_DASHBOARD_OPERATOR },
    { ngx_null_string, 0 }
};


static ngx_conf_enum_t  ngx_http_eventsync_metrics_levels[] = {
    { ngx_string("off"), 0 },
    { ngx_string("on"), NGX_HTTP_EVENTSYNC_METRICS_ON },
    { ngx_null_string, 0 }
};


/* resources whose requests wait for a disk or a lock, in a thread */

static const ngx_flag_t
    ngx_http_eventsync_threaded[NGX_HTTP_EVENTSYNC_RESOURCES] =
{
    [NGX_HTTP_EVENTSYNC_PUBLISH] = 1,
    [NGX_HTTP_EVENTSYNC_ENDPOINTS] = 1,
    [NGX_HTTP_EVENTSYNC_CATALOGUE] = 1,
    [NGX_HTTP_EVENTSYNC_CHECKPOINTS] = 1,
    [NGX_HTTP_EVENTSYNC_FEEDS] = 1,
    [NGX_HTTP_EVENTSYNC_STATUS] = 1,
    [NGX_HTTP_EVENTSYNC_OPERATOR] = 1,
    [NGX_HTTP_EVENTSYNC_HEALTH] = 1,
    [NGX_HTTP_EVENTSYNC_METRICS] = 1,
    [NGX_HTTP_EVENTSYNC_PAGES] = 1,
    [NGX_HTTP_EVENTSYNC_TOKEN] = 1
};


static ngx_command_t  ngx_http_eventsync_commands[] = {

    { ngx_string("eventsync_store"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_TAKE123,
      ngx_http_eventsync_store_directive,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("eventsync_otlp"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE123,
      ngx_http_eventsync_otlp_directive,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("eventsync_key_file"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_TAKE1,
      ngx_http_eventsync_keys_directive,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("eventsync_token_keys"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_TAKE1,
      ngx_http_eventsync_token_keys_directive,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("eventsync_issuer"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_CONF_2MORE,
      ngx_http_eventsync_issuer_directive,
      NGX_HTTP_SRV_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("eventsync_token_lifetime"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t, token_lifetime),
      &ngx_http_eventsync_token_lifetime_post },

    { ngx_string("eventsync_token"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_eventsync_token_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_TOKEN]),
      NULL },

    { ngx_string("eventsync_prefix"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_eventsync_prefix_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("eventsync_poll"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_eventsync_serve_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_POLL]),
      NULL },

    { ngx_string("eventsync_publish"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_eventsync_serve_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_PUBLISH]),
      NULL },

    { ngx_string("eventsync_feeds"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_eventsync_serve_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_FEEDS]),
      NULL },

    { ngx_string("eventsync_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_eventsync_serve_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_STATUS]),
      NULL },

    { ngx_string("eventsync_backfill"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_eventsync_serve_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_BACKFILL]),
      NULL },

    { ngx_string("eventsync_snapshot"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_eventsync_serve_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_SNAPSHOT]),
      NULL },

    { ngx_string("eventsync_tombstones"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_eventsync_tombstones_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("eventsync_catalogue"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_eventsync_serve_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_CATALOGUE]),
      NULL },

    { ngx_string("eventsync_checkpoints"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_eventsync_serve_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_CHECKPOINTS]),
      NULL },

    { ngx_string("eventsync_endpoints"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_eventsync_serve_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_ENDPOINTS]),
      NULL },

    { ngx_string("eventsync_pages"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_eventsync_serve_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_PAGES]),
      NULL },

    { ngx_string("eventsync_authorize"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_eventsync_serve_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_AUTHORIZE]),
      NULL },

    { ngx_string("eventsync_operator"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_eventsync_serve_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_OPERATOR]),
      NULL },

    { ngx_string("eventsync_dashboard"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_eventsync_serve_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_DASHBOARD]),
      &ngx_http_eventsync_dashboards },

    { ngx_string("eventsync_openapi"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_eventsync_serve_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_OPENAPI]),
      NULL },

    { ngx_string("eventsync_health"),
      NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_http_eventsync_serve_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_HEALTH]),
      NULL },

    { ngx_string("eventsync_ready_dispatcher"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_eventsync_ready_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("eventsync_metrics"),
      NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_eventsync_metrics_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t,
               serves[NGX_HTTP_EVENTSYNC_METRICS]),
      &ngx_http_eventsync_metrics_levels },

    { ngx_string("eventsync_cache"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t, cache),
      &ngx_http_eventsync_caches },

    { ngx_string("eventsync_auth"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t, auth),
      &ngx_http_eventsync_auths },

    { ngx_string("eventsync_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE23,
      ngx_http_eventsync_limit_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("eventsync_ratelimit_headers"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_enum_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t, limit.headers),
      &ngx_http_eventsync_limit_header_forms },

    { ngx_string("eventsync_limit_dry_run"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t, limit.dry_run),
      NULL },

    { ngx_string("eventsync_poll_limit"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE2,
      ngx_http_eventsync_poll_limit,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("eventsync_poll_wait_max"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_sec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t, poll_wait_max),
      NULL },

    { ngx_string("eventsync_max_event"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_size_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t, max_event),
      NULL },

    { ngx_string("eventsync_cors"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_1MORE,
      ngx_http_eventsync_cors_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("eventsync_deprecated"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE123,
      ngx_http_eventsync_deprecated_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("eventsync_flag"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_http_eventsync_flag_directive,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("eventsync_backfill_heartbeat"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t, backfill_heartbeat),
      &ngx_http_eventsync_positive_post },

    { ngx_string("eventsync_sse"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t, sse),
      NULL },

    { ngx_string("eventsync_sse_max_time"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t, sse_max_time),
      &ngx_http_eventsync_positive_post },

    { ngx_string("eventsync_sse_heartbeat"),
      NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF|NGX_CONF_TAKE1,
      ngx_conf_set_msec_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_eventsync_loc_conf_t, sse_heartbeat),
      &ngx_http_eventsync_positive_post },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_eventsync_module_ctx = {
    ngx_http_eventsync_preconfigure,       /* preconfiguration */
    ngx_http_eventsync_configured,         /* postconfiguration */

    ngx_http_eventsync_create_main_conf,   /* create main configuration */
    NULL,                                  /* init main configuration */

    ngx_http_eventsync_create_srv_conf,    /* create server configuration */
    ngx_http_eventsync_merge_srv_conf,     /* merge server configuration */

    ngx_http_eventsync_create_loc_conf,    /* create location configuration */
    ngx_http_eventsync_merge_loc_conf      /* merge location configuration */
};


ngx_module_t  ngx_http_eventsync_module = {
    NGX_MODULE_V1,
    &ngx_http_eventsync_module_ctx,        /* module context */
    ngx_http_eventsync_commands,           /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    ngx_http_eventsync_init_process,       /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    ngx_http_eventsync_exit_process,       /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_eventsync_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_eventsync_main_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_eventsync_main_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&conf->stores, cf->pool, 1,
                       sizeof(ngx_http_eventsync_store_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return conf;
}


static void *
ngx_http_eventsync_create_srv_conf(ngx_conf_t *cf)
{
    ngx_http_eventsync_srv_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_eventsync_srv_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    conf->store = NGX_CONF_UNSET_PTR;
    conf->keys = NGX_CONF_UNSET_PTR;
    conf->token_keys = NGX_CONF_UNSET_PTR;
    conf->issuers = NGX_CONF_UNSET_PTR;

    return conf;
}


static char *
ngx_http_eventsync_merge_srv_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_eventsync_srv_conf_t *prev = parent;
    ngx_http_eventsync_srv_conf_t *conf = child;

    ngx_conf_merge_ptr_value(conf->store, prev->store, NULL);
    ngx_conf_merge_ptr_value(conf->keys, prev->keys, NULL);
    ngx_conf_merge_ptr_value(conf->token_keys, prev->token_keys, NULL);
    ngx_conf_merge_ptr_value(conf->issuers, prev->issuers, NULL);

    return NGX_CONF_OK;
}


static void *
ngx_http_eventsync_create_loc_conf(ngx_conf_t *cf)
{
    ngx_uint_t                      i;
    ngx_http_eventsync_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_eventsync_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc():
     *
     *     conf->store = NULL;
     *     conf->serves_file = NULL;
     *     conf->serves_line = 0;
     *     conf->prefix = { 0, NULL };
     *     conf->prefix_set = 0;
     *     conf->flag = { 0, NULL };
     *     conf->token_keys = NULL;
     *     conf->issuers = NULL;
     *     conf->token_file = NULL;
     *     conf->token_line = 0;
     */

    for (i = 0; i < NGX_HTTP_EVENTSYNC_RESOURCES; i++) {
        conf->serves[i] = NGX_CONF_UNSET;
    }

    ngx_http_eventsync_limit_create_conf(&conf->limit);

    conf->auth = NGX_CONF_UNSET_UINT;
    conf->token_lifetime = NGX_CONF_UNSET;
    conf->poll_limit = NGX_CONF_UNSET_UINT;
    conf->poll_limit_max = NGX_CONF_UNSET_UINT;
    conf->poll_wait_max = NGX_CONF_UNSET;
    conf->max_event = NGX_CONF_UNSET_SIZE;
    conf->cache = NGX_CONF_UNSET_UINT;
    conf->cors = NGX_CONF_UNSET_PTR;
    conf->deprecated = NGX_CONF_UNSET_PTR;
    conf->tombstones = NGX_CONF_UNSET_PTR;
    conf->backfill_heartbeat = NGX_CONF_UNSET_MSEC;
    conf->sse = NGX_CONF_UNSET;
    conf->sse_max_time = NGX_CONF_UNSET_MSEC;
    conf->sse_heartbeat = NGX_CONF_UNSET_MSEC;
    conf->ready_dispatcher = NGX_CONF_UNSET_MSEC;

    return conf;
}


static char *
ngx_http_eventsync_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_eventsync_loc_conf_t *prev = parent;
    ngx_http_eventsync_loc_conf_t *conf = child;

    ngx_uint_t  i, serves;

    ngx_conf_merge_uint_value(conf->auth, prev->auth,
                              NGX_HTTP_EVENTSYNC_AUTH_KEY);

    ngx_conf_merge_sec_value(conf->token_lifetime, prev->token_lifetime, 900);

    if (conf->token_file == NULL) {
        conf->token_file = prev->token_file;
        conf->token_line = prev->token_line;
    }

    ngx_conf_merge_uint_value(conf->poll_limit, prev->poll_limit, 100);
    ngx_conf_merge_uint_value(conf->poll_limit_max, prev->poll_limit_max,
                              1000);
    ngx_conf_merge_sec_value(conf->poll_wait_max, prev->poll_wait_max, 60);
    ngx_conf_merge_size_value(conf->max_event, prev->max_event, 256 * 1024);
    ngx_conf_merge_uint_value(conf->cache, prev->cache,
                              NGX_HTTP_EVENTSYNC_CACHE_PRIVATE);
    ngx_conf_merge_str_value(conf->flag, prev->flag, "");
    ngx_conf_merge_ptr_value(conf->cors, prev->cors, NULL);
    ngx_conf_merge_ptr_value(conf->deprecated, prev->deprecated, NULL);
    ngx_conf_merge_ptr_value(conf->tombstones, prev->tombstones,
                             &ngx_http_eventsync_tombstones);

    ngx_conf_merge_msec_value(conf->backfill_heartbeat,
                              prev->backfill_heartbeat, 5000);
    ngx_conf_merge_value(conf->sse, prev->sse, 0);
    ngx_conf_merge_msec_value(conf->sse_max_time, prev->sse_max_time, 300000);
    ngx_conf_merge_msec_value(conf->sse_heartbeat, prev->sse_heartbeat, 15000);
    ngx_conf_merge_msec_value(conf->ready_dispatcher, prev->ready_dispatcher,
                              30000);

    ngx_http_eventsync_limit_merge_conf(&conf->limit, &prev->limit);
    ngx_http_eventsync_prefix_merge(cf, conf, prev);

    serves = 0;

    for (i = 0; i < NGX_HTTP_EVENTSYNC_RESOURCES; i++) {
        ngx_conf_merge_value(conf->serves[i], prev->serves[i], 0);
        serves |= conf->serves[i];
    }

    return serves ? ngx_http_eventsync_enable(cf, conf) : NGX_CONF_OK;
}


static char *
ngx_http_eventsync_enable(ngx_conf_t *cf, ngx_http_eventsync_loc_conf_t *conf)
{
    ngx_uint_t                      i;
    ngx_http_core_loc_conf_t       *clcf;
    ngx_http_eventsync_srv_conf_t  *escf;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* another module handles the location, such as a nested proxy_pass */

    if (clcf->handler) {
        return NGX_CONF_OK;
    }

    escf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_eventsync_module);

    if (escf->store == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "no \"eventsync_store\" is defined for "
                      "location \"%V\"", &clcf->name);
        return NGX_CONF_ERROR;
    }

    conf->store = escf->store;
    conf->issuers = escf->issuers;
    clcf->handler = ngx_http_eventsync_handler;

    if (ngx_http_eventsync_prefix_check(cf, conf) != NGX_CONF_OK
        || ngx_http_eventsync_peer_check(cf, conf) != NGX_CONF_OK
        || ngx_http_eventsync_flag_check(cf, conf) != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    if (ngx_http_eventsync_token_use_keys(cf, conf, escf->token_keys)
        != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    for (i = 0; i < NGX_HTTP_EVENTSYNC_RESOURCES; i++) {
        if (conf->serves[i] && ngx_http_eventsync_threaded[i]) {
            break;
        }
    }

    if (i == NGX_HTTP_EVENTSYNC_RESOURCES) {
        return NGX_CONF_OK;
    }

    /* publishers need them for a store with erased events only */

    if ((conf->serves[NGX_HTTP_EVENTSYNC_ENDPOINTS]
         || (conf->serves[NGX_HTTP_EVENTSYNC_PUBLISH] && escf->keys))
        && ngx_http_eventsync_keys_use(cf, escf->store, escf->keys)
           != NGX_CONF_OK)
    {
        return NGX_CONF_ERROR;
    }

    ngx_http_eventsync_use_store(conf);

    return ngx_http_eventsync_too_large_page(cf, clcf);
}


/* what the location needs of its store */

static void
ngx_http_eventsync_use_store(ngx_http_eventsync_loc_conf_t *conf)
{
    ngx_http_eventsync_store_t  *store;

    store = conf->store;

    store->threads = 1;
    store->publish |= conf->serves[NGX_HTTP_EVENTSYNC_PUBLISH];
    store->manage |= conf->serves[NGX_HTTP_EVENTSYNC_ENDPOINTS];
    store->checkpoint |= conf->serves[NGX_HTTP_EVENTSYNC_CHECKPOINTS];
    store->pages |= conf->serves[NGX_HTTP_EVENTSYNC_PAGES];
    store->observe |= conf->serves[NGX_HTTP_EVENTSYNC_STATUS]
                      || conf->serves[NGX_HTTP_EVENTSYNC_OPERATOR]
                      || conf->serves[NGX_HTTP_EVENTSYNC_METRICS]
                      || (conf->serves[NGX_HTTP_EVENTSYNC_HEALTH]
                          && conf->ready_dispatcher);
}


/* all stores are known */

static ngx_int_t
ngx_http_eventsync_preconfigure(ngx_conf_t *cf)
{
    return (ngx_http_eventsync_digest_init(cf) == NGX_OK)
           ? ngx_http_eventsync_add_variables(cf) : NGX_ERROR;
}


static ngx_int_t
ngx_http_eventsync_configured(ngx_conf_t *cf)
{
    ngx_http_eventsync_main_conf_t  *emcf;

    emcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_eventsync_module);

    if (emcf->stores.nelts && !es_jwe_available()) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "eventsync: " ES_JWE_UNAVAILABLE);
        return NGX_ERROR;
    }

    return (ngx_http_eventsync_count_init(cf) == NGX_OK)
           ? ngx_http_eventsync_work_pools(cf) : NGX_ERROR;
}


static char *
ngx_http_eventsync_poll_limit(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_eventsync_loc_conf_t *elcf = conf;

    ngx_int_t    n;
    ngx_str_t   *value;
    ngx_uint_t   i, numbers[2];

    if (elcf->poll_limit != NGX_CONF_UNSET_UINT) {
        return "is duplicate";
    }

    value = cf->args->elts;

    for (i = 0; i < 2; i++) {
        n = ngx_atoi(value[i + 1].data, value[i + 1].len);

        if (n <= 0) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid number \"%V\"",
                               &value[i + 1]);
            return NGX_CONF_ERROR;
        }

        numbers[i] = n;
    }

    if (numbers[0] > numbers[1]) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "default \"%V\" exceeds the maximum \"%V\"",
                           &value[1], &value[2]);
        return NGX_CONF_ERROR;
    }

    elcf->poll_limit = numbers[0];
    elcf->poll_limit_max = numbers[1];

    return NGX_CONF_OK;
}


static char *
ngx_http_eventsync_positive(ngx_conf_t *cf, void *post, void *data)
{
    ngx_msec_t *ms = data;

    return *ms ? NGX_CONF_OK : "must be longer than 0";
}
