/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Stalls: deliveries of an endpoint that do not move, and why.  This is the
 * stored record; dispatcher/stall.c decides when a stall begins and ends.
 *
 * The dispatcher writes a record for each feed of an endpoint that takes no new
 * events or on which some subjects wait.  It also writes one for an endpoint
 * that is sent nothing.  The record is committed together with its cause and
 * deleted when the feed moves again.
 */

#ifndef ES_STALL_H
#define ES_STALL_H

#include <jansson.h>

#include "delivery/delivery.h"
#include "read/reader.h"

typedef enum {
    ES_STALL_NONE = 0,
    ES_STALL_EVENT,            /* ordering "fifo": an event failed, and all
                                  events behind it wait */
    ES_STALL_SUBJECT,          /* ordering "key": the same for some subjects;
                                  other subjects move */
    ES_STALL_FULL,             /* the limit of waiting events is reached */
    ES_STALL_UNREADABLE,       /* an event of the log cannot be read */
    ES_STALL_NUDGE,            /* the nudge was not accepted */
    ES_STALL_SECRET,           /* all feeds: no secret can be used */
    ES_STALL_TOKEN,            /* all feeds: no access token */
    ES_STALL_THROTTLED,        /* all feeds: the receiver asked for a long
                                  pause */
    ES_STALL_PROXY,            /* all endpoints: the proxy does not work */
    ES_STALL_FILES,            /* all endpoints: no file descriptors for
                                  connections */
    ES_STALLS
} es_stall_reason_t;

typedef struct {
    uint32_t  endpoint;        /* 0: of all endpoints */
    uint32_t  feed;            /* 0: of all feeds */
    uint8_t   reason;          /* es_stall_reason_t */
    char      epoch[ES_EPOCH_MAX + 1];
    uint64_t  sequence;        /* of the event at its head; 0: no single
                                  event */
    int64_t   since_ms;
    int64_t   next_ms;         /* next attempt; 0: unknown */
    int64_t   dead_ms;         /* when the event becomes a dead letter if each
                                  attempt fails at once; 0: never */
    uint32_t  attempts;        /* of the event so far */
    int32_t   status;          /* of the last attempt */
    uint32_t  subjects;        /* that wait, up to ES_STALL_SUBJECTS */
} es_stall_t;

#define ES_STALL_SUBJECTS  64

const char *es_stall_name(es_stall_reason_t reason);

/* True if the endpoint or one of its feeds takes no new events, which makes
   "stalled" its state. */
bool es_stall_is_state(es_stall_reason_t reason);

/* Writes a stall in the changeset's commit (delivery.h). */
es_rc_t es_changeset_stall(es_changeset_t *c, const es_stall_t *stall);
/* Deletes one stall; feed 0: the stall of all feeds. */
es_rc_t es_changeset_stall_done(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed);
/* Deletes all stalls of the endpoint. */
es_rc_t es_changeset_stalls_done(es_changeset_t *c, uint32_t endpoint);

/* Walks the stalls by endpoint and feed; endpoint 0: all.  See delivery.h. */
typedef es_rc_t (*es_stall_fn)(void *ctx, const es_stall_t *stall);

es_rc_t es_delivery_each_stall(es_store_t *store, uint32_t endpoint,
    es_stall_fn fn, void *ctx);
/* The stall of exactly this endpoint and feed.  ES_NOT_FOUND. */
es_rc_t es_delivery_stall(es_store_t *store, uint32_t endpoint, uint32_t feed,
    es_stall_t *stall);

/* The stall without its feed, a new reference; NULL: out of memory.  `event`
   is the event at its head, or NULL. */
json_t *es_stall_report(const es_stall_t *stall, const es_event_t *event);

#endif /* ES_STALL_H */
