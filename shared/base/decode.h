/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Content codings of request bodies (RFC 9110, section 8.4).
 *
 * gzip (also by its old name "x-gzip"; RFC 1952, with any number of members),
 * deflate (RFC 1950: only the zlib format), zstd (RFC 8878, with any number of
 * frames, each with a window of at most 8 MB, RFC 9659) and br (RFC 7932).
 * "identity" is no coding.
 *
 * The time of a decode grows with its output, and it takes up to some 20 MB of
 * memory besides.  Any thread may decode.
 */

#ifndef ES_DECODE_H
#define ES_DECODE_H

#include "base/base.h"

/* A body may have at most this many codings, one over the other. */
#define ES_CODINGS_MAX  3

typedef enum {
    ES_CODING_GZIP = 0,
    ES_CODING_DEFLATE,
    ES_CODING_ZSTD,
    ES_CODING_BR,
    ES_CODINGS
} es_coding_t;

/* Codings in the order in which the sender applied them.  A zeroed list is
   empty. */
typedef struct {
    unsigned     n;
    es_coding_t  list[ES_CODINGS_MAX];
} es_codings_t;

/* Names as in Content-Encoding, by es_coding_t. */
extern const es_str_t  es_coding_names[ES_CODINGS];

/*
 * Adds the codings of one Content-Encoding field to those of the fields before
 * it.  ES_INVALID: a coding is unknown, and `*unknown` is its name within
 * `value`.  ES_TOO_LARGE: there are more than ES_CODINGS_MAX.
 */
es_rc_t es_codings_add(es_codings_t *codings, es_str_t value,
    es_str_t *unknown);

/*
 * Decodes `in`, the last coding first, into `out`, which the caller frees.
 * Neither the result nor any intermediate body may exceed `max` bytes.
 *
 * ES_TOO_LARGE: it would exceed `max`, and decoding stopped there.
 * ES_INVALID: the problem says why.  ES_NOMEM.  After an error `out` is empty.
 */
es_rc_t es_decode(const es_codings_t *codings, es_str_t in, size_t max,
    es_buf_t *out, es_problem_t *problem);

#endif /* ES_DECODE_H */
