/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The process that tails the log and sends webhooks.
 *
 * The natural way of a delivery, one file each:
 *
 *     refresh.c            reads what changed: registry, feeds, events
 *     loader.c             loads the registry in a thread
 *     target.c             the endpoints, and the feeds that each is sent
 *     parked.c             progress on feeds that an endpoint is not sent now
 *     loss.c               events that an endpoint will never be sent
 *     secret_keys.c        the keys that decrypt the endpoints' secrets
 *     lane.c               a lane: the state of one feed of one endpoint
 *     ready.c              queues of lanes that may have something to send
 *     select.c             chooses the lane and the event that is sent next
 *     waiting.c            a lane's waiting events, in two orders
 *     next_event.c         takes the next event or batch from the log
 *     ordering.c           keeps the order of each subject's events
 *     message.c            composes a request: events, signatures, headers
 *     send.c               one attempt: its libcurl handle and its slot
 *     channel.c            libcurl's sockets on the event loop
 *     proxy.c              the proxy for all outgoing requests, if any
 *     token.c              gets OAuth access tokens
 *     bearer.c             gives requests their access token
 *     response.c           reads the response
 *     trickle.c            limits the time that a response body may take
 *     outcome.c            the outcome: success, retry, dead letter, stop
 *     health.c             an endpoint's health: doubt, circuit
 *     window.c             the number of concurrent requests to an endpoint
 *     rate.c               the rate limit of an endpoint
 *     slots.c              shares all concurrent requests among partners
 *     failing.c            reports and disables endpoints that keep failing
 *     notice.c             composes operational events
 *     notifier.c           publishes them, in a thread
 *     retention_warning.c  warns of events that retention will soon remove
 *     stall.c              reports lanes that make no progress
 *     request.c            replay, resend, redrive
 *     skip.c               makes the event that blocks a lane a dead letter
 *     clearing.c           cancel and discard, in slices
 *     cancel.c             removes waiting events
 *     discard.c            removes dead letters
 *     ack.c                takes over what consumers acknowledged by polling
 *     nudge.c              sends one event that says "poll from here"
 *     test_event.c         test events
 *     simulate.c           simulated failures
 *     recorder.c           writes delivery state, committed by a thread
 *     thread.c             threads beside the loop
 *     trusted_clock.c      the time by which things expire
 *     table.c              arrays by number
 *     loop.c               the event loop, which calls all of this
 *
 * Everything runs on the loop's thread but es_delivery_commit() (recorder.c),
 * es_registry_load() (loader.c), retention (janitor.c) and es_publish()
 * (notifier.c).  Nothing waits for the disk or a receiver.
 */

#ifndef ESD_DISPATCHER_H
#define ESD_DISPATCHER_H

#include <curl/curl.h>
#include <ev.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/clock.h"
#include "base/reason.h"
#include "delivery/away_feeds.h"
#include "delivery/delivery.h"
#include "delivery/outbox.h"
#include "delivery/stall.h"
#include "delivery/tally.h"
#include "event/attribute.h"
#include "keys/signature.h"
#include "log/ended_epochs.h"
#include "log/store_clock.h"
#include "manage/clearing.h"
#include "read/lag.h"
#include "read/reader.h"
#include "registry/registry.h"
#include "registry/control_request.h"
#include "store/deletions.h"
#include "store/wake.h"

#include "channel.h"
#include "egress.h"
#include "thread.h"
#include "item.h"
#include "log.h"
#include "loop.h"
#include "slots.h"
#include "saved_state.h"
#include "signing.h"
#include "table.h"
#include "waiting.h"

/* As TAILQ_FOREACH(), which cppcheck does not see through. */
#define esd_each(item, list, link)                                           \
    for ((item) = TAILQ_FIRST(list);                                          \
         (item) != NULL;                                                      \
         (item) = TAILQ_NEXT((item), link))

#define ESD_STUCK_MS       60000   /* between attempts to read an event */
#define ESD_BODY_FIRST     256     /* bytes of a response that are recorded */
#define ESD_BODY_READ      65536   /* bytes of a response that are read */
#define ESD_HEADERS_READ   65536   /* bytes of its headers, status lines too */
#define ESD_RETRY_AFTER_MAX_MS  (24 * 3600 * 1000)

typedef struct esd_source      esd_source_t;
typedef struct esd_lane        esd_lane_t;
typedef struct esd_parked      esd_parked_t;
typedef struct esd_test_event  esd_test_event_t;
typedef struct esd_clearing_job  esd_clearing_job_t;

typedef TAILQ_HEAD(esd_lane_list, esd_lane)  esd_lanes_t;
typedef TAILQ_HEAD(esd_send_list, esd_send)  esd_sends_t;
typedef TAILQ_HEAD(esd_test_event_list, esd_test_event)  esd_test_events_t;
typedef TAILQ_HEAD(esd_target_list, esd_target)  esd_targets_t;

typedef struct {
    const char   *store;
    const char   *ca_file;
    const char   *tls_dir;         /* files that endpoints name */
    const char   *key_file;
    const char   *pid_file;
    const char   *proxy;           /* URL, or NULL: none */
    const char   *proxy_auth_file;
    bool          allow_http;
    esd_egress_t  egress;
    unsigned      max_connections;
    unsigned      max_waiting;     /* items of all lanes, see
                                      esd_lane_room() */
    uint32_t      commit_ms;
    uint32_t      attempts_ms;     /* how long attempts are kept */
    uint32_t      dead_ms;         /* and dead letters */
} esd_options_t;

/* A feed, and who is sent it. */
struct esd_source {
    es_feed_t             feed;
    uint64_t              round;       /* of the read that `feed` is from */
    uint64_t              seen;        /* look that found it last */
    uint64_t              known;       /* the last event at that which alive_ms
                                          is of, and its epoch */
    char                   known_epoch[ES_EPOCH_MAX + 1];
    esd_lanes_t            lanes;
};

/* One feed of one endpoint: what has its own order and its own progress. */
struct esd_lane {
    esd_target_t          *target;
    esd_source_t          *source;
    TAILQ_ENTRY(esd_lane)  in_source;
    TAILQ_ENTRY(esd_lane)  in_target;
    TAILQ_ENTRY(esd_lane)  in_ready;
    TAILQ_ENTRY(esd_lane)  in_dirty;
    TAILQ_ENTRY(esd_lane)  in_passed;
    esd_sends_t            sends;      /* in flight */
    size_t                 nflying;    /* events of these without a record */
    char                   epoch[ES_EPOCH_MAX + 1];
    uint64_t               position;   /* taken from the log up to here */
    uint64_t               matched;    /* last one that matched */
    uint64_t               acked;      /* by a checkpoint, see ack.c */
    esd_item_t            *waiting;    /* not in flight: retries, and what was
                                          in flight when the last run ended;
                                          see waiting.h */
    size_t                 nwaiting;
    size_t                 waiting_cap;
    esd_link_t            *links[ESD_ORDERS];
    uint32_t               roots[ESD_ORDERS];
    size_t                 nheld;      /* of them, those that are held */
    size_t                 npending;   /* of them, those without a record */
    int64_t                due_ms;     /* the least next_ms of `waiting` */
    bool                   retried;    /* its last turn was a retry's */
    int64_t                stuck_ms;   /* nothing is sent before; 0: now */
    uint64_t               stuck_at;   /* the event that cannot be read */
    uint64_t               unmatched;  /* none matches up to here, see
                                          stall.c */
    es_stall_t             stall;      /* why it stands, see stall.c */
    int64_t                linger_ms;  /* a batch may fill until then; or 0 */
    uint64_t               ahead;      /* matches are counted up to here, */
    uint64_t               nahead;     /* from `position` on: see nudge.c */
    unsigned               nudges;     /* attempts of one */
    uint64_t               swapped;    /* stands back, see simulate.c; or 0 */
    esd_lanes_t           *ready;      /* the list that it is in, or NULL */
    es_loss_t              loss;       /* what has not been told yet */
    int64_t                loss_us;    /* monotonic: told last; 0: never */
    int64_t                ending_us;  /* monotonic: the feed is being emptied
                                          since then, by the note of */
    int64_t                ending_ms;  /* that time, see loss.c */
    esd_passed_t          *passed;     /* the same, while it waits for a
                                          place, see slots.c */
    bool                   called;     /* from there, for its turn */
    bool                   dirty;
    bool                   moved;      /* position only, since last commit */
};

/* How fast an endpoint answers, see window.c. */
typedef struct {
    int64_t   best_us;         /* 0: not known */
    int64_t   best_at_us;      /* monotonic: since when it is looked for */
    int64_t   sum_us;          /* of this round */
    unsigned  n;
    unsigned  skip;            /* answers that do not count */
} esd_latency_t;

/* See token.c; all zero without one. */
typedef struct {
    es_buf_t  line;            /* the header line, with its NUL; or empty */
    int64_t   refresh_us;   /* monotonic */
    int64_t   ends_us;
    int64_t   until_us;        /* none is asked for before */
    bool      fetching;
    bool      none;            /* the last request failed: test events that
                                  wait fail with it */
    unsigned  failures;        /* in a row */
    ev_timer  timer;           /* at until_us */
} esd_token_t;

/* An endpoint. */
struct esd_target {
    esd_dispatcher_t      *d;
    uint32_t               number;
    esd_slot_holder_t     *holder;     /* its partner */
    const es_endpoint_t   *conf;       /* of the present picture */
    uint64_t               revision;   /* that the rest was made from */
    uint64_t               partner_revision;
    uint64_t               seen;       /* sync that found it last */
    char                   name[ES_FEED_MAX + 1];
    es_signer_t           *signers[ES_SECRETS_MAX];
    int64_t                signer_expires_ms[ES_SECRETS_MAX];
    unsigned               nsigners;
    bool                   locked;     /* secrets that cannot be decrypted */
    bool                   stopped;
    uint64_t               stopped_revision;
    bool                   full;       /* a lane found no room in flight */
    unsigned               in_flight;
    unsigned               retrying;   /* of them, those that failed before */
    unsigned               retries;    /* retry records of all lanes */
    unsigned               asked;      /* that wait on request, untried */
    int64_t                longest_ms; /* more than any delay */
    int64_t                redrive_ms; /* dead letters up to then are tried
                                          again; 0: none */
    uint64_t               redrive_commits;    /* not before so many */
    unsigned               failed;     /* that wait for another attempt */
    double                 window;     /* in flight at most, adapting */
    esd_latency_t          latency;
    _Atomic uint64_t       bucket;     /* of its rate, as gcra.h has it */
    ev_timer               earned;     /* the next attempt of its rate */
    int64_t                throttled_us;   /* monotonic: none before */
    int64_t                used_us;    /* monotonic: last send */
    unsigned               failures;   /* in a row */
    bool                   doubted;    /* its last attempt had no answer */
    uint32_t               broken;     /* no answer or 5xx, in a row */
    int64_t                broken_us;  /* monotonic: the first of them */
    int64_t                broken_ms;
    uint32_t               trips;      /* circuit open: failed probes + 1 */
    es_failing_t           failing;    /* since_ms 0: it does not */
    char                   over[64];   /* why it is disabled */
    esd_lanes_t            lanes;      /* who was sent last comes last */
    esd_sends_t            others;     /* in flight, of no lane */
    esd_sends_t            idle;       /* made and not in flight */
    esd_test_events_t      tests;      /* that wait */
    unsigned               ntests;
    bool                   testing;    /* in d->testing */
    TAILQ_ENTRY(esd_target)  in_testing;
    esd_clearing_job_t    *job;        /* see clearing.c; or NULL */
    esd_token_t            token;
    es_stall_t             stall;      /* why it is sent nothing */
    esd_channel_t         *channel;    /* of its own, while it has sends */
};

/* An event of a cancel, as it waits. */
typedef struct {
    uint64_t  key;
    uint64_t  sequence;
} esd_clearing_item_t;

/* A cancel or a discard that is under way, see clearing.c. */
struct esd_clearing_job {
    es_clearing_progress_t  clear;     /* as it is on disk */
    es_clearing_t           clearing;
    uint64_t                commits;   /* not before so many */
    uint64_t                count;     /* found, or done in this phase */
    es_dead_position_t      place;     /* discard: looked at up to there */
    bool                    begun;     /* cancel: the list was made, */
    bool                    looked;    /* and has what is meant only */
    esd_clearing_item_t    *list;      /* cancel */
    size_t                  n;
    size_t                  at;        /* of the list, that is next */
    size_t                  kept;      /* of those before it, that are meant */
    uint64_t                upto;      /* cancel: events yet to come up to
                                          there are passed over */
};

/* A test event that waits, see test_event.c. */
struct esd_test_event {
    TAILQ_ENTRY(esd_test_event)   link;
    uint64_t                      request;
    size_t                        len;
    char                          event[];
};

/* Room for all header lines of a request but those of the endpoint. */
#define ESD_HEAD_MAX  (512 + ES_ID_MAX + ES_FEED_MAX                         \
                       + ES_SECRETS_MAX * ES_SIGNATURE_MAX)

typedef enum {
    ESD_SEND_EVENTS = 0,
    ESD_SEND_NUDGE,
    ESD_SEND_TEST,
    ESD_SEND_TOKEN
} esd_send_kind_t;

/* Takes the result of an attempt that is over; each kind has one. */
typedef void (*esd_send_fn)(esd_send_t *send, CURLcode result);

#define ESD_TRACEPARENT_LEN  55

/* One attempt in flight, and its reused memory. */
struct esd_send {
    esd_dispatcher_t       *d;
    esd_target_t           *target;
    esd_lane_t             *lane;
    TAILQ_ENTRY(esd_send)   link;      /* in one of the lane's lists, or of
                                          the target's */
    esd_channel_t          *channel;
    CURL                   *easy;
    CURLU                  *url;
    uint64_t                revision;  /* of the endpoint, that it is set to */
    esd_send_kind_t         kind;
    esd_send_fn             ended;
    esd_item_t             *items;     /* what it carries, in order; other */
    unsigned                nitems;    /* kinds have none */
    unsigned                nflying;   /* counted in lane->nflying */
    uint64_t                upto;      /* nudge: last event that it is for;
                                          test: number of the request */
    uint32_t                attempt;   /* from 1 */
    es_buf_t                body;
    es_buf_t                ids;       /* of the events, a NUL after each;
                                          token: the answer */
    es_buf_t                auth;      /* its own, of target->token */
    char                    trace[ESD_TRACEPARENT_LEN + 1];
    esd_signing_t          *signing;   /* signatures that are being made */
    bool                    proxied;
    es_failure_t            simulate;  /* NONE: it is meant well */
    size_t                  truncated; /* of the body, what was sent */
    bool                    retry;     /* counted in target->retrying */
    bool                    doubted;   /* counted in d->doubted */
    TAILQ_ENTRY(esd_send)   in_trickles;
    int64_t                 trickle_us; /* monotonic: it ends; 0: in none */
    int64_t                 sent_ms;
    int64_t                 sent_us;   /* monotonic */

    /* The answer so far. */
    bool                    refused;   /* an address that is not allowed */
    bool                    starved;   /* there was no descriptor for it */
    bool                    overflow;  /* headers over their limit, or none
                                          of HTTP: no status counts */
    size_t                 header_bytes;
    size_t                 read_bytes;
    unsigned               first_len;
    char                   first[ESD_BODY_FIRST];
    char                   retry_after[64];
    char                   coding[32]; /* Content-Encoding, or "" */
    bool                   disable;    /* webhook-delivery: disable */
    bool                   abort;      /* webhook-delivery: abort */

    struct curl_slist      heads[3];
    char                   head[];     /* ESD_HEAD_MAX, and its own headers */
};

/* What became of an attempt. */
typedef struct {
    es_attempt_class_t  klass;
    int32_t             status;
    bool                success;
    bool                ours;          /* not the receiver's fault: nothing
                                          has happened */
    const char         *stop;          /* why the endpoint wants no more, or
                                          NULL: 410, disable */
    bool                abort;         /* it wants no more of this event */
    bool                stale;         /* of a record that has changed */
    bool                throttle;      /* 429, 502, 504 */
    int64_t             retry_after_ms;    /* -1: none */
} esd_outcome_t;

/* See proxy.c; all zero without one. */
typedef struct {
    char     *user;            /* from its file, or NULL */
    char     *password;
    int64_t   pause_ms;        /* 0: it works */
    int64_t   until_us;        /* monotonic: nothing is sent before */
    ev_timer  timer;           /* then the loop looks again */
} esd_proxy_t;

typedef struct {
    esd_thread_t     thread;
    bool             handed;       /* `committing` is the thread's */
    es_rc_t          rc;           /* of the last commit */
    int              error;        /* its errno */
    es_reason_t      reason;       /* and its record */

    /* The loop's. */
    es_changeset_t  *filling;
    es_changeset_t  *committing;
    bool             notices;      /* `filling` has operational events */
    bool             noticed;      /* so has `committing` */
    bool             announce;     /* events of a commit are in the outbox:
                                      the loop wakes the notifier */
    bool             busy;
    bool             due;          /* commit again as soon as it can be */
    bool             failed;       /* `committing` waits to be tried again */
    bool             full;         /* as there is no room for it */
    uint64_t         commits;
    ev_async         done;
    ev_timer         timer;
    esd_lanes_t      dirty;
    es_tally_t       tally;        /* with what is in `filling` */
    bool             tallied;      /* it has moved since it was written */
} esd_recorder_t;

typedef struct {
    esd_thread_t     thread;
    bool             asked;
    bool             done;         /* what was loaded is the loop's to take */
    int64_t          asked_ms;     /* esd_clock_stamp_ms(); the loop's */
    uint64_t         asked_version; /* of the registry, then; the loop's */
    uint64_t         failed_version;   /* said of this one; the loop's */
    int64_t          until_us;     /* monotonic: it failed, and none is asked
                                      for before; the loop's */
    es_rc_t         rc;
    es_reason_t     reason;        /* its record */
    es_registry_t  *registry;
    ev_async        ready;
} esd_loader_t;

typedef struct {
    esd_thread_t      thread;
    bool              told;        /* look into the outbox */
    _Atomic uint64_t  last;        /* place in the outbox that was given */
    _Atomic bool      wanted;      /* there are partners to tell */

    /* The thread's. */
    es_changeset_t   *changes;
    es_registry_t    *registry;
    int64_t           warning_us;  /* monotonic: no look before */
    uint64_t          after;       /* place up to which it has read */
    bool              failed;      /* and it was said */
    bool              blind;       /* retention_warning.c failed, and it was
                                      said */
    uint64_t          dropped;     /* events, since the store was made */
} esd_notifier_t;

/* See trusted_clock.c.  The first three are less the monotonic clock. */
typedef struct {
    _Atomic int64_t    time_ms;
    _Atomic int64_t    due_ms;
    _Atomic int64_t    sure_ms;

    /* The janitor's. */
    es_clock_record_t  record;     /* at the last look */
    bool               held;       /* the wall clock is not believed */
    bool               proved;     /* or it is, as it has stayed so */
    int64_t            since_ms;   /* monotonic */
    int64_t            offset_ms;  /* of the wall clock to it, since then */
    int                said;       /* 1: held; 2: proved */
} esd_clock_t;

struct esd_dispatcher {
    esd_options_t          options;
    esd_clock_t            clock;
    es_store_t            *store;
    esd_loop_t             loop;
    esd_channels_t         channels;
    esd_proxy_t            proxy;
    esd_recorder_t         recorder;
    esd_thread_t           janitor;
    esd_loader_t           loader;
    esd_notifier_t         notifier;
    esd_signings_t         signings;

    es_registry_t         *registry;
    uint64_t               registry_version;   /* that was looked at */
    uint64_t               taken;      /* the last request */
    esd_saved_t            saved;      /* until it is taken over */
    int64_t                alive_ms;   /* esd_clock_stamp_ms() of the last
                                          look */
    int64_t                booted_ms;  /* wall clock of it, see schedule.c */
    bool                   refresh;    /* the bell rang */
    bool                   reload;     /* though nothing has changed */
    bool                   locked;     /* there are secrets without a key */
    int64_t                reload_us;  /* monotonic: for that, not before */
    bool                   unjoined;   /* a lane could not be begun */
    uint64_t               refreshes;
    uint64_t               syncs;
    uint64_t               rounds;     /* of reading */

    esd_target_t         **targets;    /* by number */
    size_t                 ntargets;
    esd_source_t         **sources;    /* by number */
    size_t                 nsources;
    esd_parked_t         **parked;     /* by the endpoint's number */
    size_t                 nparked;
    uint64_t               lost;       /* events, since the store was made */
    esd_lanes_t            ready;
    esd_lanes_t            later;      /* ready, of doubted endpoints */
    esd_targets_t          testing;    /* whose test events get a turn */
    int                    nlater;     /* of them, turns since the loop has
                                          looked at sockets */
    int                    nready;     /* turns of others since then */
    esd_slots_t            slots;
    esd_sends_t            trickles;   /* see trickle.c: first to end first */
    ev_timer               trickle;

    unsigned               nsends;     /* made, in flight or idle */
    unsigned               in_flight;
    unsigned               doubted;    /* of them, to doubted endpoints */
    size_t                 nwaiting;   /* items of all lanes */
    size_t                 nlingering; /* lanes with a batch that fills */
    bool                   halted;     /* the recorder cannot write */
    es_stall_t             stall;      /* why nothing is sent to anybody */
    bool                   stopping;
    int64_t                stopped_us;     /* monotonic: the signal for it */
    bool                   pid_written;

    int                    wake_fd;
    ev_io                  wake;
    int64_t                refresh_us; /* monotonic: no look before */
    ev_timer               refresh_timer;
    ev_timer               tick;       /* each second */
    ev_timer               tock;       /* ten a second, while items wait */
    ev_timer               ack_timer;  /* while a look at checkpoints goes
                                          on, with targets from ack_next */
    size_t                 ack_next;
    uint64_t               ack_version;     /* that were looked at */
    uint64_t               ack_registry_version;
    int64_t                ack_since_ms;    /* of the first look; 0: all */
    ev_timer               clearing_timer;  /* while there are jobs, */
    unsigned               njobs;           /* so many */
    ev_timer               grace;
    ev_prepare             ending;
    ev_signal              signals[4];
};

/* secret_keys.c - a store whose secrets need other keys than there are is not
   opened; esd_secret_keys_load() is es_registry_load(), with the key file read
   again if a secret needs it. */
es_rc_t esd_secret_keys_open(esd_dispatcher_t *d);
es_rc_t esd_secret_keys_load(esd_dispatcher_t *d, es_registry_t **registry);

/* loader.c */
es_rc_t esd_loader_start(esd_dispatcher_t *d);
void esd_loader_finish(esd_dispatcher_t *d);
/* Has one loaded, of this version or later; d->refresh is set when it is
   there. Nothing, if that was asked before. */
void esd_loader_request(esd_dispatcher_t *d, uint64_t version);
/* False: there is none; otherwise what esd_secret_keys_load() returned. */
bool esd_loader_take(esd_dispatcher_t *d, es_rc_t *rc,
    es_registry_t **registry);

/* refresh.c */
/* What the last run left; ES_CORRUPT and others: it cannot go on from
   there. */
es_rc_t esd_targets_load(esd_dispatcher_t *d);
/* Takes in changes of the registry and of the log. */
void esd_refresh(esd_dispatcher_t *d);

/* target.c */
/* Takes over the present picture: of endpoints that are new or changed, or of
   `all`, which feeds they are sent. */
void esd_targets_sync(esd_dispatcher_t *d, es_txn_t *txn, bool all);
/* Makes, keeps or drops the lane of an endpoint and a feed. */
void esd_target_join(esd_dispatcher_t *d, es_txn_t *txn, esd_target_t *target,
    esd_source_t *source);
void esd_targets_done(esd_dispatcher_t *d);
void esd_targets_tick(esd_dispatcher_t *d);

/* parked.c - see docs/dispatcher.md, "Where an endpoint starts". */
/* Keeps the lane's place and destroys the lane; `why` is for the log. */
void esd_park(esd_dispatcher_t *d, esd_lane_t *lane, const char *why);
/* The place that is kept, or NULL.  It lives until esd_parked_resumed(). */
esd_saved_lane_t *esd_parked_progress(esd_dispatcher_t *d, uint32_t endpoint,
    uint32_t feed);
/* A lane has taken the place over, from here or from what the last run
   left. */
void esd_parked_resumed(esd_dispatcher_t *d, const esd_saved_lane_t *place);
/* The endpoint has places that are kept. */
bool esd_parked_any(const esd_dispatcher_t *d, uint32_t endpoint);
/* Gives up those of a feed that is gone, or those that have been kept for long
   enough, and says what is lost. */
void esd_parked_feed_gone(esd_dispatcher_t *d, es_txn_t *txn, uint32_t feed);
void esd_parked_expire(esd_dispatcher_t *d, es_txn_t *txn, int64_t now_ms);
/* Takes what the last run left and no lane has taken. */
void esd_parked_load(esd_dispatcher_t *d, es_txn_t *txn);
void esd_parked_done(esd_dispatcher_t *d);

/* loss.c */
/* The names of a lane's endpoint and feed, since never. */
void esd_lane_away(const esd_lane_t *lane, es_away_t *away);
/* How many events the lane has in flight or waiting; `*first` becomes the
   least of their sequences, if that is less. */
size_t esd_lane_items(const esd_lane_t *lane, uint64_t *first);
/* Logs, counts and announces a loss, unless it is none. */
void esd_loss_report(esd_dispatcher_t *d, const es_away_t *away,
    const es_loss_t *loss);
/* Tells what the lane has lost; at once, or when it is time. */
void esd_loss_flush(esd_dispatcher_t *d, esd_lane_t *lane);
void esd_loss_tick(esd_dispatcher_t *d, esd_lane_t *lane);
/* Retention has taken what the lane had still to be sent. */
void esd_loss_overtaken(esd_dispatcher_t *d, esd_lane_t *lane);
/* The lane's epoch has ended, and what it had still to be sent with it. */
void esd_loss_epoch(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane,
    es_loss_reason_t reason);
/* The same of a place with `n` items, the first of them `first`: what is lost,
   and the note of the epoch's end, zeroed if there is none. */
void esd_loss_ended(es_txn_t *txn, const esd_saved_lane_t *place, size_t n,
    uint64_t first, es_ended_epoch_t *ended, es_loss_t *loss);
/* The lane's feed is being emptied, by a reset or a removal. */
bool esd_loss_ending(es_txn_t *txn, esd_lane_t *lane);

/* request.c */
/* Takes what has been asked since the last look. */
void esd_requests_take(esd_dispatcher_t *d, es_txn_t *txn);
/* Each second: continues the redrives of dead letters. */
void esd_requests_tick(esd_dispatcher_t *d);

/* skip.c */
void esd_skip(esd_dispatcher_t *d, es_txn_t *txn, esd_target_t *target,
    const es_control_request_t *request);

/* clearing.c - a cancel or a discard, one of an endpoint at a time */
void esd_clearing_init(esd_dispatcher_t *d);
/* Goes on with what the last run has begun. */
void esd_clearing_load(esd_dispatcher_t *d, esd_target_t *target);
void esd_clearing_begin(esd_dispatcher_t *d, esd_target_t *target,
    const es_control_request_t *request);
/* The target is gone, and its job goes on when it comes back. */
void esd_clearing_drop(esd_dispatcher_t *d, esd_target_t *target);
/* Replies to a request; `detail` is NULL with ES_OK. */
void esd_clearing_reply(esd_dispatcher_t *d,
    const es_control_request_t *request,
    const char *by, es_rc_t rc, uint64_t count, const char *detail);

/* What a slice of a job has come to. */
typedef enum {
    ESD_SLICE_AGAIN,           /* there is more */
    ESD_SLICE_COUNTED,         /* job->count is how many there are */
    ESD_SLICE_DONE,            /* job->count is how many it was done to */
    ESD_SLICE_AWAY             /* the feed is not sent any more, or is reset */
} esd_slice_t;

esd_slice_t esd_cancel_slice(esd_dispatcher_t *d, es_txn_t *txn,
    esd_target_t *target, esd_clearing_job_t *job);
esd_slice_t esd_discard_slice(esd_dispatcher_t *d, es_txn_t *txn,
    esd_target_t *target, esd_clearing_job_t *job);

/* ready.c */
void esd_ready_init(esd_dispatcher_t *d);
/* The endpoint's record and its partner's allow deliveries. */
bool esd_target_enabled(const esd_target_t *target);
/* The lane, or each of the endpoint's, gets a turn soon. */
void esd_ready_lane(esd_dispatcher_t *d, esd_lane_t *lane);
void esd_ready_lanes(esd_dispatcher_t *d, esd_target_t *target);
/* The lane waits for no slot any more; see slots.h. */
void esd_ready_leave_slots(esd_lane_t *lane);
/* Waiting test events of the endpoint get a turn soon. */
void esd_ready_tests(esd_dispatcher_t *d, esd_target_t *target);
/* The endpoint goes away. */
void esd_ready_leave_tests(esd_dispatcher_t *d, esd_target_t *target);

/* lane.c */
esd_lane_t *esd_lane_create(esd_target_t *target, esd_source_t *source);
void esd_lane_destroy(esd_dispatcher_t *d, esd_lane_t *lane);
/* The endpoint's lane of a feed; NULL: the endpoint is not sent the feed. */
esd_lane_t *esd_lane_of(const esd_target_t *target,
    const esd_source_t *source);
/* The same, by the feed's number. */
esd_lane_t *esd_lane_find(const esd_dispatcher_t *d,
    const esd_target_t *target, uint32_t feed);
/* The index in `lane->waiting` of an event, or ESD_NO_ITEM. */
size_t esd_lane_find_item(const esd_lane_t *lane, uint64_t key,
    uint64_t sequence);
/* Compares with the feed as it is: another epoch, events no longer kept.
   False: the feed is being emptied, and the lane waits for the end of that. */
bool esd_lane_check(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane);
/* The lane waits until `until_ms` for its batch to fill; 0: no more. */
void esd_lane_linger(esd_dispatcher_t *d, esd_lane_t *lane, int64_t until_ms);
void esd_lane_stop_lingering(esd_dispatcher_t *d, esd_lane_t *lane);
/* The lane has moved, so what nudge.c knows of it is no longer true. */
void esd_lane_reset_nudge(esd_lane_t *lane);
void esd_lane_restart(esd_dispatcher_t *d, esd_lane_t *lane,
    uint64_t position);
void esd_lane_wait(esd_dispatcher_t *d, esd_lane_t *lane,
    const esd_item_t *item);
/* Takes an item out of `waiting`; the last one takes its place. */
void esd_lane_unwait(esd_dispatcher_t *d, esd_lane_t *lane, size_t i);
/* True while the lane may take events that may have to wait, and `more`: all
   lanes share --max-waiting, and each may have as many as the others leave. */
bool esd_lane_room(const esd_dispatcher_t *d, const esd_lane_t *lane,
    size_t more);
void esd_lane_dirty(esd_dispatcher_t *d, esd_lane_t *lane);
/* What cannot be sent now is looked at again after a while. */
void esd_lane_stuck(esd_lane_t *lane, uint64_t sequence, es_rc_t rc);
/* Logs that an event cannot be read. */
void esd_lane_unread(const esd_lane_t *lane, uint64_t sequence, es_rc_t rc);

/* select.c */
/* Wakes lanes with items that have become due. */
void esd_select_due(esd_dispatcher_t *d);
/* Gives ready lanes their turns; true when more could be done at once. */
bool esd_select_run(esd_dispatcher_t *d);

/* next_event.c - true when something was done, so that there may be more. */
bool esd_next_event(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane);

/* The event waits with a retry record, until `next_ms` or until what holds it
   is done. */
void esd_lane_retry(esd_dispatcher_t *d, esd_lane_t *lane, esd_item_t *item,
    int64_t next_ms);
/* The same of an item that waits already. */
void esd_lane_note(esd_dispatcher_t *d, esd_lane_t *lane, esd_item_t *item);

/* The event needs no record of its own any more. */
void esd_lane_drop(esd_dispatcher_t *d, esd_lane_t *lane,
    const esd_item_t *item);

/* ack.c - after the targets are loaded; each second. */
void esd_ack_init(esd_dispatcher_t *d);
void esd_ack_tick(esd_dispatcher_t *d);
/* What waits up to `sequence` or is yet to come needs not be sent, and what is
   in flight not again; `why` is for the log. */
void esd_ack_pass(esd_dispatcher_t *d, esd_lane_t *lane, uint64_t sequence,
    const char *why);

/* nudge.c */
/* True when the lane's turn is its own; `again`: it may have another. */
bool esd_nudge_turn(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane,
    bool *again);

/* simulate.c - all do nothing unless a failure was asked for */
/* True when a new event is not sent now: it waits until `*next_ms`, or is
   dropped when that is -1. */
bool esd_simulate_new_event(esd_dispatcher_t *d, esd_lane_t *lane,
    const esd_item_t *item, es_str_t id, int64_t *next_ms);
/* True when one that stands back lets the next event of the log pass. */
bool esd_simulate_swap(esd_lane_t *lane);
/* Spoils the request that is about to be sent. */
CURLcode esd_simulate_begin(esd_send_t *send);
void esd_simulate_outcome(const esd_send_t *send, esd_outcome_t *o);
/* The event was delivered; true when it is sent again, as `*again`. */
bool esd_simulate_repeats(const esd_send_t *send, const esd_item_t *item,
    esd_item_t *again);

/* test_event.c */
void esd_test_event_send(esd_dispatcher_t *d, esd_target_t *target,
    const es_control_request_t *request);
/* Gives d->testing its turns: sends those that wait, as many as may be. */
void esd_test_events_run(esd_dispatcher_t *d);
/* Those that wait will not be sent, and no attempt is recorded. */
void esd_test_events_drop(esd_target_t *target);
/* None will be sent any more. */
void esd_test_events_end(esd_dispatcher_t *d);

/* ordering.c - all do nothing in other modes than `key` */
/* True when an earlier event of its subject is not done; sets item->key. */
bool esd_ordering_holds(const esd_lane_t *lane, const es_event_t *event,
    esd_item_t *item);
/* In all modes: the event needs no record any more, and the next one of its
   key may go. */
void esd_ordering_done(esd_dispatcher_t *d, esd_lane_t *lane,
    const esd_item_t *item);
/* The key of an event of the log; 0 in other modes. */
uint64_t esd_ordering_key_at(es_txn_t *txn, const esd_lane_t *lane,
    uint64_t sequence);
/* An item was added that earlier or later ones may have to wait for. */
void esd_ordering_join(esd_lane_t *lane, size_t i);
/* Finds keys and who holds whom, when a lane begins or its mode changed. */
void esd_ordering_restore(es_txn_t *txn, esd_lane_t *lane);

/* message.c */
void esd_message_begin(esd_send_t *send);
/* One event more of the log, at most as many as the endpoint's batch has;
   `event` dies with its transaction. */
es_rc_t esd_message_add(esd_send_t *send, const esd_lane_t *lane,
    const esd_item_t *item, const es_event_t *event);
/* An event that is not in the log, alone. */
es_rc_t esd_message_own(esd_send_t *send, esd_send_kind_t kind, es_str_t id,
    es_str_t event);
/* Signs and writes header fields, for the time in send->sent_ms; signatures
   may be left to threads: see signing.h. */
es_rc_t esd_message_end(esd_send_t *send, const esd_lane_t *lane);

/* send.c */
/* One that is idle: it is taken by esd_send_start() only. */
esd_send_t *esd_send_get(esd_dispatcher_t *d, esd_target_t *target);
/* A new one, for this URL. */
esd_send_t *esd_send_create(esd_dispatcher_t *d, esd_target_t *target,
    const char *url);
/* Hands its message to libcurl, at once or when it is signed; a test has no
   lane.  `ended` is called once when the attempt is over, unless
   esd_send_end() comes first, and calls that. */
es_rc_t esd_send_start(esd_send_t *send, esd_lane_t *lane,
    esd_send_fn ended);
/* Takes it from libcurl and from its lane; keeps it for the next one. */
void esd_send_end(esd_send_t *send);
void esd_send_destroy(esd_send_t *send);

/* token.c - all do nothing for endpoints without `oauth` */
/* The record has changed, or is the first. */
void esd_token_reset(esd_target_t *target);
void esd_token_done(esd_target_t *target);
/* False when there is none that can be used: one is got, and the lanes and
   tests that wait are woken. */
bool esd_token_ready(esd_dispatcher_t *d, esd_target_t *target);

/* bearer.c */
/* Forgets the endpoint's access token. */
void esd_bearer_drop(esd_token_t *token);
/* Gives the send the header line with the endpoint's token, if it has one. */
es_rc_t esd_bearer_attach(esd_send_t *send);
/* The receiver does not accept the token that was sent. */
void esd_bearer_refused(const esd_send_t *send);

/* proxy.c */
/* Whether it is the URL of a proxy. */
bool esd_proxy_ok(const char *text);
/* Reads the credentials; says what is wrong. */
es_rc_t esd_proxy_init(esd_dispatcher_t *d);
void esd_proxy_done(esd_dispatcher_t *d);
/* Sets a handle that has its URL to the proxy, or to none at all. */
bool esd_proxy_set(esd_send_t *send);
/* What an attempt without an answer is: `klass`, but for what the proxy says
   of it or is the cause of. */
es_attempt_class_t esd_proxy_class(const esd_send_t *send, CURLcode result,
    es_attempt_class_t klass);
/* True while it does not work and is not to be tried. */
bool esd_proxy_holds(const esd_dispatcher_t *d);
/* What the outcome says of the proxy. */
void esd_proxy_outcome(esd_dispatcher_t *d, const esd_send_t *send,
    CURLcode result, const esd_outcome_t *o);

/* response.c - libcurl's callbacks; `ctx` is the esd_send_t. */
size_t esd_response_header(char *data, size_t size, size_t n, void *ctx);
size_t esd_response_body(char *data, size_t size, size_t n, void *ctx);

/* trickle.c */
void esd_trickle_init(esd_dispatcher_t *d);
/* The answer's headers have come. */
void esd_trickle_begin(esd_send_t *send);
void esd_trickle_end(esd_send_t *send);

/* outcome.c */
/* The outcome of an attempt that has ended, before anything follows from
   it. */
void esd_outcome_read(esd_send_t *send, CURLcode result, esd_outcome_t *o);
/* The end of every attempt: gives the send back, and wakes what waited. */
void esd_outcome_apply(esd_send_t *send, const esd_outcome_t *o);
/* Ends an attempt that carried events. */
void esd_outcome_events(esd_send_t *send, CURLcode result);

/* health.c */
/* It is sent one request at a time. */
bool esd_health_doubted(const esd_target_t *target);
/* False when that one is in flight. */
bool esd_health_room(esd_target_t *target);
void esd_health_load(esd_dispatcher_t *d, esd_target_t *target);
void esd_health_success(esd_dispatcher_t *d, esd_target_t *target,
    const esd_send_t *send);
void esd_health_failure(esd_dispatcher_t *d, esd_target_t *target,
    const esd_send_t *send, const esd_outcome_t *o);

/* window.c */
void esd_window_reset(esd_target_t *target);
void esd_window_success(esd_target_t *target, const esd_send_t *send);
void esd_window_halve(esd_target_t *target);

/* rate.c */
void esd_rate_reset(esd_target_t *target);
void esd_rate_done(esd_target_t *target);
/* False when it has been sent all that it may; its lanes are woken later. */
bool esd_rate_room(esd_target_t *target);
void esd_rate_charge(esd_target_t *target, int64_t now_us);

/* failing.c */
void esd_failing_load(esd_dispatcher_t *d, esd_target_t *target);
/* Its record has changed. */
void esd_failing_change(esd_dispatcher_t *d, esd_target_t *target);
void esd_failing_succeeded(esd_dispatcher_t *d, esd_target_t *target);
void esd_failing_failed(esd_dispatcher_t *d, esd_target_t *target,
    const esd_send_t *send);
/* Why it is to be stopped now, after a failure; or NULL. */
const char *esd_failing_stop_reason(esd_target_t *target);
void esd_failing_circuit(esd_dispatcher_t *d, esd_target_t *target,
    const char *reason, int64_t next_ms);
void esd_failing_tick(esd_dispatcher_t *d, esd_target_t *target,
    int64_t now_ms);
/* Stops the endpoint until its record changes. */
void esd_failing_stop(esd_dispatcher_t *d, esd_target_t *target,
    const char *reason);

/* notifier.c */
es_rc_t esd_notifier_start(esd_dispatcher_t *d);
/* There are operational events in the outbox. */
void esd_notifier_wake(esd_dispatcher_t *d);
/* Publishes what there is, and ends the thread. */
void esd_notifier_finish(esd_dispatcher_t *d);

/* notice.c */
/* The lane's feed is the one that the partner's operational events go to. */
bool esd_notice_own(const esd_lane_t *lane);
/* Each records an operational event; a time of 0 is left out. */
void esd_notice_disabled(esd_dispatcher_t *d, const esd_target_t *target,
    const char *reason);
void esd_notice_failing(esd_dispatcher_t *d, const esd_target_t *target,
    const char *reason, int64_t next_ms, int64_t disable_ms);
void esd_notice_recovered(esd_dispatcher_t *d, const esd_target_t *target);
/* `id` is the event's, or NULL. */
void esd_notice_exhausted(esd_dispatcher_t *d, const esd_lane_t *lane,
    const es_dead_t *dead, const char *id, const char *reason);
/* An endpoint is not sent a feed any more: all up to `cursor` is done. */
void esd_notice_away(esd_dispatcher_t *d, const es_away_t *away,
    const char *cursor, uint64_t behind);
void esd_notice_lost(esd_dispatcher_t *d, const es_away_t *away,
    const es_loss_t *loss);
void esd_notice_skipped(esd_dispatcher_t *d, const esd_lane_t *lane,
    const es_dead_t *dead, const char *id, const char *by);
void esd_notice_cancelled(esd_dispatcher_t *d, const esd_target_t *target,
    const char *feed, const esd_clearing_job_t *job);
/* `feed` is NULL for all. */
void esd_notice_discarded(esd_dispatcher_t *d, const esd_target_t *target,
    const char *feed, const esd_clearing_job_t *job);
/* The same, in the set of the notifier's thread. */
es_rc_t esd_notice_retention(esd_dispatcher_t *d,
    const es_endpoint_t *endpoint,
    const char *feed, const es_cursor_t *done, const es_lag_t *lag);
/* A feed of the endpoint stands, or with NULL all of them, and moves again;
   `report` of es_stall_report() is taken. */
void esd_notice_stalled(esd_dispatcher_t *d, const esd_target_t *target,
    const esd_lane_t *lane, const es_stall_t *stall, json_t *report);
void esd_notice_unstalled(esd_dispatcher_t *d, const esd_target_t *target,
    const esd_lane_t *lane, const es_stall_t *stall);
/* NULL for 0. */
const char *esd_notice_time(int64_t ms, char text[ES_TIME_LEN + 1]);

/* stall.c */
/* What the last run left, of a lane or, with NULL, of the endpoint. */
void esd_stall_load(esd_dispatcher_t *d, esd_target_t *target,
    esd_lane_t *lane);
/* Says whether the lane stands, if that has changed. */
void esd_stall_check(esd_dispatcher_t *d, esd_lane_t *lane);
/* Each second; the second is of all endpoints. */
void esd_stalls_tick(esd_dispatcher_t *d, esd_target_t *target);
void esd_stall_all(esd_dispatcher_t *d);
/* The lane goes away, which others tell. */
void esd_stall_end(esd_dispatcher_t *d, esd_lane_t *lane);

/* retention_warning.c - the notifier's thread */
void esd_warning_check(esd_dispatcher_t *d);

/* schedule.c */
/*
 * The clock of what is to be done later: the wall clock as it was at start,
 * and what has passed since.  So nothing waits longer, or is done earlier,
 * because somebody has set the wall clock; the next start takes the new one.
 */
void esd_schedule_init(esd_dispatcher_t *d);
int64_t esd_schedule_ms(const esd_dispatcher_t *d);
/* The number in [0, 1) that jitter is made of. */
double esd_schedule_draw(es_str_t id, es_str_t endpoint, uint32_t attempt);
int64_t esd_schedule_delay(const es_endpoint_t *endpoint, es_str_t id,
    uint32_t attempts);
int64_t esd_retry_after_ms(const char *value, int64_t now_ms);
/* No delay of the endpoint's is longer. */
int64_t esd_schedule_longest(const es_endpoint_t *endpoint);

/* recorder.c */
es_rc_t esd_recorder_start(esd_dispatcher_t *d);
/* There is something to commit within the interval. */
void esd_recorder_touch(esd_dispatcher_t *d);
void esd_recorder_retry(esd_dispatcher_t *d);
/* The lane's progress as it is now, ahead of the next commit. */
void esd_record_progress(esd_dispatcher_t *d, esd_lane_t *lane);
/* Commits all that there is, and ends the thread. */
es_rc_t esd_recorder_finish(esd_dispatcher_t *d);

/* `rc` is the result of adding a change to recorder->filling.  Unless it is
   ES_OK the process ends: a change that is lost would deliver an event twice,
   or never. */
void esd_must(esd_dispatcher_t *d, es_rc_t rc);
/* Ends the process in the same way. */
void esd_out_of_memory(void) __attribute__((noreturn));

/* What is counted as well, see tally.h. */
void esd_record_attempt(esd_dispatcher_t *d, const es_attempt_t *attempt);
void esd_record_dead(esd_dispatcher_t *d, const es_dead_t *dead);
/* Records the attempt of an event, or of what has no place in the log. */
void esd_record_send(esd_send_t *send, uint64_t sequence, uint32_t attempt,
    const esd_outcome_t *o);
/* Records that this process is alive. */
void esd_record_heartbeat(esd_dispatcher_t *d);

/* trusted_clock.c */
void esd_clock_init(esd_dispatcher_t *d);
/* At start, and then by the janitor only; what was found before stays when it
   fails. */
es_rc_t esd_clock_update(esd_dispatcher_t *d);
/* The time that decides what is too old: no jump of the wall clock moves it
   before it has lasted.  Any thread. */
int64_t esd_clock_expiry_ms(const esd_dispatcher_t *d);
/* The time that records get: the store's.  Any thread. */
int64_t esd_clock_stamp_ms(const esd_dispatcher_t *d);
/* The same, and no earlier where the wall clock is behind: see store_clock.h.
   Any thread. */
int64_t esd_clock_due_ms(const esd_dispatcher_t *d);

/* janitor.c - retention, readers of dead processes. */
es_rc_t esd_janitor_start(esd_dispatcher_t *d);
void esd_janitor_finish(esd_dispatcher_t *d);

/* dispatcher.c - start, ticks, stop. */
es_rc_t esd_dispatcher_run(esd_dispatcher_t *d);

/* options.c - exits when it has to. */
void esd_options_parse(int argc, char **argv, esd_options_t *options);

#endif /* ESD_DISPATCHER_H */
