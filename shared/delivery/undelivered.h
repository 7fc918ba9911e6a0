/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Undelivered events of endpoints, to warn a user who is about to remove an
 * endpoint, a feed or events.
 */

#ifndef ES_UNDELIVERED_H
#define ES_UNDELIVERED_H

#include "delivery/delivery.h"
#include "log/feed.h"

typedef struct {
    uint32_t  endpoint;
    char      feed[ES_FEED_MAX + 1];
    bool      away;            /* the endpoint is away from the feed */
    char      name[ES_FEED_MAX + 1];   /* the endpoint's if it is away, or "" */
    uint64_t  events;          /* after the cursor, in flight, or waiting; with
                                  those that a filter will skip */
} es_undelivered_t;

typedef struct {
    size_t             n;
    es_undelivered_t  *list;   /* by endpoint and the feed's number */
} es_undelivered_list_t;

/*
 * Lists an endpoint's (0: every endpoint's) undelivered events of a feed
 * (empty: of every feed) that have a sequence below `before`.  Needs
 * ES_STORE_DELIVERY_READ.  The caller frees the list after ES_OK.
 */
es_rc_t es_undelivered_load(es_store_t *store, uint32_t endpoint,
    es_str_t feed, uint64_t before, es_undelivered_list_t *out);
void es_undelivered_free(es_undelivered_list_t *list);

#endif /* ES_UNDELIVERED_H */
