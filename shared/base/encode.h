/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Content codings (RFC 9110, section 8.4.1; RFC 7932; RFC 8878).
 *
 * The same input gives the same bytes for as long as the library that encodes
 * is the same; es_encoding_maker() tells when it is not.  Made for what is
 * encoded once and sent often: it takes time, milliseconds for an ordinary
 * page, and is not for an event loop's thread.
 */

#ifndef ES_ENCODE_H
#define ES_ENCODE_H

#include "base/base.h"

/* In the order of preference of a client that has none. */
typedef enum {
    ES_ENCODING_BR = 0,
    ES_ENCODING_ZSTD,
    ES_ENCODING_GZIP,
    ES_ENCODING_IDENTITY,
    ES_ENCODINGS
} es_encoding_t;

/* Names as in Accept-Encoding and Content-Encoding, by es_encoding_t. */
extern const es_str_t  es_encoding_names[ES_ENCODINGS];

/* What encodes, with its version and settings; changes when bytes may. */
es_str_t es_encoding_maker(es_encoding_t encoding, char *out, size_t size);

/* Appends the encoded input to `out`.  ES_NOMEM, ES_INVALID (identity). */
es_rc_t es_encode(es_encoding_t encoding, es_str_t in, es_buf_t *out);

#endif /* ES_ENCODE_H */
