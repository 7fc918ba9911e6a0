/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads, writes and describes the freshness of a feed's webhooks.
 */

#include <string.h>

#include "base/assert.h"
#include "base/base.h"
#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"
#include "delivery/fresh.h"

#define ES_META_FRESH  "fresh"

/* The counters are stored as they are in memory. */
ES_STORED_SIZE(es_fresh_t, 32);


static es_dkey_t
es_fresh_key(uint32_t feed)
{
    es_dkey_t  key;

    key = es_meta_key(ES_META_FRESH);
    es_key32(&key, feed);

    return key;
}


es_rc_t
es_changeset_fresh(es_changeset_t *c, uint32_t feed, const es_fresh_t *fresh)
{
    es_dkey_t  key;

    key = es_fresh_key(feed);

    return es_changeset_meta_put(c, &key, fresh, sizeof(*fresh));
}


es_rc_t
es_changeset_fresh_done(es_changeset_t *c, uint32_t feed)
{
    es_dkey_t  key;

    key = es_fresh_key(feed);

    return es_changeset_meta_delete(c, &key, false);
}


static es_rc_t
es_fresh_decode(void *ctx, const MDB_val *key, const MDB_val *record)
{
    es_fresh_t  *fresh = ctx;

    (void) key;

    if (record->mv_size != sizeof(*fresh)) {
        return ES_CORRUPT;
    }

    memcpy(fresh, record->mv_data, sizeof(*fresh));

    return ES_OK;
}


es_rc_t
es_delivery_fresh(es_store_t *store, uint32_t feed, es_fresh_t *fresh)
{
    es_rc_t  rc;

    memset(fresh, 0, sizeof(*fresh));

    rc = es_delivery_get_meta(store, es_fresh_key(feed), es_fresh_decode,
                              fresh);

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


json_t *
es_fresh_report(const es_fresh_t *fresh)
{
    json_t    *report;
    uint64_t   kept, n;
    unsigned   i;

    report = json_object();

    for (i = 0; i < ES_FRESH_VERDICTS; i++) {
        (void) json_object_set_new(
            report, es_fresh_name((es_fresh_verdict_t) i),
            json_integer((json_int_t) fresh->counts[i]));
    }

    kept = fresh->counts[ES_FRESH_KEPT];
    n = kept + fresh->counts[ES_FRESH_MISSED];

    (void) json_object_set_new(report, "share",
                               n == 0 ? json_null()
                               : json_real((double) kept / (double) n));
    (void) json_object_set_new(report, "worst",
                               n == 0 ? json_null()
                               : json_real((double) fresh->worst_ms / 1000));

    return report;
}
