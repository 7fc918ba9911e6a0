/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the dispatcher remembers: a cursor and a small set of
 * exceptions per endpoint and feed, attempts, dead letters.
 *
 * Only the dispatcher writes (one process, by a lock on the environment's
 * `owner` file); others read.  A writer collects changes and commits them
 * together; see es_delivery_commit().
 */

#ifndef ES_DELIVERY_H
#define ES_DELIVERY_H

#include "event/cursor.h"

#define ES_INFLIGHT_MAX  256
#define ES_REASON_MAX    96

/* Everything up to `sequence` is delivered, dead, does not match, or is in
   `pending` (in flight when this was written) or has a retry record. */
typedef struct {
    uint32_t  endpoint;
    uint32_t  feed;
    char      epoch[ES_EPOCH_MAX + 1];
    uint64_t  sequence;
    uint64_t  matched;         /* last sequence that matched: prevcursor */
    unsigned  npending;
    uint64_t  pending[ES_INFLIGHT_MAX];
    uint64_t  pending_prev[ES_INFLIGHT_MAX];    /* sent as prevcursor */
} es_progress_t;

typedef struct {
    uint32_t  endpoint;
    uint32_t  feed;
    uint64_t  sequence;
    uint32_t  attempts;        /* made so far */
    int32_t   status;          /* last HTTP status; 0: none */
    int64_t   next_ms;         /* wall clock of the next attempt */
    int64_t   first_ms;        /* of the first attempt */
    uint64_t  prevcursor;      /* sequence sent as prevcursor */
} es_retry_t;

/* Why an attempt failed, as a stable word in the log. */
typedef enum {
    ES_ATTEMPT_OK = 0,
    ES_ATTEMPT_STATUS,         /* an answer that is not 2xx */
    ES_ATTEMPT_REDIRECT,
    ES_ATTEMPT_DNS,
    ES_ATTEMPT_CONNECT,
    ES_ATTEMPT_ADDRESS,        /* address not allowed */
    ES_ATTEMPT_TLS,
    ES_ATTEMPT_TIMEOUT,
    ES_ATTEMPT_RESET,          /* connection lost */
    ES_ATTEMPT_PROTOCOL,       /* not HTTP, headers too large */
    ES_ATTEMPT_INTERNAL,
    ES_ATTEMPT_SIMULATED,      /* an endpoint's `simulate` made it fail */
    ES_ATTEMPT_PROXY,          /* the operator's, no attempt of the event */
    ES_ATTEMPT_TOKEN,          /* no access token could be got */
    ES_ATTEMPT_SKIPPED,        /* none: somebody asked to skip the event */
    ES_ATTEMPT_CLASSES
} es_attempt_class_t;

const char *es_attempt_class_name(es_attempt_class_t c);

#define ES_ATTEMPT_REUSED  0x01    /* of a connection */
#define ES_ATTEMPT_TEST    0x02    /* of no event: `sequence` is the number of
                                      the request for it, `feed` is 0 */
#define ES_ATTEMPT_SIMULATED_FLAG  0x08    /* of a failure that was asked for */
#define ES_ATTEMPT_NUDGE   0x04    /* of "poll from here", up to `sequence` */
#define ES_ATTEMPT_FETCH   0x10    /* of an access token; `sequence` and
                                      `feed` are 0 */

typedef struct {
    uint32_t  endpoint;
    uint32_t  feed;
    uint64_t  sequence;
    int64_t   time_ms;         /* when it was sent */
    uint32_t  latency_us;
    uint32_t  attempt;         /* from 1 */
    int32_t   status;
    uint8_t   klass;           /* es_attempt_class_t */
    uint8_t   flags;           /* ES_ATTEMPT_... */
    uint16_t  body_len;
    char      body[256];       /* first bytes of the response */
} es_attempt_t;

typedef struct {
    uint32_t  endpoint;
    uint32_t  feed;
    char      epoch[ES_EPOCH_MAX + 1];
    uint64_t  sequence;
    uint64_t  prevcursor;      /* sequence sent as prevcursor */
    int64_t   time_ms;
    uint32_t  attempts;
    int32_t   status;
    uint8_t   klass;
    char      reason[ES_REASON_MAX];   /* NUL-terminated, e.g. "the schedule
                                          has ended"; may be empty */
} es_dead_t;

/* A mark that stops an endpoint until its registry revision changes. */
typedef struct {
    uint32_t  endpoint;
    uint64_t  revision;        /* of the registry record that it stops */
    int64_t   time_ms;
    char      reason[64];      /* NUL-terminated, e.g. "410 Gone" */
} es_stop_t;

/* An endpoint that is sent nothing but probes; there is a record only as long
   as that is so. */
typedef struct {
    uint32_t  endpoint;
    uint32_t  trips;           /* probes that failed, and the first time */
    uint32_t  failures;        /* in a row */
    int64_t   since_ms;        /* first of them */
    int64_t   next_ms;         /* next probe */
} es_circuit_t;

/* ---- writing: a change set, built on one thread, committed on any ---- */

typedef struct es_changeset  es_changeset_t;

es_changeset_t *es_changeset_create(void);
void es_changeset_destroy(es_changeset_t *changes);
void es_changeset_clear(es_changeset_t *changes);
bool es_changeset_empty(const es_changeset_t *changes);

/* Moves the changes of `later` to the end of `c`; ES_NOMEM: both stay. */
es_rc_t es_changeset_join(es_changeset_t *c, es_changeset_t *later);

/* Each appends one change; ES_NOMEM.  A later one for the same key wins. */
es_rc_t es_changeset_progress(es_changeset_t *c, const es_progress_t *progress);
es_rc_t es_changeset_retry(es_changeset_t *c, const es_retry_t *retry);
es_rc_t es_changeset_retry_done(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed, uint64_t sequence);
es_rc_t es_changeset_attempt(es_changeset_t *c, const es_attempt_t *attempt);
es_rc_t es_changeset_dead(es_changeset_t *c, const es_dead_t *dead);
/* Those of another epoch, which has ES_EPOCH_MAX + 1 bytes, stay. */
es_rc_t es_changeset_dead_done(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed, const char *epoch, uint64_t sequence);
/* The same, of all of the feed after this sequence. */
es_rc_t es_changeset_dead_after(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed, const char *epoch, uint64_t sequence);
es_rc_t es_changeset_stop(es_changeset_t *c, const es_stop_t *stop);
es_rc_t es_changeset_circuit(es_changeset_t *c, const es_circuit_t *circuit);
es_rc_t es_changeset_circuit_closed(es_changeset_t *c, uint32_t endpoint);
es_rc_t es_changeset_heartbeat(es_changeset_t *c, int64_t now_ms);
/* The last request that was taken, see control_request.h. */
es_rc_t es_changeset_control_taken(es_changeset_t *c, uint64_t id);
/* Dead letters up to `until_ms` are being tried again; 0: no more. */
es_rc_t es_changeset_redrive(es_changeset_t *c, uint32_t endpoint,
    int64_t until_ms);
/* Forgets everything of an endpoint that was removed. */
es_rc_t es_changeset_forget(es_changeset_t *c, uint32_t endpoint);
/* Forgets progress and retries on a feed that it is no longer sent. */
es_rc_t es_changeset_forget_feed(es_changeset_t *c, uint32_t endpoint,
    uint32_t feed);
/* Forgets the request that is being done for the endpoint: control_reply.h. */
es_rc_t es_changeset_clearing_done(es_changeset_t *c, uint32_t endpoint);

/* One durable commit.  Blocks for the disk: call it from a helper thread.
   On failure nothing was written and the set is as it was. */
es_rc_t es_delivery_commit(es_store_t *store, es_changeset_t *changes);

/* Drops attempts older than `before_ms`, at most `max` of them; `more`: that
   many were dropped, there may be others. */
es_rc_t es_delivery_expire(es_store_t *store, int64_t before_ms, unsigned max,
    bool *more);

/* An attempt's place among those of its endpoint. */
typedef struct {
    int64_t   time_ms;
    uint32_t  feed;
    uint64_t  sequence;
    uint32_t  attempt;
} es_attempt_position_t;

/* Where going through the dead letters goes on; zeroed: at the first. */
typedef struct {
    uint32_t  endpoint;
    uint32_t  feed;
    uint64_t  sequence;
} es_dead_position_t;

/* Looks at `max` dead letters from `place` on, which moves, and after the last
   is the first again; drops those older than `before_ms`, and says how many
   these were. */
es_rc_t es_delivery_expire_dead(es_store_t *store, int64_t before_ms,
    unsigned max, es_dead_position_t *place, unsigned *dropped);

/* Takes the dispatcher's lock; ES_EXISTS: another dispatcher has it. */
es_rc_t es_delivery_own(es_store_t *store);

/* ---- reading: calls back for each record in key order until it returns
   anything but ES_OK, which is then returned.  endpoint 0: all. ---- */

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
/* The endpoint's, from the newest on; `after` (NULL: all) is the place of the
   one that was the last before, which need not be there any more. */
es_rc_t es_delivery_last_attempts(es_store_t *store, uint32_t endpoint,
    const es_attempt_position_t *after, es_attempt_fn fn, void *ctx);
es_rc_t es_delivery_each_dead(es_store_t *store, uint32_t endpoint,
    es_dead_fn fn, void *ctx);
/* Those of the place's endpoint behind it. */
es_rc_t es_delivery_dead_after(es_store_t *store,
    const es_dead_position_t *after, es_dead_fn fn, void *ctx);
es_rc_t es_delivery_each_stop(es_store_t *store, es_stop_fn fn, void *ctx);
/* ES_NOT_FOUND: there is no mark. */
es_rc_t es_delivery_stop(es_store_t *store, uint32_t endpoint,
    es_stop_t *stop);
es_rc_t es_delivery_each_circuit(es_store_t *store, uint32_t endpoint,
    es_circuit_fn fn, void *ctx);
/* ES_NOT_FOUND: it is closed. */
es_rc_t es_delivery_circuit(es_store_t *store, uint32_t endpoint,
    es_circuit_t *circuit);
es_rc_t es_delivery_heartbeat(es_store_t *store, int64_t *ms);

/* 0 when there is none. */
es_rc_t es_delivery_control_taken(es_store_t *store, uint64_t *id);
es_rc_t es_delivery_redrive(es_store_t *store, uint32_t endpoint,
    int64_t *until_ms);

#endif /* ES_DELIVERY_H */
