/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Content codings of responses (RFC 9110, section 8.4.1; RFC 1952, 7932,
 * 8878).
 *
 * The same input gives the same bytes while the encoder's library stays the
 * same; es_encoding_maker() returns another text when it changes.  Encoding
 * takes milliseconds for an ordinary page, so an event loop must not call it.
 */

#ifndef ES_ENCODE_H
#define ES_ENCODE_H

#include "base/base.h"

/* In the server's order of preference. */
typedef enum {
    ES_ENCODING_BR = 0,
    ES_ENCODING_ZSTD,
    ES_ENCODING_GZIP,
    ES_ENCODING_IDENTITY,
    ES_ENCODINGS
} es_encoding_t;

/* Names as in Accept-Encoding and Content-Encoding, by es_encoding_t. */
extern const es_str_t  es_encoding_names[ES_ENCODINGS];

/* Names the encoder with its version and settings, in `out`.  The text
   changes whenever the encoded bytes may change. */
es_str_t es_encoding_maker(es_encoding_t encoding, char *out, size_t size);

/* Appends the encoded input to `out`.  ES_NOMEM; ES_INVALID for identity. */
es_rc_t es_encode(es_encoding_t encoding, es_str_t in, es_buf_t *out);

#endif /* ES_ENCODE_H */
