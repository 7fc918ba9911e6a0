/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The process that tails the log and sends webhooks.
 *
 * The natural way of a delivery, one file each:
 *
 *     look.c     what others have changed: registry, feeds, events
 *     loader.c   a picture of the registry, loaded by a thread
 *     target.c   which endpoints there are, and what feeds they are sent
 *     parked.c   places that are kept of feeds that it is not sent now
 *     loss.c     events that it will never be sent, and who is told
 *     keys.c     the keys of its secrets
 *     lane.c     select: what an endpoint is sent next of a feed
 *     waiting.c  its events that wait, in order
 *     fresh.c    the next of the log, one event or a batch
 *     key.c      order per subject
 *     message.c  what a request carries: events, signatures, header fields
 *     send.c     one attempt: libcurl's handle, and its place
 *     proxy.c    by which all goes out, if there is one
 *     token.c    access tokens that it needs
 *     answer.c   what is read of the answer
 *     trickle.c  the rest of it has some seconds to come
 *     judge.c    its outcome: success, retry, dead letter, stop
 *     health.c   what it says of the endpoint: doubt, circuit
 *     window.c   how many it is sent at a time
 *     rate.c     how many it is sent in a time
 *     place.c    how many a partner is sent at a time, of all that are
 *     policy.c   it only fails: announced, and in the end disabled
 *     notice.c   operational events, published by a thread
 *     near.c     whom retention will overtake, judged by that thread
 *     stall.c    what stands still is said
 *     request.c  replay, resend, redrive
 *     skip.c     the event that a lane stands on becomes a dead letter
 *     clear.c    cancel and discard, in slices
 *     cancel.c   what waits is not sent
 *     discard.c  dead letters are forgotten
 *     ack.c      what consumers have acknowledged by polling
 *     nudge.c    too much to be sent: one event that says "poll from here"
 *     test.c     test events
 *     simulate.c failures that were asked for
 *     recorder.c what of all that goes to disk, committed by a helper thread
 *     helper.c   such threads
 *     caution.c  by which time things are given up
 *
 * Everything runs on the loop's thread but es_delivery_commit() (recorder.c),
 * es_registry_load() (loader.c), retention (janitor.c) and es_publish()
 * (notice.c).  Nothing waits for the disk or a receiver.
 */

#ifndef ES_DISPATCHER_H
#define ES_DISPATCHER_H

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

#include "egress.h"
#include "thread.h"
#include "item.h"
#include "log.h"
#include "loop.h"
#include "slots.h"
#include "saved_state.h"
#include "signing.h"
#include "waiting.h"

/* As TAILQ_FOREACH(), which cppcheck does not see through. */
#define es_each(item, list, link)                                             \
    for ((item) = TAILQ_FIRST(list);                                          \
         (item) != NULL;                                                      \
         (item) = TAILQ_NEXT((item), link))

#define ES_BODY_FIRST     256      /* bytes of a response that are recorded */
#define ES_BODY_READ      65536    /* bytes of a response that are read */
#define ES_HEADERS_READ   65536    /* bytes of its headers, status lines too */
#define ES_RETRY_AFTER_MAX_MS  (24 * 3600 * 1000)

typedef struct es_source      es_source_t;
typedef struct es_lane        es_lane_t;
typedef struct es_parked      es_parked_t;
typedef struct es_test        es_test_t;
typedef struct es_clearing_job  es_clearing_job_t;

typedef TAILQ_HEAD(es_lane_list, es_lane)  es_lanes_t;
typedef TAILQ_HEAD(es_send_list, es_send)  es_sends_t;
typedef TAILQ_HEAD(es_test_list, es_test)  es_tests_t;

typedef struct {
    const char  *store;
    const char  *ca_file;
    const char  *tls_dir;          /* files that endpoints name */
    const char  *key_file;
    const char  *pid_file;
    const char  *proxy;            /* URL, or NULL: none */
    const char  *proxy_auth_file;
    bool         allow_http;
    es_egress_t  egress;
    unsigned     max_connections;
    unsigned     max_waiting;      /* items of all lanes, see es_lane_room() */
    uint32_t     commit_ms;
    uint32_t     attempts_ms;      /* how long attempts are kept */
    uint32_t     dead_ms;          /* and dead letters */
} es_options_t;

/* A feed, and who is sent it. */
struct es_source {
    es_feed_t             feed;
    uint64_t              round;       /* of the read that `feed` is from */
    uint64_t              seen;        /* look that found it last */
    uint64_t              known;       /* the last event at that which alive_ms
                                          is of, and its epoch */
    char                  known_epoch[ES_EPOCH_MAX + 1];
    es_lanes_t            lanes;
};

/* One feed of one endpoint: what has its own order and its own progress. */
struct es_lane {
    es_target_t          *target;
    es_source_t          *source;
    TAILQ_ENTRY(es_lane)  in_source;
    TAILQ_ENTRY(es_lane)  in_target;
    TAILQ_ENTRY(es_lane)  in_ready;
    TAILQ_ENTRY(es_lane)  in_dirty;
    TAILQ_ENTRY(es_lane)  in_passed;
    es_sends_t            sends;       /* in flight */
    size_t                nflying;     /* events of these without a record */
    char                  epoch[ES_EPOCH_MAX + 1];
    uint64_t              position;    /* taken from the log up to here */
    uint64_t              matched;     /* last one that matched */
    uint64_t              acked;       /* by a checkpoint, see ack.c */
    es_item_t            *waiting;     /* not in flight: retries, and what was
                                          in flight when the last run ended;
                                          see waiting.h */
    size_t                nwaiting;
    size_t                waiting_cap;
    es_link_t            *links[ES_ORDERS];
    uint32_t              roots[ES_ORDERS];
    size_t                nheld;       /* of them, those that are held */
    size_t                npending;    /* of them, those without a record */
    int64_t               due_ms;      /* the least next_ms of `waiting` */
    bool                  retried;     /* its last turn was a retry's */
    int64_t               stuck_ms;    /* nothing is sent before; 0: now */
    uint64_t              stuck_at;    /* the event that cannot be read */
    uint64_t              unmatched;   /* none matches up to here, see
                                          stall.c */
    es_stall_t            stall;       /* why it stands, see stall.c */
    int64_t               linger_ms;   /* a batch may fill until then; or 0 */
    uint64_t              ahead;       /* matches are counted up to here, */
    uint64_t              nahead;      /* from `position` on: see nudge.c */
    unsigned              nudges;      /* attempts of one */
    uint64_t              swapped;     /* stands back, see simulate.c; or 0 */
    es_lanes_t           *ready;       /* the list that it is in, or NULL */
    es_loss_t             loss;        /* what has not been told yet */
    int64_t               loss_us;     /* monotonic: told last; 0: never */
    int64_t               ending_us;   /* monotonic: the feed is being emptied
                                          since then, by the note of */
    int64_t               ending_ms;   /* that time, see loss.c */
    es_passed_t          *passed;      /* the same, while it waits for a
                                          place, see place.c */
    bool                  called;      /* from there, for its turn */
    bool                  dirty;
    bool                  moved;       /* position only, since last commit */
};

/* How fast an endpoint answers, see window.c. */
typedef struct {
    int64_t   best_us;         /* 0: not known */
    int64_t   best_at_us;      /* monotonic: since when it is looked for */
    int64_t   sum_us;          /* of this round */
    unsigned  n;
    unsigned  skip;            /* answers that do not count */
} es_latency_t;

/* See token.c; all zero without one. */
typedef struct {
    es_buf_t  line;            /* the header line, with its NUL; or empty */
    int64_t   refresh_us;      /* monotonic */
    int64_t   ends_us;
    int64_t   until_us;        /* none is asked for before */
    bool      fetching;
    unsigned  failures;        /* in a row */
    ev_timer  timer;           /* at until_us */
} es_token_t;

/* An endpoint. */
struct es_target {
    es_dispatcher_t       *d;
    uint32_t               number;
    es_holder_t           *holder;     /* its partner */
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
    es_latency_t           latency;
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
    es_lanes_t             lanes;      /* who was sent last comes last */
    es_sends_t             others;     /* in flight, of no lane */
    es_sends_t             idle;       /* made and not in flight */
    es_tests_t             tests;      /* that wait */
    unsigned               ntests;
    es_clearing_job_t     *job;        /* see clear.c; or NULL */
    es_token_t             token;
    es_stall_t             stall;      /* why it is sent nothing */
    es_channel_t          *channel;    /* of its own, while it has sends */
};

/* An event of a cancel, as it waits. */
typedef struct {
    uint64_t  key;
    uint64_t  sequence;
} es_clearing_item_t;

/* A cancel or a discard that is under way, see clear.c. */
struct es_clearing_job {
    es_clear_t           clear;        /* as it is on disk */
    es_clearing_t        clearing;
    uint64_t             commits;      /* not before so many */
    uint64_t             count;        /* found, or done in this phase */
    es_dead_place_t      place;        /* discard: looked at up to there */
    bool                 begun;        /* cancel: the list was made, */
    bool                 looked;       /* and has what is meant only */
    es_clearing_item_t  *list;         /* cancel */
    size_t               n;
    size_t               at;           /* of the list, that is next */
    size_t               kept;         /* of those before it, that are meant */
    uint64_t             upto;         /* cancel: events yet to come up to there
                                          are passed over */
};

/* A test event that waits, see test.c. */
struct es_test {
    TAILQ_ENTRY(es_test)   link;
    uint64_t               request;
    size_t                 len;
    char                   event[];
};

/* Room for all header lines of a request but those of the endpoint. */
#define ES_HEAD_MAX  (512 + ES_ID_MAX + ES_FEED_MAX                           \
                      + ES_SECRETS_MAX * ES_SIGNATURE_MAX)

typedef enum {
    ES_SEND_EVENTS = 0,
    ES_SEND_NUDGE,
    ES_SEND_TEST,
    ES_SEND_TOKEN
} es_send_kind_t;

#define ES_TRACEPARENT_LEN  55

/* One attempt in flight, and its reused memory. */
struct es_send {
    es_dispatcher_t       *d;
    es_target_t           *target;
    es_lane_t             *lane;
    TAILQ_ENTRY(es_send)   link;       /* in one of the lane's lists, or of
                                          the target's */
    es_channel_t          *channel;
    CURL                  *easy;
    CURLU                 *url;
    uint64_t               revision;   /* of the endpoint, that it is set to */
    es_send_kind_t         kind;
    es_item_t             *items;      /* what it carries, in order; other */
    unsigned               nitems;     /* kinds have none */
    unsigned               nflying;    /* counted in lane->nflying */
    uint64_t               upto;       /* nudge: last event that it is for;
                                          test: number of the request */
    uint32_t               attempt;    /* from 1 */
    es_buf_t               body;
    es_buf_t               ids;        /* of the events, a NUL after each;
                                          token: the answer */
    es_buf_t               auth;       /* its own, of target->token */
    char                   trace[ES_TRACEPARENT_LEN + 1];
    es_signing_t          *signing;    /* signatures that are being made */
    bool                   proxied;
    es_failure_t           simulate;   /* NONE: it is meant well */
    size_t                 truncated;  /* of the body, what was sent */
    bool                   retry;      /* counted in target->retrying */
    bool                   doubted;    /* counted in d->doubted */
    TAILQ_ENTRY(es_send)   in_trickles;
    int64_t                trickle_us; /* monotonic: it ends; 0: in none */
    int64_t                sent_ms;
    int64_t                sent_us;    /* monotonic */

    /* The answer so far. */
    bool                   refused;    /* an address that is not allowed */
    bool                   starved;    /* there was no descriptor for it */
    bool                   overflow;   /* headers over their limit, or none
                                          of HTTP: no status counts */
    size_t                 header_bytes;
    size_t                 read_bytes;
    unsigned               first_len;
    char                   first[ES_BODY_FIRST];
    char                   retry_after[64];
    char                   coding[32]; /* Content-Encoding, or "" */
    bool                   disable;    /* webhook-delivery: disable */
    bool                   abort;      /* webhook-delivery: abort */

    struct curl_slist      heads[3];
    char                   head[];     /* ES_HEAD_MAX, and its own headers */
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
} es_outcome_t;

/* See proxy.c; all zero without one. */
typedef struct {
    char     *user;            /* from its file, or NULL */
    char     *password;
    int64_t   pause_ms;        /* 0: it works */
    int64_t   until_us;        /* monotonic: nothing is sent before */
    ev_timer  timer;           /* then the loop looks again */
} es_proxy_t;

typedef struct {
    es_helper_t      helper;
    bool             handed;       /* `committing` is the thread's */
    es_rc_t          rc;           /* of the last commit */
    int              error;        /* its errno */
    es_reason_t      reason;       /* and its record */

    /* The loop's. */
    es_changes_t    *filling;
    es_changes_t    *committing;
    bool             notices;      /* `filling` has operational events */
    bool             noticed;      /* so has `committing` */
    bool             busy;
    bool             due;          /* commit again as soon as it can be */
    bool             failed;       /* `committing` waits to be tried again */
    bool             full;         /* as there is no room for it */
    uint64_t         commits;
    ev_async         done;
    ev_timer         timer;
    es_lanes_t       dirty;
    es_tally_t       tally;        /* with what is in `filling` */
    bool             tallied;      /* it has moved since it was written */
} es_recorder_t;

typedef struct {
    es_helper_t     helper;
    bool            asked;
    bool            done;          /* what was loaded is the loop's to take */
    int64_t         asked_ms;      /* es_stamp_ms(); the loop's */
    uint64_t        asked_version; /* of the registry, then; the loop's */
    uint64_t        failed_version;    /* said of this one; the loop's */
    int64_t         until_us;      /* monotonic: it failed, and none is asked
                                      for before; the loop's */
    es_rc_t         rc;
    es_reason_t     reason;        /* its record */
    es_registry_t  *registry;
    ev_async        ready;
} es_loader_t;

typedef struct {
    es_helper_t       helper;
    bool              told;        /* look into the outbox */
    _Atomic uint64_t  last;        /* place in the outbox that was given */
    _Atomic bool      wanted;      /* there are partners to tell */

    /* The thread's. */
    es_changes_t     *changes;
    es_registry_t    *registry;
    int64_t           near_us;     /* monotonic: no look before */
    uint64_t          after;       /* place up to which it has read */
    bool              failed;      /* and it was said */
    bool              blind;       /* near.c failed, and it was said */
    uint64_t          dropped;     /* events, since the store was made */
} es_notifier_t;

/* See caution.c.  The first three are less the monotonic clock. */
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
} es_caution_t;

struct es_dispatcher {
    es_options_t           options;
    es_caution_t           caution;
    es_store_t            *store;
    es_loop_t              loop;
    es_proxy_t             proxy;
    es_recorder_t          recorder;
    es_helper_t            janitor;
    es_loader_t            loader;
    es_notifier_t          notifier;
    es_signings_t          signings;

    es_registry_t         *registry;
    uint64_t               registry_version;   /* that was looked at */
    uint64_t               taken;      /* the last request */
    es_saved_t             saved;      /* until it is taken over */
    int64_t                alive_ms;   /* es_stamp_ms() of the last look */
    int64_t                booted_ms;  /* wall clock of it, see schedule.c */
    bool                   look;       /* the bell rang */
    bool                   reload;     /* though nothing has changed */
    bool                   locked;     /* there are secrets without a key */
    int64_t                reload_us;  /* monotonic: for that, not before */
    bool                   unjoined;   /* a lane could not be begun */
    uint64_t               looks;
    uint64_t               syncs;
    uint64_t               rounds;     /* of reading */

    es_target_t          **targets;    /* by number */
    size_t                 ntargets;
    es_source_t          **sources;    /* by number */
    size_t                 nsources;
    es_parked_t          **parked;     /* by the endpoint's number */
    size_t                 nparked;
    uint64_t               lost;       /* events, since the store was made */
    es_lanes_t             ready;
    es_lanes_t             later;      /* ready, of doubted endpoints */
    int                    nlater;     /* of them, turns since the loop has
                                          looked at sockets */
    int                    nready;     /* turns of others since then */
    es_places_t            places;
    es_sends_t             trickles;   /* see trickle.c: first to end first */
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
    int64_t                look_us;    /* monotonic: no look before */
    ev_timer               look_timer;
    ev_timer               tick;       /* each second */
    ev_timer               tock;       /* ten a second, while items wait */
    ev_timer               ack_timer;  /* while a look at checkpoints goes
                                          on, with targets from ack_next */
    size_t                 ack_next;
    uint64_t               ack_version;     /* that were looked at */
    uint64_t               ack_registry_version;
    int64_t                ack_since_ms;    /* of the first look; 0: all */
    ev_timer               clear_timer;     /* while there are jobs, */
    unsigned               njobs;           /* so many */
    ev_timer               grace;
    ev_prepare             ending;
    ev_signal              signals[4];
};

/* keys.c - a store whose secrets need other keys than there are is not
   opened; es_keys_load() is es_registry_load(), with the key file read again
   if a secret needs it. */
es_rc_t es_keys_open(es_dispatcher_t *d);
es_rc_t es_keys_load(es_dispatcher_t *d, es_registry_t **registry);

/* loader.c */
es_rc_t es_loader_start(es_dispatcher_t *d);
void es_loader_finish(es_dispatcher_t *d);
/* Has one loaded, of this version or later; d->look is set when it is there.
   Nothing, if that was asked before. */
void es_loader_ask(es_dispatcher_t *d, uint64_t version);
/* False: there is none; otherwise what es_keys_load() returned. */
bool es_loader_take(es_dispatcher_t *d, es_rc_t *rc,
    es_registry_t **registry);

/* look.c */
/* What the last run left; ES_CORRUPT and others: it cannot go on from there. */
es_rc_t es_targets_load(es_dispatcher_t *d);
/* es_due_ms() as it was at the last look, for who asks whether this process is
   alive. */
int64_t es_look_heartbeat(const es_dispatcher_t *d);
/* Takes in changes of the registry and of the log. */
void es_targets_look(es_dispatcher_t *d);

/* target.c */
/* Room for a number in a list by number; NULL: out of memory. */
void *es_slot(void *list, size_t *n, uint32_t number);
/* Takes over the present picture: of endpoints that are new or changed, or of
   `all`, which feeds they are sent. */
void es_targets_sync(es_dispatcher_t *d, es_txn_t *txn, bool all);
/* Makes, keeps or drops the lane of an endpoint and a feed. */
void es_target_join(es_dispatcher_t *d, es_txn_t *txn, es_target_t *target,
    es_source_t *source);
void es_targets_done(es_dispatcher_t *d);
/* What its record says lets it be sent something. */
bool es_target_on(const es_target_t *target);
void es_target_stop(es_dispatcher_t *d, es_target_t *target,
    const char *reason);
void es_targets_tick(es_dispatcher_t *d);
/* NULL when the endpoint is not sent the feed. */
es_lane_t *es_target_lane(const es_target_t *target,
    const es_source_t *source);

/* parked.c - see docs/dispatcher.md, "Where an endpoint starts". */
/* Keeps the lane's place and destroys the lane; `why` is for the log. */
void es_park(es_dispatcher_t *d, es_lane_t *lane, const char *why);
/* The place that is kept, or NULL.  It lives until es_parked_back(). */
es_saved_lane_t *es_parked_place(es_dispatcher_t *d, uint32_t endpoint,
    uint32_t feed);
/* A lane has taken the place over, from here or from what the last run left. */
void es_parked_back(es_dispatcher_t *d, const es_saved_lane_t *place);
/* The endpoint has places that are kept. */
bool es_parked_any(const es_dispatcher_t *d, uint32_t endpoint);
/* Gives up those of a feed that is gone, or those that have been kept for long
   enough, and says what is lost. */
void es_parked_feed_gone(es_dispatcher_t *d, es_txn_t *txn, uint32_t feed);
void es_parked_expire(es_dispatcher_t *d, es_txn_t *txn, int64_t now_ms);
/* Takes what the last run left and no lane has taken. */
void es_parked_load(es_dispatcher_t *d, es_txn_t *txn);
void es_parked_done(es_dispatcher_t *d);

/* loss.c */
/* The names of a lane's endpoint and feed, since never. */
void es_away_of(const es_lane_t *lane, es_away_t *away);
/* How many events the lane has in flight or waiting; `*first` becomes the least
   of their sequences, if that is less. */
size_t es_lane_items(const es_lane_t *lane, uint64_t *first);
/* Logs, counts and announces a loss, unless it is none. */
void es_loss_tell(es_dispatcher_t *d, const es_away_t *away,
    const es_loss_t *loss);
/* Tells what the lane has lost; at once, or when it is time. */
void es_loss_flush(es_dispatcher_t *d, es_lane_t *lane);
void es_loss_tick(es_dispatcher_t *d, es_lane_t *lane);
/* Retention has taken what the lane had still to be sent. */
void es_loss_overtaken(es_dispatcher_t *d, es_lane_t *lane);
/* The lane's epoch has ended, and what it had still to be sent with it. */
void es_loss_epoch(es_dispatcher_t *d, es_txn_t *txn, es_lane_t *lane,
    es_loss_reason_t reason);
/* The same of a place with `n` items, the first of them `first`: what is lost,
   and the note of the epoch's end, zeroed if there is none. */
void es_loss_ended(es_txn_t *txn, const es_saved_lane_t *place, size_t n,
    uint64_t first, es_ended_t *ended, es_loss_t *loss);
/* The lane's feed is being emptied, by a reset or a removal. */
bool es_loss_ending(es_txn_t *txn, es_lane_t *lane);

/* request.c */
/* Takes what has been asked since the last look. */
void es_requests_look(es_dispatcher_t *d, es_txn_t *txn);
/* Goes on with the endpoint's dead letters, if that was asked. */
void es_redrive(es_dispatcher_t *d, es_target_t *target);

/* NULL: the endpoint is not sent the feed of this number. */
es_lane_t *es_lane_find(const es_dispatcher_t *d, const es_target_t *target,
    uint32_t feed);
/* Where the event waits, or ES_NO_ITEM. */
size_t es_lane_at(const es_lane_t *lane, uint64_t key, uint64_t sequence);

/* skip.c */
void es_skip(es_dispatcher_t *d, es_txn_t *txn, es_target_t *target,
    const es_request_t *request);

/* clear.c - a cancel or a discard, one of an endpoint at a time */
void es_clear_init(es_dispatcher_t *d);
/* Goes on with what the last run has begun. */
void es_clear_load(es_dispatcher_t *d, es_target_t *target);
void es_clear_begin(es_dispatcher_t *d, es_target_t *target,
    const es_request_t *request);
/* The target is gone, and its job goes on when it comes back. */
void es_clear_drop(es_dispatcher_t *d, es_target_t *target);
/* Replies to a request; `detail` is NULL with ES_OK. */
void es_clear_reply(es_dispatcher_t *d, const es_request_t *request,
    const char *by, es_rc_t rc, uint64_t count, const char *detail);

/* What a slice of a job has come to. */
typedef enum {
    ES_SLICE_AGAIN,            /* there is more */
    ES_SLICE_COUNTED,          /* job->count is how many there are */
    ES_SLICE_DONE,             /* job->count is how many it was done to */
    ES_SLICE_AWAY              /* the feed is not sent any more, or is reset */
} es_slice_t;

es_slice_t es_cancel_slice(es_dispatcher_t *d, es_txn_t *txn,
    es_target_t *target, es_clearing_job_t *job);
es_slice_t es_discard_slice(es_dispatcher_t *d, es_txn_t *txn,
    es_target_t *target, es_clearing_job_t *job);

/* lane.c */
es_lane_t *es_lane_create(es_dispatcher_t *d, es_target_t *target,
    es_source_t *source);
void es_lane_destroy(es_dispatcher_t *d, es_lane_t *lane);
/* Compares with the feed as it is: another epoch, events no longer kept.
   False: the feed is being emptied, and the lane waits for the end of that. */
bool es_lane_check(es_dispatcher_t *d, es_txn_t *txn, es_lane_t *lane);
void es_lane_restart(es_dispatcher_t *d, es_lane_t *lane, uint64_t position);
void es_lane_wait(es_dispatcher_t *d, es_lane_t *lane, const es_item_t *item);
/* Takes an item out of `waiting`; the last one takes its place. */
void es_lane_unwait(es_dispatcher_t *d, es_lane_t *lane, size_t i);
/* True while the lane may take events that may have to wait, and `more`: all lanes share
   --max-waiting, and each may have as many as the others leave. */
bool es_lane_room(const es_dispatcher_t *d, const es_lane_t *lane,
    size_t more);
void es_lane_wake(es_dispatcher_t *d, es_lane_t *lane);
void es_lane_dirty(es_dispatcher_t *d, es_lane_t *lane);
/* Wakes lanes with items that have become due. */
void es_lanes_due(es_dispatcher_t *d);
/* Sends whatever can be; true when more could be done at once. */
bool es_lanes_pump(es_dispatcher_t *d);
/* What cannot be sent now is looked at again after a while. */
void es_lane_stuck(es_lane_t *lane, uint64_t sequence, es_rc_t rc);

/* fresh.c - true when something was done, so that there may be more. */
bool es_lane_fresh(es_dispatcher_t *d, es_txn_t *txn, es_lane_t *lane);
/* The lane waits for no batch to fill any more. */
void es_fresh_leave(es_dispatcher_t *d, es_lane_t *lane);

/* The event waits with a retry record, until `next_ms` or until what holds it
   is done. */
void es_lane_retry(es_dispatcher_t *d, es_lane_t *lane, es_item_t *item,
    int64_t next_ms);
/* The same of an item that waits already. */
void es_lane_note(es_dispatcher_t *d, es_lane_t *lane, es_item_t *item);

/* The event needs no record of its own any more. */
void es_lane_drop(es_dispatcher_t *d, es_lane_t *lane, const es_item_t *item);
/* The same, and it holds no other. */
void es_lane_done(es_dispatcher_t *d, es_lane_t *lane, const es_item_t *item);

/* ack.c - after the targets are loaded; each second. */
void es_ack_init(es_dispatcher_t *d);
void es_ack_tick(es_dispatcher_t *d);
/* What waits up to `sequence` or is yet to come needs not be sent, and what is
   in flight not again; `why` is for the log. */
void es_lane_pass(es_dispatcher_t *d, es_lane_t *lane, uint64_t sequence,
    const char *why);

/* nudge.c */
/* True when the lane's turn is its own; `again`: it may have another. */
bool es_nudge_turn(es_dispatcher_t *d, es_txn_t *txn, es_lane_t *lane,
    bool *again);
void es_nudge_judge(es_send_t *send, es_outcome_t *o);
/* The lane has moved back. */
void es_nudge_reset(es_lane_t *lane);

/* simulate.c - all do nothing unless a failure was asked for */
/* True when a new event is not to be sent now. */
bool es_simulate_fresh(es_dispatcher_t *d, es_lane_t *lane, es_item_t *item,
    es_str_t id);
/* True when one that stands back lets the next event of the log pass. */
bool es_simulate_swap(es_lane_t *lane);
/* Spoils the request that is about to be sent. */
CURLcode es_simulate_begin(es_send_t *send);
void es_simulate_outcome(const es_send_t *send, es_outcome_t *o);
/* The event was delivered; what it was is done. */
void es_simulate_done(es_dispatcher_t *d, es_lane_t *lane,
    const es_send_t *send, const es_item_t *item);

/* test.c */
void es_test_send(es_dispatcher_t *d, es_target_t *target,
    const es_request_t *request);
void es_test_judge(es_send_t *send, const es_outcome_t *o);
/* Sends those that wait, as many as may be. */
void es_tests_turn(es_dispatcher_t *d, es_target_t *target);
/* Those that wait will not be sent; without a record of it if it is gone. */
void es_tests_fail(es_dispatcher_t *d, es_target_t *target,
    es_attempt_class_t klass, const char *why);
void es_tests_drop(es_target_t *target);
/* None will be sent any more. */
void es_tests_end(es_dispatcher_t *d);

/* key.c - all do nothing in other modes than `key` */
/* True when an earlier event of its subject is not done; sets item->key. */
bool es_key_holds(const es_lane_t *lane, const es_event_t *event,
    es_item_t *item);
/* An event of the key is done: the next one may go. */
void es_key_release(es_lane_t *lane, uint64_t key);
/* The key of an event of the log; 0 in other modes. */
uint64_t es_key_read(es_txn_t *txn, const es_lane_t *lane, uint64_t sequence);
/* An item was added that earlier or later ones may have to wait for. */
void es_key_join(es_lane_t *lane, size_t i);
/* Finds keys and who holds whom, when a lane begins or its mode changed. */
void es_key_restore(es_txn_t *txn, es_lane_t *lane);

/* message.c */
void es_message_begin(es_send_t *send);
/* One event more of the log, at most as many as the endpoint's batch has;
   `event` dies with its transaction. */
es_rc_t es_message_add(es_send_t *send, const es_lane_t *lane,
    const es_item_t *item, const es_event_t *event);
/* An event that is not in the log, alone. */
es_rc_t es_message_own(es_send_t *send, es_send_kind_t kind, es_str_t id,
    es_str_t event);
/* Signs and writes header fields, for the time in send->sent_ms; signatures
   may be left to threads: see signing.h. */
es_rc_t es_message_end(es_send_t *send, const es_lane_t *lane);

/* send.c */
/* One that is idle: it is taken by es_send_start() only. */
es_send_t *es_send_get(es_dispatcher_t *d, es_target_t *target);
/* A new one, for this URL. */
es_send_t *es_send_create(es_dispatcher_t *d, es_target_t *target,
    const char *url);
/* Hands its message to libcurl, at once or when it is signed; a test has no
   lane. */
es_rc_t es_send_start(es_send_t *send, es_lane_t *lane);
void es_send_signed(es_send_t *send, es_rc_t rc);
/* Takes it from libcurl and from its lane; keeps it for the next one. */
void es_send_end(es_send_t *send);
void es_send_destroy(es_send_t *send);

/* token.c - all do nothing for endpoints without `oauth` */
/* The record has changed, or is the first. */
void es_token_reset(es_target_t *target);
void es_token_done(es_target_t *target);
/* False when there is none that can be used: one is got, and the lanes and
   tests that wait are woken. */
bool es_token_ready(es_dispatcher_t *d, es_target_t *target);
/* Gives the send the line with it. */
es_rc_t es_token_put(es_send_t *send);
void es_token_judge(es_send_t *send, es_outcome_t *o);
/* The receiver does not take the one that was sent. */
void es_token_refused(const es_send_t *send);

/* proxy.c */
/* Whether it is the URL of a proxy. */
bool es_proxy_ok(const char *text);
/* Reads the credentials; says what is wrong. */
es_rc_t es_proxy_init(es_dispatcher_t *d);
void es_proxy_done(es_dispatcher_t *d);
/* Sets a handle that has its URL to the proxy, or to none at all. */
bool es_proxy_set(es_send_t *send);
/* What an attempt without an answer is: `klass`, but for what the proxy says
   of it or is the cause of. */
es_attempt_class_t es_proxy_class(const es_send_t *send, CURLcode result,
    es_attempt_class_t klass);
/* True while it does not work and is not to be tried. */
bool es_proxy_holds(const es_dispatcher_t *d);
/* What the outcome says of the proxy. */
void es_proxy_judge(es_dispatcher_t *d, const es_send_t *send,
    CURLcode result, const es_outcome_t *o);

/* answer.c - libcurl's callbacks; `ctx` is the es_send_t. */
size_t es_answer_header(char *data, size_t size, size_t n, void *ctx);
size_t es_answer_body(char *data, size_t size, size_t n, void *ctx);

/* trickle.c */
void es_trickle_init(es_dispatcher_t *d);
/* The answer's headers have come. */
void es_trickle_begin(es_send_t *send);
void es_trickle_end(es_send_t *send);

/* judge.c */
void es_judge(es_send_t *send, CURLcode result);
/* Records the attempt of an event, or of what has no place in the log. */
void es_judge_attempt(es_send_t *send, uint64_t sequence, uint32_t attempt,
    const es_outcome_t *o);

/* health.c */
/* It is sent one request at a time. */
bool es_health_doubts(const es_target_t *target);
/* False when that one is in flight. */
bool es_health_room(es_target_t *target);
void es_health_load(es_dispatcher_t *d, es_target_t *target);
void es_health_success(es_dispatcher_t *d, es_target_t *target,
    const es_send_t *send);
void es_health_failure(es_dispatcher_t *d, es_target_t *target,
    const es_send_t *send, const es_outcome_t *o);

/* window.c */
void es_window_reset(es_target_t *target);
void es_window_success(es_target_t *target, const es_send_t *send);
void es_window_halve(es_target_t *target);

/* rate.c */
void es_rate_reset(es_target_t *target);
void es_rate_done(es_target_t *target);
/* False when it has been sent all that it may; its lanes are woken later. */
bool es_rate_room(es_target_t *target);
void es_rate_charge(es_target_t *target, int64_t now_us);

/* policy.c */
void es_policy_load(es_dispatcher_t *d, es_target_t *target);
/* Its record has changed. */
void es_policy_change(es_dispatcher_t *d, es_target_t *target);
void es_policy_success(es_dispatcher_t *d, es_target_t *target);
void es_policy_failure(es_dispatcher_t *d, es_target_t *target,
    const es_send_t *send);
/* Why it is to be stopped now, after a failure; or NULL. */
const char *es_policy_over(es_target_t *target);
void es_policy_circuit(es_dispatcher_t *d, es_target_t *target,
    const char *reason, int64_t next_ms);
void es_policy_tick(es_dispatcher_t *d, es_target_t *target, int64_t now_ms);
void es_policy_stopped(es_dispatcher_t *d, es_target_t *target,
    const char *reason);

/* notice.c */
es_rc_t es_notifier_start(es_dispatcher_t *d);
/* There are operational events in the outbox. */
void es_notifier_tell(es_dispatcher_t *d);
/* Publishes what there is, and ends the thread. */
void es_notifier_finish(es_dispatcher_t *d);
/* The lane's feed is the one that the partner's operational events go to. */
bool es_notice_own(const es_lane_t *lane);
/* Each records an operational event; a time of 0 is left out. */
void es_notice_disabled(es_dispatcher_t *d, const es_target_t *target,
    const char *reason);
void es_notice_failing(es_dispatcher_t *d, const es_target_t *target,
    const char *reason, int64_t next_ms, int64_t disable_ms);
void es_notice_recovered(es_dispatcher_t *d, const es_target_t *target);
/* `id` is the event's, or NULL. */
void es_notice_exhausted(es_dispatcher_t *d, const es_lane_t *lane,
    const es_dead_t *dead, const char *id, const char *reason);
/* An endpoint is not sent a feed any more: all up to `cursor` is done. */
void es_notice_away(es_dispatcher_t *d, const es_away_t *away,
    const char *cursor, uint64_t behind);
void es_notice_lost(es_dispatcher_t *d, const es_away_t *away,
    const es_loss_t *loss);
void es_notice_skipped(es_dispatcher_t *d, const es_lane_t *lane,
    const es_dead_t *dead, const char *id, const char *by);
void es_notice_cancelled(es_dispatcher_t *d, const es_target_t *target,
    const char *feed, const es_clearing_job_t *job);
/* `feed` is NULL for all. */
void es_notice_discarded(es_dispatcher_t *d, const es_target_t *target,
    const char *feed, const es_clearing_job_t *job);
/* The same, in the set of the notifier's thread. */
es_rc_t es_notice_near(es_dispatcher_t *d, const es_endpoint_t *endpoint,
    const char *feed, const es_cursor_t *done, const es_lag_t *lag);
/* A feed of the endpoint stands, or with NULL all of them, and moves again;
   `report` of es_stall_report() is taken. */
void es_notice_stalled(es_dispatcher_t *d, const es_target_t *target,
    const es_lane_t *lane, const es_stall_t *stall, json_t *report);
void es_notice_unstalled(es_dispatcher_t *d, const es_target_t *target,
    const es_lane_t *lane, const es_stall_t *stall);
/* NULL for 0. */
const char *es_notice_time(int64_t ms, char text[ES_TIME_LEN + 1]);

/* stall.c */
/* What the last run left, of a lane or, with NULL, of the endpoint. */
void es_stall_load(es_dispatcher_t *d, es_target_t *target, es_lane_t *lane);
/* Says whether the lane stands, if that has changed. */
void es_stall_look(es_dispatcher_t *d, es_lane_t *lane);
/* Each second; the second is of all endpoints. */
void es_stalls_tick(es_dispatcher_t *d, es_target_t *target);
void es_stall_all(es_dispatcher_t *d);
/* The lane goes away, which others tell. */
void es_stall_end(es_dispatcher_t *d, es_lane_t *lane);

/* near.c - the notifier's thread */
void es_near_check(es_dispatcher_t *d);

/* schedule.c */
/*
 * The clock of what is to be done later: the wall clock as it was at start,
 * and what has passed since.  So nothing waits longer, or is done earlier,
 * because somebody has set the wall clock; the next start takes the new one.
 */
void es_schedule_init(es_dispatcher_t *d);
int64_t es_schedule_ms(const es_dispatcher_t *d);
/* The number in [0, 1) that jitter is made of. */
double es_schedule_draw(es_str_t id, es_str_t endpoint, uint32_t attempt);
int64_t es_schedule_delay(const es_endpoint_t *endpoint, es_str_t id,
    uint32_t attempts);
int64_t es_retry_after_ms(const char *value, int64_t now_ms);
/* No delay of the endpoint's is longer. */
int64_t es_schedule_longest(const es_endpoint_t *endpoint);

/* recorder.c */
es_rc_t es_recorder_start(es_dispatcher_t *d);
/* There is something to commit within the interval. */
void es_recorder_touch(es_dispatcher_t *d);
void es_recorder_retry(es_dispatcher_t *d);
/* The lane's progress as it is now, ahead of the next commit. */
void es_record_progress(es_dispatcher_t *d, es_lane_t *lane);
/* Commits all that there is, and ends the thread. */
es_rc_t es_recorder_finish(es_dispatcher_t *d);

/* The set that takes changes now; never fails but by ending the process, as
   memory that cannot be had must not lose what was done. */
void es_record(es_dispatcher_t *d, es_rc_t rc);

/* What is counted as well, see tally.h. */
void es_record_attempt(es_dispatcher_t *d, const es_attempt_t *attempt);
void es_record_dead(es_dispatcher_t *d, const es_dead_t *dead);

/* caution.c */
void es_caution_init(es_dispatcher_t *d);
/* At start, and then by the janitor only; what was found before stays when it
   fails. */
es_rc_t es_caution_look(es_dispatcher_t *d);
/* The time that decides what is too old: no jump of the wall clock moves it
   before it has lasted.  Any thread. */
int64_t es_caution_ms(const es_dispatcher_t *d);
/* The time that records get: the store's.  Any thread. */
int64_t es_stamp_ms(const es_dispatcher_t *d);
/* The same, and no earlier where the wall clock is behind: see store_clock.h.
   Any thread. */
int64_t es_due_ms(const es_dispatcher_t *d);

/* janitor.c - retention, readers of dead processes. */
es_rc_t es_janitor_start(es_dispatcher_t *d);
void es_janitor_finish(es_dispatcher_t *d);

/* dispatcher.c - start, ticks, stop. */
es_rc_t es_dispatcher_run(es_dispatcher_t *d);

/* options.c - exits when it has to. */
void es_options_parse(int argc, char **argv, es_options_t *options);

#endif /* ES_DISPATCHER_H */
