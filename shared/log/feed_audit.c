/* SPDX-License-Identifier: BSD-2-Clause */

/* The entries that changes of feeds leave in the audit. */

#include "audit/audit.h"
#include "log/feed_audit.h"
#include "store/deletions.h"


es_rc_t
es_feed_audit(es_store_t *store, MDB_txn *txn, es_str_t feed,
    const char *action, json_t *before, json_t *after)
{
    es_rc_t            rc;
    es_audit_change_t  change = { .action = action, .kind = "feed",
                                  .object = feed, .before = before,
                                  .after = after };

    rc = es_audit_append(store, txn, ES_AUDIT_LOG, &change);
    json_decref(before);
    json_decref(after);

    return rc;
}


json_t *
es_feed_audit_settings(const es_feed_t *feed, unsigned pack)
{
    return json_pack("{s:I, s:I, s:I, s:I}",
                     "retain_count", (json_int_t) feed->retain_count,
                     "retain_bytes", (json_int_t) feed->retain_bytes,
                     "retain_ms", (json_int_t) feed->retain_ms,
                     "pack_level", (json_int_t) pack);
}


json_t *
es_feed_audit_extent(const es_feed_t *feed)
{
    return json_pack("{s:s, s:I, s:I}", "epoch", feed->epoch,
                     "oldest", (json_int_t) feed->oldest,
                     "last", (json_int_t) feed->last);
}


es_rc_t
es_feed_audit_deletion(es_store_t *store, MDB_txn *txn,
    const es_feed_t *feed, uint64_t oldest, uint64_t target,
    es_deletion_cause_t why)
{
    bool         limit;
    json_t      *before, *after;

    limit = why <= ES_DELETION_BYTES;

    if (limit && !es_deletions_audit_due(store, feed->name)) {
        return ES_OK;
    }

    before = json_pack("{s:s, s:I}", "epoch", feed->epoch,
                       "oldest", (json_int_t) oldest);
    after = json_pack("{s:I, s:s*}", "oldest", (json_int_t) target,
                      "limit", limit ? es_deletion_cause_name(why) : NULL);

    return es_feed_audit(store, txn, es_str(feed->name),
                         limit ? "retention" : es_deletion_cause_name(why),
                         before, after);
}
