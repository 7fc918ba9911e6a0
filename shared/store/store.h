/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The inside of a store: its environments and databases.
 *
 * For the library's own files.  The store directory:
 *
 *     format       text: type, version, identity and map sizes
 *     bell         written after each commit, see wake.h
 *     log/         LMDB: feeds, events, types; written by publishers
 *     ids/         the (source, id) index, derived from the log, id_index.h
 *     pages/       LMDB: encoded pages, derived from the log, made by workers
 *     encrypted/   LMDB: encrypted fields, derived from the log, made by
 *                  workers, the dispatcher and eventsyncctl
 *     registry/    LMDB: partners, keys, endpoints, event types; written by
 *                  operators
 *     delivery/    LMDB: written by the dispatcher only
 *     checkpoints/ LMDB: consumers' cursors, written by workers
 */

#ifndef ES_STORE_H
#define ES_STORE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "store/env.h"
#include "store/txn.h"

/* Each environment also has "audit" as its late database (audit/audit.h). */

/* Databases of log/ */
#define ES_LOG_FEEDS       0    /* name -> es_feed_record_t */
#define ES_LOG_EVENTS      1    /* feed, last sequence -> chunk.h */
#define ES_LOG_TYPES       2    /* type -> number */
#define ES_LOG_BYTYPE      3    /* feed, type -> first event in a chunk */
#define ES_LOG_META        4    /* counters */
#define ES_LOG_SUBJECTS    5    /* feed, subject -> its latest, subject.h */

/* Databases of registry/ */
#define ES_REGISTRY_OBJECTS  0
#define ES_REGISTRY_META     1
#define ES_REGISTRY_REQUESTS 2
#define ES_REGISTRY_BYPARTNER 3

/* Databases of delivery/ */
#define ES_DELIVERY_PROGRESS  0
#define ES_DELIVERY_RETRIES   1
#define ES_DELIVERY_ATTEMPTS  2
#define ES_DELIVERY_DEAD      3
#define ES_DELIVERY_STOPS     4
#define ES_DELIVERY_META      5
#define ES_DELIVERY_CIRCUITS  6

/* Databases of checkpoints/ */
#define ES_CHECKPOINTS_CHECKPOINTS  0
#define ES_CHECKPOINTS_META         1

#define ES_TYPE_CACHE  64
#define ES_RULE_CACHE  64

typedef struct {
    uint64_t  hash;
    uint32_t  number;          /* 0: the slot is free */
} es_type_slot_t;

/* The rule of a feed, see es_registry_rule(). */
typedef struct {
    uint64_t  version;         /* the registry's, which had it; 0: none */
    uint64_t  rule;            /* the es_feed_rule_t */
    char      feed[ES_FEED_MAX + 1];
} es_rule_slot_t;

/* Of layers above: catalogue/validate.h, log/id_index.h, keys/keyring.h. */
struct es_validator;
struct es_id_index;
struct es_keyring;

typedef struct es_deletions  es_deletions_t;

struct es_store {
    char             *path;
    unsigned          flags;
    uint64_t          identity;        /* random, from the format file */
    _Atomic uint64_t  map_max;         /* bytes; from there, as last read */
    _Atomic bool      plain;           /* the same, see plain_secrets.h */
    es_env_t         *log;
    es_env_t         *registry;
    es_env_t         *delivery;        /* NULL unless asked for */
    es_env_t         *checkpoints;     /* the same */
    int               bell;            /* -1: not writable */
    const char       *program;         /* audit/actor.h; NULL: none */

    pthread_mutex_t   rules_lock;
    es_rule_slot_t    rules[ES_RULE_CACHE];

    struct es_keyring    *ring;        /* NULL: no keys */
    struct es_validator  *validator;   /* compiled schemas */

    _Atomic int       waits;           /* for replies, manage_clear.c */

    es_machine_t      machine;

    /* News that the program polls for its log: store_clock.h, deletions.h. */
    pthread_mutex_t     said_lock;
    es_clock_verdict_t  said;          /* the last verdict that differed */
    bool                say;           /* nobody has taken it yet */
    es_deletions_t     *deletions;     /* a list, one item for each feed */
    _Atomic int64_t     expired_us[2]; /* last entry in the audit about expired
                                          attempts, and about dead letters;
                                          monotonic; 0: none */

    pthread_mutex_t   txns_lock;
    es_txn_t         *txns;            /* transactions that are kept */
    unsigned          reading;         /* transactions that are open */

    /* Only for holders of the log's writer lock. */
    struct es_id_index  *ids;
    es_type_slot_t       types[ES_TYPE_CACHE];
};

/*
 * Opens the file `bell` of the store at `path` for `access` (O_RDONLY or
 * O_WRONLY).  The file may be lost, and is then made again.  Outcomes are
 * those of es_file_open().  The caller closes `*fd`.
 */
es_rc_t es_store_bell(const char *path, int access, int *fd);

/* txn.c: ends the read transactions of the log that are kept.  `ctx` is the
   store. */
void es_txn_drop(void *ctx);

/* deletions.c: frees the counts when the store is closed. */
void es_deletions_free(es_store_t *store);

struct es_txn {
    MDB_txn     *mdb;
    MDB_cursor  *events;
    es_store_t  *store;
    es_txn_t    *next;
    bool         open;         /* between begin and end */
};

#endif /* ES_STORE_H */
