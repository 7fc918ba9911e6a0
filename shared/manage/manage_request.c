/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Adds control requests for a partner: replay, resend, redrive and test.
 */

#include "base/base.h"
#include "base/pool.h"
#include "delivery/delivery.h"
#include "delivery/verification.h"
#include "limit/quota.h"
#include "manage/manage.h"
#include "manage/manage_internal.h"
#include "registry/control_request.h"
#include "registry/record.h"
#include "registry/registry.h"


/* Decodes the endpoint and its partner alone, which is faster than loading the
   registry. */

static bool
es_manage_decode(json_t *object, json_t *owner, es_pool_t *pool,
    es_endpoint_t *endpoint, es_partner_t *partner)
{
    es_str_t  name;

    endpoint->partner = partner;

    return json_is_object(object) && json_is_object(owner)
           && es_endpoint_decode(object, pool, endpoint, &name, NULL) == ES_OK
           && es_partner_decode(owner, pool, partner, NULL) == ES_OK;
}


bool
es_manage_sends(es_manage_ctx_t *m, const char *feed)
{
    bool           sends;
    json_t        *object, *owner;
    es_pool_t      pool = { 0 };
    es_partner_t   partner = { 0 };
    es_endpoint_t  endpoint = { 0 };

    object = es_manage_load(m, m->manage->endpoint);
    owner = es_manage_object(m, ES_KIND_PARTNER, m->manage->partner);

    sends = es_manage_decode(object, owner, &pool, &endpoint, &partner)
            && es_endpoint_allows(&endpoint, es_str(feed));

    json_decref(object);
    json_decref(owner);
    es_pool_wipe(&pool);

    return sends;
}


static es_rc_t
es_manage_place(es_manage_ctx_t *m, es_control_request_t *request)
{
    bool         replay;
    const char  *feed = NULL, *cursor = NULL, *from = NULL;

    replay = request->kind == ES_CONTROL_REPLAY;

    if (m->body == NULL
        || json_unpack(m->body, "{s:s, s?:s, s?:s !}", "feed", &feed,
                       replay ? "after" : "cursor", &cursor, "from",
                       &from) != 0
        || (cursor == NULL) == (from == NULL)
        || (!replay && cursor == NULL))
    {
        return es_manage_invalid(m, NULL, replay
                                 ? "the body must have \"feed\", and "
                                   "\"after\" or \"from\""
                                 : "the body must have \"feed\" and "
                                   "\"cursor\"");
    }

    if (!es_manage_sends(m, feed)) {
        return es_manage_invalid(m, "/feed", "the endpoint does not receive "
                                 "this feed");
    }

    return es_control_request_start(m->store, es_str(feed), cursor, from,
                                    request, m->problem);
}


/* Sets the request's partner, and the partner's quota. */

static es_rc_t
es_manage_owned(es_manage_ctx_t *m, es_control_request_t *request)
{
    json_t    *owner;
    es_rc_t    rc;
    uint64_t   quotas[ES_QUOTAS];

    owner = es_manage_object(m, ES_KIND_PARTNER, m->manage->partner);
    if (owner == NULL) {
        return ES_NOT_FOUND;
    }

    request->partner = (uint32_t) json_integer_value(
                                      json_object_get(owner, "number"));
    rc = es_partner_quotas(owner, quotas, NULL) == ES_OK ? ES_OK : ES_CORRUPT;
    request->max = quotas[ES_QUOTA_REQUESTS];
    json_decref(owner);

    return rc;
}


es_rc_t
es_manage_add(es_manage_ctx_t *m, es_control_request_t *request)
{
    es_rc_t   rc;
    uint64_t  taken;

    rc = es_manage_owned(m, request);
    request->name = m->manage->endpoint;

    if (rc == ES_OK) {
        rc = es_delivery_control_taken(m->store, &taken);
    }

    if (rc == ES_OK) {
        rc = es_control_request_add(m->store, request, taken, m->problem);
    }

    if (rc == ES_CONFLICT || rc == ES_QUOTA) {
        m->managed->refusal = ES_REFUSED_WAITING;
        return ES_CONFLICT;
    }

    return rc;
}


es_rc_t
es_manage_request(es_manage_ctx_t *m)
{
    es_rc_t               rc;
    es_control_request_t  request = { .endpoint = m->number };

    request.kind = m->manage->op == ES_MANAGE_REPLAY ? ES_CONTROL_REPLAY
                   : m->manage->op == ES_MANAGE_RESEND ? ES_CONTROL_RESEND
                                                       : ES_CONTROL_REDRIVE;

    rc = request.kind == ES_CONTROL_REDRIVE ? ES_OK
                                            : es_manage_place(m, &request);
    if (rc != ES_OK) {
        return rc;
    }

    if (request.kind == ES_CONTROL_RESEND && request.sequence == 0) {
        return es_manage_invalid(m, "/cursor", "\"cursor\" is before the "
                                 "first event");
    }

    rc = es_manage_add(m, &request);
    m->answer = json_pack("{s:I}", "request", (json_int_t) request.id);

    return rc;
}


/* Nothing is sent to an endpoint that has not agreed, and the partner must
   learn that now and not by an attempt that never comes. */

static es_rc_t
es_manage_agreed(es_manage_ctx_t *m)
{
    es_rc_t            rc;
    es_verification_t  verification;

    rc = es_delivery_verification(m->store, m->number, &verification);

    if (rc == ES_OK && verification.method == ES_VERIFIED_NOT) {
        m->managed->refusal = ES_REFUSED_UNVERIFIED;
        return es_problem_set(m->problem, ES_CONFLICT, -1, NULL,
                              ES_UNVERIFIED_DETAIL);
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


es_rc_t
es_manage_test(es_manage_ctx_t *m)
{
    char                  id[ES_TEST_ID_MAX];
    json_t               *data = NULL;
    es_rc_t               rc;
    const char           *type = NULL;
    es_control_request_t  request = { .endpoint = m->number };

    if (m->body != NULL
        && json_unpack(m->body, "{s?:s, s?:o !}", "type", &type, "data",
                       &data) != 0)
    {
        return es_manage_invalid(m, NULL, "the body may have only \"type\", a "
                                 "string, and \"data\"");
    }

    rc = es_control_request_test(&request, m->managed->name, type, data, id,
                                 m->problem);

    if (rc == ES_OK) {
        rc = es_manage_agreed(m);
    }

    if (rc == ES_OK) {
        rc = es_manage_add(m, &request);
    }

    m->answer = json_pack("{s:I, s:s}", "request", (json_int_t) request.id,
                          "id", id);

    return rc;
}
