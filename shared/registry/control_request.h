/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What an operator or a partner asks of the dispatcher.
 *
 * A request is written to the registry, which rings the bell; the dispatcher
 * takes each one once, in order, and records the number of the last one
 * together with what it did.  So a request outlives every process, and asks
 * nothing of who made it.
 */

#ifndef ES_CONTROL_REQUEST_H
#define ES_CONTROL_REQUEST_H

#include "event/cursor.h"

typedef enum {
    ES_CONTROL_REPLAY = 1,     /* go back: send all after the sequence again */
    ES_CONTROL_RESEND,         /* send one event again, and now */
    ES_CONTROL_REDRIVE,        /* try every dead letter again */
    ES_CONTROL_TEST,           /* send an event that is of no feed, once */
    ES_CONTROL_SKIP,           /* make the event that a lane stands on a dead
                                  letter */
    ES_CONTROL_CANCEL,         /* do not send what waits */
    ES_CONTROL_DISCARD         /* forget dead letters */
} es_control_kind_t;

#define ES_CONTROL_EVENT_MAX  8192

typedef struct {
    uint64_t           id;     /* from 1, given by es_control_request_add() */
    es_control_kind_t  kind;
    uint32_t           endpoint;
    uint32_t           feed;       /* these: of a replay, a resend, a skip and
                                      a cancel; of a discard, or 0: all */
    char               epoch[ES_EPOCH_MAX + 1];
    uint64_t           sequence;
    int64_t            time_ms;    /* when it was made */
    size_t             event_len;  /* test: JSON, NUL-terminated as well; and
                                      of the last three, see clearing.h */
    char               event[ES_CONTROL_EVENT_MAX + 1];
} es_control_request_t;

/*
 * One durable transaction; sets id and time_ms.  Requests up to `taken`, which
 * es_delivery_control_taken() tells, are dropped with it.  ES_DENIED: the store
 * is not open with ES_STORE_ADMIN.
 */
es_rc_t es_control_request_add(es_store_t *store, es_control_request_t *request,
    uint64_t taken);

/* The first request after `id`.  ES_NOT_FOUND. */
es_rc_t es_control_request_next(es_store_t *store, uint64_t id,
    es_control_request_t *request);

#endif /* ES_CONTROL_REQUEST_H */
