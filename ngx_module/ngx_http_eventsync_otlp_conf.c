/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The directive eventsync_otlp.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_otlp.h"


#define NGX_HTTP_EVENTSYNC_OTLP_PORT    4318
#define NGX_HTTP_EVENTSYNC_OTLP_BUFFER  (1024 * 1024)


static char *ngx_http_eventsync_otlp_url(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_eventsync_otlp_conf_t *otlp);
static char *ngx_http_eventsync_otlp_parameter(ngx_conf_t *cf,
    ngx_str_t *value, ngx_http_eventsync_otlp_conf_t *otlp);


char *
ngx_http_eventsync_otlp_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_eventsync_main_conf_t *emcf = conf;

    char                            *rv;
    ngx_str_t                       *value;
    ngx_uint_t                       i;
    ngx_http_eventsync_otlp_conf_t  *otlp;

    if (emcf->otlp_set) {
        return "is duplicate";
    }

    emcf->otlp_set = 1;
    value = cf->args->elts;

    if (value[1].len == 3 && ngx_strncmp(value[1].data, "off", 3) == 0) {
        return (cf->args->nelts == 2) ? NGX_CONF_OK
                                      : "has parameters after \"off\"";
    }

    otlp = ngx_pcalloc(cf->pool, sizeof(ngx_http_eventsync_otlp_conf_t));
    if (otlp == NULL) {
        return NGX_CONF_ERROR;
    }

    otlp->buffer = NGX_HTTP_EVENTSYNC_OTLP_BUFFER;

    rv = ngx_http_eventsync_otlp_url(cf, &value[1], otlp);

    for (i = 2; rv == NGX_CONF_OK && i < cf->args->nelts; i++) {
        rv = ngx_http_eventsync_otlp_parameter(cf, &value[i], otlp);
    }

    emcf->otlp = otlp;

    return rv;
}


/* a URL without a path names the collector */

static char *
ngx_http_eventsync_otlp_url(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_eventsync_otlp_conf_t *otlp)
{
    ngx_url_t  u;

    if (value->len <= 7
        || ngx_strncasecmp(value->data, (u_char *) "http://", 7) != 0)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid URL \"%V\", it must begin with "
                           "\"http://\"", value);
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&u, sizeof(ngx_url_t));

    u.url.len = value->len - 7;
    u.url.data = value->data + 7;
    u.default_port = NGX_HTTP_EVENTSYNC_OTLP_PORT;
    u.uri_part = 1;

    if (ngx_strlchr(u.url.data, u.url.data + u.url.len, '@') != NULL) {
        u.err = "credentials are not supported";
    }

    if (u.err || ngx_parse_url(cf->pool, &u) != NGX_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s in the URL of a collector",
                           u.err ? u.err : "invalid host");
        return NGX_CONF_ERROR;
    }

    otlp->addrs = u.addrs;
    otlp->naddrs = u.naddrs;
    otlp->host = u.host;
    otlp->uri = u.uri;

    if (u.family == AF_UNIX) {
        ngx_str_set(&otlp->host, "localhost");

    } else if (!u.no_port) {
        otlp->host.len = u.host.len + 1 + u.port_text.len;
    }

    if (otlp->uri.len <= 1) {
        ngx_str_set(&otlp->uri, ES_OTLP_PATH);
    }

    return NGX_CONF_OK;
}


static char *
ngx_http_eventsync_otlp_parameter(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_eventsync_otlp_conf_t *otlp)
{
    ssize_t    size;
    ngx_str_t  s;

    if (ngx_strncmp(value->data, "share=", 6) == 0) {
        s.data = value->data + 6;
        s.len = value->len - 6;

        if (es_otlp_share(ngx_http_eventsync_str(&s), &otlp->share) == ES_OK)
        {
            return NGX_CONF_OK;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid share \"%V\", it must be a number from 0 "
                           "to 1", &s);
        return NGX_CONF_ERROR;
    }

    if (ngx_strncmp(value->data, "buffer=", 7) == 0) {
        s.data = value->data + 7;
        s.len = value->len - 7;
        size = ngx_parse_size(&s);

        if (size >= ES_OTLP_MIN) {
            otlp->buffer = size;
            return NGX_CONF_OK;
        }

        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid buffer \"%V\", it must be a size of at "
                           "least 64k", &s);
        return NGX_CONF_ERROR;
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                       value);

    return NGX_CONF_ERROR;
}
