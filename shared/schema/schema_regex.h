/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Regular expressions of JSON Schema, by PCRE2.
 *
 * The dialect is ECMA-262's, as far as PCRE2 gives it the same meaning.
 * Features of PCRE2 alone (verbs, recursion, possessive quantifiers, inline
 * flags, \A, \Q ...) are refused, so that the validators of partners read a
 * pattern in the same way.  \d, \w, \s and \b are those of ASCII.
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
    void    *data;
    void    *context;
    int64_t  work;             /* the rest below are those of one match */
    size_t   position;
    size_t   extra;
} es_regex_room_t;

void es_regex_room_free(es_regex_room_t *room);

/*
 * Matches UTF-8 text, and subtracts the steps that this took from `work`.  A
 * step is an item of the pattern that is tried, or a byte that is passed.
 * ES_OK, ES_NOT_FOUND, ES_NOMEM.  ES_TOO_LARGE: there were not enough steps or
 * memory; after the former, `work` is below 0.
 */
es_rc_t es_regex_match(const es_regex_t *regex, es_str_t text,
    es_regex_room_t *room, int64_t *work);

#endif /* ES_SCHEMA_REGEX_H */
