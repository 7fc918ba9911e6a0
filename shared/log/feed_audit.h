/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The entries that changes of feeds leave in the audit.
 */

#ifndef ES_FEED_AUDIT_H
#define ES_FEED_AUDIT_H

#include <jansson.h>
#include <lmdb.h>

#include "log/feed.h"

/* Appends an entry about the feed within the transaction of its change.
   `before` and `after` are new references, which it takes; NULL: nothing. */
es_rc_t es_feed_audit(es_store_t *store, MDB_txn *txn, es_str_t feed,
    const char *action, json_t *before, json_t *after);

/* What the feed keeps and how it is packed (feed_pack.h), and its epoch and
   sequences; new references, or NULL without memory. */
json_t *es_feed_audit_settings(const es_feed_t *feed, unsigned pack);
json_t *es_feed_audit_extent(const es_feed_t *feed);

/*
 * The entry of a deletion of events before `target`, of which the first was
 * `oldest`.  It comes with the first events that go, so it may say more than
 * what an interrupted command has deleted, and never less.  Retention leaves an
 * entry only if this process has left none for the feed within an hour.
 */
es_rc_t es_feed_audit_deletion(es_store_t *store, MDB_txn *txn,
    const es_feed_t *feed, uint64_t oldest, uint64_t target,
    es_deletion_cause_t why);

#endif /* ES_FEED_AUDIT_H */
