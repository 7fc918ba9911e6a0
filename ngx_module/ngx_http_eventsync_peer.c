/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Client certificates as a credential. nginx verifies the certificate in the
 * handshake; here it is looked up in the registry, under each of its names in
 * turn. The first name with a record decides, so a revoked fingerprint wins
 * over a valid subject.
 *
 * A resumed session and a connection that is kept alive were verified earlier,
 * so each look at the record also looks at the certificate's own dates.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_worker.h"

#include "registry/access.h"
#include "registry/registry.h"


static ngx_int_t ngx_http_eventsync_peer_parse(ngx_http_eventsync_ctx_t *ctx,
    X509 *x509);
static es_rc_t ngx_http_eventsync_peer_join(ngx_http_eventsync_ctx_t *ctx,
    const es_key_t *key);


/* gets the certificate of the connection, which nginx has verified */

ngx_int_t
ngx_http_eventsync_peer(ngx_http_eventsync_ctx_t *ctx)
{
#if (NGX_HTTP_SSL)

    X509              *x509;
    ngx_int_t          rc;
    ngx_connection_t  *c;

    if (ctx->peer) {
        return NGX_OK;
    }

    c = ctx->request->connection;

    if (c->ssl == NULL) {
        return ngx_http_eventsync_unauthorized(ctx, 0, "The request has no "
                                   "client certificate: it came without TLS.");
    }

    x509 = SSL_get_peer_certificate(c->ssl->connection);

    if (x509 == NULL) {
        return ngx_http_eventsync_unauthorized(ctx, 0, "The request has no "
                               "client certificate.");
    }

    if (SSL_get_verify_result(c->ssl->connection) == X509_V_OK) {
        rc = ngx_http_eventsync_peer_parse(ctx, x509);

    } else {
        rc = ngx_http_eventsync_unauthorized(ctx, 1, "The client certificate "
                               "was not issued by an authority that is "
                               "trusted here.");
    }

    X509_free(x509);

    return rc;

#else

    return ngx_http_eventsync_unauthorized(ctx, 0, "The request has no client "
                               "certificate: it came without TLS.");

#endif
}


static ngx_int_t
ngx_http_eventsync_peer_parse(ngx_http_eventsync_ctx_t *ctx, X509 *x509)
{
    es_rc_t                     rc;
    ngx_http_eventsync_peer_t  *peer;

    peer = ngx_pcalloc(ctx->request->pool, sizeof(ngx_http_eventsync_peer_t));
    if (peer == NULL) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    rc = es_peer_cert_read(x509, &peer->cert);

    if (rc == ES_INVALID) {
        return ngx_http_eventsync_unauthorized(ctx, 1, "The client "
                                   "certificate has malformed or too many "
                                   "names.");
    }

    if (rc != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, rc);
    }

    ctx->peer = peer;

    return NGX_OK;
}


/* the record of the certificate; the caller releases it */

es_rc_t
ngx_http_eventsync_peer_find(ngx_http_eventsync_ctx_t *ctx,
    const es_key_t **key)
{
    es_rc_t             rc;
    ngx_uint_t          i;
    const es_apikey_t  *name;

    for (i = 0; i < ctx->peer->cert.n; i++) {
        name = &ctx->peer->cert.names[i];

        rc = es_access_find(ctx->worker->access, name->id, key);

        if (rc == ES_NOT_FOUND) {
            continue;
        }

        if (rc != ES_OK) {
            return rc;
        }

        if ((*key)->certificate
            && es_apikey_equal((*key)->digest, name->digest))
        {
            return ES_OK;
        }

        /* an id is short, so that of a key may be the same by chance */

        es_access_release(*key);
    }

    return ES_NOT_FOUND;
}


/* by its own dates */

ngx_uint_t
ngx_http_eventsync_peer_current(ngx_http_eventsync_ctx_t *ctx)
{
    int64_t                now;
    const es_peer_cert_t  *cert;

    cert = &ctx->peer->cert;
    now = ngx_http_eventsync_now_ms(ctx->worker);

    return now >= cert->begins_ms && now < cert->ends_ms;
}


/*
 * For a token that is bound to a certificate (RFC 8705): the client has it.
 * The caller replaces the problem of a client that has none.
 */

ngx_uint_t
ngx_http_eventsync_peer_is(ngx_http_eventsync_ctx_t *ctx,
    const uint8_t *sha256)
{
    if (ngx_http_eventsync_peer(ctx) == NGX_OK
        && ngx_http_eventsync_peer_current(ctx)
        && ngx_memcmp(ctx->peer->cert.names[0].digest, sha256, ES_DIGEST_LEN)
           == 0)
    {
        return 1;
    }

    ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                  "eventsync: token is refused: it is bound to another "
                  "certificate");

    return 0;
}


/* where a key and a certificate are required: both are of one partner */

ngx_int_t
ngx_http_eventsync_peer_admit(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t          rc;
    const es_key_t  *key;

    if (ngx_http_eventsync_peer(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    rc = ngx_http_eventsync_peer_find(ctx, &key);

    if (rc != ES_OK && rc != ES_NOT_FOUND) {
        return ngx_http_eventsync_fail_store(ctx, rc);
    }

    if (rc == ES_OK) {
        rc = ngx_http_eventsync_peer_join(ctx, key);
        es_access_release(key);
    }

    return (rc == ES_NOT_FOUND)
           ? ngx_http_eventsync_unauthorized(ctx, 1,
                           "The client certificate is unknown, expired or "
                           "revoked, or belongs to another partner than the "
                           "key.")
           : (rc == ES_OK) ? NGX_OK : NGX_DECLINED;
}


/* ES_NOT_FOUND: it does not count; ES_DENIED: refused for its address */

static es_rc_t
ngx_http_eventsync_peer_join(ngx_http_eventsync_ctx_t *ctx,
    const es_key_t *key)
{
    int64_t  now;

    if (!ngx_http_eventsync_peer_current(ctx)
        || key->partner->number != ctx->grant->partner->number)
    {
        return ES_NOT_FOUND;
    }

    if (ngx_http_eventsync_check_address(ctx, key) != NGX_OK) {
        return ES_DENIED;
    }

    now = ngx_http_eventsync_now_ms(ctx->worker);

    if (!es_key_valid(key, now)) {
        return ES_NOT_FOUND;
    }

    es_access_use(ctx->worker->access, key, now);

    ctx->peer->expires_ms = ngx_http_eventsync_earlier(key->expires_ms,
                                                       key->revoked_ms);

    return ES_OK;
}


/* at "nginx -t": no request could have a certificate */

char *
ngx_http_eventsync_peer_check(ngx_conf_t *cf,
    ngx_http_eventsync_loc_conf_t *conf)
{
    ngx_http_core_loc_conf_t  *clcf;
#if (NGX_HTTP_SSL)
    ngx_http_ssl_srv_conf_t   *sscf;
#endif

    if (conf->auth < NGX_HTTP_EVENTSYNC_AUTH_MTLS) {
        return NGX_CONF_OK;
    }

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (conf->auth == NGX_HTTP_EVENTSYNC_AUTH_MTLS
        && conf->serves[NGX_HTTP_EVENTSYNC_TOKEN])
    {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"eventsync_token on\" and \"eventsync_auth mtls\" "
                      "exclude each other in location \"%V\": tokens are "
                      "issued for keys", &clcf->name);
        return NGX_CONF_ERROR;
    }

#if (NGX_HTTP_SSL)

    sscf = ngx_http_conf_get_module_srv_conf(cf, ngx_http_ssl_module);

    if (sscf->verify) {
        return NGX_CONF_OK;
    }

#endif

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "no \"ssl_verify_client\" is defined for \"eventsync_auth\" "
                  "with client certificates in location \"%V\"",
                  &clcf->name);

    return NGX_CONF_ERROR;
}
