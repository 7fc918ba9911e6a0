/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Creates, changes, pauses and removes endpoints, rotates their secrets and
 * sets simulated failures.
 *
 * Every change of an existing endpoint goes through es_registry_edit() with a
 * guard, which checks the stored record again in the writing transaction.
 */

#include <stdlib.h>

#include "base/base.h"
#include "base/condition.h"
#include "delivery/undelivered.h"
#include "keys/signature.h"
#include "manage/manage.h"
#include "manage/manage_internal.h"
#include "registry/endpoint_simulate.h"
#include "registry/origin.h"
#include "registry/registry.h"
#include "registry/values.h"


static es_rc_t
es_manage_origin(json_t *stored, json_t *change, es_problem_t *problem)
{
    char         origin[ES_ORIGIN_MAX];
    const char  *pointer;

    pointer = es_origin_pinned(stored, change, origin);

    return pointer == NULL
           ? ES_OK
           : es_problem_set(problem, ES_INVALID, -1, pointer, "only an "
                            "operator can change the origin of this URL, "
                            "because an operator has set TLS files or "
                            "exceptions for the endpoint");
}


/* The guard: checks owner, condition, rights and origins against the record
   that is about to be overwritten, which may differ from the one that was read
   before. */

static es_rc_t
es_manage_guard(void *ctx, json_t *stored, json_t *change,
    es_problem_t *problem)
{
    char              etag[ES_ENDPOINT_ETAG_MAX];
    es_rc_t           rc;
    es_manage_ctx_t  *m = ctx;

    m->managed->refusal = ES_REFUSED_OTHER;

    if (!es_manage_mine(m, stored)) {
        return ES_NOT_FOUND;
    }

    es_manage_etag(m, stored, etag);

    if (!es_condition_met(&m->manage->condition, es_str(etag))) {
        m->managed->refusal = ES_REFUSED_UNMET;
        return es_problem_set(problem, ES_CONFLICT, -1, NULL, "the endpoint's "
                              "ETag does not satisfy the condition");
    }

    rc = es_manage_feeds(m, change, problem);

    if (rc == ES_OK) {
        rc = es_manage_reads(m, stored, change, problem);
    }

    return rc == ES_OK ? es_manage_origin(stored, change, problem) : rc;
}


static es_rc_t
es_manage_edit(es_manage_ctx_t *m, json_t *change)
{
    es_edit_t  guard = { es_manage_guard, m, m->manage->key };

    return es_registry_edit(m->store, ES_KIND_ENDPOINT, m->manage->endpoint,
                            change, &guard, m->problem);
}


/* Reports the feeds that the change has taken from the endpoint, with their
   undelivered events. */

static void
es_manage_left(es_manage_ctx_t *m, const es_undelivered_list_t *waiting)
{
    size_t                   i;
    json_t                  *left;
    const es_undelivered_t  *u;

    left = json_array();

    for (i = 0; i < waiting->n; i++) {
        u = &waiting->list[i];

        if (!u->away
            && es_narrow_covers(&m->manage->narrow, es_str(u->feed))
            && !es_manage_sends(m, u->feed))
        {
            (void) json_array_append_new(left,
                                         json_pack("{s:s, s:I}",
                                                   "feed", u->feed, "events",
                                                   (json_int_t) u->events));
        }
    }

    if (json_array_size(left) > 0) {
        (void) json_object_set(m->answer, "left", left);
    }

    json_decref(left);
}


es_rc_t
es_manage_change(es_manage_ctx_t *m)
{
    es_rc_t                rc;
    es_undelivered_list_t  waiting = { 0 };

    if (m->body == NULL) {
        return es_manage_invalid(m, NULL, "the body must be a JSON object "
                                 "with the members to change");
    }

    rc = es_manage_owner(m);

    if (rc == ES_OK && json_object_get(m->body, "feeds") != NULL) {
        rc = es_undelivered_load(m->store, m->number, es_null_str, UINT64_MAX,
                                 &waiting);
    }

    if (rc == ES_OK) {
        rc = es_manage_edit(m, m->body);
    }

    if (rc == ES_OK) {
        rc = es_manage_show(m);
    }

    if (rc == ES_OK) {
        es_manage_left(m, &waiting);
    }

    es_undelivered_free(&waiting);

    return rc;
}


es_rc_t
es_manage_paused(es_manage_ctx_t *m)
{
    es_rc_t   rc;
    json_t   *change;

    change = json_pack("{s:b}", "paused", m->manage->op == ES_MANAGE_PAUSE);
    rc = es_manage_edit(m, change);
    json_decref(change);

    return rc == ES_OK ? es_manage_show(m) : rc;
}


es_rc_t
es_manage_create(es_manage_ctx_t *m)
{
    char      secret[ES_SECRET_TEXT_MAX] = "", *text;
    es_rc_t   rc;

    if (m->body == NULL) {
        return es_manage_invalid(m, NULL, "the body must be a JSON object "
                                 "with \"url\" and \"feeds\"");
    }

    if (json_object_get(m->body, "partner") != NULL) {
        return es_manage_invalid(m, "/partner", "\"partner\" cannot be set: "
                                 "it is the key's own");
    }

    rc = es_manage_owner(m);

    if (rc == ES_OK) {
        rc = es_manage_feeds(m, m->body, m->problem);
    }

    if (rc == ES_OK) {
        rc = es_endpoint_name(m->managed->name);
    }

    if (rc == ES_OK && json_object_get(m->body, "secrets") == NULL) {
        rc = es_secret_create(secret);
        (void) json_object_set_new(m->body, "secrets",
                                   json_pack("[s]", secret));
    }

    if (rc != ES_OK) {
        return rc;
    }

    (void) json_object_set_new(m->body, "partner",
                               json_stringn(m->manage->partner.data,
                                            m->manage->partner.len));
    text = json_dumps(m->body, JSON_COMPACT);

    rc = text ? es_registry_create_endpoint(m->store,
                                            es_str(m->managed->name), text,
                                            m->manage->key, m->problem)
              : ES_NOMEM;
    free(text);

    if (rc == ES_DENIED && strcmp(m->problem->pointer, "/made_by") == 0) {
        m->managed->refusal = ES_REFUSED_KEY;
    }

    if (rc == ES_OK) {
        rc = es_manage_show(m);
    }

    if (rc == ES_OK && secret[0] != '\0') {
        (void) json_object_set_new(m->answer, "secret", json_string(secret));
    }

    return rc;
}


es_rc_t
es_manage_remove(es_manage_ctx_t *m)
{
    size_t                 i;
    es_rc_t                rc;
    es_undelivered_list_t  waiting;

    m->answer = json_object();

    rc = es_undelivered_load(m->store, m->number, es_null_str, UINT64_MAX,
                             &waiting);
    if (rc != ES_OK) {
        return rc;
    }

    for (i = 0; i < waiting.n; i++) {
        if (!waiting.list[i].away) {
            m->managed->count += waiting.list[i].events;
        }
    }

    es_undelivered_free(&waiting);

    return es_manage_edit(m, NULL);
}


es_rc_t
es_manage_rotate(es_manage_ctx_t *m)
{
    char         secret[ES_SECRET_TEXT_MAX] = "";
    es_rc_t      rc;
    uint32_t     overlap_ms = ES_OVERLAP_MS;
    es_edit_t    guard = { es_manage_guard, m, NULL };
    const char  *overlap = NULL, *given = NULL, *kind = "v1";

    if (m->body != NULL
        && json_unpack(m->body, "{s?:s, s?:s, s?:s !}", "overlap", &overlap,
                       "secret", &given, "kind", &kind) != 0)
    {
        return es_manage_invalid(m, NULL, "the body may have only "
                                 "\"overlap\", and \"secret\" or \"kind\", "
                                 "all strings");
    }

    if (given != NULL && json_object_get(m->body, "kind") != NULL) {
        return es_manage_invalid(m, "/kind", "\"kind\" cannot be used with "
                                 "\"secret\", which states it");
    }

    if (overlap != NULL
        && (es_duration_parse(es_str(overlap), &overlap_ms) != ES_OK
            || overlap_ms > ES_OVERLAP_MAX_MS))
    {
        return es_manage_invalid(m, "/overlap", "\"overlap\" must be a time "
                                 "of at most 30d");
    }

    if (given != NULL) {
        if (strlen(given) >= sizeof(secret)) {
            return es_manage_invalid(m, "/secret", "\"secret\" is too long");
        }

        memcpy(secret, given, strlen(given) + 1);

    } else {
        rc = es_endpoint_secret(kind, secret, m->problem);
        if (rc != ES_OK) {
            return rc;
        }
    }

    rc = es_endpoint_rotate(m->store, m->manage->endpoint, secret, overlap_ms,
                            &guard, m->problem);

    if (rc == ES_OK) {
        rc = es_manage_show(m);
    }

    /* the private key of a pair is never shown */

    if (rc == ES_OK && given == NULL && strcmp(kind, "v1") == 0) {
        (void) json_object_set_new(m->answer, "secret", json_string(secret));
    }

    return rc;
}


es_rc_t
es_manage_simulate(es_manage_ctx_t *m)
{
    es_rc_t    rc;
    es_edit_t  guard = { es_manage_guard, m, NULL };

    rc = es_endpoint_simulate(m->store, m->manage->endpoint, m->body, &guard,
                              m->problem);

    return rc == ES_OK ? es_manage_show(m) : rc;
}
