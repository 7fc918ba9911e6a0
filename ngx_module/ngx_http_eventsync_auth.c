/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Who sends a request: API keys, the access tokens that were issued for them,
 * and client certificates (_peer) are looked up in the registry, as it is at
 * that moment (access.h).
 *
 * A token of an external issuer names a partner, not a key. The request then
 * has the partner's grant, which the token's scope narrows.
 *
 * ctx->grant is what the key was granted at the last look. It is valid until
 * the next look of the same request, or the end of the request.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_worker.h"

#include "keys/apikey.h"
#include "limit/limit.h"
#include "log/store_clock.h"
#include "registry/access.h"
#include "registry/registry.h"
#include "token/jwt.h"


/* ms by which the clock of timers may be behind the clock of expiry times */
#define NGX_HTTP_EVENTSYNC_CLOCKS  10


static ngx_int_t ngx_http_eventsync_credential(ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_parse_key(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *text);
static ngx_int_t ngx_http_eventsync_parse_token(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *text);
static ngx_int_t ngx_http_eventsync_admit(ngx_http_eventsync_ctx_t *ctx);
static ngx_int_t ngx_http_eventsync_find_key(ngx_http_eventsync_ctx_t *ctx);
static es_rc_t ngx_http_eventsync_find_grant(ngx_http_eventsync_ctx_t *ctx,
    const es_key_t **key);
static ngx_uint_t ngx_http_eventsync_key_given(ngx_http_eventsync_ctx_t *ctx,
    const es_key_t *key);
static void ngx_http_eventsync_release(void *data);
static int64_t ngx_http_eventsync_expires(ngx_http_eventsync_ctx_t *ctx,
    const es_key_t *key);


/*
 * May be called again for the same request, because a key may be revoked
 * meanwhile.
 */

ngx_int_t
ngx_http_eventsync_authenticate(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_memcpy(ctx->limit.rates, ctx->conf->limit.rates,
               sizeof(ctx->limit.rates));

    if (ctx->conf->auth == NGX_HTTP_EVENTSYNC_AUTH_OFF) {
        return NGX_OK;
    }

    ngx_http_eventsync_release(ctx);

    if (ngx_http_eventsync_registry(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    if (ctx->key.id[0] == '\0'
        && (ngx_http_eventsync_limit_address(ctx) != NGX_OK
            || ngx_http_eventsync_credential(ctx) != NGX_OK))
    {
        return NGX_DECLINED;
    }

    return ngx_http_eventsync_admit(ctx);
}


/*
 * For requests for a token, whose credential is in the body: prepares the
 * limits, and checks the address before the credential.
 */

ngx_int_t
ngx_http_eventsync_admit_address(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_memcpy(ctx->limit.rates, ctx->conf->limit.rates,
               sizeof(ctx->limit.rates));

    return ngx_http_eventsync_limit_address(ctx);
}


ngx_int_t
ngx_http_eventsync_authenticate_client(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *id, ngx_str_t *secret)
{
    if (ngx_http_eventsync_registry(ctx) != NGX_OK
        || ngx_http_eventsync_parse_key(ctx, secret) != NGX_OK)
    {
        return NGX_DECLINED;
    }

    if (id->len != ES_KEYID_LEN
        || ngx_memcmp(id->data, ctx->key.id, ES_KEYID_LEN) != 0)
    {
        return ngx_http_eventsync_unauthorized(ctx, 1, "The client id does "
                                               "not belong to this key.");
    }

    return ngx_http_eventsync_admit(ctx);
}


/* for a request that was admitted, and has waited */

ngx_int_t
ngx_http_eventsync_admit_again(ngx_http_eventsync_ctx_t *ctx)
{
    return (ngx_http_eventsync_registry(ctx) == NGX_OK)
           ? ngx_http_eventsync_admit(ctx) : NGX_DECLINED;
}


/* checks the current state of the key, which the request or its token names */

static ngx_int_t
ngx_http_eventsync_admit(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_uint_t           i;
    const es_partner_t  *partner;

    if (ngx_http_eventsync_find_key(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    partner = ctx->grant->partner;

    if (ctx->conf->auth == NGX_HTTP_EVENTSYNC_AUTH_BOTH
        && ngx_http_eventsync_peer_admit(ctx) != NGX_OK)
    {
        ngx_http_eventsync_release(ctx);
        return NGX_DECLINED;
    }

    ctx->expires_ms = ngx_http_eventsync_expires(ctx, ctx->grant);
    ctx->partner = partner->number;
    ctx->partner_name.len = ngx_min(partner->name.len, sizeof(ctx->name));
    ctx->partner_name.data = ctx->name;
    ngx_memcpy(ctx->name, partner->name.data, ctx->partner_name.len);

    for (i = 0; i < ES_POLICIES; i++) {
        if (partner->limited[i]) {
            ctx->limit.rates[i] = partner->limits[i];
        }
    }

    return ngx_http_eventsync_flag(ctx);
}


ngx_int_t
ngx_http_eventsync_registry(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t  rc;

    rc = ngx_http_eventsync_access(ctx->worker);

    if (rc == ES_OK) {
        return NGX_OK;
    }

    /* what was read before could admit a key that is revoked */

    return ngx_http_eventsync_fail_store(ctx, rc == ES_NOT_FOUND ? ES_BUSY
                                                                 : rc);
}


/* learns whether partners or keys have changed */

es_rc_t
ngx_http_eventsync_access(ngx_http_eventsync_worker_t *w)
{
    es_rc_t  rc;

    if (w->access == NULL) {
        w->access = es_access_create(w->es);

        if (w->access == NULL) {
            return ES_NOMEM;
        }

        rc = es_access_record(w->access);

        if (rc != ES_OK) {
            ngx_log_error(NGX_LOG_WARN, ngx_cycle->log, 0,
                          "eventsync cannot record when keys are used: %s",
                          es_reason(rc));
        }
    }

    return es_access_refresh(w->access);
}


static ngx_int_t
ngx_http_eventsync_credential(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_str_t         text;
    ngx_table_elt_t  *h;

    h = ctx->request->headers_in.authorization;

    if (ctx->conf->auth == NGX_HTTP_EVENTSYNC_AUTH_MTLS
        || (ctx->conf->auth == NGX_HTTP_EVENTSYNC_AUTH_EITHER && h == NULL))
    {
        ctx->certified = 1;
        return ngx_http_eventsync_peer(ctx);
    }

    if (h == NULL) {
        return ngx_http_eventsync_unauthorized(ctx, 0,
                               "The request has no Authorization header.");
    }

    text = h->value;

    if (text.len < 7
        || ngx_strncasecmp(text.data, (u_char *) "Bearer ", 7) != 0)
    {
        return ngx_http_eventsync_unauthorized(ctx, 0,
                               "The Authorization scheme is not Bearer.");
    }

    text.data += 7;
    text.len -= 7;

    while (text.len && *text.data == ' ') {
        text.data++;
        text.len--;
    }

    /* a token contains dots, a key never does */

    return ngx_strlchr(text.data, text.data + text.len, '.')
           ? ngx_http_eventsync_parse_token(ctx, &text)
           : ngx_http_eventsync_parse_key(ctx, &text);
}


static ngx_int_t
ngx_http_eventsync_parse_token(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *text)
{
    switch (ngx_http_eventsync_bearer(ctx, text)) {

    case NGX_OK:
        return NGX_OK;

    case NGX_DECLINED:
        return ngx_http_eventsync_unauthorized(ctx, 1, "The token is "
                                               "malformed, expired or was not "
                                               "issued here.");

    case NGX_BUSY:
        return ngx_http_eventsync_fail_issuer(ctx);

    default: /* NGX_ERROR */
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }
}


/*
 * Keeps the digest of the key only. The worker does not remember keys that
 * have been presented, because their text would stay in its memory.
 */

static ngx_int_t
ngx_http_eventsync_parse_key(ngx_http_eventsync_ctx_t *ctx, ngx_str_t *text)
{
    if (es_apikey_parse(ngx_http_eventsync_str(text), &ctx->key) == ES_OK) {
        return NGX_OK;
    }

    ctx->key.id[0] = '\0';

    return ngx_http_eventsync_unauthorized(ctx, 1, "The key is malformed.");
}


/* sets ctx->grant */

static ngx_int_t
ngx_http_eventsync_find_key(ngx_http_eventsync_ctx_t *ctx)
{
    es_rc_t              rc;
    int64_t              now;
    const es_key_t      *key;
    ngx_pool_cleanup_t  *cln;

    if (!ctx->granted) {
        cln = ngx_pool_cleanup_add(ctx->request->pool, 0);
        if (cln == NULL) {
            return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
        }

        cln->handler = ngx_http_eventsync_release;
        cln->data = ctx;

        ctx->granted = 1;
    }

    rc = ngx_http_eventsync_find_grant(ctx, &key);

    if (rc != ES_OK && rc != ES_NOT_FOUND) {
        return ngx_http_eventsync_fail_store(ctx, rc);
    }

    ngx_http_eventsync_release(ctx);

    if (rc == ES_OK) {
        ctx->grant = key;

        if (ngx_http_eventsync_key_given(ctx, key)) {

            if (ngx_http_eventsync_check_address(ctx, key) != NGX_OK) {
                ngx_http_eventsync_release(ctx);
                return NGX_DECLINED;
            }

            now = ngx_http_eventsync_now_ms(ctx->worker);

            if (es_key_valid(key, now)) {
                es_access_use(ctx->worker->access, key, now);
                return NGX_OK;
            }

            if (es_key_current(key, now)
                && es_partner_ended(key->partner, now))
            {
                ngx_http_eventsync_release(ctx);
                return ngx_http_eventsync_fail(ctx,
                                  NGX_HTTP_EVENTSYNC_FORBIDDEN,
                                  "The data-use agreement has ended.");
            }
        }

        ngx_http_eventsync_release(ctx);
    }

    if (ctx->certified) {
        return ngx_http_eventsync_unauthorized(ctx, 1, "The client "
                                  "certificate is unknown, expired or "
                                  "revoked.");
    }

    return ngx_http_eventsync_unauthorized(ctx, 1, ctx->token
                                  ? "The token or its key is expired or "
                                    "revoked, or the token is bound to "
                                    "another certificate."
                                  : "The key is unknown, expired or revoked.");
}


/*
 * A token of another issuer has no key in the registry, only a partner. The
 * key of a certificate is known by one of its names.
 */

static es_rc_t
ngx_http_eventsync_find_grant(ngx_http_eventsync_ctx_t *ctx,
    const es_key_t **key)
{
    es_rc_t  rc;

    if (ctx->certified) {
        rc = ngx_http_eventsync_peer_find(ctx, key);

    } else if (ctx->token && ctx->token->issuer) {
        rc = es_access_find_partner(ctx->worker->access,
                                    ctx->token->jwt.partner, key);

    } else {
        return es_access_find(ctx->worker->access, ctx->key.id, key);
    }

    if (rc == ES_OK) {
        ngx_memcpy(ctx->key.id, (*key)->id, sizeof(ctx->key.id));
    }

    return rc;
}


/* the credential of the request belongs to the key */

static ngx_uint_t
ngx_http_eventsync_key_given(ngx_http_eventsync_ctx_t *ctx,
    const es_key_t *key)
{
    if (ctx->certified || key->certificate) {
        return ctx->certified && ngx_http_eventsync_peer_current(ctx);
    }

    if (ctx->token) {
        return !es_jwt_expired(&ctx->token->jwt,
                               ngx_http_eventsync_now_ms(ctx->worker))
               && (ctx->token->issuer == NULL
                   || ngx_http_eventsync_issuer_stands(ctx, ctx->token))
               && (!ctx->token->jwt.bound
                   || ngx_http_eventsync_peer_is(ctx,
                                             ctx->token->jwt.certificate));
    }

    return es_apikey_equal(key->digest, ctx->key.digest);
}


static void
ngx_http_eventsync_release(void *data)
{
    ngx_http_eventsync_ctx_t  *ctx = data;

    if (ctx->grant) {
        es_access_release(ctx->grant);
        ctx->grant = NULL;
    }
}


/*
 * A time has passed if it has by the wall clock or by the store's time, so
 * that a clock that is put back does not revive a key or token.
 */

int64_t
ngx_http_eventsync_now_ms(ngx_http_eventsync_worker_t *w)
{
    int64_t      wall;
    ngx_time_t  *tp;

    tp = ngx_timeofday();
    wall = (int64_t) tp->sec * 1000 + tp->msec;

    return ngx_max(wall, ngx_http_eventsync_store_ms(w));
}


int64_t
ngx_http_eventsync_store_ms(ngx_http_eventsync_worker_t *w)
{
    return w->clock + (int64_t) (ngx_msec_t) (ngx_current_msec - w->clocked);
}


/* at most once a second, and only without an open transaction */

void
ngx_http_eventsync_clock(ngx_http_eventsync_worker_t *w)
{
    if (w->es == NULL
        || (w->clock && ngx_current_msec - w->clocked < 1000))
    {
        return;
    }

    w->clock = es_store_due_ms(w->es);
    w->clocked = ngx_current_msec;
}


/* the earlier of two times, of which 0 is never */

int64_t
ngx_http_eventsync_earlier(int64_t a, int64_t b)
{
    return (a == 0 || (b != 0 && b < a)) ? b : a;
}


/* the earliest of the expiry times of the key, its token and certificate */

static int64_t
ngx_http_eventsync_expires(ngx_http_eventsync_ctx_t *ctx, const es_key_t *key)
{
    int64_t  expires;

    expires = ngx_http_eventsync_earlier(key->expires_ms, key->revoked_ms);
    expires = ngx_http_eventsync_earlier(expires,
                                         key->partner->data_use.expires_ms);

    if (ctx->token) {
        expires = ngx_http_eventsync_earlier(expires,
                                          ctx->token->jwt.expires_s * 1000);
    }

    if (ctx->peer) {
        expires = ngx_http_eventsync_earlier(expires,
                                             ctx->peer->cert.ends_ms);
        expires = ngx_http_eventsync_earlier(expires, ctx->peer->expires_ms);
    }

    return expires;
}


/* limits a waiting time to that of the credential */

ngx_msec_t
ngx_http_eventsync_until(ngx_http_eventsync_ctx_t *ctx, ngx_msec_t time)
{
    int64_t  left;

    if (ctx->expires_ms == 0) {
        return time;
    }

    left = ctx->expires_ms - ngx_http_eventsync_now_ms(ctx->worker);
    left = ngx_max(left, 0) + NGX_HTTP_EVENTSYNC_CLOCKS;

    return (ngx_msec_t) ngx_min(left, (int64_t) time);
}


ngx_int_t
ngx_http_eventsync_unauthorized(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t given, char *detail)
{
    ngx_str_t  *challenge;

    /*
     * a key that was revoked while its request waited is not a guess, nor is a
     * token that was signed here
     */

    if (ctx->partner == 0 && ctx->token == NULL) {
        ngx_http_eventsync_limit_failed(ctx);
    }

    (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_UNAUTHORIZED, "%s",
                                   detail);

    if (ctx->problem == NULL) {
        return NGX_DECLINED;
    }

    challenge = &ctx->problem->challenge;

    /* no scheme is registered for certificates, but a 401 must have one */

    if (ctx->conf->auth == NGX_HTTP_EVENTSYNC_AUTH_MTLS) {
        ngx_str_set(challenge, "ClientCertificate realm=\"eventsync\"");

    } else if (given) {
        ngx_str_set(challenge, NGX_HTTP_EVENTSYNC_CHALLENGE
                               ", error=\"invalid_token\"");
    } else {
        ngx_str_set(challenge, NGX_HTTP_EVENTSYNC_CHALLENGE);
    }

    return NGX_DECLINED;
}
