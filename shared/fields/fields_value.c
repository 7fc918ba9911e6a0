/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Shows data: what the state of each value says.
 *
 * The walk enters an object or array only where the lists tell parts of it
 * apart.  All else is shown or skipped without a look at its meaning.
 */

#include "base/json.h"
#include "base/json_scan.h"
#include "fields/fields.h"
#include "fields/fields_impl.h"
#include "fields/fields_walk.h"

#define ES_FIELDS_NAME  (6 * ES_FIELDS_TOKEN + 2)    /* longest spelling of a
                                                        token that is listed */

#define ES_FIELDS_FEW   16             /* edges that are tried one by one */

#define ES_FIELDS_NEAR  24             /* fewer bytes before the end are left
                                          to es_json_key() */


/* ---- states ---- */


static uint32_t
es_fields_search(const es_fields_t *fields, const es_fields_state_t *state,
    es_str_t name)
{
    int                      order;
    uint32_t                 low, high, mid;
    const es_fields_edge_t  *edges;

    edges = fields->edges + state->first;
    low = 0;
    high = state->n;

    while (low < high) {
        mid = (low + high) / 2;
        order = es_fields_order(name, edges[mid].token);

        if (order == 0) {
            return edges[mid].to;
        }

        if (order < 0) {
            high = mid;

        } else {
            low = mid + 1;
        }
    }

    return state->rest;
}


/* Returns the state of a member, whose name may have escapes. */

static uint32_t
es_fields_member(const es_fields_t *fields, const es_fields_state_t *state,
    const es_json_value_t *name)
{
    char      decoded[ES_FIELDS_NAME];
    es_str_t  text;

    if (!name->escaped) {
        text.data = name->text.data + 1;
        text.len = name->text.len - 2;
        return es_fields_search(fields, state, text);
    }

    if (name->text.len > sizeof(decoded)) {
        return state->rest;
    }

    text.data = decoded;
    text.len = (size_t) (es_json_decode(name, decoded) - decoded);

    return es_fields_search(fields, state, text);
}


/* Compares a long name, after which es_fields_scalar() has its bytes. */

static __attribute__((noinline)) bool
es_fields_same(const char *text, const char *end, es_str_t token)
{
    return (size_t) (end - text) >= token.len + 5
           && memcmp(text, token.data, token.len + 2) == 0;
}


/* Returns the edge of the member whose name begins at `text`.  NULL: none of
   the edges has it, or it has an escape.  The text has sixteen bytes. */

static inline __attribute__((always_inline)) const es_fields_edge_t *
es_fields_plain(const es_fields_edge_t *edge, const es_fields_edge_t *last,
    const char *text, const char *end)
{
    uint64_t  start, more;

    memcpy(&start, text, sizeof(start));

    for ( ; edge < last; edge++) {
        if ((start & edge->mask[0]) != edge->word[0]) {
            continue;
        }

        memcpy(&more, text + sizeof(start), sizeof(more));

        if ((more & edge->mask[1]) == edge->word[1]
            && (edge->token.len + 2 <= sizeof(start) + sizeof(more)
                || es_fields_same(text, end, edge->token)))
        {
            return edge;
        }
    }

    return NULL;
}


static inline uint32_t
es_fields_item(const es_fields_t *fields, const es_fields_state_t *state,
    uint32_t index)
{
    uint32_t                 i;
    const es_fields_edge_t  *edges;

    edges = fields->edges + state->first;

    for (i = 0; i < state->n; i++) {
        if (edges[i].index == index) {
            return edges[i].to;
        }
    }

    return state->rest;
}


/* ---- the next member or item ---- */


/* Returns the end of a string without escapes, or of a whole number.  NULL: it
   is another value, or neither a comma nor a bracket follows.  The text has two
   bytes. */

static inline __attribute__((always_inline)) const char *
es_fields_scalar(const char *p, const char *end)
{
    if (*p == '"') {
        p = es_fields_quote(p + 1, end - 1);

        if (p == NULL) {
            return NULL;
        }

        p++;

    } else {
        if (*p < '1' || *p > '9') {
            return NULL;
        }

        do {
            if (++p == end) {
                return NULL;
            }
        } while (*p >= '0' && *p <= '9');
    }

    return *p == ',' || *p == '}' ? p : NULL;
}


/* Returns the value of the member whose name begins at `text`, and its state.
   The edges from `edge` to `last` are tried first.  NULL: the name has an
   escape, or is not as usual in another way. */

static inline __attribute__((always_inline)) const char *
es_fields_name(const es_fields_t *fields, const es_fields_state_t *state,
    const es_fields_edge_t *edge, const es_fields_edge_t *last,
    const char *text, const char *end, uint32_t *to)
{
    es_str_t     name;
    const char  *p;

    edge = es_fields_plain(edge, last, text, end);

    if (edge != NULL) {
        *to = edge->to;
        return text + edge->token.len + 2;
    }

    p = es_json_plain(text, text + 16);

    if (p[0] != '"' || p[1] != ':') {
        return NULL;
    }

    name.data = text;
    name.len = (size_t) (p - text);
    *to = state->n <= ES_FIELDS_FEW ? state->rest
                                    : es_fields_search(fields, state, name);

    return p + 2;
}


/*
 * Shows or skips members as most producers write them, with little work for
 * each: names and strings without escapes, whole numbers, and at most one space
 * after a comma or colon.  ES_OK: the position is at a value that must be
 * looked at.  ES_PENDING: it is before what is not as usual, or before the end.
 */

static inline __attribute__((always_inline)) es_rc_t
es_fields_usual(es_fields_walk_t *walk, es_fields_frame_t *frame, uint32_t *to)
{
    uint32_t                  next;
    const char               *p, *q, *name, *value, *end;
    const es_fields_edge_t   *edge, *last;
    const es_fields_state_t  *state;

    state = frame->state;
    edge = walk->fields->edges + state->first;
    last = state->n <= ES_FIELDS_FEW ? edge + state->n : edge;

    /* `p` is at the bracket or comma before a member */

    p = walk->json.pos - frame->first;
    end = walk->json.end;

    while (end - p >= ES_FIELDS_NEAR) {
        name = p + 1 + (p[1] == ' ');

        if (*name != '"') {
            break;
        }

        value = es_fields_name(walk->fields, state, edge, last, name + 1, end,
                               &next);
        if (value == NULL) {
            break;
        }

        frame->name.text.len = (size_t) (value - name - 1);
        value += *value == ' ';

        if ((unsigned char) *value <= ' ') {
            break;
        }

        q = next <= ES_FIELDS_ALL ? es_fields_scalar(value, end) : NULL;

        if (q == NULL) {
            frame->name.type = ES_JSON_STRING;
            frame->name.escaped = false;
            frame->name.text.data = name;
            frame->first = false;
            walk->json.pos = value;
            *to = next;

            return ES_OK;
        }

        if (next == ES_FIELDS_ALL) {
            es_fields_put(walk, es_fields_comma(walk, name, frame->shown), q);
            frame->shown = true;
        }

        p = q;
        frame->first = false;

        if (*p == '}') {
            break;
        }
    }

    walk->json.pos = p + frame->first;

    return ES_PENDING;
}


/* Goes to the value of the next member that must be looked at. */

static inline es_rc_t
es_fields_member_next(es_fields_walk_t *walk, es_fields_frame_t *frame,
    uint32_t *to)
{
    es_rc_t     rc;
    es_json_t  *json;

    rc = ES_PENDING;
    json = &walk->json;

    if (frame->first || (json->pos < json->end && *json->pos == ',')) {
        rc = es_fields_usual(walk, frame, to);
    }

    if (rc != ES_PENDING) {
        return rc;
    }

    if (!frame->first && json->pos < json->end && *json->pos == '}') {
        json->pos++;
        json->depth--;
        return ES_NOT_FOUND;
    }

    rc = es_json_key(json, frame->first, &frame->name);
    frame->first = false;

    if (rc == ES_OK) {
        *to = es_fields_member(walk->fields, frame->state, &frame->name);
    }

    return rc;
}


/* The same for an item. */

static inline es_rc_t
es_fields_item_next(es_fields_walk_t *walk, es_fields_frame_t *frame,
    uint32_t *to)
{
    es_rc_t      rc;
    const char  *p;

    p = walk->json.pos;

    if (!frame->first && walk->json.end - p > 1 && *p == ','
        && (unsigned char) p[1] > ' ')
    {
        walk->json.pos = p + 1;
        rc = ES_OK;

    } else {
        rc = es_json_element(&walk->json, frame->first);
    }

    frame->index += !frame->first;
    frame->first = false;

    if (rc == ES_OK) {
        *to = es_fields_item(walk->fields, frame->state, frame->index);
    }

    return rc;
}


/* ---- values ---- */


void
es_fields_flush(es_fields_walk_t *walk)
{
    size_t  len;

    len = (size_t) (walk->to - walk->from);

    if (len > 0) {
        memcpy(walk->out->data + walk->out->len, walk->from, len);
        walk->out->len += len;
        walk->from = walk->to;
    }
}


static inline void
es_fields_forget(es_fields_walk_t *walk, const es_fields_frame_t *frame)
{
    walk->out->len = frame->len;
    walk->from = frame->from;
    walk->to = frame->to;
}


/* Shows a value at once, if `state` shows it. */

static es_rc_t
es_fields_whole(es_fields_walk_t *walk, const es_fields_frame_t *inner)
{
    es_rc_t          rc;
    es_json_value_t  value;

    rc = es_json_value(&walk->json, &value);

    if (rc != ES_OK) {
        return rc;
    }

    if (!inner->state->whole) {
        es_fields_forget(walk, inner);
        return ES_OK;
    }

    es_fields_put(walk, value.text.data, walk->json.pos);
    walk->frame->shown = true;

    return inner->sealed ? es_fields_sealed(walk, inner->start) : ES_OK;
}


/* Shows the value at the position, or enters it. */

static inline es_rc_t
es_fields_enter(es_fields_walk_t *walk, uint32_t number, es_str_t lead)
{
    char                c;
    const char         *p;
    es_json_value_t     value;
    es_fields_frame_t  *inner;

    if (number == ES_FIELDS_NOTHING) {
        return es_json_value(&walk->json, &value);
    }

    inner = walk->frame + 1;
    inner->len = walk->out->len;
    inner->from = walk->from;
    inner->to = walk->to;
    inner->state = &walk->fields->states[number];
    inner->sealed = inner->state->inner != 0;

    es_fields_put(walk, es_fields_comma(walk, lead.data, walk->frame->shown),
                  lead.data + lead.len);

    if (inner->sealed) {
        es_fields_flush(walk);
        number = inner->state->inner;
        inner->start = walk->out->len;
        inner->state = &walk->fields->states[number];
    }

    p = walk->json.pos;
    c = p < walk->json.end ? *p : '\0';

    if (number == ES_FIELDS_ALL || (c != '{' && c != '[')) {
        return es_fields_whole(walk, inner);
    }

    if (walk->json.depth == ES_JSON_DEPTH) {
        return ES_INVALID;
    }

    walk->json.pos = p + 1;
    walk->json.depth++;
    es_fields_put(walk, p, p + 1);

    inner->array = c == '[';
    inner->first = true;
    inner->shown = false;
    inner->index = 0;
    walk->frame = inner;

    return ES_OK;
}


/* Leaves the innermost object or array, whose bracket is before the position.
   If it is shown whole, it may be empty. */

static inline es_rc_t
es_fields_leave(es_fields_walk_t *walk)
{
    const es_fields_frame_t  *frame;

    frame = walk->frame--;

    if (!frame->shown && !frame->state->whole) {
        es_fields_forget(walk, frame);
        return ES_OK;
    }

    es_fields_put(walk, walk->json.pos - 1, walk->json.pos);
    walk->frame->shown = true;

    return frame->sealed ? es_fields_sealed(walk, frame->start) : ES_OK;
}


es_rc_t
es_fields_data(es_fields_walk_t *walk, es_str_t lead, bool *shown)
{
    es_rc_t             rc;
    uint32_t            to;
    es_fields_frame_t  *frame, frames[ES_JSON_DEPTH + 1];

    walk->outer = walk->frame = frames;
    frames[0].shown = *shown;

    rc = es_fields_enter(walk, walk->fields->root, lead);

    while (rc == ES_OK && walk->frame > frames) {
        frame = walk->frame;
        rc = frame->array ? es_fields_item_next(walk, frame, &to)
                          : es_fields_member_next(walk, frame, &to);

        if (rc == ES_NOT_FOUND) {
            rc = es_fields_leave(walk);
            continue;
        }

        if (rc == ES_OK) {
            lead.data = frame->array ? walk->json.pos : frame->name.text.data;
            lead.len = (size_t) (walk->json.pos - lead.data);
            rc = es_fields_enter(walk, to, lead);
        }
    }

    *shown = frames[0].shown;

    return rc;
}
