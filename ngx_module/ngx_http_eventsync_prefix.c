/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The prefix of a location: what stands before its resources in their URLs.
 * The client must not choose any part of a URL that the module ignores,
 * because rules for a path, in nginx or in front of it, would not apply then.
 * So the configuration alone says the prefix: by the name of the location,
 * or by a directive where the name is a regular expression or begins with "@".
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_route.h"


/* switches a resource on or off; some have levels */

char *
ngx_http_eventsync_serve_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_eventsync_loc_conf_t *elcf = conf;

    /* only merging can detect a missing prefix; it reports this place */

    if (elcf->serves_file == NULL) {
        elcf->serves_file = cf->conf_file->file.name.data;
        elcf->serves_line = cf->conf_file->line;
    }

    return cmd->post ? ngx_conf_set_enum_slot(cf, cmd, conf)
                     : ngx_conf_set_flag_slot(cf, cmd, conf);
}


char *
ngx_http_eventsync_prefix_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_eventsync_loc_conf_t *elcf = conf;

    ngx_str_t  *value, prefix;

    if (elcf->prefix_set) {
        return "is duplicate";
    }

    value = cf->args->elts;
    prefix = value[1];

    if (prefix.len == 0 || prefix.data[0] != '/'
        || ngx_strlchr(prefix.data, prefix.data + prefix.len, '$'))
    {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid prefix \"%V\", it must begin with \"/\" "
                           "and have no variable", &prefix);
        return NGX_CONF_ERROR;
    }

    if (prefix.data[prefix.len - 1] == '/') {
        prefix.len--;
    }

    elcf->prefix = prefix;
    elcf->prefix_set = 1;

    return NGX_CONF_OK;
}


void
ngx_http_eventsync_prefix_merge(ngx_conf_t *cf,
    ngx_http_eventsync_loc_conf_t *conf,
    const ngx_http_eventsync_loc_conf_t *prev)
{
    ngx_uint_t                 path;
    ngx_http_core_loc_conf_t  *clcf;

    if (conf->serves_file == NULL) {
        conf->serves_file = prev->serves_file;
        conf->serves_line = prev->serves_line;
    }

    if (conf->prefix_set) {
        return;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* blocks such as "if" and "limit_except" have a name that is not theirs */

    path = (clcf->name.len && !clcf->noname && !clcf->named);

#if (NGX_PCRE)
    path = (path && clcf->regex == NULL);
#endif

    if (!path || prev->prefix_set) {
        conf->prefix = prev->prefix;
        conf->prefix_set = prev->prefix_set;
        return;
    }

    conf->prefix.data = clcf->name.data;
    conf->prefix.len = ngx_http_eventsync_route_prefix(&clcf->name);
}


char *
ngx_http_eventsync_prefix_check(ngx_conf_t *cf,
    ngx_http_eventsync_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;

    if (conf->prefix.data) {
        return NGX_CONF_OK;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "no \"eventsync_prefix\" is defined for location \"%V\" "
                  "in %s:%ui", &clcf->name, conf->serves_file,
                  conf->serves_line);

    return NGX_CONF_ERROR;
}
