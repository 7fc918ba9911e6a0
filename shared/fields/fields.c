/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Shows an event as compiled lists allow.
 *
 * One pass over the text: the attributes here, and data in fields_value.c.  It
 * copies ranges of the text, so what is shown is what was published.
 */

#include "base/json.h"
#include "base/json_scan.h"
#include "event/attribute.h"
#include "event/digest.h"
#include "fields/fields.h"
#include "fields/fields_impl.h"
#include "fields/fields_walk.h"

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


/* The digest of a tombstone is over all of the event that was erased, and would
   let a reader test guesses of what the lists hid from it. */

static bool
es_fields_attribute(const es_fields_walk_t *walk, es_str_t name)
{
    if (es_attr_find(name) != ES_ATTR_EXTENSION || es_attr_reserved(name)) {
        return true;
    }

    return walk->erased ? es_str_eq(name, es_lit("erased"))
                        : es_fields_shows(walk->fields, name);
}


/* The value of data_base64 becomes that of data when it is encrypted. */

static es_rc_t
es_fields_base64(es_fields_walk_t *walk, es_str_t lead, bool *shown)
{
    es_rc_t  rc;

    if (walk->fields->states[walk->fields->root].inner != 0) {
        lead = es_lit(",\"data\":");
        lead.data++;
        lead.len--;
    }

    walk->place.base64 = true;
    rc = es_fields_data(walk, lead, shown);
    walk->place.base64 = false;

    return rc;
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
es_fields_top(es_fields_walk_t *walk, const es_json_value_t *name, bool *shown)
{
    es_rc_t          rc;
    es_str_t         text, lead;
    es_json_value_t  value;

    text.data = name->text.data + 1;
    text.len = name->text.len - 2;
    lead.data = name->text.data;
    lead.len = (size_t) (walk->json.pos - lead.data);

    if (es_str_eq(text, es_lit("data"))) {
        return es_fields_data(walk, lead, shown);
    }

    if (es_str_eq(text, es_lit("data_base64"))) {
        return es_fields_base64(walk, lead, shown);
    }

    rc = es_json_value(&walk->json, &value);

    if (rc != ES_OK || !es_fields_attribute(walk, text)) {
        return rc;
    }

    es_fields_put(walk, es_fields_comma(walk, lead.data, *shown),
                  walk->json.pos);
    *shown = true;

    if (value.type == ES_JSON_STRING) {
        value.text.data++;
        value.text.len -= 2;
        es_fields_attribute_place(&walk->place, text, value.text);
    }

    return ES_OK;
}


/*
 * Steps over an attribute and the comma behind it, if it is the next one and
 * its value is plain text.  `*p` is `end` once something is not as usual.
 * Inlined, because the compiler then compares the name in registers.
 */

static inline __attribute__((always_inline)) void
es_fields_head_step(const char **p, const char *end, const char *lead,
    size_t len, const char **shown, es_str_t *place)
{
    const char  *value, *q;

    if ((size_t) (end - *p) <= len || memcmp(*p, lead, len) != 0) {
        return;
    }

    value = *p + len;
    *p = end;
    q = es_fields_quote(value, end - 1);

    if (q == NULL) {
        return;
    }

    if (place != NULL) {
        place->data = value;
        place->len = (size_t) (q - value);
    }

    *shown = q + 1;

    if (q[1] == ',') {
        *p = q + 2;
    }
}


/*
 * Shows the attributes at the beginning of an event as far as they come in the
 * order in which events are composed and their values are plain text.  The rest
 * is left to es_fields_top().
 */

static bool
es_fields_head(es_fields_walk_t *walk)
{
    const char  *p, *shown, *end;

    p = shown = walk->json.pos;
    end = walk->json.end;

#define ES_FIELDS_HEAD(name, place)                                           \
    es_fields_head_step(&p, end, "\"" name "\":\"",                           \
                        sizeof("\"" name "\":\"") - 1, &shown, place)

    ES_FIELDS_HEAD("specversion", NULL);
    ES_FIELDS_HEAD("id", &walk->place.id);
    ES_FIELDS_HEAD("source", &walk->place.source);
    ES_FIELDS_HEAD("type", NULL);
    ES_FIELDS_HEAD("time", NULL);
    ES_FIELDS_HEAD("subject", NULL);
    ES_FIELDS_HEAD("dataschema", NULL);
    ES_FIELDS_HEAD("datacontenttype", NULL);
    ES_FIELDS_HEAD("feed", &walk->place.feed);
    ES_FIELDS_HEAD("sequence", NULL);
    ES_FIELDS_HEAD("cursor", &walk->place.cursor);
    ES_FIELDS_HEAD("prevcursor", NULL);

    if (shown == walk->json.pos) {
        return false;
    }

    es_fields_put(walk, walk->json.pos, shown);
    walk->json.pos = shown;

    return true;
}


/* Shows data that follows the usual head, if it does. */

static es_rc_t
es_fields_head_data(es_fields_walk_t *walk, bool *shown)
{
    es_str_t     lead = es_lit(",\"data\":");
    const char  *p;

    p = walk->json.pos;

    if ((size_t) (walk->json.end - p) <= lead.len
        || memcmp(p, lead.data, lead.len) != 0
        || (unsigned char) p[lead.len] <= ' ')
    {
        return ES_OK;
    }

    walk->json.pos = p + lead.len;
    lead.data = p + 1;
    lead.len--;

    return es_fields_data(walk, lead, shown);
}


es_rc_t
es_fields_event(const es_fields_t *fields, const es_fields_seal_t *seal,
    es_str_t event, es_buf_t *out)
{
    bool              first, shown;
    size_t            start;
    es_rc_t           rc;
    es_json_value_t   name;
    es_fields_walk_t  walk = { .fields = fields, .seal = seal, .out = out };

    if (fields->unreadable) {
        return ES_DENIED;
    }

    if (es_buf_reserve(out, event.len) != ES_OK) {
        return ES_NOMEM;
    }

    start = out->len;
    shown = false;
    walk.erased = es_digest_erased(event.data, event.len);

    es_json_init(&walk.json, event.data, event.len);
    rc = es_json_enter(&walk.json, '{');

    if (rc == ES_OK) {
        es_fields_put(&walk, walk.json.pos - 1, walk.json.pos);
        shown = es_fields_head(&walk);
    }

    first = !shown;

    if (shown) {
        rc = es_fields_head_data(&walk, &shown);
    }

    for ( ; rc == ES_OK; first = false) {
        rc = es_json_key(&walk.json, first, &name);

        if (rc == ES_OK) {
            rc = es_fields_top(&walk, &name, &shown);
        }
    }

    if (rc == ES_NOT_FOUND) {
        es_fields_put(&walk, walk.json.pos - 1, walk.json.pos);
        es_fields_flush(&walk);
        rc = es_json_end(&walk.json);
    }

    if (rc != ES_OK) {
        out->len = start;
        rc = rc == ES_INVALID ? ES_CORRUPT : rc;
    }

    return rc;
}
