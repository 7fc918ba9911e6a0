/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Clearings: skip an event, cancel waiting events, discard dead letters.
 *
 * The command line and the HTTP API describe a clearing by the same JSON
 * object.  A control request (control_request.h) has it as its text, with
 * sequences instead of cursors, and with the user.
 *
 * clearing.c makes and reads clearings; clearing_match.c finds the events.
 * dispatcher/clearing.c carries them out.
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
    uint64_t      expect;          /* the number of events that it must match */
    uint64_t      from;            /* first sequence; 0: not given, which only a
                                      discard may have */
    uint64_t      to;              /* last sequence; 0: not given */
    es_filter_t   filter;          /* types */
    unsigned      nstatuses;       /* 0: any */
    int32_t       statuses[ES_CLEARING_STATUSES];
    uint32_t      classes;         /* bit by es_attempt_class_t; 0: any */
} es_clearing_t;

/*
 * Makes the request of a kind and its clearing from the members of `body`:
 *
 *     skip       feed, cursor
 *     cancel     feed, [from, to: cursors, or "latest"], [types], [statuses],
 *                dry_run or expect
 *     discard    [feed, [from, to]], [types], [statuses], [classes],
 *                dry_run or expect
 *
 * The caller has set request->endpoint.  ES_INVALID with a problem and its
 * pointer.  The caller frees the clearing in any case.
 */
es_rc_t es_clearing_make(es_store_t *store, es_control_kind_t kind,
    json_t *body, const char *by, es_control_request_t *request,
    es_clearing_t *clearing, es_problem_t *problem);
void es_clearing_free(es_clearing_t *clearing);

/* Reads the clearing of a request.  ES_CORRUPT. */
es_rc_t es_clearing_read(const es_control_request_t *request,
    es_clearing_t *clearing);

/* True if the clearing matches a waiting event, apart from its type. */
bool es_clearing_waits(const es_clearing_t *clearing, uint64_t sequence,
    uint32_t attempts, int32_t status);
/* The same for a dead letter.  Those newer than the request do not match. */
bool es_clearing_dead(const es_clearing_t *clearing,
    const es_control_request_t *request, const es_feed_t *feed,
    const es_dead_t *dead);
/* True if the clearing matches the event's type.  An event that cannot be read
   matches only a clearing without types. */
bool es_clearing_type(const es_clearing_t *clearing, es_txn_t *txn,
    const es_feed_t *feed, const char *epoch, uint64_t sequence);

/* The number of events that a lane has not read yet and a cancel skips.  `to`
   is the last of them, or the lane's position. */
uint64_t es_clearing_ahead(const es_clearing_t *clearing, uint64_t position,
    uint64_t last, uint64_t *to);

/* The number of events that a cancel or discard matches on disk. */
es_rc_t es_clearing_count(es_store_t *store,
    const es_control_request_t *request,
    const es_clearing_t *clearing, uint64_t *count);

/* Checks on disk that the event of a skip blocks the endpoint's lane.
   ES_CONFLICT with a problem. */
es_rc_t es_clearing_blocks(es_store_t *store,
    const es_control_request_t *request,
    const es_endpoint_t *endpoint, es_problem_t *problem);

#endif /* ES_CLEARING_H */
