/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Describes the figures of a partner's polls of a feed as JSON.
 */

#ifndef ES_POLLS_REPORT_H
#define ES_POLLS_REPORT_H

#include <jansson.h>

#include "limit/polls.h"
#include "log/feed.h"

/*
 * Sets `*report` to a new object:
 *
 *     since, last  times: since when the others count, and the last request
 *     cursor       the furthest that a reader has got to; null: none yet, or
 *                  the feed was reset since
 *     behind       events after it, and
 *     seconds      the age of the first of them (0: there is none); both null
 *                  without a cursor, the second also if retention has deleted
 *                  that event
 *     requests, events, empty    numbers: `empty` answers had no event
 *     batch        mean number of events of an answer that had any; null: none
 *     refused      answers 429
 *     fresh        how the feed's promise was kept: see es_fresh_report()
 *     answers      requests by class of status; `none`: the client left before
 *     channels     of each with requests or events: `requests`, `events` and
 *                  `empty`
 *
 * It reads the feed in a transaction of its own.  ES_NOMEM, or the outcome of
 * a read.
 */
es_rc_t es_polls_report(es_store_t *store, const es_feed_t *feed,
    const es_poll_figures_t *figures, int64_t now_ms, json_t **report);

#endif /* ES_POLLS_REPORT_H */
