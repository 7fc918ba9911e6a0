/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Counts deleted events for each feed and cause.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "store/store.h"
#include "store/deletions.h"

#define ES_DELETIONS_EVERY_US  10000000

struct es_deletions {
    es_deletions_t  *next;
    char             feed[ES_FEED_MAX + 1];
    uint64_t         counts[ES_DELETION_CAUSES];
    int64_t          told_us[ES_DELETION_CAUSES];  /* monotonic; 0: never */
    int64_t          audited_us;   /* the same: the last entry of retention */
};


const char *
es_deletion_cause_name(es_deletion_cause_t why)
{
    static const char  *const names[ES_DELETION_CAUSES] = {
        [ES_DELETION_AGE] = "age",
        [ES_DELETION_COUNT] = "count",
        [ES_DELETION_BYTES] = "bytes",
        [ES_DELETION_TRIM] = "trim",
        [ES_DELETION_RESET] = "reset",
        [ES_DELETION_REMOVE] = "remove"
    };

    return names[why];
}


static bool
es_deletions_audit_now(const es_deletions_t *d, int64_t now_us)
{
    return d->audited_us == 0
           || now_us - d->audited_us >= ES_DELETIONS_AUDIT_US;
}


/* Called with the lock held. */

static es_deletions_t *
es_deletions_find(es_store_t *store, const char *feed)
{
    es_deletions_t  *d;

    for (d = store->deletions; d != NULL; d = d->next) {
        if (strcmp(d->feed, feed) == 0) {
            break;
        }
    }

    return d;
}


bool
es_deletions_audit_due(es_store_t *store, const char *feed)
{
    bool             due;
    es_deletions_t  *d;

    (void) pthread_mutex_lock(&store->said_lock);

    d = es_deletions_find(store, feed);
    due = d == NULL || es_deletions_audit_now(d, es_clock_mono_us());

    (void) pthread_mutex_unlock(&store->said_lock);

    return due;
}


void
es_deletions_add(es_store_t *store, const char *feed, uint64_t count,
    es_deletion_cause_t why)
{
    es_deletions_t  *d;

    if (count == 0) {
        return;
    }

    (void) pthread_mutex_lock(&store->said_lock);

    d = es_deletions_find(store, feed);

    if (d == NULL) {
        d = calloc(1, sizeof(es_deletions_t));

        if (d != NULL) {
            (void) snprintf(d->feed, sizeof(d->feed), "%s", feed);
            d->next = store->deletions;
            store->deletions = d;
        }
    }

    /* without memory only the log line is lost */

    if (d != NULL) {
        d->counts[why] += count;

        if (why <= ES_DELETION_BYTES
            && es_deletions_audit_now(d, es_clock_mono_us()))
        {
            d->audited_us = es_clock_mono_us();
        }
    }

    (void) pthread_mutex_unlock(&store->said_lock);
}


static bool
es_deletions_due(const es_deletions_t *d, es_deletion_cause_t why, bool all,
    int64_t now_us)
{
    return d->counts[why] > 0
           && (all || d->told_us[why] == 0
               || now_us - d->told_us[why] >= ES_DELETIONS_EVERY_US);
}


bool
es_deletions_next(es_store_t *store, bool all, char *text, size_t size)
{
    bool                 found;
    int64_t              now_us;
    es_deletions_t      *d;
    es_deletion_cause_t  why;

    found = false;
    now_us = es_clock_mono_us();

    (void) pthread_mutex_lock(&store->said_lock);

    for (d = store->deletions; d != NULL && !found; d = d->next) {
        for (why = 0; why < ES_DELETION_CAUSES && !found; why++) {
            if (!es_deletions_due(d, why, all, now_us)) {
                continue;
            }

            (void) snprintf(text, size, "deleted %" PRIu64 " event%s of feed "
                            "\"%s\": %s%s", d->counts[why],
                            d->counts[why] == 1 ? "" : "s", d->feed,
                            why <= ES_DELETION_BYTES ? "retention by " : "",
                            es_deletion_cause_name(why));
            d->counts[why] = 0;
            d->told_us[why] = now_us;
            found = true;
        }
    }

    (void) pthread_mutex_unlock(&store->said_lock);

    return found;
}


void
es_deletions_free(es_store_t *store)
{
    es_deletions_t  *d;

    while ((d = store->deletions) != NULL) {
        store->deletions = d->next;
        free(d);
    }
}
