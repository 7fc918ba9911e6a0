/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Counts of deleted events, for the logs of programs.
 *
 * The library has no log.  It counts here the events that this process deletes
 * from a feed, by retention in a commit or by a command; log/feed.c deletes
 * them.  The program polls
 * es_deletions_next() and writes the sentences to its log.
 */

#ifndef ES_DELETIONS_H
#define ES_DELETIONS_H

#include "base/base.h"

typedef enum {
    ES_DELETION_AGE = 0,          /* by limits of retention */
    ES_DELETION_COUNT,
    ES_DELETION_BYTES,
    ES_DELETION_TRIM,             /* by commands */
    ES_DELETION_RESET,
    ES_DELETION_REMOVE,
    ES_DELETION_CAUSES
} es_deletion_cause_t;

/* Retention leaves at most one entry in the audit within this time, for each
   feed and process, because it deletes all the time. */
#define ES_DELETIONS_AUDIT_US  INT64_C(3600000000)

/* bytes for a sentence */
#define ES_DELETIONS_TEXT_MAX  512

/* Returns the name of a cause: "age", "count", "bytes", "trim", "reset" or
   "remove". */
const char *es_deletion_cause_name(es_deletion_cause_t why);

/* Adds to a count; `count` may be 0.  Any thread. */
void es_deletions_add(es_store_t *store, const char *feed, uint64_t count,
    es_deletion_cause_t why);

/* True if retention should leave an entry in the audit when it next deletes
   from the feed: none was left by this process within the last hour.
   es_deletions_add() begins the hour.  Any thread. */
bool es_deletions_audit_due(es_store_t *store, const char *feed);

/*
 * Writes the next sentence about deletions, without a full stop, and returns
 * true.  False: nothing is due.  For each feed and cause the first deletion is
 * due at once, and later ones once in ten seconds, summed up; with `all`
 * everything is due.  Any thread.
 */
bool es_deletions_next(es_store_t *store, bool all, char *text, size_t size);

#endif /* ES_DELETIONS_H */
