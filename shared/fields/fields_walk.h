/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The walk along the text of an event that fields.c and fields_value.c share.
 *
 * What is shown are ranges of the text.  A range that follows the one before in
 * the text, too, is copied together with it: the walk keeps the last range and
 * copies it when another one begins.  `out` has room for all that is left of
 * the text.
 */

#ifndef ES_FIELDS_WALK_H
#define ES_FIELDS_WALK_H

#include "base/json.h"
#include "base/json_scan.h"
#include "fields/fields.h"
#include "fields/fields_impl.h"

/* An object or array that the walk is in. */
typedef struct {
    const es_fields_state_t  *state;
    bool                      array;
    bool                      first;   /* no member or item was met */
    bool                      shown;   /* one of them was shown */
    bool                      sealed;
    uint32_t                  index;   /* of the item at hand */
    es_json_value_t           name;    /* of the member at hand */
    size_t                    len;     /* out->len and the last range before */
    const char               *from;    /* its own name, which the walk goes back
                                          to */
    const char               *to;      /* if nothing of it is shown */
    size_t                    start;   /* if it is sealed: where it begins in
                                          `out` */
} es_fields_frame_t;

typedef struct {
    const es_fields_t       *fields;
    const es_fields_seal_t  *seal;
    es_json_t                json;
    es_buf_t                *out;
    const char              *from;     /* [from, to) is shown and must still be
                                          copied */
    const char              *to;
    es_fields_frame_t       *outer;    /* the event's */
    es_fields_frame_t       *frame;    /* the innermost */
    es_fields_place_t        place;
    bool                     erased;   /* the event is a tombstone */
} es_fields_walk_t;

/* Shows data, whose value is at the position.  `lead` is what stands before the
   value, with a byte before it.  `*shown`: something of the event is shown. */
es_rc_t es_fields_data(es_fields_walk_t *walk, es_str_t lead, bool *shown);

/* Encrypts the value that ends at the position.  What is shown of it begins at
   out->data + from. */
es_rc_t es_fields_sealed(es_fields_walk_t *walk, size_t from);

/* Copies the last range. */
void es_fields_flush(es_fields_walk_t *walk);


static inline void
es_fields_put(es_fields_walk_t *walk, const char *from, const char *to)
{
    if (from != walk->to) {
        es_fields_flush(walk);
        walk->from = from;
    }

    walk->to = to;
}


/* Shows what separates a part from the one before, if there is one, and returns
   where the part begins.  Most commas in the text touch what follows. */

static inline const char *
es_fields_comma(es_fields_walk_t *walk, const char *lead, bool shown)
{
    if (!shown) {
        return lead;
    }

    if (lead[-1] == ',') {
        return lead - 1;
    }

    es_fields_flush(walk);
    walk->out->data[walk->out->len++] = ',';

    return lead;
}


/*
 * Returns the quote that ends the string whose inside begins at `p`.  NULL: it
 * is not before `end`, or there may be an escape before it.  A quote without a
 * backslash before it ends the string.  The inside has been valid since the
 * event was published.
 */

static inline const char *
es_fields_quote(const char *p, const char *end)
{
#ifdef __SSE2__
    unsigned  mask;
    __m128i   v;

    while (end - p >= 16) {
        v = _mm_loadu_si128((const __m128i *) (const void *) p);
        mask = (unsigned) _mm_movemask_epi8(
            _mm_cmpeq_epi8(v, _mm_set1_epi8('"')));

        if (mask) {
            p += __builtin_ctz(mask);
            return p[-1] != '\\' ? p : NULL;
        }

        p += 16;
    }
#endif

    p = memchr(p, '"', (size_t) (end - p));

    return p != NULL && p[-1] != '\\' ? p : NULL;
}

#endif /* ES_FIELDS_WALK_H */
