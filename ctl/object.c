/* SPDX-License-Identifier: BSD-2-Clause */

#include <stdio.h>
#include <stdlib.h>

#include "checkpoint/checkpoint.h"
#include "object.h"

static const char *const  ctl_kinds[] = { "partner", "key", "endpoint",
                                          "feed" };


static int
ctl_object_failed(es_kind_t kind, const char *name, es_rc_t rc,
    const es_problem_t *problem)
{
    if (problem->pointer[0] != '\0') {
        return ctl_fail(CTL_FAILED, "%s \"%s\": %s: %s", ctl_kinds[kind], name,
                        problem->pointer, problem->detail);
    }

    return ctl_fail(CTL_FAILED, "%s \"%s\": %s", ctl_kinds[kind], name,
                    problem->detail[0] ? problem->detail : es_reason(rc));
}


typedef es_rc_t (*ctl_object_fn)(es_store_t *store, es_kind_t kind,
    es_str_t name, const char *json, es_problem_t *problem);


static int
ctl_object_write(ctl_t *ctl, es_kind_t kind, const char *name, json_t *object,
    ctl_object_fn fn)
{
    int           rc;
    char         *text;
    es_rc_t       es;
    es_problem_t  problem = { 0 };

    text = json_dumps(object, JSON_COMPACT);
    json_decref(object);

    if (text == NULL) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    rc = ctl_open(ctl, ES_STORE_ADMIN);

    if (rc == CTL_OK) {
        es = fn(ctl->store, kind, es_str(name), text, &problem);
        if (es != ES_OK) {
            rc = ctl_object_failed(kind, name, es, &problem);
        }
    }

    free(text);

    return rc;
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


/* Prints one record: its JSON with the name, or name and chosen members. */

static int
ctl_object_print(ctl_t *ctl, es_kind_t kind, const char *name, bool as_json)
{
    char     *text;
    json_t   *json, *named;
    es_rc_t   es;
    es_buf_t  buf = { 0 };

    const char  *column, *shown[4][3] = {
        { "feeds", "publish", "disabled" },
        { "partner", "scopes", "revoked" },
        { "partner", "url", "feeds" },
        { "schema", "revision", "created" }
    };

    es = es_registry_get(ctl->store, kind, es_str(name), &buf);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s \"%s\": %s", ctl_kinds[kind], name,
                        es_reason(es));
    }

    json = json_loadb(buf.data, buf.len, 0, NULL);
    es_buf_free(&buf);

    if (json == NULL) {
        return ctl_fail(CTL_FAILED, "%s \"%s\": the record is damaged",
                        ctl_kinds[kind], name);
    }

    if (as_json) {
        named = json_pack("{s:s}", "name", name);
        (void) json_object_update(named, json);
        (void) json_dumpf(named, stdout, JSON_COMPACT);
        json_decref(named);

    } else {
        (void) printf("%-24s", name);

        for (int i = 0; i < 3; i++) {
            column = shown[kind][i];
            text = json_dumps(json_object_get(json, column),
                              JSON_COMPACT | JSON_ENCODE_ANY);
            (void) printf(" %s=%s", column, text ? text : "-");
            free(text);
        }
    }

    (void) putchar('\n');
    json_decref(json);

    return CTL_OK;
}


int
ctl_object_list(ctl_t *ctl, es_kind_t kind, int argc, char **argv)
{
    int          rc;
    char         name[64] = "", next[64];
    const char  *json = NULL;

    const ctl_option_t  options[] = {
        { "json", true, &json },
        { NULL, false, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, 0, 0, options);
    if (rc == CTL_OK) {
        rc = ctl_open(ctl, 0);
    }

    while (rc == CTL_OK
           && es_registry_next(ctl->store, kind, es_str(name), next) == ES_OK)
    {
        rc = ctl_object_print(ctl, kind, next, json != NULL);
        memcpy(name, next, sizeof(name));
    }

    return rc;
}


int
ctl_object_show(ctl_t *ctl, es_kind_t kind, int argc, char **argv)
{
    int  rc;

    rc = ctl_args(ctl, &argc, argv, 1, 1, NULL);
    if (rc == CTL_OK) {
        rc = ctl_open(ctl, 0);
    }

    return rc == CTL_OK ? ctl_object_print(ctl, kind, argv[0], true) : rc;
}


int
ctl_object_remove(ctl_t *ctl, es_kind_t kind, int argc, char **argv)
{
    int           rc;
    es_rc_t       es;
    es_problem_t  problem = { 0 };

    rc = ctl_args(ctl, &argc, argv, 1, 1, NULL);
    if (rc == CTL_OK) {
        rc = ctl_open(ctl, ES_STORE_ADMIN
                      | (kind == ES_KIND_PARTNER ? ES_STORE_CHECKPOINT : 0));
    }

    if (rc != CTL_OK) {
        return rc;
    }

    es = es_registry_remove(ctl->store, kind, es_str(argv[0]), &problem);

    if (es == ES_OK && kind == ES_KIND_PARTNER) {
        (void) es_checkpoint_prune(ctl->store);
    }

    return es == ES_OK ? CTL_OK
                       : ctl_object_failed(kind, argv[0], es, &problem);
}
