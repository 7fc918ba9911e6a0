/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Encoded pages, made once and kept.
 *
 * An LMDB environment of its own in the store, `pages/`: what is in it is
 * derived from the log, is written by nginx's workers only, and may be lost or
 * deleted at any time while nobody has it open.  It is bounded in size; the
 * oldest entry makes room for the next.  An entry is used only if it was made
 * from the same events by the same encoder and its bytes match their hash.
 *
 * One es_encoded_pages_t per store and process, opened after fork(); for any
 * thread.
 */

#ifndef ES_ENCODED_PAGES_H
#define ES_ENCODED_PAGES_H

#include "base/base.h"
#include "base/encode.h"
#include "read/reader.h"
#include "store/env.h"

typedef struct es_encoded  es_encoded_pages_t;

typedef struct {
    uint32_t       feed;       /* the feed's number */
    char           epoch[ES_EPOCH_MAX + 1];
    uint64_t       page;
    es_encoding_t  encoding;
    uint64_t       source;     /* es_encoded_source(): not in the key */
} es_encoded_key_t;

/* One page to be encoded. */
typedef struct {
    es_encoded_key_t  key;
    es_str_t          in;
    es_buf_t          out;     /* the caller's, to be freed by it */
    es_rc_t           rc;      /* ES_OK, ES_NOMEM */
    bool              kept;    /* it was there */
} es_encoded_item_t;

/*
 * Opens, and makes it when it is not there.  `size`: bytes that it may take on
 * disk.  ES_IO, ES_FORMAT, with the problem's words.
 */
es_rc_t es_encoded_open(es_store_t *store, uint64_t size,
    es_encoded_pages_t **out, es_problem_t *problem);
void es_encoded_close(es_encoded_pages_t *pages);

/* Its environment, for who tells of its size. */
es_env_t *es_encoded_env(es_encoded_pages_t *pages);

/* What an entry is made of: a hash of a page's events and its encoder. */
uint64_t es_encoded_source(const es_page_t *page, es_encoding_t encoding);

/* Appends the entry's bytes to `out`.  ES_NOT_FOUND, or why it cannot be told.
   Does not block. */
es_rc_t es_encoded_get(es_encoded_pages_t *pages, const es_encoded_key_t *key,
    es_buf_t *out);

/*
 * Fills each item's `out`: by what is kept, or by encoding it, which is then
 * kept.  Holds the writer lock while it encodes, so that no two processes
 * encode the same page.  One commit for all.  `pages` may be NULL: then nothing is kept.
 * An item whose rc is ES_OK has its bytes, whatever is returned; that tells
 * whether they could be kept.
 */
es_rc_t es_encoded_make(es_encoded_pages_t *pages, es_encoded_item_t *items,
    size_t n);

/*
 * Removes what belongs to no feed any more, to another epoch, or to a page of
 * which retention has trimmed events.  Takes a read of the log of its own.
 */
es_rc_t es_encoded_prune(es_encoded_pages_t *pages, es_store_t *store);

#endif /* ES_ENCODED_PAGES_H */
