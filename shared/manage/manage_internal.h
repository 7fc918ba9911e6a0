/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One operation of es_manage() under way, as the files of this folder share
 * it.
 */

#ifndef ES_MANAGE_INTERNAL_H
#define ES_MANAGE_INTERNAL_H

#include "delivery/report.h"
#include "manage/manage.h"
#include "registry/control_request.h"
#include "registry/registry.h"

typedef struct {
    es_store_t          *store;
    const es_manage_t   *manage;
    es_manage_result_t  *managed;
    es_problem_t        *problem;
    int64_t              now_ms;
    json_t              *body;         /* NULL: none */
    json_t              *answer;
    uint32_t             number;
    uint64_t             revision;
    bool                 paused;
    es_report_feeds_t    feeds;
    json_t              *list;
    unsigned             room;         /* records left to examine */
    char                 next[ES_FEED_MAX + 1];    /* position of the last
                                          item */
} es_manage_ctx_t;

/* Sets a problem and returns ES_INVALID. */
es_rc_t es_manage_invalid(es_manage_ctx_t *m, const char *pointer,
    const char *detail);

/* The stored object, a new reference, or NULL. */
json_t *es_manage_object(es_manage_ctx_t *m, es_kind_t kind, es_str_t name);

/* The endpoint's object, a new reference.  NULL: there is none, or the partner
   or key may not see it. */
json_t *es_manage_load(es_manage_ctx_t *m, es_str_t name);

/* True if the endpoint belongs to the partner and the key may see its feeds.
   */
bool es_manage_mine(const es_manage_ctx_t *m, json_t *object);

/* ES_DENIED with a problem: the object lists a feed that the key may not see.
   The registry checks whether `feeds` is a list at all. */
es_rc_t es_manage_feeds(es_manage_ctx_t *m, json_t *object,
    es_problem_t *problem);

/* Makes the endpoint and its ETag the answer. */
es_rc_t es_manage_show(es_manage_ctx_t *m);
void es_manage_etag(es_manage_ctx_t *m, json_t *object,
    char etag[ES_ENDPOINT_ETAG_MAX]);

/* manage_read.c: ES_DENIED with a problem: the change has more events, or
   events of other feeds, sent to the endpoint or to another URL, and the
   credential may not read. */
es_rc_t es_manage_reads(es_manage_ctx_t *m, const json_t *stored,
    const json_t *change, es_problem_t *problem);

/* manage_view.c: the endpoint as its partner may see it.  Takes over the
   reference to `object`. */
json_t *es_manage_view(es_manage_ctx_t *m, es_str_t name, json_t *object);
/* ES_INVALID with a problem: the body has a member that only an operator may
   set. */
es_rc_t es_manage_owner(es_manage_ctx_t *m);

/* manage_list.c */
es_rc_t es_manage_list(es_manage_ctx_t *m);
/* The token of the position in m->next, or null at the end of the list. */
json_t *es_manage_next(const es_manage_ctx_t *m, bool more);

/* manage_change.c */
es_rc_t es_manage_create(es_manage_ctx_t *m);
es_rc_t es_manage_change(es_manage_ctx_t *m);
es_rc_t es_manage_remove(es_manage_ctx_t *m);
es_rc_t es_manage_paused(es_manage_ctx_t *m);
es_rc_t es_manage_rotate(es_manage_ctx_t *m);
es_rc_t es_manage_simulate(es_manage_ctx_t *m);

/* manage_report.c */
es_rc_t es_manage_status(es_manage_ctx_t *m);
es_rc_t es_manage_records(es_manage_ctx_t *m);

/* manage_clear.c */
es_rc_t es_manage_clear(es_manage_ctx_t *m);

/* manage_request.c */
/* True if the endpoint is sent the feed.  A partner must not learn whether
   another feed exists, so the caller answers both cases alike. */
bool es_manage_sends(es_manage_ctx_t *m, const char *feed);
/* Adds a request and sets its number.  ES_CONFLICT: too many wait. */
es_rc_t es_manage_add(es_manage_ctx_t *m, es_control_request_t *request);
es_rc_t es_manage_request(es_manage_ctx_t *m);
es_rc_t es_manage_test(es_manage_ctx_t *m);

#endif /* ES_MANAGE_INTERNAL_H */
