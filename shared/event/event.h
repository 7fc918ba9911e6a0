/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A CloudEvent, parsed, checked and composed once, at publish.
 *
 * A draft is all of the stored text that does not depend on the event's
 * sequence.  `head` ends after the "feed" member; `tail` begins at the "data"
 * member, or is the closing brace.  The commit prints "sequence", "cursor" and
 * "prevcursor" between the two.
 *
 * Limits: an id is 1 to 128 bytes of visible ASCII without '.', '"' and '\',
 * because it is sent as the webhook-id header and signed as
 * "id.timestamp.body".  A type has at most ES_TYPE_MAX bytes and no '"', '\',
 * ',' or '*', because filters list types.  Other attributes have at most
 * ES_ATTR_MAX bytes.  An event has at most 20 extensions, with names of
 * [a-z0-9]{1,128}.  The log reserves the names feed, sequence, sequencetype,
 * cursor and prevcursor.
 */

#ifndef ES_EVENT_H
#define ES_EVENT_H

#include "base/base.h"
#include "event/filter.h"

/*
 * Who published an event: numbers of the registry, which are never reused.
 * Nobody published by a key where the partner is 0: then the key tells which
 * program did.
 */
typedef struct {
    uint32_t  partner;
    uint32_t  key;
} es_publisher_t;

#define ES_PUBLISHER_OPERATOR    0     /* eventsyncctl, or a C producer */
#define ES_PUBLISHER_DISPATCHER  1     /* an operational event */

typedef struct {
    es_str_t  head;            /* {"specversion":..."feed":"name" */
    es_str_t  tail;            /* ,"data":...} or } */
    uint32_t  ident_len;       /* head's first bytes, up to the end of
                                  source: the (source, id) identity */
    uint32_t  id_off, id_len;
    uint32_t  type_off, type_len;
    uint32_t  subject_off, subject_len;    /* 0, 0: none */
    uint32_t  schema_off, schema_len;      /* dataschema; 0, 0: none */
    uint64_t  ident;           /* hash of (source, id), set at publish */
    uint32_t  time_off;        /* offset of the value in head, if the time
                                  was added here; 0: it is the producer's */
    es_publisher_t  publisher; /* set at publish */
    bool                 replaced;     /* it had attributes of the log */
    bool                 traced;       /* it has a traceparent of its own */
    const es_problem_t  *refused;      /* not to be stored, ES_HANDLE_EACH */
} es_draft_t;

/* The memory and settings of a batch's drafts. */
typedef struct {
    es_str_t     feed;
    size_t       event_max;
    int64_t      now_ms;       /* for events without a time */
    bool         replace;      /* the log's attributes, ES_HANDLE_REPLACE */
    es_str_t     traceparent;  /* attributes of events that have neither of */
    es_str_t     tracestate;   /* them; valid, or empty: none */
} es_compose_t;

/*
 * Parses one event in the JSON event format and composes it.  The draft's text
 * is appended to `arena`.  The arena may move, so head and tail are offsets
 * (relative to NULL) until es_batch_seal().
 */
es_rc_t es_draft_json(const es_compose_t *compose, const char *json,
    size_t len, int index, es_buf_t *arena, es_draft_t *draft,
    es_problem_t *problem);

es_rc_t es_draft_binary(const es_compose_t *compose, const es_attr_t *attrs,
    size_t nattrs, es_str_t content_type, const char *data, size_t len,
    es_buf_t *arena, es_draft_t *draft, es_problem_t *problem);

#endif /* ES_EVENT_H */
