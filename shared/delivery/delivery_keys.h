/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The keys and values of the environment delivery/.  Only this file and the
 * files that it names know them.
 *
 * Keys are big-endian, so that the records of an endpoint are contiguous and
 * in order.  Values are little-endian structs without padding.
 *
 *     progress   endpoint, feed                            es_progress_value_t,
 *                                                          es_pending_value_t*
 *     retries    endpoint, feed, sequence                  es_retry_value_t
 *     attempts   endpoint, time, feed, sequence, attempt   es_attempt_value_t,
 *                                                          first bytes of body
 *     dead       endpoint, feed, epoch, sequence           es_dead_value_t,
 *                                                          the reason's text
 *     stops      endpoint                                  es_stop_value_t
 *     circuits   endpoint                                  es_circuit_value_t
 *     meta       "heartbeat"                               milliseconds
 *                "taken"                                   number of a request
 *                "redrive", endpoint                       milliseconds
 *                "erased"                                  erased_answers.h
 *                "tally"                                   see tally.c
 *                and those of outbox.c, stall.c, away_feeds.c,
 *                verification.c, figures.c, certificates.c, exports.c,
 *                packing.c and control_reply.c
 */

#ifndef ES_DELIVERY_KEYS_H
#define ES_DELIVERY_KEYS_H

#include "base/assert.h"
#include "delivery/delivery.h"
#include "store/store.h"

#define ES_META_HEARTBEAT    "heartbeat"
#define ES_META_TAKEN        "taken"
#define ES_META_REDRIVE      "redrive"
#define ES_META_TALLY        "tally"
#define ES_META_SIGNED       "signed"
#define ES_KEY_MAX      32
#define ES_LANE_KEY_LEN     8
#define ES_DELIVERY_KEY_LEN   16
#define ES_ATTEMPT_KEY_LEN  28
#define ES_DEAD_KEY_LEN       32
#define ES_DEAD_KEY_EPOCH      8       /* offsets in the key */
#define ES_DEAD_KEY_SEQUENCE  24

typedef struct __attribute__((packed)) {
    char      epoch[ES_EPOCH_MAX + 1];
    uint64_t  sequence;
    uint64_t  matched;
} es_progress_value_t;

typedef struct __attribute__((packed)) {
    uint64_t  sequence;
    uint64_t  prevcursor;
    uint32_t  batch;           /* see es_batch_back() */
} es_pending_value_t;

typedef struct __attribute__((packed)) {
    int64_t   next_ms;
    int64_t   first_ms;
    uint64_t  prevcursor;
    uint32_t  attempts;
    int32_t   status;
    int64_t   deferred_ms;
    uint32_t  batch;           /* see es_batch_back() */
} es_retry_value_t;

typedef struct __attribute__((packed)) {
    uint32_t  latency_us;
    int32_t   status;
    uint8_t   class;
    uint8_t   flags;           /* ES_ATTEMPT_... */
} es_attempt_value_t;

typedef struct __attribute__((packed)) {
    uint64_t  prevcursor;
    int64_t   time_ms;
    uint32_t  attempts;
    int32_t   status;
    uint8_t   class;
} es_dead_value_t;

typedef struct __attribute__((packed)) {
    uint64_t  revision;
    int64_t   time_ms;
    char      reason[64];
} es_stop_value_t;

typedef struct __attribute__((packed)) {
    uint32_t  trips;
    uint32_t  failures;
    int64_t   since_ms;
    int64_t   next_ms;
} es_circuit_value_t;

ES_STORED_SIZE(es_progress_value_t, 32);
ES_STORED_SIZE(es_pending_value_t, 20);
ES_STORED_SIZE(es_retry_value_t, 44);
ES_STORED_SIZE(es_attempt_value_t, 10);
ES_STORED_SIZE(es_dead_value_t, 25);
ES_STORED_SIZE(es_stop_value_t, 80);
ES_STORED_SIZE(es_circuit_value_t, 24);

typedef struct {
    uint8_t  data[ES_KEY_MAX];
    size_t   len;
} es_dkey_t;


/* A batch is stored as the distance from its first event, plus one; 0: the
   event is sent alone. */

static inline uint32_t
es_batch_back(uint64_t sequence, uint64_t batch)
{
    return batch != 0 && batch <= sequence && sequence - batch < UINT32_MAX
           ? (uint32_t) (sequence - batch) + 1 : 0;
}


static inline uint64_t
es_batch_first(uint64_t sequence, uint32_t back)
{
    return back != 0 && back <= sequence ? sequence - back + 1 : 0;
}


static inline void
es_key32(es_dkey_t *key, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(key->data + key->len, &v, sizeof(v));
    key->len += sizeof(v);
}


static inline void
es_key64(es_dkey_t *key, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(key->data + key->len, &v, sizeof(v));
    key->len += sizeof(v);
}


static inline uint32_t
es_key32_get(const MDB_val *key, size_t at)
{
    uint32_t  v;

    memcpy(&v, (const char *) key->mv_data + at, sizeof(v));

    return __builtin_bswap32(v);
}


static inline uint64_t
es_key64_get(const MDB_val *key, size_t at)
{
    uint64_t  v;

    memcpy(&v, (const char *) key->mv_data + at, sizeof(v));

    return __builtin_bswap64(v);
}


static inline es_dkey_t
es_endpoint_key(uint32_t endpoint)
{
    es_dkey_t  key;

    key.len = 0;
    es_key32(&key, endpoint);

    return key;
}


/* The key of `meta` that is or begins with this word. */

static inline es_dkey_t
es_meta_key(const char *word)
{
    es_dkey_t  key = { 0 };

    key.len = strlen(word);
    memcpy(key.data, word, key.len);

    return key;
}


static inline es_dkey_t
es_redrive_key(uint32_t endpoint)
{
    es_dkey_t  key;

    key = es_meta_key(ES_META_REDRIVE);
    es_key32(&key, endpoint);

    return key;
}


static inline es_dkey_t
es_lane_key(uint32_t endpoint, uint32_t feed)
{
    es_dkey_t  key;

    key = es_endpoint_key(endpoint);
    es_key32(&key, feed);

    return key;
}


static inline es_dkey_t
es_delivery_key(uint32_t endpoint, uint32_t feed, uint64_t sequence)
{
    es_dkey_t  key;

    key = es_lane_key(endpoint, feed);
    es_key64(&key, sequence);

    return key;
}


/* A dead letter of another epoch is another event, even with the same
   sequence. */

static inline es_dkey_t
es_dead_key(uint32_t endpoint, uint32_t feed, const char *epoch,
    uint64_t sequence)
{
    es_dkey_t  key;

    key = es_lane_key(endpoint, feed);
    memset(key.data + key.len, 0, ES_EPOCH_MAX + 1);
    memcpy(key.data + key.len, epoch, strnlen(epoch, ES_EPOCH_MAX));
    key.len += ES_EPOCH_MAX + 1;
    es_key64(&key, sequence);

    return key;
}


static inline es_dkey_t
es_attempt_key(uint32_t endpoint, const es_attempt_position_t *position)
{
    es_dkey_t  key;

    key = es_endpoint_key(endpoint);
    es_key64(&key, (uint64_t) position->time_ms);
    es_key32(&key, position->feed);
    es_key64(&key, position->sequence);
    es_key32(&key, position->attempt);

    return key;
}

/* Changes of `meta`, see delivery.h; with `prefix`, of all keys that begin
   with `key`. */
es_rc_t es_changeset_meta_put(es_changeset_t *c, const es_dkey_t *key,
    const void *value, size_t len);
es_rc_t es_changeset_meta_delete(es_changeset_t *c, const es_dkey_t *key,
    bool prefix);

/* Walks the records of `meta` whose keys begin with `prefix`; see delivery.h.
   */
typedef es_rc_t (*es_meta_fn)(void *ctx, const MDB_val *key,
    const MDB_val *value);
es_rc_t es_delivery_each_meta(es_store_t *store, es_dkey_t prefix,
    es_meta_fn fn, void *ctx);

/* Calls `fn` with the record of `meta` under exactly this key, and returns its
   result.  ES_NOT_FOUND. */
es_rc_t es_delivery_get_meta(es_store_t *store, es_dkey_t key, es_meta_fn fn,
    void *ctx);

#define ES_META_CLEAR         "clear"

/* The record of a clearing (skip, cancel or discard) that is under way. */
static inline es_dkey_t
es_clearing_progress_key(uint32_t endpoint)
{
    es_dkey_t  key;

    key = es_meta_key(ES_META_CLEAR);
    es_key32(&key, endpoint);

    return key;
}


#endif /* ES_DELIVERY_KEYS_H */
