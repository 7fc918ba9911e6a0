/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Regular expressions of JSON Schema, by PCRE2.
 *
 * The dialect is ECMA-262's, as far as PCRE2 gives it the same meaning.
 * Features of PCRE2 alone (verbs, recursion, possessive quantifiers, inline
 * flags, \A, \Q ...) are refused, so that the validators of partners read a
 * pattern in the same way.  \d, \w, \s and \b are those of ASCII.  A match is
 * bounded in steps.
 */

#ifndef ES_SCHEMA_REGEX_H
#define ES_SCHEMA_REGEX_H

#include "base/base.h"

typedef struct es_regex  es_regex_t;

/* Compiles a pattern.  ES_INVALID: `error` says why.  ES_NOMEM. */
es_rc_t es_regex_compile(es_str_t pattern, es_regex_t **regex,
    char error[128]);
void es_regex_free(es_regex_t *regex);

/* Memory for the matches of one thread.  A zeroed one is valid. */
typedef struct {
    void  *data;
    void  *context;
} es_regex_room_t;

void es_regex_room_free(es_regex_room_t *room);

/* Matches UTF-8 text.  ES_OK, ES_NOT_FOUND, ES_TOO_LARGE (too many steps),
   ES_NOMEM. */
es_rc_t es_regex_match(const es_regex_t *regex, es_str_t text,
    es_regex_room_t *room);

#endif /* ES_SCHEMA_REGEX_H */
