/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Dispatches an operation on a partner's endpoints, and checks what the
 * partner and its key may see.
 *
 * A partner sees only its own endpoints.  A secret appears only in the answer
 * that has made it.
 */

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit/actor.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/event_loop.h"
#include "base/json.h"
#include "delivery/report.h"
#include "log/store_clock.h"
#include "manage/manage.h"
#include "manage/manage_internal.h"
#include "registry/endpoint_simulate.h"
#include "registry/registry.h"

typedef es_rc_t (*es_manage_fn)(es_manage_ctx_t *m);


es_rc_t
es_manage_invalid(es_manage_ctx_t *m, const char *pointer, const char *detail)
{
    return es_problem_set(m->problem, ES_INVALID, -1, pointer, "%s", detail);
}


/* Matching treats the pattern as a name: "a-*" matches "a-b" and "a-b*", and a
   pattern without "*" matches only itself. */

bool
es_narrow_covers(const es_narrow_t *narrow, es_str_t pattern)
{
    unsigned  i;

    for (i = 0; i < narrow->n; i++) {
        if (!es_patterns_match(&narrow->lists[i], pattern)) {
            return false;
        }
    }

    return true;
}


/* The first of the feeds that the key may not see, or NULL. */

static const char *
es_narrow_beyond(const es_narrow_t *narrow, const json_t *feeds)
{
    size_t   i;
    json_t  *feed;

    json_array_foreach(feeds, i, feed) {
        if (json_is_string(feed)
            && !es_narrow_covers(narrow, es_str(json_string_value(feed))))
        {
            return json_string_value(feed);
        }
    }

    return NULL;
}


bool
es_narrow_sees(const es_narrow_t *narrow, const json_t *feeds)
{
    return narrow->n == 0
           || (json_array_size(feeds) > 0
               && es_narrow_beyond(narrow, feeds) == NULL);
}


es_rc_t
es_manage_feeds(es_manage_ctx_t *m, json_t *object, es_problem_t *problem)
{
    const char  *feed;

    feed = es_narrow_beyond(&m->manage->narrow,
                            json_object_get(object, "feeds"));

    if (feed == NULL) {
        return ES_OK;
    }

    m->managed->refusal = ES_REFUSED_FEEDS;

    return es_problem_set(problem, ES_DENIED, -1, "/feeds", "The key is "
                          "limited to certain feeds, and \"%.64s\" is not one "
                          "of them", feed);
}


bool
es_manage_mine(const es_manage_ctx_t *m, json_t *object)
{
    es_str_t  owner;

    owner = es_str(json_string_value(json_object_get(object, "partner")));

    return es_str_eq(owner, m->manage->partner)
           && es_narrow_sees(&m->manage->narrow,
                             json_object_get(object, "feeds"));
}


json_t *
es_manage_object(es_manage_ctx_t *m, es_kind_t kind, es_str_t name)
{
    json_t    *object;
    es_buf_t   text = { 0 };

    if (es_registry_get(m->store, kind, name, &text) != ES_OK) {
        return NULL;
    }

    object = json_loadb(text.data, text.len, 0, NULL);
    es_buf_free(&text);

    return object;
}


json_t *
es_manage_load(es_manage_ctx_t *m, es_str_t name)
{
    json_t  *object;

    object = es_manage_object(m, ES_KIND_ENDPOINT, name);

    if (object != NULL && !es_manage_mine(m, object)) {
        json_decref(object);
        return NULL;
    }

    return object;
}


/* The ETag names the revision, and whether the simulation has ended, because
   an ended simulation is not shown. */

void
es_manage_etag(es_manage_ctx_t *m, json_t *object,
    char etag[ES_ENDPOINT_ETAG_MAX])
{
    (void) snprintf(etag, ES_ENDPOINT_ETAG_MAX, "\"%lld%s\"",
                    json_integer_value(json_object_get(object, "revision")),
                    es_simulate_ended(object, m->now_ms) ? "e" : "");
}


es_rc_t
es_manage_show(es_manage_ctx_t *m)
{
    json_t  *object;

    object = es_manage_load(m, es_str(m->managed->name));
    if (object == NULL) {
        return ES_NOT_FOUND;
    }

    es_manage_etag(m, object, m->managed->etag);
    m->answer = es_manage_view(m, es_str(m->managed->name), object);

    return ES_OK;
}


static es_rc_t
es_manage_keys(es_manage_ctx_t *m)
{
    return es_endpoint_keys(m->store, m->manage->endpoint, &m->answer);
}


static const es_manage_fn  es_manage_ops[] = {
    [ES_MANAGE_LIST] = es_manage_list,
    [ES_MANAGE_CREATE] = es_manage_create,
    [ES_MANAGE_SHOW] = es_manage_show,
    [ES_MANAGE_CHANGE] = es_manage_change,
    [ES_MANAGE_REMOVE] = es_manage_remove,
    [ES_MANAGE_PAUSE] = es_manage_paused,
    [ES_MANAGE_RESUME] = es_manage_paused,
    [ES_MANAGE_ROTATE] = es_manage_rotate,
    [ES_MANAGE_STATUS] = es_manage_status,
    [ES_MANAGE_ATTEMPTS] = es_manage_records,
    [ES_MANAGE_DEAD] = es_manage_records,
    [ES_MANAGE_REPLAY] = es_manage_request,
    [ES_MANAGE_RESEND] = es_manage_request,
    [ES_MANAGE_REDRIVE] = es_manage_request,
    [ES_MANAGE_KEYS] = es_manage_keys,
    [ES_MANAGE_TEST] = es_manage_test,
    [ES_MANAGE_SIMULATE] = es_manage_simulate,
    [ES_MANAGE_SKIP] = es_manage_clear,
    [ES_MANAGE_CANCEL] = es_manage_clear,
    [ES_MANAGE_DISCARD] = es_manage_clear
};

_Static_assert(sizeof(es_manage_ops) / sizeof(es_manage_ops[0])
               == ES_MANAGE_OPS, "each operation has a function");


static es_rc_t
es_manage_begin(es_manage_ctx_t *m)
{
    json_t       *object;
    json_error_t  error;

    if (m->manage->body.len > 0) {
        m->body = json_loadb(m->manage->body.data, m->manage->body.len,
                             JSON_REJECT_DUPLICATES, &error);

        if (!json_is_object(m->body)) {
            return es_problem_set(m->problem, ES_INVALID, -1, NULL, "the body "
                                  "is not a JSON object%s%s",
                                  m->body ? "" : ": ",
                                  m->body ? "" : error.text);
        }
    }

    if (m->manage->op == ES_MANAGE_LIST || m->manage->op == ES_MANAGE_CREATE)
    {
        return ES_OK;
    }

    object = es_manage_load(m, m->manage->endpoint);
    if (object == NULL) {
        return ES_NOT_FOUND;
    }

    memcpy(m->managed->name, m->manage->endpoint.data,
           m->manage->endpoint.len);
    m->managed->name[m->manage->endpoint.len] = '\0';
    m->number = (uint32_t) json_integer_value(json_object_get(object,
                                                              "number"));
    m->revision = (uint64_t) json_integer_value(json_object_get(object,
                                                                "revision"));
    m->paused = json_is_true(json_object_get(object, "paused"));
    json_decref(object);

    return m->manage->op == ES_MANAGE_STATUS
           || m->manage->op == ES_MANAGE_ATTEMPTS
           || m->manage->op == ES_MANAGE_DEAD
           ? es_report_feeds_load(m->store, &m->feeds) : ES_OK;
}


es_rc_t
es_manage(es_store_t *store, const es_manage_t *manage,
    es_manage_result_t *managed, es_problem_t *problem)
{
    char            *text;
    es_rc_t          rc;
    es_actor_t       actor;
    es_manage_ctx_t  m = { .store = store, .manage = manage,
                          .managed = managed, .problem = problem,
                          .now_ms = es_store_due_ms(store) };

    ES_ASSERT_NO_EVENT_LOOP();

    if (manage->endpoint.len >= ES_ENDPOINT_NAME_MAX) {
        return ES_NOT_FOUND;
    }

    if (manage->from.len > 0) {
        (void) snprintf(actor.who, sizeof(actor.who), "%s", manage->by.data);
        (void) snprintf(actor.from, sizeof(actor.from), "%s",
                        manage->from.data);
        es_actor_set(&actor);
    }

    rc = es_manage_begin(&m);

    if (rc == ES_OK) {
        rc = es_manage_ops[manage->op](&m);
    }

    es_actor_set(NULL);

    if (rc == ES_OK) {
        text = m.answer ? json_dumps(m.answer, ES_JSON_PRINT) : NULL;
        rc = text ? es_buf_str(&managed->out, es_str(text)) : ES_NOMEM;
        free(text);
    }

    es_report_feeds_free(&m.feeds);
    json_decref(m.answer);
    json_decref(m.body);

    return rc;
}
