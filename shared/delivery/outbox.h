/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The outbox of operational events, and what was announced of an endpoint.
 *
 * The dispatcher composes an operational event together with its cause and
 * commits both at once.  After that commit it publishes the event and takes it
 * out of the outbox.  A dispatcher that is killed in between publishes the
 * same event again, and the log finds it by its id: it is neither lost nor
 * stored twice.
 */

#ifndef ES_OUTBOX_H
#define ES_OUTBOX_H

#include "base/base.h"
#include "delivery/delivery.h"

/* The last announcement about a failing endpoint; they come in this order. */
typedef enum {
    ES_FAILING_QUIET = 0,
    ES_FAILING_CIRCUIT,        /* its circuit has opened */
    ES_FAILING_HALF,           /* half of `disable_after` has passed */
    ES_FAILING_DAY,            /* one day of `disable_after` is left */
    ES_FAILING_STOPPED
} es_failing_level_t;

/* An endpoint that has failed since its last success.  A success deletes the
   record. */
typedef struct {
    uint32_t  endpoint;
    uint64_t  revision;        /* of its registry record */
    int64_t   since_ms;        /* first failure; 0: none since the record
                                  changed */
    int64_t   counted_ms;      /* how long attempts have been made since then;
                                  0 again when none is left to make */
    uint32_t  failures;        /* since then */
    uint8_t   level;           /* es_failing_level_t */
    uint8_t   loud;            /* other events failed, not only operational */
} es_failing_t;

/* Writing; see delivery.h.  `number` is the event's number in the outbox. */
es_rc_t es_changeset_outbox_put(es_changeset_t *c, uint64_t number,
    es_str_t feed, es_str_t event);
es_rc_t es_changeset_outbox_done(es_changeset_t *c, uint64_t number);
es_rc_t es_changeset_failing(es_changeset_t *c, const es_failing_t *failing);
es_rc_t es_changeset_failing_done(es_changeset_t *c, uint32_t endpoint);
es_rc_t es_changeset_retention_warned(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed, bool warned);

/* A partner was told of these dates of a version, which `version` is the hash
   of; or it must be told again. */
es_rc_t es_changeset_deprecation_told(es_changeset_t *c, uint32_t partner,
    uint64_t version, int64_t deprecated_ms, int64_t sunset_ms);
es_rc_t es_changeset_deprecation_forget(es_changeset_t *c, uint32_t partner,
    uint64_t version);

/* The number of events dropped from the outbox since the store was made, which
   were never published. */
es_rc_t es_changeset_outbox_dropped(es_changeset_t *c, uint64_t total);

/* Partners were told of the erasures up to this number (log/erased.h). */
es_rc_t es_changeset_erasures_told(es_changeset_t *c, uint64_t number);

/* Deletes announcements and stalls of one feed, or with feed 0 of all feeds.
   */
es_rc_t es_changeset_announced_done(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed);

/*
 * The first event of the outbox after `*number`, which becomes its number.
 * Replaces `feed` and `event`.  ES_NOT_FOUND: no further event.
 */
es_rc_t es_delivery_outbox_next(es_store_t *store, uint64_t *number,
    es_buf_t *feed, es_buf_t *event);

/* The number of the last event in the outbox; 0: it is empty. */
es_rc_t es_delivery_outbox_last(es_store_t *store, uint64_t *number);

/* How many events are in the outbox, and how many have been dropped. */
es_rc_t es_delivery_outbox_count(es_store_t *store, uint64_t *waiting,
    uint64_t *dropped);

/* 0: partners were told of no erasure. */
es_rc_t es_delivery_erasures_told(es_store_t *store, uint64_t *number);

/* ES_NOT_FOUND: the endpoint does not fail. */
es_rc_t es_delivery_failing(es_store_t *store, uint32_t endpoint,
    es_failing_t *failing);
/* Walks those of all endpoints in the order of their numbers; see delivery.h.
   */
typedef es_rc_t (*es_failing_fn)(void *ctx, const es_failing_t *failing);
es_rc_t es_delivery_each_failing(es_store_t *store, es_failing_fn fn,
    void *ctx);
/* True if a failure was announced and the endpoint is not stopped. */
bool es_failing_announced(const es_failing_t *failing);

/* `warned`: a retention warning was sent for the feed. */
es_rc_t es_delivery_retention_warned(es_store_t *store, uint32_t endpoint,
    uint32_t feed, bool *warned);

/* `told`: the partner was told of these dates of the version. */
es_rc_t es_delivery_deprecation_told(es_store_t *store, uint32_t partner,
    uint64_t version, int64_t deprecated_ms, int64_t sunset_ms, bool *told);
/* Walks what partners were told; see delivery.h. */
typedef es_rc_t (*es_deprecation_told_fn)(void *ctx, uint32_t partner,
    uint64_t version);
es_rc_t es_delivery_each_deprecation(es_store_t *store,
    es_deprecation_told_fn fn, void *ctx);

#endif /* ES_OUTBOX_H */
