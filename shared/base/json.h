/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A strict RFC 8259 scanner that keeps byte positions.
 *
 * The one thing that no JSON library packaged for Debian 12 gives: where a
 * value's exact bytes are.  It validates everything (UTF-8, escapes, numbers,
 * no control characters, depth at most 64) and builds no tree.  All other JSON
 * in the project is jansson's.
 */

#ifndef ES_JSON_H
#define ES_JSON_H

#include "base/base.h"

typedef enum {
    ES_JSON_NULL, ES_JSON_TRUE, ES_JSON_FALSE, ES_JSON_NUMBER,
    ES_JSON_STRING, ES_JSON_ARRAY, ES_JSON_OBJECT
} es_json_type_t;

typedef struct {
    es_json_type_t  type;
    es_str_t        text;      /* exact bytes; strings with their quotes */
    bool            escaped;   /* string: has a backslash */
} es_json_value_t;

#define ES_JSON_DEPTH  64

typedef struct {
    const char  *pos;
    const char  *end;
    const char  *start;
    const char  *error;        /* a phrase, after a failure */
    unsigned     depth;        /* brackets entered, see es_json_enter() */
} es_json_t;

void es_json_init(es_json_t *json, const char *text, size_t len);

/* Scans one whole value, nested ones included, at the position. */
es_rc_t es_json_value(es_json_t *json, es_json_value_t *value);

/* On failure of any of these `pos` is where and `error` is why. */

/* ES_INVALID if anything but white space is left. */
es_rc_t es_json_end(es_json_t *json);

/*
 * Walks an object or array: es_json_enter() on '{' or '[' and then
 * es_json_member()/es_json_item() until ES_NOT_FOUND (the closing bracket,
 * consumed).
 */
es_rc_t es_json_enter(es_json_t *json, char bracket);
es_rc_t es_json_member(es_json_t *json, bool first, es_json_value_t *name,
    es_json_value_t *value);
es_rc_t es_json_item(es_json_t *json, bool first, es_json_value_t *value);

/* The byte after the decoded inside of a string value, written to `out`,
   which has room for value->text.len bytes. */
char *es_json_decode(const es_json_value_t *value, char *out);

/* Appends a string value decoded (without quotes) to `out`. */
es_rc_t es_json_unescape(const es_json_value_t *value, es_buf_t *out);

/* Writes `text`, known to be UTF-8, as the inside of a JSON string with the
   least escapes; `out` has room for six bytes a byte.  Returns the end. */
char *es_json_encode(es_str_t text, char *out);

/* The same, appended, and judged: ES_INVALID unless it is UTF-8. */
es_rc_t es_json_escape(es_str_t text, es_buf_t *out);

/* Length of the valid UTF-8 sequence at `p`, 0 if there is none. */
size_t es_utf8_len(const char *p, const char *end);

bool es_utf8_ok(es_str_t text);

#endif /* ES_JSON_H */
