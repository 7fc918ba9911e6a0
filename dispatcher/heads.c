/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Signs the heads of the audit's chains and writes them to a file and to the
 * log.
 *
 * The key file is read each time, so that a new key needs no restart, and the
 * process keeps none in memory.  The store keeps the time of the last success,
 * for the metrics.
 */

#include "audit/heads.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/reason.h"
#include "delivery/delivery.h"

#include "dispatcher.h"
#include "heads.h"
#include "log.h"

#define ESD_HEADS_US    INT64_C(60000000)
#define ESD_HEADS_RETRY_US  INT64_C(10000000)      /* after a failure */
#define ESD_HEADS_MODE  0644       /* heads are no secret */


es_rc_t
esd_heads_check(const esd_dispatcher_t *d)
{
    es_rc_t          rc;
    es_problem_t     problem;
    es_heads_key_t  *key = NULL;

    if (d->options.audit_key == NULL) {
        return ES_OK;
    }

    rc = es_heads_key_load(d->options.audit_key, &key, &problem);
    if (rc != ES_OK) {
        esd_log_line(ESD_LOG_ERROR, "%s", problem.detail);
    }

    es_heads_key_free(key);

    return rc;
}


static bool
esd_heads_try(esd_dispatcher_t *d, es_buf_t *line, es_problem_t *problem)
{
    es_rc_t          rc;
    es_heads_t       heads;
    es_heads_key_t  *key = NULL;

    rc = es_heads_key_load(d->options.audit_key, &key, problem);
    if (rc != ES_OK) {
        return false;
    }

    rc = es_heads_read(d->store, &heads);

    if (rc == ES_OK) {
        rc = es_heads_sign(key, &heads, line);
    }

    es_heads_key_free(key);

    if (rc == ES_OK) {
        rc = es_buf_append(line, "\n", 1);
    }

    if (rc == ES_OK) {
        rc = es_file_replace(d->options.audit_heads, line,
                             ESD_HEADS_MODE);
    }

    if (rc == ES_OK) {
        rc = es_delivery_signed_put(d->store, es_clock_ms());
    }

    if (rc != ES_OK) {
        (void) es_problem_set(problem, rc, -1, NULL, "%s", es_reason(rc));
    }

    return rc == ES_OK;
}


/* The store says that heads are to be signed, also before the first ones, so
   that an alert can tell that there are none. */

static void
esd_heads_known(esd_dispatcher_t *d, esd_heads_t *heads)
{
    es_rc_t  rc;
    int64_t  ms;

    if (heads->known) {
        return;
    }

    rc = es_delivery_signed(d->store, &ms);

    if (rc == ES_OK && d->options.audit_key == NULL) {
        rc = es_delivery_signed_put(d->store, -1);

    } else if (rc == ES_NOT_FOUND) {
        rc = d->options.audit_key != NULL
             ? es_delivery_signed_put(d->store, 0) : ES_OK;
    }

    heads->known = rc == ES_OK;
}


void
esd_heads_sign(esd_dispatcher_t *d, esd_heads_t *heads, bool now)
{
    es_buf_t      line = { NULL, 0, 0 };
    es_problem_t  problem;

    esd_heads_known(d, heads);

    if (d->options.audit_key == NULL
        || (!now && es_clock_mono_us() < heads->due_us))
    {
        return;
    }

    heads->due_us = es_clock_mono_us() + ESD_HEADS_US;

    if (esd_heads_try(d, &line, &problem)) {
        esd_log_line(ESD_LOG_INFO, "audit heads: %.*s", (int) line.len - 1,
                     line.data);

        if (heads->failing) {
            esd_log_line(ESD_LOG_WARN, "the heads of the audit are signed "
                         "again");
        }

        heads->failing = false;

    } else {
        heads->due_us = es_clock_mono_us() + ESD_HEADS_RETRY_US;

        if (!heads->failing) {
            esd_log_line(ESD_LOG_ERROR, "cannot sign the heads of the audit: "
                         "%s; the dispatcher tries again every 10 s",
                         problem.detail);
        }

        heads->failing = true;
    }

    es_buf_free(&line);
}
