/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Does the jobs of checkpoint.h.
 *
 * All jobs that write share one transaction of `checkpoints/`.  A job that
 * fails records its own outcome and does not undo the others; only a failure of
 * the store undoes the transaction.
 */

#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "audit/audit.h"
#include "base/assert.h"
#include "base/base.h"
#include "base/clock.h"
#include "base/condition.h"
#include "base/event_loop.h"
#include "checkpoint/checkpoint.h"
#include "checkpoint/checkpoint_record.h"
#include "event/cursor.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/store_clock.h"
#include "read/lag.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"

typedef struct {
    uint8_t  text[ES_CHECKPOINT_KEY_MAX];
    size_t   len;
} es_checkpoint_key_t;

/* The jobs of one transaction. */
typedef struct {
    es_store_t            *store;
    es_checkpoint_job_t  **jobs;
    size_t                 n;
    MDB_txn               *txn;
    es_txn_t              *log;
    int64_t                now_ms;
} es_checkpoint_ctx_t;


static void
es_checkpoint_prefix(uint32_t feed, uint32_t partner, es_checkpoint_key_t *key)
{
    uint8_t  numbers[ES_CHECKPOINT_PREFIX];

    es_checkpoint_numbers_put(feed, partner, numbers);
    memcpy(key->text, numbers, sizeof(numbers));
    key->len = ES_CHECKPOINT_PREFIX;
}


static void
es_checkpoint_key(uint32_t feed, const es_checkpoint_job_t *job,
    es_checkpoint_key_t *key)
{
    es_checkpoint_prefix(feed, job->partner, key);
    memcpy(key->text + key->len, job->consumer.data, job->consumer.len);
    key->len += job->consumer.len;
}


static uint64_t
es_checkpoint_hash(const MDB_val *key, const es_checkpoint_record_t *record)
{
    return XXH3_64bits_withSeed((const char *) record + sizeof(record->hash),
                                sizeof(*record) - sizeof(record->hash),
                                XXH3_64bits(key->mv_data, key->mv_size));
}


es_rc_t
es_checkpoint_decode(const MDB_val *key, const MDB_val *value,
    es_checkpoint_record_t *record)
{
    if (value->mv_size != sizeof(*record)) {
        return ES_CORRUPT;
    }

    memcpy(record, value->mv_data, sizeof(*record));

    return record->hash == es_checkpoint_hash(key, record) ? ES_OK
                                                           : ES_CORRUPT;
}


static es_rc_t
es_checkpoint_load(es_checkpoint_ctx_t *c, es_checkpoint_key_t *key,
    es_checkpoint_record_t *record)
{
    int      rc;
    MDB_val  k, v;

    k.mv_data = key->text;
    k.mv_size = key->len;

    rc = mdb_get(c->txn, es_env_dbi(c->store->checkpoints,
                                    ES_CHECKPOINTS_CHECKPOINTS), &k, &v);

    return rc == 0 ? es_checkpoint_decode(&k, &v, record) : es_env_rc(rc);
}


/* A revision is never given twice.  Otherwise a checkpoint that was removed and
   made again could have the ETag of an earlier one. */

static es_rc_t
es_checkpoint_revision(es_checkpoint_ctx_t *c, uint64_t *revision)
{
    int      rc;
    MDB_val  k, v;
    MDB_dbi  meta;

    meta = es_env_dbi(c->store->checkpoints, ES_CHECKPOINTS_META);
    k.mv_data = (void *) (uintptr_t) "revision";
    k.mv_size = 8;
    *revision = 0;

    rc = mdb_get(c->txn, meta, &k, &v);
    if (rc == 0) {
        if (v.mv_size != sizeof(*revision)) {
            return ES_CORRUPT;
        }

        memcpy(revision, v.mv_data, sizeof(*revision));

    } else if (rc != MDB_NOTFOUND) {
        return es_env_rc(rc);
    }

    (*revision)++;
    v.mv_data = revision;
    v.mv_size = sizeof(*revision);

    return es_env_rc(mdb_put(c->txn, meta, &k, &v, 0));
}


static es_rc_t
es_checkpoint_save(es_checkpoint_ctx_t *c, es_checkpoint_key_t *key,
    es_checkpoint_record_t *record)
{
    es_rc_t   rc;
    uint64_t  revision;
    MDB_val   k, v;

    rc = es_checkpoint_revision(c, &revision);
    if (rc != ES_OK) {
        return rc;
    }

    k.mv_data = key->text;
    k.mv_size = key->len;
    v.mv_data = record;
    v.mv_size = sizeof(*record);

    record->revision = revision;
    record->hash = es_checkpoint_hash(&k, record);

    return es_env_rc(mdb_put(c->txn, es_env_dbi(c->store->checkpoints,
                                                ES_CHECKPOINTS_CHECKPOINTS),
                             &k, &v, 0));
}


static es_rc_t
es_checkpoint_number(es_buf_t *out, const char *name, bool known,
    uint64_t number)
{
    return known ? es_buf_printf(out, "%s%llu", name,
                                 (unsigned long long) number)
                 : es_buf_printf(out, "%snull", name);
}


static es_rc_t
es_checkpoint_lag(es_buf_t *out, const es_feed_t *feed, const es_lag_t *lag)
{
    bool     known;
    char     oldest[ES_CURSOR_MAX], expires[ES_TIME_LEN];
    es_rc_t  rc;

    known = lag->state == ES_OK || lag->state == ES_EXPIRED;
    (void) es_feed_cursor(feed, feed->oldest - 1, oldest);

    rc = es_checkpoint_number(out, ",\"lag\":{\"events\":", known,
                              lag->events);

    if (rc == ES_OK) {
        rc = lag->ms < 0
             ? es_buf_printf(out, ",\"seconds\":null}")
             : es_buf_printf(out, ",\"seconds\":%lld.%03d}",
                             (long long) (lag->ms / 1000),
                             (int) (lag->ms % 1000));
    }

    if (rc == ES_OK) {
        rc = es_buf_printf(out, ",\"retention\":{\"oldest\":\"%s\","
                           "\"warning\":%s,\"expires\":", oldest,
                           lag->warning ? "true" : "false");
    }

    if (rc == ES_OK && lag->expires_ms != 0) {
        es_time_print(lag->expires_ms, expires);
        rc = es_buf_printf(out, "\"%.*s\"", ES_TIME_LEN, expires);

    } else if (rc == ES_OK) {
        rc = es_buf_printf(out, "null");
    }

    if (rc == ES_OK) {
        rc = es_checkpoint_number(out, ",\"missed\":", known, lag->missed);
    }

    return rc == ES_OK ? es_buf_printf(out, "}") : rc;
}


static const char *
es_checkpoint_state(es_rc_t state)
{
    switch (state) {

    case ES_OK:
        return "ok";

    case ES_EXPIRED:
        return "expired";

    case ES_RESET:
        return "reset";

    default:
        return "ahead";
    }
}


static es_rc_t
es_checkpoint_show(es_checkpoint_ctx_t *c, const es_feed_t *feed,
    es_str_t consumer, const es_checkpoint_record_t *record, es_buf_t *out)
{
    char         updated[ES_TIME_LEN], text[ES_CURSOR_MAX];
    es_rc_t      rc;
    es_lag_t     lag;
    es_cursor_t  cursor;

    memcpy(cursor.epoch, record->epoch, sizeof(cursor.epoch));
    cursor.sequence = record->sequence;

    rc = es_lag_read(c->log, feed, &cursor, c->now_ms, &lag);
    if (rc != ES_OK) {
        return rc;
    }

    (void) es_cursor_print(cursor.epoch, cursor.sequence, text);
    es_time_print(record->updated_ms, updated);

    rc = es_buf_printf(out, "{\"consumer\":\"%.*s\",\"feed\":\"%s\","
                       "\"cursor\":\"%s\",\"updated\":\"%.*s\","
                       "\"status\":\"%s\"",
                       (int) consumer.len, consumer.data, feed->name, text,
                       ES_TIME_LEN, updated, es_checkpoint_state(lag.state));

    if (rc == ES_OK) {
        rc = es_checkpoint_lag(out, feed, &lag);
    }

    return rc == ES_OK ? es_buf_printf(out, "}") : rc;
}


static void
es_checkpoint_etag(uint64_t revision, char etag[ES_CHECKPOINT_ETAG_LEN])
{
    char  text[ES_CHECKPOINT_ETAG_LEN + 1];

    (void) snprintf(text, sizeof(text), "\"%016llx\"",
                    (unsigned long long) revision);
    memcpy(etag, text, ES_CHECKPOINT_ETAG_LEN);
}


static bool
es_checkpoint_met(const es_checkpoint_job_t *job, bool exists)
{
    es_str_t  etag = { exists ? job->etag : NULL, ES_CHECKPOINT_ETAG_LEN };

    return es_condition_met(&job->condition, etag);
}


/* Records the job's own outcome without undoing the writes of other jobs. */

static es_rc_t
es_checkpoint_refuse(es_checkpoint_job_t *job, es_rc_t rc)
{
    job->rc = rc;

    return ES_OK;
}


static es_rc_t
es_checkpoint_conflict(es_checkpoint_job_t *job,
    es_checkpoint_conflict_t conflict)
{
    job->conflict = conflict;

    return es_checkpoint_refuse(job, ES_CONFLICT);
}


/* Sets `many` if the partner has job->max checkpoints, on all feeds. */

static es_rc_t
es_checkpoint_many(es_checkpoint_ctx_t *c, es_checkpoint_job_t *job,
    bool *many)
{
    int                  rc;
    MDB_val              k, v;
    uint64_t             n;
    MDB_cursor          *cursor;
    es_checkpoint_key_t  prefix;

    *many = false;

    rc = mdb_cursor_open(c->txn, es_env_dbi(c->store->checkpoints,
                                            ES_CHECKPOINTS_CHECKPOINTS),
                         &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    es_checkpoint_prefix(0, job->partner, &prefix);
    k.mv_data = prefix.text;
    k.mv_size = ES_CHECKPOINT_PARTNER;

    rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);

    for (n = 0; rc == 0 && n < job->max; n++) {
        if (k.mv_size <= prefix.len
            || memcmp(k.mv_data, prefix.text, ES_CHECKPOINT_PARTNER) != 0)
        {
            break;
        }

        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }

    mdb_cursor_close(cursor);

    *many = n == job->max;

    return rc == MDB_NOTFOUND ? ES_OK : es_env_rc(rc);
}


/* `cursor` is the new one; NULL: the checkpoint is removed. */

static es_rc_t
es_checkpoint_audit(es_checkpoint_ctx_t *c, const es_checkpoint_job_t *job,
    const es_cursor_t *cursor)
{
    char               name[2 * ES_FEED_MAX + 2], text[ES_CURSOR_MAX];
    es_rc_t            rc;
    es_audit_change_t  change = { .kind = "checkpoint" };

    if (job->operated.len == 0) {
        return ES_OK;
    }

    (void) snprintf(name, sizeof(name), "%.*s %.*s", (int) job->feed.len,
                    job->feed.data, (int) job->consumer.len,
                    job->consumer.data);

    change.action = cursor == NULL ? "remove" : job->created ? "create"
                                                             : "change";
    change.object = es_str(name);
    change.partner = job->operated;

    if (!job->created) {
        change.before = json_pack("{s:s}", "cursor", job->current);
    }

    if (cursor != NULL) {
        (void) es_cursor_print(cursor->epoch, cursor->sequence, text);
        change.after = json_pack("{s:s}", "cursor", text);
    }

    rc = (job->created || change.before != NULL)
         && (cursor == NULL || change.after != NULL)
         ? es_audit_append(c->store, c->txn, ES_AUDIT_CHECKPOINTS, &change)
         : ES_NOMEM;

    json_decref(change.before);
    json_decref(change.after);

    return rc;
}


static es_rc_t
es_checkpoint_put(es_checkpoint_ctx_t *c, es_checkpoint_job_t *job,
    es_checkpoint_key_t *key, es_checkpoint_record_t *record)
{
    bool     same_epoch, many;
    es_rc_t  rc;

    rc = es_feed_check(&job->found, &job->cursor);
    if (rc != ES_OK) {
        return es_checkpoint_refuse(job, rc);
    }

    same_epoch = !job->created
                 && es_feed_has(&job->found, record->epoch, record->sequence);

    if (!same_epoch || record->sequence != job->cursor.sequence) {

        if (!es_checkpoint_met(job, !job->created)) {
            return es_checkpoint_conflict(job, ES_CHECKPOINT_UNMET);
        }

        if (same_epoch && job->cursor.sequence < record->sequence
            && !job->rewind)
        {
            return es_checkpoint_conflict(job, ES_CHECKPOINT_BEHIND);
        }

        if (job->created) {
            rc = es_checkpoint_many(c, job, &many);
            if (rc != ES_OK) {
                return rc;
            }

            if (many) {
                return es_checkpoint_conflict(job, ES_CHECKPOINT_MANY);
            }
        }

        ES_ASSERT(job->cursor.sequence <= job->found.last);
        ES_ASSERT(!same_epoch || job->rewind
                  || job->cursor.sequence > record->sequence);

        memset(record, 0, sizeof(*record));
        memcpy(record->epoch, job->cursor.epoch, sizeof(record->epoch));
        record->sequence = job->cursor.sequence;
        record->updated_ms = c->now_ms;

        rc = es_checkpoint_save(c, key, record);

        if (rc == ES_OK) {
            rc = es_checkpoint_audit(c, job, &job->cursor);
        }

        if (rc != ES_OK) {
            return rc;
        }

        es_checkpoint_etag(record->revision, job->etag);
    }

    return es_checkpoint_refuse(job, es_checkpoint_show(c, &job->found,
                                                        job->consumer, record,
                                                        &job->out));
}


static es_rc_t
es_checkpoint_remove(es_checkpoint_ctx_t *c, es_checkpoint_job_t *job,
    es_checkpoint_key_t *key)
{
    es_rc_t  rc;
    MDB_val  k;

    if (!es_checkpoint_met(job, true)) {
        return es_checkpoint_conflict(job, ES_CHECKPOINT_UNMET);
    }

    rc = es_checkpoint_audit(c, job, NULL);
    if (rc != ES_OK) {
        return rc;
    }

    k.mv_data = key->text;
    k.mv_size = key->len;

    return es_env_rc(mdb_del(c->txn, es_env_dbi(c->store->checkpoints,
                                                ES_CHECKPOINTS_CHECKPOINTS),
                             &k, NULL));
}


static es_rc_t
es_checkpoint_list(es_checkpoint_ctx_t *c, es_checkpoint_job_t *job)
{
    int                     rc;
    MDB_val                 k, v;
    es_rc_t                 result;
    es_str_t                consumer;
    MDB_cursor             *cursor;
    es_checkpoint_key_t     prefix;
    es_checkpoint_record_t  record;

    rc = mdb_cursor_open(c->txn, es_env_dbi(c->store->checkpoints,
                                            ES_CHECKPOINTS_CHECKPOINTS),
                         &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    result = es_buf_printf(&job->out, "{\"checkpoints\":[");

    es_checkpoint_prefix(job->found.number, job->partner, &prefix);
    k.mv_data = prefix.text;
    k.mv_size = prefix.len;

    rc = mdb_cursor_get(cursor, &k, &v, MDB_SET_RANGE);

    while (rc == 0 && result == ES_OK
           && k.mv_size > prefix.len
           && memcmp(k.mv_data, prefix.text, prefix.len) == 0)
    {
        consumer.data = (const char *) k.mv_data + prefix.len;
        consumer.len = k.mv_size - prefix.len;

        result = es_checkpoint_decode(&k, &v, &record);

        if (result == ES_OK && job->out.data[job->out.len - 1] == '}') {
            result = es_buf_printf(&job->out, ",");
        }

        if (result == ES_OK) {
            result = es_checkpoint_show(c, &job->found, consumer, &record,
                                        &job->out);
        }

        rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
    }

    mdb_cursor_close(cursor);

    if (result == ES_OK && rc != 0 && rc != MDB_NOTFOUND) {
        result = es_env_rc(rc);
    }

    return result == ES_OK ? es_buf_printf(&job->out, "]}") : result;
}


/* A result other than ES_OK undoes all that the transaction has written. */

static es_rc_t
es_checkpoint_job(es_checkpoint_ctx_t *c, es_checkpoint_job_t *job)
{
    es_rc_t                 rc;
    es_checkpoint_key_t     key;
    es_checkpoint_record_t  record;

    job->rc = ES_OK;
    job->created = false;
    job->current[0] = '\0';
    job->out.len = 0;
    memset(&job->found, 0, sizeof(job->found));
    memset(&record, 0, sizeof(record));

    rc = es_feed_get(c->log, job->feed, &job->found);
    if (rc != ES_OK) {
        return es_checkpoint_refuse(job, rc);
    }

    if (job->op == ES_CHECKPOINT_LIST) {
        return es_checkpoint_refuse(job, es_checkpoint_list(c, job));
    }

    if (!es_feed_name_ok(job->consumer)) {
        return es_checkpoint_refuse(job, job->op == ES_CHECKPOINT_PUT
                                         ? ES_INVALID : ES_NOT_FOUND);
    }

    es_checkpoint_key(job->found.number, job, &key);

    rc = es_checkpoint_load(c, &key, &record);

    if (rc == ES_OK) {
        es_checkpoint_etag(record.revision, job->etag);
        (void) es_cursor_print(record.epoch, record.sequence, job->current);

    } else if (rc == ES_NOT_FOUND && job->op == ES_CHECKPOINT_PUT) {
        job->created = true;

    } else if (rc != ES_CORRUPT || job->op != ES_CHECKPOINT_REMOVE) {
        return es_checkpoint_refuse(job, rc);
    }

    switch (job->op) {

    case ES_CHECKPOINT_PUT:
        return es_checkpoint_put(c, job, &key, &record);

    case ES_CHECKPOINT_REMOVE:
        return es_checkpoint_remove(c, job, &key);

    case ES_CHECKPOINT_GET:
    case ES_CHECKPOINT_LIST:
        break;
    }

    return es_checkpoint_refuse(job, es_checkpoint_show(c, &job->found,
                                                        job->consumer, &record,
                                                        &job->out));
}


static bool
es_checkpoint_writes(const es_checkpoint_job_t *job)
{
    return job->op == ES_CHECKPOINT_PUT || job->op == ES_CHECKPOINT_REMOVE;
}


/* Reads the log under the writer lock of `checkpoints/`.  If a feed is removed
   after that read, the prune that follows waits for the lock and sees what this
   transaction has written. */

static es_rc_t
es_checkpoint_txn(es_checkpoint_ctx_t *c, MDB_txn *txn, bool writes)
{
    size_t              i;
    es_rc_t             rc;
    es_clock_verdict_t  clock;

    c->txn = txn;

    rc = es_txn_begin(c->store, &c->log);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_clock_peek(c->log, &clock, NULL);
    c->now_ms = clock.time_ms;

    for (i = 0; rc == ES_OK && i < c->n; i++) {
        if (es_checkpoint_writes(c->jobs[i]) == writes) {
            rc = es_checkpoint_job(c, c->jobs[i]);
        }
    }

    es_txn_end(c->log);

    return rc;
}


static es_rc_t
es_checkpoint_write_txn(MDB_txn *txn, void *ctx)
{
    return es_checkpoint_txn(ctx, txn, true);
}


/* One job in a transaction of its own, after all jobs together found the map
   full: one that frees space, or replaces a record, may still have room. */

static es_rc_t
es_checkpoint_alone(es_store_t *store, es_checkpoint_job_t *job)
{
    es_slice_t           slice = { 1, 1 };
    es_checkpoint_ctx_t  c = { 0 };

    c.store = store;
    c.jobs = &job;
    c.n = 1;

    return job->op == ES_CHECKPOINT_REMOVE
           ? es_env_shrink(store->checkpoints, es_checkpoint_write_txn, &c,
                           &slice)
           : es_env_update(store->checkpoints, es_checkpoint_write_txn, &c);
}


static void
es_checkpoints_apart(es_store_t *store, es_checkpoint_job_t **jobs, size_t n)
{
    size_t   i;
    es_rc_t  rc;

    for (i = 0; i < n; i++) {
        if (!es_checkpoint_writes(jobs[i])) {
            continue;
        }

        rc = es_checkpoint_alone(store, jobs[i]);

        if (jobs[i]->rc == ES_OK) {
            jobs[i]->rc = rc;
        }
    }
}


void
es_checkpoints(es_store_t *store, es_checkpoint_job_t **jobs, size_t n)
{
    size_t               i, writes;
    es_rc_t              rc[2];
    MDB_txn             *txn;
    es_checkpoint_ctx_t  c = { 0 };

    ES_ASSERT_NO_EVENT_LOOP();

    c.store = store;
    c.jobs = jobs;
    c.n = n;
    writes = 0;

    for (i = 0; i < n; i++) {
        jobs[i]->rc = ES_OK;
        writes += es_checkpoint_writes(jobs[i]);
    }

    rc[0] = ES_OK;
    rc[1] = ES_OK;

    if (!(store->flags & ES_STORE_CHECKPOINT)) {
        rc[0] = ES_DENIED;
        rc[1] = ES_DENIED;
        goto done;
    }

    if (writes > 0) {
        rc[1] = es_env_update(store->checkpoints, es_checkpoint_write_txn, &c);
    }

    if (rc[1] == ES_FULL) {
        es_checkpoints_apart(store, jobs, n);
        rc[1] = ES_OK;
    }

    if (writes < n) {
        rc[0] = es_env_read_begin(store->checkpoints, &txn);

        if (rc[0] == ES_OK) {
            rc[0] = es_checkpoint_txn(&c, txn, false);
            es_env_read_end(store->checkpoints, txn);
        }
    }

done:

    for (i = 0; i < n; i++) {
        if (jobs[i]->rc == ES_OK) {
            jobs[i]->rc = rc[es_checkpoint_writes(jobs[i])];
        }
    }
}
