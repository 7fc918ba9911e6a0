/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The store on the command line: it is created, opened and verified here.
 *
 * A command opens only the environments that it needs, by flags, because its
 * user may have no right to write the others.
 */

#include <stdio.h>

#include "base/clock.h"
#include "base/private.h"
#include "commands.h"
#include "log/store_clock.h"
#include "open/child.h"
#include "open/open.h"
#include "progress.h"
#include "store/deletions.h"
#include "store/plain_secrets.h"


/* Only commands that write or verify secrets need the keys.  Without a key file
   the library reports the missing keys to those commands. */

static int
ctl_open_keys(ctl_t *ctl)
{
    es_problem_t   problem;
    es_keyring_t  *ring;

    if (ctl->key_file == NULL || ctl->key_file[0] == '\0') {
        return CTL_OK;
    }

    if (!es_process_private()) {
        return ctl_fail(CTL_FAILED, "cannot switch core dumps off");
    }

    if (es_keyring_load(ctl->key_file, &ring, &problem) != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    if (es_registry_keys(ctl->store, ring, &problem) != ES_OK) {
        es_keyring_free(ring);
        return ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    return CTL_OK;
}


static int
ctl_open_path(const ctl_t *ctl)
{
    if (ctl->store_path == NULL || ctl->store_path[0] == '\0') {
        return ctl_fail(CTL_USAGE, "no store: use --store=PATH or set "
                        "EVENTSYNC_STORE");
    }

    return CTL_OK;
}


int
ctl_open(ctl_t *ctl, unsigned flags)
{
    int           rc;
    es_problem_t  problem;

    if (ctl->store != NULL) {
        return CTL_OK;
    }

    rc = ctl_open_path(ctl);
    if (rc != CTL_OK) {
        return rc;
    }

    if (es_child_store_open(ctl->store_path, flags, &ctl->store, &problem)
        != ES_OK)
    {
        return ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    return ctl_open_keys(ctl);
}


int
ctl_begin(ctl_t *ctl, int *argc, char **argv, const ctl_option_t *options,
    unsigned flags)
{
    int  rc;

    rc = ctl_args(ctl, argc, argv, options);

    return rc == CTL_OK ? ctl_open(ctl, flags) : rc;
}


int
ctl_begin_list(ctl_t *ctl, int *argc, char **argv)
{
    return ctl_begin(ctl, argc, argv, NULL,
                     ctl->command->kind == ES_KIND_ENDPOINT
                     ? ES_STORE_DELIVERY_READ : 0);
}


void
ctl_report(ctl_t *ctl, bool all)
{
    char  text[ES_DELETIONS_TEXT_MAX];

    if (ctl->store == NULL) {
        return;
    }

    while (es_deletions_next(ctl->store, all, text, sizeof(text))) {
        ctl_warn("%s", text);
    }

    if (es_store_clock_said(ctl->store, text, sizeof(text))) {
        ctl_warn("warning: %s", text);
    }
}


int
ctl_init(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    es_rc_t       result;
    const char   *plain = NULL;
    es_problem_t  problem;

    const ctl_option_t  options[] = {
        { "plain-secrets", &plain },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);
    if (rc != CTL_OK) {
        return rc;
    }

    rc = ctl_open_path(ctl);
    if (rc != CTL_OK) {
        return rc;
    }

    if (es_store_create(ctl->store_path, &problem) != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    result = plain ? es_plain_secrets_begin(ctl->store_path) : ES_OK;

    ctl_result(ctl, json_pack("{s:s, s:b}", "store", ctl->store_path,
                              "plain_secrets", plain != NULL));

    return result == ES_OK ? CTL_OK
                           : ctl_fail(CTL_FAILED, "%s", es_reason(result));
}


/* The indexes are verified after the events, in a small part of the time. */

static void
ctl_verify_fault(void *ctx, const char *text)
{
    es_verify_t  *totals = ctx;

    if (text != NULL) {
        ctl_say("%s", text);
    } else {
        ctl_progress(totals->events);
    }
}


void
ctl_feeds_count(ctl_t *ctl, uint64_t *feeds, uint64_t *events)
{
    es_txn_t   *txn;
    es_feed_t   feed = { 0 };

    *feeds = 0;
    *events = 0;

    if (es_txn_begin(ctl->store, &txn) == ES_OK) {
        while (es_feed_next(txn, es_str(feed.name), &feed) == ES_OK) {
            *feeds += 1;
            *events += feed.last + 1 - feed.oldest;
        }

        es_txn_end(txn);
    }
}


static int
ctl_verify_result(es_rc_t rc, const es_verify_t *totals)
{
    ctl_progress_end();

    if (rc == ES_CORRUPT) {
        return ctl_fail(CTL_FAILED, "the store has %llu fault%s",
                        (unsigned long long) totals->faults,
                        ctl_plural(totals->faults));
    }

    return rc == ES_OK ? CTL_OK : ctl_fail(CTL_FAILED, "cannot verify: %s",
                                           es_reason(rc));
}


int
ctl_verify_store(ctl_t *ctl, es_verify_t *totals)
{
    uint64_t  feeds, events;

    ctl_feeds_count(ctl, &feeds, &events);
    ctl_progress_begin("verify", CTL_EVENTS, events);

    return ctl_verify_result(es_verify(ctl->store, ctl_verify_fault, totals,
                                       totals), totals);
}


int
ctl_verify(ctl_t *ctl, int argc, char **argv)
{
    int          rc;
    es_verify_t  totals = { 0 };

    rc = ctl_begin(ctl, &argc, argv, NULL,
                   ES_STORE_PUBLISH | ES_STORE_CHECKPOINT_READ);
    if (rc != CTL_OK) {
        return rc;
    }

    rc = ctl_verify_store(ctl, &totals);

    if (ctl->json) {
        ctl_result(ctl, json_pack("{s:I, s:I, s:I, s:I, s:I}",
                                  "feeds", (json_int_t) totals.feeds,
                                  "events", (json_int_t) totals.events,
                                  "records", (json_int_t) totals.chunks,
                                  "checkpoints",
                                  (json_int_t) totals.checkpoints,
                                  "faults", (json_int_t) totals.faults));
        return rc;
    }

    (void) printf("%llu feed%s, %llu event%s in %llu record%s, "
                  "%llu checkpoint%s, %llu fault%s\n",
                  (unsigned long long) totals.feeds, ctl_plural(totals.feeds),
                  (unsigned long long) totals.events, ctl_plural(totals.events),
                  (unsigned long long) totals.chunks, ctl_plural(totals.chunks),
                  (unsigned long long) totals.checkpoints,
                  ctl_plural(totals.checkpoints),
                  (unsigned long long) totals.faults, ctl_plural(totals.faults));

    return rc;
}
