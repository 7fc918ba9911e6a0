/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The feeds that an event type belongs to: the record of the type, and who may
 * be shown the type.
 *
 * The record is {"feeds":[...]} under the type's name and an empty version.
 * It is damaged if it has anything else there: a type of certain feeds must
 * never become a type of all feeds.
 */

#include <jansson.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/pool.h"
#include "catalogue/catalogue.h"
#include "catalogue/catalogue_keys.h"
#include "registry/member.h"
#include "registry/patterns.h"
#include "registry/values.h"
#include "store/env.h"


static es_rc_t
es_type_feeds_decode(es_type_feeds_t *out)
{
    json_t  *array, *value;
    size_t   i;

    array = json_object_get(out->record, "feeds");

    if (!json_is_array(array)) {
        return ES_CORRUPT;
    }

    out->feeds.n = json_array_size(array);
    out->feeds.list = calloc(out->feeds.n + 1, sizeof(es_str_t));
    if (out->feeds.list == NULL) {
        return ES_NOMEM;
    }

    json_array_foreach(array, i, value) {
        out->feeds.list[i].data = json_string_value(value);
        out->feeds.list[i].len = json_string_length(value);

        if (!json_is_string(value) || !es_pattern_ok(out->feeds.list[i])) {
            return ES_CORRUPT;
        }
    }

    return ES_OK;
}


es_rc_t
es_type_feeds_read(es_store_t *store, MDB_txn *txn, es_str_t type,
    es_type_feeds_t *out)
{
    es_rc_t   rc;
    es_str_t  text;

    memset(out, 0, sizeof(es_type_feeds_t));

    rc = es_type_get(store, txn, 't', type, es_null_str, &text);

    if (rc == ES_NOT_FOUND) {
        return ES_OK;
    }

    if (rc == ES_OK) {
        out->record = json_loadb(text.data, text.len, 0, NULL);
        rc = es_type_feeds_decode(out);
    }

    if (rc != ES_OK) {
        es_type_feeds_free(out);
    }

    return rc;
}


void
es_type_feeds_free(es_type_feeds_t *feeds)
{
    free(feeds->feeds.list);
    json_decref(feeds->record);
    memset(feeds, 0, sizeof(es_type_feeds_t));
}


es_rc_t
es_type_feeds_write(es_store_t *store, MDB_txn *txn, es_str_t type,
    const json_t *feeds, es_problem_t *problem)
{
    char           *text;
    es_rc_t         rc;
    es_pool_t       pool = { 0 };
    es_record_t     record = { .pool = &pool, .problem = problem };
    es_patterns_t   patterns = { 0 };

    record.object = json_pack("{s:O}", "feeds", feeds);
    if (record.object == NULL) {
        return ES_NOMEM;
    }

    rc = es_take_patterns(&record, "/feeds", 0, ES_PATTERNS_MAX, &patterns);

    if (rc == ES_INVALID) {
        problem->pointer[0] = '\0';    /* which would lead into the schema */
    }

    if (rc == ES_OK) {
        text = json_dumps(record.object, JSON_COMPACT);

        rc = text ? es_type_put(store, txn, 't', type, es_null_str,
                                es_str(text))
                  : ES_NOMEM;
        free(text);
    }

    json_decref(record.object);
    es_pool_free(&pool);

    return rc;
}


static es_rc_t
es_type_feeds_array(const es_patterns_t *patterns, json_t **out)
{
    size_t  i;

    *out = json_array();

    for (i = 0; i < patterns->n; i++) {
        if (json_array_append_new(*out, json_stringn(patterns->list[i].data,
                                                     patterns->list[i].len))
            != 0)
        {
            json_decref(*out);
            *out = NULL;
            return ES_NOMEM;
        }
    }

    return *out ? ES_OK : ES_NOMEM;
}


es_rc_t
es_type_feeds_shown(es_store_t *store, MDB_txn *txn, es_str_t type,
    const es_patterns_t *seen, json_t **shown)
{
    es_rc_t          rc;
    es_pool_t        pool = { 0 };
    es_patterns_t    common;
    es_type_feeds_t  feeds;

    *shown = NULL;

    rc = es_type_feeds_read(store, txn, type, &feeds);
    if (rc != ES_OK) {
        return rc;
    }

    if (feeds.feeds.n > 0) {
        common = feeds.feeds;

        if (seen != NULL) {
            rc = es_patterns_common(&feeds.feeds, seen, &pool, &common);
        }

        if (rc == ES_OK) {
            rc = common.n > 0 ? es_type_feeds_array(&common, shown)
                              : ES_NOT_FOUND;
        }
    }

    es_type_feeds_free(&feeds);
    es_pool_free(&pool);

    return rc;
}
