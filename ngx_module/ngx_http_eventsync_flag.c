/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Locations that only partners with a flag have (registry/flags.h).
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_worker.h"

#include "registry/access.h"
#include "registry/object.h"


char *
ngx_http_eventsync_flag_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_eventsync_loc_conf_t *elcf = conf;

    ngx_str_t  *value;

    if (elcf->flag.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        ngx_str_set(&elcf->flag, "");
        return NGX_CONF_OK;
    }

    if (!es_object_name_ok(ES_KIND_FLAG, ngx_http_eventsync_str(&value[1]))) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid name of a flag \"%V\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    elcf->flag = value[1];

    return NGX_CONF_OK;
}


/* at "nginx -t": without a credential there is no partner who could have it */

char *
ngx_http_eventsync_flag_check(ngx_conf_t *cf,
    ngx_http_eventsync_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (conf->flag.len == 0 || conf->auth != NGX_HTTP_EVENTSYNC_AUTH_OFF) {
        return NGX_CONF_OK;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "\"eventsync_flag\" cannot be used with \"eventsync_auth "
                  "off\" in location \"%V\"", &clcf->name);

    return NGX_CONF_ERROR;
}


/* a partner without the flag gets the answer of a path that is not served */

ngx_int_t
ngx_http_eventsync_flag(ngx_http_eventsync_ctx_t *ctx)
{
    bool     on;
    es_rc_t  rc;

    if (ctx->conf->flag.len == 0) {
        return NGX_OK;
    }

    rc = es_access_flag(ctx->worker->access, ctx->grant,
                        ngx_http_eventsync_str(&ctx->conf->flag), &on);

    if (rc != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, rc == ES_NOT_FOUND ? ES_BUSY
                                                                     : rc);
    }

    if (on) {
        return NGX_OK;
    }

    return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_NOT_FOUND,
                                   "The resource does not exist.");
}
