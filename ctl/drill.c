/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "drill": the command, and its report.
 */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "drill.h"
#include "junit.h"
#include "registry/values.h"
#include "store/staging.h"

#define DRILL_TICK_US   20000
#define DRILL_READY_MS  30000

static volatile sig_atomic_t  ctl_drill_interrupted;


static void
ctl_drill_signal(int signal)
{
    (void) signal;
    ctl_drill_interrupted = 1;
}


/* What became of one fault. */
typedef struct {
    const ctl_drill_fault_t  *fault;
    const char               *skipped;     /* NULL: it was caused */
    bool                      mended;      /* and both partners are whole */
    uint64_t                  missing[DRILL_PARTNERS];
    unsigned long             events;      /* acknowledged meanwhile */
    unsigned long             not_taken;
    int64_t                   whole_ms;    /* after the remedy */
} ctl_drill_result_t;


/* ---- one fault ---- */

static void
ctl_drill_pause(uint32_t ms)
{
    int64_t  until_us;

    until_us = es_clock_mono_us() + (int64_t) ms * 1000;

    while (es_clock_mono_us() < until_us && !ctl_drill_interrupted) {
        (void) usleep(DRILL_TICK_US);
    }
}


/* Waits until both partners have what is acknowledged now, and one event more,
   so that publishing works.  Before the first fault a webhook must have come,
   too.  False: not in time. */

static bool
ctl_drill_whole(ctl_drill_t *d, const ctl_drill_fault_t *fault, uint32_t ms)
{
    int            i;
    bool           mended;
    int64_t        until_us;
    uint64_t       whole;
    unsigned long  published;

    published = atomic_load(&d->published);
    until_us = es_clock_mono_us() + (int64_t) ms * 1000;
    mended = fault != NULL && fault->mended == NULL;

    do {
        (void) pthread_mutex_lock(&d->lock);

        for (i = 0, whole = UINT64_MAX; i < DRILL_PARTNERS; i++) {
            whole = d->partners[i].whole < whole ? d->partners[i].whole
                                                 : whole;
        }

        (void) pthread_mutex_unlock(&d->lock);

        mended = mended || (fault != NULL ? fault->mended(d)
                                          : atomic_load(&d->webhooks) > 0);

        if (mended && whole > published) {
            return true;
        }

        (void) usleep(DRILL_TICK_US);

    } while (es_clock_mono_us() < until_us && !ctl_drill_interrupted);

    return false;
}


static int
ctl_drill_fault(ctl_drill_t *d, const ctl_drill_fault_t *fault,
    ctl_drill_result_t *r)
{
    int            i, rc;
    int64_t        began_us;
    unsigned long  events, not_taken;

    r->fault = fault;
    r->skipped = fault->skip != NULL ? fault->skip(d) : NULL;

    if (r->skipped != NULL) {
        return CTL_OK;
    }

    events = atomic_load(&d->published);
    not_taken = atomic_load(&d->not_taken);

    rc = fault->cause(d);

    if (rc == CTL_OK) {
        ctl_drill_pause(d->for_ms);
    }

    began_us = es_clock_mono_us();
    d->webhooks_then = atomic_load(&d->webhooks);

    if (fault->mend(d) != CTL_OK) {
        rc = CTL_FAILED;
    }

    if (rc != CTL_OK) {
        return rc;
    }

    r->mended = ctl_drill_whole(d, fault, d->within_ms);
    r->whole_ms = (es_clock_mono_us() - began_us) / 1000;
    r->events = atomic_load(&d->published) - events;
    r->not_taken = atomic_load(&d->not_taken) - not_taken;

    for (i = 0; i < DRILL_PARTNERS; i++) {
        r->missing[i] = r->mended ? 0 : ctl_drill_lacks(&d->partners[i]);
    }

    return ctl_drill_interrupted
           ? ctl_fail(CTL_FAILED, "interrupted") : CTL_OK;
}


/* ---- the report ---- */

static void
ctl_drill_came(const ctl_drill_result_t *r, char *text, size_t size)
{
    if (!r->mended) {
        (void) snprintf(text, size, "not recovered after %" PRId64 ".%" PRId64
                        " s: \"push\" lacks %" PRIu64 " events, \"pull\" "
                        "%" PRIu64, r->whole_ms / 1000, r->whole_ms / 100 % 10,
                        r->missing[0], r->missing[1]);
        return;
    }

    (void) snprintf(text, size, "0 of %lu events missing, whole after %" PRId64
                    ".%" PRId64 " s", r->events, r->whole_ms / 1000,
                    r->whole_ms / 100 % 10);
}


static void
ctl_drill_print(ctl_drill_t *d, const ctl_drill_result_t *r, json_t *checks)
{
    char  came[256], expected[64];

    ctl_drill_came(r, came, sizeof(came));
    (void) snprintf(expected, sizeof(expected), "whole within %u s",
                    d->within_ms / 1000);

    if (!d->ctl->json) {
        (void) printf("%s %-19s %s", r->skipped ? "skip"
                                     : r->mended ? "pass" : "FAIL",
                      r->fault->name, r->skipped ? r->skipped : came);

        if (!r->skipped) {
            (void) printf("; remedy: %s", r->fault->remedy);
        }

        (void) printf("\n");
        (void) fflush(stdout);
    }

    (void) json_array_append_new(checks,
        json_pack("{s:s, s:b, s:b, s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:s?}",
                  "check", r->fault->name, "pass", r->mended, "skipped",
                  r->skipped != NULL, "expected", expected, "came",
                  r->skipped ? r->skipped : came, "took_ms",
                  (json_int_t) r->whole_ms, "events", (json_int_t) r->events,
                  "missing", (json_int_t) (r->missing[0] + r->missing[1]),
                  "refused_publishes", (json_int_t) r->not_taken, "remedy",
                  r->fault->remedy, "cause", NULL));
}


static int
ctl_drill_sum(ctl_drill_t *d, json_t *checks, const char *junit)
{
    int            rc;
    size_t         i;
    json_t        *check, *whole;
    unsigned       passed, failed, skipped;

    passed = failed = skipped = 0;

    json_array_foreach(checks, i, check) {
        if (json_is_true(json_object_get(check, "skipped"))) {
            skipped++;
        } else if (json_is_true(json_object_get(check, "pass"))) {
            passed++;
        } else {
            failed++;
        }
    }

    whole = json_pack("{s:s, s:b, s:i, s:i, s:i, s:I, s:[], s:O}", "url",
                      d->url, "pass", failed == 0, "checks_passed",
                      (int) passed, "checks_failed", (int) failed,
                      "checks_skipped", (int) skipped, "events",
                      (json_int_t) atomic_load(&d->published), "hints",
                      "checks", checks);
    rc = ctl_junit_write(junit, "drill", whole);

    if (!d->ctl->json) {
        (void) printf("%u of %u passed, %u skipped, %lu events published\n",
                      passed, passed + failed, skipped,
                      atomic_load(&d->published));
    }

    ctl_result(d->ctl, whole);

    return failed == 0 ? rc : ctl_fail(CTL_FAILED, "%u of %u faults were not "
                                       "overcome", failed, passed + failed);
}


/* ---- the command ---- */

static bool
ctl_drill_wanted(const json_t *only, const char *name)
{
    size_t         i;
    const json_t  *one;

    json_array_foreach(only, i, one) {
        if (strcmp(json_string_value(one), name) == 0) {
            return true;
        }
    }

    return only == NULL;
}


/* Every name of --only must be a fault.  The caller releases the list. */

static int
ctl_drill_only(const char *text, json_t **only)
{
    size_t                    i;
    const char               *name;
    const json_t             *one;
    const ctl_drill_fault_t  *fault;

    *only = text != NULL ? ctl_list(text) : NULL;

    json_array_foreach(*only, i, one) {
        name = json_string_value(one);

        for (fault = ctl_drill_faults; fault->name != NULL; fault++) {
            if (strcmp(fault->name, name) == 0) {
                break;
            }
        }

        if (fault->name == NULL) {
            return ctl_fail(CTL_USAGE, "\"--only=%s\": there is no fault "
                            "\"%s\"; \"--list\" prints them", text, name);
        }
    }

    return CTL_OK;
}


static int
ctl_drill_faults_run(ctl_drill_t *d, const json_t *only, const char *junit)
{
    int                       rc;
    json_t                   *checks;
    ctl_drill_result_t        r;
    const ctl_drill_fault_t  *fault;

    if (!ctl_drill_whole(d, NULL, DRILL_READY_MS)) {
        return ctl_fail(CTL_FAILED, "the partners do not get events even "
                        "without a fault: %lu were published, \"push\" has %"
                        PRIu64 " and \"pull\" has %" PRIu64 "; does a "
                        "dispatcher run with --allow-http and --allow-address="
                        "%s?", atomic_load(&d->published),
                        ctl_drill_push(d)->whole, ctl_drill_pull(d)->whole,
                        d->address);
    }

    checks = json_array();
    rc = CTL_OK;

    for (fault = ctl_drill_faults; rc == CTL_OK && fault->name != NULL;
         fault++)
    {
        if (ctl_drill_wanted(only, fault->name)) {
            memset(&r, 0, sizeof(r));
            rc = ctl_drill_fault(d, fault, &r);

            if (rc == CTL_OK) {
                ctl_drill_print(d, &r, checks);
            }
        }
    }

    if (rc == CTL_OK) {
        rc = ctl_drill_sum(d, checks, junit);
    }

    json_decref(checks);

    return rc;
}


static int
ctl_drill_run_all(ctl_drill_t *d, const json_t *only, const char *junit)
{
    int               i, rc;
    struct sigaction  action = { 0 };

    action.sa_handler = ctl_drill_signal;
    (void) sigaction(SIGINT, &action, NULL);
    (void) sigaction(SIGTERM, &action, NULL);
    (void) pthread_mutex_init(&d->lock, NULL);

    for (i = 0; i < DRILL_PARTNERS; i++) {
        d->partners[i].drill = d;
        d->partners[i].name = i == 0 ? "push" : "pull";
    }

    rc = ctl_drill_make(d);

    if (rc == CTL_OK) {
        rc = ctl_drill_begin(d);
    }

    if (rc == CTL_OK) {
        rc = ctl_drill_faults_run(d, only, junit);
    }

    ctl_drill_end(d);
    ctl_drill_remove(d);
    (void) pthread_mutex_destroy(&d->lock);

    return rc;
}


static int
ctl_drill_list(ctl_t *ctl)
{
    json_t                   *list;
    const ctl_drill_fault_t  *fault;

    list = json_array();

    for (fault = ctl_drill_faults; fault->name != NULL; fault++) {
        (void) json_array_append_new(list,
            json_pack("{s:s, s:s, s:s}", "name", fault->name, "about",
                      fault->about, "remedy", fault->remedy));

        if (!ctl->json) {
            (void) printf("%-19s %s; remedy: %s\n", fault->name, fault->about,
                          fault->remedy);
        }
    }

    ctl_result(ctl, json_pack("{s:o}", "faults", list));

    return CTL_OK;
}


static int
ctl_drill_duration(const char *option, const char *text, uint32_t *ms)
{
    return es_duration_parse(es_str(text), ms) == ES_OK && *ms > 0
           ? CTL_OK : ctl_fail(CTL_USAGE, "\"--%s=%s\" is not a duration",
                               option, text);
}


/* Refuses a store that is not marked, because a drill does harm. */

static int
ctl_drill_staging(ctl_t *ctl)
{
    int  rc;

    rc = ctl_open(ctl, 0);
    if (rc != CTL_OK) {
        return rc;
    }

    return es_staging(ctl->store_path)
           ? CTL_OK : ctl_fail(CTL_FAILED, "\"%s\" is not marked as a staging "
                               "store: \"store mark staging\" does that",
                               ctl->store_path);
}


static int
ctl_drill_on(ctl_drill_t *d, const json_t *only, const char *file)
{
    int     rc;
    ctl_t  *ctl;

    ctl = d->ctl;
    rc = ctl_drill_staging(ctl);

    if (rc == CTL_OK) {
        (void) setenv("EVENTSYNC_STORE", ctl->store_path, 1);

        if (ctl->key_file != NULL) {
            (void) setenv("EVENTSYNC_KEY_FILE", ctl->key_file, 1);
        }

        rc = ctl_junit_begin(file);
    }

    return rc == CTL_OK ? ctl_drill_run_all(d, only, file) : rc;
}


int
ctl_drill(ctl_t *ctl, int argc, char **argv)
{
    int          rc;
    uint64_t     port, rate;
    json_t      *wanted = NULL;
    ctl_drill_t  d = { .ctl = ctl, .address = "127.0.0.1" };
    const char  *only = NULL, *list = NULL, *file = NULL, *at = "18782";
    const char  *often = "20", *lasts = "5s", *within = "60s";

    const ctl_option_t  options[] = {
        { "url", &d.url },
        { "for", &lasts },
        { "within", &within },
        { "rate", &often },
        { "only", &only },
        { "list", &list },
        { "address", &d.address },
        { "port", &at },
        { "stop-dispatcher", &d.stop_dispatcher },
        { "start-dispatcher", &d.start_dispatcher },
        { "junit", &file },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK && list != NULL) {
        return ctl_drill_list(ctl);
    }

    if (rc != CTL_OK
        || (rc = ctl_number("port", at, 1, 65535, &port)) != CTL_OK
        || (rc = ctl_number("rate", often, 1, 1000, &rate)) != CTL_OK
        || (rc = ctl_drill_duration("for", lasts, &d.for_ms)) != CTL_OK
        || (rc = ctl_drill_duration("within", within, &d.within_ms)) != CTL_OK)
    {
        return rc;
    }

    if (d.url == NULL) {
        return ctl_fail(CTL_USAGE, "\"drill\" needs --url=https://host/v1");
    }

    d.port = (uint16_t) port;
    d.rate = (unsigned) rate;

    rc = ctl_drill_only(only, &wanted);

    if (rc == CTL_OK) {
        rc = ctl_drill_on(&d, wanted, file);
    }

    json_decref(wanted);

    return rc;
}
