/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What was deleted of which feed, and why; see deletions.h.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "store/store.h"
#include "store/deletions.h"

#define ES_TAKEN_EVERY_US  10000000

struct es_taken {
    es_taken_t  *next;
    char         feed[ES_FEED_MAX + 1];
    uint64_t     counts[ES_TAKEN_WHYS];
    int64_t      told_us[ES_TAKEN_WHYS];   /* monotonic; 0: never */
};


const char *
es_taken_name(es_taken_why_t why)
{
    static const char  *const names[ES_TAKEN_WHYS] = {
        "age", "count", "bytes", "trim", "reset", "remove"
    };

    return names[why];
}


void
es_taken_add(es_store_t *store, const char *feed, uint64_t count,
    es_taken_why_t why)
{
    es_taken_t  *taken;

    if (count == 0) {
        return;
    }

    (void) pthread_mutex_lock(&store->said_lock);

    for (taken = store->taken; taken != NULL; taken = taken->next) {
        if (strcmp(taken->feed, feed) == 0) {
            break;
        }
    }

    if (taken == NULL) {
        taken = calloc(1, sizeof(es_taken_t));

        if (taken != NULL) {
            (void) snprintf(taken->feed, sizeof(taken->feed), "%s", feed);
            taken->next = store->taken;
            store->taken = taken;
        }
    }

    /* without memory the log lacks a line, and the log alone */

    if (taken != NULL) {
        taken->counts[why] += count;
    }

    (void) pthread_mutex_unlock(&store->said_lock);
}


static bool
es_taken_due(const es_taken_t *taken, es_taken_why_t why, bool all,
    int64_t now_us)
{
    return taken->counts[why] > 0
           && (all || taken->told_us[why] == 0
               || now_us - taken->told_us[why] >= ES_TAKEN_EVERY_US);
}


bool
es_store_taken(es_store_t *store, bool all, char *text, size_t size)
{
    bool             found;
    int64_t          now_us;
    es_taken_t      *taken;
    es_taken_why_t   why;

    found = false;
    now_us = es_clock_mono_us();

    (void) pthread_mutex_lock(&store->said_lock);

    for (taken = store->taken; taken != NULL && !found; taken = taken->next) {
        for (why = 0; why < ES_TAKEN_WHYS && !found; why++) {
            if (!es_taken_due(taken, why, all, now_us)) {
                continue;
            }

            (void) snprintf(text, size, "deleted %" PRIu64 " events of feed "
                            "\"%s\": %s%s", taken->counts[why], taken->feed,
                            why <= ES_TAKEN_BYTES ? "retention by " : "",
                            es_taken_name(why));
            taken->counts[why] = 0;
            taken->told_us[why] = now_us;
            found = true;
        }
    }

    (void) pthread_mutex_unlock(&store->said_lock);

    return found;
}


void
es_taken_free(es_store_t *store)
{
    es_taken_t  *taken;

    while ((taken = store->taken) != NULL) {
        store->taken = taken->next;
        free(taken);
    }
}
