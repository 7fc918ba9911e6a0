/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Access tokens of endpoints: OAuth 2.0 client credentials
 * (RFC 6749, 4.4).
 *
 * Got from the endpoint's token server when there is something to send, as a
 * request of the endpoint's own, and kept in memory until shortly before they
 * end, the receiver answers 401, or the record changes.  While there is none
 * events wait, and use up no attempts.
 */

#include <openssl/crypto.h>
#include <stdio.h>

#include "base/decode.h"
#include "dispatcher.h"

#define ES_TOKEN_MAX         8192
#define ES_TOKEN_S           3600      /* of who does not say */
#define ES_TOKEN_MAX_S       (30 * 24 * 3600)
#define ES_TOKEN_EARLY_S     30
#define ES_TOKEN_MIN_MS      1000
#define ES_TOKEN_MAX_MS      300000
#define ES_TOKEN_SAY_MS      8000      /* pauses so long are announced */

static const char  es_token_head[] =
    "Content-Type: application/x-www-form-urlencoded\r\n"
    "Accept: application/json\r\n"
    "User-Agent: eventsync/" ES_VERSION;


static void
es_token_due(struct ev_loop *ev, ev_timer *w, int revents)
{
    es_lane_t    *lane;
    es_target_t  *target;

    (void) ev;
    (void) revents;

    target = w->data;

    es_tests_turn(target->d, target);

    es_each(lane, &target->lanes, in_target) {
        es_lane_wake(target->d, lane);
    }
}


static void
es_token_drop(es_token_t *token)
{
    if (token->line.data != NULL) {
        OPENSSL_cleanse(token->line.data, token->line.cap);
    }

    es_buf_free(&token->line);
}


void
es_token_reset(es_target_t *target)
{
    es_token_t  *token;

    token = &target->token;

    ev_timer_stop(target->d->loop.ev, &token->timer);
    es_token_drop(token);
    memset(token, 0, sizeof(es_token_t));
    ev_init(&token->timer, es_token_due);
    token->timer.data = target;
}


void
es_token_done(es_target_t *target)
{
    ev_timer_stop(target->d->loop.ev, &target->token.timer);
    es_token_drop(&target->token);
}


/* name=value, form-encoded, which percent-encoding of all but unreserved
   characters is. */

static es_rc_t
es_token_form(es_send_t *send, const char *name, es_str_t value)
{
    char     *text;
    es_rc_t   rc;

    if (value.len == 0) {
        return ES_OK;
    }

    text = curl_easy_escape(send->easy, value.data, (int) value.len);
    rc = text != NULL ? es_buf_printf(&send->body, "&%s=%s", name, text)
                      : ES_NOMEM;
    curl_free(text);

    return rc;
}


/* RFC 6749, 2.3.1: by Basic, of what is form-encoded first. */

static es_rc_t
es_token_credentials(es_send_t *send, const es_oauth_t *oauth)
{
    bool   ok;
    char  *id, *secret;

    id = curl_easy_escape(send->easy, oauth->client_id.data,
                          (int) oauth->client_id.len);
    secret = curl_easy_escape(send->easy, oauth->client_secret.data,
                              (int) oauth->client_secret.len);

    ok = id != NULL
         && secret != NULL
         && curl_easy_setopt(send->easy, CURLOPT_USERNAME, id) == CURLE_OK
         && curl_easy_setopt(send->easy, CURLOPT_PASSWORD, secret) == CURLE_OK
         && curl_easy_setopt(send->easy, CURLOPT_HTTPAUTH,
                             (long) CURLAUTH_BASIC) == CURLE_OK;

    curl_free(id);
    curl_free(secret);

    return ok ? ES_OK : ES_NOMEM;
}


static es_rc_t
es_token_compose(es_send_t *send, const es_oauth_t *oauth)
{
    es_rc_t  rc;

    es_message_begin(send);
    send->kind = ES_SEND_TOKEN;
    send->attempt = send->target->token.failures + 1;
    memcpy(send->head, es_token_head, sizeof(es_token_head));

    if ((rc = es_buf_str(&send->body, es_str("grant_type=client_credentials")))
            != ES_OK
        || (rc = es_token_form(send, "scope", oauth->scope)) != ES_OK
        || (rc = es_token_form(send, "audience", oauth->audience)) != ES_OK)
    {
        return rc;
    }

    return es_token_credentials(send, oauth);
}


static void
es_token_pause(es_target_t *target, int64_t pause_ms)
{
    es_token_t  *token;

    token = &target->token;
    token->until_us = es_clock_mono_us() + pause_ms * 1000;

    ev_timer_stop(target->d->loop.ev, &token->timer);
    ev_now_update(target->d->loop.ev);
    ev_timer_set(&token->timer, (double) pause_ms / 1000, 0);
    ev_timer_start(target->d->loop.ev, &token->timer);
}


static void
es_token_fetch(es_dispatcher_t *d, es_target_t *target)
{
    es_rc_t     rc;
    es_send_t  *send;

    send = es_send_create(d, target, target->conf->oauth.token_url.data);
    rc = ES_NOMEM;

    if (send != NULL) {
        rc = es_token_compose(send, &target->conf->oauth);

        if (rc == ES_OK) {
            rc = es_send_start(send, NULL);
        }

        if (rc != ES_OK) {
            es_send_destroy(send);
        }
    }

    if (rc != ES_OK) {
        es_log_line(ES_LOG_ERROR, "endpoint %s: cannot ask for an access "
                    "token: %s", target->name, es_reason(rc));
        es_token_pause(target, ES_TOKEN_MAX_MS);
        return;
    }

    target->token.fetching = true;
}


bool
es_token_ready(es_dispatcher_t *d, es_target_t *target)
{
    int64_t      now_us;
    es_token_t  *token;

    if (target->conf->oauth.token_url.len == 0) {
        return true;
    }

    token = &target->token;
    now_us = es_clock_mono_us();

    if ((token->line.len == 0 || now_us >= token->refresh_us)
        && now_us >= token->until_us
        && !token->fetching
        && es_place_free(d, target))
    {
        es_token_fetch(d, target);
    }

    return token->line.len > 0 && now_us < token->ends_us;
}


es_rc_t
es_token_put(es_send_t *send)
{
    send->auth.len = 0;

    if (send->kind == ES_SEND_TOKEN || send->target->token.line.len == 0) {
        return ES_OK;
    }

    return es_buf_append(&send->auth, send->target->token.line.data,
                         send->target->token.line.len);
}


/* b64token of RFC 6750, 2.1, and what others have in theirs. */

static bool
es_token_ok(es_str_t text)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~') {
            return false;
        }
    }

    return text.len > 0 && text.len <= ES_TOKEN_MAX;
}


/* The answer, decoded if it has to be: a server may choose a content coding
   that it was not asked for (RFC 9110, section 12.5.3). */

static json_t *
es_token_answer(const es_send_t *send)
{
    json_t        *answer;
    es_str_t       unknown;
    es_buf_t       text;
    es_codings_t   codings;
    es_problem_t   problem;

    memset(&codings, 0, sizeof(codings));
    memset(&text, 0, sizeof(text));

    if (es_codings_add(&codings, es_str(send->coding), &unknown) != ES_OK
        || es_decode(&codings, (es_str_t) { send->ids.data, send->ids.len },
                     ES_BODY_READ, &text, &problem)
           != ES_OK)
    {
        return NULL;
    }

    answer = json_loadb(text.data, text.len, 0, NULL);

    OPENSSL_cleanse(text.data, text.len);
    es_buf_free(&text);

    return answer;
}


static bool
es_token_take(es_target_t *target, const es_send_t *send)
{
    bool         ok;
    json_t      *answer, *expires;
    es_str_t     text;
    json_int_t   life_s, early_s;
    es_token_t  *token;
    const char  *type;

    token = &target->token;
    answer = es_token_answer(send);
    text = es_str(json_string_value(json_object_get(answer, "access_token")));
    type = json_string_value(json_object_get(answer, "token_type"));
    expires = json_object_get(answer, "expires_in");

    ok = es_token_ok(text) && type != NULL && strcasecmp(type, "bearer") == 0;

    if (ok) {
        life_s = json_is_number(expires)
                 ? (json_int_t) json_number_value(expires) : ES_TOKEN_S;
        life_s = life_s < 1 ? 1
                 : life_s > ES_TOKEN_MAX_S ? ES_TOKEN_MAX_S : life_s;
        early_s = life_s / 10 < ES_TOKEN_EARLY_S ? life_s / 10
                                                 : ES_TOKEN_EARLY_S;

        es_token_drop(token);
        ok = es_buf_printf(&token->line, "Authorization: Bearer %s",
                           text.data) == ES_OK
             && es_buf_append(&token->line, "", 1) == ES_OK;

        token->ends_us = send->sent_us + life_s * 1000000;
        token->refresh_us = token->ends_us - early_s * 1000000;
    }

    json_decref(answer);

    return ok;
}


static void
es_token_failed(es_send_t *send, es_outcome_t *o)
{
    int64_t       pause_ms;
    es_token_t   *token;
    es_target_t  *target;

    target = send->target;
    token = &target->token;

    pause_ms = token->failures < 9 ? (int64_t) ES_TOKEN_MIN_MS
                                     << token->failures : ES_TOKEN_MAX_MS;
    pause_ms = pause_ms > o->retry_after_ms ? pause_ms : o->retry_after_ms;
    pause_ms = pause_ms < ES_TOKEN_MAX_MS ? pause_ms : ES_TOKEN_MAX_MS;

    es_log_line(token->failures++ == 0 ? ES_LOG_WARN : ES_LOG_DEBUG,
                "endpoint %s: no access token, nothing is sent: %s, status "
                "%d", target->name,
                o->success ? "there is none in the answer"
                           : es_attempt_class_name(o->klass),
                o->status);

    /* what was received may be a token */

    send->first_len = o->success ? 0 : send->first_len;

    o->success = false;
    o->klass = ES_ATTEMPT_TOKEN;
    es_judge_attempt(send, 0, send->attempt, o);

    es_token_pause(target, pause_ms);
    es_policy_failure(send->d, target, send);
    o->stop = es_policy_over(target);

    if (pause_ms >= ES_TOKEN_SAY_MS) {
        es_policy_circuit(send->d, target, "no access token",
                          es_schedule_ms(send->d) + pause_ms);
    }
}


/* Test events that have waited for it. */

static void
es_token_none(es_target_t *target)
{
    es_tests_fail(target->d, target, ES_ATTEMPT_TOKEN,
                  "there is no access token");
}


void
es_token_judge(es_send_t *send, es_outcome_t *o)
{
    bool          got;
    es_target_t  *target;

    target = send->target;
    o->stop = NULL;

    if (send->revision != target->revision) {
        return;
    }

    /* it is not for what the endpoint's own are for */

    send->revision = 0;
    target->token.fetching = false;

    if (o->ours) {
        es_judge_attempt(send, 0, send->attempt, o);
        es_token_none(target);
        return;
    }

    got = o->success && es_token_take(target, send);

    if (got) {
        es_log_line(target->token.failures > 0 ? ES_LOG_INFO : ES_LOG_DEBUG,
                    "endpoint %s: has an access token", target->name);
        target->token.failures = 0;

    } else {
        es_token_failed(send, o);
        es_token_none(target);
    }

    OPENSSL_cleanse(send->ids.data, send->ids.len);
}


void
es_token_refused(const es_send_t *send)
{
    es_token_t  *token;

    token = &send->target->token;

    if (token->line.len > 0
        && send->auth.len == token->line.len
        && memcmp(send->auth.data, token->line.data, token->line.len) == 0)
    {
        es_token_drop(token);
    }
}
