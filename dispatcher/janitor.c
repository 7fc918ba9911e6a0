/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What has to be done now and then, in a thread of its own: it
 * waits for the disk and for other writers.
 *
 * Retention of the feeds, of attempts and of dead letters, and the reader slots
 * of processes that died, which would keep pages of the log from being used
 * again; and the store itself, when a commit that failed has left it unusable.
 */

#include <stdio.h>
#include <time.h>

#include "dispatcher.h"

#define ES_JANITOR_S       2
#define ES_EXPIRE_MAX      5000    /* attempts in one commit */
#define ES_EXPIRE_PAUSE_NS 2000000 /* between such commits */
#define ES_EXPIRE_DEAD_MAX 5000    /* dead letters looked at in one */
#define ES_REAP_ROUNDS     5

/* Feeds whose retention could not be applied, of the janitor's thread. */
typedef struct {
    char    (*names)[ES_FEED_MAX + 1];
    size_t    n;
    bool      expiring;            /* the same, of attempts and dead letters */
} es_unapplied_t;

static void *es_janitor_main(void *ctx);


es_rc_t
es_janitor_start(es_dispatcher_t *d)
{
    return es_helper_start(&d->janitor, "es-janitor", es_janitor_main, d);
}


void
es_janitor_finish(es_dispatcher_t *d)
{
    (void) es_helper_finish(&d->janitor);
}


/* Says once that a feed's retention could not be applied, and once that it is
   applied again. */

static void
es_janitor_judge(es_unapplied_t *unapplied, const char *name, es_rc_t rc)
{
    void   *names;
    size_t  i;

    for (i = 0; i < unapplied->n; i++) {
        if (strcmp(unapplied->names[i], name) == 0) {
            break;
        }
    }

    if (rc != ES_OK && rc != ES_NOT_FOUND) {
        if (i < unapplied->n) {
            return;
        }

        es_log_line(ES_LOG_ERROR, "cannot apply retention to feed \"%s\": %s; "
                    "trying again each %d s", name, es_reason(rc),
                    ES_JANITOR_S);

        names = realloc(unapplied->names,
                        (i + 1) * sizeof(unapplied->names[0]));
        if (names != NULL) {
            unapplied->names = names;
            unapplied->n = i + 1;
            memcpy(unapplied->names[i], name, strlen(name) + 1);
        }

        return;
    }

    if (i == unapplied->n) {
        return;
    }

    unapplied->n--;
    memmove(unapplied->names[i], unapplied->names[unapplied->n],
            sizeof(unapplied->names[0]));

    if (rc == ES_OK) {
        es_log_line(ES_LOG_WARN, "retention is applied to feed \"%s\" again",
                    name);
    }
}


/* The next feed after `name` that keeps more than it should. */

static es_rc_t
es_janitor_next(es_dispatcher_t *d, es_unapplied_t *unapplied, char *name,
    uint64_t *oldest, es_taken_why_t *why)
{
    es_rc_t    rc, judged;
    es_txn_t  *txn;
    es_feed_t  feed;

    rc = es_txn_begin(d->store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    while ((rc = es_feed_next(txn, es_str(name), &feed)) == ES_OK) {
        memcpy(name, feed.name, sizeof(feed.name));

        if (!es_feed_limited(&feed)) {
            continue;
        }

        judged = es_feed_retained(txn, &feed, es_caution_ms(d), oldest, why);

        if (judged != ES_OK) {
            es_janitor_judge(unapplied, name, judged);

        } else if (*oldest > feed.oldest) {
            break;

        } else {
            es_janitor_judge(unapplied, name, ES_OK);
        }
    }

    es_txn_end(txn);

    return rc;
}


static void
es_janitor_trim(es_dispatcher_t *d, es_unapplied_t *unapplied)
{
    char            name[ES_FEED_MAX + 1];
    es_rc_t         rc;
    uint64_t        oldest;
    es_taken_why_t  why;

    name[0] = '\0';

    while (es_janitor_next(d, unapplied, name, &oldest, &why) == ES_OK) {
        rc = es_feed_take(d->store, es_str(name), oldest, why);
        es_janitor_judge(unapplied, name, rc);
    }
}


/* The next write would do the same, but one of these may never come. */

static void
es_janitor_recover(es_dispatcher_t *d)
{
    es_rc_t  rc;

    if (!es_store_lost(d->store)) {
        return;
    }

    rc = es_store_recover(d->store);

    if (rc != ES_OK) {
        es_log_line(ES_LOG_ERROR, "cannot open the store again after a commit "
                    "that failed: %s", es_reason(rc));
    }
}


/* Of the janitor and of the notifier, which publishes. */

static void
es_janitor_tell(es_dispatcher_t *d, bool all)
{
    char  text[ES_TOLD_MAX];

    while (es_store_taken(d->store, all, text, sizeof(text))) {
        es_log_line(ES_LOG_INFO, "%s", text);
    }

    if (es_store_clock_said(d->store, text, sizeof(text))) {
        es_log_line(ES_LOG_WARN, "%s", text);
    }
}


static void
es_janitor_look(es_dispatcher_t *d)
{
    es_rc_t  rc;

    rc = es_caution_look(d);

    if (rc != ES_OK && rc != ES_FULL) {
        es_log_line(ES_LOG_ERROR, "cannot look at the store's time: %s",
                    es_strerror(rc));
    }
}


static bool
es_janitor_quits(es_helper_t *janitor)
{
    bool  quit;

    es_helper_lock(janitor);
    quit = janitor->quit;
    es_helper_unlock(janitor);

    return quit;
}


/* Attempts go as fast as they come: in commits that keep the recorder waiting
   for a moment only, which has its turn between them. */

static void
es_janitor_expire(es_dispatcher_t *d, es_unapplied_t *unapplied,
    es_dead_place_t *place)
{
    bool      more;
    es_rc_t   rc;
    int64_t   now_ms;
    unsigned  dropped;

    static const struct timespec  pause = { .tv_nsec = ES_EXPIRE_PAUSE_NS };

    now_ms = es_caution_ms(d);

    do {
        rc = es_delivery_expire(d->store, now_ms - d->options.attempts_ms,
                                ES_EXPIRE_MAX, &more);

        if (more) {
            (void) nanosleep(&pause, NULL);
        }

    } while (more && !es_janitor_quits(&d->janitor));

    if (rc == ES_OK) {
        rc = es_delivery_expire_dead(d->store, now_ms - d->options.dead_ms,
                                     ES_EXPIRE_DEAD_MAX, place, &dropped);

        if (rc == ES_OK && dropped > 0) {
            es_log_line(ES_LOG_WARN, "%u dead letters are dropped: they are "
                        "older than %u s, and nobody has redriven them",
                        dropped, d->options.dead_ms / 1000);
        }
    }

    if (rc != ES_OK && !unapplied->expiring) {
        es_log_line(ES_LOG_ERROR, "cannot expire attempts and dead letters: "
                    "%s; trying again each %d s", es_reason(rc), ES_JANITOR_S);

    } else if (rc == ES_OK && unapplied->expiring) {
        es_log_line(ES_LOG_WARN, "attempts and dead letters expire again");
    }

    unapplied->expiring = rc != ES_OK;
}


static void *
es_janitor_main(void *ctx)
{
    int               dead;
    unsigned          round;
    struct timespec   until;
    es_helper_t      *janitor;
    es_dead_place_t   place = { 0 };
    es_unapplied_t    unapplied = { 0 };
    es_dispatcher_t  *d;

    d = ctx;
    janitor = &d->janitor;

    es_helper_lock(janitor);

    for (round = 0; !janitor->quit; round++) {
        es_helper_unlock(janitor);

        es_janitor_recover(d);
        es_janitor_look(d);
        es_janitor_trim(d, &unapplied);
        es_janitor_expire(d, &unapplied, &place);
        es_janitor_tell(d, false);

        if (round % ES_REAP_ROUNDS == 0) {
            dead = es_store_reap_readers(d->store);
            if (dead > 0) {
                es_log_line(ES_LOG_INFO, "freed %d reader slots of processes "
                            "that died", dead);
            }
        }

        es_helper_lock(janitor);

        es_helper_after(&until, ES_JANITOR_S);

        while (!janitor->quit && es_helper_wait_until(janitor, &until)) {
            /* void */
        }
    }

    es_helper_unlock(janitor);
    free(unapplied.names);
    es_janitor_tell(d, true);

    return NULL;
}
