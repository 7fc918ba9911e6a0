/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Delivery state: for each endpoint and feed a cursor and its exceptions
 * (events in flight and retries), attempts, dead letters, stops and circuits.
 *
 * Only the dispatcher writes, and a lock on the file `delivery/owner` keeps it
 * a single process.  All processes may read.  The dispatcher collects changes
 * in a changeset and commits them together with es_delivery_commit().
 *
 * delivery.c implements the reads, changeset.c the writes and expire.c the
 * deletions by age.  Other records of the same environment have headers of
 * their own: outbox.h, stall.h, away_feeds.h, tally.h, verification.h,
 * figures.h, certificates.h and registry/control_reply.h.
 */

#ifndef ES_DELIVERY_H
#define ES_DELIVERY_H

#include "event/cursor.h"

#define ES_INFLIGHT_MAX  256
#define ES_REASON_MAX    96

/* Invariant I7: every event up to `sequence` is delivered, dead or does not
   match the filter, or it is in `pending` (in flight at the commit), or it has
   a retry record. */
typedef struct {
    uint32_t  endpoint;
    uint32_t  feed;
    char      epoch[ES_EPOCH_MAX + 1];
    uint64_t  sequence;
    uint64_t  matched;         /* last sequence that matched; the next event
                                  has it as prevcursor */
    unsigned  npending;
    uint64_t  pending[ES_INFLIGHT_MAX];
    uint64_t  pending_prev[ES_INFLIGHT_MAX];    /* their prevcursors */
    uint64_t  pending_batch[ES_INFLIGHT_MAX];   /* the first events of their
                                                   batches; 0: sent alone */
} es_progress_t;

/* The sequence up to which no event is in flight.  Retries may be older. */
uint64_t es_progress_done(const es_progress_t *progress);

typedef struct {
    uint32_t  endpoint;
    uint32_t  feed;
    uint64_t  sequence;
    uint32_t  attempts;        /* steps of the schedule that it has taken */
    int32_t   status;          /* last HTTP status; 0: none */
    int64_t   deferred_ms;     /* wall clock since which its receiver has only
                                  answered 429 or 503; 0: it has not */
    int64_t   next_ms;         /* wall clock of the next attempt */
    int64_t   first_ms;        /* wall clock of the first attempt */
    uint64_t  prevcursor;      /* sequence sent as prevcursor */
    uint64_t  batch;           /* first event of its batch; 0: sent alone */
} es_retry_t;

/* True while an earlier event of its subject holds it: it was never sent. */
static inline bool
es_retry_held(const es_retry_t *retry)
{
    return retry->attempts == 0 && retry->deferred_ms == 0;
}

/* The outcome of an attempt; logs and the HTTP API have it as a word. */
typedef enum {
    ES_ATTEMPT_OK = 0,
    ES_ATTEMPT_STATUS,         /* a response other than 2xx */
    ES_ATTEMPT_REDIRECT,
    ES_ATTEMPT_DNS,
    ES_ATTEMPT_CONNECT,
    ES_ATTEMPT_ADDRESS,        /* address not allowed */
    ES_ATTEMPT_TLS,
    ES_ATTEMPT_TIMEOUT,
    ES_ATTEMPT_RESET,          /* connection lost */
    ES_ATTEMPT_PROTOCOL,       /* not HTTP, headers too large */
    ES_ATTEMPT_INTERNAL,
    ES_ATTEMPT_SIMULATED,      /* a simulated failure; nothing was sent */
    ES_ATTEMPT_PROXY,          /* the operator's proxy failed; it does not count
                                  as an attempt of the event */
    ES_ATTEMPT_TOKEN,          /* no access token */
    ES_ATTEMPT_SKIPPED,        /* not sent: the event was skipped on request */
    ES_ATTEMPT_UNVERIFIED,     /* the answer to a check does not agree; or a
                                  test event, not sent: the endpoint has not
                                  agreed */
    ES_ATTEMPT_CLASSES
} es_attempt_class_t;

const char *es_attempt_class_name(es_attempt_class_t c);

#define ES_ATTEMPT_REUSED  0x01    /* the connection was reused */
#define ES_ATTEMPT_TEST    0x02    /* a test event: `sequence` is the number of
                                      the request for it, `feed` is 0 */
#define ES_ATTEMPT_NUDGE   0x04    /* a nudge up to `sequence` */
#define ES_ATTEMPT_SIMULATED_FLAG  0x08    /* a failure was simulated */
#define ES_ATTEMPT_FETCH   0x10    /* a request for an access token; `sequence`
                                      and `feed` are 0 */
#define ES_ATTEMPT_CHECK   0x20    /* of a verification; likewise */

typedef struct {
    uint32_t  endpoint;
    uint32_t  feed;
    uint64_t  sequence;
    int64_t   time_ms;         /* when it was sent */
    uint32_t  latency_us;
    uint32_t  attempt;         /* from 1 */
    int32_t   status;
    uint8_t   class;           /* es_attempt_class_t */
    uint8_t   flags;           /* ES_ATTEMPT_... */
    uint16_t  body_len;
    char      body[256];       /* see es_attempt_bytes() */
} es_attempt_t;

/* What the bytes of an attempt are. */
typedef enum {
    ES_BYTES_BODY = 0,         /* the first bytes of the response's body */
    ES_BYTES_CAUSE,            /* no response: the cause (hint.h), or nothing */
    ES_BYTES_LOCATION          /* a redirect: its Location, or nothing */
} es_attempt_bytes_t;

static inline es_attempt_bytes_t
es_attempt_bytes(const es_attempt_t *attempt)
{
    return attempt->flags & ES_ATTEMPT_FETCH ? ES_BYTES_BODY
           : attempt->status == 0 ? ES_BYTES_CAUSE
           : attempt->class == ES_ATTEMPT_REDIRECT ? ES_BYTES_LOCATION
           : ES_BYTES_BODY;
}

typedef struct {
    uint32_t  endpoint;
    uint32_t  feed;
    char      epoch[ES_EPOCH_MAX + 1];
    uint64_t  sequence;
    uint64_t  prevcursor;      /* sequence sent as prevcursor */
    int64_t   time_ms;
    uint32_t  attempts;
    int32_t   status;
    uint8_t   class;
    char      reason[ES_REASON_MAX];   /* NUL-terminated, e.g. "the schedule
                                          has ended"; may be empty */
} es_dead_t;

/* Stops an endpoint until the revision of its registry record changes. */
typedef struct {
    uint32_t  endpoint;
    uint64_t  revision;        /* of the registry record */
    int64_t   time_ms;
    char      reason[64];      /* NUL-terminated, e.g. "410 Gone" */
} es_stop_t;

/* An open circuit: the endpoint is sent only probes.  A closed circuit has no
   record. */
typedef struct {
    uint32_t  endpoint;
    uint32_t  trips;           /* failed probes, plus one */
    uint32_t  failures;        /* failed attempts in a row */
    int64_t   since_ms;        /* wall clock of the first of these */
    int64_t   next_ms;         /* wall clock of the next probe */
} es_circuit_t;

/* ---- writing: a changeset, built on one thread, committed on any ---- */

typedef struct es_changeset  es_changeset_t;

es_changeset_t *es_changeset_create(void);
void es_changeset_destroy(es_changeset_t *changes);
void es_changeset_clear(es_changeset_t *changes);
bool es_changeset_empty(const es_changeset_t *changes);

/* Moves the changes of `later` to the end of `c`; ES_NOMEM: both stay. */
es_rc_t es_changeset_join(es_changeset_t *c, es_changeset_t *later);

/* Each function appends one change.  ES_NOMEM.  Of two changes of one record
   the later holds. */
es_rc_t es_changeset_progress(es_changeset_t *c, const es_progress_t *progress);
es_rc_t es_changeset_retry(es_changeset_t *c, const es_retry_t *retry);
es_rc_t es_changeset_retry_done(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed, uint64_t sequence);
es_rc_t es_changeset_attempt(es_changeset_t *c, const es_attempt_t *attempt);
es_rc_t es_changeset_dead(es_changeset_t *c, const es_dead_t *dead);
/* Deletes the dead letter of an event. */
es_rc_t es_changeset_dead_done(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed, const char *epoch, uint64_t sequence);
/* The same for all dead letters of the epoch after this sequence. */
es_rc_t es_changeset_dead_after(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed, const char *epoch, uint64_t sequence);
es_rc_t es_changeset_stop(es_changeset_t *c, const es_stop_t *stop);
/* An entry in the audit of delivery/, in the commit of the changes: what the
   dispatcher has done with a partner's endpoint.  `request`: the control request that
   asked for it; 0: none.  `reason` may be NULL. */
es_rc_t es_changeset_audit(es_changeset_t *c, const char *action,
    const char *partner, const char *endpoint, uint64_t request,
    const char *reason);
es_rc_t es_changeset_circuit(es_changeset_t *c, const es_circuit_t *circuit);
es_rc_t es_changeset_circuit_closed(es_changeset_t *c, uint32_t endpoint);
es_rc_t es_changeset_heartbeat(es_changeset_t *c, int64_t now_ms);
/* The number of the last control request that the dispatcher has taken. */
es_rc_t es_changeset_control_taken(es_changeset_t *c, uint64_t id);
/* Dead letters up to `until_ms` are being tried again; 0: the redrive has
   ended. */
es_rc_t es_changeset_redrive(es_changeset_t *c, uint32_t endpoint,
    int64_t until_ms);
/* Deletes all records of a removed endpoint but its attempts. */
es_rc_t es_changeset_forget(es_changeset_t *c, uint32_t endpoint);
/* Deletes progress and retries of a feed that the endpoint is no longer sent.
   */
es_rc_t es_changeset_forget_feed(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed);
/* Forgets the request that is being done for the endpoint: control_reply.h. */
es_rc_t es_changeset_clearing_done(es_changeset_t *c, uint32_t endpoint);

/* One durable commit, after which the changeset is empty.  Blocks for the
   disk: call it from a helper thread.  After a failure nothing was written and
   the changeset is unchanged. */
es_rc_t es_delivery_commit(es_store_t *store, es_changeset_t *changes);

/* Deletes up to `max` attempts older than `before_ms`.  `more`: it deleted
   `max`, and there may be others. */
es_rc_t es_delivery_expire(es_store_t *store, int64_t before_ms, unsigned max,
    bool *more);

/* The position of an attempt among those of its endpoint. */
typedef struct {
    int64_t   time_ms;
    uint32_t  feed;
    uint64_t  sequence;
    uint32_t  attempt;
} es_attempt_position_t;

/* The position of a dead letter; zeroed: before the first. */
typedef struct {
    uint32_t  endpoint;
    uint32_t  feed;
    char      epoch[ES_EPOCH_MAX + 1];
    uint64_t  sequence;
} es_dead_position_t;

/* Reads up to `max` dead letters from `position` on and deletes those older
   than `before_ms`; `dropped` is their number.  `position` moves to the next,
   and after the last back to the first. */
es_rc_t es_delivery_expire_dead(es_store_t *store, int64_t before_ms,
    unsigned max, es_dead_position_t *position, unsigned *dropped);

/* ---- reading: a walk calls `fn` for each record of the endpoint (0: of all)
   in the order of keys, in one read transaction.  A result of `fn` other than
   ES_OK ends the walk and is returned. ---- */

typedef es_rc_t (*es_progress_fn)(void *ctx, const es_progress_t *progress);
typedef es_rc_t (*es_retry_fn)(void *ctx, const es_retry_t *retry);
typedef es_rc_t (*es_attempt_fn)(void *ctx, const es_attempt_t *attempt);
typedef es_rc_t (*es_dead_fn)(void *ctx, const es_dead_t *dead);
typedef es_rc_t (*es_stop_fn)(void *ctx, const es_stop_t *stop);
typedef es_rc_t (*es_circuit_fn)(void *ctx, const es_circuit_t *circuit);

es_rc_t es_delivery_each_progress(es_store_t *store, uint32_t endpoint,
    es_progress_fn fn, void *ctx);
es_rc_t es_delivery_each_retry(es_store_t *store, uint32_t endpoint,
    es_retry_fn fn, void *ctx);
es_rc_t es_delivery_each_attempt(es_store_t *store, uint32_t endpoint,
    es_attempt_fn fn, void *ctx);
/* The endpoint's attempts from the newest to the oldest, from the first one
   older than `after` (NULL: all), which need not exist any more. */
es_rc_t es_delivery_last_attempts(es_store_t *store, uint32_t endpoint,
    const es_attempt_position_t *after, es_attempt_fn fn, void *ctx);
es_rc_t es_delivery_each_dead(es_store_t *store, uint32_t endpoint,
    es_dead_fn fn, void *ctx);
/* Dead letters of the position's endpoint after the position. */
es_rc_t es_delivery_dead_after(es_store_t *store,
    const es_dead_position_t *after, es_dead_fn fn, void *ctx);
es_rc_t es_delivery_each_stop(es_store_t *store, es_stop_fn fn, void *ctx);
/* ES_NOT_FOUND: the endpoint is not stopped. */
es_rc_t es_delivery_stop(es_store_t *store, uint32_t endpoint,
    es_stop_t *stop);
es_rc_t es_delivery_each_circuit(es_store_t *store, uint32_t endpoint,
    es_circuit_fn fn, void *ctx);
/* ES_NOT_FOUND: the circuit is closed. */
es_rc_t es_delivery_circuit(es_store_t *store, uint32_t endpoint,
    es_circuit_t *circuit);
/* When the dispatcher last wrote it.  ES_NOT_FOUND: it has never run. */
es_rc_t es_delivery_heartbeat(es_store_t *store, int64_t *ms);

/* When the dispatcher last signed the heads of the audit, by the wall clock; 0:
   it could not do so yet.  ES_NOT_FOUND: no dispatcher was asked to.  The other
   function sets it, and removes it with -1, in a commit of its own. */
es_rc_t es_delivery_signed(es_store_t *store, int64_t *ms);
es_rc_t es_delivery_signed_put(es_store_t *store, int64_t ms);

/* The last control request taken, and the end of the endpoint's redrive; 0:
   none. */
es_rc_t es_delivery_control_taken(es_store_t *store, uint64_t *id);
es_rc_t es_delivery_redrive(es_store_t *store, uint32_t endpoint,
    int64_t *until_ms);

#endif /* ES_DELIVERY_H */
