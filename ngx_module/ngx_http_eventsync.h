/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the files of the module offer each other.
 *
 * A request goes through its steps in this order, one file each, handing on
 * one context: route, args, auth, limit, then what the route says (poll and
 * wait, publish and commit, feeds ...), send.  A step returns NGX_OK or, after
 * ngx_http_eventsync_fail(), NGX_DECLINED; the context then has the problem,
 * and only the step's caller sends it.
 */


#ifndef _NGX_HTTP_EVENTSYNC_H_INCLUDED_
#define _NGX_HTTP_EVENTSYNC_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>
#include <ngx_thread_pool.h>

#include <openssl/evp.h>

#include "read/range.h"
#include "read/reader.h"
#include "event/batch.h"
#include "event/body_digest.h"
#include "checkpoint/checkpoint.h"
#include "base/decode.h"
#include "token/jwt.h"
#include "manage/manage.h"
#include "base/reason.h"
#include "registry/registry.h"
#include "log/store_clock.h"
#include "store/deletions.h"

#include "ngx_http_eventsync_limit.h"


#define NGX_HTTP_EVENTSYNC_AUTH_OFF       0
#define NGX_HTTP_EVENTSYNC_AUTH_KEY       1

#define NGX_HTTP_EVENTSYNC_CACHE_PRIVATE  0
#define NGX_HTTP_EVENTSYNC_CACHE_SHARED   1

#define NGX_HTTP_EVENTSYNC_METRICS_ON         1
#define NGX_HTTP_EVENTSYNC_METRICS_ENDPOINTS  2

/* see digest.h */
#define NGX_HTTP_EVENTSYNC_CHAIN          "sha256-chain"

#define NGX_HTTP_EVENTSYNC_CHALLENGE      "Bearer realm=\"eventsync\""

#define NGX_HTTP_EVENTSYNC_SEGMENTS       3     /* '*' of a URL's pattern */
#define NGX_HTTP_EVENTSYNC_PARTNER_LEN    64
#define NGX_HTTP_EVENTSYNC_KEYS           256
#define NGX_HTTP_EVENTSYNC_TOKENS         256
#define NGX_HTTP_EVENTSYNC_MEMO           32
#define NGX_HTTP_EVENTSYNC_TICK           100
#define NGX_HTTP_EVENTSYNC_BATCHES        8
#define NGX_HTTP_EVENTSYNC_QUOTED         64    /* of a request in a detail */
#define NGX_HTTP_EVENTSYNC_TASK_TIME      60000
#define NGX_HTTP_EVENTSYNC_REOPEN         1000

/* the name of a feed as the reader's and the publisher's argument */
#define ngx_http_eventsync_str(s)                                             \
    ((es_str_t) { (const char *) (s)->data, (s)->len })


/* what a location serves, each switched by a directive of its own */

typedef enum {
    NGX_HTTP_EVENTSYNC_POLL = 0,
    NGX_HTTP_EVENTSYNC_PUBLISH,
    NGX_HTTP_EVENTSYNC_FEEDS,
    NGX_HTTP_EVENTSYNC_ENDPOINTS,
    NGX_HTTP_EVENTSYNC_PAGES,
    NGX_HTTP_EVENTSYNC_AUTHORIZE,
    NGX_HTTP_EVENTSYNC_BACKFILL,
    NGX_HTTP_EVENTSYNC_SNAPSHOT,
    NGX_HTTP_EVENTSYNC_CATALOGUE,
    NGX_HTTP_EVENTSYNC_OPENAPI,
    NGX_HTTP_EVENTSYNC_CHECKPOINTS,
    NGX_HTTP_EVENTSYNC_TOKEN,
    NGX_HTTP_EVENTSYNC_HEALTH,
    NGX_HTTP_EVENTSYNC_METRICS,
    NGX_HTTP_EVENTSYNC_RESOURCES
} ngx_http_eventsync_resource_e;


/* in the order of preference of a client that has none */

typedef enum {
    NGX_HTTP_EVENTSYNC_JSON = 0,
    NGX_HTTP_EVENTSYNC_NDJSON,
    NGX_HTTP_EVENTSYNC_BATCH,
    NGX_HTTP_EVENTSYNC_SSE,
    NGX_HTTP_EVENTSYNC_FORMATS
} ngx_http_eventsync_format_e;


/* parameters of a query; a route has a set of them, see _args */

typedef enum {
    NGX_HTTP_EVENTSYNC_ARG_AFTER = 0,
    NGX_HTTP_EVENTSYNC_ARG_FROM,
    NGX_HTTP_EVENTSYNC_ARG_TO,
    NGX_HTTP_EVENTSYNC_ARG_LIMIT,
    NGX_HTTP_EVENTSYNC_ARG_WAIT,
    NGX_HTTP_EVENTSYNC_ARG_TYPES,
    NGX_HTTP_EVENTSYNC_ARG_SUBJECT,
    NGX_HTTP_EVENTSYNC_ARG_PAGE,
    NGX_HTTP_EVENTSYNC_ARG_TOMBSTONES,
    NGX_HTTP_EVENTSYNC_ARG_LAST_ID,
    NGX_HTTP_EVENTSYNC_ARG_LAST_EVENT_ID,
    NGX_HTTP_EVENTSYNC_ARG_LIST_AFTER,
    NGX_HTTP_EVENTSYNC_ARG_LIST_LIMIT,
    NGX_HTTP_EVENTSYNC_ARGS
} ngx_http_eventsync_arg_e;


#define NGX_HTTP_EVENTSYNC_ARGS_NONE      (1 << NGX_HTTP_EVENTSYNC_ARGS)

#define NGX_HTTP_EVENTSYNC_ARGS_FILTER                                        \
    (1 << NGX_HTTP_EVENTSYNC_ARG_TYPES | 1 << NGX_HTTP_EVENTSYNC_ARG_SUBJECT)

#define NGX_HTTP_EVENTSYNC_ARGS_RANGE                                         \
    (1 << NGX_HTTP_EVENTSYNC_ARG_AFTER | 1 << NGX_HTTP_EVENTSYNC_ARG_FROM     \
     | 1 << NGX_HTTP_EVENTSYNC_ARG_TO)

#define NGX_HTTP_EVENTSYNC_ARGS_BACKFILL                                      \
    (NGX_HTTP_EVENTSYNC_ARGS_RANGE | NGX_HTTP_EVENTSYNC_ARGS_FILTER)

#define NGX_HTTP_EVENTSYNC_ARGS_POLL                                          \
    (1 << NGX_HTTP_EVENTSYNC_ARG_AFTER | 1 << NGX_HTTP_EVENTSYNC_ARG_FROM     \
     | 1 << NGX_HTTP_EVENTSYNC_ARG_LIMIT | 1 << NGX_HTTP_EVENTSYNC_ARG_WAIT   \
     | 1 << NGX_HTTP_EVENTSYNC_ARG_LAST_ID                                    \
     | 1 << NGX_HTTP_EVENTSYNC_ARG_LAST_EVENT_ID                              \
     | NGX_HTTP_EVENTSYNC_ARGS_FILTER)

#define NGX_HTTP_EVENTSYNC_ARGS_SNAPSHOT                                      \
    (1 << NGX_HTTP_EVENTSYNC_ARG_LIMIT | 1 << NGX_HTTP_EVENTSYNC_ARG_PAGE     \
     | 1 << NGX_HTTP_EVENTSYNC_ARG_TOMBSTONES)

#define NGX_HTTP_EVENTSYNC_ARGS_LIST                                          \
    (1 << NGX_HTTP_EVENTSYNC_ARG_LIST_AFTER                                   \
     | 1 << NGX_HTTP_EVENTSYNC_ARG_LIST_LIMIT)


/* what a request needs, see ngx_http_eventsync_permit() */

typedef enum {
    NGX_HTTP_EVENTSYNC_PERMIT_ALL = 1,   /* nothing */
    NGX_HTTP_EVENTSYNC_PERMIT_ADDRESS,   /* an address within its limit */
    NGX_HTTP_EVENTSYNC_PERMIT_KEY,       /* a credential of any scope */
    NGX_HTTP_EVENTSYNC_PERMIT_READ,      /* a scope on the feed */
    NGX_HTTP_EVENTSYNC_PERMIT_PUBLISH,
    NGX_HTTP_EVENTSYNC_PERMIT_AUTHORIZE, /* the same as READ, but never 404 */
    NGX_HTTP_EVENTSYNC_PERMIT_CHECKPOINT, /* READ by a partner */
    NGX_HTTP_EVENTSYNC_PERMIT_MANAGE,    /* a scope on no feed */
    NGX_HTTP_EVENTSYNC_PERMIT_MANAGE_READ,
    NGX_HTTP_EVENTSYNC_PERMIT_ADMIN
} ngx_http_eventsync_permit_e;


typedef enum {
    NGX_HTTP_EVENTSYNC_ACCEPT_ANY = 1,   /* Accept is not looked at */
    NGX_HTTP_EVENTSYNC_ACCEPT_JSON,
    NGX_HTTP_EVENTSYNC_ACCEPT_NDJSON,
    NGX_HTTP_EVENTSYNC_ACCEPT_PAGE       /* every format of a poll */
} ngx_http_eventsync_accept_e;


typedef enum {
    NGX_HTTP_EVENTSYNC_LIMIT_FREE = 1,
    NGX_HTTP_EVENTSYNC_LIMIT_POLL,       /* as one poll, before it is read */
    NGX_HTTP_EVENTSYNC_LIMIT_OWN         /* by the resource, once it knows
                                            that, or what, it must charge */
} ngx_http_eventsync_limit_e;


typedef enum {
    NGX_HTTP_EVENTSYNC_BODY_DISCARD = 1,
    NGX_HTTP_EVENTSYNC_BODY_READ,        /* and permission is asked again */
    NGX_HTTP_EVENTSYNC_BODY_OWN          /* which the resource does itself */
} ngx_http_eventsync_body_e;


/* the contract's errors; their words are in ngx_http_eventsync_problem.c */

typedef enum {
    NGX_HTTP_EVENTSYNC_INVALID_PARAMETER = 0,
    NGX_HTTP_EVENTSYNC_INVALID_CURSOR,
    NGX_HTTP_EVENTSYNC_CURSOR_AHEAD,
    NGX_HTTP_EVENTSYNC_INVALID_EVENT,
    NGX_HTTP_EVENTSYNC_INVALID_BODY,
    NGX_HTTP_EVENTSYNC_INVALID_HEADER,
    NGX_HTTP_EVENTSYNC_DIGEST_MISMATCH,
    NGX_HTTP_EVENTSYNC_UNAUTHORIZED,
    NGX_HTTP_EVENTSYNC_FORBIDDEN,
    NGX_HTTP_EVENTSYNC_NOT_FOUND,
    NGX_HTTP_EVENTSYNC_METHOD_NOT_ALLOWED,
    NGX_HTTP_EVENTSYNC_NOT_ACCEPTABLE,
    NGX_HTTP_EVENTSYNC_CONFLICT,
    NGX_HTTP_EVENTSYNC_IN_USE,
    NGX_HTTP_EVENTSYNC_NOT_STANDING,
    NGX_HTTP_EVENTSYNC_COUNT_MISMATCH,
    NGX_HTTP_EVENTSYNC_CHECKPOINT_BEHIND,
    NGX_HTTP_EVENTSYNC_TOO_MANY,
    NGX_HTTP_EVENTSYNC_CURSOR_EXPIRED,
    NGX_HTTP_EVENTSYNC_FEED_RESET,
    NGX_HTTP_EVENTSYNC_PRECONDITION_FAILED,
    NGX_HTTP_EVENTSYNC_TOO_LARGE,
    NGX_HTTP_EVENTSYNC_UNSUPPORTED_TYPE,
    NGX_HTTP_EVENTSYNC_UNSUPPORTED_CODING,
    NGX_HTTP_EVENTSYNC_RANGE,
    NGX_HTTP_EVENTSYNC_MISMATCH,
    NGX_HTTP_EVENTSYNC_QUOTA_EXCEEDED,
    NGX_HTTP_EVENTSYNC_INTERNAL,
    NGX_HTTP_EVENTSYNC_UNAVAILABLE,
    NGX_HTTP_EVENTSYNC_STORE_FULL
} ngx_http_eventsync_problem_e;


typedef struct {
    ngx_http_eventsync_problem_e      type;
    ngx_str_t                         detail;
    ngx_str_t                         members;    /* JSON, begins with ',' */
    ngx_str_t                         allow;
    ngx_str_t                         challenge;
    ngx_str_t                         oauth;      /* the error of RFC 6749 that
                                                     it is; or empty */
    time_t                            retry_after;
    ngx_uint_t                        codings;    /* unsigned  :1; say which
                                                     are decoded */
} ngx_http_eventsync_problem_t;


/* a composed page that several answers share, freed with the last of them */

typedef struct {
    ngx_uint_t                        refs;
    uint64_t                          first;
    uint64_t                          last;
    uint64_t                          events;
    ngx_uint_t                        has_more;   /* unsigned  has_more:1 */
    size_t                            next_len;
    u_char                            next[ES_CURSOR_MAX];
    const es_filter_t                *filter;     /* after `data`, or NULL */
    size_t                            size;       /* of `data` */
    size_t                            len;        /* of the page in it */
    u_char                            data[];
} ngx_http_eventsync_shared_t;


/* everything that such a page depends on */

typedef struct {
    char                              epoch[ES_EPOCH_MAX + 1];
    uint64_t                          number;
    uint64_t                          oldest;
    uint64_t                          latest;
    uint64_t                          after;
    uint64_t                          limit;
    uint64_t                          format;
    uint64_t                          filter;     /* its hash, or 0 */
} ngx_http_eventsync_page_key_t;


typedef struct {
    ngx_http_eventsync_page_key_t     key;
    ngx_http_eventsync_shared_t      *page;       /* NULL: none */
} ngx_http_eventsync_memo_t;


/* who waits for one feed: there as long as somebody does */

typedef struct {
    ngx_str_node_t                    node;       /* its name */
    ngx_uint_t                        refs;
    ngx_queue_t                       waiters;    /* have seen all there is */
    ngx_queue_t                       due;        /* those who are to look */
    ngx_queue_t                       queue;      /* if any may be due */
    ngx_uint_t                        listed;     /* unsigned  listed:1 */
    char                              epoch[ES_EPOCH_MAX + 1];
    uint64_t                          last;       /* when last looked at */
    ngx_uint_t                        turn;       /* that these are of: */
    es_rc_t                           rc;
    es_feed_t                         feed;
    u_char                            name[ES_FEED_MAX];
} ngx_http_eventsync_crowd_t;


/* text of a key that was well-formed; says nothing of its being valid */

typedef struct {
    u_char                            text[ES_APIKEY_LEN];
    es_apikey_t                       key;
} ngx_http_eventsync_seen_key_t;


/* one that was verified; says nothing of its being valid now */

typedef struct {
    ngx_uint_t                        refs;
    es_jwt_keys_t                    *keys;       /* by these */
    es_jwt_t                          jwt;
    size_t                            len;
    u_char                            text[];
} ngx_http_eventsync_token_t;


typedef struct ngx_http_eventsync_pages_s  ngx_http_eventsync_pages_t;
typedef struct ngx_http_eventsync_snapshot_s  ngx_http_eventsync_snapshot_t;
typedef struct ngx_http_eventsync_task_s  ngx_http_eventsync_task_t;
typedef struct ngx_http_eventsync_worker_s  ngx_http_eventsync_worker_t;
typedef struct ngx_http_eventsync_leaf_request_s
    ngx_http_eventsync_leaf_request_t;


/* what a request has in a group */

typedef struct {
    ngx_http_eventsync_ctx_t         *ctx;
    void                             *item;       /* for the thread */
    ngx_queue_t                       queue;
} ngx_http_eventsync_job_t;


/* jobs that one task does together, see _group */

typedef struct ngx_http_eventsync_group_s  ngx_http_eventsync_group_t;

struct ngx_http_eventsync_group_s {
    ngx_http_eventsync_worker_t      *worker;
    ngx_thread_task_t                *task;
    char                             *name;
    ngx_int_t                         ident;      /* after 3 pointers, as in
                                                     ngx_connection_t */
    ngx_queue_t                       next;       /* jobs of the next task */
    ngx_queue_t                       running;    /* of the one that runs */
    ngx_uint_t                        busy;       /* unsigned  busy:1 */

    es_store_t                       *es;
    void                            **items;      /* of the running jobs */
    size_t                            n;
    size_t                            cap;

    /* in a thread: it has what stands above from `es` on, and `rc` */
    void                            (*run)(ngx_http_eventsync_group_t *group);
    es_rc_t                           rc;
    es_reason_t                       reason;

    /* afterwards, in the event loop: once, and for each job */
    void                            (*done)(ngx_http_eventsync_group_t *group,
                                            ngx_log_t *log);
    void                            (*answer)(ngx_http_eventsync_job_t *job,
                                              es_rc_t rc);
};


/* what one worker has of a store: made after fork */

struct ngx_http_eventsync_worker_s {
    void                             *data;       /* the ..._store_t */
    ngx_connection_t                 *bell;
    es_store_t                       *es;         /* NULL: not open */
    ngx_int_t                         ident;      /* after 3 pointers, as in
                                                     ngx_connection_t */
    es_registry_t                    *registry;
    ngx_uint_t                        pictures;   /* so many were loaded */
    uint64_t                          version;    /* last commit seen by a
                                                     wake; 0: none */
    int64_t                           clock;      /* ms: the store's time, */
    ngx_msec_t                        clocked;    /* when it was that */

    ngx_uint_t                        retired;    /* unsigned  retired:1 */
    uint32_t                          polls;      /* that wait, see
                                                     _count */
    uint32_t                          streams;
    ngx_uint_t                        claiming;   /* requests, see _claim */
    uint64_t                          claims;     /* that were looked at */
    ngx_rbtree_t                      crowds;     /* by feed, see _wake */
    ngx_rbtree_node_t                 sentinel;
    ngx_queue_t                       due;        /* crowds */
    ngx_queue_t                       expired;    /* waiters */
    ngx_event_t                       turn;       /* serves these */
    ngx_uint_t                        turns;
    ngx_uint_t                        judged;     /* `pictures` at a wake */
    size_t                            composed;   /* bytes, in this turn */
    ngx_event_t                       tick;
    ngx_event_t                       reopen;
    ngx_msec_t                        exiting;    /* since then */

    ngx_http_eventsync_group_t        commit;
    es_batch_t                       *batches[NGX_HTTP_EVENTSYNC_BATCHES];
    ngx_uint_t                        nbatches;   /* that are not in use */
    ngx_thread_pool_t                *thread_pool; /* of the last commit */

    ngx_http_eventsync_group_t        checkpoints[2]; /* reads, writes */

    es_page_t                         page;
    ngx_http_eventsync_memo_t         memo[NGX_HTTP_EVENTSYNC_MEMO];
    size_t                            large;      /* bytes of large ones */
    ngx_http_eventsync_pages_t       *pages;      /* NULL: not served */

    ngx_http_eventsync_seen_key_t     keys[NGX_HTTP_EVENTSYNC_KEYS];
    ngx_http_eventsync_token_t       *tokens[NGX_HTTP_EVENTSYNC_TOKENS];

    unsigned                          waking:1;   /* somebody is due */
};


typedef struct {
    ngx_str_t                         path;       /* NUL-terminated */
    ngx_shm_zone_t                   *zone;
    ngx_http_eventsync_worker_t      *worker;
    ngx_uint_t                        publish;    /* unsigned  publish:1 */
    ngx_uint_t                        manage;     /* unsigned  manage:1 */
    es_keyring_t                     *keys;       /* of secrets; or NULL */
    ngx_uint_t                        checkpoint; /* unsigned  :1 */
    ngx_uint_t                        observe;    /* delivery state is read */
    size_t                            pages_size;
    ngx_thread_pool_t                *pages_pool; /* NULL: not served */
} ngx_http_eventsync_store_t;


typedef struct {
    ngx_array_t                       stores;     /* ..._store_t * */
} ngx_http_eventsync_main_conf_t;


typedef struct {
    ngx_http_eventsync_store_t       *store;
    es_keyring_t                     *keys;
    es_jwt_keys_t                    *token_keys;
} ngx_http_eventsync_srv_conf_t;


typedef struct {
    ngx_http_eventsync_store_t       *store;

    ngx_flag_t                        serves[NGX_HTTP_EVENTSYNC_RESOURCES];

    ngx_uint_t                        auth;
    ngx_http_eventsync_limit_conf_t   limit;

    es_jwt_keys_t                    *token_keys; /* NULL: no tokens */
    time_t                            token_lifetime;
    u_char                           *token_file; /* where it is on */
    ngx_uint_t                        token_line;

    ngx_uint_t                        poll_limit;
    ngx_uint_t                        poll_limit_max;
    time_t                            poll_wait_max;

    size_t                            max_event;
    ngx_thread_pool_t                *thread_pool;

    ngx_uint_t                        cache;

    ngx_array_t                      *cors;       /* ngx_str_t; NULL: off */
    ngx_array_t                      *tombstones; /* es_str_t; NULL: off */

    ngx_flag_t                        sse;
    ngx_msec_t                        sse_max_time;
    ngx_msec_t                        sse_heartbeat;

    ngx_msec_t                        ready_dispatcher;   /* 0: not asked */
} ngx_http_eventsync_loc_conf_t;


/* the query, parsed; which of them a resource has its route says */

typedef struct {
    ngx_uint_t                        has_after;  /* unsigned  :1 */
    ngx_uint_t                        has_from;   /* unsigned  :1 */
    ngx_uint_t                        has_to;     /* unsigned  :1 */
    ngx_uint_t                        has_limit;  /* unsigned  :1 */
    ngx_uint_t                        has_wait;   /* unsigned  :1 */
    ngx_uint_t                        has_page;   /* unsigned  :1 */
    ngx_uint_t                        tombstones; /* unsigned  :1 */
    es_cursor_t                       after;
    ngx_str_t                         from;       /* a time, see _position */
    ngx_str_t                         to;
    ngx_uint_t                        limit;
    ngx_msec_t                        wait;
    ngx_str_t                         page;
    ngx_uint_t                        has_list_after; /* unsigned  :1 */
    ngx_str_t                         list_after; /* an item's name or place */
    es_filter_t                      *filter;     /* NULL: all events */
    es_buf_t                          scratch;    /* the filter's text */
    ngx_str_t                         last_id;    /* name of the parameter
                                                     that only streams have */
} ngx_http_eventsync_args_t;


/* how far a poll or a stream has read, and what its page depends on */

typedef struct {
    uint64_t                          scan;       /* sequence */
    char                              after_text[ES_CURSOR_MAX];
    ngx_http_eventsync_page_key_t     key;
    uint64_t                          hash;       /* of `key` */
} ngx_http_eventsync_reading_t;


/* a request that is parked: in a crowd, or until its place is free */

typedef struct {
    ngx_http_eventsync_ctx_t         *ctx;
    ngx_http_eventsync_crowd_t       *crowd;      /* while it is held */
    ngx_queue_t                       queue;
    ngx_event_t                       timer;
    ngx_uint_t                        parked;     /* unsigned  :1 */

    void                             *claim;      /* see _claim; or NULL */
    uint64_t                          claim_until; /* 0: none was made */
    ngx_msec_t                        claim_began;
    ngx_uint_t                        claiming;   /* unsigned  claiming:1 */
} ngx_http_eventsync_wait_t;


/* why a stream of Server-Sent Events is parked */

typedef enum {
    NGX_HTTP_EVENTSYNC_IDLE = 0,         /* nothing to send */
    NGX_HTTP_EVENTSYNC_BLOCKED,          /* the socket takes no more */
    NGX_HTTP_EVENTSYNC_POSTED            /* others have their turn */
} ngx_http_eventsync_state_e;


typedef struct {
    ngx_http_eventsync_state_e        state;
    ngx_msec_t                        ends;
    ngx_msec_t                        said;       /* when text went out last */
    ngx_msec_t                        born;
    uint64_t                          held;       /* by the client, as
                                                     after_text of its
                                                     reading */
    es_buf_t                          text;       /* one slice, or empty */
    ngx_buf_t                        *buf;
    ngx_uint_t                        given;      /* to the output filter */
    ngx_uint_t                        closing;    /* unsigned  closing:1; the
                                                     text is its last */
    ngx_uint_t                        displaced;  /* unsigned  displaced:1; its
                                                     reader came back */
    ngx_uint_t                        claimed;    /* unsigned  claimed:1; its
                                                     place, see _claim */
} ngx_http_eventsync_stream_t;


#define NGX_HTTP_EVENTSYNC_SLICE          131072

/* a stream of the events in (after, to] */

typedef struct {
    uint64_t                          after;
    uint64_t                          to;
    es_cursor_t                       position;   /* all up to it is read */
    size_t                            offset;     /* read of the next event */
    uint64_t                          sent;       /* the same, as charged */
    size_t                            sent_offset;
    char                              prev[ES_CURSOR_MAX];

    uint64_t                          count;
    uint64_t                          bytes;
    uint64_t                          first;
    uint64_t                          last;
    uint64_t                          total;      /* bytes of the range */
    uint64_t                          expected;   /* events; at most, unless
                                                     `counted` */
    uint8_t                           chain_from[ES_CHAIN_LEN];
    uint8_t                           chain[ES_CHAIN_LEN];
    EVP_MD_CTX                       *digest;     /* with a filter */

    ngx_buf_t                        *buf;

    unsigned                          counted:1;
    unsigned                          ready:1;    /* a slice, not charged */
    unsigned                          slowed:1;   /* it waits for the quota */
    unsigned                          closed:1;   /* it is the last one */
    unsigned                          failed:1;   /* and an error */
} ngx_http_eventsync_backfill_t;


typedef ngx_int_t (*ngx_http_eventsync_step_pt)(ngx_http_eventsync_ctx_t *ctx);


/*
 * What the route of a request says, see _route.  A step returns NGX_OK, or
 * NGX_DECLINED with the problem in the context; `answer` may also return what
 * the request is finalized with.
 */

typedef struct {
    ngx_http_eventsync_resource_e     resource;
    ngx_uint_t                        args;       /* set of ..._arg_e */
    ngx_http_eventsync_permit_e       permit;
    ngx_http_eventsync_accept_e       accept;
    ngx_http_eventsync_limit_e       limit;
    ngx_http_eventsync_body_e         body;
    ngx_http_eventsync_step_pt        parse;      /* the resource's own names
                                                     and texts; or NULL */
    ngx_http_eventsync_step_pt        fields;     /* of a body; or NULL */
    ngx_http_eventsync_step_pt        answer;
} ngx_http_eventsync_steps_t;


/* what a request says of the bytes of its body, see _body */

typedef struct {
    es_codings_t                      codings;
    es_body_digests_t                 digests;
    size_t                            max;        /* bytes, decoded */
} ngx_http_eventsync_body_t;


typedef enum {
    NGX_HTTP_EVENTSYNC_STRUCTURED = 0,
    NGX_HTTP_EVENTSYNC_ARRAY,
    NGX_HTTP_EVENTSYNC_LINES,
    NGX_HTTP_EVENTSYNC_BINARY
} ngx_http_eventsync_mode_e;


typedef struct {
    ngx_http_eventsync_ctx_t         *ctx;
    ngx_http_eventsync_mode_e         mode;
    es_attr_t                        *attrs;      /* of binary mode */
    size_t                            nattrs;
    const es_attr_t                  *malformed;  /* one of them, or NULL */
    es_batch_t                       *batch;
    es_rc_t                           rc;
    es_problem_t                      problem;
    ngx_http_eventsync_job_t          member;     /* of a group */
    ngx_uint_t                        unread;     /* unsigned  :1; the problem
                                                     is the body's */
    ngx_uint_t                        parsed;     /* unsigned  :1 */
    ngx_uint_t                        committed;  /* unsigned  :1 */
} ngx_http_eventsync_publish_t;


typedef struct {
    ngx_http_eventsync_ctx_t         *ctx;
    es_checkpoint_job_t               job;
    ngx_http_eventsync_job_t          member;     /* of a group */
    ngx_uint_t                        done;       /* unsigned  done:1 */
} ngx_http_eventsync_checkpoint_t;


struct ngx_http_eventsync_ctx_s {
    ngx_http_request_t               *request;
    ngx_http_eventsync_loc_conf_t    *conf;
    ngx_http_eventsync_worker_t      *worker;
    ngx_int_t                         ident;      /* after 3 pointers, as in
                                                     ngx_connection_t */
    ngx_str_t                         segments[NGX_HTTP_EVENTSYNC_SEGMENTS];
    ngx_str_t                         feed;       /* or empty */

    es_apikey_t                       key;        /* id "": none */
    ngx_http_eventsync_token_t       *token;      /* NULL: the key itself */
    const es_key_t                   *grant;      /* valid in this event,
                                                     see _auth */
    int64_t                           expires_ms; /* of it; 0: never */
    uint32_t                          partner;    /* its number; 0: none */
    ngx_str_t                         partner_name;
    u_char                            name[NGX_HTTP_EVENTSYNC_PARTNER_LEN];
    ngx_http_eventsync_limited_t      limit;

    uint64_t                          first;      /* of the events moved */
    uint64_t                          last;
    uint64_t                          warnings;   /* events that have one */
    uint64_t                          events;     /* in the answer, unless they
                                                     were counted as they went,
                                                     see _count */
    ngx_uint_t                        resource;   /* ..._resource_e; or
                                                     RESOURCES: none */

    ngx_uint_t                        format;     /* ..._format_e */
    ngx_str_t                         etag;
    u_char                            etag_text[18];
    ngx_str_t                         next;
    u_char                            next_text[ES_CURSOR_MAX];
    ngx_uint_t                        has_more;   /* unsigned  has_more:1 */
    ngx_buf_t                        *out;

    ngx_http_eventsync_problem_t     *problem;
    ngx_http_eventsync_body_t        *body;       /* NULL: as it comes */
    const ngx_http_eventsync_steps_t *steps;      /* NULL: it has no route */
    ngx_http_eventsync_args_t        *args;       /* NULL: it has none */
    ngx_http_eventsync_reading_t     *reading;
    ngx_http_eventsync_wait_t        *wait;       /* NULL: it never waited */
    ngx_http_eventsync_stream_t      *stream;
    ngx_http_eventsync_publish_t     *publish;
    ngx_http_eventsync_task_t        *task;
    ngx_http_eventsync_checkpoint_t  *checkpoint;
    ngx_uint_t                        data;       /* of the route */
    ngx_http_eventsync_leaf_request_t
                                     *leaf;
    ngx_http_eventsync_backfill_t    *backfill;
    ngx_http_eventsync_snapshot_t    *snapshot;
};


/* what a request has done on the thread pool, see _task */

struct ngx_http_eventsync_task_s {
    ngx_http_eventsync_ctx_t         *ctx;
    es_store_t                       *es;

    /* in a thread: it has this object, and nothing of nginx's */
    void                            (*run)(ngx_http_eventsync_task_t *task);

    /* afterwards, in the event loop; what the request is finalized with */
    ngx_int_t                       (*answer)(ngx_http_eventsync_task_t *task);

    void                             *data;
    es_rc_t                           rc;
    es_reason_t                       reason;     /* of the thread */
    es_buf_t                          out;        /* freed with the request */
    ngx_uint_t                        done;       /* unsigned  done:1 */
};


/* one query parameter that is known; the rest are refused */

typedef struct {
    ngx_str_t                         name;
    ngx_str_t                         value;
    ngx_uint_t                        set;        /* unsigned  set:1 */
    ngx_uint_t                        plus;       /* '+' is not a space */
    ngx_uint_t                        off;        /* unknown to the route */
} ngx_http_eventsync_arg_t;


/* _request: the content handler, variables */

ngx_int_t ngx_http_eventsync_handler(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_add_variables(ngx_conf_t *cf);
char *ngx_http_eventsync_too_large_page(ngx_conf_t *cf,
    ngx_http_core_loc_conf_t *clcf);
ngx_table_elt_t *ngx_http_eventsync_header_in(ngx_http_request_t *r,
    ngx_str_t *name, ngx_table_elt_t *after);
ngx_int_t ngx_http_eventsync_small_body(ngx_http_request_t *r,
    es_str_t *body);

/* _body: what its bytes are */

ngx_int_t ngx_http_eventsync_body_headers(ngx_http_eventsync_ctx_t *ctx);
es_rc_t ngx_http_eventsync_body_open(const ngx_http_eventsync_body_t *say,
    size_t max, es_str_t *body, es_buf_t *decoded, es_problem_t *problem);
ngx_int_t ngx_http_eventsync_body_fail(ngx_http_eventsync_ctx_t *ctx,
    es_rc_t rc, const es_problem_t *problem);
ngx_int_t ngx_http_eventsync_body_type(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *type);
ngx_int_t ngx_http_eventsync_body_utf8(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_body(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *type, es_str_t *body);

/* _route: the layout of URLs */

ngx_int_t ngx_http_eventsync_route(ngx_http_eventsync_ctx_t *ctx);

/* _steps: what comes before a resource's answer */

ngx_int_t ngx_http_eventsync_steps(ngx_http_eventsync_ctx_t *ctx);

/* _query: parameters as text; _args: as values */

ngx_int_t ngx_http_eventsync_query(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_arg_t *args, ngx_uint_t n);
ngx_int_t ngx_http_eventsync_parameter(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *name);
ngx_int_t ngx_http_eventsync_unknown(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *name);
ngx_int_t ngx_http_eventsync_args(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_no_stream_args(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_query_after(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *cursor, const es_feed_t *feed, ngx_str_t *query);
ngx_int_t ngx_http_eventsync_escape_path(ngx_http_request_t *r,
    ngx_str_t *path, ngx_str_t *escaped);

/* _position: where in the feed, and what is wrong with a cursor */

ngx_int_t ngx_http_eventsync_begin(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn, const es_feed_t *feed, ngx_uint_t cursors, uint64_t *after);
ngx_int_t ngx_http_eventsync_range(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn, const es_feed_t *feed, uint64_t *after, uint64_t *to);
ngx_int_t ngx_http_eventsync_check(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, const es_cursor_t *cursor);
ngx_int_t ngx_http_eventsync_gone(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, const es_cursor_t *held, ngx_str_t *path);

/* _accept: which representation */

ngx_int_t ngx_http_eventsync_accept(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *types, ngx_uint_t n, ngx_uint_t *index);
ngx_int_t ngx_http_eventsync_preferred(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *types, ngx_uint_t n, int *preferred);

/* _store: where the events are */

char *ngx_http_eventsync_store_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* _keys: secrets at rest */

char *ngx_http_eventsync_keys_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_pool_cleanup_t *ngx_http_eventsync_keys_file(ngx_conf_t *cf,
    ngx_str_t *path);
char *ngx_http_eventsync_keys_use(ngx_conf_t *cf,
    ngx_http_eventsync_store_t *store, es_keyring_t *keys);
void ngx_http_eventsync_keys_open(ngx_http_eventsync_store_t *store,
    ngx_log_t *log);

/* _cors: browsers, OPTIONS */

char *ngx_http_eventsync_cors_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_eventsync_cors(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_options(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *methods);

/* _auth: who asks */

es_rc_t ngx_http_eventsync_access(ngx_http_eventsync_worker_t *w);
int64_t ngx_http_eventsync_now_ms(ngx_http_eventsync_worker_t *w);
int64_t ngx_http_eventsync_store_ms(ngx_http_eventsync_worker_t *w);
void ngx_http_eventsync_clock(ngx_http_eventsync_worker_t *w);
ngx_int_t ngx_http_eventsync_authenticate(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_admit_address(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_authenticate_client(
    ngx_http_eventsync_ctx_t *ctx, ngx_str_t *id, ngx_str_t *secret);
ngx_int_t ngx_http_eventsync_unauthorized(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t given, char *detail);
ngx_msec_t ngx_http_eventsync_until(ngx_http_eventsync_ctx_t *ctx,
    ngx_msec_t time);
ngx_int_t ngx_http_eventsync_registry(ngx_http_eventsync_ctx_t *ctx);

/* _permit: what the request may do */

ngx_int_t ngx_http_eventsync_permit(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_narrow(ngx_http_eventsync_ctx_t *ctx,
    es_narrow_t *narrow);
ngx_int_t ngx_http_eventsync_beyond(ngx_http_eventsync_ctx_t *ctx,
    char *detail);
ngx_uint_t ngx_http_eventsync_may_read(ngx_http_eventsync_ctx_t *ctx,
    es_str_t feed);

/* _bearer: access tokens as a credential */

ngx_int_t ngx_http_eventsync_bearer(ngx_http_eventsync_ctx_t *ctx,
    ngx_str_t *text);
void ngx_http_eventsync_tokens_free(ngx_http_eventsync_worker_t *w);

/* _token, _token_conf: a key in, an access token out */

ngx_int_t ngx_http_eventsync_token(ngx_http_eventsync_ctx_t *ctx);
char *ngx_http_eventsync_token_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_eventsync_token_keys_directive(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_eventsync_token_lifetime(ngx_conf_t *cf, void *post,
    void *data);
char *ngx_http_eventsync_token_use_keys(ngx_conf_t *cf,
    ngx_http_eventsync_loc_conf_t *conf, es_jwt_keys_t *keys);

/* _poll, _wait, _publish, _parse, _commit, _feeds, _backfill, _catalogue */

ngx_int_t ngx_http_eventsync_poll(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_poll_again(ngx_http_eventsync_ctx_t *ctx,
    es_txn_t *txn, es_rc_t es, const es_feed_t *feed, ngx_uint_t last);
ngx_int_t ngx_http_eventsync_wait(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_poll_retry(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_poll_answer(ngx_http_eventsync_ctx_t *ctx,
    ngx_int_t rc);
ngx_int_t ngx_http_eventsync_stay(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_wait_create(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_hold(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_park(ngx_http_eventsync_ctx_t *ctx, ngx_msec_t time);
void ngx_http_eventsync_unpark(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_answer(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_publish_fields(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_publish(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_parse(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_commit_init(ngx_http_eventsync_worker_t *w,
    ngx_cycle_t *cycle);
ngx_int_t ngx_http_eventsync_commit(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_commit_recover(ngx_http_eventsync_worker_t *w);
void ngx_http_eventsync_commit_free(ngx_http_eventsync_worker_t *w);
ngx_int_t ngx_http_eventsync_feeds(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_manage_parse(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_manage(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_catalogue_parse(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_catalogue(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_may_authorize(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_authorized(ngx_http_eventsync_ctx_t *ctx);

/* _wake: whom a commit concerns */

void ngx_http_eventsync_wake_init(ngx_http_eventsync_worker_t *w,
    ngx_log_t *log);
ngx_int_t ngx_http_eventsync_crowd_join(ngx_http_eventsync_ctx_t *ctx);
ngx_http_eventsync_crowd_t *ngx_http_eventsync_crowd(
    ngx_http_eventsync_worker_t *w, ngx_str_t *feed);
void ngx_http_eventsync_crowd_leave(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_expire(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_wake(ngx_http_eventsync_worker_t *w);
void ngx_http_eventsync_tick(ngx_event_t *ev);

/* _checkpoint, _checkpoint_commit: what consumers acknowledge */

ngx_int_t ngx_http_eventsync_checkpoint_parse(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_checkpoint(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_checkpoint_commit_init(
    ngx_http_eventsync_worker_t *w, ngx_cycle_t *cycle);
ngx_int_t ngx_http_eventsync_checkpoint_commit(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_checkpoint_commit_free(
    ngx_http_eventsync_worker_t *w);

/* _group: jobs of many requests in one task */

ngx_int_t ngx_http_eventsync_group_init(ngx_http_eventsync_group_t *group,
    ngx_http_eventsync_worker_t *w, ngx_cycle_t *cycle);
ngx_int_t ngx_http_eventsync_group_add(ngx_http_eventsync_group_t *group,
    ngx_http_eventsync_job_t *job);
ngx_int_t ngx_http_eventsync_group_start(ngx_http_eventsync_group_t *group);
void ngx_http_eventsync_group_free(ngx_http_eventsync_group_t *group);

/* _pages, _leaf, _leaf_send, _encode: see ngx_http_eventsync_pages.h */

ngx_int_t ngx_http_eventsync_pages_parse(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_pages(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_pages_init(ngx_http_eventsync_worker_t *w,
    ngx_cycle_t *cycle);
void ngx_http_eventsync_pages_open(ngx_http_eventsync_worker_t *w,
    ngx_cycle_t *cycle);
void ngx_http_eventsync_pages_close(ngx_http_eventsync_worker_t *w);

/* _reconnect: readers of streams that come back */

ngx_int_t ngx_http_eventsync_stream_id(ngx_http_eventsync_ctx_t *ctx);
ngx_uint_t ngx_http_eventsync_reconnects(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_stream_end(ngx_http_eventsync_ctx_t *ctx,
    es_str_t cursor, es_buf_t *out);
ngx_int_t ngx_http_eventsync_send_end(ngx_http_eventsync_ctx_t *ctx);

/* _claim: readers of streams that come back, and their own places */

size_t ngx_http_eventsync_claims_init(ngx_http_eventsync_zone_t *zone,
    u_char *p);
ngx_int_t ngx_http_eventsync_claim(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_claims_look(ngx_http_eventsync_worker_t *w);

/* _stream: Server-Sent Events */

void ngx_http_eventsync_stream_displace(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_stream_headers(ngx_http_eventsync_ctx_t *ctx);

ngx_int_t ngx_http_eventsync_stream_args(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_stream(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_stream_again(ngx_http_eventsync_ctx_t *ctx,
    es_rc_t es, const es_feed_t *feed);
void ngx_http_eventsync_stream_run(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_stream_timeout(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_backfill(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_manifest(ngx_http_eventsync_ctx_t *ctx);

/* _slice: what a backfill sends next */

ngx_int_t ngx_http_eventsync_slice(ngx_http_eventsync_ctx_t *ctx);
ngx_uint_t ngx_http_eventsync_slice_drained(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_slice_fail(ngx_http_eventsync_ctx_t *ctx);

/* _snapshot */

char *ngx_http_eventsync_tombstones_directive(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
ngx_int_t ngx_http_eventsync_snapshot_parse(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_snapshot(ngx_http_eventsync_ctx_t *ctx);

/* _task: NGX_DONE, or NGX_DECLINED: the context may have a problem */

ngx_http_eventsync_task_t *ngx_http_eventsync_task_create(
    ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_task_post(ngx_http_eventsync_task_t *task);
ngx_int_t ngx_http_eventsync_task_block(ngx_http_eventsync_ctx_t *ctx,
    ngx_thread_task_t *task);
void ngx_http_eventsync_task_unblock(ngx_http_eventsync_ctx_t *ctx);
ngx_uint_t ngx_http_eventsync_task_late(ngx_event_t *ev);

/* _count: counters in shared memory, see ngx_http_eventsync_count.h */

ngx_int_t ngx_http_eventsync_count_init(ngx_conf_t *cf);
size_t ngx_http_eventsync_count_init_zone(ngx_http_eventsync_zone_t *zone,
    u_char *p, size_t size);
void ngx_http_eventsync_count_start(ngx_http_eventsync_zone_t *zone);
void ngx_http_eventsync_count_sent(ngx_http_eventsync_ctx_t *ctx,
    uint64_t events);
void ngx_http_eventsync_count_published(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_count_waiting(ngx_http_eventsync_ctx_t *ctx,
    ngx_int_t change);

/* _health, _metrics: for operators */

char *ngx_http_eventsync_ready_directive(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
ngx_int_t ngx_http_eventsync_healthz(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_readyz(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_metrics(ngx_http_eventsync_ctx_t *ctx);

/* _openapi */

ngx_int_t ngx_http_eventsync_openapi(ngx_http_eventsync_ctx_t *ctx);

/* _compose: a page's bytes */

void ngx_http_eventsync_etag(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed);
ngx_int_t ngx_http_eventsync_compose(ngx_http_eventsync_ctx_t *ctx,
    const es_feed_t *feed, const es_page_t *page);
u_char *ngx_http_eventsync_write_lines(const es_page_t *page, u_char *p);
ngx_uint_t ngx_http_eventsync_memo_find(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_memo_trim(ngx_http_eventsync_worker_t *w);
void ngx_http_eventsync_memo_free(ngx_http_eventsync_worker_t *w);

/* _send */

u_char *ngx_http_eventsync_number(u_char *p, uint64_t number);
ngx_table_elt_t *ngx_http_eventsync_push_header(ngx_http_request_t *r,
    ngx_str_t *key, ngx_str_t *value);
ngx_int_t ngx_http_eventsync_header(ngx_http_request_t *r, ngx_str_t *key,
    ngx_str_t *value);
ngx_int_t ngx_http_eventsync_cache_control(ngx_http_request_t *r,
    ngx_str_t *value);
ngx_int_t ngx_http_eventsync_no_store(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_revalidate(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_etag_header(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_send_header(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_send_unchanged(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_send(ngx_http_request_t *r, ngx_uint_t status,
    ngx_str_t *type, ngx_buf_t *b);
ngx_int_t ngx_http_eventsync_send_json(ngx_http_eventsync_ctx_t *ctx,
    ngx_uint_t status, ngx_buf_t *b);
ngx_buf_t *ngx_http_eventsync_memory_buf(ngx_http_request_t *r, void *data,
    size_t len);
ngx_int_t ngx_http_eventsync_block(ngx_http_request_t *r);
ngx_int_t ngx_http_eventsync_send_page(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_http_eventsync_send_not_modified(ngx_http_eventsync_ctx_t *ctx);
void ngx_http_eventsync_condition(ngx_http_eventsync_ctx_t *ctx,
    es_condition_t *condition);
ngx_uint_t ngx_http_eventsync_etag_matches(ngx_http_eventsync_ctx_t *ctx);

/* _problem: always NGX_DECLINED; the detail is printed by ngx_sprintf() */

ngx_int_t ngx_cdecl ngx_http_eventsync_fail(ngx_http_eventsync_ctx_t *ctx,
    ngx_http_eventsync_problem_e type, const char *fmt, ...);
ngx_int_t ngx_http_eventsync_fail_store(ngx_http_eventsync_ctx_t *ctx,
    es_rc_t rc);
ngx_int_t ngx_http_eventsync_fail_closed(ngx_http_eventsync_ctx_t *ctx);
ngx_int_t ngx_cdecl ngx_http_eventsync_members(ngx_http_eventsync_ctx_t *ctx,
    size_t size, const char *fmt, ...);
ngx_buf_t *ngx_http_eventsync_problem_body(ngx_http_request_t *r,
    ngx_http_eventsync_problem_t *problem);
ngx_int_t ngx_http_eventsync_send_problem(ngx_http_eventsync_ctx_t *ctx);
ngx_uint_t ngx_http_eventsync_problem_status(
    const ngx_http_eventsync_problem_t *problem);

/* _process: the store in a worker */

ngx_int_t ngx_http_eventsync_init_process(ngx_cycle_t *cycle);
ngx_uint_t ngx_http_eventsync_retire(ngx_http_eventsync_store_t *store,
    ngx_uint_t taken, ngx_log_t *log);
void ngx_http_eventsync_exit_process(ngx_cycle_t *cycle);


extern ngx_module_t  ngx_http_eventsync_module;
extern ngx_str_t     ngx_http_eventsync_page_types[];
extern ngx_str_t     ngx_http_eventsync_json_type;
extern ngx_array_t   ngx_http_eventsync_tombstones;


#endif /* _NGX_HTTP_EVENTSYNC_H_INCLUDED_ */
