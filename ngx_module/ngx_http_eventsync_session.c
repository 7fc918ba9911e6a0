/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sessions of the dashboard: exchanges the secret of a link for a key of at
 * most an hour. A thread writes the registry. Links that cannot be redeemed are
 * refused before, by a look-up, so that guesses take no lock.
 */


#include "ngx_http_eventsync.h"
#include "ngx_http_eventsync_auth.h"
#include "ngx_http_eventsync_body.h"
#include "ngx_http_eventsync_conf.h"
#include "ngx_http_eventsync_problem.h"
#include "ngx_http_eventsync_route.h"
#include "ngx_http_eventsync_send.h"
#include "ngx_http_eventsync_task.h"
#include "ngx_http_eventsync_token.h"
#include "ngx_http_eventsync_worker.h"

#include <jansson.h>

#include "audit/actor.h"
#include "keys/apikey.h"
#include "registry/access.h"
#include "registry/dashboard_link.h"
#include "token/scope.h"


typedef struct {
    es_apikey_t                       link;
    int64_t                           now_ms;
    es_actor_t                        actor;
    es_link_key_t                     key;
    es_scope_t                        scope;
    es_problem_t                      problem;
} ngx_http_eventsync_session_t;


static ngx_http_eventsync_session_t *ngx_http_eventsync_session_create(
    ngx_http_eventsync_ctx_t *ctx);
static void ngx_http_eventsync_session_actor(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_session_t *session);
static void ngx_http_eventsync_session_cleanup(void *data);
static ngx_int_t ngx_http_eventsync_session_parse(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_session_t *session);
static ngx_int_t ngx_http_eventsync_session_link(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_session_t *session,
    json_t *body);
static ngx_int_t ngx_http_eventsync_session_find(
    ngx_http_eventsync_ctx_t *ctx, ngx_http_eventsync_session_t *session);
static ngx_int_t ngx_http_eventsync_session_refuse(
    ngx_http_eventsync_ctx_t *ctx, es_link_state_t state);
static void ngx_http_eventsync_session_run(ngx_http_eventsync_task_t *task);
static ngx_int_t ngx_http_eventsync_session_answer(
    ngx_http_eventsync_task_t *task);
static ngx_int_t ngx_http_eventsync_session_send(
    ngx_http_eventsync_task_t *task);


ngx_int_t
ngx_http_eventsync_session(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_http_eventsync_task_t     *task;
    ngx_http_eventsync_session_t  *session;

    if (!ctx->conf->serves[NGX_HTTP_EVENTSYNC_ENDPOINTS]) {
        return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_NOT_FOUND,
                                       "Links cannot be redeemed here: the "
                                       "location lacks "
                                       "\"eventsync_endpoints\".");
    }

    session = ngx_http_eventsync_session_create(ctx);
    if (session == NULL) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    if (ngx_http_eventsync_session_parse(ctx, session) != NGX_OK) {
        ngx_http_eventsync_token_charge(ctx);
        return NGX_DECLINED;
    }

    if (ngx_http_eventsync_session_find(ctx, session) != NGX_OK) {
        return NGX_DECLINED;
    }

    task = ngx_http_eventsync_task_create(ctx, NGX_HTTP_EVENTSYNC_WORK_MANAGE);
    if (task == NULL) {
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    ngx_http_eventsync_session_actor(ctx, session);

    task->run = ngx_http_eventsync_session_run;
    task->answer = ngx_http_eventsync_session_answer;
    task->data = session;

    return ngx_http_eventsync_task_post(task);
}


/* a link has the id of the key that it becomes */

static void
ngx_http_eventsync_session_actor(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_session_t *session)
{
    es_actor_t  *actor;

    actor = &session->actor;

    *ngx_snprintf((u_char *) actor->who, sizeof(actor->who) - 1, "link %s",
                  session->link.id) = '\0';
    *ngx_snprintf((u_char *) actor->from, sizeof(actor->from) - 1, "%V",
                  &ctx->request->connection->addr_text) = '\0';
}


static ngx_http_eventsync_session_t *
ngx_http_eventsync_session_create(ngx_http_eventsync_ctx_t *ctx)
{
    ngx_pool_cleanup_t            *cln;
    ngx_http_eventsync_session_t  *session;

    session = ngx_pcalloc(ctx->request->pool,
                          sizeof(ngx_http_eventsync_session_t));
    cln = ngx_pool_cleanup_add(ctx->request->pool, 0);

    if (session == NULL || cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_eventsync_session_cleanup;
    cln->data = session;

    return session;
}


static void
ngx_http_eventsync_session_cleanup(void *data)
{
    ngx_http_eventsync_session_t *session = data;

    ngx_explicit_memzero(session->key.text, sizeof(session->key.text));
}


static ngx_int_t
ngx_http_eventsync_session_parse(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_session_t *session)
{
    json_t     *body;
    es_str_t    text;
    ngx_int_t   rc;

    if (ngx_http_eventsync_body(ctx, &ngx_http_eventsync_json_type, &text)
        != NGX_OK)
    {
        return NGX_DECLINED;
    }

    body = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(body)) {
        json_decref(body);
        return ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INVALID_BODY,
                                       "The body is not a JSON object.");
    }

    rc = ngx_http_eventsync_session_link(ctx, session, body);

    json_decref(body);

    return rc;
}


/* anything that is no link is answered as an unknown one */

static ngx_int_t
ngx_http_eventsync_session_link(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_session_t *session, json_t *body)
{
    json_t  *link;

    link = json_object_get(body, "link");

    if (!json_is_string(link) || json_object_size(body) != 1) {
        (void) ngx_http_eventsync_fail(ctx, NGX_HTTP_EVENTSYNC_INVALID_BODY,
                                       "The body must have the member "
                                       "\"link\", a string, and no other.");
        return ngx_http_eventsync_members(ctx, 64,
                                          ",\"pointer\":\"/link\"");
    }

    if (es_link_parse((es_str_t) { json_string_value(link),
                                   json_string_length(link) },
                      &session->link)
        != ES_OK)
    {
        return ngx_http_eventsync_session_refuse(ctx, ES_LINK_UNKNOWN);
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_eventsync_session_find(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_session_t *session)
{
    es_rc_t              rc;
    const es_key_t      *key;
    es_link_state_t      state;
    const es_partner_t  *partner;

    if (ngx_http_eventsync_registry(ctx) != NGX_OK) {
        return NGX_DECLINED;
    }

    rc = es_access_find(ctx->worker->access, session->link.id, &key);

    if (rc == ES_NOT_FOUND) {
        return ngx_http_eventsync_session_refuse(ctx, ES_LINK_UNKNOWN);
    }

    if (rc != ES_OK) {
        return ngx_http_eventsync_fail_store(ctx, rc);
    }

    session->now_ms = ngx_http_eventsync_now_ms(ctx->worker);
    session->scope.scopes = key->scopes;

    state = es_link_state(key, session->link.digest, session->now_ms);

    if (state != ES_LINK_UNKNOWN
        && ngx_http_eventsync_check_address(ctx, key) != NGX_OK)
    {
        es_access_release(key);
        return NGX_DECLINED;
    }

    if (state == ES_LINK_WAITS) {
        partner = key->partner;

        ctx->partner = partner->number;
        ctx->partner_name.len = ngx_min(partner->name.len, sizeof(ctx->name));
        ctx->partner_name.data = ctx->name;
        ngx_memcpy(ctx->name, partner->name.data, ctx->partner_name.len);
    }

    es_access_release(key);

    return (state == ES_LINK_WAITS)
           ? NGX_OK : ngx_http_eventsync_session_refuse(ctx, state);
}


/* every refusal is charged as a failed authentication */

static ngx_int_t
ngx_http_eventsync_session_refuse(ngx_http_eventsync_ctx_t *ctx,
    es_link_state_t state)
{
    static struct {
        ngx_http_eventsync_problem_e  type;
        char                         *detail;
    } refusals[] = {
        [ES_LINK_USED] = { NGX_HTTP_EVENTSYNC_LINK_USED,
                           "The link was opened already; it works once." },
        [ES_LINK_EXPIRED] = { NGX_HTTP_EVENTSYNC_LINK_EXPIRED,
                              "The link has expired." },
        [ES_LINK_REVOKED] = { NGX_HTTP_EVENTSYNC_LINK_REVOKED,
                              "The link was revoked." }
    };

    if (state == ES_LINK_WAITS || state == ES_LINK_UNKNOWN) {
        ctx->partner = 0;
        return ngx_http_eventsync_unauthorized(ctx, 1,
                               "The link is not known: it is incomplete, or "
                               "was removed.");
    }

    ngx_http_eventsync_limit_failed(ctx);

    return ngx_http_eventsync_fail(ctx, refusals[state].type, "%s",
                                   refusals[state].detail);
}


static void
ngx_http_eventsync_session_run(ngx_http_eventsync_task_t *task)
{
    ngx_http_eventsync_session_t  *session = task->data;

    es_actor_set(&session->actor);

    task->rc = es_link_redeem(task->es, &session->link, session->now_ms,
                              &session->key, &session->problem);

    es_actor_set(NULL);
}


static ngx_int_t
ngx_http_eventsync_session_answer(ngx_http_eventsync_task_t *task)
{
    ngx_int_t                      rc;
    ngx_http_eventsync_ctx_t      *ctx;
    ngx_http_eventsync_session_t  *session;

    ctx = task->ctx;
    session = task->data;
    rc = NGX_DECLINED;

    if (task->rc == ES_OK) {
        rc = ngx_http_eventsync_session_send(task);

    } else if (task->rc == ES_CONFLICT) {

        /* another request was faster */

        (void) ngx_http_eventsync_session_refuse(ctx, session->key.state);

    } else {
        ngx_log_error(NGX_LOG_ERR, ctx->request->connection->log, 0,
                      "eventsync: a dashboard link was not redeemed: %s",
                      session->problem.detail);
        (void) ngx_http_eventsync_fail_store(ctx, task->rc);
    }

    return (rc == NGX_DECLINED) ? ngx_http_eventsync_send_problem(ctx) : rc;
}


/* as the token endpoint answers; no value needs escaping */

static ngx_int_t
ngx_http_eventsync_session_send(ngx_http_eventsync_task_t *task)
{
    es_rc_t                        rc;
    es_buf_t                       scope;
    ngx_buf_t                     *b;
    ngx_http_eventsync_ctx_t      *ctx;
    ngx_http_eventsync_session_t  *session;

    ctx = task->ctx;
    session = task->data;
    b = NULL;

    ngx_memzero(&scope, sizeof(es_buf_t));

    rc = es_scope_print(&session->scope, &scope);

    if (rc == ES_OK) {
        b = ngx_create_temp_buf(ctx->request->pool,
                                ES_APIKEY_LEN + scope.len + 128);
    }

    if (b == NULL) {
        es_buf_free(&scope);
        return ngx_http_eventsync_fail_store(ctx, ES_NOMEM);
    }

    b->last = ngx_sprintf(b->last, "{\"access_token\":\"%s\","
                          "\"token_type\":\"Bearer\",\"expires_in\":%L,"
                          "\"scope\":\"%*s\"}", session->key.text,
                          ES_LINK_KEY_MS / 1000, scope.len, scope.data);
    es_buf_free(&scope);

    return ngx_http_eventsync_send_json(ctx, NGX_HTTP_OK, b);
}
