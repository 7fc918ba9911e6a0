/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads typed members of a JSON object by their JSON Pointers (RFC 6901).
 *
 * A "take" function leaves `out` unchanged if the member is absent.  If the
 * member is invalid it sets a problem and returns ES_INVALID.
 */

#ifndef ES_MEMBER_H
#define ES_MEMBER_H

#include <jansson.h>

#include "base/pool.h"
#include "registry/registry.h"

#define ES_POINTER_MAX  128

/* One record while it is decoded. */
typedef struct {
    json_t        *object;
    es_pool_t     *pool;       /* for texts */
    es_problem_t  *problem;
} es_record_t;

/* A word and its value; a list of them ends with NULL. */
typedef struct {
    const char  *word;
    unsigned     value;
} es_word_t;

/* Those of keys and tokens: scope.c. */
extern const es_word_t  es_scope_words[];

/* Set a problem and return its code. */
es_rc_t es_fault(es_record_t *r, const char *pointer, const char *why);
es_rc_t es_nomem(es_record_t *r);

/* Writes the pointer of the i-th item of an array to `out` and returns it. */
const char *es_item_pointer(const char *pointer, size_t i,
    char out[ES_POINTER_MAX]);

/* True if a list of names, which ends with NULL, has this one. */
bool es_member_listed(const char *const *list, const char *name);

/* Puts "/NAME" before the pointer to a member of that member. */
void es_member_within(es_problem_t *problem, const char *name);

/* Read a value that is not a member of the record itself. */
es_rc_t es_word(es_record_t *r, const char *pointer, const json_t *value,
    const es_word_t *words, unsigned *out);
es_rc_t es_duration(es_record_t *r, const char *pointer, const json_t *value,
    uint32_t min_ms, uint32_t max_ms, uint32_t *out);

/* Read a member of the record itself. */
es_rc_t es_take_bool(es_record_t *r, const char *pointer, bool *out);
es_rc_t es_take_str(es_record_t *r, const char *pointer, bool required,
    es_str_t *out);
es_rc_t es_take_word(es_record_t *r, const char *pointer,
    const es_word_t *words, unsigned *out);
es_rc_t es_take_number(es_record_t *r, const char *pointer, unsigned min,
    unsigned max, unsigned *out);
es_rc_t es_take_time(es_record_t *r, const char *pointer, int64_t *out);
es_rc_t es_take_duration(es_record_t *r, const char *pointer, uint32_t min_ms,
    uint32_t max_ms, uint32_t *out);

/* True if the text is SHA-256 as 64 hexadecimal digits in lower case. */
bool es_digest_parse(es_str_t text, uint8_t out[ES_DIGEST_LEN]);

/* An array of `min` to `max` items; it is required if `min` is above 0. */
es_rc_t es_take_array(es_record_t *r, const char *pointer, size_t min,
    size_t max, json_t **out);
es_rc_t es_take_patterns(es_record_t *r, const char *pointer, size_t min,
    size_t max, es_patterns_t *out);

/* field_lists.c.  Bad lists, or a bad key of a partner, are unreadable, with a
   problem: a write refuses the record then, and a reader refuses the events.
   ES_NOMEM. */
es_rc_t es_take_field_lists(es_record_t *r, bool partner,
    es_field_lists_t *out);

#endif /* ES_MEMBER_H */
