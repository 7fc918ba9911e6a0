/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What stands still of an endpoint's deliveries, and why.
 *
 * The dispatcher keeps a record of each feed of an endpoint that takes nothing
 * new, of an endpoint that is sent nothing at all, and of a feed on which
 * subjects stand.  The record goes to disk in the commit of its cause and goes
 * away when the feed moves again.
 */

#ifndef ES_STALL_H
#define ES_STALL_H

#include <jansson.h>

#include "delivery/delivery.h"
#include "read/reader.h"

typedef enum {
    ES_STALL_NONE = 0,
    ES_STALL_EVENT,            /* `fifo`: an event that failed; what is behind
                                  it waits */
    ES_STALL_SUBJECT,          /* `key`: the same of one subject or of more;
                                  other subjects move */
    ES_STALL_FULL,             /* as many events wait as may */
    ES_STALL_UNREADABLE,       /* an event of the log cannot be read */
    ES_STALL_NUDGE,            /* its nudge was not taken */
    ES_STALL_SECRET,           /* of all feeds: no secret can be used */
    ES_STALL_TOKEN,            /* of all feeds: no access token can be had */
    ES_STALL_THROTTLED,        /* of all feeds: the receiver asked for a long
                                  pause */
    ES_STALL_PROXY,            /* of all endpoints: the proxy does not work */
    ES_STALL_FILES,            /* of all endpoints: there are no descriptors
                                  for connections */
    ES_STALLS
} es_stall_reason_t;

typedef struct {
    uint32_t  endpoint;        /* 0: of all endpoints */
    uint32_t  feed;            /* 0: of all feeds */
    uint8_t   reason;          /* es_stall_reason_t */
    char      epoch[ES_EPOCH_MAX + 1];
    uint64_t  sequence;        /* that it stands on; 0: no single event */
    int64_t   since_ms;
    int64_t   next_ms;         /* it is tried again; 0: nobody knows */
    int64_t   dead_ms;         /* the event is a dead letter then, if every
                                  attempt fails at once; 0: never */
    uint32_t  attempts;        /* of the event so far */
    int32_t   status;          /* of the last one */
    uint32_t  subjects;        /* that stand, up to ES_STALL_SUBJECTS */
} es_stall_t;

#define ES_STALL_SUBJECTS  64

const char *es_stall_name(es_stall_reason_t reason);

/* Whether the endpoint, or one of its feeds, takes nothing new. */
bool es_stall_is_state(es_stall_reason_t reason);

/* Writing; see delivery.h.  Of `feed` 0 the second forgets all. */
es_rc_t es_changeset_stall(es_changeset_t *c, const es_stall_t *stall);
es_rc_t es_changeset_stall_done(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed);
es_rc_t es_changeset_stalls_done(es_changeset_t *c, uint32_t endpoint);

/* Reading, by endpoint and feed; endpoint 0: all. */
typedef es_rc_t (*es_stall_fn)(void *ctx, const es_stall_t *stall);

es_rc_t es_delivery_each_stall(es_store_t *store, uint32_t endpoint,
    es_stall_fn fn, void *ctx);
/* Exactly the one; ES_NOT_FOUND: nothing stands there. */
es_rc_t es_delivery_stall(es_store_t *store, uint32_t endpoint, uint32_t feed,
    es_stall_t *stall);

/* The members that tell of the stall but for its feed: a new object, or NULL
   when memory is out.  `event` is the one that it stands on, or NULL. */
json_t *es_stall_report(const es_stall_t *stall, const es_event_t *event);

#endif /* ES_STALL_H */
