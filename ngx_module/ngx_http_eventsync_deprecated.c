/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Dates of deprecation and sunset: those of a location, which all its answers
 * have, and those of a version of an event type.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_send.h"

#include "base/clock.h"


static char *ngx_http_eventsync_deprecated_option(ngx_conf_t *cf,
    ngx_str_t *value, ngx_http_eventsync_deprecated_t *dep);
static ngx_int_t ngx_http_eventsync_deprecated_url(ngx_str_t *url);
static ngx_uint_t ngx_http_eventsync_deprecated_set(ngx_http_request_t *r);


static ngx_str_t  ngx_http_eventsync_deprecation = ngx_string("Deprecation");
static ngx_str_t  ngx_http_eventsync_sunset = ngx_string("Sunset");
static ngx_str_t  ngx_http_eventsync_link = ngx_string("Link");


char *
ngx_http_eventsync_deprecated_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_eventsync_loc_conf_t *elcf = conf;

    char                             *rc;
    ngx_str_t                        *value;
    ngx_uint_t                        i;
    ngx_http_eventsync_deprecated_t  *dep;

    if (elcf->deprecated != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        elcf->deprecated = NULL;
        return NGX_CONF_OK;
    }

    dep = ngx_pcalloc(cf->pool, sizeof(ngx_http_eventsync_deprecated_t));
    if (dep == NULL) {
        return NGX_CONF_ERROR;
    }

    if (es_time_parse(ngx_http_eventsync_str(&value[1]), &dep->deprecated_ms)
        != ES_OK)
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid time \"%V\", it must be as in "
                           "\"2027-01-01T00:00:00Z\"", &value[1]);
        return NGX_CONF_ERROR;
    }

    for (i = 2; i < cf->args->nelts; i++) {
        rc = ngx_http_eventsync_deprecated_option(cf, &value[i], dep);

        if (rc != NGX_CONF_OK) {
            return rc;
        }
    }

    elcf->deprecated = dep;

    return NGX_CONF_OK;
}


static char *
ngx_http_eventsync_deprecated_option(ngx_conf_t *cf, ngx_str_t *value,
    ngx_http_eventsync_deprecated_t *dep)
{
    ngx_str_t  text;

    if (dep->sunset_ms == 0 && ngx_strncmp(value->data, "sunset=", 7) == 0) {
        text.data = value->data + 7;
        text.len = value->len - 7;

        if (es_time_parse(ngx_http_eventsync_str(&text), &dep->sunset_ms)
            == ES_OK)
        {
            /* RFC 9745, section 4 */

            return (dep->sunset_ms < dep->deprecated_ms)
                   ? "has a sunset before the deprecation" : NGX_CONF_OK;
        }

    } else if (dep->link.len == 0
               && ngx_strncmp(value->data, "link=", 5) == 0)
    {
        text.data = value->data + 5;
        text.len = value->len - 5;

        if (ngx_http_eventsync_deprecated_url(&text) == NGX_OK) {
            dep->link.len = text.len + sizeof("<>; rel=\"deprecation\"") - 1;
            dep->link.data = ngx_pnalloc(cf->pool, dep->link.len);

            if (dep->link.data == NULL) {
                return NGX_CONF_ERROR;
            }

            ngx_sprintf(dep->link.data, "<%V>; rel=\"deprecation\"", &text);

            return NGX_CONF_OK;
        }
    }

    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                       value);

    return NGX_CONF_ERROR;
}


/* a reference in a header field: visible ASCII that does not end it */

static ngx_int_t
ngx_http_eventsync_deprecated_url(ngx_str_t *url)
{
    size_t  i;

    for (i = 0; i < url->len; i++) {
        if (url->data[i] <= ' ' || url->data[i] >= 0x7f
            || url->data[i] == '<' || url->data[i] == '>'
            || url->data[i] == '"')
        {
            return NGX_ERROR;
        }
    }

    return url->len ? NGX_OK : NGX_ERROR;
}


/* the fields of the location, unless the answer has dates of its own */

ngx_int_t
ngx_http_eventsync_deprecated(ngx_http_request_t *r)
{
    ngx_http_eventsync_loc_conf_t    *elcf;
    ngx_http_eventsync_deprecated_t  *dep;

    elcf = ngx_http_get_module_loc_conf(r, ngx_http_eventsync_module);
    dep = elcf->deprecated;

    if (dep == NULL || r != r->main || ngx_http_eventsync_deprecated_set(r)) {
        return NGX_OK;
    }

    if (dep->link.len
        && ngx_http_eventsync_header(r, &ngx_http_eventsync_link, &dep->link)
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_eventsync_dates(r, dep->deprecated_ms, dep->sunset_ms);
}


static ngx_uint_t
ngx_http_eventsync_deprecated_set(ngx_http_request_t *r)
{
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    for (part = &r->headers_out.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            if (h[i].key.data == ngx_http_eventsync_deprecation.data
                || h[i].key.data == ngx_http_eventsync_sunset.data)
            {
                return 1;
            }
        }
    }

    return 0;
}


/* RFC 9745: a date of structured fields; RFC 8594: an HTTP-date; 0: none */

ngx_int_t
ngx_http_eventsync_dates(ngx_http_request_t *r, int64_t deprecated_ms,
    int64_t sunset_ms)
{
    u_char     *p;
    ngx_str_t   value;

    if (deprecated_ms) {
        p = ngx_pnalloc(r->pool, NGX_INT64_LEN + 1);
        if (p == NULL) {
            return NGX_ERROR;
        }

        value.data = p;
        value.len = ngx_sprintf(p, "@%L", deprecated_ms / 1000) - p;

        if (ngx_http_eventsync_header(r, &ngx_http_eventsync_deprecation,
                                      &value)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    if (sunset_ms == 0) {
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, sizeof("Mon, 28 Sep 1970 06:00:00 GMT") - 1);
    if (p == NULL) {
        return NGX_ERROR;
    }

    value.data = p;
    value.len = ngx_http_time(p, sunset_ms / 1000) - p;

    return ngx_http_eventsync_header(r, &ngx_http_eventsync_sunset, &value);
}
