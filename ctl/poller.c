/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "verify-poller": leads a partner's poller through answers of every kind and
 * says what it does wrong.
 *
 * The server's threads judge and answer.  The main thread notices what does not
 * come: a poller that has ended or is silent, and one that leaves a revoked key
 * alone.
 */

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "junit.h"
#include "poller.h"
#include "registry/values.h"

#define POLLER_ADDRESS      "127.0.0.1"
#define POLLER_PORT         "18781"
#define POLLER_FEED         "verify"
#define POLLER_SILENCE      "30s"
#define POLLER_BEGIN_MS     300000     /* until somebody starts the poller */
#define POLLER_TICK_MS      50
#define POLLER_REVOKED_MS   2500
#define POLLER_REVOKED_MAX  4          /* requests in that time */

typedef struct {
    const char  *address;
    const char  *port;
    const char  *feed;
    const char  *only;
    const char  *list;
    const char  *silence;
    const char  *sse;
    const char  *snapshot;
} ctl_poller_options_t;


void
ctl_poller_wrong(ctl_poller_t *p, const char *cause, const char *fmt, ...)
{
    va_list            args;
    ctl_result_row_t  *row = &p->rows[p->row];

    if (row->mistake != NULL) {
        return;
    }

    row->mistake = ctl_poller_mistake(cause);
    row->skipped = false;

    va_start(args, fmt);
    (void) vsnprintf(row->came, sizeof(row->came), fmt, args);
    va_end(args);

    (void) ctl_printable(row->came);
}


static void
ctl_poller_print(const ctl_poller_t *p, const ctl_result_row_t *row)
{
    if (p->ctl->json) {
        return;
    }

    (void) printf("%s %-16s %s\n",
                  row->mistake ? "FAIL" : row->skipped ? "skip" : "pass",
                  row->step->name, row->came);
    (void) fflush(stdout);
}


void
ctl_poller_step_over(ctl_poller_t *p, size_t at)
{
    ctl_result_row_t  *row = &p->rows[p->row];

    if (row->mistake == NULL && p->applied != NULL && at != POLLER_UNKNOWN) {
        ctl_poller_applied(p, at);
    }

    if (row->mistake != NULL) {
        ctl_poll_feed_hide(&p->feed, p->row + 1);

    } else if (row->came[0] == '\0') {
        (void) snprintf(row->came, sizeof(row->came), "%s", row->step->about);
    }

    row->over = true;
    row->took_ms = (es_clock_mono_us() - row->began_us) / 1000;
    ctl_poller_print(p, row);

    p->move = 0;
    p->done = 0;
    p->quick = 0;
    p->added = false;
    p->behind = 0;
    p->more_gap_us = 0;
    p->row++;

    if (p->row == p->nrows) {
        p->ending = true;
    } else {
        p->rows[p->row].began_us = es_clock_mono_us();
    }
}


/* ---- what does not come ---- */

/* The poller is gone.  It may come back, once for each step. */

static int
ctl_poller_gone(ctl_poller_t *p, const char *cause, const char *how)
{
    int  rc;

    ctl_poller_wrong(p, cause, "%s", how);

    if (p->ended) {
        p->ending = true;
        return CTL_OK;
    }

    rc = CTL_OK;
    p->ended = p->answered_us != 0;
    p->ending = !p->ended;
    p->expect = CTL_EXPECT_ANY;
    p->heard_us = es_clock_mono_us();
    p->not_before_us = 0;

    ctl_poller_step_over(p, POLLER_UNKNOWN);

    if (p->ended && !p->ending) {
        if (p->run == NULL) {
            ctl_note("start the poller again");
        } else {
            rc = ctl_poller_start(p);
        }
    }

    return rc;
}


/* The answer of the move is to kill the command. */

static int
ctl_poller_again(ctl_poller_t *p)
{
    ctl_poller_stop(p);
    p->restart = false;
    p->heard_us = es_clock_mono_us();

    return ctl_poller_start(p);
}


static void
ctl_poller_left_alone(ctl_poller_t *p)
{
    if (p->refused > POLLER_REVOKED_MAX) {
        ctl_poller_wrong(p, "hammers-401", "%u more requests in %.1f s",
                         p->refused, (double) (es_clock_mono_us()
                                               - p->revoked_us) / 1e6);
    }

    ctl_poller_step_over(p, p->held);
}


static int
ctl_poller_watch(ctl_poller_t *p)
{
    char     how[64];
    int64_t  silent_ms, most_ms;

    if (p->restart) {
        return ctl_poller_again(p);
    }

    if (ctl_poller_ended(p, how)) {
        if (p->revoked_us == 0) {
            return ctl_poller_gone(p, p->answered_us == 0 ? "no-start"
                                      : ctl_poller_stuck(p), how);
        }

        ctl_poller_left_alone(p);
        return CTL_OK;
    }

    if (p->revoked_us != 0) {
        if (es_clock_mono_us() - p->revoked_us > POLLER_REVOKED_MS * 1000) {
            ctl_poller_left_alone(p);
        }

        return CTL_OK;
    }

    silent_ms = (es_clock_mono_us() - p->heard_us) / 1000;
    most_ms = p->answered_us == 0 && p->run == NULL ? POLLER_BEGIN_MS
                                                    : p->silence_ms;

    if (silent_ms < most_ms) {
        return CTL_OK;
    }

    (void) snprintf(how, sizeof(how), "no request for %.1f s",
                    (double) silent_ms / 1000);

    return ctl_poller_gone(p, ctl_poller_stuck(p), how);
}


/* Until all steps are over, or SIGINT or SIGTERM comes. */

static int
ctl_poller_loop(ctl_poller_t *p, const sigset_t *signals)
{
    int                    rc;
    const struct timespec  tick = { 0, POLLER_TICK_MS * 1000000L };

    rc = CTL_OK;
    (void) pthread_mutex_lock(&p->lock);

    while (rc == CTL_OK && !p->ending) {
        (void) pthread_mutex_unlock(&p->lock);
        rc = sigtimedwait(signals, NULL, &tick) > 0
             ? ctl_fail(CTL_FAILED, "interrupted") : CTL_OK;
        (void) pthread_mutex_lock(&p->lock);

        if (rc == CTL_OK && !p->ending) {
            rc = ctl_poller_watch(p);
        }
    }

    p->ending = true;
    (void) pthread_mutex_unlock(&p->lock);

    return rc;
}


/* ---- the result ---- */

static json_t *
ctl_poller_hints(const ctl_poller_t *p, bool text)
{
    json_t                  *list;
    unsigned                 i, first, n;
    const ctl_mistake_t     *mistake;
    const ctl_result_row_t  *found;

    list = json_array();

    for (mistake = ctl_poller_mistakes; mistake->cause != NULL; mistake++) {

        for (i = 0, first = 0, n = 0; i < p->nrows; i++) {
            if (p->rows[i].mistake == mistake) {
                first = n++ == 0 ? i : first;
            }
        }

        found = &p->rows[first];

        if (n > 0 && text) {
            (void) printf("hint %s (%s", mistake->cause, found->step->name);
            (void) printf(n > 1 ? " and %u more): " : "): ", n - 1);
            (void) printf("%s Change: %s.\n", mistake->what, mistake->change);

        } else if (n > 0) {
            (void) json_array_append_new(list,
                json_pack("{s:s, s:s, s:s}", "cause", mistake->cause, "hint",
                          mistake->what, "change", mistake->change));
        }
    }

    return list;
}


static json_t *
ctl_poller_checks(const ctl_poller_t *p)
{
    json_t                  *list;
    unsigned                 i;
    const ctl_result_row_t  *row;

    list = json_array();

    for (i = 0; i < p->nrows; i++) {
        row = &p->rows[i];

        (void) json_array_append_new(list,
            json_pack("{s:s, s:b, s:b, s:s, s:s, s:I, s:s*}", "check",
                      row->step->name, "pass", row->over && !row->mistake,
                      "skipped", row->skipped, "expected", row->step->expected,
                      "came", row->came, "took_ms", (json_int_t) row->took_ms,
                      "cause", row->mistake ? row->mistake->cause : NULL));
    }

    return list;
}


static int
ctl_poller_sum(ctl_poller_t *p)
{
    int       rc;
    json_t   *results;
    unsigned  i, failed, skipped;

    failed = skipped = 0;

    for (i = 0; i < p->nrows; i++) {
        if (!p->rows[i].over) {
            p->rows[i].skipped = false;
            (void) snprintf(p->rows[i].came, POLLER_CAME, "the poller did not "
                            "get so far");

            if (!p->ctl->json) {
                (void) printf("FAIL %-16s %s\n", p->rows[i].step->name,
                              p->rows[i].came);
            }
        }

        failed += !p->rows[i].over || p->rows[i].mistake != NULL;
        skipped += p->rows[i].skipped;
    }

    results = json_pack("{s:s, s:b, s:i, s:i, s:i, s:o, s:o}", "url", p->url,
                        "pass", failed == 0, "checks_passed",
                        (int) (p->nrows - failed - skipped), "checks_failed",
                        (int) failed, "checks_skipped", (int) skipped, "hints",
                        ctl_poller_hints(p, false), "checks",
                        ctl_poller_checks(p));

    rc = ctl_junit_write(p->junit, "verify-poller", results);
    ctl_result(p->ctl, results);

    if (!p->ctl->json) {
        (void) printf("%u of %u passed", p->nrows - failed - skipped,
                      p->nrows);
        (void) printf(skipped > 0 ? ", %u skipped\n" : "\n", skipped);
        json_decref(ctl_poller_hints(p, true));
    }

    return rc != CTL_OK || failed == 0 ? rc
           : ctl_fail(CTL_FAILED, "%u of %u checks failed", failed, p->nrows);
}


/* ---- the run ---- */

/* Chooses the steps; the first one is always there. */

static int
ctl_poller_choose(ctl_poller_t *p, const char *only)
{
    bool               found;
    json_t            *names, *name;
    size_t             i, known;
    const ctl_step_t  *step;

    names = ctl_list(only ? only : "");
    known = 0;

    for (step = ctl_poller_steps; step->name != NULL; step++) {

        if (step->stream != p->sse) {
            continue;
        }

        found = only == NULL && (!step->run || p->run != NULL);

        json_array_foreach(names, i, name) {
            if (strcmp(json_string_value(name), step->name) == 0) {
                found = true;
                known++;
            }
        }

        if (found || p->nrows == 0) {
            p->rows[p->nrows++].step = step;
        }
    }

    i = json_array_size(names);
    json_decref(names);

    for (known = known == i; known && i > 0 && p->run == NULL; i = 0) {
        known = !p->rows[p->nrows - 1].step->run;
    }

    return known ? CTL_OK
           : ctl_fail(CTL_USAGE, "\"--only=%s\": see \"verify-poller --list\" "
                      "for the steps; \"restart\" needs \"--run\"", only);
}


static int
ctl_poller_run(ctl_poller_t *p, const char *address, uint16_t port)
{
    int       rc;
    sigset_t  signals;

    /* The threads of the server inherit the mask, so that it is set first. */

    (void) sigemptyset(&signals);
    (void) sigaddset(&signals, SIGINT);
    (void) sigaddset(&signals, SIGTERM);
    (void) sigprocmask(SIG_BLOCK, &signals, NULL);

    rc = ctl_poller_serve(p, address, &port);
    if (rc != CTL_OK) {
        return rc;
    }

    (void) snprintf(p->url, sizeof(p->url), "http://%s:%u" POLLER_PREFIX,
                    address, port);
    p->heard_us = es_clock_mono_us();
    p->rows[0].began_us = p->heard_us;

    ctl_note("poll %s/feeds/%s/events with any key", p->url, p->feed.name);

    rc = p->run != NULL ? ctl_poller_start(p) : CTL_OK;

    if (rc == CTL_OK) {
        rc = ctl_poller_loop(p, &signals);
    }

    ctl_poller_stop(p);
    MHD_stop_daemon(p->daemon);

    return rc == CTL_OK ? ctl_poller_sum(p) : rc;
}


static int
ctl_poller_list(ctl_t *ctl)
{
    json_t            *list;
    const ctl_step_t  *step;

    list = json_array();

    for (step = ctl_poller_steps; step->name != NULL; step++) {
        (void) json_array_append_new(list,
            json_pack("{s:s, s:s, s:s, s:b}", "step", step->name, "about",
                      step->about, "expected", step->expected, "sse",
                      step->stream));

        if (!ctl->json) {
            (void) printf("%-16s %s%s\n", step->name,
                          step->stream ? "--sse: " : "", step->about);
        }
    }

    ctl_result(ctl, json_pack("{s:o}", "steps", list));

    return CTL_OK;
}


static int
ctl_poller_begin(ctl_poller_t *p, const ctl_poller_options_t *o)
{
    int       rc;
    uint64_t  port;

    rc = ctl_number("port", o->port, 0, 65535, &port);

    if (rc == CTL_OK && !es_feed_name_ok(es_str(o->feed))) {
        rc = ctl_fail(CTL_USAGE, "\"--feed=%s\" is not a feed's name", o->feed);
    }

    if (rc == CTL_OK
        && (es_duration_parse(es_str(o->silence), &p->silence_ms) != ES_OK
            || p->silence_ms == 0))
    {
        rc = ctl_fail(CTL_USAGE, "\"--silence=%s\" is not a duration",
                      o->silence);
    }

    if (rc == CTL_OK) {
        rc = ctl_poller_choose(p, o->only);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    if (!ctl_poll_feed_begin(&p->feed, o->feed)) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    return ctl_poller_run(p, o->address, (uint16_t) port);
}


int
ctl_verify_poller(ctl_t *ctl, int argc, char **argv)
{
    int                   rc;
    ctl_poller_t          p = { .lock = PTHREAD_MUTEX_INITIALIZER, .ctl = ctl,
                                .pending = -1, .snapshot = POLLER_UNKNOWN };
    ctl_poller_options_t  o = { .address = POLLER_ADDRESS, .port = POLLER_PORT,
                                .feed = POLLER_FEED,
                                .silence = POLLER_SILENCE };

    const ctl_option_t  options[] = {
        { "run", &p.run },
        { "address", &o.address },
        { "port", &o.port },
        { "feed", &o.feed },
        { "sse", &o.sse },
        { "applied", &p.applied },
        { "snapshot", &o.snapshot },
        { "silence", &o.silence },
        { "only", &o.only },
        { "list", &o.list },
        { "junit", &p.junit },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);
    if (rc != CTL_OK) {
        return rc;
    }

    if (o.list != NULL) {
        return ctl_poller_list(ctl);
    }

    p.sse = o.sse != NULL;
    p.need_snapshot = o.snapshot != NULL;

    rc = ctl_junit_begin(p.junit);
    if (rc != CTL_OK) {
        return rc;
    }

    rc = ctl_poller_begin(&p, &o);
    ctl_poll_feed_free(&p.feed);

    return rc;
}
