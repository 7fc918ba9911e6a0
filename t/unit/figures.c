/* SPDX-License-Identifier: BSD-2-Clause */

/* Figures of endpoints: counted in cells of time, written, read, damaged,
   described. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "delivery/delivery_keys.h"
#include "delivery/figures.h"
#include "open/open.h"
#include "tap.h"

#define NOW   1790000000000
#define HOUR  3600000

static char             dir[] = "/tmp/eventsync-figures-XXXXXX";
static es_store_t      *store;
static es_changeset_t  *changes;


static void
count(es_figures_t *figures, unsigned class, int32_t status, unsigned try,
    int64_t ms)
{
    es_attempt_t  attempt = { .class = (uint8_t) class, .status = status,
                              .attempt = try, .latency_us = 7000 };

    ok(es_figures_attempt(figures, &attempt, ms) == ES_OK, "counted");
}


static json_t *
span(const es_figures_t *figures, int64_t now_ms, const char *name)
{
    json_t  *report, *found;

    report = es_figures_report(figures, now_ms);
    found = json_incref(json_object_get(report, name));
    json_decref(report);

    return found;
}


static int
member(const es_figures_t *figures, int64_t now_ms, const char *name,
    const char *path)
{
    int      n;
    json_t  *value, *of;

    of = span(figures, now_ms, name);
    value = json_object_get(of, path);
    n = json_is_array(value) ? (int) json_array_size(value)
                             : (int) json_integer_value(value);
    json_decref(of);

    return n;
}


static void
fresh(es_figures_t *figures, es_fresh_verdict_t verdict, int64_t age_ms)
{
    if (es_figures_fresh(figures, verdict, age_ms, NOW + 1) != ES_OK) {
        exit(1);
    }
}


static void
test_report(void)
{
    json_t        *day, *expected;
    es_figures_t   figures = { 0 };

    count(&figures, ES_ATTEMPT_OK, 204, 1, NOW);
    count(&figures, ES_ATTEMPT_STATUS, 429, 1, NOW + 1);
    count(&figures, ES_ATTEMPT_STATUS, 404, 2, NOW + 1);
    count(&figures, ES_ATTEMPT_STATUS, 500, 9, NOW + 1);
    count(&figures, ES_ATTEMPT_REDIRECT, 302, 6, NOW + 1);
    count(&figures, ES_ATTEMPT_TIMEOUT, 0, 0, NOW + 1);
    ok(es_figures_dead(&figures, NOW + 1) == ES_OK, "a dead letter");

    fresh(&figures, ES_FRESH_KEPT, 20);
    fresh(&figures, ES_FRESH_KEPT, -5);
    fresh(&figures, ES_FRESH_MISSED, 9500);
    fresh(&figures, ES_FRESH_KEPT, 30);
    fresh(&figures, ES_FRESH_EXCUSED, 99999);

    day = span(&figures, NOW + 2, "day");
    json_object_del(json_object_get(day, "latency"), "histogram");
    expected = json_pack(
        "{s:i, s:i, s:f, s:i, s:{s:i, s:i, s:i, s:i},"
        " s:{s:i, s:i, s:i, s:i, s:i, s:i}, s:[i, i, i, i, i, i],"
        " s:{s:f}, s:{s:i, s:i, s:i, s:f, s:f},"
        " s:[{s:s, s:i, s:i, s:i, s:f}]}",
        "attempts", 6, "ok", 1, "success", 1.0 / 6, "dead", 1,
        "classes", "ok", 1, "status", 3, "redirect", 1, "timeout", 1,
        "answers", "none", 1, "2xx", 1, "3xx", 1, "429", 1, "4xx", 1, "5xx", 1,
        "tries", 3, 1, 0, 0, 0, 2, "latency", "mean", 7.0,
        "fresh", "kept", 3, "missed", 1, "excused", 1, "share", 0.75,
        "worst", 9.5,
        "cells", "start", "2026-09-21T14:00:00.000Z", "attempts", 6, "ok", 1,
        "dead", 1, "mean", 7.0);
    ok(json_equal(day, expected), "the report: %s",
       json_dumps(day, JSON_COMPACT));
    json_decref(day);
    json_decref(expected);

    day = span(&figures, NOW + 25 * HOUR, "day");
    ok(json_is_null(json_object_get(day, "success"))
       && json_array_size(json_object_get(day, "cells")) == 0,
       "a day later nothing is left");
    json_decref(day);
    es_figures_free(&figures);
}


static void
test_cells(void)
{
    unsigned      i;
    es_figures_t  figures = { 0 };

    for (i = 0; i < 100; i++) {
        count(&figures, ES_ATTEMPT_OK, 200, 1, NOW + i * HOUR);
    }

    is_int(member(&figures, NOW + 99 * HOUR, "day", "attempts"), 24,
           "a day is 24 cells");
    is_int(member(&figures, NOW + 99 * HOUR, "hour", "attempts"), 1,
           "an hour has its attempt only");
    is_int(member(&figures, NOW + 99 * HOUR + 55000, "minute", "attempts"), 1,
           "a minute is six cells");
    is_int(member(&figures, NOW + 99 * HOUR + 60000, "minute", "attempts"), 0,
           "and no more");
    es_figures_free(&figures);
}


static void
test_clock(void)
{
    unsigned      i;
    es_figures_t  figures = { 0 };

    /* a clock that was ahead for three days */

    for (i = 0; i < 72; i++) {
        count(&figures, ES_ATTEMPT_OK, 200, 1, NOW + (1000 + i) * HOUR);
    }

    for (i = 0; i < 30; i++) {
        count(&figures, ES_ATTEMPT_OK, 200, 1, NOW + i * HOUR);
    }

    is_int(member(&figures, NOW + 29 * HOUR, "day", "attempts"), 24,
           "what a wrong clock counted makes room for the right one");

    /* a small step back */

    count(&figures, ES_ATTEMPT_OK, 200, 1, NOW + 28 * HOUR);
    is_int(member(&figures, NOW + 29 * HOUR, "day", "attempts"), 25,
           "an earlier cell is found again");
    is_int(member(&figures, NOW + 29 * HOUR, "day", "cells"), 24,
           "and no other is made");

    es_figures_free(&figures);
    count(&figures, ES_ATTEMPT_OK, 200, 1, NOW + 2 * HOUR);
    count(&figures, ES_ATTEMPT_OK, 200, 1, NOW);
    count(&figures, ES_ATTEMPT_OK, 200, 1, NOW + HOUR);
    is_int(member(&figures, NOW + 2 * HOUR, "day", "cells"), 3,
           "cells come in any order");
    is_int(figures.spans[ES_SPAN_DAY].cells[1].start_ms % (24 * HOUR),
           (NOW + HOUR) / HOUR * HOUR % (24 * HOUR), "and are sorted");
    es_figures_free(&figures);
}


static void
test_counts(void)
{
    es_attempt_t  attempt = { .class = ES_ATTEMPT_OK };

    static const uint8_t  others[] = { ES_ATTEMPT_TEST, ES_ATTEMPT_FETCH,
                                       ES_ATTEMPT_CHECK };

    ok(es_figures_counts(&attempt), "an attempt counts");
    attempt.flags = ES_ATTEMPT_NUDGE | ES_ATTEMPT_REUSED;
    ok(es_figures_counts(&attempt), "so does a nudge");

    for (size_t i = 0; i < sizeof(others); i++) {
        attempt.flags = others[i];
        ok(!es_figures_counts(&attempt), "no request without events");
    }

    attempt.flags = 0;
    attempt.class = ES_ATTEMPT_SIMULATED;
    ok(!es_figures_counts(&attempt), "nor what was not sent");
}


static es_rc_t
read_back(es_figures_t *figures)
{
    es_figures_free(figures);

    return es_delivery_figures(store, 7, figures);
}


static void
put_raw(const char *record, size_t len)
{
    es_dkey_t  key;

    key = es_meta_key("figures");
    es_key32(&key, 7);
    (void) es_changeset_meta_put(changes, &key, record, len);
    (void) es_delivery_commit(store, changes);
}


static es_rc_t
keep(void *ctx, const MDB_val *key, const MDB_val *value)
{
    es_buf_t  *buf = ctx;

    (void) key;

    return es_buf_append(buf, value->mv_data, value->mv_size);
}


static void
test_record(void)
{
    size_t        len;
    es_buf_t      raw = { 0 };
    unsigned      i;
    es_dkey_t     key;
    es_figures_t  figures = { 0 };

    ok(read_back(&figures) == ES_OK
       && member(&figures, NOW, "day", "attempts") == 0,
       "an endpoint without a record has none");

    for (i = 0; i < 3; i++) {
        count(&figures, ES_ATTEMPT_OK, 200, 1, NOW + i * HOUR);
    }

    figures.waiting.waiting = 3;
    figures.waiting.held = 4;
    figures.waiting.next_ms = NOW;
    ok(es_changeset_figures(changes, 7, &figures) == ES_OK
       && es_delivery_commit(store, changes) == ES_OK
       && read_back(&figures) == ES_OK
       && member(&figures, NOW + 2 * HOUR, "day", "attempts") == 3,
       "what is written is read");
    ok(figures.waiting.waiting == 3 && figures.waiting.held == 4
       && figures.waiting.next_ms == NOW, "with the events that wait");
    count(&figures, ES_ATTEMPT_OK, 200, 1, NOW + 3 * HOUR);
    is_int(member(&figures, NOW + 3 * HOUR, "day", "attempts"), 4,
           "and goes on");

    key = es_meta_key("figures");
    es_key32(&key, 7);
    (void) es_delivery_get_meta(store, key, keep, &raw);

    for (len = 0; len < raw.len; len++) {
        put_raw(raw.data, len);

        if (read_back(&figures) != ES_CORRUPT) {
            break;
        }
    }

    ok(len == raw.len, "a record that is cut at %zu is refused", len);

    raw.data[0]++;
    put_raw(raw.data, raw.len);
    ok(read_back(&figures) == ES_OK
       && member(&figures, NOW + 2 * HOUR, "day", "attempts") == 0,
       "cells of another version are passed over");
    raw.data[0]--;

    raw.data[3] = 7;
    put_raw(raw.data, raw.len);
    is_int(read_back(&figures), ES_CORRUPT, "too many cells are refused");

    es_figures_free(&figures);
    ok(es_changeset_forget(changes, 7) == ES_OK
       && es_delivery_commit(store, changes) == ES_OK
       && read_back(&figures) == ES_OK, "a removed endpoint has none");
    is_int(es_delivery_get_meta(store, key, keep, &raw), ES_NOT_FOUND,
           "and no record");
    es_buf_free(&raw);
    es_figures_free(&figures);
}


int
main(void)
{
    char          command[64];
    es_problem_t  problem;

    if (mkdtemp(dir) == NULL
        || es_store_create(dir, &problem) != ES_OK
        || es_store_open(dir, ES_STORE_DELIVER, &store, &problem) != ES_OK
        || (changes = es_changeset_create()) == NULL)
    {
        return 1;
    }

    test_report();
    test_cells();
    test_clock();
    test_counts();
    test_record();

    es_changeset_destroy(changes);
    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
