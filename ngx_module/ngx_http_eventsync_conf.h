/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The configuration: the stores, and what each location serves and how.
 */


#ifndef _NGX_HTTP_EVENTSYNC_CONF_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_CONF_H_INCLUDED_


#include "ngx_http_eventsync.h"

#include "event/digest.h"
#include "keys/keyring.h"
#include "token/jwt.h"


#define NGX_HTTP_EVENTSYNC_AUTH_OFF           0
#define NGX_HTTP_EVENTSYNC_AUTH_KEY           1
#define NGX_HTTP_EVENTSYNC_AUTH_MTLS          2 /* and above: certificates */
#define NGX_HTTP_EVENTSYNC_AUTH_EITHER        3
#define NGX_HTTP_EVENTSYNC_AUTH_BOTH          4

#define NGX_HTTP_EVENTSYNC_CACHE_PRIVATE      0
#define NGX_HTTP_EVENTSYNC_CACHE_SHARED       1

/* and as many more as endpoints have series of their own */
#define NGX_HTTP_EVENTSYNC_METRICS_ON         1
#define NGX_HTTP_EVENTSYNC_METRICS_ENDPOINTS  1000
#define NGX_HTTP_EVENTSYNC_METRICS_MAX        100000

#define NGX_HTTP_EVENTSYNC_DASHBOARD_ON       1
#define NGX_HTTP_EVENTSYNC_DASHBOARD_OPERATOR 2


/* dates that all answers of a location have */

typedef struct {
    int64_t                           deprecated_ms;
    int64_t                           sunset_ms;  /* 0: none */
    ngx_str_t                         link;       /* of a header field, or
                                                     empty */
} ngx_http_eventsync_deprecated_t;


struct ngx_http_eventsync_store_s {
    ngx_str_t                         path;       /* NUL-terminated */
    ngx_shm_zone_t                   *zone;
    ngx_http_eventsync_worker_t      *worker;
    ngx_uint_t                        publish;    /* unsigned  publish:1 */
    ngx_uint_t                        manage;     /* unsigned  manage:1 */
    es_keyring_t                     *keys;       /* may be NULL */
    ngx_uint_t                        checkpoint; /* unsigned  :1 */
    ngx_uint_t                        observe;    /* reads delivery state */
    ngx_uint_t                        pages;      /* unsigned  pages:1 */
    size_t                            pages_size;
    ngx_uint_t                        threads;    /* unsigned  threads:1 */
    ngx_thread_pool_t                *pool;       /* see _work */
    ngx_thread_pool_t                *commit_pool;
};


typedef struct {
    ngx_array_t                       stores;     /* ..._store_t * */
    ngx_array_t                      *issuers;    /* of all servers; NULL:
                                                     none */
    ngx_http_eventsync_otlp_conf_t   *otlp;       /* NULL: off */
    ngx_uint_t                        otlp_set;   /* unsigned  otlp_set:1 */
    ngx_http_eventsync_exporter_t    *exporter;   /* of this worker, or NULL */
    u_char                            digest[ES_CHAIN_LEN];  /* see _digest */
} ngx_http_eventsync_main_conf_t;


typedef struct {
    ngx_http_eventsync_store_t       *store;
    es_keyring_t                     *keys;
    es_jwt_keys_t                    *token_keys;
    ngx_array_t                      *issuers;    /* es_issuer_t * */
} ngx_http_eventsync_srv_conf_t;


struct ngx_http_eventsync_loc_conf_s {
    ngx_http_eventsync_store_t       *store;

    ngx_flag_t                        serves[NGX_HTTP_EVENTSYNC_RESOURCES];
    u_char                           *serves_file; /* place of the first */
    ngx_uint_t                        serves_line;

    ngx_str_t                         prefix;     /* of URLs; data NULL: none,
                                                     such as for a server */
    ngx_uint_t                        prefix_set; /* by eventsync_prefix */

    ngx_uint_t                        auth;
    ngx_str_t                         flag;       /* that a partner must have;
                                                     empty: none */
    ngx_http_eventsync_limit_conf_t   limit;

    es_jwt_keys_t                    *token_keys; /* NULL: no tokens */
    ngx_array_t                      *issuers;    /* NULL: none */
    time_t                            token_lifetime;
    u_char                           *token_file; /* the directive's place */
    ngx_uint_t                        token_line;

    ngx_uint_t                        poll_limit;
    ngx_uint_t                        poll_limit_max;
    time_t                            poll_wait_max;

    size_t                            max_event;

    ngx_uint_t                        cache;

    ngx_array_t                      *cors;       /* ngx_str_t; NULL: off */
    ngx_http_eventsync_deprecated_t  *deprecated; /* NULL: off */
    ngx_array_t                      *tombstones; /* es_str_t; NULL: off */

    ngx_msec_t                        backfill_heartbeat;

    ngx_flag_t                        sse;
    ngx_msec_t                        sse_max_time;
    ngx_msec_t                        sse_heartbeat;

    ngx_msec_t                        ready_dispatcher;   /* 0: off */
};


typedef es_rc_t (*ngx_http_eventsync_keys_load_pt)(char *path, void **keys,
    es_problem_t *problem);


/* hex digits of the first half of the digest, and a NUL */

#define NGX_HTTP_EVENTSYNC_DIGEST_TEXT  (ES_CHAIN_LEN + 1)

ngx_int_t ngx_http_eventsync_digest_init(ngx_conf_t *cf);
void ngx_http_eventsync_digest_text(
    const ngx_http_eventsync_main_conf_t *emcf, char *text);
char *ngx_http_eventsync_metrics_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_eventsync_serve_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_eventsync_prefix_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
void ngx_http_eventsync_prefix_merge(ngx_conf_t *cf,
    ngx_http_eventsync_loc_conf_t *conf,
    const ngx_http_eventsync_loc_conf_t *prev);
char *ngx_http_eventsync_prefix_check(ngx_conf_t *cf,
    ngx_http_eventsync_loc_conf_t *conf);
char *ngx_http_eventsync_store_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_eventsync_keys_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_eventsync_keys_file(ngx_conf_t *cf, void **keys,
    ngx_http_eventsync_keys_load_pt load, ngx_pool_cleanup_pt free);
char *ngx_http_eventsync_keys_use(ngx_conf_t *cf,
    ngx_http_eventsync_store_t *store, es_keyring_t *keys);
void ngx_http_eventsync_keys_private(ngx_cycle_t *cycle);
void ngx_http_eventsync_keys_open(ngx_http_eventsync_store_t *store,
    ngx_log_t *log);
char *ngx_http_eventsync_peer_check(ngx_conf_t *cf,
    ngx_http_eventsync_loc_conf_t *conf);
char *ngx_http_eventsync_cors_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_eventsync_deprecated_directive(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_eventsync_flag_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_eventsync_flag_check(ngx_conf_t *cf,
    ngx_http_eventsync_loc_conf_t *conf);
char *ngx_http_eventsync_token_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_eventsync_token_keys_directive(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_eventsync_issuer_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_eventsync_token_lifetime(ngx_conf_t *cf, void *post,
    void *data);
char *ngx_http_eventsync_token_use_keys(ngx_conf_t *cf,
    ngx_http_eventsync_loc_conf_t *conf, es_jwt_keys_t *keys);
char *ngx_http_eventsync_tombstones_directive(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_eventsync_ready_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


extern ngx_array_t  ngx_http_eventsync_tombstones;


#endif /* _NGX_HTTP_EVENTSYNC_CONF_H_INCLUDED_ */
