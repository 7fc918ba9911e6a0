/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The query of a URL: "name=value&name=value", percent-encoded (RFC 3986).
 */

#ifndef ES_QUERY_H
#define ES_QUERY_H

#include "base/base.h"

/*
 * Takes the first parameter from `rest` and skips empty ones.  `name` and
 * `value` are parts of the text, still encoded.  False: there is none.
 */
bool es_query_next(es_str_t *rest, es_str_t *name, es_str_t *value);

/* True if decoding would change the text. */
bool es_query_encoded(es_str_t text);

/*
 * Decodes `text` into `out`, which has text.len bytes, and returns the end.  A
 * '+' becomes a space, as in HTML forms, unless `plus` is set.  NULL:
 * malformed.
 */
char *es_query_decode(es_str_t text, bool plus, char *out);

#endif /* ES_QUERY_H */
