/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads and writes away feeds and losses, which are records of delivery's
 * `meta`:
 *
 *     "away", endpoint, feed    es_away_value_t, then three texts with a NUL:
 *                               the endpoint, the feed, that of operations
 *     "loss", endpoint, feed    es_loss_value_t
 *     "lost"                    number of events
 */

#include "base/assert.h"
#include "delivery/away_feeds.h"
#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"
#include "store/env.h"
#include "store/store.h"

#define ES_AWAY       "away"
#define ES_LOSS       "loss"
#define ES_LOST       "lost"
#define ES_WORD_LEN   4
#define ES_AWAY_TEXT  (3 * (ES_FEED_MAX + 1))

typedef struct __attribute__((packed)) {
    int64_t  since_ms;
} es_away_value_t;

typedef struct __attribute__((packed)) {
    char      epoch[ES_EPOCH_MAX + 1];
    uint64_t  count;
    uint64_t  from;
    uint64_t  to;
    uint8_t   reason;
} es_loss_value_t;

ES_STORED_SIZE(es_away_value_t, 8);
ES_STORED_SIZE(es_loss_value_t, 41);

typedef struct {
    es_away_fn  away;
    es_loss_fn  loss;
    void       *ctx;
} es_away_walk_t;


const char *
es_loss_reason_name(es_loss_reason_t reason)
{
    static const char  *const  names[ES_LOSS_REASONS] = {
        [ES_LOSS_RETENTION] = "retention",
        [ES_LOSS_RESET] = "reset",
        [ES_LOSS_REMOVED] = "removed",
        [ES_LOSS_AWAY] = "away"
    };

    return reason < ES_LOSS_REASONS ? names[reason] : "retention";
}


/* The word, then the endpoint unless it is 0, then the feed unless it is 0. */

static es_dkey_t
es_away_key(const char *word, uint32_t endpoint, uint32_t feed)
{
    es_dkey_t  key;

    key = es_meta_key(word);

    if (endpoint != 0) {
        es_key32(&key, endpoint);
    }

    if (feed != 0) {
        es_key32(&key, feed);
    }

    return key;
}


static size_t
es_away_text(char *p, const char *text)
{
    size_t  len;

    len = strlen(text) + 1;
    memcpy(p, text, len);

    return len;
}


es_rc_t
es_changeset_away(es_changeset_t *c, const es_away_t *away)
{
    char             value[sizeof(es_away_value_t) + ES_AWAY_TEXT], *p;
    es_dkey_t        key;
    es_away_value_t  head;

    key = es_away_key(ES_AWAY, away->endpoint, away->feed);

    head.since_ms = away->since_ms;
    memcpy(value, &head, sizeof(head));

    p = value + sizeof(head);
    p += es_away_text(p, away->name);
    p += es_away_text(p, away->feed_name);
    p += es_away_text(p, away->operations);

    return es_changeset_meta_put(c, &key, value, (size_t) (p - value));
}


es_rc_t
es_changeset_away_done(es_changeset_t *c, uint32_t endpoint, uint32_t feed)
{
    es_dkey_t  key;

    key = es_away_key(ES_AWAY, endpoint, feed);

    return es_changeset_meta_delete(c, &key, true);
}


es_rc_t
es_changeset_loss(es_changeset_t *c, const es_loss_t *loss)
{
    es_dkey_t        key;
    es_loss_value_t  value;

    key = es_away_key(ES_LOSS, loss->endpoint, loss->feed);

    memcpy(value.epoch, loss->epoch, sizeof(value.epoch));
    value.count = loss->count;
    value.from = loss->from;
    value.to = loss->to;
    value.reason = (uint8_t) loss->reason;

    return es_changeset_meta_put(c, &key, &value, sizeof(value));
}


es_rc_t
es_changeset_loss_done(es_changeset_t *c, uint32_t endpoint, uint32_t feed)
{
    es_dkey_t  key;

    key = es_away_key(ES_LOSS, endpoint, feed);

    return es_changeset_meta_delete(c, &key, true);
}


es_rc_t
es_changeset_lost(es_changeset_t *c, uint64_t total)
{
    es_dkey_t  key;

    key = es_away_key(ES_LOST, 0, 0);

    return es_changeset_meta_put(c, &key, &total, sizeof(total));
}


/* Moves a text with its NUL from the front to `out`. */

static bool
es_away_take(const char **p, const char *end, char out[ES_FEED_MAX + 1])
{
    size_t  len;

    len = strnlen(*p, (size_t) (end - *p));

    if (*p + len == end || len > ES_FEED_MAX) {
        return false;
    }

    memcpy(out, *p, len + 1);
    *p += len + 1;

    return true;
}


static es_rc_t
es_away_decode(const MDB_val *key, const MDB_val *value, es_away_t *away)
{
    const char       *p, *end;
    es_away_value_t   head;

    if (key->mv_size != ES_WORD_LEN + ES_LANE_KEY_LEN
        || value->mv_size < sizeof(head))
    {
        return ES_CORRUPT;
    }

    memset(away, 0, sizeof(es_away_t));

    p = value->mv_data;
    end = p + value->mv_size;
    memcpy(&head, p, sizeof(head));
    p += sizeof(head);

    away->endpoint = es_key32_get(key, ES_WORD_LEN);
    away->feed = es_key32_get(key, ES_WORD_LEN + 4);
    away->since_ms = head.since_ms;

    return es_away_take(&p, end, away->name)
           && es_away_take(&p, end, away->feed_name)
           && es_away_take(&p, end, away->operations) ? ES_OK : ES_CORRUPT;
}


static es_rc_t
es_away_visit(void *ctx, const MDB_val *key, const MDB_val *value)
{
    es_rc_t          rc;
    es_away_t        away;
    es_away_walk_t  *walk = ctx;

    rc = es_away_decode(key, value, &away);

    return rc == ES_OK ? walk->away(walk->ctx, &away) : rc;
}


es_rc_t
es_delivery_each_away(es_store_t *store, uint32_t endpoint, es_away_fn fn,
    void *ctx)
{
    es_dkey_t       key;
    es_away_walk_t  walk = { fn, NULL, ctx };

    key = es_away_key(ES_AWAY, endpoint, 0);

    return es_delivery_each_meta(store, key, es_away_visit, &walk);
}


static es_rc_t
es_loss_visit(void *ctx, const MDB_val *key, const MDB_val *value)
{
    es_loss_t        loss;
    es_away_walk_t  *walk = ctx;
    es_loss_value_t  v;

    if (key->mv_size != ES_WORD_LEN + ES_LANE_KEY_LEN
        || value->mv_size != sizeof(v))
    {
        return ES_CORRUPT;
    }

    memcpy(&v, value->mv_data, sizeof(v));
    memset(&loss, 0, sizeof(loss));

    loss.endpoint = es_key32_get(key, ES_WORD_LEN);
    loss.feed = es_key32_get(key, ES_WORD_LEN + 4);
    memcpy(loss.epoch, v.epoch, sizeof(v.epoch));
    loss.epoch[ES_EPOCH_MAX] = '\0';
    loss.count = v.count;
    loss.from = v.from;
    loss.to = v.to;
    loss.reason = v.reason < ES_LOSS_REASONS ? (es_loss_reason_t) v.reason
                                             : ES_LOSS_RETENTION;

    return walk->loss(walk->ctx, &loss);
}


es_rc_t
es_delivery_each_loss(es_store_t *store, es_loss_fn fn, void *ctx)
{
    es_dkey_t       key;
    es_away_walk_t  walk = { NULL, fn, ctx };

    key = es_away_key(ES_LOSS, 0, 0);

    return es_delivery_each_meta(store, key, es_loss_visit, &walk);
}


static es_rc_t
es_lost_visit(void *ctx, const MDB_val *key, const MDB_val *value)
{
    (void) key;

    if (value->mv_size != sizeof(uint64_t)) {
        return ES_CORRUPT;
    }

    memcpy(ctx, value->mv_data, sizeof(uint64_t));

    return ES_OK;
}


es_rc_t
es_delivery_lost(es_store_t *store, uint64_t *total)
{
    es_dkey_t  key;

    *total = 0;
    key = es_away_key(ES_LOST, 0, 0);

    return es_delivery_each_meta(store, key, es_lost_visit, total);
}
