/*
 * managing.h - inside of manage.h: one request while it is done.
 */

#ifndef ES_MANAGING_H
#define ES_MANAGING_H

#include "manage.h"
#include "report.h"

typedef struct {
    es_store_t         *store;
    const es_manage_t  *manage;
    es_problem_t       *problem;
    json_t             *body;          /* NULL: none */
    json_t             *answer;
    char               *name;
    uint32_t            number;
    uint64_t            revision;
    es_report_feeds_t   feeds;
    json_t             *list;
    unsigned            room;
} es_managing_t;

/* Sets a problem and returns its outcome. */
es_rc_t es_manage_invalid(es_managing_t *m, const char *pointer,
    const char *detail);

/* manage_report.c */
es_rc_t es_manage_status(es_managing_t *m);
es_rc_t es_manage_records(es_managing_t *m);

/* manage_request.c */
es_rc_t es_manage_request(es_managing_t *m);
es_rc_t es_manage_test(es_managing_t *m);

#endif /* ES_MANAGING_H */
