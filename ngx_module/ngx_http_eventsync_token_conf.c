/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Directives of access tokens. The master reads the signing keys together with
 * the configuration, so that workers need no permission to read the file.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"

#include "token/jwt.h"


static es_rc_t ngx_http_eventsync_token_keys_load(char *path, void **keys,
    es_problem_t *problem);
static void ngx_http_eventsync_token_keys_free(void *data);


char *
ngx_http_eventsync_token_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_eventsync_loc_conf_t *elcf = conf;

    /* only merging can detect missing keys; it reports this place */

    elcf->token_file = cf->conf_file->file.name.data;
    elcf->token_line = cf->conf_file->line;

    return ngx_http_eventsync_serve_directive(cf, cmd, conf);
}


char *
ngx_http_eventsync_token_keys_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_eventsync_srv_conf_t *escf = conf;

    return ngx_http_eventsync_keys_file(cf, (void **) &escf->token_keys,
                                        ngx_http_eventsync_token_keys_load,
                                        ngx_http_eventsync_token_keys_free);
}


static es_rc_t
ngx_http_eventsync_token_keys_load(char *path, void **keys,
    es_problem_t *problem)
{
    return es_jwt_keys_load(path, (es_jwt_keys_t **) keys, problem);
}


static void
ngx_http_eventsync_token_keys_free(void *data)
{
    es_jwt_keys_free(data);
}


char *
ngx_http_eventsync_token_lifetime(ngx_conf_t *cf, void *post, void *data)
{
    time_t *seconds = data;

    ngx_str_t  *value;

    if (*seconds >= 1 && *seconds <= ES_JWT_LIFETIME_MAX_S) {
        return NGX_CONF_OK;
    }

    value = cf->args->elts;

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid lifetime \"%V\", it must be from 1s to 1d",
                       &value[1]);

    return NGX_CONF_ERROR;
}


/* sets the keys of a merged location; to issue tokens, it must have keys */

char *
ngx_http_eventsync_token_use_keys(ngx_conf_t *cf,
    ngx_http_eventsync_loc_conf_t *conf, es_jwt_keys_t *keys)
{
    conf->token_keys = keys;

    if (!conf->serves[NGX_HTTP_EVENTSYNC_TOKEN] || keys) {
        return NGX_CONF_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "no \"eventsync_token_keys\" is defined for "
                  "\"eventsync_token on\" in %s:%ui",
                  conf->token_file, conf->token_line);

    return NGX_CONF_ERROR;
}
