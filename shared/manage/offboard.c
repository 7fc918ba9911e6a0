/* SPDX-License-Identifier: BSD-2-Clause */

/* Carries out the plan of an offboarding. */

#include <stdlib.h>

#include "audit/audit.h"
#include "checkpoint/checkpoint.h"
#include "delivery/delivery.h"
#include "delivery/removal.h"
#include "log/feed.h"
#include "log/store_clock.h"
#include "manage/offboard.h"
#include "registry/control_reply.h"
#include "registry/control_request.h"
#include "registry/offboard.h"
#include "registry/registry.h"
#include "store/scrub.h"
#include "store/store.h"

#define ES_OFFBOARD_REPLIES   60       /* seconds: a dispatcher loads the
                                          registry within a few */


static es_str_t
es_offboard_text(const json_t *object, const char *name)
{
    return es_str(json_string_value(json_object_get(object, name)));
}


static uint32_t
es_offboard_number(const json_t *object)
{
    return (uint32_t) json_integer_value(json_object_get(object, "number"));
}


es_rc_t
es_offboard_begin(es_store_t *store, const json_t *plan,
    es_problem_t *problem)
{
    char     *text;
    es_rc_t   rc;

    text = json_dumps(plan, JSON_COMPACT);
    if (text == NULL) {
        return es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
    }

    problem->rc = ES_OK;
    rc = es_registry_offboard(store, es_offboard_text(plan, "partner"),
                              es_str(text), problem);
    free(text);

    return rc == ES_OK || rc == problem->rc
           ? rc : es_problem_set(problem, rc, -1, NULL, "%s", es_reason(rc));
}


/* ES_OK: it has replied, or has ended meanwhile.  Its heartbeat stays for a
   while. */

static es_rc_t
es_offboard_reply(es_store_t *store, uint64_t id)
{
    es_rc_t             rc;
    unsigned            i;
    es_control_reply_t  reply;

    for (i = 0, rc = ES_NOT_FOUND; i < ES_OFFBOARD_REPLIES; i++) {
        rc = es_control_reply_wait(store, id, 1000, &reply);

        if (rc != ES_NOT_FOUND || !es_dispatcher_runs(store)) {
            break;
        }
    }

    return rc == ES_NOT_FOUND ? es_dispatcher_runs(store) ? ES_BUSY : ES_OK
                              : rc;
}


/*
 * A dispatcher takes a request only with a registry that is as new as the
 * request.  So when it has answered, it knows none of the endpoints, and nothing
 * of them is under way.
 */

static es_rc_t
es_offboard_barrier(es_store_t *store, const json_t *plan)
{
    es_rc_t                rc;
    uint64_t               taken;
    json_t                *endpoints;
    es_problem_t           problem;
    es_control_request_t  *request;

    endpoints = json_object_get(plan, "endpoints");

    if (json_array_size(endpoints) == 0 || !es_dispatcher_runs(store)) {
        return ES_OK;
    }

    request = calloc(1, sizeof(es_control_request_t));
    if (request == NULL) {
        return ES_NOMEM;
    }

    request->kind = ES_CONTROL_DISCARD;
    request->endpoint = es_offboard_number(json_array_get(endpoints, 0));
    request->partner = es_offboard_number(plan);
    request->max = UINT64_MAX;
    request->name = es_offboard_text(json_array_get(endpoints, 0), "name");
    memcpy(request->event, "{}", 3);
    request->event_len = 2;

    rc = es_delivery_control_taken(store, &taken);

    if (rc == ES_OK) {
        rc = es_control_request_add(store, request, taken, &problem);
    }

    if (rc == ES_OK) {
        rc = es_offboard_reply(store, request->id);
    }

    free(request);

    return rc;
}


static es_rc_t
es_offboard_delivery(es_store_t *store, const json_t *plan)
{
    size_t             i;
    json_t            *endpoint;
    es_rc_t            rc;
    es_audit_change_t  change = { .action = "offboard", .kind = "partner" };

    change.object = es_offboard_text(plan, "partner");
    change.partner = change.object;
    change.before = json_object_get(plan, "endpoints");

    rc = es_audit_record(store, ES_AUDIT_DELIVERY, &change);

    json_array_foreach(change.before, i, endpoint) {
        if (rc == ES_OK) {
            rc = es_removal_endpoint(store, es_offboard_number(endpoint));
        }
    }

    return rc == ES_OK
           ? es_removal_partner(store, es_offboard_number(plan),
                                es_offboard_text(plan, "operations")) : rc;
}


static es_rc_t
es_offboard_feed(es_store_t *store, json_t *feed)
{
    es_rc_t   rc;
    es_str_t  name;

    name = es_offboard_text(feed, "name");
    rc = es_feed_remove(store, name);

    if (rc == ES_HELD) {
        return json_object_set_new(feed, "kept", json_true()) == 0
               ? ES_OK : ES_NOMEM;
    }

    if (rc == ES_OK || rc == ES_NOT_FOUND) {
        rc = es_registry_remove(store, ES_KIND_FEED, name, NULL);
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


/* What records have no longer is still in the files. */

static es_rc_t
es_offboard_files(es_store_t *store, bool feeds, int64_t wait_ms,
    es_scrub_t *scrub)
{
    es_rc_t  rc;

    rc = es_env_scrub(store->registry, wait_ms, scrub);

    if (rc == ES_OK) {
        rc = es_env_scrub(store->delivery, wait_ms, scrub);
    }

    if (rc == ES_OK) {
        rc = es_env_scrub(store->checkpoints, wait_ms, scrub);
    }

    return rc == ES_OK && feeds ? es_env_scrub(store->log, wait_ms, scrub)
                                : rc;
}


es_rc_t
es_offboard_clean(es_store_t *store, json_t *plan, int64_t wait_ms,
    es_scrub_t *scrub, es_problem_t *problem)
{
    size_t    i;
    json_t   *feeds, *feed;
    es_rc_t   rc;

    scrub->reader = 0;
    feeds = json_object_get(plan, "feeds");
    rc = es_offboard_barrier(store, plan);

    if (rc == ES_BUSY) {
        return es_problem_set(problem, rc, -1, NULL, "the dispatcher has not "
                              "seen that the partner was removed");
    }

    if (rc == ES_OK) {
        rc = es_offboard_delivery(store, plan);
    }

    json_array_foreach(feeds, i, feed) {
        if (rc == ES_OK) {
            rc = es_offboard_feed(store, feed);
        }
    }

    if (rc == ES_OK) {
        rc = es_checkpoint_prune(store);
    }

    if (rc == ES_OK) {
        rc = es_offboard_files(store, json_array_size(feeds) > 0, wait_ms,
                               scrub);
    }

    if (rc == ES_BUSY && scrub->reader != 0) {
        return es_problem_set(problem, rc, -1, NULL, "process %d reads an old "
                              "state and keeps free pages from being "
                              "overwritten: end it", scrub->reader);
    }

    return rc == ES_OK ? ES_OK
                       : es_problem_set(problem, rc, -1, NULL, "%s",
                                        es_reason(rc));
}


es_rc_t
es_offboard_end(es_store_t *store, const json_t *plan)
{
    return es_registry_offboard_end(store, es_offboard_text(plan, "partner"));
}
