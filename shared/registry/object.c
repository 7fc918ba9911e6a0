/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds registry records by kind and name, and walks those of a kind.
 */

#include <jansson.h>
#include <xxhash.h>

#include "base/base.h"
#include "base/event_loop.h"
#include "base/pool.h"
#include "event/cursor.h"
#include "keys/apikey.h"
#include "registry/object.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "store/env.h"
#include "store/store.h"


const char *
es_kind_name(es_kind_t kind)
{
    switch (kind) {
    case ES_KIND_PARTNER:
        return "partner";
    case ES_KIND_KEY:
        return "key";
    case ES_KIND_ENDPOINT:
        return "endpoint";
    case ES_KIND_FEED:
        return "feed";
    case ES_KIND_FLAG:
        return "flag";
    }

    return "";
}


/* "feed" and "flag" begin alike. */

char
es_kind_letter(es_kind_t kind)
{
    return kind == ES_KIND_FLAG ? 'l' : es_kind_name(kind)[0];
}


bool
es_object_name_ok(es_kind_t kind, es_str_t name)
{
    size_t  i;

    if (kind != ES_KIND_KEY) {
        return es_feed_name_ok(name);
    }

    for (i = 0; i < name.len; i++) {
        if (!((name.data[i] >= 'a' && name.data[i] <= 'z')
              || (name.data[i] >= '2' && name.data[i] <= '7')))
        {
            return false;
        }
    }

    return name.len == ES_KEYID_LEN;
}


bool
es_object_kind(const MDB_val *key, es_kind_t *kind)
{
    size_t  i;

    static const es_kind_t  kinds[] = {
        ES_KIND_PARTNER, ES_KIND_KEY, ES_KIND_ENDPOINT, ES_KIND_FLAG
    };

    for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (es_kind_letter(kinds[i]) == *(const char *) key->mv_data) {
            *kind = kinds[i];
            return true;
        }
    }

    return false;
}


MDB_val
es_object_key(es_kind_t kind, es_str_t name, char buf[ES_OBJECT_KEY_MAX])
{
    MDB_val  key;

    buf[0] = es_kind_letter(kind);
    key.mv_data = buf;
    key.mv_size = 1;

    if (name.len > 0 && name.len <= ES_FEED_MAX) {
        memcpy(buf + 1, name.data, name.len);
        key.mv_size += name.len;
    }

    return key;
}


es_rc_t
es_object_text(es_store_t *store, MDB_txn *txn, es_kind_t kind, es_str_t name,
    MDB_val *text)
{
    char     buf[ES_OBJECT_KEY_MAX];
    MDB_val  key;

    key = es_object_key(kind, name, buf);

    return es_env_rc(mdb_get(txn, es_env_dbi(store->registry,
                                             ES_REGISTRY_OBJECTS),
                             &key, text));
}


es_rc_t
es_registry_get(es_store_t *store, es_kind_t kind, es_str_t name,
    es_buf_t *out)
{
    es_rc_t   rc;
    MDB_txn  *txn;
    MDB_val   text;

    if (!es_object_name_ok(kind, name)) {
        return ES_NOT_FOUND;
    }

    rc = es_env_read_begin(store->registry, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_object_text(store, txn, kind, name, &text);
    if (rc == ES_OK) {
        rc = es_buf_append(out, text.mv_data, text.mv_size);
    }

    es_env_read_end(store->registry, txn);

    return rc;
}


/* The first record after `name`. */

static int
es_object_after(MDB_cursor *cursor, es_kind_t kind, es_str_t name,
    MDB_val *key, MDB_val *data)
{
    int      rc;
    char     buf[ES_OBJECT_KEY_MAX];
    MDB_val  from;

    from = es_object_key(kind, name, buf);
    *key = from;

    rc = mdb_cursor_get(cursor, key, data, MDB_SET_RANGE);

    if (rc == 0 && name.len > 0 && key->mv_size == from.mv_size
        && memcmp(key->mv_data, buf, key->mv_size) == 0)
    {
        rc = mdb_cursor_get(cursor, key, data, MDB_NEXT);
    }

    return rc;
}


static es_rc_t
es_objects_each(MDB_cursor *cursor, es_kind_t kind, es_str_t after,
    es_object_fn fn, void *ctx)
{
    int       rc;
    char      letter;
    MDB_val   key, data;
    es_rc_t   result;
    es_str_t  name, text;

    letter = es_kind_letter(kind);

    for (rc = es_object_after(cursor, kind, after, &key, &data);
         rc == 0 && *(const char *) key.mv_data == letter;
         rc = mdb_cursor_get(cursor, &key, &data, MDB_NEXT))
    {
        name.data = (const char *) key.mv_data + 1;
        name.len = key.mv_size - 1;
        text.data = data.mv_data;
        text.len = data.mv_size;

        result = fn(ctx, name, text);

        if (result != ES_OK) {
            return result;
        }
    }

    return rc == 0 || rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


es_rc_t
es_registry_rule_read(es_str_t text, es_feed_rule_t *rule)
{
    json_t     *object;
    es_rc_t     rc;
    es_pool_t   pool = { 0 };

    object = json_loadb(text.data, text.len, 0, NULL);
    rc = json_is_object(object)
         ? es_feed_rule_decode(object, &pool, rule, NULL) : ES_CORRUPT;

    json_decref(object);
    es_pool_wipe(&pool);

    return rc;
}


_Static_assert(sizeof(es_feed_rule_t)
               == sizeof(((es_rule_slot_t *) 0)->rule),
               "a slot has room for a rule");


/* Every publish asks for a rule, so the store keeps those that it has read
   until the registry changes.  `feed` is a valid name. */

static es_rule_slot_t *
es_rule_slot(es_store_t *store, es_str_t feed)
{
    return &store->rules[XXH3_64bits(feed.data, feed.len) % ES_RULE_CACHE];
}


static bool
es_rule_known(es_store_t *store, es_str_t feed, es_feed_rule_t *rule)
{
    bool             known;
    uint64_t         version;
    es_rule_slot_t  *slot;

    slot = es_rule_slot(store, feed);
    version = es_registry_version(store);

    (void) pthread_mutex_lock(&store->rules_lock);

    known = version != 0 && slot->version == version
            && es_str_eq(es_str(slot->feed), feed);

    if (known) {
        memcpy(rule, &slot->rule, sizeof(es_feed_rule_t));
    }

    (void) pthread_mutex_unlock(&store->rules_lock);

    return known;
}


static void
es_rule_keep(es_store_t *store, es_str_t feed, uint64_t version,
    const es_feed_rule_t *rule)
{
    es_rule_slot_t  *slot;

    slot = es_rule_slot(store, feed);

    (void) pthread_mutex_lock(&store->rules_lock);

    slot->version = version;
    memcpy(&slot->rule, rule, sizeof(es_feed_rule_t));
    memcpy(slot->feed, feed.data, feed.len);
    slot->feed[feed.len] = '\0';

    (void) pthread_mutex_unlock(&store->rules_lock);
}


es_rc_t
es_registry_rule(es_store_t *store, es_str_t feed, es_feed_rule_t *rule)
{
    es_rc_t   rc;
    MDB_txn  *txn;
    MDB_val   text;

    memset(rule, 0, sizeof(es_feed_rule_t));

    if (!es_feed_name_ok(feed) || es_rule_known(store, feed, rule)) {
        return ES_OK;
    }

    rc = es_env_read_begin(store->registry, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_object_text(store, txn, ES_KIND_FEED, feed, &text);

    if (rc == ES_OK) {
        rc = es_registry_rule_read((es_str_t) { text.mv_data, text.mv_size },
                                   rule);
    }

    if (rc == ES_OK || rc == ES_NOT_FOUND) {
        es_rule_keep(store, feed, mdb_txn_id(txn), rule);
        rc = ES_OK;
    }

    es_env_read_end(store->registry, txn);

    return rc;
}


es_rc_t
es_registry_each(es_store_t *store, es_kind_t kind, es_str_t after,
    es_object_fn fn, void *ctx)
{
    es_rc_t      rc;
    MDB_txn     *txn;
    MDB_cursor  *cursor;

    ES_ASSERT_NO_EVENT_LOOP();

    rc = es_env_read_begin(store->registry, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_env_rc(mdb_cursor_open(txn, es_env_dbi(store->registry,
                                                   ES_REGISTRY_OBJECTS),
                                   &cursor));
    if (rc == ES_OK) {
        rc = es_objects_each(cursor, kind, after, fn, ctx);
        mdb_cursor_close(cursor);
    }

    es_env_read_end(store->registry, txn);

    return rc;
}


static es_rc_t
es_name_take(void *ctx, es_str_t name, es_str_t text)
{
    char  *next = ctx;

    (void) text;

    memcpy(next, name.data, name.len);
    next[name.len] = '\0';

    return ES_STOP;
}


es_rc_t
es_registry_next(es_store_t *store, es_kind_t kind, es_str_t name,
    char next[64])
{
    es_rc_t  rc;

    rc = es_registry_each(store, kind, name, es_name_take, next);

    return rc == ES_OK ? ES_NOT_FOUND : rc == ES_STOP ? ES_OK : rc;
}
