/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What endpoints have still to be sent, for whoever is about
 * to take it away from them.
 */

#ifndef ES_UNDELIVERED_H
#define ES_UNDELIVERED_H

#include "delivery/delivery.h"
#include "log/feed.h"

typedef struct {
    uint32_t  endpoint;
    char      feed[ES_FEED_MAX + 1];
    bool      away;            /* the place is kept, and not sent anything */
    char      name[ES_FEED_MAX + 1];   /* the endpoint's then, or "" */
    uint64_t  events;          /* after the cursor, in flight, or waiting; those
                                  too that a filter will pass by */
} es_undelivered_t;

typedef struct {
    size_t             n;
    es_undelivered_t  *list;   /* by endpoint and the feed's number */
} es_undelivered_list_t;

/*
 * Every place of an endpoint (0: of every one) on a feed (empty: on every feed
 * that is there), with the events before sequence `before`.  Needs ES_STORE_DELIVERY_READ; free
 * with es_undelivered_free().
 */
es_rc_t es_undelivered_load(es_store_t *store, uint32_t endpoint,
    es_str_t feed, uint64_t before, es_undelivered_list_t *out);
void es_undelivered_free(es_undelivered_list_t *list);

#endif /* ES_UNDELIVERED_H */
