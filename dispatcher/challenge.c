/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The handshake and the challenge of a check.
 *
 * The receiver has not agreed yet, so neither request has the endpoint's own
 * header fields or its access token.
 */

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/random.h"
#include "delivery/delivery.h"
#include "event/attribute.h"
#include "registry/registry.h"

#include "challenge.h"
#include "dispatcher.h"
#include "message.h"
#include "notice.h"
#include "outcome.h"
#include "response.h"
#include "send.h"
#include "target.h"
#include "trusted_clock.h"

#define ESD_MINUTE_NS     UINT64_C(60000000000)
#define ESD_CHECK_ID_MAX  80


/* The endpoint's own limit, in whole requests a minute, as the specification
   has it; 0: there is none. */

static unsigned
esd_handshake_rate(const es_endpoint_t *conf)
{
    double  rate;

    if (conf->rate.units == 0) {
        return 0;
    }

    rate = (double) conf->rate.units * (double) ESD_MINUTE_NS
           / (double) conf->rate.period_ns;

    return rate < 1 ? 1 : rate > 1e6 ? 1000000 : (unsigned) rate;
}


static es_rc_t
esd_check_start(esd_send_t *send, es_rc_t rc, esd_send_fn ended,
    const esd_send_t **check)
{
    if (rc == ES_OK) {
        rc = esd_send_start(send, NULL, ended);
    }

    if (rc == ES_OK) {
        *check = send;
    } else {
        esd_send_destroy(send);
    }

    return rc;
}


es_rc_t
esd_handshake_send(esd_dispatcher_t *d, esd_target_t *target, uint32_t attempt,
    esd_send_fn ended, const esd_send_t **check)
{
    int          n;
    unsigned     rate;
    esd_send_t  *send;

    send = esd_send_create(d, target, target->conf->url.data);

    if (send == NULL) {
        return ES_NOMEM;
    }

    esd_message_begin(send);
    send->kind = ESD_SEND_HANDSHAKE;
    send->attempt = attempt;
    rate = esd_handshake_rate(target->conf);

    n = snprintf(send->head, ESD_HEAD_MAX, "WebHook-Request-Origin: %s\r\n"
                 "User-Agent: eventsync/" ES_VERSION,
                 d->options.webhook_origin);

    if (rate > 0) {
        (void) snprintf(send->head + n, ESD_HEAD_MAX - (size_t) n,
                        "\r\nWebHook-Request-Rate: %u", rate);
    }

    return esd_check_start(send, es_buf_append(&send->body, "", 0), ended,
                           check);
}


static es_rc_t
esd_challenge_compose(esd_send_t *send, const char *challenge)
{
    int           n;
    char          id[ESD_CHECK_ID_MAX], time[ES_TIME_LEN + 1], *text;
    json_t       *event;
    es_rc_t       rc;
    const char   *name;

    name = send->target->name;
    n = snprintf(id, sizeof(id), "check-%.32s-%.16s", name, challenge);

    event = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:{s:s, s:s}}",
                      "specversion", "1.0", "id", id, "source", "/eventsync",
                      "type", "eventsync.challenge", "subject", name,
                      "time", esd_notice_time(esd_clock_stamp_ms(send->d),
                                              time),
                      "datacontenttype", "application/json",
                      "data", "endpoint", name, "challenge", challenge);

    text = event != NULL ? json_dumps(event, JSON_COMPACT) : NULL;
    json_decref(event);

    rc = text != NULL
         ? esd_message_own(send, ESD_SEND_CHALLENGE,
                           (es_str_t) { id, (size_t) n }, es_str(text))
         : ES_NOMEM;
    free(text);

    return rc;
}


es_rc_t
esd_challenge_send(esd_dispatcher_t *d, esd_target_t *target,
    char challenge[ESD_CHALLENGE_LEN + 1], esd_send_fn ended,
    const esd_send_t **check)
{
    es_rc_t      rc;
    esd_send_t  *send;

    rc = es_random_base32(challenge, ESD_CHALLENGE_LEN);
    challenge[ESD_CHALLENGE_LEN] = '\0';

    if (rc != ES_OK) {
        return rc;
    }

    send = esd_send_create(d, target, target->conf->url.data);

    if (send == NULL) {
        return ES_NOMEM;
    }

    esd_message_begin(send);
    send->attempt = target->verification->record.checks + 1;

    return esd_check_start(send, esd_challenge_compose(send, challenge),
                           ended, check);
}


/* An answer that names neither this sender nor all of them refuses.  One
   without the header field says nothing, whatever its status: servers answer
   OPTIONS for other reasons. */

static esd_answer_t
esd_handshake_answer(const esd_send_t *send, const esd_outcome_t *o)
{
    const char  *allowed;

    if (o->retry_after_ms >= 0 || o->status == 429) {
        return ESD_ANSWER_NONE;
    }

    allowed = o->status != 0
              ? esd_response_field(send, "webhook-allowed-origin", 0) : NULL;

    if (allowed == NULL || allowed[0] == '\0') {
        return o->class == ES_ATTEMPT_REDIRECT ? ESD_ANSWER_NONE
                                               : ESD_ANSWER_UNDECIDED;
    }

    if (!o->success) {
        return ESD_ANSWER_REFUSES;
    }

    return strcmp(allowed, "*") == 0 ? ESD_ANSWER_AGREES_ALL
           : strcasecmp(allowed, send->d->options.webhook_origin) == 0
             ? ESD_ANSWER_AGREES : ESD_ANSWER_REFUSES;
}


esd_answer_t
esd_challenge_answer(const esd_send_t *send, const char *challenge,
    const esd_outcome_t *o)
{
    bool         same;
    json_t      *answer;
    const char  *text;

    if (o->status == 0) {
        return ESD_ANSWER_NONE;
    }

    if (send->kind == ESD_SEND_HANDSHAKE) {
        return esd_handshake_answer(send, o);
    }

    if (!o->success) {
        return ESD_ANSWER_NONE;
    }

    answer = esd_response_json(send);
    text = json_string_value(json_object_get(answer, "challenge"));
    same = text != NULL && challenge[0] != '\0'
           && strcmp(text, challenge) == 0;
    json_decref(answer);

    return same ? ESD_ANSWER_AGREES : ESD_ANSWER_REFUSES;
}


static const char *
esd_challenge_failure(es_attempt_class_t class)
{
    switch (class) {

    case ES_ATTEMPT_DNS:
        return "the host's name was not found";

    case ES_ATTEMPT_CONNECT:
        return "the host accepts no connection";

    case ES_ATTEMPT_ADDRESS:
        return "the scheme, address or port is not allowed";

    case ES_ATTEMPT_TLS:
        return "TLS failed, or the certificate is not valid";

    case ES_ATTEMPT_TIMEOUT:
        return "no answer in time";

    case ES_ATTEMPT_RESET:
        return "the connection was closed without an answer";

    case ES_ATTEMPT_PROTOCOL:
        return "the answer is not HTTP, or is too long";

    case ES_ATTEMPT_OK:
    case ES_ATTEMPT_STATUS:
    case ES_ATTEMPT_REDIRECT:
    case ES_ATTEMPT_INTERNAL:
    case ES_ATTEMPT_SIMULATED:
    case ES_ATTEMPT_PROXY:
    case ES_ATTEMPT_TOKEN:
    case ES_ATTEMPT_SKIPPED:
    case ES_ATTEMPT_UNVERIFIED:
    case ES_ATTEMPT_CLASSES:
        break;
    }

    return "the request failed";
}


void
esd_challenge_reason(const esd_outcome_t *o, esd_answer_t answer,
    char reason[ES_REASON_MAX])
{
    if (o->status == 0) {
        (void) snprintf(reason, ES_REASON_MAX, "%s",
                        esd_challenge_failure(o->class));

    } else if (o->class == ES_ATTEMPT_REDIRECT) {
        (void) snprintf(reason, ES_REASON_MAX, "the receiver answers %d, and "
                        "redirects are not followed", o->status);

    } else if (o->class != ES_ATTEMPT_UNVERIFIED) {
        (void) snprintf(reason, ES_REASON_MAX, "the receiver answers %d",
                        o->status);

    } else if (answer == ESD_ANSWER_REFUSES) {
        (void) snprintf(reason, ES_REASON_MAX, "the receiver answers %d, but "
                        "neither allows this sender nor repeats the challenge",
                        o->status);

    } else {
        (void) snprintf(reason, ES_REASON_MAX, "the receiver answers %d "
                        "without an agreement", o->status);
    }
}
