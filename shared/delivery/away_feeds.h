/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Away feeds and losses: positions kept on feeds that an endpoint is no longer
 * sent, and events that an endpoint will never be sent.
 *
 * When an endpoint loses a feed, its progress and retries stay, and a record
 * says since when it is away.  If the endpoint gets the feed back in time, it
 * continues there (docs/dispatcher.md, "Where an endpoint starts").
 */

#ifndef ES_AWAY_FEEDS_H
#define ES_AWAY_FEEDS_H

#include "delivery/delivery.h"

/* How long the position is kept. */
#define ES_AWAY_MS  (30LL * 24 * 3600 * 1000)

/* A feed that the endpoint is no longer sent.  The names are those of the time
   when it lost the feed, because the records may be removed since. */
typedef struct {
    uint32_t  endpoint;
    uint32_t  feed;
    int64_t   since_ms;        /* wall clock */
    char      name[ES_FEED_MAX + 1];
    char      feed_name[ES_FEED_MAX + 1];
    char      operations[ES_FEED_MAX + 1];     /* the feed of the partner's
                                                  operational events, or "" */
} es_away_t;

/* Why events were lost; operational events have it as a word. */
typedef enum {
    ES_LOSS_RETENTION = 0,     /* retention or a trim deleted them */
    ES_LOSS_RESET,             /* the feed was reset and has a new epoch */
    ES_LOSS_REMOVED,           /* the feed was removed */
    ES_LOSS_AWAY,              /* the feed was away for ES_AWAY_MS */
    ES_LOSS_REASONS
} es_loss_reason_t;

const char *es_loss_reason_name(es_loss_reason_t reason);

/* Events of one epoch that were lost.  The record exists until an operational
   event has reported them. */
typedef struct {
    uint32_t          endpoint;
    uint32_t          feed;
    char              epoch[ES_EPOCH_MAX + 1];
    es_loss_reason_t  reason;
    uint64_t          count;   /* 0: none */
    uint64_t          from;    /* sequence of the first */
    uint64_t          to;      /* and of the last */
} es_loss_t;

/* Writing; see delivery.h.  Feed 0 means all feeds of the endpoint. */
es_rc_t es_changeset_away(es_changeset_t *c, const es_away_t *away);
es_rc_t es_changeset_away_done(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed);
es_rc_t es_changeset_loss(es_changeset_t *c, const es_loss_t *loss);
es_rc_t es_changeset_loss_done(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed);
/* The number of events lost since the store was made. */
es_rc_t es_changeset_lost(es_changeset_t *c, uint64_t total);

/* Reading; walks as those of delivery.h. */
typedef es_rc_t (*es_away_fn)(void *ctx, const es_away_t *away);
typedef es_rc_t (*es_loss_fn)(void *ctx, const es_loss_t *loss);

es_rc_t es_delivery_each_away(es_store_t *store, uint32_t endpoint,
    es_away_fn fn, void *ctx);
es_rc_t es_delivery_each_loss(es_store_t *store, es_loss_fn fn, void *ctx);
/* 0 without a record. */
es_rc_t es_delivery_lost(es_store_t *store, uint64_t *total);

#endif /* ES_AWAY_FEEDS_H */
