/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Requests to the dispatcher: replay, resend, redrive, test events and
 * verification.
 *
 * A request is a record in the store, which the dispatcher takes when it next
 * wakes.  The command waits a moment for that, so that its user sees a refusal;
 * without a dispatcher the request stays and the command ends well.
 */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "advice.h"
#include "base/clock.h"
#include "ctl.h"
#include "delivery/delivery.h"
#include "delivery/hint.h"
#include "manage/manage.h"
#include "object.h"
#include "registry/control_reply.h"

#define CTL_REQUEST_WAIT_US  5000000
#define CTL_REQUEST_POLL_US  20000


/* Opens the store and finds the endpoint. */

static int
ctl_request_endpoint(ctl_t *ctl, const char *name,
    es_control_request_t *request)
{
    int                   rc;
    es_registry_t        *registry;
    const es_endpoint_t  *endpoint;

    rc = ctl_open(ctl, ES_STORE_ADMIN | ES_STORE_DELIVERY_READ);

    if (rc == CTL_OK) {
        rc = ctl_registry_load(ctl, &registry);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    endpoint = ctl_endpoint_named(registry, name);

    if (endpoint != NULL && request->kind != ES_CONTROL_VERIFY) {
        ctl_advise_request(endpoint);
    }

    if (endpoint != NULL) {
        request->name = es_str(name);
        request->endpoint = endpoint->number;
        request->partner = endpoint->partner->number;
        request->max = endpoint->partner->quotas[ES_QUOTA_REQUESTS];
    }

    es_registry_free(registry);

    return endpoint ? CTL_OK : CTL_FAILED;
}


void
ctl_request_state(ctl_t *ctl, uint64_t id, const char *state)
{
    if (!ctl->json) {
        (void) puts(state);
    }

    ctl_result(ctl, json_pack("{s:I, s:s}", "request", (json_int_t) id,
                              "state", state));
}


/* The dispatcher leaves a reply only to a request that it refused. */

static int
ctl_request_taken(ctl_t *ctl, uint64_t id)
{
    es_control_reply_t  reply;

    if (es_delivery_control_reply(ctl->store, id, &reply) == ES_OK
        && reply.rc != ES_OK)
    {
        return ctl_fail(CTL_FAILED, "%s", reply.detail);
    }

    ctl_request_state(ctl, id, "taken");

    return CTL_OK;
}


/* Stores the request and waits a moment for the dispatcher; *taken is false
   when it has not taken the request by then. */

static int
ctl_request_add(ctl_t *ctl, es_control_request_t *request, bool *taken)
{
    es_rc_t       es;
    int64_t       until_us;
    uint64_t      last;
    es_problem_t  problem = { 0 };

    es = es_delivery_control_taken(ctl->store, &last);

    if (es == ES_OK) {
        es = es_control_request_add(ctl->store, request, last, &problem);
    }

    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot store the request: %s%s",
                        problem.detail[0] ? problem.detail : es_reason(es),
                        ctl_quota_hint(&problem));
    }

    until_us = es_clock_mono_us() + CTL_REQUEST_WAIT_US;

    do {
        if (es_delivery_control_taken(ctl->store, &last) == ES_OK
            && last >= request->id)
        {
            *taken = true;
            return ctl_request_taken(ctl, request->id);
        }

        (void) usleep(CTL_REQUEST_POLL_US);

    } while (es_clock_mono_us() < until_us);

    *taken = false;

    ctl_advise_dispatcher(ctl);
    ctl_request_state(ctl, request->id, "waiting for the dispatcher");

    return CTL_OK;
}


/* Sets the request's position in the feed, which a cursor or `from` names. */

static int
ctl_request_position(ctl_t *ctl, const char *feed, const char *cursor,
    const char *from, es_control_request_t *request)
{
    es_rc_t       es;
    es_problem_t  problem = { 0 };

    es = es_control_request_start(ctl->store, es_str(feed), cursor, from,
                                  request, &problem);

    return es == ES_OK ? CTL_OK
                       : ctl_fail(CTL_FAILED, "%s", problem.detail[0]
                                  ? problem.detail : es_reason(es));
}


int
ctl_endpoint_replay(ctl_t *ctl, int argc, char **argv)
{
    int                   rc;
    bool                  taken;
    const char           *after = NULL, *from = NULL;
    es_control_request_t  request = { .kind = ES_CONTROL_REPLAY };

    const ctl_option_t  options[] = {
        { "after", &after },
        { "from", &from },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK && (after == NULL) == (from == NULL)) {
        rc = ctl_fail(CTL_USAGE, "either \"--after\" or \"--from\" is "
                      "needed");
    }

    if (rc == CTL_OK) {
        rc = ctl_request_endpoint(ctl, argv[0], &request);
    }

    if (rc == CTL_OK) {
        rc = ctl_request_position(ctl, argv[1], after, from, &request);
    }

    return rc == CTL_OK ? ctl_request_add(ctl, &request, &taken) : rc;
}


int
ctl_endpoint_resend(ctl_t *ctl, int argc, char **argv)
{
    int                   rc;
    bool                  taken;
    es_control_request_t  request = { .kind = ES_CONTROL_RESEND };

    rc = ctl_args(ctl, &argc, argv, NULL);

    if (rc == CTL_OK) {
        rc = ctl_request_endpoint(ctl, argv[0], &request);
    }

    if (rc == CTL_OK) {
        rc = ctl_request_position(ctl, argv[1], argv[2], NULL, &request);
    }

    if (rc == CTL_OK && request.sequence == 0) {
        rc = ctl_fail(CTL_USAGE, "\"%s\" is before the first event",
                      argv[2]);
    }

    return rc == CTL_OK ? ctl_request_add(ctl, &request, &taken) : rc;
}


static es_rc_t
ctl_request_stop(void *ctx, const es_dead_t *dead)
{
    (void) ctx;
    (void) dead;

    return ES_STOP;
}


int
ctl_endpoint_redrive(ctl_t *ctl, int argc, char **argv)
{
    int                   rc;
    bool                  taken;
    es_control_request_t  request = { .kind = ES_CONTROL_REDRIVE };

    rc = ctl_args(ctl, &argc, argv, NULL);

    if (rc == CTL_OK) {
        rc = ctl_request_endpoint(ctl, argv[0], &request);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    if (es_delivery_each_dead(ctl->store, request.endpoint, ctl_request_stop,
                              NULL) != ES_STOP)
    {
        ctl_note("the endpoint has no dead letter");
    }

    return ctl_request_add(ctl, &request, &taken);
}


/* The dispatcher logs the user who accepts. */

int
ctl_endpoint_verify(ctl_t *ctl, int argc, char **argv)
{
    int                   rc, n;
    bool                  taken;
    const char           *accept = NULL;
    es_control_request_t  request = { .kind = ES_CONTROL_VERIFY };

    const ctl_option_t  options[] = {
        { "accept", &accept },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK) {
        rc = ctl_request_endpoint(ctl, argv[0], &request);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    n = snprintf(request.event, sizeof(request.event), "uid %u",
                 (unsigned) getuid());
    request.event_len = (size_t) n;
    request.sequence = accept != NULL;

    return ctl_request_add(ctl, &request, &taken);
}


typedef struct {
    uint64_t      request;
    bool          found;
    es_attempt_t  attempt;
} ctl_test_t;


/* The newest attempt comes first.  The walk goes on behind it to the end of the
   endpoint's attempts, as every poll without a result did. */

static es_rc_t
ctl_test_attempt(void *ctx, const es_attempt_t *attempt)
{
    ctl_test_t  *test = ctx;

    if (!test->found && (attempt->flags & ES_ATTEMPT_TEST)
        && attempt->sequence == test->request)
    {
        test->found = true;
        test->attempt = *attempt;
    }

    return ES_OK;
}


static void
ctl_test_print(ctl_t *ctl, const es_attempt_t *attempt)
{
    const char  *class;

    class = es_attempt_class_name((es_attempt_class_t) attempt->class);

    if (!ctl->json) {
        (void) printf("status=%d class=%s latency_us=%u\n", attempt->status,
                      class, attempt->latency_us);
        return;
    }

    (void) json_object_set_new(ctl->result, "status",
                               json_integer(attempt->status));
    (void) json_object_set_new(ctl->result, "class", json_string(class));
    (void) json_object_set_new(ctl->result, "latency_us",
                               json_integer(attempt->latency_us));
}


/* A redirect has no body that tells more than its Location. */

static void
ctl_test_hint(ctl_t *ctl, const es_attempt_t *attempt)
{
    char              location[sizeof(attempt->body) + 1] = "";
    const es_hint_t  *hint;

    hint = es_hint_attempt(attempt);

    if (es_attempt_bytes(attempt) == ES_BYTES_LOCATION) {
        (void) snprintf(location, sizeof(location), "%.*s",
                        (int) attempt->body_len, attempt->body);
        (void) ctl_printable(location);
    }

    if (ctl->json) {
        if (location[0] != '\0') {
            (void) json_object_set_new(ctl->result, "location",
                                       json_string(location));
        }

        if (hint != NULL) {
            (void) json_object_set_new(ctl->result, "cause",
                                       json_string(hint->cause));
            (void) json_object_set_new(ctl->result, "hint",
                                       json_string(hint->text));
        }

        return;
    }

    if (location[0] != '\0') {
        (void) printf("location=%s\n", location);
    }

    if (hint != NULL) {
        (void) printf("hint %s: %s\n", hint->cause, hint->text);
    }
}


/* Prints the outcome of the test event as soon as it is recorded. */

static int
ctl_test_outcome(ctl_t *ctl, const es_control_request_t *request)
{
    int64_t     until_us;
    es_rc_t     es;
    ctl_test_t  test = { .request = request->id };

    until_us = es_clock_mono_us() + CTL_REQUEST_WAIT_US;

    do {
        es = es_delivery_last_attempts(ctl->store, request->endpoint, NULL,
                                       ctl_test_attempt, &test);
        if (test.found) {
            ctl_test_print(ctl, &test.attempt);
            ctl_test_hint(ctl, &test.attempt);
            return test.attempt.class == ES_ATTEMPT_OK ? CTL_OK : CTL_FAILED;
        }

        if (es != ES_OK && es != ES_NOT_FOUND) {
            return ctl_fail(CTL_FAILED, "cannot read the attempts: %s",
                            es_reason(es));
        }

        (void) usleep(CTL_REQUEST_POLL_US);

    } while (es_clock_mono_us() < until_us);

    if (!ctl->json) {
        (void) puts("no answer yet");
    }

    return CTL_OK;
}


int
ctl_endpoint_test(ctl_t *ctl, int argc, char **argv)
{
    int                   rc;
    bool                  taken = false;
    char                  id[ES_TEST_ID_MAX];
    json_t               *data = NULL;
    es_rc_t               es;
    const char           *type = NULL, *text = NULL;
    es_control_request_t  request = { .kind = ES_CONTROL_TEST };
    es_problem_t          problem = { 0 };

    const ctl_option_t  options[] = {
        { "type", &type },
        { "data", &text },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK && text != NULL) {
        data = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES,
                          NULL);
        rc = data ? CTL_OK : ctl_fail(CTL_USAGE, "\"--data\" is not JSON");
    }

    if (rc == CTL_OK) {
        rc = ctl_request_endpoint(ctl, argv[0], &request);
    }

    if (rc == CTL_OK) {
        es = es_control_request_test(&request, argv[0], type, data, id,
                                     &problem);
        rc = es == ES_OK ? CTL_OK
                         : ctl_fail(CTL_FAILED, "%s: %s", problem.pointer,
                                    problem.detail);
    }

    json_decref(data);

    if (rc == CTL_OK && !ctl->json) {
        (void) printf("%s\n", id);
    }

    if (rc == CTL_OK) {
        rc = ctl_request_add(ctl, &request, &taken);
    }

    if (rc == CTL_OK) {
        (void) json_object_set_new(ctl->result, "id", json_string(id));
    }

    return rc == CTL_OK && taken ? ctl_test_outcome(ctl, &request) : rc;
}
