/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Field lists: which parts of an event a partner may see.
 *
 * An entry of a list is a JSON Pointer (RFC 6901) into the event's `data`, or
 * the name of an extension attribute.  The empty pointer is the whole data.  A
 * token `*` stands for every member of an object and every item of an array.
 * So a member whose name is "*" is listed by that token only.  A token that is
 * an array index (section 4) stands for the member of that name as well.
 *
 * A list shows what its entries name, and all that is inside.  It shows an
 * object or array on the way to an entry without its other members and items,
 * and only if something of it is left.  Otherwise the member or item is left
 * out, with its name, and so is `data` itself.  Data that is not an object or
 * array, and data_base64, is shown by the empty pointer only.  Each occurrence
 * of a repeated name is treated alike.  The attributes that CloudEvents 1.0
 * defines and those of the log (feed, sequence, cursor, prevcursor) are always
 * shown, extension attributes only by their name.  A tombstone is shown with
 * `erased` and without `digest`, whatever the lists say.
 *
 * What is shown are the bytes as they were published.  White space and commas
 * around what is left out go with it.
 *
 * Several lists show what each of them shows.  So an endpoint's list narrows
 * its partner's.
 *
 * Order: allow, encrypt, sign.  A second list names values that the caller's
 * `seal` replaces after the lists have taken effect inside them.  The indices
 * of their places are those of the data as it was published.
 *
 * A compiled list never changes, and any thread may use it.
 */

#ifndef ES_FIELDS_H
#define ES_FIELDS_H

#include "base/base.h"
#include "base/pool.h"

#define ES_FIELDS_ENTRIES  256         /* of a list */
#define ES_FIELDS_ENTRY    512         /* bytes of an entry */
#define ES_FIELDS_TOKEN    128         /* decoded bytes of a token */
#define ES_FIELDS_DEPTH    63          /* tokens of a pointer; data is not
                                          nested more deeply */
#define ES_FIELDS_LISTS    8           /* that are compiled together */
#define ES_FIELDS_STATES   4096        /* of the lists together */
#define ES_FIELDS_ID       32          /* bytes */

typedef struct es_fields  es_fields_t;

typedef struct {
    size_t           n;
    const es_str_t  *entries;
} es_fields_list_t;

/* Where a value is that is encrypted. */
typedef struct {
    es_str_t  id;              /* of the event: the insides of their JSON */
    es_str_t  source;          /* strings */
    es_str_t  feed;
    es_str_t  cursor;
    es_str_t  pointer;         /* into data, as it was published */
    bool      base64;          /* the value is the string of data_base64.  Its
                                  place is "", and it becomes `data` */
} es_fields_place_t;

/*
 * Replaces the value that begins at out->data + from, and ends with `out`, by
 * one JSON value.  `key` is that of es_fields_source_t.  Equal keys, places and
 * values must give equal bytes, so that pages, ETags and digests agree.  An
 * outcome other than ES_OK refuses the event.
 */
typedef es_rc_t (*es_fields_seal_fn)(void *ctx, es_str_t key,
    const es_fields_place_t *place, es_buf_t *out, size_t from);

typedef struct {
    es_fields_seal_fn   fn;
    void               *ctx;
    bool                missing;   /* set by `fn`: what it wrote must not be
                                      sent */
} es_fields_seal_t;

typedef struct {
    size_t                   nallow;   /* 0: everything is shown */
    const es_fields_list_t  *allow;
    es_fields_list_t         encrypt;  /* pointers only */
    es_str_t                 key;      /* any bytes, for `seal`; copied, and a
                                          part of the id */
} es_fields_source_t;

/* NULL: the entry is one of a list.  Otherwise says why not: "must ...". */
const char *es_fields_entry(es_str_t entry);

/* Compiles lists of good entries.  Everything is copied to the pool.
   ES_TOO_LARGE: the lists are too intricate.  ES_INVALID: an entry is bad. */
es_rc_t es_fields_compile(const es_fields_source_t *source, es_pool_t *pool,
    const es_fields_t **out);

/* Stands for a list that cannot be read: es_fields_event() refuses every
   event. */
extern const es_fields_t  *const  es_fields_unreadable;

/* Identifies what is shown: SHA-256 over the lists and the key.  Equal ids:
   equal results.  It has ES_FIELDS_ID bytes. */
const uint8_t *es_fields_id(const es_fields_t *fields);

/* True if the lists show this extension attribute. */
bool es_fields_shows(const es_fields_t *fields, es_str_t attribute);

/*
 * Appends the event as the lists show it.  `event` is the text of the log.
 * With a `seal` of NULL, an event with a value to be encrypted is refused.
 * ES_DENIED: the list cannot be read, or there is no `seal`.  ES_CORRUPT: the
 * text is not an event.  What strings hold is not looked at again, because it
 * was when the event was published.  ES_NOMEM, and outcomes of `seal`.  After a
 * failure `out` has its former length.
 */
es_rc_t es_fields_event(const es_fields_t *fields, const es_fields_seal_t *seal,
    es_str_t event, es_buf_t *out);

#endif /* ES_FIELDS_H */
