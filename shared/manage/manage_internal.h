/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Inside of manage.h: one request while it is done.
 */

#ifndef ES_MANAGE_INTERNAL_H
#define ES_MANAGE_INTERNAL_H

#include "delivery/report.h"
#include "manage/manage.h"
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
    unsigned             room;         /* left on the page */
    unsigned             looks;
    char                 next[64];     /* what was looked at last */
} es_manage_ctx_t;

/* Sets a problem and returns its outcome. */
es_rc_t es_manage_invalid(es_manage_ctx_t *m, const char *pointer,
    const char *detail);

/* The stored object, or NULL. */
json_t *es_manage_object(es_manage_ctx_t *m, es_kind_t kind, es_str_t name);

/* The endpoint's object if there is one for who asks, or NULL. */
json_t *es_manage_load(es_manage_ctx_t *m, es_str_t name);

/* Whether the object is the partner's, and of feeds that the key is narrowed
   to. */
bool es_manage_mine(const es_manage_ctx_t *m, json_t *object);

/* ES_DENIED if the object's feeds are beyond those that the key is narrowed
   to.  What is no list of feeds is left to the registry. */
es_rc_t es_manage_feeds(es_manage_ctx_t *m, json_t *object,
    es_problem_t *problem);

/* Answers with the endpoint and its ETag. */
es_rc_t es_manage_show(es_manage_ctx_t *m);
void es_manage_etag(es_manage_ctx_t *m, json_t *object,
    char etag[ES_ENDPOINT_ETAG_MAX]);

/* manage_view.c: what the partner sees of it; takes the object. */
json_t *es_manage_view(es_manage_ctx_t *m, es_str_t name, json_t *object);
/* Refuses members that are the operator's. */
es_rc_t es_manage_owner(es_manage_ctx_t *m);

/* manage_list.c */
es_rc_t es_manage_list(es_manage_ctx_t *m);

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
/* Whether the endpoint is sent the feed.  Others' feeds are not to be told from
   those that do not exist. */
bool es_manage_sends(es_manage_ctx_t *m, const char *feed);
es_rc_t es_manage_request(es_manage_ctx_t *m);
es_rc_t es_manage_test(es_manage_ctx_t *m);

#endif /* ES_MANAGE_INTERNAL_H */
