/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The parts of "verify-poller": a server that speaks the poll API, leads a
 * partner's poller through answers of every kind, and judges what the poller
 * asks next.
 *
 * A feed is a list of places.  Place n has the cursor "everything up to and
 * including n"; it is an event, or one that a filter has left out.  Place 0 is
 * the beginning.  A request is at the place whose cursor it gives.
 *
 * Each connection has a thread.  The lock of ctl_poller_t protects everything.
 */

#ifndef CTL_POLLER_H
#define CTL_POLLER_H

#include <microhttpd.h>
#include <pthread.h>

#include "ctl.h"
#include "event/cursor.h"

#define POLLER_PREFIX    "/v1"
#define POLLER_CURSOR    48
#define POLLER_CAME      256
#define POLLER_UNKNOWN   SIZE_MAX      /* the place of no known cursor */

/* ---- poller_feed.c: the feed and its pages ---- */

typedef enum {
    CTL_PLACE_EVENT = 0,
    CTL_PLACE_HIDDEN,                  /* left out by a filter */
    CTL_PLACE_MEMBERS,                 /* with members of no meaning */
    CTL_PLACE_TYPE,                    /* of a type of no meaning */
    CTL_PLACE_LARGE,
    CTL_PLACE_TEXT                     /* with characters not of ASCII */
} ctl_place_kind_t;

typedef struct {
    char              cursor[POLLER_CURSOR];
    char              id[24];
    uint64_t          sequence;
    ctl_place_kind_t  kind;
    unsigned          step;            /* that it was made for */
} ctl_place_t;

typedef struct {
    ctl_place_t  *places;
    size_t        n;                   /* the end is place n - 1 */
    size_t        oldest;              /* the first that may be given */
    char          name[ES_FEED_MAX + 1];
    char          epoch[9];
    uint64_t      sequence;
} ctl_poll_feed_t;

typedef enum {
    CTL_FORMAT_JSON = 0,
    CTL_FORMAT_LINES,
    CTL_FORMAT_BATCH,
    CTL_FORMAT_STREAM
} ctl_format_t;

/* A request for events. */
typedef struct {
    size_t        at;                  /* its place, or POLLER_UNKNOWN */
    bool          after;               /* it gives a cursor */
    bool          latest;
    bool          back;                /* a stream with the id of the last */
    uint64_t      limit;
    uint64_t      wait_s;
    ctl_format_t  format;
    bool          gzip;
    char          type[256];           /* the first of `types`, or "" */
    char          subject[256];
    char          cursor[128];         /* that it gives, cut */
    char          match[64];           /* If-None-Match */
    int64_t       came_us;
} ctl_asked_t;

/* One page: the places after `from`, up to and including `to`. */
typedef struct {
    size_t  from;
    size_t  to;
    size_t  last;                      /* of its last event, or `from` */
    size_t  first;                     /* where its events begin, after which */
    bool    more;
} ctl_page_t;

/* All three return false without memory. */
bool ctl_poll_feed_begin(ctl_poll_feed_t *feed, const char *name);
bool ctl_poll_feed_epoch(ctl_poll_feed_t *feed);
bool ctl_poll_feed_add(ctl_poll_feed_t *feed, ctl_place_kind_t kind,
    unsigned step, bool opaque);
void ctl_poll_feed_free(ctl_poll_feed_t *feed);

/* The place of a cursor, or POLLER_UNKNOWN. */
size_t ctl_poll_feed_find(const ctl_poll_feed_t *feed, const char *cursor);

/* Leaves out the events of a step from now on. */
void ctl_poll_feed_hide(ctl_poll_feed_t *feed, unsigned step);

/* Appends one event as the product writes it; `prev` is its prevcursor. */
es_rc_t ctl_poll_event(const ctl_poll_feed_t *feed, size_t place,
    const char *prev, const ctl_asked_t *asked, es_buf_t *out);

/* Appends the page in the format of the request.  `members` adds members of no
   meaning. */
es_rc_t ctl_poll_page(const ctl_poll_feed_t *feed, const ctl_page_t *page,
    const ctl_asked_t *asked, bool members, es_buf_t *out);

/* ---- poller_steps.c: what is answered ---- */

typedef enum {
    CTL_MOVE_PAGE = 0,
    CTL_MOVE_IDLE,                     /* no event */
    CTL_MOVE_SECONDS,                  /* 429 with Retry-After */
    CTL_MOVE_DATE,                     /* 503 with a date */
    CTL_MOVE_GATEWAY,                  /* 503 of a proxy, without */
    CTL_MOVE_SLOW,
    CTL_MOVE_CUT,
    CTL_MOVE_CUT_CHUNKED,
    CTL_MOVE_REPEAT,                   /* with events of the page before */
    CTL_MOVE_GZIP,
    CTL_MOVE_EXPIRED,
    CTL_MOVE_RESET,
    CTL_MOVE_RESTART,                  /* ends the program and starts it */
    CTL_MOVE_REVOKED,
    CTL_MOVE_STREAM,                   /* events, then the end */
    CTL_MOVE_STREAM_CUT,               /* within an event */
    CTL_MOVE_STREAM_RETRY,             /* with a long retry */
    CTL_MOVE_STREAM_SPLIT,             /* sent in pieces of a few bytes */
    CTL_MOVE_STREAM_SLOW,              /* with pauses */
    CTL_MOVE_STREAM_NOTHING,           /* comments, a lone retry, other names */
    CTL_MOVE_STREAM_LIMIT,             /* "end" with 429 */
    CTL_MOVE_STREAM_EXPIRED            /* "end" with 410 */
} ctl_move_kind_t;

typedef struct {
    ctl_move_kind_t   kind;
    unsigned          times;           /* answers; 0: one */
    unsigned          hidden;          /* places to add first, left out */
    unsigned          events;          /* then events */
    ctl_place_kind_t  place;           /* of what kind */
    unsigned          cap;             /* events of a page; 0: no cap */
    unsigned          search;          /* places of a page; 0: all */
    bool              opaque;
} ctl_move_t;

#define POLLER_MOVES  4

typedef struct {
    const char  *name;
    const char  *about;                /* what the server does */
    const char  *expected;             /* of a right poller */
    const char  *cause;                /* when it does not get on */
    bool         stream;               /* of --sse */
    bool         run;                  /* only with --run */
    unsigned     moves;
    ctl_move_t   move[POLLER_MOVES];
} ctl_step_t;

extern const ctl_step_t  ctl_poller_steps[];     /* the last has no name */

/* ---- poller_mistakes.c ---- */

/* A usual mistake of pollers. */
typedef struct {
    const char  *cause;
    const char  *what;                 /* a sentence */
    const char  *change;               /* the line to change */
} ctl_mistake_t;

extern const ctl_mistake_t  ctl_poller_mistakes[];   /* the last has no cause */

const ctl_mistake_t *ctl_poller_mistake(const char *cause);

/* ---- poller.c ---- */

typedef struct {
    const ctl_step_t     *step;
    bool                  over;
    const ctl_mistake_t  *mistake;     /* the first; NULL: none */
    char                  came[POLLER_CAME];
    bool                  skipped;     /* `came` says why */
    int64_t               began_us;
    int64_t               took_ms;
} ctl_result_row_t;

/* What the next request is judged by. */
typedef enum {
    CTL_EXPECT_FIRST = 0,
    CTL_EXPECT_ANY,                    /* the poller was started again */
    CTL_EXPECT_PLACE,                  /* from `low` to `high` */
    CTL_EXPECT_RESTART                 /* after 410 */
} ctl_expect_t;

#define POLLER_STEPS  32

typedef struct {
    pthread_mutex_t    lock;
    ctl_t             *ctl;
    ctl_poll_feed_t    feed;
    const char        *junit;
    ctl_result_row_t   rows[POLLER_STEPS];
    unsigned           nrows;
    unsigned           row;            /* the step that runs */
    unsigned           move;
    unsigned           done;           /* answers of the move */
    bool               added;          /* its places */
    size_t             goal;           /* the place to reach in the move */

    ctl_expect_t       expect;
    size_t             since;          /* the poller is sent the events after
                                          this place */
    size_t             held;           /* the place of the last request */
    size_t             low, high;
    size_t             snapshot;       /* the place of the last snapshot, or
                                          POLLER_UNKNOWN */
    ctl_move_kind_t    answered;       /* how the last request was */
    bool               more;           /* the last answer had has_more */
    bool               waited;         /* the last request had `wait` */
    int64_t            answered_us;    /* 0: nothing was yet */
    int64_t            not_before_us;  /* Retry-After; 0: none */
    int64_t            idle_gap_us;    /* the shortest without has_more; 0:
                                          unknown */
    int64_t            more_gap_us;    /* the shortest with it, in this step */
    unsigned           quick;          /* requests that followed at once */
    unsigned           behind;         /* requests before the end, at the
                                          beginning of a step */
    unsigned           status;         /* of the last answer */
    int                pending;        /* the socket of a request that is
                                          held; -1: none */
    int64_t            heard_us;       /* the last sign of the poller */
    int64_t            revoked_us;     /* 0: the key is good */
    unsigned           refused;        /* requests since then */
    char               checkpoint[POLLER_CURSOR];      /* "": none */
    bool               ended;          /* the poller is silent; it may come
                                          back once */

    bool               restart;        /* the command must be killed and
                                          started again */
    bool               sse;
    bool               need_snapshot;
    bool               ending;
    struct MHD_Daemon *daemon;
    const char        *run;
    pid_t              child;          /* 0: none */
    char               url[96];
    const char        *applied;
    uint32_t           silence_ms;
} ctl_poller_t;

/* Records a mistake of the step that runs, if it is the first. */
void ctl_poller_wrong(ctl_poller_t *p, const char *cause, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Ends the step that runs, and prints it.  `at` is the place of the poller, or
   POLLER_UNKNOWN. */
void ctl_poller_step_over(ctl_poller_t *p, size_t at);

/* The cause when the poller stops, or does not get on, now. */
const char *ctl_poller_stuck(const ctl_poller_t *p);

/* ---- poller_judge.c ---- */

/* True for a page or stream without any surprise of its own. */
bool ctl_poller_plain(ctl_move_kind_t kind);

/* Judges a request by the answer before it, and goes to the next move.  The
   place of the request becomes one from which the server can answer. */
void ctl_poller_judge(ctl_poller_t *p, ctl_asked_t *asked);

/* ---- poller_answer.c ---- */

/* An answer.  The body is sent as far as `cut`. */
typedef struct {
    unsigned     status;
    const char  *type;                 /* Content-Type */
    es_buf_t     body;
    size_t       cut;                  /* 0: whole */
    bool         chunked;
    bool         gzip;
    size_t       piece;                /* bytes sent at once; 0: any number */
    unsigned     pause_ms;             /* before each piece */
    char         retry_after[40];
    char         etag[64];
    char         next[POLLER_CURSOR];  /* header fields; "": none */
    bool         more;
    int64_t      delay_ms;
} ctl_reply_t;

/* Answers a request for events by the move, and notes what the next request is
   judged by.  ES_NOMEM. */
es_rc_t ctl_poller_answer(ctl_poller_t *p, ctl_asked_t *asked,
    ctl_reply_t *reply);

/* Makes a problem document. */
es_rc_t ctl_poller_problem(ctl_reply_t *reply, unsigned status,
    const char *type, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- poller_stream.c ---- */

/* Makes a stream of the page. */
es_rc_t ctl_poller_stream(ctl_poller_t *p, const ctl_asked_t *asked,
    const ctl_page_t *page, ctl_move_kind_t kind, ctl_reply_t *reply);

/* Makes a stream of the problem in the reply, as a reader gets it that comes
   back. */
es_rc_t ctl_poller_stream_end(ctl_poller_t *p, const ctl_asked_t *asked,
    ctl_reply_t *reply);

/* ---- poller_other.c ---- */

/* Answers a request for a token. */
es_rc_t ctl_poller_token(const ctl_poller_t *p, ctl_reply_t *reply);

/* Answers a request that is not for events.  ES_NOT_FOUND: the product has no
   such resource for a poller. */
es_rc_t ctl_poller_other(ctl_poller_t *p, const char *method, const char *path,
    es_str_t body, ctl_reply_t *reply);

/* ---- poller_http.c ---- */

/* Starts the server; *port becomes the port.  CTL_FAILED or CTL_USAGE with a
   message. */
int ctl_poller_serve(ctl_poller_t *p, const char *address, uint16_t *port);

/* ---- poller_run.c ---- */

/* Starts the command of --run.  CTL_FAILED with a message. */
int ctl_poller_start(ctl_poller_t *p);

/* Ends it and waits for it. */
void ctl_poller_stop(ctl_poller_t *p);

/* True if it has ended by itself; `how` says how. */
bool ctl_poller_ended(ctl_poller_t *p, char how[64]);

/* ---- poller_applied.c ---- */

/* Compares the events in the file of --applied with those that the poller was
   sent up to the place, and records a mistake. */
void ctl_poller_applied(ctl_poller_t *p, size_t place);

#endif /* CTL_POLLER_H */
