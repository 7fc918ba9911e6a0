/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Encoded pages, made once and stored.
 *
 * They are in an LMDB environment of their own, `pages/`.  Its content is
 * derived from the log and written only by nginx's workers.  It may be lost,
 * or deleted while no process has it open.  Its size is bounded: the oldest
 * entry makes room for the next.  An entry is used only if the same encoder
 * made it from the same events and its bytes match their hash.
 *
 * A process opens one es_encoded_pages_t for each store, after fork().  Any
 * thread may use it.
 */

#ifndef ES_ENCODED_PAGES_H
#define ES_ENCODED_PAGES_H

#include "base/base.h"
#include "base/encode.h"
#include "read/reader.h"
#include "store/env.h"
#include "store/scrub.h"

typedef struct es_encoded  es_encoded_pages_t;

typedef struct {
    uint32_t       feed;       /* the feed's number */
    char           epoch[ES_EPOCH_MAX + 1];
    uint64_t       page;
    es_encoding_t  encoding;
    uint64_t       source;     /* es_encoded_source(); not part of the key */
} es_encoded_key_t;

/* One page to be encoded. */
typedef struct {
    es_encoded_key_t  key;
    es_str_t          in;
    uint64_t          erased;  /* es_erasures_count() as `in` was read */
    es_buf_t          out;     /* the caller frees it */
    es_rc_t           rc;      /* ES_OK, ES_NOMEM */
    bool              kept;    /* it was stored already */
} es_encoded_item_t;

/*
 * Opens the environment and makes it if it is missing.  `size` is the bytes
 * that it may take on disk.  ES_IO, ES_FORMAT; the problem says why.
 *
 * With a size of 0, for es_encoded_erase(): opens it as it is.  ES_NOT_FOUND:
 * it is missing.
 */
es_rc_t es_encoded_open(es_store_t *store, uint64_t size,
    es_encoded_pages_t **out, es_problem_t *problem);
void es_encoded_close(es_encoded_pages_t *pages);

/* Returns the environment, for reports of its size. */
es_env_t *es_encoded_env(es_encoded_pages_t *pages);

/* Returns a hash of a page's events and of its encoder. */
uint64_t es_encoded_source(const es_page_t *page, es_encoding_t encoding);

/* Appends the entry's bytes to `out`.  ES_NOT_FOUND, or the reason why it
   cannot be read.  Does not block. */
es_rc_t es_encoded_get(es_encoded_pages_t *pages, const es_encoded_key_t *key,
    es_buf_t *out);

/*
 * Copies `size` of the entry's bytes, from `offset`, to `out`.  With a `*hash`
 * of 0 all bytes are verified, and it is set.  With that value the entry must
 * be the same one, and is not verified again.  ES_NOT_FOUND: it is gone, is
 * another one, or has no such part.  Does not block.
 */
es_rc_t es_encoded_part(es_encoded_pages_t *pages,
    const es_encoded_key_t *key, uint64_t *hash, size_t offset, void *out,
    size_t size);

/*
 * Fills the `out` of each item with the stored bytes, or encodes the page and
 * stores it.  All items share one commit.  The call holds the writer lock
 * while it encodes, so that no two processes encode the same page.  If `pages`
 * is NULL, nothing is stored; and no page that was read before an erasure.
 *
 * An item whose rc is ES_OK has its bytes.  The returned outcome only says
 * whether the pages could be stored.
 */
es_rc_t es_encoded_make(es_encoded_pages_t *pages, es_encoded_item_t *items,
    size_t n);

/* A page in every epoch and encoding. */
typedef struct {
    uint32_t  feed;            /* number */
    uint64_t  page;
} es_encoded_page_t;

/* Removes these pages, which have events that were erased, and what is left of
   them in the files (scrub.h). */
es_rc_t es_encoded_erase(es_encoded_pages_t *pages,
    const es_encoded_page_t *which, size_t n, int64_t wait_ms,
    es_scrub_t *scrub);

/*
 * Removes pages of removed feeds, of other epochs, and of events that
 * retention has deleted.  Begins a read of the log itself.
 */
es_rc_t es_encoded_prune(es_encoded_pages_t *pages, es_store_t *store);

#endif /* ES_ENCODED_PAGES_H */
