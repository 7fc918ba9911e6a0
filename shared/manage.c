/*
 * manage.c - a partner's own endpoints.
 *
 * A partner sees its own and no others; nobody is shown a secret but in the
 * answer that made it.
 */

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "managing.h"
#include "object.h"
#include "public_key.h"
#include "simulate.h"
#include "values.h"

typedef es_rc_t (*es_manage_fn)(es_managing_t *m);


es_rc_t
es_manage_invalid(es_managing_t *m, const char *pointer, const char *detail)
{
    return es_problem_set(m->problem, ES_INVALID, -1, pointer, "%s", detail);
}


/* The endpoint's object if it is the partner's, or NULL. */

static json_t *
es_manage_load(es_managing_t *m, es_str_t name)
{
    json_t    *object;
    es_str_t   owner;
    es_buf_t   text = { 0 };

    if (es_registry_get(m->store, ES_KIND_ENDPOINT, name, &text) != ES_OK) {
        return NULL;
    }

    object = json_loadb(text.data, text.len, 0, NULL);
    es_buf_free(&text);
    owner = es_str(json_string_value(json_object_get(object, "partner")));

    if (!es_str_eq(owner, m->manage->partner)) {
        json_decref(object);
        return NULL;
    }

    return object;
}


static json_t *
es_view_secret(json_t *secret)
{
    bool         pair;
    char         whpk[ES_PUBLIC_TEXT_MAX];
    json_t      *view, *expires;
    const char  *text;

    text = json_string_value(json_is_object(secret)
                             ? json_object_get(secret, "secret") : secret);
    expires = json_object_get(secret, "expires");

    pair = es_secret_public(es_str(text), whpk);
    view = json_pack("{s:s}", "kind", pair ? "v1a" : "v1");

    if (pair) {
        (void) json_object_set_new(view, "public_key", json_string(whpk));
    }

    if (expires != NULL) {
        (void) json_object_set(view, "expires", expires);
    }

    return view;
}


/* Members that reach into the operator's files: not a partner's to see or to
   set. */

static const char  *const  es_operators[] = {
    "client_cert", "client_key", "ca_file"
};


static es_rc_t
es_manage_owner(es_managing_t *m)
{
    size_t  i;
    char    pointer[32];

    for (i = 0; i < sizeof(es_operators) / sizeof(char *); i++) {
        if (json_object_get(m->body, es_operators[i]) != NULL) {
            (void) snprintf(pointer, sizeof(pointer), "/%s", es_operators[i]);
            return es_manage_invalid(m, pointer, "is for the operator to set");
        }
    }

    return ES_OK;
}


/* Values of header fields are as secret as secrets are. */

static json_t *
es_view_names(json_t *headers)
{
    json_t      *list, *value;
    const char  *name;

    list = json_array();

    json_object_foreach(headers, name, value) {
        (void) json_array_append_new(list, json_string(name));
    }

    return list;
}


/* What the partner sees of it; takes the object. */

static json_t *
es_view(const char *name, json_t *object)
{
    size_t   i;
    json_t  *view, *secrets, *secret;

    view = json_pack("{s:s}", "name", name);
    secrets = json_array();

    json_array_foreach(json_object_get(object, "secrets"), i, secret) {
        (void) json_array_append_new(secrets, es_view_secret(secret));
    }

    if (json_object_get(object, "headers") != NULL) {
        (void) json_object_set_new(object, "headers",
                             es_view_names(json_object_get(object,
                                                           "headers")));
    }

    (void) json_object_del(json_object_get(object, "oauth"), "client_secret");
    (void) json_object_del(object, "partner");
    (void) json_object_del(object, "number");
    es_simulate_prune(object, es_clock_ms());

    for (i = 0; i < sizeof(es_operators) / sizeof(char *); i++) {
        (void) json_object_del(object, es_operators[i]);
    }

    (void) json_object_set_new(object, "secrets", secrets);
    (void) json_object_update(view, object);
    json_decref(object);

    return view;
}


static es_rc_t
es_manage_list(es_managing_t *m)
{
    char     name[64] = "", next[64];
    es_rc_t  rc;
    json_t  *object, *list;

    list = json_array();

    while ((rc = es_registry_next(m->store, ES_KIND_ENDPOINT, es_str(name),
                                  next)) == ES_OK)
    {
        memcpy(name, next, sizeof(name));
        object = es_manage_load(m, es_str(name));

        if (object != NULL) {
            (void) json_array_append_new(list, es_view(name, object));
        }
    }

    m->answer = json_pack("{s:o}", "endpoints", list);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


static es_rc_t
es_manage_show(es_managing_t *m)
{
    json_t  *object;

    object = es_manage_load(m, m->manage->endpoint);
    if (object == NULL) {
        return ES_NOT_FOUND;
    }

    m->answer = es_view(m->name, object);

    return ES_OK;
}


static es_rc_t
es_manage_change_to(es_managing_t *m, json_t *change)
{
    char     *text;
    es_rc_t   rc;

    text = json_dumps(change, JSON_COMPACT);

    rc = text ? es_registry_change(m->store, ES_KIND_ENDPOINT,
                                   m->manage->endpoint, text, m->problem)
              : ES_NOMEM;
    free(text);

    return rc == ES_OK ? es_manage_show(m) : rc;
}


static es_rc_t
es_manage_change(es_managing_t *m)
{
    es_rc_t  rc;

    if (m->body == NULL) {
        return es_manage_invalid(m, NULL, "a JSON object of what to change is "
                                 "needed");
    }

    rc = es_manage_owner(m);

    return rc == ES_OK ? es_manage_change_to(m, m->body) : rc;
}


static es_rc_t
es_manage_paused(es_managing_t *m)
{
    es_rc_t   rc;
    json_t   *change;

    change = json_pack("{s:b}", "paused", m->manage->op == ES_MANAGE_PAUSE);
    rc = es_manage_change_to(m, change);
    json_decref(change);

    return rc;
}


static es_rc_t
es_manage_create(es_managing_t *m)
{
    char      secret[ES_SECRET_TEXT_MAX] = "", *text;
    es_rc_t   rc;

    if (m->body == NULL) {
        return es_manage_invalid(m, NULL, "a JSON object with \"url\" and "
                                 "\"feeds\" is needed");
    }

    if (json_object_get(m->body, "partner") != NULL) {
        return es_manage_invalid(m, "/partner", "is who asks");
    }

    rc = es_manage_owner(m);

    if (rc == ES_OK) {
        rc = es_endpoint_name(m->name);
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

    rc = text ? es_registry_create(m->store, ES_KIND_ENDPOINT,
                                   es_str(m->name), text, m->problem)
              : ES_NOMEM;
    free(text);

    if (rc != ES_OK) {
        return rc;
    }

    m->answer = es_view(m->name, es_manage_load(m, es_str(m->name)));

    if (secret[0] != '\0') {
        (void) json_object_set_new(m->answer, "secret", json_string(secret));
    }

    return ES_OK;
}


static es_rc_t
es_manage_remove(es_managing_t *m)
{
    m->answer = json_object();

    return es_registry_remove(m->store, ES_KIND_ENDPOINT, m->manage->endpoint,
                              m->problem);
}


static es_rc_t
es_manage_rotate(es_managing_t *m)
{
    char         secret[ES_SECRET_TEXT_MAX] = "";
    es_rc_t      rc;
    uint32_t     overlap_ms = ES_OVERLAP_MS;
    const char  *overlap = NULL, *given = NULL, *kind = "v1";

    if (m->body != NULL
        && json_unpack(m->body, "{s?:s, s?:s, s?:s !}", "overlap", &overlap,
                       "secret", &given, "kind", &kind) != 0)
    {
        return es_manage_invalid(m, NULL, "may have \"overlap\", and "
                                 "\"secret\" or \"kind\", all strings");
    }

    if (given != NULL && json_object_get(m->body, "kind") != NULL) {
        return es_manage_invalid(m, "/kind", "is that of the secret");
    }

    if (overlap != NULL
        && (es_duration_parse(es_str(overlap), &overlap_ms) != ES_OK
            || overlap_ms > ES_OVERLAP_MAX_MS))
    {
        return es_manage_invalid(m, "/overlap", "is not a time of at most "
                                 "30d");
    }

    if (given != NULL) {
        if (strlen(given) >= sizeof(secret)) {
            return es_manage_invalid(m, "/secret", "is too long");
        }

        memcpy(secret, given, strlen(given) + 1);

    } else {
        rc = es_endpoint_secret(kind, secret, m->problem);
        if (rc != ES_OK) {
            return rc;
        }
    }

    rc = es_endpoint_rotate(m->store, m->manage->endpoint, secret, overlap_ms,
                            NULL, m->problem);

    if (rc == ES_OK) {
        rc = es_manage_show(m);
    }

    /* the private half of a pair is nobody's business */

    if (rc == ES_OK && given == NULL && strcmp(kind, "v1") == 0) {
        (void) json_object_set_new(m->answer, "secret", json_string(secret));
    }

    return rc;
}


static es_rc_t
es_manage_simulate(es_managing_t *m)
{
    es_rc_t  rc;

    rc = es_endpoint_simulate(m->store, m->manage->endpoint, m->body,
                              m->problem);

    return rc == ES_OK ? es_manage_show(m) : rc;
}


static es_rc_t
es_manage_keys(es_managing_t *m)
{
    return es_endpoint_keys(m->store, m->manage->endpoint, &m->answer);
}


static const es_manage_fn  es_manage_ops[] = {
    es_manage_list, es_manage_create, es_manage_show, es_manage_change,
    es_manage_remove, es_manage_paused, es_manage_paused, es_manage_rotate,
    es_manage_status, es_manage_records, es_manage_records,
    es_manage_request, es_manage_request, es_manage_request, es_manage_keys,
    es_manage_test, es_manage_simulate
};


static es_rc_t
es_manage_begin(es_managing_t *m)
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

    memcpy(m->name, m->manage->endpoint.data, m->manage->endpoint.len);
    m->name[m->manage->endpoint.len] = '\0';
    m->number = (uint32_t) json_integer_value(json_object_get(object,
                                                              "number"));
    m->revision = (uint64_t) json_integer_value(json_object_get(object,
                                                                "revision"));
    json_decref(object);

    return es_report_feeds_load(m->store, &m->feeds);
}


es_rc_t
es_manage(es_store_t *store, const es_manage_t *manage, es_buf_t *out,
    char name[ES_ENDPOINT_NAME_MAX], es_problem_t *problem)
{
    char           *text;
    es_rc_t         rc;
    es_managing_t   m = { .store = store, .manage = manage,
                          .problem = problem, .name = name };

    if (manage->endpoint.len >= ES_ENDPOINT_NAME_MAX) {
        return ES_NOT_FOUND;
    }

    rc = es_manage_begin(&m);

    if (rc == ES_OK) {
        rc = es_manage_ops[manage->op](&m);
    }

    if (rc == ES_OK) {
        text = m.answer ? json_dumps(m.answer, JSON_COMPACT) : NULL;
        rc = text ? es_buf_str(out, es_str(text)) : ES_NOMEM;
        free(text);
    }

    es_report_feeds_free(&m.feeds);
    json_decref(m.answer);
    json_decref(m.body);

    return rc;
}
