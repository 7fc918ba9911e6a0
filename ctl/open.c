/* SPDX-License-Identifier: BSD-2-Clause */

#include <stdio.h>

#include "base/clock.h"
#include "ctl.h"
#include "log/store_clock.h"
#include "store/child.h"
#include "store/deletions.h"


/* Keys are needed by who writes or proves secrets, so a command that has a key
   file uses it, and one that has not is told by the library when it matters. */

static int
ctl_open_keys(ctl_t *ctl)
{
    es_problem_t   problem;
    es_keyring_t  *ring;

    if (ctl->key_file == NULL || ctl->key_file[0] == '\0') {
        return CTL_OK;
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


int
ctl_open(ctl_t *ctl, unsigned flags)
{
    es_problem_t  problem;

    if (ctl->store != NULL) {
        return CTL_OK;
    }

    if (ctl->store_path == NULL || ctl->store_path[0] == '\0') {
        return ctl_fail(CTL_USAGE, "no store: say --store=PATH or set "
                        "EVENTSYNC_STORE");
    }

    if (es_child_store_open(ctl->store_path, flags, &ctl->store, &problem)
        != ES_OK)
    {
        return ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    return ctl_open_keys(ctl);
}


void
ctl_tell(ctl_t *ctl, bool all)
{
    char  text[ES_TOLD_MAX];

    if (ctl->store == NULL) {
        return;
    }

    while (es_store_taken(ctl->store, all, text, sizeof(text))) {
        ctl_complain("%s", text);
    }

    if (es_store_clock_said(ctl->store, text, sizeof(text))) {
        ctl_complain("warning: %s", text);
    }
}


int
ctl_init(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    es_problem_t  problem;

    rc = ctl_args(ctl, &argc, argv, 0, 0, NULL);
    if (rc != CTL_OK) {
        return rc;
    }

    if (ctl->store_path == NULL || ctl->store_path[0] == '\0') {
        return ctl_fail(CTL_USAGE, "no store: say --store=PATH or set "
                        "EVENTSYNC_STORE");
    }

    if (es_store_create(ctl->store_path, &problem) != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", problem.detail);
    }

    return CTL_OK;
}


static void
ctl_verify_fault(void *ctx, const char *text)
{
    (void) ctx;
    (void) printf("%s\n", text);
}


int
ctl_prove(ctl_t *ctl, es_verify_t *totals)
{
    es_rc_t  rc;

    rc = es_verify(ctl->store, ctl_verify_fault, NULL, totals);

    if (rc == ES_CORRUPT) {
        return ctl_fail(CTL_FAILED, "the store has %llu faults",
                        (unsigned long long) totals->faults);
    }

    return rc == ES_OK ? CTL_OK : ctl_fail(CTL_FAILED, "cannot verify: %s",
                                           es_reason(rc));
}


int
ctl_verify(ctl_t *ctl, int argc, char **argv)
{
    int          rc;
    es_verify_t  totals = { 0 };

    rc = ctl_args(ctl, &argc, argv, 0, 0, NULL);
    if (rc == CTL_OK) {
        rc = ctl_open(ctl, ES_STORE_PUBLISH | ES_STORE_CHECKPOINT);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    rc = ctl_prove(ctl, &totals);

    (void) printf("%llu feeds, %llu events in %llu records, %llu checkpoints, "
                  "%llu faults\n",
                  (unsigned long long) totals.feeds,
                  (unsigned long long) totals.events,
                  (unsigned long long) totals.chunks,
                  (unsigned long long) totals.checkpoints,
                  (unsigned long long) totals.faults);

    return rc;
}
