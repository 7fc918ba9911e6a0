/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Content codings of what a client sends (RFC 9110, section 8.4).
 *
 * gzip (also by its old name "x-gzip"; RFC 1952, with any number of members),
 * deflate (RFC 1950: the zlib format, and no other), zstd (RFC 8878, any number
 * of frames, each of a window of at most 8 MB, RFC 9659) and br (RFC 7932).
 * "identity" is no coding.
 *
 * Decoding takes time by the bytes that come out, and up to some 20 MB of
 * memory besides.  It may be done by any thread.
 */

#ifndef ES_DECODE_H
#define ES_DECODE_H

#include "base/base.h"

/* A body may have at most so many codings, one over the other. */
#define ES_CODINGS_MAX  3

typedef enum {
    ES_CODING_GZIP = 0,
    ES_CODING_DEFLATE,
    ES_CODING_ZSTD,
    ES_CODING_BR,
    ES_CODINGS
} es_coding_t;

/* In the order in which they were applied.  Zero-initialised is none. */
typedef struct {
    unsigned     n;
    es_coding_t  list[ES_CODINGS_MAX];
} es_codings_t;

/* Names as in Content-Encoding, by es_coding_t. */
extern const es_str_t  es_coding_names[ES_CODINGS];

/*
 * Adds the codings of a Content-Encoding field's value to those of the fields
 * before it.  ES_INVALID: one is unknown, which `*unknown` then names as a part
 * of the value.  ES_TOO_LARGE: they are more than ES_CODINGS_MAX.
 */
es_rc_t es_codings_add(es_codings_t *codings, es_str_t value,
    es_str_t *unknown);

/*
 * Takes the codings off, the last one first, and sets `out`, which the caller
 * frees.  Neither the outcome nor what is between two codings has more than
 * `max` bytes.  ES_TOO_LARGE: it would have more, and no more was decoded;
 * ES_INVALID: the problem says what is wrong; ES_NOMEM.  After an error `out`
 * is empty.
 */
es_rc_t es_decode(const es_codings_t *codings, es_str_t in, size_t max,
    es_buf_t *out, es_problem_t *problem);

#endif /* ES_DECODE_H */
