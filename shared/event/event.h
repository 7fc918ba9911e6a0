/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A CloudEvent parsed, checked and composed once, at publish.
 *
 * A draft is everything of the stored text that does not depend on its place
 * in the log: `head` up to and without the "feed" member's following
 * ,"sequence":..., and `tail` from the "data" member (or nothing) to the
 * closing brace.  What stands between is printed at commit.
 *
 * Limits: id is 1..128 bytes of visible ASCII without '.', '"' and '\' (it is
 * sent as the webhook-id header and signed as "id.timestamp.body"); a type has
 * at most ES_TYPE_MAX bytes and no '"', '\', ',' or '*' (types are listed in
 * filters); other attributes are at most ES_ATTR_MAX bytes; at most 20
 * extensions, names [a-z0-9]{1,20}; the names feed, sequence, sequencetype,
 * cursor and prevcursor are the log's own and refused.
 */

#ifndef ES_EVENT_H
#define ES_EVENT_H

#include "base/base.h"
#include "event/filter.h"

typedef struct {
    es_str_t  head;            /* {"specversion":..."feed":"name" */
    es_str_t  tail;            /* ,"data":...} or } */
    uint32_t  ident_len;       /* head's first bytes, up to the end of source:
                                  the (source, id) identity */
    uint32_t  id_off, id_len;
    uint32_t  type_off, type_len;
    uint32_t  subject_off, subject_len;    /* 0, 0: none */
    uint32_t  schema_off, schema_len;      /* dataschema; 0, 0: none */
    uint64_t  ident;           /* hash of (source, id), set at publish */
    uint32_t  time_off;        /* value's offset in head; 0 if the producer
                                  gave the time, else it was added here */
} es_draft_t;

/* What the drafts of a batch are made of. */
typedef struct {
    es_str_t     feed;
    size_t       event_max;
    int64_t      now_ms;       /* time for events that have none */
} es_compose_t;

/*
 * Parses one event in the JSON event format and composes it.  The draft's
 * text is appended to `arena` (offsets are stable, pointers are not: head and
 * tail are set relative to NULL + offset and fixed by the batch).
 */
es_rc_t es_draft_json(const es_compose_t *compose, const char *json,
    size_t len, int index, es_buf_t *arena, es_draft_t *draft,
    es_problem_t *problem);

es_rc_t es_draft_binary(const es_compose_t *compose, const es_attr_t *attrs,
    size_t nattrs, es_str_t content_type, const char *data, size_t len,
    es_buf_t *arena, es_draft_t *draft, es_problem_t *problem);

#endif /* ES_EVENT_H */
