/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Shows an event as compiled lists allow.
 *
 * One pass over the text, which steps into a value only where the lists tell
 * parts of it apart.  It copies ranges of the text, so what is shown is what
 * was published.  All else is skipped without a look at its meaning.
 */

#include "base/json.h"
#include "base/json_scan.h"
#include "event/attribute.h"
#include "fields/fields.h"
#include "fields/fields_impl.h"

#define ES_FIELDS_NAME  (6 * ES_FIELDS_TOKEN + 2)    /* longest spelling of a
                                                        token that is listed */

#define ES_FIELDS_FEW   8              /* edges that are tried one by one */

/* The way from data down to a value. */
typedef struct es_fields_step  es_fields_step_t;

struct es_fields_step {
    const es_fields_step_t  *up;       /* NULL: data itself */
    const es_json_value_t   *name;     /* NULL: an item */
    uint32_t                 index;
};

typedef struct {
    const es_fields_t  *fields;
    es_json_t           json;
    es_buf_t           *out;
    es_fields_place_t   place;
    const es_fields_seal_t  *seal;
} es_fields_walk_t;

static es_rc_t es_fields_value(es_fields_walk_t *walk, uint32_t state,
    const es_fields_step_t *step, bool *shown);

/* Its id is that of no list. */
static const es_fields_t  es_fields_none = {
    .unreadable = true, .id = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }
};
const es_fields_t  *const  es_fields_unreadable = &es_fields_none;


const uint8_t *
es_fields_id(const es_fields_t *fields)
{
    return fields->id;
}


/* The output has room for all that is left of the input. */

static inline void
es_fields_put(es_fields_walk_t *walk, const char *from, const char *to)
{
    size_t  len;

    len = (size_t) (to - from);
    memcpy(walk->out->data + walk->out->len, from, len);
    walk->out->len += len;
}


static inline void
es_fields_byte(es_fields_walk_t *walk, char c)
{
    walk->out->data[walk->out->len++] = c;
}


/*
 * As es_json_key() and es_json_value(), quicker for what most producers write:
 * names and strings without escapes, in ASCII, and no white space between.
 */

static inline es_rc_t
es_fields_key(es_fields_walk_t *walk, bool first, es_json_value_t *name)
{
    const char  *p, *q, *end;

    p = walk->json.pos;
    end = walk->json.end;

    if (!first && p < end && *p == ',') {
        p++;

    } else if (!first) {
        return es_json_key(&walk->json, first, name);
    }

    if (p < end && *p == '"') {
        q = es_json_plain(p + 1, end);

        if (end - q > 2 && *q == '"' && q[1] == ':'
            && (unsigned char) q[2] > ' ')
        {
            name->type = ES_JSON_STRING;
            name->escaped = false;
            name->text.data = p;
            name->text.len = (size_t) (q + 1 - p);
            walk->json.pos = q + 2;

            return ES_OK;
        }
    }

    return es_json_key(&walk->json, first, name);
}


static inline es_rc_t
es_fields_scan(es_fields_walk_t *walk, es_json_value_t *value)
{
    const char  *p, *q, *end;

    p = walk->json.pos;
    end = walk->json.end;

    if (p < end && *p == '"') {
        q = es_json_plain(p + 1, end);

        if (q < end && *q == '"') {
            value->type = ES_JSON_STRING;
            value->escaped = false;
            value->text.data = p;
            value->text.len = (size_t) (q + 1 - p);
            walk->json.pos = q + 1;

            return ES_OK;
        }
    }

    return es_json_value(&walk->json, value);
}


/* Most names have few bytes, which are compared without a call. */

static inline bool
es_fields_same(es_str_t a, es_str_t b)
{
    size_t    i;
    uint64_t  x, y;

    if (a.len != b.len) {
        return false;
    }

    for (i = 0; a.len - i >= sizeof(x); i += sizeof(x)) {
        memcpy(&x, a.data + i, sizeof(x));
        memcpy(&y, b.data + i, sizeof(y));

        if (x != y) {
            return false;
        }
    }

    for ( ; i < a.len; i++) {
        if (a.data[i] != b.data[i]) {
            return false;
        }
    }

    return true;
}


/* Returns the state of a member with a decoded name. */

static uint32_t
es_fields_named(const es_fields_t *fields, const es_fields_state_t *state,
    es_str_t name)
{
    int                      order;
    uint32_t                 i, low, high, mid;
    const es_fields_edge_t  *edges;

    edges = fields->edges + state->first;

    if (state->n <= ES_FIELDS_FEW) {
        for (i = 0; i < state->n; i++) {
            if (es_fields_same(edges[i].token, name)) {
                return edges[i].to;
            }
        }

        return state->rest;
    }

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


static uint32_t
es_fields_member(const es_fields_t *fields, const es_fields_state_t *state,
    const es_json_value_t *name)
{
    char      decoded[ES_FIELDS_NAME];
    es_str_t  text;

    if (!name->escaped) {
        text.data = name->text.data + 1;
        text.len = name->text.len - 2;
        return es_fields_named(fields, state, text);
    }

    if (name->text.len > sizeof(decoded)) {
        return state->rest;
    }

    text.data = decoded;
    text.len = (size_t) (es_json_decode(name, decoded) - decoded);

    return es_fields_named(fields, state, text);
}


static uint32_t
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


/* Shows the member or item whose value is at the position.  `lead` is what
   stands before it: its name.  `*n` counts those that are shown. */

static es_rc_t
es_fields_part(es_fields_walk_t *walk, uint32_t state,
    const es_fields_step_t *step, es_str_t lead, unsigned *n)
{
    bool             shown;
    size_t           mark;
    es_rc_t          rc;
    const char      *from;
    es_json_value_t  value;

    if (state == ES_FIELDS_NOTHING) {
        return es_fields_scan(walk, &value);
    }

    mark = walk->out->len;

    if (*n > 0) {
        es_fields_byte(walk, ',');
    }

    if (state == ES_FIELDS_ALL) {
        from = lead.len > 0 ? lead.data : walk->json.pos;
        rc = es_fields_scan(walk, &value);

        if (rc == ES_OK) {
            es_fields_put(walk, from, walk->json.pos);
            (*n)++;
        }

        return rc;
    }

    es_fields_put(walk, lead.data, lead.data + lead.len);
    rc = es_fields_value(walk, state, step, &shown);

    if (rc != ES_OK) {
        return rc;
    }

    if (shown) {
        (*n)++;

    } else {
        walk->out->len = mark;
    }

    return ES_OK;
}


/* ES_NOT_FOUND is the end of an object or array. */

static es_rc_t
es_fields_close(es_fields_walk_t *walk, char bracket, es_rc_t rc)
{
    if (rc != ES_NOT_FOUND) {
        return rc;
    }

    es_fields_byte(walk, bracket);

    return ES_OK;
}


static es_rc_t
es_fields_object(es_fields_walk_t *walk, const es_fields_state_t *state,
    const es_fields_step_t *up, unsigned *n)
{
    bool              first;
    es_rc_t           rc;
    es_str_t          lead;
    uint32_t          to;
    es_json_value_t   name;
    es_fields_step_t  step = { up, &name, 0 };

    rc = es_json_enter(&walk->json, '{');
    es_fields_byte(walk, '{');

    for (first = true; rc == ES_OK; first = false) {
        rc = es_fields_key(walk, first, &name);

        if (rc == ES_OK) {
            to = es_fields_member(walk->fields, state, &name);
            lead.data = name.text.data;
            lead.len = (size_t) (walk->json.pos - lead.data);
            rc = es_fields_part(walk, to, &step, lead, n);
        }
    }

    return es_fields_close(walk, '}', rc);
}


static es_rc_t
es_fields_array(es_fields_walk_t *walk, const es_fields_state_t *state,
    const es_fields_step_t *up, unsigned *n)
{
    es_rc_t           rc;
    es_str_t          lead = es_lit("");
    uint32_t          to;
    es_fields_step_t  step = { up, NULL, 0 };

    rc = es_json_enter(&walk->json, '[');
    es_fields_byte(walk, '[');

    for ( ; rc == ES_OK; step.index++) {
        rc = es_json_element(&walk->json, step.index == 0);

        if (rc == ES_OK) {
            to = es_fields_item(walk->fields, state, step.index);
            rc = es_fields_part(walk, to, &step, lead, n);
        }
    }

    return es_fields_close(walk, ']', rc);
}


/* Appends the pointer to a value, its first token first. */

static es_rc_t
es_fields_pointer(const es_fields_step_t *step, es_buf_t *out)
{
    char     *p, *end;
    size_t    start;
    es_rc_t   rc;

    if (step == NULL) {
        return ES_OK;
    }

    rc = es_fields_pointer(step->up, out);
    if (rc != ES_OK) {
        return rc;
    }

    if (step->name == NULL) {
        return es_buf_printf(out, "/%u", step->index);
    }

    /* room for the name with each byte escaped, and decoded behind that */

    rc = es_buf_reserve(out, 1 + 3 * step->name->text.len);
    if (rc != ES_OK) {
        return rc;
    }

    out->data[out->len++] = '/';
    start = out->len + 2 * step->name->text.len;
    p = out->data + start;
    end = es_json_decode(step->name, p);

    for ( ; p < end; p++) {
        if (*p == '~' || *p == '/') {
            out->data[out->len++] = '~';
            out->data[out->len++] = *p == '~' ? '0' : '1';

        } else {
            out->data[out->len++] = *p;
        }
    }

    return ES_OK;
}


static es_rc_t
es_fields_sealed(es_fields_walk_t *walk, const es_fields_step_t *step,
    size_t from)
{
    es_rc_t   rc;
    es_buf_t  pointer = { NULL, 0, 0 };

    if (walk->seal == NULL) {
        return ES_DENIED;
    }

    rc = es_fields_pointer(step, &pointer);

    if (rc == ES_OK) {
        walk->place.pointer.data = pointer.data ? pointer.data : "";
        walk->place.pointer.len = pointer.len;
        rc = walk->seal->fn(walk->seal->ctx, walk->fields->key, &walk->place,
                            walk->out, from);
    }

    es_buf_free(&pointer);

    return rc == ES_OK
           ? es_buf_reserve(walk->out,
                            (size_t) (walk->json.end - walk->json.pos) + 2)
           : rc;
}


/*
 * Appends what is shown of the value at the position, which ends after it.
 * Recursion ends, because es_json_enter() counts levels.
 */

static es_rc_t
es_fields_value(es_fields_walk_t *walk, uint32_t number,
    const es_fields_step_t *step, bool *shown)
{
    char                      c;
    size_t                    from;
    es_rc_t                   rc;
    unsigned                  n;
    es_json_value_t           value;
    const es_fields_state_t  *state;

    state = &walk->fields->states[number];
    from = walk->out->len;

    if (state->inner != 0) {
        rc = es_fields_value(walk, state->inner, step, shown);

        return rc == ES_OK && *shown ? es_fields_sealed(walk, step, from) : rc;
    }

    c = walk->json.pos < walk->json.end ? *walk->json.pos : '\0';
    n = 0;

    if (number == ES_FIELDS_ALL || (c != '{' && c != '[')) {
        rc = es_fields_scan(walk, &value);
        *shown = state->whole;

        if (rc == ES_OK && *shown) {
            es_fields_put(walk, value.text.data, walk->json.pos);
        }

        return rc;
    }

    rc = c == '{' ? es_fields_object(walk, state, step, &n)
                  : es_fields_array(walk, state, step, &n);

    *shown = n > 0;

    if (n == 0) {
        walk->out->len = from;
    }

    return rc;
}


/* An attribute's value is shown whole or not at all. */

bool
es_fields_shows(const es_fields_t *fields, es_str_t attribute)
{
    uint32_t  i;

    for (i = 0; i < fields->nnames; i++) {
        if (es_str_eq(fields->names[i], attribute)) {
            return true;
        }
    }

    return fields->names_all;
}


static bool
es_fields_attribute(const es_fields_walk_t *walk, es_str_t name)
{
    return es_attr_find(name) != ES_ATTR_EXTENSION || es_attr_reserved(name)
           || es_fields_shows(walk->fields, name);
}


static es_rc_t
es_fields_data(es_fields_walk_t *walk, es_str_t lead, bool base64, unsigned *n)
{
    uint32_t  root;

    root = walk->fields->root;
    walk->place.base64 = base64;

    if (base64 && walk->fields->states[root].inner != 0) {
        lead = es_lit("\"data\":");
    }

    return es_fields_part(walk, root, NULL, lead, n);
}


/* Notes what a place needs of an attribute. */

static void
es_fields_attribute_place(es_fields_place_t *place, es_str_t name,
    es_str_t value)
{
    if (es_str_eq(name, es_lit("id"))) {
        place->id = value;

    } else if (es_str_eq(name, es_lit("source"))) {
        place->source = value;

    } else if (es_str_eq(name, es_lit("feed"))) {
        place->feed = value;

    } else if (es_str_eq(name, es_lit("cursor"))) {
        place->cursor = value;
    }
}


/* Shows the attribute, or data, whose value is at the position. */

static es_rc_t
es_fields_top(es_fields_walk_t *walk, const es_json_value_t *name, unsigned *n)
{
    es_rc_t          rc;
    es_str_t         text, lead;
    es_json_value_t  value;

    text.data = name->text.data + 1;
    text.len = name->text.len - 2;
    lead.data = name->text.data;
    lead.len = (size_t) (walk->json.pos - lead.data);

    if (es_str_eq(text, es_lit("data"))) {
        return es_fields_data(walk, lead, false, n);
    }

    if (es_str_eq(text, es_lit("data_base64"))) {
        return es_fields_data(walk, lead, true, n);
    }

    rc = es_fields_scan(walk, &value);

    if (rc != ES_OK || !es_fields_attribute(walk, text)) {
        return rc;
    }

    if ((*n)++ > 0) {
        es_fields_byte(walk, ',');
    }

    es_fields_put(walk, lead.data, walk->json.pos);

    if (value.type == ES_JSON_STRING) {
        value.text.data++;
        value.text.len -= 2;
        es_fields_attribute_place(&walk->place, text, value.text);
    }

    return ES_OK;
}


/*
 * Shows the attributes at the beginning of an event, in one copy, as far as
 * they come in the order in which events are composed and their values are
 * plain text.  The rest is left to es_fields_top().
 */

static unsigned
es_fields_head(es_fields_walk_t *walk)
{
    size_t       i;
    unsigned     n;
    es_str_t    *place;
    const char  *p, *q, *from, *to, *end;

    static const struct {
        es_str_t  lead;
        size_t    place;       /* offset of a member, plus 1; 0: none */
    } order[] = {
#define ES_FIELDS_LEAD(name)                                                  \
        { "\"" name "\":\"", sizeof("\"" name "\":\"") - 1 }
#define ES_FIELDS_PLACE(name)  (offsetof(es_fields_place_t, name) + 1)
        { ES_FIELDS_LEAD("specversion"), 0 },
        { ES_FIELDS_LEAD("id"), ES_FIELDS_PLACE(id) },
        { ES_FIELDS_LEAD("source"), ES_FIELDS_PLACE(source) },
        { ES_FIELDS_LEAD("type"), 0 },
        { ES_FIELDS_LEAD("time"), 0 },
        { ES_FIELDS_LEAD("subject"), 0 },
        { ES_FIELDS_LEAD("dataschema"), 0 },
        { ES_FIELDS_LEAD("datacontenttype"), 0 },
        { ES_FIELDS_LEAD("feed"), ES_FIELDS_PLACE(feed) },
        { ES_FIELDS_LEAD("sequence"), 0 },
        { ES_FIELDS_LEAD("cursor"), ES_FIELDS_PLACE(cursor) },
        { ES_FIELDS_LEAD("prevcursor"), 0 }
    };

    n = 0;
    p = from = to = walk->json.pos;
    end = walk->json.end;

    for (i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        if ((size_t) (end - p) <= order[i].lead.len
            || p[1] != order[i].lead.data[1]
            || memcmp(p, order[i].lead.data, order[i].lead.len) != 0)
        {
            continue;
        }

        p += order[i].lead.len;
        q = es_json_plain(p, end);

        if (q == end || *q != '"') {
            break;
        }

        if (order[i].place != 0) {
            place = (es_str_t *) (void *) ((char *) &walk->place
                                           + order[i].place - 1);
            place->data = p;
            place->len = (size_t) (q - p);
        }

        n++;
        to = q + 1;

        if (to == end || *to != ',') {
            break;
        }

        p = to + 1;
    }

    es_fields_put(walk, from, to);
    walk->json.pos = to;

    return n;
}


es_rc_t
es_fields_event(const es_fields_t *fields, const es_fields_seal_t *seal,
    es_str_t event, es_buf_t *out)
{
    bool              first;
    size_t            start;
    es_rc_t           rc;
    unsigned          n;
    es_json_value_t   name;
    es_fields_walk_t  walk = { .fields = fields, .seal = seal, .out = out };

    if (fields->unreadable) {
        return ES_DENIED;
    }

    if (es_buf_reserve(out, event.len) != ES_OK) {
        return ES_NOMEM;
    }

    start = out->len;
    n = 0;

    es_json_init(&walk.json, event.data, event.len);
    rc = es_json_enter(&walk.json, '{');

    if (rc == ES_OK) {
        es_fields_byte(&walk, '{');
        n = es_fields_head(&walk);
    }

    for (first = n == 0; rc == ES_OK; first = false) {
        rc = es_json_key(&walk.json, first, &name);

        if (rc == ES_OK) {
            rc = es_fields_top(&walk, &name, &n);
        }
    }

    rc = es_fields_close(&walk, '}', rc);

    if (rc == ES_OK) {
        rc = es_json_end(&walk.json);
    }

    if (rc != ES_OK) {
        out->len = start;
        rc = rc == ES_INVALID ? ES_CORRUPT : rc;
    }

    return rc;
}
