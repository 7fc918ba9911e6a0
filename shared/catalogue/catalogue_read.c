/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The read side of the catalogue: types as JSON, and the schema documents.
 */

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/page_token.h"
#include "base/event_loop.h"
#include "catalogue/catalogue.h"
#include "catalogue/catalogue_keys.h"
#include "store/env.h"

#define ES_TYPES_LIST_MAX  (8 + ES_FEED_MAX)
#define ES_LIST_BYTES  (1024 * 1024)   /* after which a page ends */


static es_rc_t
es_lifetime_member(const json_t *record, const char *name, int64_t *ms)
{
    const json_t  *value;

    *ms = 0;
    value = json_object_get(record, name);

    return value == NULL
           || es_time_parse((es_str_t) { json_string_value(value),
                                         json_string_length(value) }, ms)
              == ES_OK
           ? ES_OK : ES_CORRUPT;
}


es_rc_t
es_lifetime_decode(es_str_t text, es_lifetime_t *lifetime)
{
    json_t   *record;
    es_rc_t   rc;

    record = json_loadb(text.data, text.len, 0, NULL);

    rc = json_is_object(record) ? ES_OK : ES_CORRUPT;

    if (rc == ES_OK) {
        rc = es_lifetime_member(record, "created", &lifetime->created_ms);
    }

    if (rc == ES_OK) {
        rc = es_lifetime_member(record, "deprecated",
                                &lifetime->deprecated_ms);
    }

    if (rc == ES_OK) {
        rc = es_lifetime_member(record, "sunset", &lifetime->sunset_ms);
    }

    json_decref(record);

    return rc;
}


es_rc_t
es_catalogue_get(es_store_t *store, es_str_t type, es_str_t version,
    const es_patterns_t *seen, es_buf_t *schema, es_lifetime_t *lifetime)
{
    json_t       *shown;
    es_rc_t       rc;
    MDB_txn      *txn;
    es_str_t      text;
    es_version_t  parsed;

    ES_ASSERT_NO_EVENT_LOOP();

    if (!es_type_name_ok(type)
        || es_version_parse(version, &parsed) != ES_OK)
    {
        return ES_NOT_FOUND;
    }

    rc = es_env_read_begin(store->registry, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_type_feeds_shown(store, txn, type, seen, &shown);
    json_decref(shown);

    if (rc == ES_OK) {
        rc = es_type_get(store, txn, 't', type, version, &text);
    }

    if (rc == ES_OK) {
        rc = es_lifetime_decode(text, lifetime);
    }

    if (rc == ES_OK) {
        rc = es_type_get(store, txn, 's', type, version, &text);
    }

    if (rc == ES_OK) {
        rc = es_buf_str(schema, text);
    }

    es_env_read_end(store->registry, txn);

    return rc;
}


typedef struct {
    es_version_t  version;
    json_t       *record;
} es_listed_t;

typedef struct {
    es_listed_t   list[ES_VERSIONS_MAX];
    size_t        n;
} es_versions_t;


static es_rc_t
es_versions_add(void *ctx, const es_version_t *version, es_str_t record)
{
    json_t         *object;
    es_versions_t  *versions = ctx;

    if (versions->n == ES_VERSIONS_MAX) {
        return ES_CORRUPT;
    }

    object = json_loadb(record.data, record.len, 0, NULL);
    if (!json_is_object(object)) {
        json_decref(object);
        return ES_CORRUPT;
    }

    versions->list[versions->n].version = *version;
    versions->list[versions->n++].record = object;

    return ES_OK;
}


static int
es_listed_order(const void *a, const void *b)
{
    return es_version_order(&((const es_listed_t *) a)->version,
                            &((const es_listed_t *) b)->version);
}


/* {"type","latest","feeds","versions":[{"version",...},...]}; `feeds` may be
   NULL. */

static json_t *
es_type_object(es_str_t type, json_t *feeds, const es_versions_t *versions)
{
    char     text[ES_VERSION_TEXT_MAX];
    size_t   i;
    json_t  *list, *version;

    list = json_array();

    for (i = 0; i < versions->n; i++) {
        es_version_print(&versions->list[i].version, text);

        version = json_pack("{s:s}", "version", text);
        (void) json_object_update(version, versions->list[i].record);

        if (json_array_append_new(list, version) != 0) {
            json_decref(list);
            return NULL;
        }
    }

    return json_pack("{s:s%, s:s, s:O*, s:o}", "type", type.data, type.len,
                     "latest", text, "feeds", feeds, "versions", list);
}


static es_rc_t
es_type_write(es_store_t *store, MDB_txn *txn, es_str_t type, json_t *feeds,
    es_buf_t *out)
{
    char           *text;
    size_t          i;
    json_t         *object;
    es_rc_t         rc;
    es_versions_t  *versions;

    versions = calloc(1, sizeof(es_versions_t));
    if (versions == NULL) {
        return ES_NOMEM;
    }

    rc = es_versions_each(store, txn, type, es_versions_add, versions);

    if (rc == ES_OK) {
        qsort(versions->list, versions->n, sizeof(es_listed_t),
              es_listed_order);

        object = es_type_object(type, feeds, versions);
        text = object ? json_dumps(object, JSON_COMPACT) : NULL;
        json_decref(object);

        rc = text ? es_buf_str(out, es_str(text)) : ES_NOMEM;
        free(text);
    }

    for (i = 0; i < versions->n; i++) {
        json_decref(versions->list[i].record);
    }

    free(versions);

    return rc;
}


/* ES_NOT_FOUND: there is no such type, or it must not be shown. */

static es_rc_t
es_type_show(es_store_t *store, MDB_txn *txn, es_str_t type,
    const es_patterns_t *seen, es_buf_t *out)
{
    json_t   *feeds;
    es_rc_t   rc;

    rc = es_type_feeds_shown(store, txn, type, seen, &feeds);

    if (rc == ES_OK) {
        rc = es_type_write(store, txn, type, feeds, out);
    }

    json_decref(feeds);

    return rc;
}


es_rc_t
es_catalogue_type(es_store_t *store, es_str_t type, const es_patterns_t *seen,
    es_buf_t *out)
{
    es_rc_t   rc;
    MDB_txn  *txn;

    ES_ASSERT_NO_EVENT_LOOP();

    if (!es_type_name_ok(type)) {
        return ES_NOT_FOUND;
    }

    rc = es_env_read_begin(store->registry, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_type_show(store, txn, type, seen, out);

    es_env_read_end(store->registry, txn);

    return rc;
}


/* The first type after `after`, or of all if that is empty.  ES_NOT_FOUND:
   there is no further type. */

static es_rc_t
es_type_next(es_store_t *store, MDB_txn *txn, es_str_t after,
    char next[ES_TYPE_NAME_MAX + 1])
{
    int          rc;
    char         buf[ES_TYPE_KEY_MAX], *end;
    es_rc_t      result;
    MDB_val      key, data;
    MDB_cursor  *cursor;

    rc = mdb_cursor_open(txn, es_type_dbi(store), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    key = es_type_key('t', after, es_null_str, buf);

    if (after.len == 0) {
        key.mv_size = 1;
    } else {
        buf[key.mv_size - 1] = '/' + 1;
    }

    rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
    result = es_env_rc(rc);

    if (rc == 0) {
        end = memchr(key.mv_data, '/', key.mv_size);

        if (*(const char *) key.mv_data != 't') {
            result = ES_NOT_FOUND;

        } else if (end == NULL
                   || end - (char *) key.mv_data > ES_TYPE_NAME_MAX + 1)
        {
            result = ES_CORRUPT;

        } else {
            rc = (int) (end - (char *) key.mv_data) - 1;
            memcpy(next, (char *) key.mv_data + 1, (size_t) rc);
            next[rc] = '\0';
        }
    }

    mdb_cursor_close(cursor);

    return result;
}


/* The same among those that may be shown, with their feeds, which the caller
   releases.  `after` may be `next`. */

static es_rc_t
es_type_next_shown(es_store_t *store, MDB_txn *txn, es_str_t after,
    const es_patterns_t *seen, char next[ES_TYPE_NAME_MAX + 1],
    json_t **feeds)
{
    es_rc_t  rc;

    for ( ;; ) {
        rc = es_type_next(store, txn, after, next);
        if (rc != ES_OK) {
            return rc;
        }

        after = es_str(next);

        rc = es_type_feeds_shown(store, txn, after, seen, feeds);
        if (rc != ES_NOT_FOUND) {
            return rc;
        }
    }
}


/* Names the list for its page tokens. */

static es_str_t
es_types_list(es_str_t who, char text[ES_TYPES_LIST_MAX])
{
    (void) snprintf(text, ES_TYPES_LIST_MAX, "types/%.*s", (int) who.len,
                    who.data ? who.data : "");

    return es_str(text);
}


es_rc_t
es_catalogue_after(es_str_t who, es_str_t token,
    char after[ES_TYPE_NAME_MAX + 1])
{
    char     list[ES_TYPES_LIST_MAX];
    size_t   len;
    es_rc_t  rc;

    rc = es_page_token_parse(es_types_list(who, list), token, after,
                             ES_TYPE_NAME_MAX, &len);
    if (rc == ES_OK) {
        after[len] = '\0';
    }

    return rc;
}


/* The position is the last type that is listed, not one that is hidden. */

static es_rc_t
es_catalogue_page(es_store_t *store, MDB_txn *txn, es_str_t who,
    es_str_t after, unsigned limit, const es_patterns_t *seen, es_buf_t *out)
{
    char      last[ES_TYPE_NAME_MAX + 1], next[ES_TYPE_NAME_MAX + 1];
    char      list[ES_TYPES_LIST_MAX];
    char      token[ES_PAGE_TOKEN_LEN(ES_TYPE_NAME_MAX)];
    json_t   *feeds;
    es_rc_t   rc;
    unsigned  n;

    (void) snprintf(last, sizeof(last), "%.*s", (int) after.len, after.data);

    rc = es_buf_printf(out, "{\"types\":[");

    for (n = 0; rc == ES_OK; n++) {
        feeds = NULL;
        rc = es_type_next_shown(store, txn, es_str(last), seen, next, &feeds);

        if (rc != ES_OK || n == limit || out->len > ES_LIST_BYTES) {
            json_decref(feeds);
            break;
        }

        if (n > 0) {
            rc = es_buf_append(out, ",", 1);
        }

        if (rc == ES_OK) {
            rc = es_type_write(store, txn, es_str(next), feeds, out);
        }

        json_decref(feeds);
        memcpy(last, next, sizeof(last));
    }

    if (rc == ES_NOT_FOUND) {
        return es_buf_printf(out, "],\"next\":null}");
    }

    if (rc != ES_OK) {
        return rc;
    }

    es_page_token_print(es_types_list(who, list), es_str(last), token);

    return es_buf_printf(out, "],\"next\":\"%s\"}", token);
}


es_rc_t
es_catalogue_list(es_store_t *store, es_str_t who, es_str_t after,
    unsigned limit, const es_patterns_t *seen, es_buf_t *out)
{
    es_rc_t   rc;
    MDB_txn  *txn;

    ES_ASSERT_NO_EVENT_LOOP();

    if (after.len > 0 && !es_type_name_ok(after)) {
        return ES_INVALID;
    }

    if (after.len == 0) {
        after.data = "";
    }

    rc = es_env_read_begin(store->registry, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_catalogue_page(store, txn, who, after, limit, seen, out);

    es_env_read_end(store->registry, txn);

    return rc;
}
