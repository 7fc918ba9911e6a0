/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Figures of what each partner has read of each feed, in shared memory.
 *
 * A table of fixed size has one record for each pair of partner and feed.  A
 * pair has one of the eight records of its set.  When all of them belong to
 * other pairs, a new pair gets the record whose last request is the oldest;
 * its figures are lost, and es_polls_evicted() counts that.
 *
 * Any number of processes count at once, without a lock.  A process that is
 * killed leaves every record usable.  If two pairs take over one record at the
 * same moment, some counts can be lost.
 */

#ifndef ES_POLLS_H
#define ES_POLLS_H

#include "base/base.h"
#include "base/fresh.h"

typedef struct es_polls_s  es_polls_t;

typedef enum {
    ES_POLL_POLL,
    ES_POLL_LONG,
    ES_POLL_STREAM,
    ES_POLL_PAGES,
    ES_POLL_CHANNELS
} es_poll_channel_t;

typedef enum {
    ES_POLL_NONE,              /* the client left before the answer */
    ES_POLL_2XX,
    ES_POLL_3XX,
    ES_POLL_4XX,
    ES_POLL_5XX,
    ES_POLL_CLASSES
} es_poll_class_t;

/* A request, or a further piece of a stream. */
typedef struct {
    uint32_t           partner;    /* numbers; 0: a request without a partner */
    uint32_t           feed;       /* not 0 */
    es_poll_channel_t  channel;
    bool               piece;      /* of a stream that was counted before */
    unsigned           status;     /* 0: the client left before the answer */
    uint64_t           events;     /* in the answer */
    const char        *epoch;      /* of the next two; NULL: the answer has no
                                      position */
    uint64_t           position;   /* of the reader after the answer */
    int64_t            now_ms;     /* wall clock */

    /* If within_ms is not 0 and the first event is beyond every position so
       far, the answer is judged by it (fresh.h). */
    int64_t            within_ms;  /* the feed's promise */
    uint64_t           first;      /* sequence of the first event, */
    int64_t            first_ms;   /* the time of its commit, */
    int64_t            asked_ms;   /* when the reader was ready for it, */
    int64_t            answered_ms;    /* and when it was answered */
} es_poll_t;

typedef struct {
    uint32_t  partner;
    uint32_t  feed;
    int64_t   since_ms;        /* since when the others count */
    int64_t   last_ms;         /* the last request or piece */
    char      epoch[ES_EPOCH_MAX + 1];     /* empty: no position is known */
    uint64_t  position;        /* the furthest that a reader has got to */
    uint64_t  requests[ES_POLL_CHANNELS];
    uint64_t  events[ES_POLL_CHANNELS];
    uint64_t  empty[ES_POLL_CHANNELS];     /* answers 2xx without an event */
    uint64_t  batches;         /* answers, and pieces of streams, with events */
    uint64_t  refused;         /* answers 429, which the next counts as well */
    uint64_t  classes[ES_POLL_CLASSES];
    es_fresh_t  fresh;         /* answers, and pieces of streams */
} es_poll_figures_t;

/* Returns the bytes of a table with this many sets. */
size_t es_polls_size(size_t sets);

/* Makes a table in zeroed memory of es_polls_size(sets) bytes, aligned to 64.
   `sets` is at least 1. */
void es_polls_init(es_polls_t *polls, size_t sets);

void es_polls_count(es_polls_t *polls, const es_poll_t *poll);

/* Copies the figures of one pair.  Some of them may be one request ahead of the
   others.  False: there are none. */
bool es_polls_get(const es_polls_t *polls, uint32_t partner, uint32_t feed,
    es_poll_figures_t *figures);

/* How fresh the answers of a feed to all partners were.  These counters take a
   record of the table, too. */
void es_polls_fresh(const es_polls_t *polls, uint32_t feed, es_fresh_t *fresh);

/* Calls `fn` for each pair, in no order.  It costs a look at each record of the
   table. */
void es_polls_each(const es_polls_t *polls,
    void (*fn)(void *ctx, const es_poll_figures_t *figures), void *ctx);

/* How many records another pair has taken over. */
uint64_t es_polls_evicted(const es_polls_t *polls);

const char *es_poll_channel_name(es_poll_channel_t channel);
const char *es_poll_class_name(es_poll_class_t class);

#endif /* ES_POLLS_H */
