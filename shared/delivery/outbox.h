/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Operational events on their way to the log, and what has been
 * announced of an endpoint.
 *
 * An operational event is composed with its cause and recorded in the same
 * commit, in an outbox; the dispatcher publishes it after that commit and
 * then takes it out.  Killed in between, it publishes the same text again,
 * which the log knows by its id: neither lost nor doubled.
 */

#ifndef ES_OUTBOX_H
#define ES_OUTBOX_H

#include "base/base.h"
#include "delivery/delivery.h"

/* What has been announced of an endpoint that fails, in this order. */
typedef enum {
    ES_FAILING_QUIET = 0,
    ES_FAILING_CIRCUIT,        /* its circuit has opened */
    ES_FAILING_HALF,           /* half of `disable_after` has passed */
    ES_FAILING_DAY,            /* a day of it is left */
    ES_FAILING_DISABLED
} es_failing_level_t;

/* An endpoint that has failed and not succeeded since; there is a record only
   as long as that is so. */
typedef struct {
    uint32_t  endpoint;
    uint64_t  revision;        /* of its registry record */
    int64_t   since_ms;        /* first failure; 0: none since a change */
    uint32_t  failures;        /* since then */
    uint8_t   level;           /* es_failing_level_t */
    uint8_t   loud;            /* not only of operational events */
} es_failing_t;

/* Writing; see delivery.h.  `number` is the event's place in the outbox. */
es_rc_t es_changeset_outbox_put(es_changeset_t *c, uint64_t number,
    es_str_t feed, es_str_t event);
es_rc_t es_changeset_outbox_done(es_changeset_t *c, uint64_t number);
es_rc_t es_changeset_failing(es_changeset_t *c, const es_failing_t *failing);
es_rc_t es_changeset_failing_done(es_changeset_t *c, uint32_t endpoint);
es_rc_t es_changeset_retention_warned(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed, bool near);

/* How many events have been dropped from the outbox since the store was made:
   nobody will be told them. */
es_rc_t es_changeset_outbox_dropped(es_changeset_t *c, uint64_t total);

/* Forgets what was announced, and what stands still; of one feed, or with 0
   of all. */
es_rc_t es_changeset_announced_done(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed);

/*
 * The first event in the outbox after `*number`, which becomes its place;
 * `feed` and `event` are replaced.  ES_NOT_FOUND after the last.
 */
es_rc_t es_delivery_outbox_next(es_store_t *store, uint64_t *number,
    es_buf_t *feed, es_buf_t *event);

/* The last place in the outbox that is taken; 0: it is empty. */
es_rc_t es_delivery_outbox_last(es_store_t *store, uint64_t *number);

/* How many events are in the outbox, and how many have been dropped. */
es_rc_t es_delivery_outbox_count(es_store_t *store, uint64_t *waiting,
    uint64_t *dropped);

/* ES_NOT_FOUND: it does not fail. */
es_rc_t es_delivery_failing(es_store_t *store, uint32_t endpoint,
    es_failing_t *failing);
/* Of all endpoints, in the order of their numbers; see delivery.h. */
typedef es_rc_t (*es_failing_fn)(void *ctx, const es_failing_t *failing);
es_rc_t es_delivery_each_failing(es_store_t *store, es_failing_fn fn,
    void *ctx);
/* Whether it was announced to fail, and no success has come since. */
bool es_failing_announced(const es_failing_t *failing);

/* Whether it was announced that retention is near. */
es_rc_t es_delivery_retention_warned(es_store_t *store, uint32_t endpoint,
    uint32_t feed, bool *near);

#endif /* ES_OUTBOX_H */
