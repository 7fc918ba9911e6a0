/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Runs the verification: each feed, then the indexes, the registry, the secrets
 * and the checkpoints.
 *
 * The log of a store in use is verified in slices, each a write transaction
 * that writes nothing.  Under the writer lock the log and the id index cannot
 * change, and a slice is too short for publishers to notice.
 */

#include <stdarg.h>
#include <stdio.h>

#include "audit/audit.h"
#include "base/base.h"
#include "checkpoint/checkpoint.h"
#include "inspect/verify.h"
#include "inspect/verify_internal.h"
#include "log/feed.h"
#include "registry/secrets.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"


void
es_verify_fault(es_verify_ctx_t *v, const char *fmt, ...)
{
    int      n;
    char     text[512];
    va_list  args;

    n = snprintf(text, sizeof(text), "feed %s: ", v->name);

    va_start(args, fmt);
    (void) vsnprintf(text + n, sizeof(text) - (size_t) n, fmt, args);
    va_end(args);

    v->totals->faults++;
    v->fn(v->fn_ctx, text);
}


/* Records can be read beside live traffic, but the id index cannot. */

static es_rc_t
es_verify_slice(es_verify_ctx_t *v, es_env_fn fn)
{
    es_rc_t   rc;
    MDB_txn  *txn;

    if (!v->records) {
        return es_env_update(v->store->log, fn, v);
    }

    rc = es_env_read_begin(v->store->log, &txn);

    if (rc == ES_OK) {
        rc = fn(txn, v);
        es_env_read_end(v->store->log, txn);
    }

    return rc;
}


static es_rc_t
es_verify_slices(es_verify_ctx_t *v, es_env_fn fn)
{
    es_rc_t  rc;

    rc = ES_OK;

    for (v->done = false; rc == ES_OK && !v->done; /* void */ ) {
        rc = es_verify_slice(v, fn);
        v->fn(v->fn_ctx, NULL);

        if (v->pace != NULL && atomic_load(&v->pace->stop)) {
            return ES_STOP;
        }
    }

    return rc;
}


static void
es_verify_secret_fault(void *ctx, es_str_t name, const char *text)
{
    char              line[256];
    es_verify_ctx_t  *v = ctx;

    (void) snprintf(line, sizeof(line), "endpoint %.*s: %s", (int) name.len,
                    name.data, text);
    v->fn(v->fn_ctx, line);
}


static es_rc_t
es_verify_feeds(es_verify_ctx_t *v)
{
    es_rc_t    rc;
    es_txn_t  *txn;
    es_feed_t  feed;

    for ( ;; ) {
        rc = es_txn_begin(v->store, &txn);
        if (rc != ES_OK) {
            return rc;
        }

        rc = es_feed_next(txn, es_str(v->name), &feed);
        es_txn_end(txn);

        if (rc != ES_OK) {
            return rc == ES_NOT_FOUND ? ES_OK : rc;
        }

        memcpy(v->name, feed.name, sizeof(v->name));
        memset(v->epoch, 0, sizeof(v->epoch));
        v->totals->feeds++;

        rc = es_verify_slices(v, es_verify_feed_slice);
        if (rc != ES_OK) {
            return rc;
        }
    }
}


/* The chains of the environments that are open. */

static es_rc_t
es_verify_audit(es_verify_ctx_t *v)
{
    char                 line[300];
    es_rc_t              rc;
    unsigned             i;
    es_problem_t         problem = { 0 };
    es_audit_verdict_t   verdict;

    for (i = 0; i < ES_AUDIT_CHAINS; i++) {
        rc = es_audit_verify(v->store, (es_audit_chain_t) i, NULL, 0, &verdict,
                             &problem);

        if (rc == ES_CORRUPT) {
            (void) snprintf(line, sizeof(line), "audit of %s", problem.detail);
            v->fn(v->fn_ctx, line);
            v->totals->faults++;

        } else if (rc != ES_OK) {
            return rc;
        }
    }

    return ES_OK;
}


static es_rc_t
es_verify_run(es_verify_ctx_t *v)
{
    es_rc_t      rc;
    es_store_t  *store;

    store = v->store;
    memset(v->totals, 0, sizeof(es_verify_t));

    rc = es_verify_feeds(v);

    if (rc == ES_OK && !v->records) {
        rc = es_verify_slices(v, es_verify_types_slice);
    }

    if (rc == ES_OK && !v->records) {
        rc = es_verify_slices(v, es_verify_subjects_slice);
    }

    if (rc == ES_OK) {
        rc = es_verify_registry(store, v->fn, v->fn_ctx, v->totals);
    }

    if (rc == ES_OK) {
        rc = es_verify_secrets(store, es_verify_secret_fault, v,
                               &v->totals->faults);
    }

    if (rc == ES_OK && store->checkpoints != NULL) {
        rc = es_checkpoint_verify(store, v->fn, v->fn_ctx, v->totals);
    }

    if (rc == ES_OK) {
        rc = es_verify_audit(v);
    }

    if (rc != ES_OK) {
        return rc;
    }

    return v->totals->faults ? ES_CORRUPT : ES_OK;
}


es_rc_t
es_verify(es_store_t *store, es_verify_fn fn, void *ctx, es_verify_t *totals)
{
    es_verify_ctx_t  v = { .store = store, .fn = fn, .fn_ctx = ctx,
                           .totals = totals };

    return store->flags & ES_STORE_PUBLISH ? es_verify_run(&v) : ES_DENIED;
}


es_rc_t
es_verify_records(es_store_t *store, es_pace_t *pace, es_verify_fn fn,
    void *ctx, es_verify_t *totals)
{
    es_verify_ctx_t  v = { .store = store, .fn = fn, .fn_ctx = ctx,
                           .totals = totals, .records = true, .pace = pace };

    return es_verify_run(&v);
}
