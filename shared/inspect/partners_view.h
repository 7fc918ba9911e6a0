/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The view of all partners, for the files that implement partners.h.
 */

#ifndef ES_PARTNERS_VIEW_H
#define ES_PARTNERS_VIEW_H

#include "delivery/endpoint_state.h"
#include "delivery/figures.h"
#include "event/cursor.h"
#include "inspect/partners.h"
#include "registry/registry.h"

typedef enum {
    ES_ATTENTION_NONE = 0,
    ES_ATTENTION_LIMITED,
    ES_ATTENTION_LAGGING,
    ES_ATTENTION_FAILING,
    ES_ATTENTIONS
} es_attention_t;

typedef struct {
    const es_partner_t   *partner;
    uint32_t              states[ES_STATES];   /* endpoints by state */
    uint64_t              behind;      /* of the endpoint and feed that is
                                          behind the most */
    int64_t               lag_ms;      /* of the longest behind */
    int64_t               expires_ms;  /* when retention takes the first event
                                          that was not delivered; 0: never */
    uint64_t              missed;      /* events that it has taken */
    bool                  near;        /* retention is near */
    bool                  late;        /* an endpoint lags that is not halted */
    uint64_t              dead;
    es_figures_total_t    minute;
    es_figures_total_t    hour;
    es_partner_limits_t   limits;
    uint64_t              polls;       /* requests that read */
    uint64_t              polled;      /* events that these were answered */
    int64_t               polled_ms;   /* the last of them; 0: none */
    es_attention_t        attention;
} es_partner_line_t;

typedef struct {
    char      name[ES_FEED_MAX + 1];
    char      oldest[ES_CURSOR_MAX];
    char      latest[ES_CURSOR_MAX];
    uint64_t  events;
    uint64_t  bytes;
    int64_t   last_ms;         /* 0: no event yet */
    int64_t   overdue_ms;      /* since when retention is not applied; 0: it is
                                  applied, or the feed has no limit */
    int64_t   held_ms;         /* since when a hold keeps its events; 0: none */
} es_feed_line_t;

struct es_partners_s {
    es_registry_t      *registry;
    size_t              n;
    es_partner_line_t  *lines;     /* as the registry's partners */
    size_t              counts[ES_ATTENTIONS];
    size_t              nfeeds;
    es_feed_line_t     *feeds;
    uint64_t            events;    /* of all feeds */
    uint64_t            bytes;
    uint64_t            overdue;   /* feeds */
    int64_t             time_ms;   /* the store's, of the view */
    int64_t             seen_ms;   /* the dispatcher; 0: never */
    bool                whole;     /* the view has been read */
    int64_t             read_us;   /* when, by the monotonic clock */
    int64_t             cost_us;   /* how long that took */
};

/* Reads the view, unless it may be used again. */
es_rc_t es_partners_refresh(es_partners_t *partners,
    const es_partners_source_t *source);

/* The time as JSON; null for 0. */
json_t *es_partners_time(int64_t ms);

/* Appends the object, of which it takes the reference; NULL: ES_NOMEM. */
es_rc_t es_partners_print(json_t *answer, es_buf_t *out);

#endif /* ES_PARTNERS_VIEW_H */
