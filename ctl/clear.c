/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Commands that give up deliveries: skip, cancel and discard.
 *
 * They store a request, which the dispatcher takes, and wait for its reply.
 * Cancel and discard must state the number of events, so that a wrong filter
 * does not give up more than its author meant.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "advice.h"
#include "ctl.h"
#include "manage/clearing.h"
#include "object.h"

#define CTL_REPLY_MS  5000


static int
ctl_clear_problem(const es_problem_t *problem, es_rc_t es)
{
    return problem->pointer[0] != '\0'
           ? ctl_fail(CTL_USAGE, "%s",
                      problem->detail)
           : ctl_fail(CTL_FAILED, "%s", problem->detail[0] != '\0'
                      ? problem->detail : es_strerror(es));
}


/* Prints the dispatcher's answer to the request. */

static int
ctl_clear_reply(ctl_t *ctl, const es_control_request_t *request,
    const es_control_reply_t *reply)
{
    const char  *state;

    if (reply->rc != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", reply->detail[0] != '\0'
                        ? reply->detail : es_strerror(reply->rc));
    }

    state = request->kind == ES_CONTROL_SKIP ? "skipped"
            : request->kind == ES_CONTROL_CANCEL ? "cancelled" : "discarded";

    if (request->kind == ES_CONTROL_SKIP) {
        ctl_request_state(ctl, request->id, state);
        return CTL_OK;
    }

    if (!ctl->json) {
        (void) printf("%" PRIu64 " %s\n", reply->count, state);
    }

    ctl_result(ctl, json_pack("{s:I, s:s, s:I}", "request",
                              (json_int_t) request->id, "state", state,
                              "count", (json_int_t) reply->count));

    return CTL_OK;
}


static int
ctl_clear_send(ctl_t *ctl, es_control_request_t *request)
{
    es_rc_t             es;
    uint64_t            taken;
    es_problem_t        problem = { 0 };
    es_control_reply_t  reply;

    es = es_delivery_control_taken(ctl->store, &taken);

    if (es == ES_OK) {
        es = es_control_request_add(ctl->store, request, taken, &problem);
    }

    if (es == ES_OK) {
        es = es_control_reply_wait(ctl->store, request->id, CTL_REPLY_MS,
                                   &reply);
    }

    if (es == ES_OK) {
        return ctl_clear_reply(ctl, request, &reply);
    }

    if (es != ES_NOT_FOUND) {
        return ctl_fail(CTL_FAILED, "cannot store the request: %s%s",
                        problem.detail[0] ? problem.detail : es_reason(es),
                        ctl_quota_hint(&problem));
    }

    ctl_advise_dispatcher(ctl);
    ctl_request_state(ctl, request->id,
                      es_delivery_control_taken(ctl->store, &taken) == ES_OK
                      && taken >= request->id ? "under way"
                                              : "waiting for the dispatcher");

    return CTL_OK;
}


/* A running dispatcher checks that the event blocks the endpoint's lane.  If
   no dispatcher runs, this command checks the stored state. */

static int
ctl_clear_skip(ctl_t *ctl, const es_endpoint_t *endpoint,
    es_control_request_t *request)
{
    es_rc_t       es;
    es_problem_t  problem = { 0 };

    es = es_dispatcher_runs(ctl->store)
         ? ES_OK
         : es_clearing_blocks(ctl->store, request, endpoint, &problem);

    return es == ES_OK ? ctl_clear_send(ctl, request)
                       : ctl_clear_problem(&problem, es);
}


static int
ctl_clear_counted(ctl_t *ctl, es_control_request_t *request,
    const es_clearing_t *clearing)
{
    es_rc_t   es;
    uint64_t  count;

    es = es_clearing_count(ctl->store, request, clearing, &count);

    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot count the events: %s",
                        es_strerror(es));
    }

    if (clearing->dry_run) {
        if (!ctl->json) {
            (void) printf("%" PRIu64 "\n", count);
        }

        ctl_result(ctl, json_pack("{s:I}", "count", (json_int_t) count));

        return CTL_OK;
    }

    if (count != clearing->expect) {
        return ctl_fail(CTL_FAILED, "there are %" PRIu64 " events, not %"
                        PRIu64, count, clearing->expect);
    }

    return ctl_clear_send(ctl, request);
}


static int
ctl_clear_endpoint(ctl_t *ctl, es_control_kind_t kind,
    const es_endpoint_t *endpoint, json_t *body)
{
    int                   rc;
    char                  by[ES_BY_MAX];
    es_rc_t               es;
    es_control_request_t  request = {
        .name = endpoint->name,
        .endpoint = endpoint->number,
        .partner = endpoint->partner->number,
        .max = endpoint->partner->quotas[ES_QUOTA_REQUESTS]
    };
    es_problem_t          problem = { 0 };
    es_clearing_t         clearing = { 0 };

    (void) snprintf(by, sizeof(by), "uid %u", (unsigned) getuid());

    es = es_clearing_make(ctl->store, kind, body, by, &request, &clearing,
                          &problem);
    if (es != ES_OK) {
        rc = ctl_clear_problem(&problem, es);

    } else if (kind == ES_CONTROL_SKIP) {
        rc = ctl_clear_skip(ctl, endpoint, &request);

    } else {
        rc = ctl_clear_counted(ctl, &request, &clearing);
    }

    es_clearing_free(&clearing);

    return rc;
}


/* Releases the body. */

static int
ctl_clear(ctl_t *ctl, es_control_kind_t kind, const char *name, json_t *body)
{
    int                   rc;
    es_registry_t        *registry = NULL;
    const es_endpoint_t  *endpoint;

    rc = ctl_open(ctl, ES_STORE_ADMIN | ES_STORE_DELIVERY_READ);

    if (rc == CTL_OK) {
        rc = ctl_registry_load(ctl, &registry);
    }

    if (rc == CTL_OK) {
        endpoint = ctl_endpoint_named(registry, name);
        rc = endpoint ? ctl_clear_endpoint(ctl, kind, endpoint, body)
                      : CTL_FAILED;
    }

    es_registry_free(registry);
    json_decref(body);

    return rc;
}


int
ctl_endpoint_skip(ctl_t *ctl, int argc, char **argv)
{
    int  rc;

    rc = ctl_args(ctl, &argc, argv, NULL);

    return rc == CTL_OK
           ? ctl_clear(ctl, ES_CONTROL_SKIP, argv[0],
                       json_pack("{s:s, s:s}", "feed", argv[1], "cursor",
                                 argv[2]))
           : rc;
}


/* Adds "500,0" to the body as a list of statuses. */

static int
ctl_clear_statuses(json_t *body, const char *text)
{
    int        rc;
    size_t     i;
    json_t    *list, *item, *numbers;
    uint64_t   number;

    if (text == NULL) {
        return CTL_OK;
    }

    rc = CTL_OK;
    list = ctl_list(text);
    numbers = json_array();

    json_array_foreach(list, i, item) {
        if (rc == CTL_OK) {
            rc = ctl_number("status", json_string_value(item), 0, 999,
                            &number);
        }

        if (rc == CTL_OK) {
            (void) json_array_append_new(numbers,
                                         json_integer((json_int_t) number));
        }
    }

    json_decref(list);
    (void) json_object_set_new(body, "statuses", numbers);

    return rc;
}


static int
ctl_clear_range(ctl_t *ctl, es_control_kind_t kind, int argc, char **argv)
{
    int          rc;
    json_t      *body;
    uint64_t     number;
    const char  *from = NULL, *to = NULL, *types = NULL, *status = NULL,
                *classes = NULL, *dry = NULL, *expect = NULL;

    const ctl_option_t  options[] = {
        { "from", &from },
        { "to", &to },
        { "types", &types },
        { "status", &status },
        { "dry-run", &dry },
        { "expect", &expect },
        { kind == ES_CONTROL_DISCARD ? "class" : NULL, &classes },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK && (dry == NULL) == (expect == NULL)) {
        rc = ctl_fail(CTL_USAGE, "either \"--dry-run\" or \"--expect\" is "
                      "needed");
    }

    if (rc == CTL_OK && expect != NULL) {
        rc = ctl_number("expect", expect, 0, INT64_MAX, &number);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    body = json_pack("{s:s*, s:s*, s:s*}", "feed", argc > 1 ? argv[1] : NULL,
                     "from", from, "to", to);

    if (types != NULL) {
        (void) json_object_set_new(body, "types", ctl_list(types));
    }

    if (classes != NULL) {
        (void) json_object_set_new(body, "classes", ctl_list(classes));
    }

    if (expect != NULL) {
        (void) json_object_set_new(body, "expect",
                                   json_integer((json_int_t) number));
    } else {
        (void) json_object_set_new(body, "dry_run", json_true());
    }

    rc = ctl_clear_statuses(body, status);

    if (rc != CTL_OK) {
        json_decref(body);
        return rc;
    }

    return ctl_clear(ctl, kind, argv[0], body);
}


int
ctl_endpoint_cancel(ctl_t *ctl, int argc, char **argv)
{
    return ctl_clear_range(ctl, ES_CONTROL_CANCEL, argc, argv);
}


int
ctl_endpoint_discard(ctl_t *ctl, int argc, char **argv)
{
    return ctl_clear_range(ctl, ES_CONTROL_DISCARD, argc, argv);
}
