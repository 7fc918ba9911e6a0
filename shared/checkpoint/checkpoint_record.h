/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The keys and values of the environment `checkpoints/`.  Only files of this
 * folder include it.
 */

#ifndef ES_CHECKPOINT_RECORD_H
#define ES_CHECKPOINT_RECORD_H

#include "base/assert.h"
#include "checkpoint/checkpoint.h"
#include "log/chunk.h"

#define ES_CHECKPOINT_PARTNER  4       /* bytes of the partner's number */
#define ES_CHECKPOINT_PREFIX   8       /* and of the feed's */
#define ES_CHECKPOINT_KEY_MAX  (ES_CHECKPOINT_PREFIX + ES_FEED_MAX)

/* The key is the partner's number, the feed's number (both big-endian) and the
   consumer's name, so that the checkpoints of a partner can be counted. */
typedef struct __attribute__((packed)) {
    uint64_t  hash;            /* XXH3 of what follows, seeded by the key */
    uint64_t  revision;        /* unique among all writes of the store */
    uint64_t  sequence;
    int64_t   updated_ms;
    char      epoch[ES_EPOCH_MAX + 1];
} es_checkpoint_record_t;

ES_STORED_SIZE(es_checkpoint_record_t, 48);

static inline void
es_checkpoint_numbers_put(uint32_t feed, uint32_t partner,
    uint8_t key[ES_CHECKPOINT_PREFIX])
{
    es_be64((uint64_t) partner << 32 | feed, key);
}

/* Copies the record out of the map.  ES_CORRUPT: it does not match its hash. */
es_rc_t es_checkpoint_decode(const MDB_val *key, const MDB_val *value,
    es_checkpoint_record_t *record);

#endif /* ES_CHECKPOINT_RECORD_H */
