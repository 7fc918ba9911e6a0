/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * External issuers: the directive eventsync_issuer, and the verification of
 * their tokens. Their keys are public. The master reads them with the
 * configuration, and each worker reads a changed file again. A signature is
 * verified within the event loop, because it costs some tenth of a millisecond,
 * and _bearer caches it.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_conf.h"

#include "event/cursor.h"
#include "registry/member.h"
#include "token/issuer.h"


#define NGX_HTTP_EVENTSYNC_ISSUER_SCOPES                                      \
    (ES_SCOPE_READ | ES_SCOPE_PUBLISH | ES_SCOPE_ACK)


static ngx_int_t ngx_http_eventsync_issuer_parameter(ngx_conf_t *cf,
    ngx_str_t *value, es_issuer_conf_t *issuer);
static ngx_int_t ngx_http_eventsync_issuer_scopes(es_str_t text,
    es_issuer_conf_t *issuer);
static char *ngx_http_eventsync_issuer_check(es_issuer_conf_t *issuer);
static char *ngx_http_eventsync_issuer_add(ngx_conf_t *cf,
    ngx_http_eventsync_srv_conf_t *escf, es_issuer_conf_t *conf);
static void ngx_http_eventsync_issuer_free(void *data);
static ngx_int_t ngx_http_eventsync_issuer_list(ngx_conf_t *cf,
    es_issuer_t *issuer);
static ngx_uint_t ngx_http_eventsync_issuer_refresh(ngx_log_t *log,
    es_issuer_t *issuer);


char *
ngx_http_eventsync_issuer_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    char              *fault;
    ngx_str_t         *value, path;
    ngx_uint_t         i;
    es_issuer_conf_t   issuer;

    value = cf->args->elts;

    ngx_memzero(&issuer, sizeof(es_issuer_conf_t));
    issuer.iss = ngx_http_eventsync_str(&value[1]);

    for (i = 2; i < cf->args->nelts; i++) {
        if (ngx_http_eventsync_issuer_parameter(cf, &value[i], &issuer)
            != NGX_OK)
        {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid or repeated parameter \"%V\"",
                               &value[i]);
            return NGX_CONF_ERROR;
        }
    }

    fault = ngx_http_eventsync_issuer_check(&issuer);

    if (fault) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "issuer \"%V\" %s",
                           &value[1], fault);
        return NGX_CONF_ERROR;
    }

    path.data = (u_char *) issuer.path;
    path.len = ngx_strlen(issuer.path);

    if (ngx_conf_full_name(cf->cycle, &path, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    issuer.path = (char *) path.data;

    return ngx_http_eventsync_issuer_add(cf, conf, &issuer);
}


/* texts of a configuration end with a NUL */

static ngx_int_t
ngx_http_eventsync_issuer_parameter(ngx_conf_t *cf, ngx_str_t *value,
    es_issuer_conf_t *issuer)
{
    size_t      len;
    es_str_t    text, path, scopes;
    ngx_uint_t  i;

    struct {
        char      *name;
        es_str_t  *field;
    } params[] = {
        { "jwks=", &path },
        { "aud=", &issuer->aud },
        { "typ=", &issuer->typ },
        { "alg=", &issuer->alg },
        { "partner=", &issuer->partner },
        { "partner_claim=", &issuer->partner_claim },
        { "scopes=", &scopes }
    };

    path = es_str(issuer->path ? issuer->path : "");
    scopes.len = issuer->scopes;

    for (i = 0; i < sizeof(params) / sizeof(params[0]); i++) {
        len = ngx_strlen(params[i].name);

        if (ngx_strncmp(value->data, params[i].name, len) == 0) {
            break;
        }
    }

    if (i == sizeof(params) / sizeof(params[0]) || params[i].field->len) {
        return NGX_ERROR;
    }

    text.data = (char *) value->data + len;
    text.len = value->len - len;

    if (text.len == 0) {
        return NGX_ERROR;
    }

    *params[i].field = text;

    if (params[i].field == &path) {
        issuer->path = path.data;
    }

    return (params[i].field == &scopes)
           ? ngx_http_eventsync_issuer_scopes(scopes, issuer) : NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_issuer_scopes(es_str_t text, es_issuer_conf_t *issuer)
{
    char             *p, *last, *end;
    es_str_t          word;
    const es_word_t  *w;

    last = (char *) text.data + text.len;

    for (p = (char *) text.data; p <= last; p = end + 1) {
        end = memchr(p, ',', last - p);
        end = end ? end : last;

        word.data = p;
        word.len = end - p;

        for (w = es_scope_words; w->word; w++) {
            if (es_str_eq(word, es_str(w->word))) {
                break;
            }
        }

        if (w->word == NULL) {
            return NGX_ERROR;
        }

        issuer->scopes |= w->value;
    }

    return NGX_OK;
}


/* sets defaults; returns what is wrong, or NULL */

static char *
ngx_http_eventsync_issuer_check(es_issuer_conf_t *issuer)
{
    if (issuer->typ.len == 0) {
        issuer->typ = es_str("at+jwt");
    }

    if (issuer->scopes == 0) {
        issuer->scopes = NGX_HTTP_EVENTSYNC_ISSUER_SCOPES;
    }

    if (issuer->iss.len == 0) {
        return "is empty";
    }

    if (issuer->path == NULL) {
        return "needs \"jwks=\", the file of its keys";
    }

    if (issuer->aud.len == 0) {
        return "needs \"aud=\", the audience of its tokens";
    }

    if ((issuer->partner.len == 0) == (issuer->partner_claim.len == 0)) {
        return "needs either \"partner=\" or \"partner_claim=\"";
    }

    if (issuer->partner.len && !es_feed_name_ok(issuer->partner)) {
        return "has a \"partner=\" that is no partner's name";
    }

    if (issuer->alg.len && !es_issuer_alg_ok(issuer->alg)) {
        return "has an \"alg=\" that is not ES256, RS256, PS256, EdDSA or "
               "Ed25519";
    }

    return NULL;
}


static char *
ngx_http_eventsync_issuer_add(ngx_conf_t *cf,
    ngx_http_eventsync_srv_conf_t *escf, es_issuer_conf_t *conf)
{
    ngx_uint_t            i;
    es_issuer_t         **issuers;
    es_problem_t          problem;
    ngx_pool_cleanup_t   *cln;

    if (escf->issuers == NGX_CONF_UNSET_PTR) {
        escf->issuers = ngx_array_create(cf->pool, 2, sizeof(es_issuer_t *));
        if (escf->issuers == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    issuers = escf->issuers->elts;

    for (i = 0; i < escf->issuers->nelts; i++) {
        if (es_str_eq(es_issuer_conf(issuers[i])->iss, conf->iss)) {
            return "is duplicate";
        }
    }

    issuers = ngx_array_push(escf->issuers);
    cln = ngx_pool_cleanup_add(cf->pool, 0);

    if (issuers == NULL || cln == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&problem, sizeof(es_problem_t));

    if (es_issuer_create(conf, issuers, &problem) != ES_OK) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "%s", problem.detail);
        return NGX_CONF_ERROR;
    }

    cln->handler = ngx_http_eventsync_issuer_free;
    cln->data = *issuers;

    return (ngx_http_eventsync_issuer_list(cf, *issuers) == NGX_OK)
           ? NGX_CONF_OK : NGX_CONF_ERROR;
}


static ngx_int_t
ngx_http_eventsync_issuer_list(ngx_conf_t *cf, es_issuer_t *issuer)
{
    es_issuer_t                     **listed;
    ngx_http_eventsync_main_conf_t   *emcf;

    emcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_eventsync_module);

    if (emcf->issuers == NULL) {
        emcf->issuers = ngx_array_create(cf->pool, 2, sizeof(es_issuer_t *));
        if (emcf->issuers == NULL) {
            return NGX_ERROR;
        }
    }

    listed = ngx_array_push(emcf->issuers);
    if (listed == NULL) {
        return NGX_ERROR;
    }

    *listed = issuer;

    return NGX_OK;
}


static void
ngx_http_eventsync_issuer_free(void *data)
{
    es_issuer_free(data);
}


/*
 * NGX_DECLINED: the token is not valid; NGX_BUSY: the file of its issuer's keys
 * is missing; NGX_ERROR: no memory
 */

ngx_int_t
ngx_http_eventsync_issuer_verify(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *text, ngx_http_eventsync_token_t *token)
{
    es_rc_t              rc;
    const char          *reason;
    ngx_array_t         *issuers;
    es_foreign_t         foreign;

    issuers = ctx->conf->issuers;

    if (issuers == NULL) {
        return NGX_DECLINED;
    }

    token->issuer = es_issuer_of(issuers->elts, issuers->nelts,
                                 ngx_http_eventsync_str(text));
    if (token->issuer == NULL) {
        return NGX_DECLINED;
    }

    if (!ngx_http_eventsync_issuer_refresh(ctx->request->connection->log,
                                           token->issuer))
    {
        return NGX_BUSY;
    }

    rc = es_issuer_verify(token->issuer, ngx_http_eventsync_str(text),
                          ngx_http_eventsync_now_ms(ctx->worker), &foreign,
                          &reason);

    if (rc == ES_INVALID) {
        ngx_log_error(NGX_LOG_INFO, ctx->request->connection->log, 0,
                      "eventsync: token of issuer \"%s\" is refused: %s",
                      es_issuer_conf(token->issuer)->iss.data, reason);
        return NGX_DECLINED;
    }

    if (rc != ES_OK) {
        return NGX_ERROR;
    }

    token->issuers = issuers;
    token->jwt = foreign.jwt;
    ngx_memcpy(token->signer, foreign.signer, ES_DIGEST_LEN);

    return NGX_OK;
}


/* a verified token ends at once when its issuer's file loses its key */

ngx_uint_t
ngx_http_eventsync_issuer_stands(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_token_t *token)
{
    return ngx_http_eventsync_issuer_refresh(ctx->request->connection->log,
                                             token->issuer)
           && es_issuer_has(token->issuer, token->signer);
}


/* how often keys have changed, for requests that wait: see _wake */

uint64_t
ngx_http_eventsync_issuers_changes(void)
{
    uint64_t                          changes;
    ngx_uint_t                        i;
    es_issuer_t                     **issuers;
    ngx_http_eventsync_main_conf_t   *emcf;

    emcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_eventsync_module);
    changes = 0;

    if (emcf->issuers == NULL) {
        return changes;
    }

    issuers = emcf->issuers->elts;

    for (i = 0; i < emcf->issuers->nelts; i++) {
        (void) ngx_http_eventsync_issuer_refresh(ngx_cycle->log, issuers[i]);
        changes += es_issuer_changes(issuers[i]);
    }

    return changes;
}


static ngx_uint_t
ngx_http_eventsync_issuer_refresh(ngx_log_t *log, es_issuer_t *issuer)
{
    es_problem_t  problem;

    ngx_memzero(&problem, sizeof(es_problem_t));

    if (es_issuer_refresh(issuer, ngx_current_msec, &problem) != ES_OK) {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "eventsync: %s; %s", problem.detail,
                      es_issuer_ready(issuer) ? "the keys from before stay"
                                              : "its tokens are refused");
    }

    return es_issuer_ready(issuer);
}
