/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Runs the verification: each feed, then the indexes, the registry, the secrets
 * and the checkpoints.
 *
 * The log is verified in slices, each a write transaction that writes nothing.
 * Under the writer lock the log and the id index cannot change, and a slice is
 * too short for publishers to notice.
 */

#include <stdarg.h>
#include <stdio.h>

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


static es_rc_t
es_verify_slices(es_verify_ctx_t *v, es_env_fn fn)
{
    es_rc_t  rc;

    rc = ES_OK;

    for (v->done = false; rc == ES_OK && !v->done; /* void */ ) {
        rc = es_env_update(v->store->log, fn, v);
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


es_rc_t
es_verify(es_store_t *store, es_verify_fn fn, void *ctx, es_verify_t *totals)
{
    es_rc_t          rc;
    es_txn_t        *txn;
    es_feed_t        feed;
    es_verify_ctx_t  v = { 0 };

    if (!(store->flags & ES_STORE_PUBLISH)) {
        return ES_DENIED;
    }

    memset(totals, 0, sizeof(es_verify_t));
    v.store = store;
    v.fn = fn;
    v.fn_ctx = ctx;
    v.totals = totals;

    for ( ;; ) {
        rc = es_txn_begin(store, &txn);
        if (rc != ES_OK) {
            return rc;
        }

        rc = es_feed_next(txn, es_str(v.name), &feed);
        es_txn_end(txn);

        if (rc == ES_NOT_FOUND) {
            break;
        }

        if (rc != ES_OK) {
            return rc;
        }

        memcpy(v.name, feed.name, sizeof(v.name));
        memset(v.epoch, 0, sizeof(v.epoch));
        totals->feeds++;

        rc = es_verify_slices(&v, es_verify_feed_slice);
        if (rc != ES_OK) {
            return rc;
        }
    }

    rc = es_verify_slices(&v, es_verify_types_slice);

    if (rc == ES_OK) {
        rc = es_verify_slices(&v, es_verify_subjects_slice);
    }

    if (rc == ES_OK) {
        rc = es_verify_registry(store, fn, ctx, totals);
    }

    if (rc == ES_OK) {
        rc = es_verify_secrets(store, es_verify_secret_fault, &v,
                               &totals->faults);
    }

    if (rc == ES_OK && store->checkpoints != NULL) {
        rc = es_checkpoint_verify(store, fn, ctx, totals);
    }

    if (rc != ES_OK) {
        return rc;
    }

    return totals->faults ? ES_CORRUPT : ES_OK;
}
