/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Skips, cancels and discards events for a partner.
 *
 * The dispatcher does the request if it runs, and this file waits for its
 * reply. Otherwise the answer depends on what is on disk, and the dispatcher
 * does the request later.
 */

#include <stdatomic.h>
#include <stdio.h>

#include "base/base.h"
#include "base/pool.h"
#include "delivery/delivery.h"
#include "manage/clearing.h"
#include "manage/manage.h"
#include "manage/manage_internal.h"
#include "registry/control_reply.h"
#include "registry/control_request.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "store/store.h"

#define ES_REPLY_MS     3000       /* longest wait for a reply */
#define ES_REPLY_WAITS  4          /* threads of a process that may wait */


static es_rc_t
es_manage_conflict(es_manage_ctx_t *m, es_refusal_t refusal, uint64_t count,
    const char *detail)
{
    m->managed->refusal = refusal;
    m->managed->count = count;

    return es_problem_set(m->problem, ES_CONFLICT, -1, NULL, "%s", detail);
}


/* A narrowed key must name a feed, and the feed must be one that it may see.
   */

static es_rc_t
es_manage_clear_feed(es_manage_ctx_t *m)
{
    const char  *feed;

    feed = json_string_value(json_object_get(m->body, "feed"));

    if (feed == NULL) {
        return m->manage->narrow.n == 0
               || json_object_get(m->body, "feed") != NULL
               ? ES_OK
               : es_manage_invalid(m, "/feed", "\"feed\" is missing: the key "
                                   "is limited to certain feeds");
    }

    return es_manage_sends(m, feed)
           ? ES_OK : es_manage_invalid(m, "/feed", "the endpoint does not "
                                       "receive this feed");
}


/* Without a dispatcher, decides by what is on disk. */

static es_rc_t
es_manage_blocks(es_manage_ctx_t *m, const es_control_request_t *request)
{
    es_rc_t         rc;
    json_t         *object;
    es_str_t        name;
    es_pool_t       pool = { 0 };
    es_partner_t    partner = { 0 };
    es_endpoint_t   endpoint = { .partner = &partner };
    es_problem_t    problem = { 0 };

    object = es_manage_load(m, m->manage->endpoint);
    rc = object == NULL
         ? ES_NOT_FOUND : es_endpoint_decode(object, &pool, &endpoint, &name,
                                             NULL);

    if (rc == ES_OK) {
        rc = es_clearing_blocks(m->store, request, &endpoint, &problem);
    }

    json_decref(object);
    es_pool_free(&pool);

    return rc == ES_CONFLICT
           ? es_manage_conflict(m, ES_REFUSED_STANDS, 0, problem.detail) : rc;
}


static es_rc_t
es_manage_replied(es_manage_ctx_t *m, const es_control_reply_t *reply)
{
    switch (reply->rc) {

    case ES_OK:
        m->answer = json_pack("{s:I, s:I}", "request", (json_int_t) reply->id,
                              "count", (json_int_t) reply->count);
        return ES_OK;

    case ES_CONFLICT:
        return es_manage_conflict(m, ES_REFUSED_STANDS, 0, reply->detail);

    case ES_MISMATCH:
        return es_manage_conflict(m, ES_REFUSED_COUNT, reply->count,
                                  reply->detail);

    case ES_BUSY:
        return es_manage_conflict(m, ES_REFUSED_OTHER, 0, reply->detail);

    default:
        return reply->rc;
    }
}


/* Waits for the reply if a dispatcher runs.  Only a few threads may wait at a
   time, because the same threads publish. */

static es_rc_t
es_manage_wait(es_manage_ctx_t *m, uint64_t id, bool runs,
    es_control_reply_t *reply)
{
    bool     first;
    es_rc_t  rc;

    first = atomic_fetch_add(&m->store->waits, 1) < ES_REPLY_WAITS;

    rc = es_control_reply_wait(m->store, id, runs && first ? ES_REPLY_MS : 0,
                               reply);

    atomic_fetch_sub(&m->store->waits, 1);

    return rc;
}



static es_rc_t
es_manage_ask(es_manage_ctx_t *m, es_control_request_t *request, bool runs)
{
    es_rc_t             rc;
    es_control_reply_t  reply;

    rc = es_manage_add(m, request);

    if (rc == ES_OK) {
        rc = es_manage_wait(m, request->id, runs, &reply);
    }

    if (rc == ES_OK) {
        return es_manage_replied(m, &reply);
    }

    if (rc == ES_NOT_FOUND) {
        m->managed->later = true;
        m->answer = json_pack("{s:I}", "request", (json_int_t) request->id);
        return ES_OK;
    }

    return rc;
}


static es_rc_t
es_manage_clear_run(es_manage_ctx_t *m, es_control_request_t *request,
    const es_clearing_t *clearing)
{
    bool      runs;
    char      detail[96];
    es_rc_t   rc;
    uint64_t  count;

    runs = es_dispatcher_runs(m->store);

    if (request->kind == ES_CONTROL_SKIP) {
        rc = runs ? ES_OK : es_manage_blocks(m, request);

        return rc == ES_OK ? es_manage_ask(m, request, runs) : rc;
    }

    rc = es_clearing_count(m->store, request, clearing, &count);

    if (rc != ES_OK) {
        return rc;
    }

    if (clearing->dry_run) {
        m->answer = json_pack("{s:I}", "count", (json_int_t) count);
        return ES_OK;
    }

    if (count != clearing->expect) {
        (void) snprintf(detail, sizeof(detail), "the number of events is "
                        "%llu, not %llu", (unsigned long long) count,
                        (unsigned long long) clearing->expect);
        return es_manage_conflict(m, ES_REFUSED_COUNT, count, detail);
    }

    return es_manage_ask(m, request, runs);
}


es_rc_t
es_manage_clear(es_manage_ctx_t *m)
{
    es_rc_t               rc;
    es_control_request_t  request = { .endpoint = m->number };
    es_clearing_t         clearing = { 0 };
    es_control_kind_t     kind;

    kind = m->manage->op == ES_MANAGE_SKIP ? ES_CONTROL_SKIP
           : m->manage->op == ES_MANAGE_CANCEL ? ES_CONTROL_CANCEL
                                               : ES_CONTROL_DISCARD;

    if (m->body == NULL) {
        return es_manage_invalid(m, NULL, "the body must be a JSON object "
                                 "that selects the events");
    }

    rc = es_manage_clear_feed(m);

    if (rc == ES_OK) {
        rc = es_clearing_make(m->store, kind, m->body, m->manage->by.data,
                              &request, &clearing, m->problem);
    }

    if (rc == ES_OK) {
        rc = es_manage_clear_run(m, &request, &clearing);
    }

    es_clearing_free(&clearing);

    return rc;
}
