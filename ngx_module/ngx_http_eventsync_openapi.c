/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * OpenAPI: serves docs/openapi.json, which describes the interface, as it was
 * when the module was built.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_file.h"
#include "ngx_http_eventsync_route.h"


/* made by openapi.sh in nginx's build directory, see `config` */

static u_char  ngx_http_eventsync_openapi_json[] = {
#include <ngx_http_eventsync_openapi.inc>
};


static ngx_http_eventsync_file_t  ngx_http_eventsync_openapi_file = {
    ngx_string("openapi.json"), ngx_string("application/json"),
    ngx_http_eventsync_openapi_json, sizeof(ngx_http_eventsync_openapi_json),
    0
};

static ngx_str_t  ngx_http_eventsync_openapi_public =
    ngx_string("public, max-age=3600");


ngx_int_t
ngx_http_eventsync_openapi(ngx_http_eventsync_ctx_t *ctx)
{
    return ngx_http_eventsync_send_file(ctx, &ngx_http_eventsync_openapi_file,
                                        &ngx_http_eventsync_openapi_public);
}
