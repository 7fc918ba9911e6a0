/* SPDX-License-Identifier: BSD-2-Clause */

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl.h"
#include "delivery/delivery.h"
#include "manage/manage.h"
#include "registry/control_reply.h"

#define CTL_TAKEN_US  5000000
#define CTL_LOOK_US   20000


/* Opens the store, and finds the endpoint. */

static int
ctl_request_endpoint(ctl_t *ctl, const char *name, es_request_t *request)
{
    int                   rc;
    es_rc_t               es;
    es_registry_t        *registry;
    const es_endpoint_t  *endpoint;

    rc = ctl_open(ctl, ES_STORE_ADMIN | ES_STORE_DELIVERY_READ);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_registry_load(ctl->store, &registry);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot read the registry: %s",
                        es_reason(es));
    }

    endpoint = es_registry_endpoint(registry, es_str(name));

    if (endpoint != NULL) {
        request->endpoint = endpoint->number;
    }

    es_registry_free(registry);

    return endpoint ? CTL_OK : ctl_fail(CTL_FAILED, "there is no endpoint "
                                        "\"%s\"", name);
}


/* Of a request that could not be done there is a reply. */

static int
ctl_request_taken(ctl_t *ctl, uint64_t id)
{
    es_reply_t  reply;

    if (es_delivery_reply(ctl->store, id, &reply) == ES_OK
        && reply.rc != ES_OK)
    {
        return ctl_fail(CTL_FAILED, "%s", reply.detail);
    }

    (void) puts("taken");

    return CTL_OK;
}


/* Hands the request over, and waits a moment for the dispatcher. */

static int
ctl_request_add(ctl_t *ctl, es_request_t *request, bool *done)
{
    es_rc_t   es;
    int64_t   until_us;
    uint64_t  taken;

    es = es_delivery_taken(ctl->store, &taken);

    if (es == ES_OK) {
        es = es_request_add(ctl->store, request, taken);
    }

    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot ask the dispatcher: %s",
                        es_reason(es));
    }

    until_us = es_clock_mono_us() + CTL_TAKEN_US;

    do {
        if (es_delivery_taken(ctl->store, &taken) == ES_OK
            && taken >= request->id)
        {
            *done = true;
            return ctl_request_taken(ctl, request->id);
        }

        (void) usleep(CTL_LOOK_US);

    } while (es_clock_mono_us() < until_us);

    (void) puts("waiting for the dispatcher");
    *done = false;

    return CTL_OK;
}


/* Where in the feed: by a cursor, or by `from`. */

static int
ctl_request_place(ctl_t *ctl, const char *feed, const char *cursor,
    const char *from, es_request_t *request)
{
    es_rc_t       es;
    es_problem_t  problem = { 0 };

    es = es_request_place(ctl->store, es_str(feed), cursor, from, request,
                          &problem);

    return es == ES_OK ? CTL_OK
                       : ctl_fail(CTL_FAILED, "%s", problem.detail[0]
                                  ? problem.detail : es_reason(es));
}


int
ctl_endpoint_replay(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    bool          done;
    const char   *after = NULL, *from = NULL;
    es_request_t  request = { .kind = ES_REQUEST_REPLAY };

    const ctl_option_t  options[] = {
        { "after", false, &after },
        { "from", false, &from },
        { NULL, false, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, 2, 2, options);

    if (rc == CTL_OK && (after == NULL) == (from == NULL)) {
        rc = ctl_fail(CTL_USAGE, "one of \"--after\" and \"--from\" is "
                      "needed");
    }

    if (rc == CTL_OK) {
        rc = ctl_request_endpoint(ctl, argv[0], &request);
    }

    if (rc == CTL_OK) {
        rc = ctl_request_place(ctl, argv[1], after, from, &request);
    }

    return rc == CTL_OK ? ctl_request_add(ctl, &request, &done) : rc;
}


int
ctl_endpoint_resend(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    bool          done;
    es_request_t  request = { .kind = ES_REQUEST_RESEND };

    rc = ctl_args(ctl, &argc, argv, 3, 3, NULL);

    if (rc == CTL_OK) {
        rc = ctl_request_endpoint(ctl, argv[0], &request);
    }

    if (rc == CTL_OK) {
        rc = ctl_request_place(ctl, argv[1], argv[2], NULL, &request);
    }

    if (rc == CTL_OK && request.sequence == 0) {
        rc = ctl_fail(CTL_USAGE, "\"%s\" is before the first event",
                      argv[2]);
    }

    return rc == CTL_OK ? ctl_request_add(ctl, &request, &done) : rc;
}


int
ctl_endpoint_redrive(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    bool          done;
    es_request_t  request = { .kind = ES_REQUEST_REDRIVE };

    rc = ctl_args(ctl, &argc, argv, 1, 1, NULL);

    if (rc == CTL_OK) {
        rc = ctl_request_endpoint(ctl, argv[0], &request);
    }

    return rc == CTL_OK ? ctl_request_add(ctl, &request, &done) : rc;
}


typedef struct {
    uint64_t      request;
    bool          found;
    es_attempt_t  attempt;
} ctl_test_t;


static es_rc_t
ctl_test_attempt(void *ctx, const es_attempt_t *attempt)
{
    ctl_test_t  *test = ctx;

    if (!(attempt->flags & ES_ATTEMPT_TEST)
        || attempt->sequence != test->request)
    {
        return ES_OK;
    }

    test->found = true;
    test->attempt = *attempt;

    return ES_EXISTS;
}


/* What became of it, as soon as that is on record. */

static int
ctl_test_outcome(ctl_t *ctl, const es_request_t *request)
{
    int64_t     until_us;
    es_rc_t     es;
    ctl_test_t  test = { .request = request->id };

    until_us = es_clock_mono_us() + CTL_TAKEN_US;

    do {
        es = es_delivery_last_attempts(ctl->store, request->endpoint, NULL,
                                       ctl_test_attempt, &test);
        if (test.found) {
            (void) printf("status=%d class=%s latency_us=%u\n",
                          test.attempt.status,
                          es_attempt_class_name((es_attempt_class_t)
                                                test.attempt.klass),
                          test.attempt.latency_us);
            return test.attempt.klass == ES_ATTEMPT_OK ? CTL_OK : CTL_FAILED;
        }

        if (es != ES_OK && es != ES_NOT_FOUND) {
            return ctl_fail(CTL_FAILED, "cannot read the attempts: %s",
                            es_reason(es));
        }

        (void) usleep(CTL_LOOK_US);

    } while (es_clock_mono_us() < until_us);

    (void) puts("no answer yet");

    return CTL_OK;
}


int
ctl_endpoint_test(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    bool          done = false;
    char          id[ES_TEST_ID_MAX];
    json_t       *data = NULL;
    es_rc_t       es;
    const char   *type = NULL, *text = NULL;
    es_request_t  request = { .kind = ES_REQUEST_TEST };
    es_problem_t  problem = { 0 };

    const ctl_option_t  options[] = {
        { "type", false, &type },
        { "data", false, &text },
        { NULL, false, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, 1, 1, options);

    if (rc == CTL_OK && text != NULL) {
        data = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES,
                          NULL);
        rc = data ? CTL_OK : ctl_fail(CTL_USAGE, "\"--data\" is not JSON");
    }

    if (rc == CTL_OK) {
        rc = ctl_request_endpoint(ctl, argv[0], &request);
    }

    if (rc == CTL_OK) {
        es = es_request_test(&request, argv[0], type, data, id, &problem);
        rc = es == ES_OK ? CTL_OK
                         : ctl_fail(CTL_FAILED, "%s: %s", problem.pointer,
                                    problem.detail);
    }

    json_decref(data);

    if (rc == CTL_OK) {
        (void) printf("%s\n", id);
        rc = ctl_request_add(ctl, &request, &done);
    }

    return rc == CTL_OK && done ? ctl_test_outcome(ctl, &request) : rc;
}
