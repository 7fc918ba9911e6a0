/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Typed members of a JSON object, each by its JSON Pointer.
 *
 * "Take" functions leave `out` as it is when the member is absent, and say
 * what is wrong with it otherwise.
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

/* A word and what it stands for; a list ends with NULL. */
typedef struct {
    const char  *word;
    unsigned     value;
} es_word_t;

/* Those of keys and tokens: scope.c. */
extern const es_word_t  es_scope_words[];

/* Set a problem and return its outcome. */
es_rc_t es_fault(es_record_t *r, const char *pointer, const char *why);
es_rc_t es_nomem(es_record_t *r);

es_str_t es_text(const json_t *value);

/* Writes the pointer of an array's item to `out`, and returns it. */
const char *es_item_pointer(const char *pointer, size_t i,
    char out[ES_POINTER_MAX]);

/* Values, wherever they stand. */
es_rc_t es_word(es_record_t *r, const char *pointer, const json_t *value,
    const es_word_t *words, unsigned *out);
es_rc_t es_duration(es_record_t *r, const char *pointer, const json_t *value,
    uint32_t min_ms, uint32_t max_ms, uint32_t *out);

/* Members of the record itself. */
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

/* An array of `min` to `max` items; it must be there if `min` is over 0. */
es_rc_t es_take_array(es_record_t *r, const char *pointer, size_t min,
    size_t max, json_t **out);
es_rc_t es_take_patterns(es_record_t *r, const char *pointer, size_t min,
    es_patterns_t *out);

#endif /* ES_MEMBER_H */
