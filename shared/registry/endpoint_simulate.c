/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes, sets and removes an endpoint's simulated failure.
 */

#include <stdio.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/json.h"
#include "log/store_clock.h"
#include "registry/endpoint_members.h"
#include "registry/endpoint_simulate.h"
#include "registry/member.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "registry/values.h"

#define ES_SIMULATE_POINTER   "/simulate"
#define ES_SIMULATE_STATUS    503
#define ES_SIMULATE_DELAY_MS  5000
#define ES_DELAY_MAX_MS       (3600 * 1000)

static const es_word_t  es_failures[] = {
    { "status", ES_SIMULATE_STATUS_CODE },
    { "delay", ES_SIMULATE_DELAY },
    { "reset", ES_SIMULATE_RESET },
    { "truncate", ES_SIMULATE_TRUNCATE },
    { "tls", ES_SIMULATE_TLS },
    { "duplicate", ES_SIMULATE_DUPLICATE },
    { "reorder", ES_SIMULATE_REORDER },
    { "drop", ES_SIMULATE_DROP },
    { NULL, 0 }
};

static const char  *const  es_simulate_members[] = {
    "failure", "status", "percent", "delay", "until"
};


static es_rc_t
es_simulate_known(es_record_t *r)
{
    size_t       i;
    json_t      *value;
    const char  *name;

    json_object_foreach(r->object, name, value) {
        for (i = 0; strcmp(es_simulate_members[i], name) != 0; ) {
            if (++i == sizeof(es_simulate_members) / sizeof(char *)) {
                return es_problem_set(r->problem, ES_INVALID, -1, "/failure",
                                      "unknown member \"%s\"", name);
            }
        }
    }

    return ES_OK;
}


static es_rc_t
es_simulate_members_take(es_record_t *r, es_simulation_t *out)
{
    es_rc_t   rc;
    unsigned  failure;

    failure = ES_SIMULATE_NONE;
    out->status = ES_SIMULATE_STATUS;
    out->percent = 100;
    out->delay_ms = ES_SIMULATE_DELAY_MS;

    if ((rc = es_simulate_known(r)) != ES_OK
        || (rc = es_take_word(r, "/failure", es_failures, &failure)) != ES_OK
        || (rc = es_take_number(r, "/status", 300, 599, &out->status))
           != ES_OK
        || (rc = es_take_number(r, "/percent", 1, 100, &out->percent))
           != ES_OK
        || (rc = es_take_duration(r, "/delay", 1, ES_DELAY_MAX_MS,
                                  &out->delay_ms)) != ES_OK
        || (rc = es_take_time(r, "/until", &out->until_ms)) != ES_OK)
    {
        return rc;
    }

    if (failure == ES_SIMULATE_NONE) {
        return es_fault(r, "/failure", "is missing");
    }

    out->failure = (es_failure_t) failure;

    return out->until_ms != 0 ? ES_OK : es_fault(r, "/until", "is missing");
}


es_rc_t
es_take_simulate(es_record_t *r, es_endpoint_t *out)
{
    char         pointer[sizeof(r->problem->pointer)];
    es_rc_t      rc;
    es_record_t  inner = { NULL, r->pool, r->problem };

    inner.object = json_object_get(r->object, "simulate");

    if (inner.object == NULL) {
        return ES_OK;
    }

    if (!json_is_object(inner.object)) {
        return es_fault(r, ES_SIMULATE_POINTER, "must be an object");
    }

    rc = es_simulate_members_take(&inner, &out->simulate);

    if (rc == ES_INVALID) {
        (void) snprintf(pointer, sizeof(pointer), "%s%.*s",
                        ES_SIMULATE_POINTER,
                        (int) (sizeof(pointer) - sizeof(ES_SIMULATE_POINTER)),
                        r->problem->pointer);
        memcpy(r->problem->pointer, pointer, sizeof(pointer));
    }

    return rc;
}


es_rc_t
es_simulate_check(const es_simulation_t *simulate, int64_t now_ms,
    es_problem_t *problem)
{
    return simulate->until_ms <= now_ms + ES_SIMULATE_MAX_MS
           ? ES_OK
           : es_problem_set(problem, ES_INVALID, -1,
                            ES_SIMULATE_POINTER "/until", "simulate/until "
                            "must be at most one day from now");
}


bool
es_simulate_ended(json_t *object, int64_t now_ms)
{
    int64_t      until_ms;
    const char  *until;

    until = json_string_value(json_object_get(json_object_get(object,
                                                              "simulate"),
                                              "until"));

    return until != NULL
           && es_time_parse(es_str(until), &until_ms) == ES_OK
           && until_ms <= now_ms;
}


void
es_simulate_prune(json_t *object, int64_t now_ms)
{
    if (es_simulate_ended(object, now_ms)) {
        (void) json_object_del(object, "simulate");
    }
}


/* Makes the member of the record from the body of a request.  NULL: the
   problem is set. */

static json_t *
es_simulate_member(es_store_t *store, json_t *body, es_problem_t *problem)
{
    char         until[ES_TIME_LEN + 1];
    json_t      *member, *term;
    uint32_t     for_ms;

    term = json_object_get(body, "for");
    for_ms = ES_SIMULATE_MS;

    if (term != NULL
        && (es_duration_parse(es_text(term), &for_ms) != ES_OK
            || for_ms < 1000 || for_ms > ES_SIMULATE_MAX_MS))
    {
        (void) es_problem_set(problem, ES_INVALID, -1, "/for", "must be a "
                              "time from 1s to 1d");
        return NULL;
    }

    es_time_print(es_store_due_ms(store) + for_ms, until);
    until[ES_TIME_LEN] = '\0';

    member = json_copy(body);
    (void) json_object_del(member, "for");
    (void) json_object_set_new(member, "until", json_string(until));

    return member;
}


/* With "none", the other members count for nothing, and must be valid. */

static es_rc_t
es_simulate_none(json_t *member, es_problem_t *problem)
{
    es_record_t      r = { member, NULL, problem };
    es_simulation_t  ignored = { 0 };

    return json_object_set_new(member, "failure", json_string("drop")) == 0
           ? es_simulate_members_take(&r, &ignored) : ES_NOMEM;
}


static es_rc_t
es_simulate_write(es_store_t *store, es_str_t name, json_t *member,
    const es_edit_t *guard, es_problem_t *problem)
{
    json_t   *change;
    size_t    len;
    es_rc_t   rc;

    change = json_pack("{s:o}", "simulate", member);

    rc = change ? es_registry_edit(store, ES_KIND_ENDPOINT, name, change,
                                   guard, problem)
                : ES_NOMEM;

    json_decref(change);

    /* the pointer leads into the body of the request, not into the record */

    len = sizeof(ES_SIMULATE_POINTER) - 1;

    if (rc == ES_INVALID
        && strncmp(problem->pointer, ES_SIMULATE_POINTER, len) == 0)
    {
        memmove(problem->pointer, problem->pointer + len,
                strlen(problem->pointer + len) + 1);
    }

    return rc;
}


es_rc_t
es_endpoint_simulate(es_store_t *store, es_str_t name, json_t *body,
    const es_edit_t *guard, es_problem_t *problem)
{
    json_t      *member;
    es_rc_t      rc;
    const char  *failure;

    failure = json_string_value(json_object_get(body, "failure"));

    if (failure == NULL) {
        return es_problem_set(problem, ES_INVALID, -1, "/failure", "failure "
                              "is needed: a word, or \"none\"");
    }

    member = es_simulate_member(store, body, problem);

    if (member != NULL && strcmp(failure, "none") == 0) {
        rc = es_simulate_none(member, problem);
        json_decref(member);
        member = json_null();

        if (rc != ES_OK) {
            return rc;
        }
    }

    return member ? es_simulate_write(store, name, member, guard,
                                      problem)
                  : ES_INVALID;
}
