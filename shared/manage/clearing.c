/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes a clearing from the JSON object of a client, stores it in a control
 * request and reads it back.
 */

#include <stdlib.h>

#include "base/base.h"
#include "delivery/delivery.h"
#include "event/filter.h"
#include "log/feed.h"
#include "log/store_clock.h"
#include "manage/clearing.h"
#include "manage/manage.h"
#include "registry/control_request.h"
#include "store/txn.h"

#define ES_TYPES_MAX  4096         /* bytes of the list */

static const char  *const  es_skip_members[] = { "feed", "cursor", NULL };

static const char  *const  es_cancel_members[] = {
    "feed", "from", "to", "types", "statuses", "dry_run", "expect", NULL
};

static const char  *const  es_discard_members[] = {
    "feed", "from", "to", "types", "statuses", "classes", "dry_run", "expect",
    NULL
};


static es_rc_t
es_clearing_fault(es_problem_t *problem, const char *pointer,
    const char *detail)
{
    return es_problem_set(problem, ES_INVALID, -1, pointer, "%s %s",
                          pointer + 1, detail);
}


static es_rc_t
es_clearing_members(es_control_kind_t kind, json_t *body,
    es_problem_t *problem)
{
    char                pointer[128];
    json_t             *value;
    const char         *name;
    const char *const  *known, *const *k;

    known = kind == ES_CONTROL_SKIP ? es_skip_members
            : kind == ES_CONTROL_CANCEL ? es_cancel_members
                                        : es_discard_members;

    json_object_foreach(body, name, value) {
        for (k = known; *k != NULL && strcmp(*k, name) != 0; k++) {
            /* void */
        }

        if (*k == NULL) {
            pointer[0] = '\0';
            es_pointer_add(pointer, sizeof(pointer), es_str(name));
            return es_clearing_fault(problem, pointer, "is unknown");
        }
    }

    return ES_OK;
}


/* Reads a cursor of the feed and returns its sequence. */

static es_rc_t
es_clearing_cursor(es_store_t *store, json_t *body, const char *member,
    es_control_request_t *request, uint64_t *sequence, es_problem_t *problem)
{
    char         pointer[16];
    json_t      *value;
    es_rc_t      rc;
    const char  *feed;

    value = json_object_get(body, member);
    if (value == NULL) {
        return ES_OK;
    }

    pointer[0] = '\0';
    es_pointer_add(pointer, sizeof(pointer), es_str(member));
    feed = json_string_value(json_object_get(body, "feed"));

    if (feed == NULL) {
        return es_clearing_fault(problem, pointer, "requires \"feed\"");
    }

    if (!json_is_string(value)) {
        return es_clearing_fault(problem, pointer, "must be a cursor");
    }

    rc = es_control_request_start(store, es_str(feed),
                                  json_string_value(value), NULL,
                                  request, problem);
    if (rc != ES_OK) {
        return rc;
    }

    *sequence = request->sequence;

    return *sequence > 0 ? ES_OK
                         : es_clearing_fault(problem, pointer, "must not be "
                                             "before the first event");
}


/* Sets the feed and its present epoch, for a clearing without cursors. */

static es_rc_t
es_clearing_feed(es_store_t *store, json_t *body, es_control_request_t *request,
    uint64_t *last, es_problem_t *problem)
{
    es_rc_t     rc;
    json_t     *value;
    es_txn_t   *txn;
    es_feed_t   feed;

    value = json_object_get(body, "feed");

    if (value == NULL && request->kind == ES_CONTROL_DISCARD) {
        return ES_OK;
    }

    if (!json_is_string(value)) {
        return es_clearing_fault(problem, "/feed", "must be a feed's name");
    }

    rc = es_txn_begin(store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_feed_get(txn, es_str(json_string_value(value)), &feed);
    es_txn_end(txn);

    if (rc == ES_NOT_FOUND) {
        return es_problem_set(problem, ES_INVALID, -1, "/feed", "there is no "
                              "feed \"%.64s\"", json_string_value(value));
    }

    if (rc == ES_OK) {
        request->feed = feed.number;
        memcpy(request->epoch, feed.epoch, sizeof(feed.epoch));
        *last = feed.last;
    }

    return rc;
}


static es_rc_t
es_clearing_range(es_store_t *store, json_t *body,
    es_control_request_t *request, es_clearing_t *c, es_problem_t *problem)
{
    bool         skip;
    es_rc_t      rc;
    uint64_t     last = 0;
    const char  *to;

    skip = request->kind == ES_CONTROL_SKIP;
    to = json_string_value(json_object_get(body, "to"));

    rc = es_clearing_feed(store, body, request, &last, problem);

    if (rc == ES_OK && to != NULL && strcmp(to, "latest") == 0 && last > 0) {
        c->to = last;

    } else if (rc == ES_OK) {
        rc = es_clearing_cursor(store, body, skip ? "cursor" : "to", request,
                                &c->to, problem);
    }

    if (rc == ES_OK && skip) {
        return c->to != 0 ? ES_OK
                          : es_clearing_fault(problem, "/cursor", "must be a "
                                              "cursor");
    }

    c->from = request->kind == ES_CONTROL_DISCARD ? 0 : 1;

    if (rc == ES_OK) {
        rc = es_clearing_cursor(store, body, "from", request, &c->from,
                                problem);
    }

    request->sequence = 0;

    if (rc == ES_OK && c->to != 0 && c->from > c->to) {
        rc = es_clearing_fault(problem, "/from", "must not be after \"to\"");
    }

    return rc;
}


static es_rc_t
es_clearing_counts(json_t *body, es_clearing_t *c, es_problem_t *problem)
{
    json_t  *dry, *expect;

    dry = json_object_get(body, "dry_run");
    expect = json_object_get(body, "expect");

    if (dry != NULL && !json_is_boolean(dry)) {
        return es_clearing_fault(problem, "/dry_run", "must be a boolean");
    }

    if (expect != NULL
        && (!json_is_integer(expect) || json_integer_value(expect) < 0))
    {
        return es_clearing_fault(problem, "/expect", "must be a whole number "
                                 "from 0");
    }

    c->dry_run = json_is_true(dry);
    c->expects = expect != NULL;
    c->expect = (uint64_t) json_integer_value(expect);

    if (c->dry_run && c->expects) {
        return es_clearing_fault(problem, "/expect", "cannot be used with "
                                 "\"dry_run\"");
    }

    return c->dry_run || c->expects
           ? ES_OK : es_clearing_fault(problem, "/expect", "must be the "
                                       "\"count\" that a \"dry_run\" "
                                       "returned");
}


/* Joins the types into one text, which the filter points into. */

static es_rc_t
es_clearing_types(json_t *body, json_t *text, es_problem_t *problem)
{
    size_t        i;
    json_t       *list, *item;
    es_rc_t       rc;
    es_buf_t      buf = { 0 };
    es_filter_t   filter;
    es_problem_t  inner;

    list = json_object_get(body, "types");
    if (list == NULL) {
        return ES_OK;
    }

    if (!json_is_array(list) || json_array_size(list) == 0) {
        return es_clearing_fault(problem, "/types", "must be an array of "
                                 "types");
    }

    rc = ES_OK;

    json_array_foreach(list, i, item) {
        if (!json_is_string(item) || strchr(json_string_value(item), ',')) {
            es_buf_free(&buf);
            return es_clearing_fault(problem, "/types", "must be an array of "
                                     "types");
        }

        if (rc == ES_OK && i > 0) {
            rc = es_buf_append(&buf, ",", 1);
        }

        if (rc == ES_OK) {
            rc = es_buf_str(&buf, es_str(json_string_value(item)));
        }
    }

    if (rc == ES_OK) {
        rc = es_filter_types(&filter, (es_str_t) { buf.data, buf.len },
                             &inner);
        if (rc != ES_OK) {
            (void) es_problem_set(problem, rc, -1, "/types", "types: %s",
                                  inner.detail);
        }
    }

    if (rc == ES_OK && buf.len > ES_TYPES_MAX) {
        rc = es_clearing_fault(problem, "/types", "must have at most 4096 "
                               "bytes");
    }

    if (rc == ES_OK) {
        (void) json_object_set_new(text, "types",
                                   json_stringn(buf.data, buf.len));
    }

    es_buf_free(&buf);

    return rc;
}


static es_rc_t
es_clearing_statuses(json_t *body, json_t *text, es_problem_t *problem)
{
    size_t   i;
    json_t  *list, *item;

    list = json_object_get(body, "statuses");
    if (list == NULL) {
        return ES_OK;
    }

    if (!json_is_array(list)
        || json_array_size(list) == 0
        || json_array_size(list) > ES_CLEARING_STATUSES)
    {
        return es_clearing_fault(problem, "/statuses", "must be an array of 1 "
                                 "to 32 numbers");
    }

    json_array_foreach(list, i, item) {
        if (!json_is_integer(item)
            || json_integer_value(item) < 0
            || json_integer_value(item) > 999)
        {
            return es_clearing_fault(problem, "/statuses", "must be numbers "
                                     "from 0 (no answer) to 999");
        }
    }

    (void) json_object_set(text, "statuses", list);

    return ES_OK;
}


static es_rc_t
es_clearing_class(const char *name, unsigned *number)
{
    unsigned  i;

    for (i = 1; i < ES_ATTEMPT_CLASSES; i++) {
        if (name != NULL
            && strcmp(name, es_attempt_class_name((es_attempt_class_t) i))
               == 0)
        {
            *number = i;
            return ES_OK;
        }
    }

    return ES_INVALID;
}


static es_rc_t
es_clearing_classes(json_t *body, json_t *text, es_problem_t *problem)
{
    size_t     i;
    json_t    *list, *item;
    unsigned   number;
    uint32_t   classes;

    list = json_object_get(body, "classes");
    if (list == NULL) {
        return ES_OK;
    }

    classes = 0;

    json_array_foreach(list, i, item) {
        if (es_clearing_class(json_string_value(item), &number) != ES_OK) {
            return es_clearing_fault(problem, "/classes", "must be classes of "
                                     "failed attempts");
        }

        classes |= UINT32_C(1) << number;
    }

    if (classes == 0) {
        return es_clearing_fault(problem, "/classes", "must be an array of "
                                 "classes");
    }

    (void) json_object_set_new(text, "classes",
                               json_integer((json_int_t) classes));

    return ES_OK;
}


/* Stores the text in the request, and reads the clearing back from it as the
   dispatcher will. */

static es_rc_t
es_clearing_store(json_t *text, es_control_request_t *request, es_clearing_t *c)
{
    bool    dry_run;
    char   *dump;
    size_t  len;

    dump = json_dumps(text, JSON_COMPACT);
    if (dump == NULL) {
        return ES_NOMEM;
    }

    len = strlen(dump);

    if (len > ES_CONTROL_EVENT_MAX) {
        free(dump);
        return ES_TOO_LARGE;
    }

    memcpy(request->event, dump, len + 1);
    request->event_len = len;
    free(dump);

    dry_run = c->dry_run;
    es_clearing_free(c);

    if (es_clearing_read(request, c) != ES_OK) {
        return ES_NOMEM;
    }

    c->dry_run = dry_run;

    return ES_OK;
}


es_rc_t
es_clearing_make(es_store_t *store, es_control_kind_t kind, json_t *body,
    const char *by, es_control_request_t *request, es_clearing_t *clearing,
    es_problem_t *problem)
{
    json_t   *text;
    es_rc_t   rc;

    memset(clearing, 0, sizeof(es_clearing_t));
    request->kind = kind;
    request->time_ms = es_store_due_ms(store);

    rc = es_clearing_members(kind, body, problem);

    if (rc == ES_OK) {
        rc = es_clearing_range(store, body, request, clearing, problem);
    }

    if (rc == ES_OK && kind != ES_CONTROL_SKIP) {
        rc = es_clearing_counts(body, clearing, problem);
    }

    if (rc != ES_OK) {
        return rc;
    }

    text = json_pack("{s:s, s:I, s:I}", "by", by,
                     "from", (json_int_t) clearing->from,
                     "to", (json_int_t) clearing->to);
    if (text == NULL) {
        return ES_NOMEM;
    }

    if (clearing->expects) {
        (void) json_object_set_new(text, "expect",
                                   json_integer((json_int_t)
                                                clearing->expect));
    }

    rc = es_clearing_types(body, text, problem);

    if (rc == ES_OK) {
        rc = es_clearing_statuses(body, text, problem);
    }

    if (rc == ES_OK) {
        rc = es_clearing_classes(body, text, problem);
    }

    if (rc == ES_OK) {
        rc = es_clearing_store(text, request, clearing);
    }

    json_decref(text);

    return rc;
}


void
es_clearing_free(es_clearing_t *clearing)
{
    json_decref(clearing->json);
    memset(clearing, 0, sizeof(es_clearing_t));
}


es_rc_t
es_clearing_read(const es_control_request_t *request, es_clearing_t *c)
{
    size_t        i;
    json_t       *list, *item;
    const char   *by, *types;
    es_problem_t  problem;

    memset(c, 0, sizeof(es_clearing_t));

    c->json = json_loadb(request->event, request->event_len, 0, NULL);
    by = json_string_value(json_object_get(c->json, "by"));

    if (by == NULL || strlen(by) >= sizeof(c->by)) {
        es_clearing_free(c);
        return ES_CORRUPT;
    }

    memcpy(c->by, by, strlen(by) + 1);
    c->from = (uint64_t) json_integer_value(json_object_get(c->json, "from"));
    c->to = (uint64_t) json_integer_value(json_object_get(c->json, "to"));
    c->classes = (uint32_t) json_integer_value(json_object_get(c->json,
                                                               "classes"));
    c->expects = json_object_get(c->json, "expect") != NULL;
    c->expect = (uint64_t) json_integer_value(json_object_get(c->json,
                                                              "expect"));

    list = json_object_get(c->json, "statuses");

    json_array_foreach(list, i, item) {
        if (c->nstatuses < ES_CLEARING_STATUSES) {
            c->statuses[c->nstatuses++] = (int32_t) json_integer_value(item);
        }
    }

    types = json_string_value(json_object_get(c->json, "types"));

    if (types != NULL
        && es_filter_types(&c->filter, es_str(types), &problem) != ES_OK)
    {
        es_clearing_free(c);
        return ES_CORRUPT;
    }

    return ES_OK;
}
