/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The status of all of a partner's endpoints and feeds, as one JSON object.
 *
 * It costs some look-ups for each endpoint and each feed that an endpoint is
 * sent, however many attempts and events there are.
 */

#ifndef ES_PARTNER_STATUS_H
#define ES_PARTNER_STATUS_H

#include "base/base.h"
#include "limit/polls.h"
#include "manage/manage.h"

#define ES_PARTNER_STATUS_DEAD  100    /* dead letters that are counted */

typedef struct {
    es_str_t       partner;
    uint32_t       number;     /* of the partner */
    const es_polls_t
                  *polls;      /* figures of polls; NULL: none are kept */
    es_narrow_t    narrow;     /* endpoints of other feeds are invisible */
    /* True if the credential may read the feed. */
    bool         (*reads)(void *ctx, es_str_t feed);
    void          *ctx;
} es_partner_status_t;

/*
 * Appends the object to `out`, which the caller frees:
 *
 *     time        of this status
 *     dispatcher  when it was seen last; null: never
 *     endpoints   name, origin of the URL, state, `stopped` (the reason),
 *                 `waiting` and `held` events, the time of the `next` attempt,
 *                 `dead_letters`, `deliveries` (for each feed: the cursor, how
 *                 many events and seconds the endpoint is behind, when
 *                 retention takes the first of these), and `figures`, see
 *                 es_figures_summary(); a key that is narrowed to feeds does
 *                 not get the last
 *     feeds       name, oldest and latest cursor, time of the latest event,
 *                 `fresh_within` (the promise in seconds, or null), and
 *                 `polls`, see es_polls_report(); null: there were none
 *
 *     deprecations    versions of event types: see es_deprecation_report()
 *
 * It examines `examined` records.  ES_NOMEM, or the outcome of a read.
 */
es_rc_t es_partner_status(es_store_t *store, const es_partner_status_t *q,
    es_buf_t *out, unsigned *examined);

#endif /* ES_PARTNER_STATUS_H */
