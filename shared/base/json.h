/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A strict RFC 8259 scanner that keeps byte positions.
 *
 * No JSON library in Debian 12 tells where the exact bytes of a value are, and
 * the log stores the bytes that the producer sent.  The scanner validates
 * everything (UTF-8, escapes, numbers, no control characters, at most 64
 * levels) and builds no tree.  The rest of the project uses jansson.
 *
 * The scanner allocates nothing.  Values point into the text.  On failure of a
 * function `pos` is the position and `error` a phrase.
 */

#ifndef ES_JSON_H
#define ES_JSON_H

#include <jansson.h>

#include "base/base.h"

typedef enum {
    ES_JSON_NULL, ES_JSON_TRUE, ES_JSON_FALSE, ES_JSON_NUMBER,
    ES_JSON_STRING, ES_JSON_ARRAY, ES_JSON_OBJECT
} es_json_type_t;

typedef struct {
    es_json_type_t  type;
    es_str_t        text;      /* exact bytes; a string has its quotes */
    bool            escaped;   /* string: has a backslash */
} es_json_value_t;

#define ES_JSON_DEPTH  64

typedef struct {
    const char  *pos;
    const char  *end;
    const char  *start;
    const char  *error;        /* set on failure */
    unsigned     depth;        /* brackets entered by es_json_enter() */
} es_json_t;

void es_json_init(es_json_t *json, const char *text, size_t len);

/* True if the text has nothing but white space. */
bool es_json_blank(es_str_t text);

/* Scans one whole value at the position, with all that is nested in it. */
es_rc_t es_json_value(es_json_t *json, es_json_value_t *value);

/* ES_INVALID unless only white space is left. */
es_rc_t es_json_end(es_json_t *json);

/*
 * Walks an object or array.  es_json_enter() enters at '{' or '['.  Then
 * es_json_member() or es_json_item() returns one element at a time, until
 * ES_NOT_FOUND: the closing bracket, which is consumed.
 */
es_rc_t es_json_enter(es_json_t *json, char bracket);
es_rc_t es_json_member(es_json_t *json, bool first, es_json_value_t *name,
    es_json_value_t *value);
es_rc_t es_json_item(es_json_t *json, bool first, es_json_value_t *value);

/* The same without the value: the position is at its first byte.  The caller
   scans the value, or enters it. */
es_rc_t es_json_key(es_json_t *json, bool first, es_json_value_t *name);
es_rc_t es_json_element(es_json_t *json, bool first);

/* Writes the decoded inside of a string value to `out`, which has room for
   value->text.len bytes.  Returns the end of what it wrote. */
char *es_json_decode(const es_json_value_t *value, char *out);

/* Writes UTF-8 text as the inside of a JSON string with the fewest escapes.
   `out` has room for six bytes for each byte.  Returns the end. */
char *es_json_encode(es_str_t text, char *out);

/* Appends the same to `out`.  ES_INVALID: the text is not UTF-8. */
es_rc_t es_json_escape(es_str_t text, es_buf_t *out);

/* How documents are printed.  15 digits are what a real number keeps of a
   decimal one: 0.93, and not 0.93000000000000005. */
#define ES_JSON_PRINT  (JSON_COMPACT | JSON_REAL_PRECISION(15))

/* The text of a string of jansson, or an empty string for another value. */
static inline es_str_t
es_text(const json_t *value)
{
    return (es_str_t) { json_string_value(value), json_string_length(value) };
}

/* Returns the length of the valid UTF-8 sequence at `p`, or 0. */
size_t es_utf8_len(const char *p, const char *end);

bool es_utf8_ok(es_str_t text);

#endif /* ES_JSON_H */
