/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The thread that publishes operational events.
 *
 * notice.c stores the events in an outbox in delivery/.  The thread publishes
 * each one to the feed that the partner's record names, and removes it from the
 * outbox.  While the log cannot be written, it tries again every second.
 */

#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "delivery/delivery.h"
#include "delivery/outbox.h"
#include "event/batch.h"
#include "registry/registry.h"

#include "data_use.h"
#include "deprecation.h"
#include "dispatcher.h"
#include "erasure.h"
#include "log.h"
#include "notifier.h"
#include "retention_warning.h"
#include "thread.h"

#define ESD_NOTICES_MAX  100       /* in one commit */
#define ESD_NOTICE_S     1

typedef struct {
    size_t       n;
    uint64_t     numbers[ESD_NOTICES_MAX];
    es_batch_t  *batches[ESD_NOTICES_MAX];
} esd_posting_t;

static void *esd_notifier_main(void *ctx);


es_rc_t
esd_notifier_start(esd_dispatcher_t *d)
{
    es_rc_t          rc;
    uint64_t         last, waiting;
    esd_notifier_t  *notifier;

    notifier = &d->notifier;

    rc = es_delivery_outbox_last(d->store, &last);

    if (rc == ES_OK) {
        rc = es_delivery_outbox_count(d->store, &waiting, &notifier->dropped);
    }

    if (rc != ES_OK) {
        return rc;
    }

    atomic_store(&notifier->last, last);
    notifier->pending = true;

    notifier->changes = es_changeset_create();
    if (notifier->changes == NULL) {
        return ES_NOMEM;
    }

    return esd_thread_start(&notifier->thread, "es-notifier",
                            esd_notifier_main, d);
}


void
esd_notifier_wake(esd_dispatcher_t *d)
{
    esd_notifier_t  *notifier;

    notifier = &d->notifier;

    esd_thread_lock(&notifier->thread);
    notifier->pending = true;
    esd_thread_wake(&notifier->thread);
    esd_thread_unlock(&notifier->thread);
}


void
esd_notifier_finish(esd_dispatcher_t *d)
{
    esd_notifier_t  *notifier;

    notifier = &d->notifier;

    (void) esd_thread_finish(&notifier->thread);
    es_changeset_destroy(notifier->changes);
    notifier->changes = NULL;
    es_registry_free(notifier->registry);
    notifier->registry = NULL;
}


/* The same as esd_must(), for the set of changes of this thread. */

static void
esd_notifier_must(es_rc_t rc)
{
    if (rc != ES_OK) {
        esd_log_line(ESD_LOG_ERROR, "cannot record an announcement: %s; "
                     "ending, so that a restart continues from the last commit",
                     es_reason(rc));
        _exit(1);
    }
}


/* Drops an event that can never be published, so that others go on. */

static void
esd_notifier_drop(esd_dispatcher_t *d, uint64_t number, const char *feed,
    const char *why)
{
    esd_log_about(ESD_LOG_ERROR, (esd_about_t) { .feed = feed },
                  "an operational event for feed \"%s\" was dropped: %s",
                  feed, why);
    d->notifier.dropped++;
    esd_notifier_must(es_changeset_outbox_done(d->notifier.changes, number));
    esd_notifier_must(es_changeset_outbox_dropped(d->notifier.changes,
                                           d->notifier.dropped));
}


static es_rc_t
esd_posting_gather(esd_dispatcher_t *d, esd_posting_t *posting)
{
    es_rc_t        rc;
    es_buf_t       feed = { 0 }, event = { 0 };
    uint64_t       number;
    es_batch_t    *batch;
    es_problem_t   problem;

    posting->n = 0;
    number = d->notifier.after;

    while (posting->n < ESD_NOTICES_MAX
           && (rc = es_delivery_outbox_next(d->store, &number, &feed, &event))
              == ES_OK)
    {
        batch = es_batch_create((es_str_t) { feed.data, feed.len }, NULL);
        if (batch == NULL) {
            rc = ES_NOMEM;
            break;
        }

        batch->publisher.key = ES_PUBLISHER_DISPATCHER;

        if (es_batch_add(batch, event.data, event.len, &problem) == ES_OK) {
            posting->numbers[posting->n] = number;
            posting->batches[posting->n++] = batch;

        } else {
            es_batch_destroy(batch);
            (void) es_buf_append(&feed, "", 1);
            esd_notifier_drop(d, number, feed.data, problem.detail);
        }

        d->notifier.after = number;
    }

    es_buf_free(&feed);
    es_buf_free(&event);

    return posting->n > 0 || rc == ES_NOT_FOUND ? ES_OK : rc;
}


/* The event or its feed is at fault, so another attempt would fail too. */

static bool
esd_notifier_refused(es_rc_t rc)
{
    return rc == ES_NOT_FOUND
           || rc == ES_CONFLICT
           || rc == ES_INVALID
           || rc == ES_TOO_LARGE
           || rc == ES_MISMATCH;
}


/* True: every event was published or dropped. */

static bool
esd_posting_done(esd_dispatcher_t *d, esd_posting_t *posting)
{
    bool         done;
    size_t       i;
    es_rc_t      rc;
    const char  *feed;

    done = true;

    for (i = 0; i < posting->n; i++) {
        rc = es_batch_rc(posting->batches[i]);
        feed = es_batch_feed(posting->batches[i]);

        if (rc == ES_OK) {
            esd_notifier_must(es_changeset_outbox_done(d->notifier.changes,
                                                       posting->numbers[i]));

        } else if (esd_notifier_refused(rc)) {
            esd_notifier_drop(d, posting->numbers[i], feed,
                              es_batch_problem(posting->batches[i])->detail);

        } else {
            if (!d->notifier.failed) {
                esd_log_about(ESD_LOG_ERROR, (esd_about_t) { .feed = feed },
                              "cannot publish operational events to feed "
                              "\"%s\": %s; the dispatcher tries again every "
                              "%d s", feed, es_reason(rc), ESD_NOTICE_S);
            }

            d->notifier.failed = true;
            done = false;
        }

        es_batch_destroy(posting->batches[i]);
    }

    return done;
}


/* Publishes the events of the outbox.  The next round tries those again that
   could not be published. */

static void
esd_notifier_post(esd_dispatcher_t *d)
{
    bool           done;
    es_rc_t        rc;
    esd_posting_t  posting;

    d->notifier.after = 0;
    done = true;

    do {
        rc = esd_posting_gather(d, &posting);

        if (rc == ES_OK && posting.n > 0) {
            es_publish(d->store, posting.batches, posting.n);
            done = esd_posting_done(d, &posting);
        }

        if (rc == ES_OK) {
            rc = es_delivery_commit(d->store, d->notifier.changes);
        }

    } while (rc == ES_OK && done && posting.n > 0);

    if (rc != ES_OK && !d->notifier.failed) {
        d->notifier.failed = true;
        esd_log_line(ESD_LOG_ERROR,
                     "cannot read operational events from the "
                     "outbox: %s; the dispatcher tries again every %d s",
                     es_reason(rc), ESD_NOTICE_S);
    }

    done = done && rc == ES_OK;

    if (done && d->notifier.failed) {
        d->notifier.failed = false;
        esd_log_line(ESD_LOG_WARN,
                     "operational events can be published again");
    }
}


static void
esd_notifier_wait(esd_notifier_t *notifier)
{
    struct timespec  until;

    esd_thread_deadline(&until, ESD_NOTICE_S);

    while (!notifier->thread.quit
           && !notifier->pending
           && esd_thread_wait_until(&notifier->thread, &until))
    {
        /* void */
    }

    notifier->pending = false;
}


static void *
esd_notifier_main(void *ctx)
{
    bool               last;
    esd_notifier_t    *notifier;
    esd_dispatcher_t  *d;

    d = ctx;
    notifier = &d->notifier;

    esd_thread_lock(&notifier->thread);

    do {
        esd_notifier_wait(notifier);
        last = notifier->thread.quit;

        esd_thread_unlock(&notifier->thread);
        esd_warning_check(d);
        esd_deprecation_check(d);
        esd_data_use_check(d);
        esd_erasure_check(d);
        esd_notifier_post(d);
        esd_thread_lock(&notifier->thread);

    } while (!last);

    esd_thread_unlock(&notifier->thread);

    return NULL;
}
