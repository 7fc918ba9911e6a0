/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Registry records on the command line: partners, keys, endpoints and the
 * schema modes of feeds.
 *
 * Their commands differ only in the members that options set, so that list,
 * show and remove are one function each; the command table gives the kind.
 */

#include <stdio.h>
#include <stdlib.h>

#include "checkpoint/checkpoint.h"
#include "delivery/certificates.h"
#include "delivery/verification.h"
#include "commands.h"
#include "object.h"
#include "registry/endpoint_members.h"
#include "registry/object.h"

#define CTL_SHOWN  4               /* members of a record in a list */


/* The option of the member that is at fault as a whole; NULL: none. */

static const char *
ctl_object_option(es_kind_t kind, const char *pointer)
{
    const es_endpoint_member_t  *m;

    m = kind == ES_KIND_ENDPOINT && pointer[0] == '/'
        ? es_endpoint_member(pointer + 1) : NULL;

    return m != NULL && m->type == ES_MEMBER_OBJECT ? m->option : NULL;
}


/* `subject` says which record, as `key "…"`. */

static int
ctl_object_problem(es_kind_t kind, const char *subject, es_rc_t rc,
    const es_problem_t *problem)
{
    const char  *option;

    option = ctl_object_option(kind, problem->pointer);

    if (option != NULL) {
        return ctl_fail(CTL_FAILED, "%s: %s: %s (--%s=@FILE sets it, --%s= "
                        "removes it)", subject, problem->pointer,
                        problem->detail, option, option);
    }

    if (problem->pointer[0] != '\0') {
        return ctl_fail(CTL_FAILED, "%s: %s: %s%s", subject, problem->pointer,
                        problem->detail, ctl_quota_hint(problem));
    }

    return ctl_fail(CTL_FAILED, "%s: %s%s", subject,
                    problem->detail[0] ? problem->detail : es_reason(rc),
                    ctl_quota_hint(problem));
}


/* `name` is NULL for a new record whose name the user has never seen, because
   the command makes it. */

static int
ctl_object_failed(es_kind_t kind, const char *name, es_rc_t rc,
    const es_problem_t *problem)
{
    int    n;
    char  *subject;

    n = name == NULL
        ? asprintf(&subject, "new %s", es_kind_name(kind))
        : asprintf(&subject, "%s \"%s\"", es_kind_name(kind), name);

    if (n < 0) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    n = ctl_object_problem(kind, subject, rc, problem);
    free(subject);

    return n;
}


int
ctl_object_result(ctl_t *ctl, es_kind_t kind, const char *name)
{
    es_rc_t   es;
    json_t   *named, *json;
    es_buf_t  buf = { 0 };

    es = es_registry_get(ctl->store, kind, es_str(name), &buf);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s \"%s\": %s", es_kind_name(kind), name,
                        es_reason(es));
    }

    json = json_loadb(buf.data, buf.len, 0, NULL);
    es_buf_free(&buf);

    named = json_pack("{s:s}", "name", name);
    (void) json_object_update(named, json);
    json_decref(json);

    ctl_result(ctl, named);

    return CTL_OK;
}


typedef es_rc_t (*ctl_object_fn)(es_store_t *store, es_kind_t kind,
    es_str_t name, const char *json, es_problem_t *problem);


static int
ctl_object_write(ctl_t *ctl, es_kind_t kind, const char *name, json_t *object,
    ctl_object_fn fn)
{
    int           rc;
    bool          unseen;
    char         *text;
    es_rc_t       es;
    es_problem_t  problem = { 0 };

    unseen = fn == es_registry_create
             && (kind == ES_KIND_KEY || kind == ES_KIND_ENDPOINT);

    text = json_dumps(object, JSON_COMPACT);
    json_decref(object);

    if (text == NULL) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    rc = ctl_open(ctl, ES_STORE_ADMIN);

    if (rc == CTL_OK) {
        es = fn(ctl->store, kind, es_str(name), text, &problem);
        if (es != ES_OK) {
            rc = ctl_object_failed(kind, unseen ? NULL : name, es, &problem);
        }
    }

    free(text);

    return rc == CTL_OK && ctl->json ? ctl_object_result(ctl, kind, name) : rc;
}


int
ctl_object_create(ctl_t *ctl, es_kind_t kind, const char *name, json_t *object)
{
    return ctl_object_write(ctl, kind, name, object, es_registry_create);
}


int
ctl_object_change(ctl_t *ctl, es_kind_t kind, const char *name, json_t *object)
{
    return ctl_object_write(ctl, kind, name, object, es_registry_change);
}


/* Adds what the dispatcher knows of the agreement of an endpoint, and of
   certificates. */

static void
ctl_object_known(ctl_t *ctl, json_t *object)
{
    uint32_t            number;
    uint64_t            revision;
    es_verification_t   verification;

    number = (uint32_t) json_integer_value(json_object_get(object, "number"));
    revision = (uint64_t) json_integer_value(json_object_get(object,
                                                             "revision"));

    if (es_delivery_verification(ctl->store, number, &verification) == ES_OK) {
        (void) json_object_set_new(object, "verification",
                                   es_verification_report(&verification));
    }

    (void) es_certificates_add(ctl->store, number, revision, object);
}


static bool
ctl_object_unverified(json_t *object)
{
    return json_is_false(json_object_get(json_object_get(object,
                                                         "verification"),
                                         "verified"));
}


void
ctl_object_columns(const char *name, const json_t *json,
    const char *const *columns)
{
    char  *text;

    (void) printf("%-24s", name);

    for ( ; *columns != NULL; columns++) {
        text = json_dumps(json_object_get(json, *columns),
                          JSON_COMPACT | JSON_ENCODE_ANY);
        (void) printf(" %s=%s", *columns, text ? text : "-");
        free(text);
    }
}


/* Prints one record: its JSON with the name, or its name and some members. */

static int
ctl_object_print(ctl_t *ctl, es_kind_t kind, const char *name, bool as_json)
{
    bool      ok;
    json_t   *json;
    es_rc_t   es;
    es_buf_t  buf = { 0 };

    static const char  *const  shown[][CTL_SHOWN + 1] = {
        [ES_KIND_PARTNER] = { "feeds", "publish", "disabled" },
        [ES_KIND_ENDPOINT] = { "partner", "url", "feeds" },
        [ES_KIND_FEED] = { "schema", "revision", "created" },
        [ES_KIND_FLAG] = { "partners" }
    };

    es = es_registry_get(ctl->store, kind, es_str(name), &buf);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s \"%s\": %s", es_kind_name(kind), name,
                        es_reason(es));
    }

    json = json_loadb(buf.data, buf.len, 0, NULL);
    es_buf_free(&buf);

    if (json == NULL) {
        return ctl_fail(CTL_FAILED, "%s \"%s\": the record is damaged",
                        es_kind_name(kind), name);
    }

    if (kind == ES_KIND_ENDPOINT) {
        ctl_object_known(ctl, json);
    }

    if (as_json) {
        ok = ctl_print_named("name", name, json);
        json_decref(json);

        return ok ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");
    }

    ctl_object_columns(name, json, shown[kind]);
    (void) puts(ctl_object_unverified(json) ? " unverified" : "");
    json_decref(json);

    return CTL_OK;
}


int
ctl_object_list(ctl_t *ctl, int argc, char **argv)
{
    int        rc;
    char       name[64] = "", next[64];
    es_kind_t  kind = (es_kind_t) ctl->command->kind;

    rc = ctl_begin_list(ctl, &argc, argv);

    while (rc == CTL_OK
           && es_registry_next(ctl->store, kind, es_str(name), next) == ES_OK)
    {
        rc = ctl_object_print(ctl, kind, next, ctl->json);
        memcpy(name, next, sizeof(name));
    }

    return rc;
}


int
ctl_object_show(ctl_t *ctl, int argc, char **argv)
{
    int  rc;

    rc = ctl_begin_list(ctl, &argc, argv);

    return rc == CTL_OK
           ? ctl_object_print(ctl, (es_kind_t) ctl->command->kind, argv[0],
                              true)
           : rc;
}


int
ctl_object_remove(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    es_rc_t       es;
    es_kind_t     kind = (es_kind_t) ctl->command->kind;
    es_problem_t  problem = { 0 };

    rc = ctl_begin(ctl, &argc, argv, NULL, ES_STORE_ADMIN
                   | (kind == ES_KIND_PARTNER ? ES_STORE_CHECKPOINT : 0));
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_registry_remove(ctl->store, kind, es_str(argv[0]), &problem);

    if (es == ES_OK && kind == ES_KIND_PARTNER) {
        (void) es_checkpoint_prune(ctl->store);
    }

    if (es != ES_OK) {
        return ctl_object_failed(kind, argv[0], es, &problem);
    }

    ctl_result_removed(ctl, argv[0]);

    return CTL_OK;
}


int
ctl_allow_from(const char *text, json_t *object)
{
    if (text == NULL) {
        return CTL_OK;
    }

    if (text[strspn(text, ",")] == '\0') {
        return ctl_fail(CTL_USAGE, "\"--allow-from\" names no address; "
                        "--allow-from=any allows all");
    }

    (void) json_object_set_new(object, "allow_from",
                               strcmp(text, "any") == 0 ? json_null()
                                                        : ctl_list(text));

    return CTL_OK;
}


int
ctl_registry_load(ctl_t *ctl, es_registry_t **registry)
{
    es_rc_t  es;

    es = es_registry_load_closed(ctl->store, registry);

    return es == ES_OK ? CTL_OK
                       : ctl_fail(CTL_FAILED, "cannot read the registry: %s",
                                  es_reason(es));
}


const es_endpoint_t *
ctl_endpoint_named(const es_registry_t *registry, const char *name)
{
    const es_endpoint_t  *endpoint;

    endpoint = es_registry_endpoint(registry, es_str(name));

    if (endpoint == NULL) {
        ctl_complain(CTL_FAILED, "no endpoint \"%s\"", name);
    }

    return endpoint;
}


const es_endpoint_t *
ctl_endpoint_numbered(const es_registry_t *registry, uint32_t number)
{
    size_t                i, n;
    const es_endpoint_t  *endpoints;

    endpoints = es_registry_endpoints(registry, &n);

    for (i = 0; i < n; i++) {
        if (endpoints[i].number == number) {
            return &endpoints[i];
        }
    }

    return NULL;
}
