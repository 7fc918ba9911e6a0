/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Encrypts the fields of one read of events.
 *
 * A field list calls es_encrypter_field() for each value to be encrypted.  A
 * ciphertext that is kept takes the place of the value at once, in an event loop
 * too.  The other values are collected, with `null` in their place, and
 * seal.missing is set.  The outcome of es_page_read() is then ES_PENDING.  Such
 * a read must not be sent: a thread calls es_encrypter_make(), and the events
 * are read again.
 *
 * es_page_read() clears seal.missing, and others must do so before a read.
 *
 * An encrypter belongs to one thread at a time.
 */

#ifndef ES_ENCRYPTER_H
#define ES_ENCRYPTER_H

#include "base/pool.h"
#include "fields/fields.h"
#include "read/ciphertexts.h"

/* Values that one es_encrypter_make() encrypts, and their bytes.  The rest comes
   with the next read. */
#define ES_ENCRYPTER_ITEMS  256
#define ES_ENCRYPTER_BYTES  (4 * 1024 * 1024)

typedef struct {
    es_ciphertexts_t  *texts;
    es_fields_seal_t   seal;       /* { es_encrypter_field, the encrypter } */
    es_pool_t          pool;
    es_ciphertext_t   *items;
    size_t             nitems;
    size_t             bytes;
} es_encrypter_t;

/* Fills a zeroed encrypter. */
void es_encrypter_init(es_encrypter_t *e, es_ciphertexts_t *texts);
void es_encrypter_free(es_encrypter_t *e);

/* An es_fields_seal_fn.  `key` is an es_jwe_key_t.  Does not block. */
es_rc_t es_encrypter_field(void *ctx, es_str_t key,
    const es_fields_place_t *place, es_buf_t *out, size_t from);

/* Moves what was collected to `to`, which is not initialised. */
void es_encrypter_move(es_encrypter_t *e, es_encrypter_t *to);

/* Encrypts what was collected, and forgets it.  Outcomes of
   es_ciphertexts_make(), with es_reason().  Blocks. */
es_rc_t es_encrypter_make(es_encrypter_t *e);

/* As es_fields_event(), and encrypts on the spot.  Blocks. */
es_rc_t es_encrypter_event(es_encrypter_t *e, const es_fields_t *fields,
    es_str_t event, es_buf_t *out);

#endif /* ES_ENCRYPTER_H */
