/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The write side of the catalogue: registers versions of event types, and sets
 * their dates and their feeds.
 *
 * Each write is one transaction of the registry.  It compares a new version
 * with the version before it inside that transaction, so that two writers at
 * once cannot register versions that break each other (invariant I15).
 */

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit/audit.h"
#include "base/assert.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/json.h"
#include "catalogue/catalogue.h"
#include "catalogue/catalogue_keys.h"
#include "catalogue/catalogue_write.h"
#include "log/store_clock.h"
#include "schema/schema.h"
#include "store/env.h"
#include "store/wake.h"

#define ES_DESCRIPTION_MAX  1024


/* The new version must accept all that the version before it in the same
   major accepts. */

static es_rc_t
es_register_compatible(es_publication_t *p, MDB_txn *txn,
    const es_version_t *before)
{
    char           text[ES_VERSION_TEXT_MAX], why[256];
    es_rc_t        rc;
    es_str_t       document;
    es_schema_t   *schema;

    es_version_print(before, text);

    if (es_version_order(&p->version, before) < 0) {
        return es_problem_set(p->problem, ES_CONFLICT, -1, NULL,
                              "version %s already exists, and a new version "
                              "of a major must be above it", text);
    }

    if (p->version.major == 0) {
        return ES_OK;
    }

    rc = es_type_get(p->store, txn, 's', p->type, es_str(text), &document);

    if (rc != ES_OK
        || es_schema_compile(document, &schema, NULL) != ES_OK)
    {
        return ES_CORRUPT;
    }

    rc = es_schema_compatible(schema, p->schema, p->problem);
    es_schema_free(schema);

    if (rc == ES_CONFLICT) {
        memcpy(why, p->problem->detail, sizeof(why));
        (void) snprintf(p->problem->detail, sizeof(p->problem->detail),
                        "breaks what version %s accepts: %.200s", text, why);
    }

    return rc;
}


static int
es_record_time(json_t *record, const char *name, int64_t ms)
{
    char  text[ES_TIME_LEN];

    if (ms == 0) {
        (void) json_object_del(record, name);
        return 0;
    }

    es_time_print(ms, text);

    return json_object_set_new(record, name,
                               json_stringn(text, sizeof(text)));
}


/* Writes the two dates that an operator sets. */

static int
es_record_lifetime(json_t *record, const es_lifetime_t *lifetime)
{
    return es_record_time(record, "deprecated", lifetime->deprecated_ms) == 0
           ? es_record_time(record, "sunset", lifetime->sunset_ms) : -1;
}


static es_rc_t
es_register_record(es_publication_t *p, MDB_txn *txn)
{
    char     now[ES_TIME_LEN], *text;
    json_t  *record;
    es_rc_t  rc;

    es_time_print(es_store_ms(p->store), now);

    record = json_pack("{s:s%, s:s%}", "description",
                       p->description.len ? p->description.data : "",
                       p->description.len, "created", now,
                       (size_t) ES_TIME_LEN);
    text = record != NULL
           && (p->lifetime == NULL
               || es_record_lifetime(record, p->lifetime) == 0)
           ? json_dumps(record, JSON_COMPACT) : NULL;
    json_decref(record);

    if (text == NULL) {
        return ES_NOMEM;
    }

    rc = es_type_put(p->store, txn, 't', p->type, es_str(p->text),
                     es_str(text));
    free(text);

    return rc;
}


/* The documents of `before` and `after` are JSON, or empty. */

static es_rc_t
es_catalogue_audit(es_publication_t *p, MDB_txn *txn, const char *action,
    es_str_t before, json_t *after)
{
    char                name[ES_TYPE_LABEL_MAX + 1];
    es_rc_t             rc;
    es_audit_change_t   change = { .kind = "type", .action = action };

    (void) snprintf(name, sizeof(name), "%.*s%s%s", (int) p->type.len,
                    p->type.data, p->text[0] ? " " : "", p->text);

    change.object = es_str(name);
    change.before = before.len > 0
                    ? json_loadb(before.data, before.len, 0, NULL) : NULL;
    change.after = after;

    rc = es_audit_append(p->store, txn, ES_AUDIT_REGISTRY, &change);
    json_decref(change.before);

    return rc;
}


static es_rc_t
es_register_audit(es_publication_t *p, MDB_txn *txn)
{
    json_t   *after, *schema;
    es_rc_t   rc;

    schema = json_loadb(p->document.data, p->document.len, JSON_DECODE_ANY,
                        NULL);
    after = json_pack("{s:o*}", "schema", schema);

    if (after == NULL
        || (p->lifetime != NULL && es_record_lifetime(after, p->lifetime) != 0)
        || (p->feeds != NULL
            && json_object_set_new(after, "feeds", json_deep_copy(p->feeds))
               != 0))
    {
        json_decref(after);
        return ES_NOMEM;
    }

    rc = es_catalogue_audit(p, txn, "create", es_null_str, after);
    json_decref(after);

    return rc;
}


es_rc_t
es_register_txn(MDB_txn *txn, void *ctx)
{
    es_rc_t            rc;
    es_str_t           record;
    es_highest_t       highest = { 0 };
    es_publication_t  *p = ctx;

    rc = es_type_get(p->store, txn, 't', p->type, es_str(p->text), &record);

    if (rc == ES_OK) {
        return es_problem_set(p->problem, ES_EXISTS, -1, NULL,
                              "version %s already exists, and a version "
                              "never changes", p->text);
    }

    highest.major = p->version.major;

    if (rc == ES_NOT_FOUND) {
        rc = es_versions_each(p->store, txn, p->type, es_version_highest,
                              &highest);
    }

    if (rc != ES_OK && rc != ES_NOT_FOUND) {
        return rc;
    }

    if (highest.count >= ES_VERSIONS_MAX) {
        return es_problem_set(p->problem, ES_TOO_LARGE, -1, NULL,
                              "the type has %d versions already",
                              ES_VERSIONS_MAX);
    }

    rc = highest.found ? es_register_compatible(p, txn, &highest.version)
                       : ES_OK;

    if (rc == ES_OK) {
        ES_ASSERT(!highest.found
                  || es_version_order(&p->version, &highest.version) > 0);

        rc = es_type_put(p->store, txn, 's', p->type, es_str(p->text),
                         p->document);
    }

    if (rc == ES_OK) {
        rc = es_register_record(p, txn);
    }

    if (rc == ES_OK && p->feeds != NULL) {
        rc = es_type_feeds_write(p->store, txn, p->type, p->feeds, p->problem);
    }

    return rc == ES_OK ? es_register_audit(p, txn) : rc;
}


es_rc_t
es_catalogue_write(es_store_t *store, es_env_fn fn, void *ctx,
    es_problem_t *problem)
{
    es_rc_t  rc;

    if (!(store->flags & ES_STORE_ADMIN)) {
        return es_problem_set(problem, ES_DENIED, -1, NULL,
                              "the store is not open for changes to the "
                              "registry");
    }

    problem->rc = ES_OK;

    rc = es_env_update(store->registry, fn, ctx);

    if (rc == ES_OK) {
        es_wake_ring(store);
        return ES_OK;
    }

    if (rc == problem->rc) {
        return rc;
    }

    return es_problem_set(problem, rc, -1, NULL, "cannot write to the "
                          "registry: %s", es_reason(rc));
}


static es_rc_t
es_catalogue_name(es_publication_t *p)
{
    return es_type_name_ok(p->type)
           ? ES_OK
           : es_problem_set(p->problem, ES_INVALID, -1, NULL,
                            "a type in the catalogue must be 1 to 200 "
                            "characters of A-Z, a-z, 0-9, '.', '_' and "
                            "'-', and begin with a letter or a digit");
}


es_rc_t
es_catalogue_names(es_publication_t *p, es_str_t version)
{
    if (es_catalogue_name(p) != ES_OK) {
        return ES_INVALID;
    }

    if (es_version_parse(version, &p->version) != ES_OK) {
        return es_problem_set(p->problem, ES_INVALID, -1, NULL,
                              "a version must be MAJOR.MINOR.PATCH, such as "
                              "\"1.0.0\"");
    }

    es_version_print(&p->version, p->text);

    return ES_OK;
}


es_rc_t
es_catalogue_description(es_publication_t *p)
{
    return p->description.len <= ES_DESCRIPTION_MAX
           && es_utf8_ok(p->description)
           ? ES_OK
           : es_problem_set(p->problem, ES_INVALID, -1, NULL,
                            "a description must be UTF-8 of at most %d bytes",
                            ES_DESCRIPTION_MAX);
}


es_rc_t
es_catalogue_dates(es_publication_t *p)
{
    return p->lifetime->sunset_ms == 0
           || p->lifetime->sunset_ms >= p->lifetime->deprecated_ms
           ? ES_OK
           : es_problem_set(p->problem, ES_INVALID, -1, NULL,
                            "the sunset must not be before the deprecation");
}


es_rc_t
es_catalogue_register(es_store_t *store, es_str_t type, es_str_t version,
    es_str_t schema, es_str_t description, const json_t *feeds,
    es_problem_t *problem)
{
    es_rc_t            rc;
    es_problem_t       ignored = { 0 };
    es_publication_t   p = { 0 };

    p.store = store;
    p.type = type;
    p.document = schema;
    p.description = description;
    p.feeds = feeds;
    p.problem = problem ? problem : &ignored;

    rc = es_catalogue_names(&p, version);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_catalogue_description(&p);

    if (rc == ES_OK) {
        rc = es_schema_compile_new(schema, &p.schema, p.problem);
    }

    if (rc == ES_OK) {
        rc = es_catalogue_write(store, es_register_txn, &p, p.problem);
        es_schema_free(p.schema);
    }

    return rc;
}


/* ---- dates ---- */


static es_rc_t
es_change_txn(MDB_txn *txn, void *ctx)
{
    char              *text;
    json_t            *record;
    es_rc_t            rc;
    es_str_t           stored;
    es_publication_t  *p = ctx;

    /* The entry is written first, because it needs the record as it was. */

    rc = es_type_get(p->store, txn, 't', p->type, es_str(p->text), &stored);

    if (rc == ES_NOT_FOUND) {
        return es_problem_set(p->problem, rc, -1, NULL,
                              "there is no such version");
    }

    if (rc != ES_OK) {
        return rc;
    }

    record = json_loadb(stored.data, stored.len, 0, NULL);
    if (!json_is_object(record)) {
        json_decref(record);
        return ES_CORRUPT;
    }

    text = es_record_lifetime(record, p->lifetime) == 0
           ? json_dumps(record, JSON_COMPACT) : NULL;
    rc = text ? es_catalogue_audit(p, txn, "change", stored, record)
              : ES_NOMEM;
    json_decref(record);

    if (rc != ES_OK) {
        free(text);
        return rc;
    }

    rc = es_type_put(p->store, txn, 't', p->type, es_str(p->text),
                     es_str(text));
    free(text);

    return rc;
}


es_rc_t
es_catalogue_change(es_store_t *store, es_str_t type, es_str_t version,
    const es_lifetime_t *lifetime, es_problem_t *problem)
{
    es_rc_t            rc;
    es_problem_t       ignored = { 0 };
    es_publication_t   p = { 0 };

    p.store = store;
    p.type = type;
    p.lifetime = lifetime;
    p.problem = problem ? problem : &ignored;

    rc = es_catalogue_names(&p, version);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_catalogue_dates(&p);

    return rc == ES_OK
           ? es_catalogue_write(store, es_change_txn, &p, p.problem) : rc;
}


/* ---- feeds ---- */


static es_rc_t
es_change_feeds_audit(es_publication_t *p, MDB_txn *txn)
{
    json_t   *after;
    es_rc_t   rc;
    es_str_t  before;

    rc = es_type_get(p->store, txn, 't', p->type, es_null_str, &before);

    if (rc == ES_NOT_FOUND) {
        before = es_null_str;

    } else if (rc != ES_OK) {
        return rc;
    }

    after = json_pack("{s:o}", "feeds", json_deep_copy(p->feeds));
    if (after == NULL) {
        return ES_NOMEM;
    }

    rc = es_catalogue_audit(p, txn, "change", before, after);
    json_decref(after);

    return rc;
}


static es_rc_t
es_change_feeds_txn(MDB_txn *txn, void *ctx)
{
    es_rc_t            rc;
    es_version_t       latest;
    es_publication_t  *p = ctx;

    rc = es_catalogue_latest(p->store, txn, p->type, &latest);

    if (rc == ES_NOT_FOUND) {
        return es_problem_set(p->problem, rc, -1, NULL,
                              "there is no such type");
    }

    if (rc == ES_OK) {
        rc = es_change_feeds_audit(p, txn);
    }

    return rc == ES_OK
           ? es_type_feeds_write(p->store, txn, p->type, p->feeds, p->problem)
           : rc;
}


es_rc_t
es_catalogue_change_feeds(es_store_t *store, es_str_t type,
    const json_t *feeds, es_problem_t *problem)
{
    es_problem_t       ignored = { 0 };
    es_publication_t   p = { 0 };

    p.store = store;
    p.type = type;
    p.feeds = feeds;
    p.problem = problem ? problem : &ignored;

    return es_catalogue_name(&p) == ES_OK
           ? es_catalogue_write(store, es_change_feeds_txn, &p, p.problem)
           : ES_INVALID;
}
