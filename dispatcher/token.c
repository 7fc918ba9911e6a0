/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Access tokens of endpoints: OAuth 2.0 client credentials (RFC 6749, 4.4).
 *
 * A token is requested from the endpoint's token server when there is something
 * to send; the request counts as one of the endpoint's.  The token is kept in
 * memory until shortly before it expires, the receiver answers 401, or the
 * record changes.  Without a token events wait, and use up no attempts.
 */

#include <curl/curl.h>
#include <ev.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <strings.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "registry/registry.h"

#include "about.h"
#include "bearer.h"
#include "dispatcher.h"
#include "failing.h"
#include "host.h"
#include "log.h"
#include "message.h"
#include "outcome.h"
#include "ready.h"
#include "recorder.h"
#include "response.h"
#include "schedule.h"
#include "send.h"
#include "slots.h"
#include "target.h"
#include "token.h"

#define ESD_TOKEN_MAX         8192
#define ESD_TOKEN_S           3600     /* if the server states no lifetime */
#define ESD_TOKEN_MAX_S       (30 * 24 * 3600)
#define ESD_TOKEN_EARLY_S     30
#define ESD_TOKEN_MIN_MS      1000
#define ESD_TOKEN_MAX_MS      300000
#define ESD_TOKEN_SAY_MS      8000     /* longer pauses are announced */

static const char  esd_token_head[] =
    "Content-Type: application/x-www-form-urlencoded\r\n"
    "Accept: application/json\r\n"
    "User-Agent: eventsync/" ES_VERSION;


static void
esd_token_due(struct ev_loop *ev, ev_timer *w, int revents)
{
    esd_target_t  *target;

    (void) ev;
    (void) revents;

    target = w->data;

    esd_ready_tests(target->d, target);
    esd_ready_lanes(target->d, target);
}


void
esd_token_reset(esd_target_t *target)
{
    esd_token_t  *token;

    token = &target->token;

    ev_timer_stop(target->d->loop.ev, &token->timer);
    esd_bearer_drop(token);
    memset(token, 0, sizeof(esd_token_t));
    ev_init(&token->timer, esd_token_due);
    token->timer.data = target;
}


void
esd_token_done(esd_target_t *target)
{
    ev_timer_stop(target->d->loop.ev, &target->token.timer);
    esd_bearer_drop(&target->token);
}


/* Appends name=value in form encoding; percent-encoding of all but unreserved
   characters is valid for that. */

static es_rc_t
esd_token_form(esd_send_t *send, const char *name, es_str_t value)
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


/* RFC 6749, 2.3.1: Basic authentication with form-encoded credentials. */

static es_rc_t
esd_token_credentials(esd_send_t *send, const es_oauth_t *oauth)
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
esd_token_compose(esd_send_t *send, const es_oauth_t *oauth)
{
    es_rc_t  rc;

    esd_message_begin(send);
    send->kind = ESD_SEND_TOKEN;
    send->attempt = send->target->token.failures + 1;
    memcpy(send->head, esd_token_head, sizeof(esd_token_head));

    if ((rc = es_buf_str(&send->body, es_str("grant_type=client_credentials")))
            != ES_OK
        || (rc = esd_token_form(send, "scope", oauth->scope)) != ES_OK
        || (rc = esd_token_form(send, "audience", oauth->audience)) != ES_OK)
    {
        return rc;
    }

    return esd_token_credentials(send, oauth);
}


static void
esd_token_pause(esd_target_t *target, int64_t pause_ms)
{
    esd_token_t  *token;

    token = &target->token;
    token->until_us = es_clock_mono_us() + pause_ms * 1000;

    ev_timer_stop(target->d->loop.ev, &token->timer);
    ev_now_update(target->d->loop.ev);
    ev_timer_set(&token->timer, (double) pause_ms / 1000, 0);
    ev_timer_start(target->d->loop.ev, &token->timer);
}


/* Accepts b64token of RFC 6750, 2.1, and other characters that servers use. */

static bool
esd_token_valid(es_str_t text)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~') {
            return false;
        }
    }

    return text.len > 0 && text.len <= ESD_TOKEN_MAX;
}


static bool
esd_token_take(esd_target_t *target, const esd_send_t *send)
{
    bool          ok;
    json_t       *answer, *expires;
    es_str_t      text;
    json_int_t    life_s, early_s;
    esd_token_t  *token;
    const char   *type;

    token = &target->token;
    answer = esd_response_json(send);
    text = es_str(json_string_value(json_object_get(answer, "access_token")));
    type = json_string_value(json_object_get(answer, "token_type"));
    expires = json_object_get(answer, "expires_in");

    ok = esd_token_valid(text) && type != NULL && strcasecmp(type,
                                                             "bearer") == 0;

    if (ok) {
        life_s = json_is_number(expires)
                 ? (json_int_t) json_number_value(expires) : ESD_TOKEN_S;
        life_s = life_s < 1 ? 1
                 : life_s > ESD_TOKEN_MAX_S ? ESD_TOKEN_MAX_S : life_s;
        early_s = life_s / 10 < ESD_TOKEN_EARLY_S ? life_s / 10
                                                  : ESD_TOKEN_EARLY_S;

        esd_bearer_drop(token);
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
esd_token_failed(esd_send_t *send, esd_outcome_t *o)
{
    int64_t        pause_ms;
    esd_token_t   *token;
    esd_target_t  *target;

    target = send->target;
    token = &target->token;

    pause_ms = token->failures < 9 ? (int64_t) ESD_TOKEN_MIN_MS
                                     << token->failures : ESD_TOKEN_MAX_MS;
    pause_ms = pause_ms > o->retry_after_ms ? pause_ms : o->retry_after_ms;
    pause_ms = pause_ms < ESD_TOKEN_MAX_MS ? pause_ms : ESD_TOKEN_MAX_MS;

    esd_log_about(token->failures++ == 0 ? ESD_LOG_WARN : ESD_LOG_DEBUG,
                  esd_about_target(target),
                  "endpoint %s: no access token, nothing is sent: %s, "
                  "status %d", target->name,
                  o->success ? "the answer contains no valid token"
                             : es_attempt_class_name(o->class),
                  o->status);

    /* the first bytes of a success may be a token and are not recorded */

    send->first_len = o->success ? 0 : send->first_len;

    o->success = false;
    o->class = ES_ATTEMPT_TOKEN;
    esd_record_send(send, "", 0, send->attempt, o);

    esd_token_pause(target, pause_ms);

    if (!o->busy) {
        esd_failing_failed(send->d, target, send);
        o->stop = esd_failing_stop_reason(target);
    }

    if (pause_ms >= ESD_TOKEN_SAY_MS) {
        esd_failing_circuit(send->d, target, "no access token",
                            esd_schedule_ms(send->d) + pause_ms);
    }
}


static void
esd_token_settle(esd_send_t *send, esd_outcome_t *o)
{
    bool           got;
    esd_target_t  *target;

    target = send->target;
    o->stop = NULL;

    if (send->revision != target->revision) {
        return;
    }

    /* this handle is set up for the token server and not for deliveries */

    send->revision = 0;
    target->token.fetching = false;

    if (o->ours) {
        esd_record_send(send, "", 0, send->attempt, o);
        target->token.none = true;
        return;
    }

    got = o->success && esd_token_take(target, send);

    if (got) {
        esd_log_about(target->token.failures > 0 ? ESD_LOG_INFO
                                                 : ESD_LOG_DEBUG,
                      esd_about_target(target),
                      "endpoint %s: an access token was received",
                      target->name);
        target->token.failures = 0;

    } else {
        esd_token_failed(send, o);
        target->token.none = true;
    }

    OPENSSL_cleanse(send->answer.data, send->answer.len);
}


static void
esd_token_ended(esd_send_t *send, CURLcode result)
{
    esd_outcome_t  outcome;

    esd_outcome_read(send, result, &outcome);
    esd_token_settle(send, &outcome);
    esd_outcome_apply(send, &outcome);
}


static void
esd_token_fetch(esd_dispatcher_t *d, esd_target_t *target)
{
    es_rc_t      rc;
    esd_send_t  *send;

    send = esd_send_create(d, target, target->conf->oauth.token_url.data);
    rc = ES_NOMEM;

    if (send != NULL) {
        rc = esd_token_compose(send, &target->conf->oauth);

        if (rc == ES_OK) {
            rc = esd_send_start(send, NULL, esd_token_ended);
        }

        if (rc != ES_OK) {
            esd_send_destroy(send);
        }
    }

    if (rc != ES_OK) {
        esd_log_about(ESD_LOG_ERROR, esd_about_target(target),
                      "endpoint %s: cannot request an access token: %s",
                      target->name, es_reason(rc));
        esd_token_pause(target, ESD_TOKEN_MAX_MS);
        return;
    }

    target->token.fetching = true;
}


bool
esd_token_ready(esd_dispatcher_t *d, esd_target_t *target)
{
    int64_t       now_us;
    esd_token_t  *token;

    if (target->conf->oauth.token_url.len == 0) {
        return true;
    }

    token = &target->token;
    now_us = es_clock_mono_us();

    if ((token->line.len == 0 || now_us >= token->refresh_us)
        && now_us >= token->until_us
        && !token->fetching
        && esd_host_room(d, &target->token_caller)
        && esd_slot_available(d, target))
    {
        esd_token_fetch(d, target);
    }

    return token->line.len > 0 && now_us < token->ends_us;
}
