/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * UUIDs (RFC 9562) in texts that are packed.
 *
 * A UUID in its usual text form, in lower case, has 36 bytes of text and 16 of
 * information, most of it random.  Compression needs about 20 bytes for it.  So
 * it is taken out of the text: a byte that no JSON text has stands in its
 * place.
 */

#ifndef ES_UUID_H
#define ES_UUID_H

#include "base/base.h"

#define ES_UUID_MARK  0x01
#define ES_UUID_TEXT  36
#define ES_UUID_LEN   16

/*
 * Appends `text` to `out` with a mark for each UUID, and the UUIDs to `uuids`.
 * ES_INVALID: the text has a mark already.  ES_NOMEM.
 */
es_rc_t es_uuid_take(es_str_t text, es_buf_t *out, es_buf_t *uuids);

/* What is left of a text with marks, and of the UUIDs. */
typedef struct {
    const uint8_t  *text;
    const uint8_t  *text_end;
    const uint8_t  *uuids;
    const uint8_t  *uuids_end;
} es_uuid_reader_t;

/* Writes the next `len` bytes of the text as it was.  False: a text or a UUID
   is missing, or a UUID exceeds them. */
bool es_uuid_put_back(es_uuid_reader_t *reader, char *out, size_t len);

#endif /* ES_UUID_H */
