/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Regular expressions of JSON Schema, by PCRE2.
 *
 * The dialect is ECMA-262's as far as PCRE2 reads it alike; what only PCRE2
 * knows (verbs, recursion, possessive quantifiers, inline flags, \A, \Q ...)
 * is refused, so that partners' validators read the same.  \d, \w, \s and \b
 * are of ASCII.  Matching is bounded in steps.
 */

#ifndef ES_SCHEMA_REGEX_H
#define ES_SCHEMA_REGEX_H

#include "base/base.h"

typedef struct es_regex  es_regex_t;

/* ES_INVALID: `error` says why; ES_NOMEM. */
es_rc_t es_regex_compile(es_str_t pattern, es_regex_t **regex,
    char error[128]);
void es_regex_free(es_regex_t *regex);

/* What one thread matches with; zero-initialised is valid. */
typedef struct {
    void  *data;
    void  *context;
} es_regex_room_t;

void es_regex_room_free(es_regex_room_t *room);

/* ES_OK, ES_NOT_FOUND, ES_TOO_LARGE (out of steps), ES_NOMEM.  The text is
   known to be UTF-8. */
es_rc_t es_regex_match(const es_regex_t *regex, es_str_t text,
    es_regex_room_t *room);

#endif /* ES_SCHEMA_REGEX_H */
