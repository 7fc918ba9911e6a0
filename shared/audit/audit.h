/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The audit: a hash chain of administrative changes in each environment that
 * is administered.
 *
 * An entry is written in the transaction of its change, so that there is
 * neither one without the other.  Its hash is the SHA-256 of the hash before
 * it, its sequence (8 bytes, big-endian) and its text.  The hash before the
 * first entry is that of the store's identity and the environment's name, so
 * no chain can stand for another.  Sequences are dense, from 1.
 *
 * The database "audit" of the environment has a record for each entry, from
 * its sequence to its hash and its text, a JSON object:
 *
 *     {"time":"2026-11-23T12:00:00.123Z","by":"key k3b7…","from":"192.0.2.7",
 *      "action":"change","kind":"endpoint","object":"ep_…","partner":"acme",
 *      "before":{"paused":false},"after":{"paused":true}}
 *
 * The database is made with its first entry, which says that the chain
 * begins.  A chain that was pruned has an anchor in place of the entries: the
 * sequence and hash of the last one that was deleted, and the signed head that
 * vouches for it (heads.h).
 */

#ifndef ES_AUDIT_H
#define ES_AUDIT_H

#include <jansson.h>
#include <lmdb.h>

#include "audit/actor.h"
#include "base/base.h"

#define ES_AUDIT_HASH      32
#define ES_AUDIT_TEXT_MAX  16384    /* bytes of `before` and `after`; longer
                                       ones are replaced by their digest */

typedef enum {
    ES_AUDIT_LOG = 0,
    ES_AUDIT_REGISTRY,
    ES_AUDIT_DELIVERY,
    ES_AUDIT_CHECKPOINTS,
    ES_AUDIT_CHAINS
} es_audit_chain_t;

/* "log", "registry", "delivery" or "checkpoints": the name of the
   environment. */
const char *es_audit_name(es_audit_chain_t chain);

/* The chain of a name.  False: there is none. */
bool es_audit_chain(es_str_t name, es_audit_chain_t *chain);

/* A change.  `before` and `after` must have no secrets and are borrowed. */
typedef struct {
    const char  *action;       /* "create", "change", "remove" or another
                                  verb */
    const char  *kind;         /* of the object: "endpoint" */
    es_str_t     object;       /* its name; empty: it has none */
    es_str_t     partner;      /* whose it is; empty: nobody's */
    json_t      *before;       /* NULL: nothing */
    json_t      *after;
} es_audit_change_t;

/*
 * Appends an entry within the write transaction of its change.  The thread's
 * actor and the wall clock are in it.  ES_NOMEM, ES_FULL, ES_IO; ES_CORRUPT:
 * the chain's last entry cannot be read.  After any of them the caller must
 * abort the transaction.
 */
es_rc_t es_audit_append(es_store_t *store, MDB_txn *txn,
    es_audit_chain_t chain, const es_audit_change_t *change);

/* The same in a transaction of its own, for a change that is not in an
   environment.  Call it before the change. */
es_rc_t es_audit_record(es_store_t *store, es_audit_chain_t chain,
    const es_audit_change_t *change);

/* A place in a chain. */
typedef struct {
    uint64_t  sequence;        /* 0: before the first entry */
    uint8_t   hash[ES_AUDIT_HASH];
} es_audit_head_t;

/* An entry as it is stored. */
typedef struct {
    uint64_t  sequence;
    uint8_t   hash[ES_AUDIT_HASH];
    es_str_t  text;            /* valid until the callback returns */
} es_audit_entry_t;

/* The head of a chain that has no entries yet, which is before entry 1. */
void es_audit_begin(uint64_t identity, es_audit_chain_t chain,
    es_audit_head_t *head);

/* Moves the head over the entry, whose `hash` is ignored. */
void es_audit_link(es_audit_head_t *head, uint64_t sequence, es_str_t text);

/* The newest entry of a chain, as it is stored, and the number of entries
   that it has (NULL: not asked).  ES_NOT_FOUND: the environment is not open in
   this handle.  An empty chain has the head of es_audit_begin(). */
es_rc_t es_audit_head(es_store_t *store, es_audit_chain_t chain,
    es_audit_head_t *head, uint64_t *entries);

/* The anchor of a chain.  `text` (NULL: not asked) gets the signed head that
   it was pruned with.  A chain that was not pruned has the head of
   es_audit_begin(), and no text. */
es_rc_t es_audit_anchor(es_store_t *store, es_audit_chain_t chain,
    es_audit_head_t *head, es_buf_t *text);

/*
 * Calls `fn` for each entry after the sequence `after`, in order, with some
 * hundreds in one read transaction.  A result other than ES_OK ends the walk
 * and is returned.  ES_CORRUPT: a record is no entry.
 */
typedef es_rc_t (*es_audit_fn)(void *ctx, const es_audit_entry_t *entry);

es_rc_t es_audit_each(es_store_t *store, es_audit_chain_t chain,
    uint64_t after, es_audit_fn fn, void *ctx);

/*
 * Verifies a chain from its anchor to its end.  Each of the `n` marks, in the
 * order of their sequences, must be a place of the chain.  A mark before the
 * anchor cannot be compared, and counts in `skipped`.
 *
 * ES_CORRUPT with a problem that names the entry: it was changed, removed, or
 * moved; the chain ends before a mark; or a mark has another hash, so that the
 * store or the mark is of a fork.
 */
typedef struct {
    es_audit_head_t  anchor;
    es_audit_head_t  head;     /* the last entry */
    uint64_t         bytes;    /* of all texts and hashes */
    unsigned         skipped;
} es_audit_verdict_t;

es_rc_t es_audit_verify(es_store_t *store, es_audit_chain_t chain,
    const es_audit_head_t *marks, size_t n, es_audit_verdict_t *verdict,
    es_problem_t *problem);

/*
 * The same for entries that come from elsewhere, such as an export: the caller
 * zeroes the check and sets the first part, sets check->head to the anchor,
 * and gives each entry in order.  Outcomes are those of es_audit_verify().
 */
typedef struct {
    es_audit_chain_t        chain;
    const es_audit_head_t  *marks;     /* moves on */
    size_t                  n;
    es_problem_t           *problem;

    es_audit_head_t         head;      /* the last entry */
    uint64_t                bytes;
    unsigned                skipped;
} es_audit_check_t;

es_rc_t es_audit_check_begin(es_audit_check_t *check);
es_rc_t es_audit_check_entry(es_audit_check_t *check,
    const es_audit_entry_t *entry);
es_rc_t es_audit_check_end(const es_audit_check_t *check);

/*
 * Deletes the entries up to `head`, which must be one of them, and makes it
 * the anchor with the text of the signed head that has it.  The store must be
 * open for writing the environment.  ES_NOT_FOUND: it is no entry.
 */
es_rc_t es_audit_prune(es_store_t *store, es_audit_chain_t chain,
    const es_audit_head_t *head, es_str_t text);

#endif /* ES_AUDIT_H */
