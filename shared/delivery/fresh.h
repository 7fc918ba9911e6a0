/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How the webhooks of a feed kept its promise of freshness: a record of the
 * dispatcher for each feed that has promised something, since the feed was
 * made.
 */

#ifndef ES_DELIVERY_FRESH_H
#define ES_DELIVERY_FRESH_H

#include <jansson.h>

#include "base/fresh.h"
#include "delivery/delivery.h"

/* Appends the record of a feed, by its number, to a changeset, or its
   deletion.  ES_NOMEM. */
es_rc_t es_changeset_fresh(es_changeset_t *c, uint32_t feed,
    const es_fresh_t *fresh);
es_rc_t es_changeset_fresh_done(es_changeset_t *c, uint32_t feed);

/* Reads the record.  Without one all counters are 0. */
es_rc_t es_delivery_fresh(es_store_t *store, uint32_t feed,
    es_fresh_t *fresh);

/*
 * The counters as a new JSON object; NULL: out of memory:
 *
 *     kept, missed, excused   numbers
 *     share    kept ÷ (kept + missed); null: neither
 *     worst    in seconds, of those kept and missed; null: none
 */
json_t *es_fresh_report(const es_fresh_t *fresh);

#endif /* ES_DELIVERY_FRESH_H */
