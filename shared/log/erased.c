/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads and writes the records of erasures.
 */

#include <stddef.h>

#include "base/base.h"
#include "log/erased.h"
#include "log/feed.h"
#include "log/id_index.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"

#define ES_META_ERASURES  "erasures"
#define ES_META_ERASURE   "erasure"
#define ES_META_ERASED    "erased"
#define ES_META_ERASING   "erasing"
#define ES_ERASED_PURPOSE "eventsync erased (source, id)"
#define ES_ERASED_IDENT   1200     /* bytes of a key's text on the stack */

typedef struct {
    uint8_t  data[64];
    size_t   len;
} es_erased_key_t;


static MDB_val
es_erased_key(es_erased_key_t *key, const char *word, const void *rest,
    size_t len)
{
    key->len = strlen(word);
    memcpy(key->data, word, key->len);
    memcpy(key->data + key->len, rest, len);
    key->len += len;

    return (MDB_val) { key->len, key->data };
}


static MDB_val
es_erased_numbered(es_erased_key_t *key, const char *word, uint64_t number)
{
    uint8_t  bytes[8];

    es_be64(number, bytes);

    return es_erased_key(key, word, bytes, sizeof(bytes));
}


es_rc_t
es_erasures_load(es_store_t *store, MDB_txn *txn, es_erasures_t *erasures)
{
    int              rc;
    unsigned         i;
    MDB_val          key, value;
    es_erased_key_t  text;

    const char  *kids;

    memset(erasures, 0, sizeof(*erasures));

    key = es_erased_key(&text, ES_META_ERASURES, "", 0);

    rc = mdb_get(txn, es_env_dbi(store->log, ES_LOG_META), &key, &value);
    if (rc != 0) {
        return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
    }

    if (value.mv_size < sizeof(uint64_t)
        || (value.mv_size - sizeof(uint64_t)) % ES_KID_LEN != 0
        || value.mv_size > sizeof(es_erasures_record_t))
    {
        return ES_CORRUPT;
    }

    memcpy(&erasures->count, value.mv_data, sizeof(uint64_t));
    kids = (const char *) value.mv_data + sizeof(uint64_t);
    erasures->nkids = (unsigned) (value.mv_size - sizeof(uint64_t))
                      / ES_KID_LEN;

    for (i = 0; i < erasures->nkids; i++) {
        memcpy(erasures->kids[i], kids + i * ES_KID_LEN, ES_KID_LEN);
    }

    return ES_OK;
}


es_rc_t
es_erasures_count(es_txn_t *txn, uint64_t *count)
{
    es_rc_t        rc;
    es_erasures_t  erasures;

    rc = es_erasures_load(txn->store, txn->mdb, &erasures);
    *count = erasures.count;

    return rc;
}


static es_rc_t
es_erasures_save(es_store_t *store, MDB_txn *txn,
    const es_erasures_t *erasures)
{
    unsigned               i;
    MDB_val                key, value;
    es_erased_key_t        text;
    es_erasures_record_t   record;

    record.count = erasures->count;

    for (i = 0; i < erasures->nkids; i++) {
        memcpy(record.kids[i], erasures->kids[i], ES_KID_LEN);
    }

    key = es_erased_key(&text, ES_META_ERASURES, "", 0);
    value.mv_data = &record;
    value.mv_size = sizeof(uint64_t) + erasures->nkids * ES_KID_LEN;

    return es_env_rc(mdb_put(txn, es_env_dbi(store->log, ES_LOG_META), &key,
                             &value, 0));
}


/* ES_FULL: the store has erasures under as many keys as a key file has. */

static es_rc_t
es_erasures_kid(es_erasures_t *erasures, const char *kid)
{
    unsigned  i;

    for (i = 0; i < erasures->nkids; i++) {
        if (memcmp(erasures->kids[i], kid, ES_KID_LEN) == 0) {
            return ES_OK;
        }
    }

    if (i == ES_ERASED_KEYS) {
        return ES_FULL;
    }

    memcpy(erasures->kids[i], kid, ES_KID_LEN);
    erasures->kids[i][ES_KID_LEN] = '\0';
    erasures->nkids++;

    return ES_OK;
}


static es_rc_t
es_erased_put(es_store_t *store, MDB_txn *txn, const es_erasure_t *erasure)
{
    uint8_t          rest[sizeof(uint32_t) + ES_ERASED_HASH];
    uint8_t          feed[ES_EVENT_KEY_LEN];
    MDB_val          key, value;
    uint64_t         sequence;
    es_erased_key_t  text;

    es_event_key(erasure->feed, 0, feed);
    memcpy(rest, feed, sizeof(uint32_t));
    memcpy(rest + sizeof(uint32_t), erasure->hash, ES_ERASED_HASH);

    sequence = erasure->sequence;
    key = es_erased_key(&text, ES_META_ERASED, rest, sizeof(rest));
    value.mv_data = &sequence;
    value.mv_size = sizeof(sequence);

    return es_env_rc(mdb_put(txn, es_env_dbi(store->log, ES_LOG_META), &key,
                             &value, 0));
}


es_rc_t
es_erasure_put(es_store_t *store, MDB_txn *txn, es_erasures_t *erasures,
    const es_erasure_t *erasure, const es_erasing_t *erasing)
{
    es_rc_t          rc;
    MDB_dbi          dbi;
    MDB_val          key, value;
    es_erased_key_t  text;

    dbi = es_env_dbi(store->log, ES_LOG_META);
    rc = ES_OK;

    if (erasure->kid[0] != '\0') {
        rc = es_erasures_kid(erasures, erasure->kid);

        if (rc == ES_OK) {
            rc = es_erased_put(store, txn, erasure);
        }
    }

    erasures->count++;

    if (rc == ES_OK) {
        key = es_erased_numbered(&text, ES_META_ERASURE, erasures->count);
        value.mv_data = (void *) (uintptr_t) erasure;
        value.mv_size = erasure->dropped ? sizeof(*erasure)
                                         : offsetof(es_erasure_t, dropped);
        rc = es_env_rc(mdb_put(txn, dbi, &key, &value, 0));
    }

    if (rc == ES_OK && erasing != NULL) {
        key = es_erased_numbered(&text, ES_META_ERASING, erasures->count);
        value.mv_data = (void *) (uintptr_t) erasing;
        value.mv_size = sizeof(*erasing);
        rc = es_env_rc(mdb_put(txn, dbi, &key, &value, 0));
    }

    return rc == ES_OK ? es_erasures_save(store, txn, erasures) : rc;
}


/* True if the record is one of those with this word and a number. */

static bool
es_erased_is(const MDB_val *key, const char *word, uint64_t *number)
{
    size_t  len;

    len = strlen(word);

    if (key->mv_size != len + sizeof(*number)
        || memcmp(key->mv_data, word, len) != 0)
    {
        return false;
    }

    *number = es_be64_get((const uint8_t *) key->mv_data + len);

    return true;
}


es_rc_t
es_erasures_each(es_store_t *store, MDB_txn *txn, uint64_t number,
    es_erasure_fn fn, void *ctx)
{
    int              rc;
    es_rc_t          result;
    MDB_val          key, value;
    MDB_cursor      *cursor;
    es_erasure_t     erasure;
    es_erased_key_t  text;

    rc = mdb_cursor_open(txn, es_env_dbi(store->log, ES_LOG_META), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    key = es_erased_numbered(&text, ES_META_ERASURE, number + 1);
    result = ES_OK;

    for (rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
         rc == 0 && es_erased_is(&key, ES_META_ERASURE, &number);
         rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
    {
        if (value.mv_size != sizeof(erasure)
            && value.mv_size != offsetof(es_erasure_t, dropped))
        {
            result = ES_CORRUPT;
            break;
        }

        erasure.dropped = 0;
        memcpy(&erasure, value.mv_data, value.mv_size);
        erasure.epoch[ES_EPOCH_MAX] = '\0';

        result = fn(ctx, number, &erasure);
        if (result != ES_OK) {
            break;
        }
    }

    mdb_cursor_close(cursor);

    return rc != 0 && rc != MDB_NOTFOUND ? es_env_rc(rc) : result;
}


es_rc_t
es_erasing_clear(es_store_t *store, MDB_txn *txn, unsigned max, bool *more)
{
    int              rc;
    MDB_val          key, value;
    uint64_t         number;
    MDB_cursor      *cursor;
    es_erasing_t     erasing;
    es_erased_key_t  text;

    *more = false;

    rc = mdb_cursor_open(txn, es_env_dbi(store->log, ES_LOG_META), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    key = es_erased_numbered(&text, ES_META_ERASING, 0);

    for (rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
         rc == 0 && es_erased_is(&key, ES_META_ERASING, &number);
         rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
    {
        if (max-- == 0) {
            *more = true;
            break;
        }

        if (value.mv_size != sizeof(erasing)) {
            rc = MDB_CORRUPTED;
            break;
        }

        /* The slot is only a hint, so it may go before the commit. */

        memcpy(&erasing, value.mv_data, sizeof(erasing));
        es_id_index_forget(store->ids, erasing.hash, erasing.sequence);

        rc = mdb_cursor_del(cursor, 0);
        if (rc != 0) {
            break;
        }
    }

    mdb_cursor_close(cursor);

    return rc == 0 || rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


es_rc_t
es_erased_hash(es_store_t *store, const char *kid, uint32_t feed,
    es_str_t ident, uint8_t hash[ES_ERASED_HASH])
{
    es_rc_t   rc;
    uint8_t   mac[ES_MAC_LEN], number[ES_EVENT_KEY_LEN];
    es_buf_t  text = { 0 };

    if (store->ring == NULL) {
        return ES_NOT_FOUND;
    }

    es_event_key(feed, 0, number);

    if (es_buf_append(&text, number, sizeof(uint32_t)) != ES_OK
        || es_buf_str(&text, ident) != ES_OK)
    {
        es_buf_free(&text);
        return ES_NOMEM;
    }

    rc = es_keyring_mac(store->ring, es_str(kid), ES_ERASED_PURPOSE,
                        (es_str_t) { text.data, text.len }, mac);
    es_buf_free(&text);

    if (rc == ES_OK) {
        memcpy(hash, mac, ES_ERASED_HASH);
    }

    return rc;
}


es_rc_t
es_erased_has(es_store_t *store, MDB_txn *txn, uint32_t feed, bool *has)
{
    int              rc;
    size_t           len;
    uint8_t          number[ES_EVENT_KEY_LEN];
    MDB_val          key, value;
    MDB_cursor      *cursor;
    es_erased_key_t  text;

    *has = false;

    rc = mdb_cursor_open(txn, es_env_dbi(store->log, ES_LOG_META), &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    es_event_key(feed, 0, number);
    key = es_erased_key(&text, ES_META_ERASED, number, sizeof(uint32_t));
    len = text.len;

    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);

    *has = rc == 0
           && key.mv_size == len + ES_ERASED_HASH
           && memcmp(key.mv_data, text.data, len) == 0;

    mdb_cursor_close(cursor);

    return rc == 0 || rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


es_rc_t
es_erased_find(es_store_t *store, MDB_txn *txn, const es_erasures_t *erasures,
    uint32_t feed, es_str_t ident, uint64_t *sequence)
{
    int              rc;
    es_rc_t          result;
    uint8_t          rest[sizeof(uint32_t) + ES_ERASED_HASH];
    uint8_t          number[ES_EVENT_KEY_LEN];
    MDB_val          key, value;
    unsigned         i;
    es_erased_key_t  text;

    es_event_key(feed, 0, number);
    memcpy(rest, number, sizeof(uint32_t));

    for (i = 0; i < erasures->nkids; i++) {
        result = es_erased_hash(store, erasures->kids[i], feed, ident,
                                rest + sizeof(uint32_t));
        if (result != ES_OK) {
            return result == ES_NOT_FOUND ? ES_DENIED : result;
        }

        key = es_erased_key(&text, ES_META_ERASED, rest, sizeof(rest));

        rc = mdb_get(txn, es_env_dbi(store->log, ES_LOG_META), &key, &value);

        if (rc == 0 && value.mv_size == sizeof(*sequence)) {
            memcpy(sequence, value.mv_data, sizeof(*sequence));
            return ES_OK;
        }

        if (rc != MDB_NOTFOUND) {
            return rc == 0 ? ES_CORRUPT : es_env_rc(rc);
        }
    }

    return ES_NOT_FOUND;
}
