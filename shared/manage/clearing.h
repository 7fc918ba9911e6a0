/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What is asked of events that wait or are dead: to skip one, to
 * cancel what waits, to discard dead letters.
 *
 * The command line and the HTTP API have one form of it, a JSON object; a
 * request (control_request.h) has it with sequences, and with who asks, as its
 * text.
 */

#ifndef ES_CLEARING_H
#define ES_CLEARING_H

#include <jansson.h>

#include "delivery/delivery.h"
#include "event/filter.h"
#include "log/feed.h"
#include "read/reader.h"
#include "registry/control_reply.h"
#include "registry/control_request.h"
#include "registry/registry.h"
#include "store/txn.h"

#define ES_CLEARING_STATUSES  32

typedef struct {
    json_t       *json;            /* that `filter` points into */
    char          by[ES_BY_MAX];   /* "uid 0", "key abcdefghij" */
    bool          dry_run;
    bool          expects;
    uint64_t      expect;          /* how many there must be */
    uint64_t      from;            /* sequences, both inclusive; 0: not named, */
    uint64_t      to;              /* of `from` only where dead letters are */
    es_filter_t   filter;          /* types */
    unsigned      nstatuses;       /* 0: any */
    int32_t       statuses[ES_CLEARING_STATUSES];
    uint32_t      classes;         /* bit by es_attempt_class_t; 0: any */
} es_clearing_t;

/*
 * Makes the request of a kind and its clearing of what was asked:
 *
 *     skip       feed, cursor
 *     cancel     feed, [from, to: cursors, or "latest"], [types], [statuses],
 *                dry_run or expect
 *     discard    [feed, [from, to]], [types], [statuses], [classes],
 *                dry_run or expect
 *
 * request->endpoint is set by the caller.  ES_INVALID with a problem and its
 * pointer.  Free the clearing in any case.
 */
es_rc_t es_clearing_make(es_store_t *store, es_control_kind_t kind,
    json_t *body, const char *by, es_control_request_t *request,
    es_clearing_t *clearing, es_problem_t *problem);
void es_clearing_free(es_clearing_t *clearing);

/* Reads the text of a request.  ES_CORRUPT. */
es_rc_t es_clearing_read(const es_control_request_t *request,
    es_clearing_t *clearing);

/* Whether an event that waits is meant, but for its type. */
bool es_clearing_waits(const es_clearing_t *clearing, uint64_t sequence,
    uint32_t attempts, int32_t status);
/* The same of a dead letter that was there when the request was made. */
bool es_clearing_dead(const es_clearing_t *clearing,
    const es_control_request_t *request, const es_dead_t *dead);
/* Whether the event's type is meant.  One that cannot be read has none. */
bool es_clearing_type(const es_clearing_t *clearing, es_txn_t *txn,
    const es_feed_t *feed, const char *epoch, uint64_t sequence);

/* Events that a lane has still to take and a cancel passes over: those up to
   `*to`, which is the lane's position if there are none. */
uint64_t es_clearing_ahead(const es_clearing_t *clearing, uint64_t position,
    uint64_t last, uint64_t *to);

/* How many events a cancel or a discard is of, as far as it is on disk. */
es_rc_t es_clearing_count(es_store_t *store,
    const es_control_request_t *request,
    const es_clearing_t *clearing, uint64_t *count);

/* Whether the endpoint's lane stands on the event of a skip, as far as it is on
   disk; ES_CONFLICT with a problem. */
es_rc_t es_clearing_stands(es_store_t *store,
    const es_control_request_t *request,
    const es_endpoint_t *endpoint, es_problem_t *problem);

#endif /* ES_CLEARING_H */
