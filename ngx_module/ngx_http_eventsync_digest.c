/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The digest of the configuration: of every directive of the module, in order,
 * with its parameters and its place. All workers of a configuration have the
 * same, on each machine.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_conf.h"

#include "event/digest.h"


#define NGX_HTTP_EVENTSYNC_COMMANDS  96


typedef char *(*ngx_http_eventsync_set_pt)(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);


static char *ngx_http_eventsync_digested(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
static void ngx_http_eventsync_digest_add(ngx_http_eventsync_main_conf_t *emcf,
    const void *data, size_t len);


static ngx_http_eventsync_set_pt
    ngx_http_eventsync_sets[NGX_HTTP_EVENTSYNC_COMMANDS];


/*
 * nginx does not tell modules about their directives, so each handler is
 * replaced by one that notes the directive and calls the handler. The commands
 * stay replaced when the configuration is read again.
 */

ngx_int_t
ngx_http_eventsync_digest_init(ngx_conf_t *cf)
{
    ngx_uint_t      i;
    ngx_command_t  *cmd;

    cmd = ngx_http_eventsync_module.commands;

    for (i = 0; cmd[i].name.len; i++) {

        if (i == NGX_HTTP_EVENTSYNC_COMMANDS) {
            ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                          "too many directives of eventsync");
            return NGX_ERROR;
        }

        if (cmd[i].set != ngx_http_eventsync_digested) {
            ngx_http_eventsync_sets[i] = cmd[i].set;
            cmd[i].set = ngx_http_eventsync_digested;
        }
    }

    return NGX_OK;
}


static char *
ngx_http_eventsync_digested(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_str_t                       *value;
    ngx_uint_t                       i, servers;
    ngx_http_core_loc_conf_t        *clcf;
    ngx_http_core_main_conf_t       *cmcf;
    ngx_http_eventsync_main_conf_t  *emcf;

    emcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_eventsync_module);
    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);
    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    /* each piece is hashed by itself, so their lengths count */

    servers = cmcf->servers.nelts;
    ngx_http_eventsync_digest_add(emcf, &servers, sizeof(servers));
    ngx_http_eventsync_digest_add(emcf, clcf->name.data, clcf->name.len);
    ngx_http_eventsync_digest_add(emcf, &cf->args->nelts,
                                  sizeof(cf->args->nelts));

    value = cf->args->elts;

    for (i = 0; i < cf->args->nelts; i++) {
        ngx_http_eventsync_digest_add(emcf, value[i].data, value[i].len);
    }

    return ngx_http_eventsync_sets[cmd - ngx_http_eventsync_module.commands](
               cf, cmd, conf);
}


static void
ngx_http_eventsync_digest_add(ngx_http_eventsync_main_conf_t *emcf,
    const void *data, size_t len)
{
    es_digest_chain(emcf->digest, data ? data : "", len);
}


void
ngx_http_eventsync_digest_text(const ngx_http_eventsync_main_conf_t *emcf,
    char *text)
{
    *ngx_hex_dump((u_char *) text, (u_char *) emcf->digest,
                  NGX_HTTP_EVENTSYNC_DIGEST_TEXT / 2)
        = '\0';
}
