/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Validates events against the catalogue before they are committed.
 *
 * The version that validates an event is the one that its `dataschema` ends
 * with, as "/type/1.2.0", or else the highest version of its type.  A version
 * never changes, so compiled schemas are kept until the store handle is closed.
 * Which version is the highest, and which feeds the type belongs to, is read
 * again after each change of the registry.
 */

#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/assert.h"
#include "base/base.h"
#include "base/event_loop.h"
#include "base/pool.h"
#include "catalogue/catalogue.h"
#include "catalogue/catalogue_keys.h"
#include "catalogue/validate.h"
#include "event/batch.h"
#include "event/cursor.h"
#include "event/event.h"
#include "registry/patterns.h"
#include "registry/registry.h"
#include "schema/schema.h"
#include "store/env.h"
#include "store/store.h"

#define ES_KNOWN_BUCKETS  256

/* A compiled version, or (with `latest`) the highest version of a type. */
typedef struct es_known  es_known_t;

struct es_known {
    es_known_t        *next;
    uint64_t           seen;       /* registry's version when it was read */
    uint64_t           hash;       /* of the document */
    es_schema_t       *schema;
    es_type_feeds_t    feeds;      /* of the type; only under the lock */
    const es_known_t  *latest;
    char               name[];     /* "type/1.2.0", or "type" */
};

struct es_validator {
    pthread_mutex_t  lock;
    es_known_t      *known[ES_KNOWN_BUCKETS];
};

/* One batch while it is validated.  Events of a batch often have one type, so
   the schema of the event before is kept. */
typedef struct {
    es_store_t        *store;
    es_str_t           feed;
    es_str_t           type;       /* of the event before */
    es_str_t           uri;
    const es_known_t  *known;
    int64_t            work;       /* steps left, for all events */
} es_validation_t;


es_validator_t *
es_validator_create(void)
{
    es_validator_t  *validator;

    validator = calloc(1, sizeof(es_validator_t));
    if (validator != NULL) {
        (void) pthread_mutex_init(&validator->lock, NULL);
    }

    return validator;
}


void
es_validator_destroy(es_validator_t *validator)
{
    size_t       i;
    es_known_t  *known;

    if (validator == NULL) {
        return;
    }

    for (i = 0; i < ES_KNOWN_BUCKETS; i++) {
        while (validator->known[i] != NULL) {
            known = validator->known[i];
            validator->known[i] = known->next;
            es_schema_free(known->schema);
            es_type_feeds_free(&known->feeds);
            free(known);
        }
    }

    (void) pthread_mutex_destroy(&validator->lock);
    free(validator);
}


/* ---- compiled schemas; the caller holds the lock ---- */


static es_known_t **
es_known_bucket(es_validator_t *validator, es_str_t name)
{
    return &validator->known[XXH3_64bits(name.data, name.len)
                           % ES_KNOWN_BUCKETS];
}


static es_known_t *
es_known_find(es_validator_t *validator, es_str_t name)
{
    es_known_t  *known;

    for (known = *es_known_bucket(validator, name); known != NULL;
         known = known->next)
    {
        if (es_str_eq(es_str(known->name), name)) {
            return known;
        }
    }

    return NULL;
}


/* Adds in front of an older entry of the same name, because another thread may
   still validate with that one. */

static es_known_t *
es_known_add(es_validator_t *validator, es_str_t name)
{
    es_known_t  *known, **bucket;

    known = calloc(1, sizeof(es_known_t) + name.len + 1);
    if (known == NULL) {
        return NULL;
    }

    memcpy(known->name, name.data, name.len);

    bucket = es_known_bucket(validator, name);
    known->next = *bucket;
    *bucket = known;

    return known;
}


/* The version's schema, compiled at its first use. */

static es_rc_t
es_known_version(es_store_t *store, MDB_txn *txn, es_str_t type,
    es_str_t version, uint64_t seen, const es_known_t **out)
{
    char              label[ES_TYPE_LABEL_MAX];
    es_rc_t           rc;
    es_str_t          text, name;
    uint64_t          hash;
    es_known_t       *known;
    es_schema_t      *schema;
    es_type_feeds_t   feeds;

    rc = es_catalogue_text(store, txn, type, version, &text);
    if (rc != ES_OK) {
        return rc;
    }

    (void) snprintf(label, sizeof(label), "%.*s/%.*s", (int) type.len,
                    type.data, (int) version.len, version.data);

    name = es_str(label);
    hash = XXH3_64bits(text.data, text.len);
    known = es_known_find(store->validator, name);

    /* After a restore the same name may have another document. */

    if (known == NULL || known->hash != hash) {
        rc = es_schema_compile(text, &schema, NULL);
        if (rc != ES_OK) {
            return rc == ES_NOMEM ? rc : ES_CORRUPT;
        }

        known = es_known_add(store->validator, name);
        if (known == NULL) {
            es_schema_free(schema);
            return ES_NOMEM;
        }

        known->schema = schema;
        known->hash = hash;
    }

    rc = es_type_feeds_read(store, txn, type, &feeds);
    if (rc != ES_OK) {
        return rc;
    }

    es_type_feeds_free(&known->feeds);
    known->feeds = feeds;
    known->seen = seen;
    *out = known;

    return ES_OK;
}


static es_rc_t
es_known_latest(es_store_t *store, MDB_txn *txn, es_str_t type, uint64_t seen,
    const es_known_t **out)
{
    char           text[ES_VERSION_TEXT_MAX];
    es_rc_t        rc;
    es_known_t    *latest;
    es_version_t   version;

    rc = es_catalogue_latest(store, txn, type, &version);
    if (rc != ES_OK) {
        return rc;
    }

    es_version_print(&version, text);

    rc = es_known_version(store, txn, type, es_str(text), seen, out);
    if (rc != ES_OK) {
        return rc;
    }

    latest = es_known_find(store->validator, type);
    if (latest == NULL) {
        latest = es_known_add(store->validator, type);
    }

    if (latest == NULL) {
        return ES_NOMEM;
    }

    latest->latest = *out;
    latest->seen = seen;

    return ES_OK;
}


/* ---- the choice of a schema ---- */


/* The text after "/type/" at the end of the URI; empty without such an end. */

static es_str_t
es_uri_version(es_str_t uri, es_str_t type)
{
    size_t    i;
    es_str_t  version;

    for (i = uri.len; i > 0 && uri.data[i - 1] != '/'; i--) { /* void */ }

    version.data = uri.data + i;
    version.len = uri.len - i;

    return i > type.len + 1 && uri.data[i - type.len - 2] == '/'
           && memcmp(uri.data + i - type.len - 1, type.data, type.len) == 0
           ? version : es_null_str;
}


static es_rc_t
es_validator_look(es_store_t *store, es_str_t type, es_str_t version,
    const es_known_t **out)
{
    es_rc_t   rc;
    MDB_txn  *txn;
    uint64_t  seen;

    rc = es_env_read_begin(store->registry, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    seen = mdb_txn_id(txn);

    rc = version.len > 0
         ? es_known_version(store, txn, type, version, seen, out)
         : es_known_latest(store, txn, type, seen, out);

    es_env_read_end(store->registry, txn);

    return rc;
}


/* An empty `version` means the highest.  ES_NOT_FOUND: not in the catalogue,
   or not for the feed, which must look the same to a publisher. */

static es_rc_t
es_validator_find(es_store_t *store, es_str_t feed, es_str_t type,
    es_str_t version, const es_known_t **out)
{
    char               label[ES_TYPE_LABEL_MAX];
    es_rc_t            rc;
    es_str_t           name;
    const es_known_t  *known;

    if (!es_type_name_ok(type) || version.len >= ES_VERSION_TEXT_MAX) {
        return ES_NOT_FOUND;
    }

    (void) snprintf(label, sizeof(label), "%.*s%s%.*s", (int) type.len,
                    type.data, version.len ? "/" : "", (int) version.len,
                    version.len ? version.data : "");
    name = es_str(label);

    (void) pthread_mutex_lock(&store->validator->lock);

    known = es_known_find(store->validator, name);

    if (known != NULL && known->seen == es_registry_version(store)) {
        *out = known->latest ? known->latest : known;
        rc = ES_OK;

    } else {
        rc = es_validator_look(store, type, version, out);
    }

    if (rc == ES_OK && (*out)->feeds.feeds.n > 0
        && !es_patterns_match(&(*out)->feeds.feeds, feed))
    {
        *out = NULL;
        rc = ES_NOT_FOUND;
    }

    (void) pthread_mutex_unlock(&store->validator->lock);

    return rc;
}


/* Sets j->known.  ES_MISMATCH with a problem: no schema for the event. */

static es_rc_t
es_validate_schema(es_validation_t *j, es_str_t type, es_str_t uri,
    es_problem_t *problem)
{
    es_rc_t   rc;
    es_str_t  version;

    if (j->known != NULL && es_str_eq(type, j->type)
        && es_str_eq(uri, j->uri))
    {
        return ES_OK;
    }

    j->known = NULL;
    version = es_null_str;

    if (uri.len > 0) {
        version = es_uri_version(uri, type);

        if (version.len == 0) {
            return es_problem_set(problem, ES_MISMATCH, -1, "/dataschema",
                                  "\"dataschema\" does not end with the "
                                  "event's type and a version of it");
        }
    }

    rc = es_validator_find(j->store, j->feed, type, version, &j->known);

    if (rc == ES_NOT_FOUND) {
        return version.len > 0
               ? es_problem_set(problem, ES_MISMATCH, -1, "/dataschema",
                                "the catalogue does not have that version of "
                                "the event's type for this feed")
               : es_problem_set(problem, ES_MISMATCH, -1, "/type",
                                "the catalogue does not have the event's type "
                                "for this feed");
    }

    j->type = type;
    j->uri = uri;

    return rc;
}


/* ---- events ---- */


/* An event without `data` is validated as if `data` were null, because
   CloudEvents and its SDKs do not tell the two apart. */

static es_rc_t
es_validate_event(es_validation_t *j, const es_draft_t *draft,
    es_problem_t *problem)
{
    es_rc_t       rc;
    es_str_t      type, uri, data;
    es_problem_t  said;

    static const char  member[] = ",\"data\":";

    type.data = draft->head.data + draft->type_off;
    type.len = draft->type_len;
    uri.data = draft->head.data + draft->schema_off;
    uri.len = draft->schema_len;

    rc = es_validate_schema(j, type, uri, problem);
    if (rc != ES_OK) {
        return rc;
    }

    ES_ASSERT(j->known != NULL);

    data = es_lit("null");

    if (draft->tail.len > 1) {
        if (memcmp(draft->tail.data, member, sizeof(member) - 1) != 0) {
            return es_problem_set(problem, ES_MISMATCH, -1, "/data_base64",
                                  "%s validates JSON, and the data is not "
                                  "JSON", j->known->name);
        }

        data.data = draft->tail.data + sizeof(member) - 1;
        data.len = draft->tail.len - sizeof(member);
    }

    rc = es_schema_validate(j->known->schema, data, "/data", &j->work,
                            problem);

    if (rc == ES_MISMATCH) {
        said = *problem;

        (void) es_problem_set(problem, rc, -1, said.pointer, "%s: %s",
                              j->known->name, said.detail);
        (void) es_problem_keyword(problem, said.keyword);
    }

    return rc;
}


static es_rc_t
es_validate_warn(es_batch_t *batch, size_t i, const es_problem_t *problem)
{
    batch->results[i].warning = es_batch_keep(batch, problem);
    if (batch->results[i].warning == NULL) {
        return ES_NOMEM;
    }

    batch->nwarnings++;

    return ES_OK;
}


static es_rc_t
es_validate_refuse(es_batch_t *batch, size_t i, const es_problem_t *problem)
{
    es_rc_t  rc;

    rc = es_batch_refuse(batch, i, problem);
    batch->drafts[i].refused = batch->results[i].refused;

    return rc;
}


static es_rc_t
es_validate_batch(es_store_t *store, es_batch_t *batch, es_problem_t *problem)
{
    size_t            i;
    es_rc_t           rc;
    es_validation_t   j = { 0 };
    es_feed_rule_t    rule = { ES_SCHEMA_OFF };

    rc = es_batch_seal(batch);

    if (rc == ES_OK) {
        rc = es_registry_rule(store, es_str(batch->feed), &rule);
    }

    if (rc != ES_OK || rule.schema == ES_SCHEMA_OFF) {
        return rc;
    }

    j.store = store;
    j.feed = es_str(batch->feed);
    j.work = ES_SCHEMA_WORK_MAX + (int64_t) batch->n * ES_SCHEMA_WORK_EVENT;

    for (i = 0; rc == ES_OK && i < batch->n; i++) {
        batch->results[i].warning = NULL;

        if (batch->drafts[i].refused != NULL) {
            continue;
        }

        rc = es_validate_event(&j, &batch->drafts[i], problem);

        if (rc != ES_MISMATCH) {
            continue;
        }

        problem->index = (int) i;

        if (rule.schema == ES_SCHEMA_WARN) {
            rc = es_validate_warn(batch, i, problem);

        } else if (batch->limits.handling & ES_HANDLE_EACH) {
            rc = es_validate_refuse(batch, i, problem);
        }
    }

    return rc;
}


es_rc_t
es_batch_validate(es_store_t *store, es_batch_t *batch, es_problem_t *problem)
{
    es_rc_t       rc;
    es_problem_t  said = { 0 };

    ES_ASSERT_NO_EVENT_LOOP();

    if (batch->validated) {
        return batch->refused ? batch->rc : ES_OK;
    }

    batch->nwarnings = 0;

    rc = es_validate_batch(store, batch, &said);

    if (rc != ES_OK && rc != ES_MISMATCH) {
        (void) es_problem_set(&said, rc, -1, NULL, "%s", es_reason(rc));
    }

    batch->validated = rc == ES_OK || rc == ES_MISMATCH;
    batch->refused = rc != ES_OK;

    if (rc != ES_OK) {
        batch->rc = rc;
        batch->problem = said;

        if (problem != NULL) {
            *problem = said;
        }
    }

    return rc;
}
