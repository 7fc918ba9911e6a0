/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The address of a client, as ngx_http_realip_module has left it, and whether
 * a key may be used from it.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_count.h"
#include "ngx_http_eventsync_problem.h"

#include "registry/registry.h"


/*
 * Gets the family of the address; `data` is set to its bytes in network order,
 * and is NULL for AF_UNIX. An IPv4 address in an IPv6 socket is an IPv4
 * address. A zone id is not part of an address.
 */

int
ngx_http_eventsync_address(ngx_http_eventsync_ctx_t *ctx, u_char **data)
{
    struct sockaddr  *sockaddr;
#if (NGX_HAVE_INET6)
    struct in6_addr  *in6;
#endif

    sockaddr = ctx->request->connection->sockaddr;

    switch (sockaddr->sa_family) {

    case AF_INET:
        *data = (u_char *) &((struct sockaddr_in *) sockaddr)->sin_addr;
        return AF_INET;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        in6 = &((struct sockaddr_in6 *) sockaddr)->sin6_addr;

        if (IN6_IS_ADDR_V4MAPPED(in6)) {
            *data = &in6->s6_addr[12];
            return AF_INET;
        }

        *data = in6->s6_addr;
        return AF_INET6;
#endif

    default: /* AF_UNIX */
        *data = NULL;
        return AF_UNIX;
    }
}


/*
 * For a credential that is the right one. It is asked before whether the key
 * is expired or revoked, so that a thief elsewhere does not learn that.
 */

ngx_int_t
ngx_http_eventsync_check_address(ngx_http_eventsync_ctx_t *ctx,
    const es_key_t *key)
{
    int      family;
    u_char  *data;

    if (key->allow_from.n + key->partner->allow_from.n == 0) {
        return NGX_OK;
    }

    family = ngx_http_eventsync_address(ctx, &data);

    if (es_key_from(key, family, data)) {
        return NGX_OK;
    }

    /* a request that was admitted before is no attempt */

    if (ctx->partner == 0) {
        ngx_http_eventsync_limit_failed(ctx);
    }

    ngx_http_eventsync_count_address(ctx);

    ngx_log_error(NGX_LOG_WARN, ctx->request->connection->log, 0,
                  "eventsync key \"%s\" may not be used from \"%V\"",
                  key->id, &ctx->request->connection->addr_text);

    return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_FORBIDDEN,
                                   "The credential may not be used from this "
                                   "address.");
}
