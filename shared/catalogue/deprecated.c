/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds deprecated versions.  Few are, so a version is decoded only if its text
 * names one of the dates.
 */

#include <string.h>

#include "base/base.h"
#include "base/event_loop.h"
#include "catalogue/catalogue.h"
#include "catalogue/catalogue_keys.h"
#include "catalogue/deprecated.h"
#include "store/env.h"

typedef struct {
    es_version_t  of;
    es_version_t  next;
    bool          found;
} es_successor_t;


static bool
es_record_dated(es_str_t record)
{
    static const char  deprecated[] = "\"deprecated\"", sunset[] = "\"sunset\"";

    return memmem(record.data, record.len, deprecated,
                  sizeof(deprecated) - 1) != NULL
           || memmem(record.data, record.len, sunset, sizeof(sunset) - 1)
              != NULL;
}


static es_rc_t
es_record_lifetime(es_str_t record, es_lifetime_t *lifetime)
{
    memset(lifetime, 0, sizeof(*lifetime));

    return es_record_dated(record) ? es_lifetime_decode(record, lifetime)
                                   : ES_OK;
}


static es_rc_t
es_on_successor(void *ctx, const es_version_t *version, es_str_t record)
{
    es_lifetime_t    lifetime;
    es_successor_t  *s = ctx;

    if (es_record_lifetime(record, &lifetime) == ES_OK
        && lifetime.deprecated_ms == 0 && lifetime.sunset_ms == 0
        && es_version_order(version, &s->of) > 0
        && (!s->found || es_version_order(version, &s->next) < 0))
    {
        s->next = *version;
        s->found = true;
    }

    return ES_OK;
}


/* Completes a deprecated version, and tells of it. */

static es_rc_t
es_deprecated_tell(es_store_t *store, MDB_txn *txn,
    const es_deprecated_t *of, es_deprecated_fn fn, void *ctx)
{
    es_rc_t           rc;
    es_successor_t    successor = { .found = false };
    es_deprecated_t   found = *of;
    es_type_feeds_t   feeds;

    rc = es_version_parse(found.version, &successor.of);

    if (rc != ES_OK) {
        return ES_CORRUPT;
    }

    rc = es_versions_each(store, txn, found.type, es_on_successor,
                          &successor);

    if (rc == ES_OK) {
        rc = es_type_feeds_read(store, txn, found.type, &feeds);
    }

    if (rc != ES_OK) {
        return rc;
    }

    if (successor.found) {
        es_version_print(&successor.next, found.successor);
    }

    found.feeds = &feeds.feeds;
    rc = fn(ctx, &found);
    es_type_feeds_free(&feeds);

    return rc;
}


/* The record of the type itself has an empty version. */

static es_rc_t
es_deprecated_record(es_store_t *store, MDB_txn *txn, const MDB_val *key,
    const MDB_val *data, es_deprecated_fn fn, void *ctx)
{
    es_rc_t          rc;
    const char      *name, *slash;
    es_deprecated_t  found = { 0 };

    name = (const char *) key->mv_data + 1;
    slash = memchr(name, '/', key->mv_size - 1);

    if (slash == NULL) {
        return ES_CORRUPT;
    }

    found.type.data = name;
    found.type.len = (size_t) (slash - name);
    found.version.data = slash + 1;
    found.version.len = key->mv_size - 2 - found.type.len;

    if (found.version.len == 0) {
        return ES_OK;
    }

    rc = es_record_lifetime((es_str_t) { data->mv_data, data->mv_size },
                            &found.lifetime);

    return rc != ES_OK
           || (found.lifetime.deprecated_ms == 0
               && found.lifetime.sunset_ms == 0)
           ? rc : es_deprecated_tell(store, txn, &found, fn, ctx);
}


es_rc_t
es_catalogue_each_deprecated(es_store_t *store, es_deprecated_fn fn, void *ctx)
{
    int          rc;
    es_rc_t      result;
    MDB_txn     *txn;
    MDB_val      key, data;
    MDB_cursor  *cursor;

    ES_ASSERT_NO_EVENT_LOOP();

    result = es_env_read_begin(store->registry, &txn);
    if (result != ES_OK) {
        return result;
    }

    rc = mdb_cursor_open(txn, es_type_dbi(store), &cursor);

    if (rc != 0) {
        es_env_read_end(store->registry, txn);
        return es_env_rc(rc);
    }

    key.mv_data = (void *) (uintptr_t) "t";
    key.mv_size = 1;

    for (rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
         rc == 0 && *(const char *) key.mv_data == 't';
         rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT))
    {
        result = es_deprecated_record(store, txn, &key, &data, fn, ctx);

        /* a damaged record must not hide the others; `verify` names it */

        result = result == ES_CORRUPT ? ES_OK : result;

        if (result != ES_OK) {
            break;
        }
    }

    mdb_cursor_close(cursor);
    es_env_read_end(store->registry, txn);

    return rc != 0 && rc != MDB_NOTFOUND ? es_env_rc(rc) : result;
}
