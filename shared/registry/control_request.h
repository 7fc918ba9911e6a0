/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Control requests: what an operator or a partner requests of the dispatcher.
 *
 * A process writes a request to the registry and rings the bell.  The
 * dispatcher takes each request once and in order.  It commits the number of
 * the last request together with the request's effects, so that a request
 * survives the death of every process and is never done twice.
 */

#ifndef ES_CONTROL_REQUEST_H
#define ES_CONTROL_REQUEST_H

#include "event/cursor.h"

typedef enum {
    ES_CONTROL_REPLAY = 1,     /* go back: send all after the sequence again */
    ES_CONTROL_RESEND,         /* send one event again, and now */
    ES_CONTROL_REDRIVE,        /* try every dead letter again */
    ES_CONTROL_TEST,           /* send a test event, once */
    ES_CONTROL_SKIP,           /* make the event that blocks a lane a dead
                                  letter */
    ES_CONTROL_CANCEL,         /* do not send the waiting events */
    ES_CONTROL_DISCARD,        /* delete dead letters */
    ES_CONTROL_VERIFY          /* check whether the endpoint agrees; sequence 1:
                                  take it as agreed */
} es_control_kind_t;

#define ES_CONTROL_EVENT_MAX  8192

/* Requests that may wait for the dispatcher, because all partners share the
   registry's space.  Those of one partner are a quota. */
#define ES_CONTROL_ENDPOINT_MAX  10        /* of one endpoint */
#define ES_CONTROL_MAX           10000     /* of all endpoints */

typedef struct {
    uint64_t           id;     /* from 1, set by es_control_request_add() */
    es_control_kind_t  kind;
    uint32_t           endpoint;
    uint32_t           partner;    /* its owner */
    uint64_t           max;        /* the owner's quota of requests; not
                                      stored */
    es_str_t           name;       /* of the endpoint, for the audit; not
                                      stored */
    uint32_t           feed;       /* unused by redrive and test; discard: 0
                                      means all feeds */
    char               epoch[ES_EPOCH_MAX + 1];
    uint64_t           sequence;
    int64_t            time_ms;    /* when it was added */
    size_t             event_len;
    char               event[ES_CONTROL_EVENT_MAX + 1];    /* JSON with NUL: the
                                      test event; the user who verifies; for
                                      skip, cancel and discard see clearing.h
                                      */
} es_control_request_t;

/*
 * Adds a request in one durable transaction and sets id and time_ms.  The same
 * transaction deletes requests up to `taken`, which the caller has from
 * es_delivery_control_taken().  ES_CONFLICT or ES_QUOTA with a problem: too
 * many requests wait already.  ES_DENIED: the store is not open with
 * ES_STORE_ADMIN.
 */
es_rc_t es_control_request_add(es_store_t *store, es_control_request_t *request,
    uint64_t taken, es_problem_t *problem);

/* The word of a kind: "replay", "resend", "redrive", "test", "skip", "cancel",
   "discard" or "verify". */
const char *es_control_word(es_control_kind_t kind);

/* The first request after `id`.  ES_NOT_FOUND. */
es_rc_t es_control_request_next(es_store_t *store, uint64_t id,
    es_control_request_t *request);

#endif /* ES_CONTROL_REQUEST_H */
