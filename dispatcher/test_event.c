/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Test events: signed and sent as any other, once, whatever state the
 * endpoint is in, and of no feed.  Nothing is concluded from what it answers.
 *
 * An endpoint has two in flight; others wait in order, until there is a place,
 * and a token where one is needed.  Each comes to an attempt on record.
 */

#include "dispatcher.h"

#define ES_TESTS_MAX   2           /* of an endpoint in flight */
#define ES_TESTS_HELD  100         /* and waiting */


static void
es_test_fail(es_dispatcher_t *d, const es_target_t *target, uint64_t request,
    es_attempt_class_t klass, const char *why)
{
    es_attempt_t  attempt;

    memset(&attempt, 0, sizeof(attempt));
    attempt.endpoint = target->number;
    attempt.sequence = request;
    attempt.time_ms = es_stamp_ms(d);
    attempt.attempt = 1;
    attempt.klass = (uint8_t) klass;
    attempt.flags = ES_ATTEMPT_TEST;

    es_record_attempt(d, &attempt);

    es_log_line(klass == ES_ATTEMPT_INTERNAL ? ES_LOG_WARN : ES_LOG_INFO,
                "endpoint %s: cannot send the test event of request %llu: %s",
                target->name, (unsigned long long) request, why);
}


static es_test_t *
es_test_pop(es_target_t *target)
{
    es_test_t  *test;

    test = TAILQ_FIRST(&target->tests);

    if (test != NULL) {
        TAILQ_REMOVE(&target->tests, test, link);
        target->ntests--;
    }

    return test;
}


void
es_tests_fail(es_dispatcher_t *d, es_target_t *target,
    es_attempt_class_t klass, const char *why)
{
    es_test_t  *test;

    while ((test = es_test_pop(target)) != NULL) {
        es_test_fail(d, target, test->request, klass, why);
        free(test);
    }
}


void
es_tests_drop(es_target_t *target)
{
    es_test_t  *test;

    while ((test = es_test_pop(target)) != NULL) {
        free(test);
    }
}


void
es_tests_end(es_dispatcher_t *d)
{
    size_t  i;

    for (i = 0; i < d->ntargets; i++) {
        if (d->targets[i] != NULL) {
            es_tests_fail(d, d->targets[i], ES_ATTEMPT_INTERNAL,
                          "the dispatcher ends");
        }
    }
}


static void
es_test_start(es_dispatcher_t *d, es_target_t *target, const es_test_t *test)
{
    json_t      *event;
    es_rc_t      rc;
    es_str_t     id, text;
    es_send_t   *send;

    text = (es_str_t) { test->event, test->len };
    event = json_loadb(text.data, text.len, 0, NULL);
    id = es_str(json_string_value(json_object_get(event, "id")));

    send = es_send_get(d, target);
    rc = send != NULL && id.len > 0 && id.len <= ES_ID_MAX ? ES_OK
                                                           : ES_INVALID;

    if (rc == ES_OK) {
        es_message_begin(send);
        rc = es_message_own(send, ES_SEND_TEST, id, text);
    }

    if (rc == ES_OK) {
        send->upto = test->request;
        rc = es_send_start(send, NULL);
    }

    if (rc != ES_OK) {
        es_test_fail(d, target, test->request, ES_ATTEMPT_INTERNAL,
                     es_strerror(rc));
    }

    json_decref(event);
}


static bool
es_test_room(const es_dispatcher_t *d, const es_target_t *target)
{
    unsigned          n;
    const es_send_t  *send;

    n = 0;

    es_each(send, &target->others, link) {
        n += send->kind == ES_SEND_TEST;
    }

    return n < ES_TESTS_MAX
           && !d->stopping
           && !es_loop_short(d)
           && es_place_free(d, target);
}


void
es_tests_turn(es_dispatcher_t *d, es_target_t *target)
{
    es_test_t  *test;

    if (target->nsigners == 0) {
        es_tests_fail(d, target, ES_ATTEMPT_INTERNAL,
                      "there is no secret to sign with");
        return;
    }

    while (target->ntests > 0
           && es_test_room(d, target)
           && es_token_ready(d, target))
    {
        test = es_test_pop(target);
        es_test_start(d, target, test);
        free(test);
    }
}


void
es_test_send(es_dispatcher_t *d, es_target_t *target,
    const es_request_t *request)
{
    es_test_t  *test;

    if (target->ntests >= ES_TESTS_HELD) {
        es_test_fail(d, target, request->id, ES_ATTEMPT_INTERNAL,
                     "too many wait");
        return;
    }

    test = malloc(sizeof(es_test_t) + request->event_len);
    if (test == NULL) {
        es_record(d, ES_NOMEM);
        abort();
    }

    test->request = request->id;
    test->len = request->event_len;
    memcpy(test->event, request->event, request->event_len);
    TAILQ_INSERT_TAIL(&target->tests, test, link);
    target->ntests++;

    es_tests_turn(d, target);
}


void
es_test_judge(es_send_t *send, const es_outcome_t *o)
{
    es_judge_attempt(send, send->upto, send->attempt, o);

    es_log_line(ES_LOG_INFO, "endpoint %s: test event %s: %s, status %d",
                send->target->name, send->ids.data,
                es_attempt_class_name(o->klass), o->status);
}
