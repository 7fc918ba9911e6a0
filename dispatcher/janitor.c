/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Periodic maintenance of the store, in a thread of its own, because it waits
 * for the disk and for other writers.
 *
 * The janitor applies the retention of feeds, attempts and dead letters.  It
 * frees the reader slots of dead processes, which would keep the log from
 * reusing pages.  It also opens the store again when a failed commit has left
 * it unusable.
 */

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#include "base/base.h"
#include "delivery/delivery.h"
#include "delivery/erased_answers.h"
#include "log/feed.h"
#include "log/store_clock.h"
#include "read/ciphertexts.h"
#include "read/retention.h"
#include "store/deletions.h"
#include "store/txn.h"

#include "dispatcher.h"
#include "heads.h"
#include "janitor.h"
#include "log.h"
#include "thread.h"
#include "trusted_clock.h"

#define ESD_JANITOR_S       2
#define ESD_EXPIRE_MAX      5000   /* attempts in one commit */
#define ESD_EXPIRE_PAUSE_NS 2000000 /* between such commits */
#define ESD_EXPIRE_DEAD_MAX 5000   /* dead letters examined in one */
#define ESD_REAP_ROUNDS     5
#define ESD_PRUNE_ROUNDS    15

typedef struct {
    char    (*names)[ES_FEED_MAX + 1];
    size_t    n;
} esd_feed_names_t;

/* What the log has said; of the janitor's thread. */
typedef struct {
    esd_feed_names_t  failing;     /* retention could not be applied */
    esd_feed_names_t  held;        /* a hold keeps what it would delete */
    bool              expiring;    /* attempts and dead letters could not
                                      expire */
    bool              erasing;     /* the same for answers to erased events */
} esd_unapplied_t;

static void *esd_janitor_main(void *ctx);


es_rc_t
esd_janitor_start(esd_dispatcher_t *d)
{
    return esd_thread_start(&d->janitor, "es-janitor", esd_janitor_main, d);
}


void
esd_janitor_finish(esd_dispatcher_t *d)
{
    (void) esd_thread_finish(&d->janitor);
}


/* Puts the feed on the list, or takes it off.  False: it was so before. */

static bool
esd_janitor_list(esd_feed_names_t *list, const char *name, bool on)
{
    void   *names;
    size_t  i;

    for (i = 0; i < list->n; i++) {
        if (strcmp(list->names[i], name) == 0) {
            break;
        }
    }

    if (on == (i < list->n)) {
        return false;
    }

    if (!on) {
        list->n--;
        memmove(list->names[i], list->names[list->n], sizeof(list->names[0]));
        return true;
    }

    names = realloc(list->names, (i + 1) * sizeof(list->names[0]));
    if (names != NULL) {
        list->names = names;
        list->n = i + 1;
        memcpy(list->names[i], name, strlen(name) + 1);
    }

    return true;
}


/* Logs once that the retention of a feed cannot be applied, and once that it
   can be applied again. */

static void
esd_janitor_note(esd_unapplied_t *unapplied, const char *name, es_rc_t rc)
{
    bool  failed;

    failed = rc != ES_OK && rc != ES_NOT_FOUND && rc != ES_HELD;

    if (!esd_janitor_list(&unapplied->failing, name, failed)) {
        return;
    }

    if (failed) {
        esd_log_about(ESD_LOG_ERROR, (esd_about_t) { .feed = name },
                      "cannot apply retention to feed \"%s\": %s; the "
                      "dispatcher tries again every %d s", name,
                      es_reason(rc), ESD_JANITOR_S);

    } else if (rc == ES_OK) {
        esd_log_about(ESD_LOG_WARN, (esd_about_t) { .feed = name },
                      "retention is applied to feed \"%s\" again", name);
    }
}


/* Logs once that a hold keeps events that the feed's limits would delete. */

static void
esd_janitor_held(esd_dispatcher_t *d, esd_unapplied_t *unapplied,
    es_txn_t *txn, const es_feed_t *feed)
{
    bool                 over;
    uint64_t             oldest;
    es_deletion_cause_t  why;

    over = feed->held
           && es_feed_retained(txn, feed, esd_clock_expiry_ms(d), &oldest,
                               &why) == ES_OK
           && oldest > feed->oldest;

    if (esd_janitor_list(&unapplied->held, feed->name, over) && over) {
        esd_log_about(ESD_LOG_WARN, (esd_about_t) { .feed = feed->name },
                      "feed \"%s\" is held: it keeps %" PRIu64 " events that "
                      "retention would delete (%s)", feed->name,
                      oldest - feed->oldest, es_deletion_cause_name(why));
    }
}


/* The next feed after `name` with events that retention must delete. */

static es_rc_t
esd_janitor_next(esd_dispatcher_t *d, esd_unapplied_t *unapplied, char *name,
    uint64_t *oldest, es_deletion_cause_t *why)
{
    es_rc_t    rc, checked;
    es_txn_t  *txn;
    es_feed_t  feed;

    rc = es_txn_begin(d->store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    while ((rc = es_feed_next(txn, es_str(name), &feed)) == ES_OK) {
        memcpy(name, feed.name, sizeof(feed.name));
        esd_janitor_held(d, unapplied, txn, &feed);

        if (!es_feed_limited(&feed)) {
            continue;
        }

        checked = es_feed_retained(txn, &feed, esd_clock_expiry_ms(d), oldest,
                                   why);

        if (checked != ES_OK) {
            esd_janitor_note(unapplied, name, checked);

        } else if (*oldest > feed.oldest) {
            break;

        } else {
            esd_janitor_note(unapplied, name, ES_OK);
        }
    }

    es_txn_end(txn);

    return rc;
}


static void
esd_janitor_trim(esd_dispatcher_t *d, esd_unapplied_t *unapplied)
{
    char                 name[ES_FEED_MAX + 1];
    es_rc_t              rc;
    uint64_t             oldest;
    es_deletion_cause_t  why;

    name[0] = '\0';

    while (esd_janitor_next(d, unapplied, name, &oldest, &why) == ES_OK) {
        rc = es_feed_take(d->store, es_str(name), oldest, why);
        esd_janitor_note(unapplied, name, rc);
    }
}


/* The next write would do the same, but there may be no write. */

static void
esd_janitor_recover(esd_dispatcher_t *d)
{
    es_rc_t  rc;

    if (!es_store_lost(d->store)) {
        return;
    }

    rc = es_store_recover(d->store);

    if (rc != ES_OK) {
        esd_log_line(ESD_LOG_ERROR,
                     "cannot open the store again after a failed "
                     "commit: %s", es_reason(rc));
    }
}


/* Logs deletions by the janitor and by the notifier, which publishes. */

static void
esd_janitor_report(esd_dispatcher_t *d, bool all)
{
    char  text[ES_DELETIONS_TEXT_MAX];

    while (es_deletions_next(d->store, all, text, sizeof(text))) {
        esd_log_line(ESD_LOG_INFO, "%s", text);
    }

    if (es_store_clock_said(d->store, text, sizeof(text))) {
        esd_log_line(ESD_LOG_WARN, "%s", text);
    }
}


static void
esd_janitor_clock(esd_dispatcher_t *d)
{
    es_rc_t  rc;

    rc = esd_clock_update(d);

    if (rc != ES_OK && rc != ES_FULL) {
        esd_log_line(ESD_LOG_ERROR, "cannot read the store's time: %s",
                     es_strerror(rc));
    }
}


static bool
esd_janitor_quits(esd_thread_t *janitor)
{
    bool  quit;

    esd_thread_lock(janitor);
    quit = janitor->quit;
    esd_thread_unlock(janitor);

    return quit;
}


/* Deletes attempts as fast as they expire, in small commits, so that the
   recorder waits only for a moment and commits between them. */

static void
esd_janitor_expire(esd_dispatcher_t *d, esd_unapplied_t *unapplied,
    es_dead_position_t *position)
{
    bool      more;
    es_rc_t   rc;
    int64_t   now_ms;
    unsigned  dropped;

    static const struct timespec  pause = { .tv_nsec = ESD_EXPIRE_PAUSE_NS };

    now_ms = esd_clock_expiry_ms(d);

    do {
        rc = es_delivery_expire(d->store, now_ms - d->options.attempts_ms,
                                ESD_EXPIRE_MAX, &more);

        if (more) {
            (void) nanosleep(&pause, NULL);
        }

    } while (more && !esd_janitor_quits(&d->janitor));

    if (rc == ES_OK) {
        rc = es_delivery_expire_dead(d->store, now_ms - d->options.dead_ms,
                                     ESD_EXPIRE_DEAD_MAX, position, &dropped);

        if (rc == ES_OK && dropped > 0) {
            esd_log_line(ESD_LOG_WARN,
                         "%u dead letters were deleted: they were "
                         "older than %u s and were not redriven",
                         dropped, d->options.dead_ms / 1000);
        }
    }

    if (rc != ES_OK && !unapplied->expiring) {
        esd_log_line(ESD_LOG_ERROR, "cannot expire attempts and dead letters: "
                     "%s; the dispatcher tries again every %d s",
                     es_reason(rc), ESD_JANITOR_S);

    } else if (rc == ES_OK && unapplied->expiring) {
        esd_log_line(ESD_LOG_WARN, "attempts and dead letters expire again");
    }

    unapplied->expiring = rc != ES_OK;
}


/* An answer may repeat the event that was erased. */

static void
esd_janitor_erase(esd_dispatcher_t *d, esd_unapplied_t *unapplied)
{
    es_rc_t   rc;
    uint64_t  erased;

    rc = es_delivery_erase(d->store, &erased);

    if (rc == ES_OK && erased > 0) {
        esd_log_line(ESD_LOG_INFO, "took the answers to %" PRIu64 " erased "
                     "events", erased);
    }

    if (rc != ES_OK && !unapplied->erasing) {
        esd_log_line(ESD_LOG_ERROR, "cannot take the answers to erased "
                     "events: %s; the dispatcher tries again every %d s",
                     es_reason(rc), ESD_JANITOR_S);

    } else if (rc == ES_OK && unapplied->erasing) {
        esd_log_line(ESD_LOG_WARN, "answers to erased events are taken again");
    }

    unapplied->erasing = rc != ES_OK;
}


/* Ciphertexts go with their events.  A failure is no harm: the next round does
   the same. */

static void
esd_janitor_prune(esd_dispatcher_t *d)
{
    (void) es_ciphertexts_prune(d->encrypt.texts);
}


static void *
esd_janitor_main(void *ctx)
{
    int                 dead;
    unsigned            round;
    struct timespec     until;
    esd_thread_t       *janitor;
    es_dead_position_t  position = { 0 };
    esd_unapplied_t     unapplied = { 0 };
    esd_heads_t         heads = { 0 };
    esd_dispatcher_t   *d;

    d = ctx;
    janitor = &d->janitor;

    esd_thread_lock(janitor);

    for (round = 0; !janitor->quit; round++) {
        esd_thread_unlock(janitor);

        esd_janitor_recover(d);
        esd_janitor_clock(d);
        esd_janitor_trim(d, &unapplied);
        esd_janitor_expire(d, &unapplied, &position);
        esd_janitor_erase(d, &unapplied);
        esd_janitor_report(d, false);
        esd_heads_sign(d, &heads, false);

        if (round % ESD_PRUNE_ROUNDS == ESD_PRUNE_ROUNDS - 1) {
            esd_janitor_prune(d);
        }

        if (round % ESD_REAP_ROUNDS == 0) {
            dead = es_store_reap_readers(d->store);
            if (dead > 0) {
                esd_log_line(ESD_LOG_INFO,
                             "freed %d reader slots of dead "
                             "processes", dead);
            }
        }

        esd_thread_lock(janitor);

        esd_thread_deadline(&until, ESD_JANITOR_S);

        while (!janitor->quit && esd_thread_wait_until(janitor, &until)) {
            /* void */
        }
    }

    esd_thread_unlock(janitor);
    free(unapplied.failing.names);
    free(unapplied.held.names);
    esd_janitor_report(d, true);
    esd_heads_sign(d, &heads, true);

    return NULL;
}
