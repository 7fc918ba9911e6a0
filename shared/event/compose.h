/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The inside of event.h: fields collected in either content mode, and the one
 * composer that checks and writes them.
 */

#ifndef ES_COMPOSE_H
#define ES_COMPOSE_H

#include "base/base.h"
#include "event/attribute.h"
#include "event/event.h"

/* The form of a field's text in the input. */
typedef enum {
    ES_FIELD_NONE = 0,         /* absent or null */
    ES_FIELD_PLAIN,            /* inside of a JSON string, no escapes */
    ES_FIELD_ESCAPED,          /* inside of a JSON string with escapes */
    ES_FIELD_DECODED,          /* not JSON */
    ES_FIELD_LITERAL           /* a JSON number, true or false */
} es_field_form_t;

typedef struct {
    es_str_t         text;
    es_field_form_t  form;
} es_field_t;

typedef struct {
    char        name[ES_EXTENSION_NAME_MAX];
    unsigned    name_len;
    bool        added;         /* by the request, beyond the limits */
    es_field_t  value;
} es_extension_t;

typedef struct {
    const es_compose_t  *compose;
    es_problem_t        *problem;
    int                  index;

    unsigned             seen;           /* one bit for each attribute */
    bool                 has_data;       /* the member exists, even if null */
    bool                 has_base64;
    bool                 data_is_text;   /* binary mode: stored as a string */
    bool                 data_is_bytes;  /* binary mode: stored as base64 */
    bool                 replaced;       /* attributes of the log were left
                                            out */
    es_str_t             data;
    es_field_t           base64;

    es_field_t           attrs[ES_ATTRS];
    unsigned             nextensions;
    es_extension_t       extensions[ES_EXTENSIONS_MAX + 2];
    bool                 traced;         /* it has a traceparent itself */
    size_t               added;          /* bytes of those that were added */

    char                *out;            /* the composer's write position */
    char                *head;           /* start of the draft's head */
} es_event_parts_t;

void es_parts_init(es_event_parts_t *parts, const es_compose_t *compose,
    int index, es_problem_t *problem);

/* Takes one attribute or extension by its decoded name. */
es_rc_t es_collect(es_event_parts_t *parts, es_str_t name, es_field_t value);

/* Checks and writes the collected fields.  `bound` is the most bytes that
   they can take. */
es_rc_t es_compose(es_event_parts_t *parts, size_t bound, es_buf_t *arena,
    es_draft_t *draft);

/* Sets the problem "the attribute NAME why", with a pointer to the
   attribute. */
es_rc_t es_attr_problem(es_event_parts_t *parts, es_rc_t rc, es_str_t name,
    const char *why);

#endif /* ES_COMPOSE_H */
