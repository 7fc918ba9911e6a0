/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A send: one attempt in flight, with libcurl's handle and memory that the
 * next attempt uses again.
 */

#ifndef ESD_SEND_H
#define ESD_SEND_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/base.h"
#include "delivery/verification.h"
#include "event/attribute.h"
#include "keys/signature.h"
#include "registry/registry.h"
#include "trace/context.h"

#include "certificates.h"
#include "channel.h"
#include "destination.h"
#include "item.h"
#include "response.h"
#include "signing.h"
#include "tracing.h"
#include "types.h"

/* Space for all header lines of a request except the endpoint's own. */
#define ESD_HEAD_MAX  (576 + ES_SENDER_MAX + ES_ID_MAX + ES_FEED_MAX                         \
                       + ES_SECRETS_MAX * ES_SIGNATURE_MAX)

/* The elements of libcurl's list of header fields. */
typedef enum {
    ESD_HEAD = 0,              /* the lines in `head` */
    ESD_HEAD_AUTH,
    ESD_HEAD_EXPECT,
    ESD_HEAD_TYPE,
    ESD_HEAD_STATE,
    ESD_HEAD_ATTRS,
    ESD_HEADS
} esd_head_t;

typedef enum {
    ESD_SEND_EVENTS = 0,
    ESD_SEND_NUDGE,
    ESD_SEND_TEST,
    ESD_SEND_TOKEN,
    ESD_SEND_HANDSHAKE,
    ESD_SEND_CHALLENGE
} esd_send_kind_t;

/* Takes the result of an attempt that is over; each kind has one. */
typedef void (*esd_send_fn)(esd_send_t *send, CURLcode result);

struct esd_send {
    esd_dispatcher_t       *d;
    esd_target_t           *target;
    esd_lane_t             *lane;
    TAILQ_ENTRY(esd_send)   link;      /* in a list of the lane or of the
                                          target */
    esd_channel_t          *channel;
    esd_host_t             *host;      /* while it is in flight */
    CURL                   *easy;
    CURLU                  *url;
    long                    version;   /* of HTTP, as libcurl names it */
    uint64_t                revision;  /* of the endpoint when it was set up */
    esd_send_kind_t         kind;
    esd_send_fn             over;      /* libcurl is done with it */
    esd_send_fn             ended;     /* the attempt is over */
    esd_item_t             *items;     /* its events in order; other */
    unsigned                nitems;    /* kinds have none */
    esd_traced_t           *events;    /* their traces; NULL: without --otlp */
    unsigned                nflying;   /* counted in lane->nflying */
    uint64_t                upto;      /* nudge: the last event it covers;
                                          test: number of the request */
    uint32_t                attempt;   /* from 1 */
    es_buf_t                body;
    es_buf_t                event;     /* one of them, see message.c */
    es_buf_t                type;      /* of a body that is data only: the
                                          line of Content-Type; else empty */
    es_buf_t                attrs;     /* binary mode: its lines; else empty */
    es_buf_t                ids;       /* of the events, a NUL after each */
    es_buf_t                answer;    /* token, challenge: the body of it */
    es_buf_t                auth;      /* its copy of target->token.line */
    const char             *own;       /* in `head`: the lines of the endpoint's
                                          own headers; NULL: none */
    bool                    traced;    /* the request is part of a trace, */
    bool                    told;      /* and tells the receiver of it */
    es_trace_t              trace;     /* with the span of this attempt */
    es_buf_t                state;     /* the line of tracestate; else empty */
    es_buf_t                traces;    /* with --log-attempts: the trace id of
                                          each event, or zeros */
    esd_signing_t          *signing;   /* signatures in progress, or NULL */
    bool                    proxied;
    esd_destination_t       destination;
    es_failure_t            simulate;  /* the simulated failure, or NONE */
    size_t                  truncated; /* bytes of the body that were sent */
    bool                    retry;     /* counted in target->retrying */
    bool                    again;     /* goes out a second time */
    bool                    doubted;   /* counted in d->doubted */
    TAILQ_ENTRY(esd_send)   in_trickles;
    int64_t                 trickle_us; /* monotonic: deadline; 0: none */
    int64_t                 sent_ms;
    int64_t                 sent_us;   /* monotonic */

    esd_handshake_t         handshake; /* of a connection made for it */

    /* The answer so far. */
    bool                    refused;   /* an address that is not allowed */
    bool                    starved;   /* no descriptor was available */
    bool                    overflow;  /* headers over the limit or not of
                                          HTTP: no status counts */
    size_t                 header_bytes;
    size_t                 read_bytes;
    unsigned               first_len;
    char                   first[ESD_BODY_FIRST];
    char                   error[CURL_ERROR_SIZE];   /* of no answer */

    struct curl_slist      heads[ESD_HEADS];
    char                   head[];     /* ESD_HEAD_MAX, and its own headers */
};

/* True for the requests that have the token and header values of the endpoint,
   because its receiver has agreed. */
static inline bool
esd_send_trusts(const esd_send_t *send)
{
    return send->kind != ESD_SEND_TOKEN
           && send->kind != ESD_SEND_HANDSHAKE
           && send->kind != ESD_SEND_CHALLENGE;
}

/* An idle send of the endpoint; NULL: out of memory.  It stays idle until
   esd_send_start(). */
esd_send_t *esd_send_get(esd_dispatcher_t *d, esd_target_t *target);
/* A new idle send for another URL than the endpoint's. */
esd_send_t *esd_send_create(esd_dispatcher_t *d, esd_target_t *target,
    const char *url);
/* Hands the message to libcurl, at once or when it is signed.  `lane` is NULL
   for a test event or a token.  `ended` is called once, when the attempt is
   over; it calls esd_send_end().  It is not called when someone else calls
   that before.  A request on a kept connection that ends without an answer
   goes out once more on a new one before the attempt is over. */
es_rc_t esd_send_start(esd_send_t *send, esd_lane_t *lane,
    esd_send_fn ended);
/* Takes the send from libcurl and from its lane; it is idle again. */
void esd_send_end(esd_send_t *send);
/* Frees an idle send. */
void esd_send_destroy(esd_send_t *send);

#endif /* ESD_SEND_H */
