/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Replies of the dispatcher to control requests, and clearings (skip, cancel
 * and discard) that it has under way.
 *
 * The user of a skip, cancel or discard waits for its outcome.  The last
 * ES_CONTROL_REPLIES_MAX replies are kept, with the user, as a record.
 */

#ifndef ES_CONTROL_REPLY_H
#define ES_CONTROL_REPLY_H

#include "delivery/delivery.h"
#include "registry/control_request.h"

#define ES_BY_MAX       64         /* with NUL */
#define ES_CONTROL_REPLIES_MAX  1000

typedef struct {
    uint64_t           id;         /* of the request */
    es_control_kind_t  kind;
    uint32_t           endpoint;
    es_rc_t            rc;         /* ES_OK; ES_CONFLICT: the event does not
                                      block the lane, or the lane is gone;
                                      ES_MISMATCH: `expect` is not the count;
                                      ES_BUSY; ES_NOT_FOUND */
    uint64_t           count;      /* events affected; ES_MISMATCH: events that
                                      would have been */
    int64_t            time_ms;
    char               by[ES_BY_MAX];          /* the user */
    char               detail[ES_REASON_MAX];  /* unless ES_OK */
} es_control_reply_t;

/* A request that the dispatcher does in slices. */
typedef struct {
    bool                  removing;  /* the count was right */
    es_control_request_t  request;
} es_clearing_progress_t;

/* Writing; see delivery.h. */
es_rc_t es_changeset_control_reply(es_changeset_t *c,
    const es_control_reply_t *reply);
/* An endpoint has at most one clearing under way. */
es_rc_t es_changeset_clearing(es_changeset_t *c,
    const es_clearing_progress_t *clear);

/* ES_NOT_FOUND: no reply yet, or it was deleted. */
es_rc_t es_delivery_control_reply(es_store_t *store, uint64_t id,
    es_control_reply_t *reply);
/* ES_NOT_FOUND: no clearing is under way. */
es_rc_t es_delivery_clearing(es_store_t *store, uint32_t endpoint,
    es_clearing_progress_t *clear);

/* Waits for a reply, at most `max_ms`, and blocks.  ES_NOT_FOUND: it has not
   come. */
es_rc_t es_control_reply_wait(es_store_t *store, uint64_t id, int64_t max_ms,
    es_control_reply_t *reply);

/* True if a dispatcher has recently written its heartbeat. */
bool es_dispatcher_runs(es_store_t *store);

#endif /* ES_CONTROL_REPLY_H */
