/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Names and versions of event types, and the records under them.
 *
 * Only this file knows how a record's key is made.  Every write goes through
 * es_type_put(), which notes that partners, keys and endpoints are unchanged,
 * so that workers and the dispatcher do not load the registry again.
 */

#include <stdio.h>

#include "base/ascii.h"
#include "catalogue/catalogue.h"
#include "catalogue/catalogue_keys.h"
#include "registry/unchanged.h"
#include "store/env.h"
#include "store/store.h"


bool
es_type_name_ok(es_str_t type)
{
    char    c;
    size_t  i;

    for (i = 0; i < type.len; i++) {
        c = type.data[i];

        if (!es_is_alnum(c)
            && (i == 0 || (c != '.' && c != '_' && c != '-')))
        {
            return false;
        }
    }

    return type.len > 0 && type.len <= ES_TYPE_NAME_MAX;
}


/* Reads a number and the character after it; end '\0': the number is last. */

static bool
es_version_number(es_str_t *text, char end, uint32_t *out)
{
    size_t  i;

    *out = 0;

    for (i = 0; i < text->len && text->data[i] != end; i++) {
        if (text->data[i] < '0' || text->data[i] > '9'
            || (i > 0 && text->data[0] == '0'))
        {
            return false;
        }

        *out = *out * 10 + (uint32_t) (text->data[i] - '0');

        if (*out > ES_VERSION_NUMBER) {
            return false;
        }
    }

    if (i == 0 || (end == '\0') != (i == text->len)) {
        return false;
    }

    i += end != '\0';
    text->data += i;
    text->len -= i;

    return true;
}


es_rc_t
es_version_parse(es_str_t text, es_version_t *version)
{
    return es_version_number(&text, '.', &version->major)
           && es_version_number(&text, '.', &version->minor)
           && es_version_number(&text, '\0', &version->patch)
           ? ES_OK : ES_INVALID;
}


void
es_version_print(const es_version_t *version, char text[ES_VERSION_TEXT_MAX])
{
    (void) snprintf(text, ES_VERSION_TEXT_MAX, "%u.%u.%u",
                    version->major % (ES_VERSION_NUMBER + 1),
                    version->minor % (ES_VERSION_NUMBER + 1),
                    version->patch % (ES_VERSION_NUMBER + 1));
}


int
es_version_order(const es_version_t *a, const es_version_t *b)
{
    if (a->major != b->major) {
        return a->major < b->major ? -1 : 1;
    }

    if (a->minor != b->minor) {
        return a->minor < b->minor ? -1 : 1;
    }

    return (a->patch > b->patch) - (a->patch < b->patch);
}


MDB_val
es_type_key(char letter, es_str_t type, es_str_t version,
    char buf[ES_TYPE_KEY_MAX])
{
    MDB_val  key;

    buf[0] = letter;
    memcpy(buf + 1, type.data, type.len);
    buf[1 + type.len] = '/';

    if (version.len > 0) {
        memcpy(buf + 2 + type.len, version.data, version.len);
    }

    key.mv_data = buf;
    key.mv_size = 2 + type.len + version.len;

    return key;
}


MDB_dbi
es_type_dbi(const es_store_t *store)
{
    return es_env_dbi(store->registry, ES_REGISTRY_OBJECTS);
}


es_rc_t
es_type_get(es_store_t *store, MDB_txn *txn, char letter, es_str_t type,
    es_str_t version, es_str_t *out)
{
    char     buf[ES_TYPE_KEY_MAX];
    es_rc_t  rc;
    MDB_val  key, data;

    key = es_type_key(letter, type, version, buf);

    rc = es_env_rc(mdb_get(txn, es_type_dbi(store), &key, &data));

    if (rc == ES_OK) {
        out->data = data.mv_data;
        out->len = data.mv_size;
    }

    return rc;
}


es_rc_t
es_type_put(es_store_t *store, MDB_txn *txn, char letter, es_str_t type,
    es_str_t version, es_str_t value)
{
    char     buf[ES_TYPE_KEY_MAX];
    es_rc_t  rc;
    MDB_val  key, data;

    key = es_type_key(letter, type, version, buf);
    data.mv_data = (void *) (uintptr_t) value.data;
    data.mv_size = value.len;

    rc = es_env_rc(mdb_put(txn, es_type_dbi(store), &key, &data, 0));

    return rc == ES_OK ? es_unchanged_mark(store, txn, true) : rc;
}


es_rc_t
es_versions_each(es_store_t *store, MDB_txn *txn, es_str_t type,
    es_version_fn fn, void *ctx)
{
    int           rc;
    char          buf[ES_TYPE_KEY_MAX];
    es_rc_t       result;
    MDB_val       prefix, key, data;
    es_str_t      text, record;
    MDB_cursor   *cursor;
    es_version_t  version;

    rc = mdb_cursor_open(txn, es_type_dbi(store), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    prefix = es_type_key('t', type, es_null_str, buf);
    key = prefix;
    result = ES_NOT_FOUND;

    for (rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
         rc == 0 && key.mv_size >= prefix.mv_size
         && memcmp(key.mv_data, buf, prefix.mv_size) == 0;
         rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT))
    {
        text.data = (const char *) key.mv_data + prefix.mv_size;
        text.len = key.mv_size - prefix.mv_size;

        if (text.len == 0) {
            continue;                  /* the record of the type itself */
        }

        record.data = data.mv_data;
        record.len = data.mv_size;

        result = es_version_parse(text, &version) == ES_OK
                 ? fn(ctx, &version, record) : ES_CORRUPT;
        if (result != ES_OK) {
            break;
        }
    }

    mdb_cursor_close(cursor);

    return rc != 0 && rc != MDB_NOTFOUND ? es_env_rc(rc) : result;
}


es_rc_t
es_version_highest(void *ctx, const es_version_t *version, es_str_t record)
{
    es_highest_t  *highest = ctx;

    (void) record;

    highest->count++;

    if (highest->major >= 0 && highest->major != version->major) {
        return ES_OK;
    }

    if (highest->found++ == 0
        || es_version_order(version, &highest->version) > 0)
    {
        highest->version = *version;
    }

    return ES_OK;
}


es_rc_t
es_catalogue_latest(es_store_t *store, MDB_txn *txn, es_str_t type,
    es_version_t *version)
{
    es_rc_t       rc;
    es_highest_t  highest = { .major = -1 };

    if (!es_type_name_ok(type)) {
        return ES_NOT_FOUND;
    }

    rc = es_versions_each(store, txn, type, es_version_highest, &highest);
    *version = highest.version;

    return rc;
}


es_rc_t
es_catalogue_text(es_store_t *store, MDB_txn *txn, es_str_t type,
    es_str_t version, es_str_t *schema)
{
    return es_type_name_ok(type) && version.len < ES_VERSION_TEXT_MAX
           ? es_type_get(store, txn, 's', type, version, schema)
           : ES_NOT_FOUND;
}
