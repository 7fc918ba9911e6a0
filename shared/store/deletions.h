/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Deletions of events, counted until whoever has a log tells them.
 *
 * The library has no log.  What a process deletes of a feed, by retention in a
 * commit or by a command, is added up here; the process asks now and then.
 */

#ifndef ES_DELETIONS_H
#define ES_DELETIONS_H

#include "base/base.h"

typedef enum {
    ES_DELETION_AGE = 0,          /* retention, by its limits */
    ES_DELETION_COUNT,
    ES_DELETION_BYTES,
    ES_DELETION_TRIM,             /* commands */
    ES_DELETION_RESET,
    ES_DELETION_REMOVE,
    ES_DELETION_CAUSES
} es_deletion_cause_t;

/* Room for a sentence of what a process is to tell. */
#define ES_STORE_NEWS_MAX  512

/* "age", "count", "bytes", "trim", "reset", "remove" */
const char *es_deletion_cause_name(es_deletion_cause_t why);

/* Any thread.  Nothing for a count of 0. */
void es_deletions_add(es_store_t *store, const char *feed, uint64_t count,
    es_deletion_cause_t why);

/*
 * The next sentence about deletions, without its point; false: there is none
 * now.  Of a feed and reason the first deletion is told at once, and then the
 * sum of each ten seconds; all that is left with `all`.  Any thread.
 */
bool es_deletions_next(es_store_t *store, bool all, char *text, size_t size);

#endif /* ES_DELETIONS_H */
