/*
 * test.c - test events: signed and sent as any other, once, whatever state the
 * endpoint is in, and of no feed.  Nothing is concluded from what it answers.
 */

#include "dispatcher.h"


void
es_test_send(es_dispatcher_t *d, es_target_t *target,
    const es_request_t *request)
{
    json_t      *event;
    es_rc_t      rc;
    es_str_t     id, text;
    es_send_t   *send;

    text = (es_str_t) { request->event, request->event_len };
    event = json_loadb(text.data, text.len, 0, NULL);
    id = es_str(json_string_value(json_object_get(event, "id")));

    send = target->nsigners > 0 ? es_send_get(d, target) : NULL;
    rc = send != NULL && id.len > 0 && id.len <= ES_ID_MAX ? ES_OK
                                                           : ES_INVALID;

    if (rc == ES_OK) {
        es_message_begin(send);
        rc = es_message_own(send, ES_SEND_TEST, id, text);
    }

    if (rc == ES_OK) {
        send->upto = request->id;

        if (es_token_ready(d, target)) {
            rc = es_send_start(send, NULL);

        } else {
            TAILQ_REMOVE(&target->idle, send, link);
            TAILQ_INSERT_TAIL(&target->held, send, link);
        }
    }

    if (rc != ES_OK) {
        es_log_line(ES_LOG_ERROR, "endpoint %s: cannot send the test event of "
                    "request %llu: %s", target->name,
                    (unsigned long long) request->id, es_strerror(rc));
    }

    json_decref(event);
}


void
es_test_judge(es_send_t *send, const es_outcome_t *o)
{
    es_judge_attempt(send, send->upto, send->attempt, o);

    es_log_line(ES_LOG_INFO, "endpoint %s: test event %s: %s, status %d",
                send->target->name, send->ids.data,
                es_attempt_class_name(o->klass), o->status);
}
