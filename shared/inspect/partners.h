/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * How all partners of a store are doing, for its operator: a list that begins
 * with those who need attention, and the state of the store.
 *
 * The figures come from one view of the whole store, which the object keeps.
 * To read it costs a look at each partner, endpoint and feed, and some look-ups
 * for each feed that an endpoint is behind; no event and no attempt is counted
 * one by one.  A view is therefore used again for a second, and for ten times
 * as long as it took to read: any number of requests keeps a thread busy for at
 * most a tenth of the time.  A page is chosen from the view in memory.
 *
 * One thread at a time may use an object, always with the same store.  All
 * functions with a store block.
 *
 * partners_read.c reads the view, partners_list.c makes pages of it, and
 * partners_store.c describes the store.
 */

#ifndef ES_PARTNERS_H
#define ES_PARTNERS_H

#include "base/base.h"
#include "limit/limit.h"
#include "limit/polls.h"
#include "read/encoded_pages.h"

#define ES_PARTNERS_DEAD   100     /* dead letters that are counted of each
                                      endpoint */
#define ES_PARTNERS_LATE   60000   /* ms behind: the endpoint lags */
#define ES_PARTNERS_FEEDS  100     /* feeds that es_partners_store() lists */

typedef struct es_partners_s  es_partners_t;

/* What the rate limiter knows of a partner. */
typedef struct {
    unsigned  policies;        /* a bit for each es_policy_t that has refused
                                  a request within the last minute */
    uint64_t  refused;         /* requests, since the limiter began */
} es_partner_limits_t;

/* Where the figures come from that are not in the store. */
typedef struct {
    es_store_t          *store;    /* open with ES_STORE_DELIVERY_READ */
    es_encoded_pages_t  *pages;    /* NULL: not open */
    int64_t              now_ms;   /* the store's time */
    /* Sets the limits of the partner with this number.  NULL: there is no
       limiter. */
    void               (*limits)(void *ctx, uint32_t partner,
                                 es_partner_limits_t *limits);
    void                *ctx;
    const es_polls_t    *polls;    /* figures of polls; NULL: none are kept */
} es_partners_source_t;

/* The order of the list; names decide between equals. */
typedef enum {
    ES_SORT_ATTENTION = 0,     /* who fails, who lags, who is limited */
    ES_SORT_NAME,
    ES_SORT_LAG,               /* seconds, the longest first */
    ES_SORT_FAILURES,          /* failed attempts of the last hour */
    ES_SORT_DEAD,              /* dead letters */
    ES_SORTS
} es_sort_t;

/* ES_NOT_FOUND: there is no such order. */
es_rc_t es_sort_find(es_str_t name, es_sort_t *sort);

typedef struct {
    es_sort_t  sort;
    es_str_t   search;         /* part of the name; empty: all partners */
    unsigned   limit;          /* partners of a page */
    bool       has_after;      /* see es_partners_after() */
    uint64_t   after_rank;
    size_t     after_len;
    char       after[ES_FEED_MAX];
} es_partners_query_t;

es_partners_t *es_partners_create(void);   /* NULL: no memory */
void es_partners_free(es_partners_t *partners);

/* Sets the position from the `next` of a page with the same order and search,
   which are set already.  ES_INVALID: it is none.  It computes only. */
es_rc_t es_partners_after(es_partners_query_t *q, es_str_t token);

/*
 * Appends a page to `out`, which the caller frees: an object with
 *
 *     time        of the view
 *     total       number of partners; `matching` of them match the search
 *     failing, lagging, limited   how many partners are
 *     partners    see docs/http-endpoints.md
 *     next        token of the next page; null: this is the last one
 *
 * A partner that moves in the order between two pages may be missing or be on
 * both.  ES_NOMEM, or the outcome of a read.
 */
es_rc_t es_partners_page(es_partners_t *partners,
    const es_partners_source_t *source, const es_partners_query_t *q,
    es_buf_t *out);

/* Appends the state of the store to `out`, likewise: clock, dispatcher, disk,
   environments, and the feeds that need attention, or else the largest. */
es_rc_t es_partners_store(es_partners_t *partners,
    const es_partners_source_t *source, es_buf_t *out);

/* Appends the status of one partner as it sees it itself with a key that may
   read all of its feeds (manage/partner_status.h), and `overview`, its object in
   the list.  ES_NOT_FOUND. */
es_rc_t es_partners_status(es_partners_t *partners,
    const es_partners_source_t *source, es_str_t name, es_buf_t *out);

#endif /* ES_PARTNERS_H */
