/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Encrypted fields, made once and kept.
 *
 * A JWE is a random one of many.  Polls, pages, ETags, retries and digests of a
 * partner agree only if every process sends the same one.  So the first one is
 * kept in an LMDB environment of its own, `encrypted/`, which each process that
 * serves or sends encrypted fields may write.
 *
 * A ciphertext is found by the key, the place and the plain text.  So it is
 * never that of other content, and a new key leads to a new one.  It goes with
 * its event, and its environment is bounded: it has two halves, and when the
 * younger one is full, the older one makes room.  A ciphertext that was lost is
 * made again, and then is another one.  If none can be kept, none is made.
 *
 * A process has one es_ciphertexts_t for each store.  Any thread may use it.
 */

#ifndef ES_CIPHERTEXTS_H
#define ES_CIPHERTEXTS_H

#include "base/base.h"
#include "jwe/jwe.h"
#include "log/erased.h"
#include "store/env.h"
#include "store/scrub.h"

#define ES_CIPHERTEXTS_HALF  (UINT64_C(512) << 20)    /* bytes */

typedef struct es_ciphertexts  es_ciphertexts_t;

/* One value to be encrypted. */
typedef struct {
    const es_jwe_key_t  *key;
    es_jwe_place_t       place;
    es_str_t             cursor;       /* of the event */
    es_str_t             plain;
    es_buf_t             out;          /* the JWE; the caller frees it */
} es_ciphertext_t;

/* Makes the handle, and opens nothing yet.  `half` is the size of each half in
   bytes.  NULL: out of memory. */
es_ciphertexts_t *es_ciphertexts_create(es_store_t *store, uint64_t half);
void es_ciphertexts_free(es_ciphertexts_t *texts);

/* Appends the text that is kept to item->out.  ES_NOT_FOUND: there is none, or
   the environment is not open yet.  Does not block. */
es_rc_t es_ciphertexts_get(es_ciphertexts_t *texts, es_ciphertext_t *item);

/*
 * Fills the `out` of each item with the text that is kept, or encrypts and keeps
 * it.  All items share one commit; of two processes the first one wins.  Opens
 * the environment, and makes it if it is missing.  The text of an event that
 * was erased meanwhile is not kept.
 *
 * ES_INVALID: a key cannot be used.  Other outcomes: the texts cannot be kept;
 * es_reason() says why.  No `out` may be used then.  Blocks.
 */
es_rc_t es_ciphertexts_make(es_ciphertexts_t *texts, es_ciphertext_t *items,
    size_t n);

/*
 * Removes the texts of events that retention or a reset has deleted, and of
 * removed feeds.  Reads the log itself.  Without an environment there is nothing
 * to do.  Blocks.
 */
es_rc_t es_ciphertexts_prune(es_ciphertexts_t *texts);

/*
 * Removes the texts of erased events, and what is left of them in the files
 * (scrub.h).  Without an environment there is nothing to do.  Blocks.
 */
es_rc_t es_ciphertexts_erase(es_ciphertexts_t *texts,
    const es_erasure_t *erasures, size_t n, int64_t wait_ms,
    es_scrub_t *scrub);

#endif /* ES_CIPHERTEXTS_H */
