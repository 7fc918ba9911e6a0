/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Test events: signed and sent like any other event, once, in any state of the
 * endpoint.  They belong to no feed, and their outcome does not affect the
 * endpoint.
 *
 * An endpoint has two test events in flight.  Others wait in order until a slot
 * is free and, where one is needed, a token is available.  Each test event
 * results in a recorded attempt.
 */

#include <curl/curl.h>
#include <jansson.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/base.h"
#include "delivery/delivery.h"
#include "delivery/verification.h"
#include "event/attribute.h"
#include "registry/control_request.h"

#include "about.h"
#include "channel.h"
#include "dispatcher.h"
#include "host.h"
#include "log.h"
#include "message.h"
#include "outcome.h"
#include "ready.h"
#include "recorder.h"
#include "send.h"
#include "slots.h"
#include "target.h"
#include "test_event.h"
#include "token.h"
#include "trusted_clock.h"
#include "types.h"

#define ESD_TEST_EVENTS_MAX   2          /* in flight to an endpoint */
#define ESD_TEST_EVENTS_WAITING  100        /* and waiting */


static void
esd_test_event_fail(esd_dispatcher_t *d, const esd_target_t *target,
    uint64_t request, es_attempt_class_t class, const char *why)
{
    es_attempt_t  attempt;

    memset(&attempt, 0, sizeof(attempt));
    attempt.endpoint = target->number;
    attempt.sequence = request;
    attempt.time_ms = esd_clock_stamp_ms(d);
    attempt.attempt = 1;
    attempt.class = (uint8_t) class;
    attempt.flags = ES_ATTEMPT_TEST;

    esd_record_attempt(d, &attempt);

    esd_log_about(class == ES_ATTEMPT_INTERNAL ? ESD_LOG_WARN : ESD_LOG_INFO,
                  esd_about_target(target),
                  "endpoint %s: the test event of request %llu was not "
                  "sent: %s", target->name, (unsigned long long) request, why);
}


static esd_test_event_t *
esd_test_event_pop(esd_target_t *target)
{
    esd_test_event_t  *test;

    test = TAILQ_FIRST(&target->tests);

    if (test != NULL) {
        TAILQ_REMOVE(&target->tests, test, link);
        target->ntests--;
    }

    return test;
}


static void
esd_test_events_fail(esd_dispatcher_t *d, esd_target_t *target,
    es_attempt_class_t class, const char *why)
{
    esd_test_event_t  *test;

    while ((test = esd_test_event_pop(target)) != NULL) {
        esd_test_event_fail(d, target, test->request, class, why);
        free(test);
    }
}


void
esd_test_events_drop(esd_target_t *target)
{
    esd_test_event_t  *test;

    while ((test = esd_test_event_pop(target)) != NULL) {
        free(test);
    }
}


void
esd_test_events_end(esd_dispatcher_t *d)
{
    size_t  i;

    for (i = 0; i < d->ntargets; i++) {
        if (d->targets[i] != NULL) {
            esd_test_events_fail(d, d->targets[i], ES_ATTEMPT_INTERNAL,
                                 "the dispatcher stops");
        }
    }
}


/* The answer does not change the state of the endpoint. */

static void
esd_test_event_ended(esd_send_t *send, CURLcode result)
{
    esd_about_t    about;
    esd_outcome_t  outcome;

    esd_outcome_read(send, result, &outcome);
    outcome.stop = NULL;

    esd_record_send(send, send->ids.data, send->upto, send->attempt, &outcome);

    about = esd_about_target(send->target);
    about.event_id = send->ids.data;
    about.attempt = send->attempt;
    about.status = outcome.status;
    esd_log_about(ESD_LOG_INFO, about,
                  "endpoint %s: test event %s: %s, status %d",
                  send->target->name, send->ids.data,
                  es_attempt_class_name(outcome.class), outcome.status);

    esd_outcome_apply(send, &outcome);
}


static void
esd_test_event_start(esd_dispatcher_t *d, esd_target_t *target,
    const esd_test_event_t *test)
{
    json_t       *event;
    es_rc_t       rc;
    es_str_t      id, text;
    esd_send_t   *send;

    text = (es_str_t) { test->event, test->len };
    event = json_loadb(text.data, text.len, 0, NULL);
    id = es_str(json_string_value(json_object_get(event, "id")));

    send = esd_send_get(d, target);
    rc = send != NULL && id.len > 0 && id.len <= ES_ID_MAX ? ES_OK
                                                           : ES_INVALID;

    if (rc == ES_OK) {
        esd_message_begin(send);
        rc = esd_message_own(send, ESD_SEND_TEST, id, text);
    }

    if (rc == ES_OK) {
        send->upto = test->request;
        rc = esd_send_start(send, NULL, esd_test_event_ended);
    }

    if (rc != ES_OK) {
        esd_test_event_fail(d, target, test->request, ES_ATTEMPT_INTERNAL,
                            es_strerror(rc));
    }

    json_decref(event);
}


static bool
esd_test_event_room(esd_dispatcher_t *d, esd_target_t *target)
{
    unsigned           n;
    const esd_send_t  *send;

    n = 0;

    esd_each(send, &target->others, link) {
        n += send->kind == ESD_SEND_TEST;
    }

    return n < ESD_TEST_EVENTS_MAX
           && !d->stopping
           && !esd_descriptors_short(d)
           && esd_host_room(d, &target->caller)
           && esd_slot_available(d, target);
}


static void
esd_test_events_turn(esd_dispatcher_t *d, esd_target_t *target)
{
    esd_test_event_t  *test;

    if (target->token.none) {
        target->token.none = false;
        esd_test_events_fail(d, target, ES_ATTEMPT_TOKEN,
                             "there is no access token");
    }

    if (target->unverified) {
        esd_test_events_fail(d, target, ES_ATTEMPT_UNVERIFIED,
                             ES_UNVERIFIED_DETAIL);
        return;
    }

    if (target->nsigners == 0) {
        esd_test_events_fail(d, target, ES_ATTEMPT_INTERNAL,
                             "there is no secret to sign with");
        return;
    }

    while (target->ntests > 0
           && esd_test_event_room(d, target)
           && esd_token_ready(d, target))
    {
        test = esd_test_event_pop(target);
        esd_test_event_start(d, target, test);
        free(test);
    }
}


void
esd_test_events_run(esd_dispatcher_t *d)
{
    esd_target_t  *target;

    while ((target = TAILQ_FIRST(&d->testing)) != NULL) {
        esd_ready_leave_tests(d, target);
        esd_test_events_turn(d, target);
    }
}


void
esd_test_event_send(esd_dispatcher_t *d, esd_target_t *target,
    const es_control_request_t *request)
{
    esd_test_event_t  *test;

    if (target->ntests >= ESD_TEST_EVENTS_WAITING) {
        esd_test_event_fail(d, target, request->id, ES_ATTEMPT_INTERNAL,
                            "too many test events wait");
        return;
    }

    test = malloc(sizeof(esd_test_event_t) + request->event_len);
    if (test == NULL) {
        esd_out_of_memory();
    }

    test->request = request->id;
    test->len = request->event_len;
    memcpy(test->event, request->event, request->event_len);
    TAILQ_INSERT_TAIL(&target->tests, test, link);
    target->ntests++;

    esd_test_events_turn(d, target);
}
