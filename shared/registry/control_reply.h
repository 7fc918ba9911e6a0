/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the dispatcher made of a request, and requests that it is
 * still at.
 *
 * Of a skip, a cancel and a discard whoever asked wants to know the outcome;
 * the last thousand are kept, with who asked.
 */

#ifndef ES_CONTROL_REPLY_H
#define ES_CONTROL_REPLY_H

#include "delivery/delivery.h"
#include "registry/control_request.h"

#define ES_BY_MAX       64         /* with a NUL */
#define ES_CONTROL_REPLIES_MAX  1000

typedef struct {
    uint64_t           id;         /* the request's */
    es_control_kind_t  kind;
    uint32_t           endpoint;
    es_rc_t            rc;         /* ES_OK; ES_CONFLICT: the lane does not
                                      stand there, or is gone; ES_MISMATCH: the
                                      count is another; ES_BUSY; ES_NOT_FOUND */
    uint64_t           count;      /* of events: that it was done to, or with
                                      ES_MISMATCH that it would have been */
    int64_t            time_ms;
    char               by[ES_BY_MAX];
    char               detail[ES_REASON_MAX];  /* of what is not ES_OK */
} es_control_reply_t;

/* A request that is being done in slices. */
typedef struct {
    bool                  removing;  /* its count was found right */
    es_control_request_t  request;
} es_clearing_progress_t;

/* Writing; see delivery.h. */
es_rc_t es_changeset_control_reply(es_changeset_t *c,
    const es_control_reply_t *reply);
/* One of an endpoint at a time. */
es_rc_t es_changeset_clearing(es_changeset_t *c,
    const es_clearing_progress_t *clear);

/* ES_NOT_FOUND: there is none yet, or none any more. */
es_rc_t es_delivery_control_reply(es_store_t *store, uint64_t id,
    es_control_reply_t *reply);
/* ES_NOT_FOUND: there is none. */
es_rc_t es_delivery_clearing(es_store_t *store, uint32_t endpoint,
    es_clearing_progress_t *clear);

/* Waits for a reply, at most so long.  ES_NOT_FOUND: it has not come.
   Blocks. */
es_rc_t es_control_reply_wait(es_store_t *store, uint64_t id, int64_t max_ms,
    es_control_reply_t *reply);

/* A dispatcher has written its heartbeat lately. */
bool es_dispatcher_runs(es_store_t *store);

#endif /* ES_CONTROL_REPLY_H */
