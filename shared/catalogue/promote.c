/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Versions of the catalogue of another store, by the rules of registration.
 */

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "catalogue/catalogue_keys.h"
#include "catalogue/catalogue_write.h"
#include "catalogue/promote.h"
#include "schema/schema.h"

#define ES_POINTER_SIZE  sizeof(((es_problem_t *) 0)->pointer)

typedef struct {
    es_store_t      *store;
    es_promotion_t  *list;
    size_t           n;
    bool             dry_run;
    bool             done;         /* a dry run has come to its end */
    es_problem_t    *problem;
} es_promote_t;


static bool es_promote_differs(const json_t *here, const json_t *there,
    char *pointer);


static bool
es_promote_differs_at(const char *name, const json_t *here,
    const json_t *there, char *pointer)
{
    size_t  len;

    len = strlen(pointer);
    es_pointer_add(pointer, ES_POINTER_SIZE, es_str(name));

    if (here == NULL || there == NULL
        || es_promote_differs(here, there, pointer))
    {
        return true;
    }

    pointer[len] = '\0';

    return false;
}


/* Extends `pointer` to the first difference, if there is one. */

static bool
es_promote_differs(const json_t *here, const json_t *there, char *pointer)
{
    char         number[24];
    size_t       i;
    json_t      *value;
    const char  *name;

    if (json_is_array(here) && json_is_array(there)
        && json_array_size(here) == json_array_size(there))
    {
        json_array_foreach(here, i, value) {
            (void) snprintf(number, sizeof(number), "%zu", i);

            if (es_promote_differs_at(number, value, json_array_get(there, i),
                                      pointer))
            {
                return true;
            }
        }

        return false;
    }

    if (!json_is_object(here) || !json_is_object(there)) {
        return !json_equal(here, there);
    }

    json_object_foreach((json_t *) there, name, value) {
        if (es_promote_differs_at(name, json_object_get(here, name), value,
                                  pointer))
        {
            return true;
        }
    }

    json_object_foreach((json_t *) here, name, value) {
        if (json_object_get(there, name) == NULL) {
            return es_promote_differs_at(name, value, NULL, pointer);
        }
    }

    return false;
}


/* The store has the version.  White space and the order of members do not make
   another document of it. */

static es_rc_t
es_promote_same(es_publication_t *p, es_str_t stored)
{
    bool     differs;
    char     pointer[ES_POINTER_SIZE] = "";
    json_t  *here, *there;

    here = json_loadb(stored.data, stored.len, JSON_DECODE_ANY, NULL);
    there = json_loadb(p->document.data, p->document.len,
                       JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);

    differs = here == NULL || there == NULL
              || es_promote_differs(here, there, pointer);

    json_decref(here);
    json_decref(there);

    return differs
           ? es_problem_set(p->problem, ES_CONFLICT, -1, pointer,
                            "the version exists with another document, and a "
                            "version never changes")
           : ES_OK;
}


static es_rc_t
es_promote_register(es_publication_t *p, MDB_txn *txn)
{
    es_rc_t  rc;

    rc = es_catalogue_description(p);

    if (rc == ES_OK) {
        rc = es_catalogue_dates(p);
    }

    if (rc == ES_OK) {
        rc = es_schema_compile_new(p->document, &p->schema, p->problem);
    }

    if (rc == ES_OK) {
        rc = es_register_txn(txn, p);
        es_schema_free(p->schema);
    }

    return rc;
}


static es_rc_t
es_promote_one(es_promote_t *m, MDB_txn *txn, es_promotion_t *item)
{
    es_rc_t            rc;
    es_str_t           stored;
    es_version_t       latest;
    es_publication_t   p = { .store = m->store, .type = item->type,
                             .document = item->schema,
                             .description = item->description,
                             .lifetime = &item->lifetime,
                             .problem = m->problem };

    rc = es_catalogue_names(&p, item->version);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_type_get(m->store, txn, 's', p.type, es_str(p.text), &stored);
    item->present = rc == ES_OK;

    if (rc != ES_NOT_FOUND) {
        return rc == ES_OK ? es_promote_same(&p, stored) : rc;
    }

    rc = es_catalogue_latest(m->store, txn, p.type, &latest);

    if (rc == ES_NOT_FOUND) {
        p.feeds = item->feeds;
        rc = ES_OK;
    }

    return rc == ES_OK ? es_promote_register(&p, txn) : rc;
}


static es_rc_t
es_promote_txn(MDB_txn *txn, void *ctx)
{
    size_t         i;
    es_rc_t        rc;
    es_promote_t  *m = ctx;

    for (i = 0; i < m->n; i++) {
        rc = es_promote_one(m, txn, &m->list[i]);

        if (rc != ES_OK) {
            m->problem->index = (int) i;
            return rc;
        }
    }

    /* an outcome other than ES_OK undoes the transaction */

    m->done = m->dry_run;

    return m->dry_run ? ES_STOP : ES_OK;
}


es_rc_t
es_catalogue_promote(es_store_t *store, es_promotion_t *list, size_t n,
    bool dry_run, es_problem_t *problem)
{
    es_rc_t       rc;
    es_promote_t  m = { .store = store, .list = list, .n = n,
                        .dry_run = dry_run, .problem = problem };

    rc = es_catalogue_write(store, es_promote_txn, &m, problem);

    return rc == ES_STOP && m.done ? ES_OK : rc;
}
