/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Appends to the chains of the audit, reads them, and deletes from their
 * beginning.
 *
 * The key of a record is the entry's sequence, 8 bytes big-endian.  The anchor
 * has the key 0; its value begins with the sequence that it stands for.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <endian.h>
#include <inttypes.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

#include "audit/audit.h"
#include "base/clock.h"
#include "store/env.h"
#include "store/store.h"

#define ES_AUDIT_SLICE   512    /* entries in one transaction */
#define ES_AUDIT_ANCHOR  (sizeof(uint64_t) + ES_AUDIT_HASH)

typedef struct {
    es_store_t             *store;
    es_audit_chain_t        chain;
    const es_audit_head_t  *head;
    es_str_t                text;
    es_slice_t              slice;
    bool                    anchored;
    bool                    done;
} es_audit_prune_t;

typedef struct {
    es_store_t               *store;
    es_audit_chain_t          chain;
    const es_audit_change_t  *change;
} es_audit_record_t;

static const char  *const  es_audit_names[ES_AUDIT_CHAINS] = {
    [ES_AUDIT_LOG] = "log",
    [ES_AUDIT_REGISTRY] = "registry",
    [ES_AUDIT_DELIVERY] = "delivery",
    [ES_AUDIT_CHECKPOINTS] = "checkpoints"
};


const char *
es_audit_name(es_audit_chain_t chain)
{
    return chain < ES_AUDIT_CHAINS ? es_audit_names[chain] : "";
}


bool
es_audit_chain(es_str_t name, es_audit_chain_t *chain)
{
    unsigned  i;

    for (i = 0; i < ES_AUDIT_CHAINS; i++) {
        if (es_str_eq(name, es_str(es_audit_names[i]))) {
            *chain = (es_audit_chain_t) i;
            return true;
        }
    }

    return false;
}


static es_env_t *
es_audit_env(es_store_t *store, es_audit_chain_t chain)
{
    switch (chain) {

    case ES_AUDIT_LOG:
        return store->log;

    case ES_AUDIT_REGISTRY:
        return store->registry;

    case ES_AUDIT_DELIVERY:
        return store->delivery;

    case ES_AUDIT_CHECKPOINTS:
        return store->checkpoints;

    case ES_AUDIT_CHAINS:
        break;
    }

    return NULL;
}


void
es_audit_begin(uint64_t identity, es_audit_chain_t chain,
    es_audit_head_t *head)
{
    int         n;
    char        text[64];
    SHA256_CTX  sha;

    n = snprintf(text, sizeof(text), "eventsync audit %016" PRIx64 " %s",
                 identity, es_audit_name(chain));

    (void) SHA256_Init(&sha);
    (void) SHA256_Update(&sha, text, (size_t) n);
    (void) SHA256_Final(head->hash, &sha);
    head->sequence = 0;
}


void
es_audit_link(es_audit_head_t *head, uint64_t sequence, es_str_t text)
{
    uint8_t     bytes[ES_AUDIT_HASH + sizeof(uint64_t)];
    uint64_t    big;
    SHA256_CTX  sha;

    big = htobe64(sequence);
    memcpy(bytes, head->hash, ES_AUDIT_HASH);
    memcpy(bytes + ES_AUDIT_HASH, &big, sizeof(big));

    (void) SHA256_Init(&sha);
    (void) SHA256_Update(&sha, bytes, sizeof(bytes));
    (void) SHA256_Update(&sha, text.data, text.len);
    (void) SHA256_Final(head->hash, &sha);
    head->sequence = sequence;
}


static es_rc_t
es_audit_decode(const MDB_val *key, const MDB_val *value,
    es_audit_entry_t *entry)
{
    uint64_t  big;

    if (key->mv_size != sizeof(big) || value->mv_size < ES_AUDIT_HASH) {
        return ES_CORRUPT;
    }

    memcpy(&big, key->mv_data, sizeof(big));
    entry->sequence = be64toh(big);
    memcpy(entry->hash, value->mv_data, ES_AUDIT_HASH);
    entry->text.data = (const char *) value->mv_data + ES_AUDIT_HASH;
    entry->text.len = value->mv_size - ES_AUDIT_HASH;

    return ES_OK;
}


/* `value` may be NULL. */

static es_rc_t
es_audit_read_anchor(es_store_t *store, es_audit_chain_t chain, MDB_txn *txn,
    MDB_dbi dbi, es_audit_head_t *head, MDB_val *value)
{
    es_rc_t   rc;
    MDB_val   key, found;
    uint64_t  big = 0;

    key.mv_data = &big;
    key.mv_size = sizeof(big);

    rc = es_env_rc(mdb_get(txn, dbi, &key, &found));

    if (rc == ES_NOT_FOUND) {
        es_audit_begin(store->identity, chain, head);
        return rc;
    }

    if (rc != ES_OK) {
        return rc;
    }

    if (found.mv_size < ES_AUDIT_ANCHOR) {
        return ES_CORRUPT;
    }

    memcpy(&big, found.mv_data, sizeof(big));
    head->sequence = be64toh(big);
    memcpy(head->hash, (const char *) found.mv_data + sizeof(big),
           ES_AUDIT_HASH);

    if (value != NULL) {
        *value = found;
    }

    return ES_OK;
}


static es_rc_t
es_audit_last(es_store_t *store, es_audit_chain_t chain, MDB_txn *txn,
    MDB_dbi dbi, es_audit_head_t *head)
{
    es_rc_t            rc;
    MDB_val            key, value;
    MDB_cursor        *cursor;
    es_audit_entry_t   entry = { 0 };

    rc = es_env_rc(mdb_cursor_open(txn, dbi, &cursor));
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_env_rc(mdb_cursor_get(cursor, &key, &value, MDB_LAST));

    if (rc == ES_OK) {
        rc = es_audit_decode(&key, &value, &entry);
    }

    if (rc == ES_OK && entry.sequence != 0) {
        head->sequence = entry.sequence;
        memcpy(head->hash, entry.hash, ES_AUDIT_HASH);

    } else if (rc == ES_OK || rc == ES_NOT_FOUND) {
        rc = es_audit_read_anchor(store, chain, txn, dbi, head, NULL);
        rc = rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    mdb_cursor_close(cursor);

    return rc;
}


/* A copy, or the digest of a value that is too long for an entry. */

static json_t *
es_audit_value(json_t *value)
{
    char           hex[2 * SHA256_DIGEST_LENGTH + 1];
    char          *text;
    size_t         len;
    json_t        *copy;
    unsigned       i;
    unsigned char  digest[SHA256_DIGEST_LENGTH];

    text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    if (text == NULL) {
        return NULL;
    }

    len = strlen(text);

    if (len <= ES_AUDIT_TEXT_MAX / 2) {
        copy = json_incref(value);

    } else {
        (void) SHA256((const unsigned char *) text, len, digest);

        for (i = 0; i < sizeof(digest); i++) {
            (void) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
        }

        copy = json_pack("{s:s, s:I}", "sha256", hex, "bytes",
                         (json_int_t) len);
    }

    free(text);

    return copy;
}


static es_rc_t
es_audit_member(json_t *entry, const char *name, json_t *value)
{
    return json_object_set_new(entry, name, value) == 0 ? ES_OK : ES_NOMEM;
}


static es_rc_t
es_audit_text(es_store_t *store, const es_audit_change_t *change, char **text)
{
    char         now[ES_TIME_LEN];
    json_t      *entry;
    es_rc_t      rc;
    es_actor_t   actor;

    es_actor_get(store, &actor);
    es_time_print(es_clock_ms(), now);

    entry = json_pack("{s:s%, s:s, s:s, s:s, s:s, s:s%}", "time", now,
                      sizeof(now), "by", actor.who, "from", actor.from,
                      "action", change->action, "kind", change->kind, "object",
                      change->object.data ? change->object.data : "",
                      change->object.len);
    if (entry == NULL) {
        return ES_NOMEM;
    }

    rc = ES_OK;

    if (change->partner.len > 0) {
        rc = es_audit_member(entry, "partner",
                             json_stringn(change->partner.data,
                                          change->partner.len));
    }

    if (rc == ES_OK && change->before != NULL) {
        rc = es_audit_member(entry, "before", es_audit_value(change->before));
    }

    if (rc == ES_OK && change->after != NULL) {
        rc = es_audit_member(entry, "after", es_audit_value(change->after));
    }

    *text = rc == ES_OK ? json_dumps(entry, JSON_COMPACT) : NULL;
    json_decref(entry);

    return *text ? ES_OK : ES_NOMEM;
}


static es_rc_t
es_audit_put(es_store_t *store, MDB_txn *txn, MDB_dbi dbi,
    const es_audit_change_t *change, es_audit_head_t *head)
{
    char      *text;
    es_rc_t    rc;
    MDB_val    key, value;
    uint64_t   big;

    rc = es_audit_text(store, change, &text);
    if (rc != ES_OK) {
        return rc;
    }

    es_audit_link(head, head->sequence + 1, es_str(text));

    big = htobe64(head->sequence);
    key.mv_data = &big;
    key.mv_size = sizeof(big);
    value.mv_size = ES_AUDIT_HASH + strlen(text);

    rc = es_env_rc(mdb_put(txn, dbi, &key, &value, MDB_RESERVE | MDB_APPEND));

    if (rc == ES_OK) {
        memcpy(value.mv_data, head->hash, ES_AUDIT_HASH);
        memcpy((char *) value.mv_data + ES_AUDIT_HASH, text, strlen(text));
    }

    free(text);

    return rc;
}


es_rc_t
es_audit_append(es_store_t *store, MDB_txn *txn, es_audit_chain_t chain,
    const es_audit_change_t *change)
{
    es_rc_t            rc;
    MDB_dbi            dbi = 0;
    es_audit_head_t    head = { 0 };
    es_audit_change_t  begin = { .action = "begin", .kind = "audit" };

    rc = es_env_late_make(es_audit_env(store, chain), txn, &dbi);

    if (rc == ES_OK) {
        rc = es_audit_last(store, chain, txn, dbi, &head);
    }

    if (rc == ES_OK && head.sequence == 0) {
        begin.object = es_str(es_audit_name(chain));
        rc = es_audit_put(store, txn, dbi, &begin, &head);
    }

    return rc == ES_OK ? es_audit_put(store, txn, dbi, change, &head) : rc;
}


static es_rc_t
es_audit_record_run(MDB_txn *txn, void *ctx)
{
    const es_audit_record_t  *r = ctx;

    return es_audit_append(r->store, txn, r->chain, r->change);
}


es_rc_t
es_audit_record(es_store_t *store, es_audit_chain_t chain,
    const es_audit_change_t *change)
{
    es_audit_record_t  r = { store, chain, change };

    return es_env_update(es_audit_env(store, chain), es_audit_record_run, &r);
}


/* ES_NOT_FOUND: the chain is empty, or its environment is not open. */

static es_rc_t
es_audit_read_begin(es_store_t *store, es_audit_chain_t chain, MDB_txn **txn,
    MDB_dbi *dbi)
{
    es_rc_t    rc;
    es_env_t  *env;

    env = es_audit_env(store, chain);
    rc = env ? es_env_late_open(env, dbi) : ES_NOT_FOUND;

    return rc == ES_OK ? es_env_read_begin(env, txn) : rc;
}


es_rc_t
es_audit_head(es_store_t *store, es_audit_chain_t chain,
    es_audit_head_t *head, uint64_t *entries)
{
    es_rc_t          rc;
    MDB_dbi          dbi = 0;
    MDB_txn         *txn;
    es_audit_head_t  anchor = { 0 };

    es_audit_begin(store->identity, chain, head);

    if (entries != NULL) {
        *entries = 0;
    }

    if (es_audit_env(store, chain) == NULL) {
        return ES_NOT_FOUND;
    }

    rc = es_audit_read_begin(store, chain, &txn, &dbi);
    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    rc = es_audit_last(store, chain, txn, dbi, head);

    if (rc == ES_OK && entries != NULL) {
        rc = es_audit_read_anchor(store, chain, txn, dbi, &anchor, NULL);
        rc = rc == ES_NOT_FOUND ? ES_OK : rc;
        *entries = head->sequence - anchor.sequence;
    }

    es_env_read_end(es_audit_env(store, chain), txn);

    return rc;
}


es_rc_t
es_audit_anchor(es_store_t *store, es_audit_chain_t chain,
    es_audit_head_t *head, es_buf_t *text)
{
    es_rc_t   rc;
    MDB_dbi   dbi = 0;
    MDB_txn  *txn;
    MDB_val   value;

    es_audit_begin(store->identity, chain, head);

    rc = es_audit_read_begin(store, chain, &txn, &dbi);
    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    rc = es_audit_read_anchor(store, chain, txn, dbi, head, &value);

    if (rc == ES_OK && text != NULL) {
        rc = es_buf_append(text, (char *) value.mv_data + ES_AUDIT_ANCHOR,
                           value.mv_size - ES_AUDIT_ANCHOR);
    }

    es_env_read_end(es_audit_env(store, chain), txn);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


/* Calls `fn` for the entries from `*next` on, and moves `*next`.  ES_NOT_FOUND:
   there are no more. */

static es_rc_t
es_audit_slice(MDB_txn *txn, MDB_dbi dbi, uint64_t *next, es_audit_fn fn,
    void *ctx)
{
    es_rc_t            rc;
    MDB_val            key, value;
    uint64_t           big;
    unsigned           n;
    MDB_cursor        *cursor;
    es_audit_entry_t   entry;

    rc = es_env_rc(mdb_cursor_open(txn, dbi, &cursor));
    if (rc != ES_OK) {
        return rc;
    }

    big = htobe64(*next);
    key.mv_data = &big;
    key.mv_size = sizeof(big);
    rc = es_env_rc(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));

    for (n = 0; rc == ES_OK && n < ES_AUDIT_SLICE; n++) {
        rc = es_audit_decode(&key, &value, &entry);

        if (rc == ES_OK) {
            *next = entry.sequence + 1;
            rc = fn(ctx, &entry);
        }

        if (rc == ES_OK) {
            rc = es_env_rc(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
        }
    }

    mdb_cursor_close(cursor);

    return rc;
}


es_rc_t
es_audit_each(es_store_t *store, es_audit_chain_t chain, uint64_t after,
    es_audit_fn fn, void *ctx)
{
    es_rc_t   rc;
    MDB_dbi   dbi = 0;
    MDB_txn  *txn;
    uint64_t  next;

    next = after + 1;

    do {
        rc = es_audit_read_begin(store, chain, &txn, &dbi);
        if (rc != ES_OK) {
            break;
        }

        rc = es_audit_slice(txn, dbi, &next, fn, ctx);
        es_env_read_end(es_audit_env(store, chain), txn);

    } while (rc == ES_OK);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


/* Makes the head the anchor. */

static es_rc_t
es_audit_prune_anchor(es_audit_prune_t *p, MDB_txn *txn, MDB_dbi dbi)
{
    es_rc_t            rc;
    MDB_val            key, value;
    uint64_t           big;
    es_audit_entry_t   entry;

    big = htobe64(p->head->sequence);
    key.mv_data = &big;
    key.mv_size = sizeof(big);

    rc = es_env_rc(mdb_get(txn, dbi, &key, &value));

    if (rc == ES_OK) {
        rc = es_audit_decode(&key, &value, &entry);
    }

    if (rc != ES_OK) {
        return rc;
    }

    if (memcmp(entry.hash, p->head->hash, ES_AUDIT_HASH) != 0) {
        return ES_NOT_FOUND;
    }

    big = 0;
    value.mv_size = ES_AUDIT_ANCHOR + p->text.len;

    rc = es_env_rc(mdb_put(txn, dbi, &key, &value, MDB_RESERVE));

    if (rc == ES_OK) {
        big = htobe64(p->head->sequence);
        memcpy(value.mv_data, &big, sizeof(big));
        memcpy((char *) value.mv_data + sizeof(big), p->head->hash,
               ES_AUDIT_HASH);
        memcpy((char *) value.mv_data + ES_AUDIT_ANCHOR, p->text.data,
               p->text.len);
    }

    return rc;
}


static es_rc_t
es_audit_prune_entries(es_audit_prune_t *p, MDB_txn *txn, MDB_dbi dbi)
{
    es_rc_t            rc;
    MDB_val            key, value;
    uint64_t           big;
    unsigned           n;
    MDB_cursor        *cursor;
    es_audit_entry_t   entry;

    rc = es_env_rc(mdb_cursor_open(txn, dbi, &cursor));
    if (rc != ES_OK) {
        return rc;
    }

    big = htobe64(1);
    key.mv_data = &big;
    key.mv_size = sizeof(big);
    p->done = false;

    rc = es_env_rc(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));

    for (n = 0; rc == ES_OK && n < p->slice.max; n++) {
        rc = es_audit_decode(&key, &value, &entry);

        if (rc != ES_OK || entry.sequence > p->head->sequence) {
            p->done = true;
            break;
        }

        rc = es_env_rc(mdb_cursor_del(cursor, 0));

        if (rc == ES_OK) {
            rc = es_env_rc(mdb_cursor_get(cursor, &key, &value, MDB_NEXT));
        }
    }

    mdb_cursor_close(cursor);
    p->done = p->done || rc == ES_NOT_FOUND;

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


static es_rc_t
es_audit_prune_run(MDB_txn *txn, void *ctx)
{
    es_rc_t            rc;
    MDB_dbi            dbi = 0;
    es_audit_prune_t  *p = ctx;
    es_audit_change_t  change = { .action = "prune", .kind = "audit" };

    rc = es_env_late_make(es_audit_env(p->store, p->chain), txn, &dbi);

    if (rc == ES_OK && !p->anchored) {
        rc = es_audit_prune_anchor(p, txn, dbi);

        if (rc == ES_OK) {
            change.object = es_str(es_audit_name(p->chain));
            change.after = json_pack("{s:I}", "anchor",
                                     (json_int_t) p->head->sequence);
            rc = change.after ? es_audit_append(p->store, txn, p->chain,
                                                &change) : ES_NOMEM;
            json_decref(change.after);
        }
    }

    return rc == ES_OK ? es_audit_prune_entries(p, txn, dbi) : rc;
}


es_rc_t
es_audit_prune(es_store_t *store, es_audit_chain_t chain,
    const es_audit_head_t *head, es_str_t text)
{
    es_rc_t           rc;
    es_audit_prune_t  p = { .store = store, .chain = chain, .head = head,
                            .text = text, .slice = { ES_AUDIT_SLICE,
                                                     ES_AUDIT_SLICE } };

    do {
        rc = es_env_shrink(es_audit_env(store, chain), es_audit_prune_run, &p,
                           &p.slice);
        p.anchored = true;
    } while (rc == ES_OK && !p.done);

    return rc;
}
