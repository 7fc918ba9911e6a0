/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the receiver has applied and answered, beside what it was sent.
 *
 * The receiver appends a line with the id of each event that it applies to the
 * file "applied" of the run.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "lab.h"

#define JUDGE_REQUEST    200
#define JUDGE_TICK_MS    100
#define JUDGE_MOST_US    INT64_C(20000000)
#define JUDGE_GRACE_US   INT64_C(1500000)      /* after the last webhook */
#define JUDGE_POLL_US    INT64_C(5000000)      /* for a poll at the start */


int
ctl_lab_wrong(ctl_lab_t *lab, const char *change, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    (void) vsnprintf(lab->wrong, sizeof(lab->wrong), fmt, args);
    va_end(args);

    (void) ctl_printable(lab->wrong);
    (void) snprintf(lab->change, sizeof(lab->change), "%s", change);

    return LAB_WRONG;
}


int
ctl_lab_publish(ctl_lab_t *lab, unsigned n, bool due)
{
    int              rc;
    es_rc_t          es;
    es_buf_t         lines = { 0 };
    ctl_lab_event_t *event;

    for (es = ES_OK; es == ES_OK && n > 0 && lab->n < LAB_EVENTS; n--) {
        event = &lab->events[lab->n++];
        event->due = due;
        (void) snprintf(event->id, sizeof(event->id), "event-%02u", lab->n);

        es = es_buf_printf(&lines, "{\"specversion\":\"1.0\",\"id\":\"%s\","
                           "\"source\":\"/lab\",\"type\":\"order.updated\","
                           "\"subject\":\"order/1\","
                           "\"data\":{\"number\":%u}}\n", event->id, lab->n);
    }

    if (es != ES_OK || es_buf_append(&lines, "", 1) != ES_OK) {
        es_buf_free(&lines);
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    rc = ctl_lab_ctl(lab, lines.data, NULL, NULL,
        LAB_ARGS("publish", "lab"));
    es_buf_free(&lines);

    return rc;
}


/* How many events the endpoint waits for; -1: its state is behind. */

static json_int_t
ctl_lab_left(const ctl_lab_t *lab, char *lines)
{
    char        *line, *rest, end[16];
    size_t       n, len;
    json_t      *row;
    json_int_t   left;
    const char  *cursor;

    left = -1;
    (void) snprintf(end, sizeof(end), "-%u", lab->n);

    for (line = strtok_r(lines, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest))
    {
        row = json_loads(line, 0, NULL);
        cursor = json_string_value(json_object_get(row, "cursor"));

        if (cursor != NULL) {
            len = strlen(cursor);
            n = strlen(end);
            left = len > n && strcmp(cursor + len - n, end) == 0
                   ? json_integer_value(json_object_get(row, "pending")) : -1;

        } else if (left >= 0) {
            left += json_integer_value(json_object_get(row, "retries"))
                    + json_integer_value(json_object_get(row, "held"));
        }

        json_decref(row);
    }

    return left;
}


int
ctl_lab_settle(ctl_lab_t *lab)
{
    int         rc;
    int64_t     until_us;
    es_buf_t    out = { 0 };
    json_int_t  left;

    until_us = es_clock_mono_us() + JUDGE_MOST_US;

    do {
        rc = ctl_lab_ctl(lab, NULL, &out, NULL,
            LAB_ARGS("endpoint", "status", lab->endpoint, "--json"));
        left = rc == CTL_OK ? ctl_lab_left(lab, out.data) : 0;

        if (left != 0) {
            rc = ctl_lab_pause(JUDGE_TICK_MS);
        }
    } while (rc == CTL_OK && left != 0 && es_clock_mono_us() < until_us);

    es_buf_free(&out);

    return rc;
}


/* The text of the file, which may not be there yet. */

static char *
ctl_lab_applied_read(const ctl_lab_t *lab)
{
    char      path[LAB_PATH + 32], piece[4096];
    FILE     *file;
    size_t    n;
    es_buf_t  text = { 0 };

    (void) snprintf(path, sizeof(path), "%s/applied", lab->run);
    file = fopen(path, "re");

    while (file != NULL && (n = fread(piece, 1, sizeof(piece), file)) > 0) {
        if (es_buf_append(&text, piece, n) != ES_OK) {
            break;
        }
    }

    if (file != NULL) {
        (void) fclose(file);
    }

    return es_buf_append(&text, "", 1) == ES_OK ? text.data : NULL;
}


/* The events of the file in their order, as indexes.  Lines without an event of
   the lab are ignored, such as those of tests. */

static unsigned
ctl_lab_applied_list(const ctl_lab_t *lab, unsigned *list, unsigned max)
{
    char      *text, *line, *rest;
    unsigned   i, n;

    text = ctl_lab_applied_read(lab);
    n = 0;

    for (line = text != NULL ? strtok_r(text, "\n", &rest) : NULL;
         line != NULL && n < max; line = strtok_r(NULL, "\n", &rest))
    {
        for (i = 0; i < lab->n; i++) {
            if (strstr(line, lab->events[i].id) != NULL) {
                list[n++] = i;
                break;
            }
        }
    }

    free(text);

    return n;
}


/* The first event that is due and not in the list, or lab->n. */

static unsigned
ctl_lab_missing(const ctl_lab_t *lab, const unsigned *list, unsigned n)
{
    unsigned  i, j;

    for (i = 0; i < lab->n; i++) {

        for (j = 0; j < n && list[j] != i; j++) {
            /* void */
        }

        if (j == n && lab->events[i].due) {
            break;
        }
    }

    return i;
}


/* What the last poll was answered with, and its request; 0: there was none. */

static int
ctl_lab_last_poll(const ctl_lab_t *lab, char request[JUDGE_REQUEST])
{
    int    status;
    char   path[LAB_PATH + 32], line[4096];
    FILE  *file;

    (void) snprintf(path, sizeof(path), "%s/polls.log", lab->run);
    file = fopen(path, "re");
    request[0] = '\0';
    status = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        if (strchr(line, '\n') != NULL) {
            line[strcspn(line, "\n")] = '\0';
            status = atoi(line);
            (void) snprintf(request, JUDGE_REQUEST, "%s",
                            line + strcspn(line, " "));
        }
    }

    if (file != NULL) {
        (void) fclose(file);
    }

    return status;
}


bool
ctl_lab_poll_refused(const ctl_lab_t *lab)
{
    int   status;
    char  request[JUDGE_REQUEST];

    status = ctl_lab_last_poll(lab, request);

    return status >= 400 && status != 410;
}


int
ctl_lab_silent(ctl_lab_t *lab)
{
    int   status;
    char  request[JUDGE_REQUEST], poll[JUDGE_REQUEST + 64] = "";

    status = ctl_lab_last_poll(lab, request);

    if (status >= 400) {
        (void) snprintf(poll, sizeof(poll), ". Its last poll was answered with "
                        "%d:%s", status, request);
    }

    return ctl_lab_wrong(lab, "mend the error that it has printed, and let it "
                         "listen on 127.0.0.1 at the port in the variable PORT",
                         "The receiver does not listen on port %u%s",
                         (unsigned) lab->port, poll);
}


/* An event is missing.  A poll that was refused says more than the step can. */

static int
ctl_lab_lacks(ctl_lab_t *lab, const char *id, const char *missing,
    const char *change)
{
    int   status;
    char  request[JUDGE_REQUEST];

    if (!ctl_lab_poll_refused(lab)) {
        return ctl_lab_wrong(lab, change, "The receiver has not applied %s, %s",
                             id, missing);
    }

    status = ctl_lab_last_poll(lab, request);

    if (status == 401) {
        change = "send the header field \"Authorization: Bearer KEY\" with the "
                 "variable EVENTSYNC_KEY, which each run of a step sets anew";

    } else if (status == 429) {
        change = "sleep for the seconds in the header field Retry-After, and "
                 "poll less often";

    } else {
        change = "request EVENTSYNC_URL/feeds/EVENTSYNC_FEED/events with after "
                 "or from, and read the detail of the answer";
    }

    return ctl_lab_wrong(lab, change, "The receiver has not applied %s, %s. Its "
                         "last poll was answered with %d:%s", id, missing,
                         status, request);
}


static int
ctl_lab_compare(ctl_lab_t *lab, const char *missing, const char *change)
{
    unsigned  list[8 * LAB_EVENTS], n, i, j;

    n = ctl_lab_applied_list(lab, list, 8 * LAB_EVENTS);

    for (i = 0; i < n; i++) {
        for (j = 0; j < i; j++) {
            if (list[i] == list[j]) {
                return ctl_lab_wrong(lab, "store the id of each event that you "
                                     "apply, or the cursor that you hold, on "
                                     "disk, and answer 2xx to an event that "
                                     "you have already",
                                     "The receiver has applied %s twice",
                                     lab->events[list[i]].id);
            }
        }
    }

    for (i = 1; i < n; i++) {
        if (list[i] < list[i - 1]) {
            return ctl_lab_wrong(lab, "apply an event only if its prevcursor "
                                 "is the cursor that you hold; poll, or answer "
                                 "503, if it is not",
                                 "The receiver has applied %s after %s",
                                 lab->events[list[i]].id,
                                 lab->events[list[i - 1]].id);
        }
    }

    i = ctl_lab_missing(lab, list, n);

    return i < lab->n ? ctl_lab_lacks(lab, lab->events[i].id, missing, change)
                      : CTL_OK;
}


int
ctl_lab_applied(ctl_lab_t *lab, const char *missing, const char *change)
{
    int       rc;
    int64_t   until_us;
    unsigned  list[8 * LAB_EVENTS] = { 0 };

    rc = lab->paused ? CTL_OK : ctl_lab_settle(lab);
    until_us = es_clock_mono_us() + (lab->paused ? JUDGE_POLL_US
                                                 : JUDGE_GRACE_US);

    while (rc == CTL_OK && es_clock_mono_us() < until_us
           && ctl_lab_missing(lab, list,
                              ctl_lab_applied_list(lab, list, 8 * LAB_EVENTS))
              < lab->n)
    {
        rc = ctl_lab_pause(JUDGE_TICK_MS);
    }

    return rc == CTL_OK ? ctl_lab_compare(lab, missing, change) : rc;
}


/* The recorded attempts of the endpoint, a line each. */

static int
ctl_lab_attempts_read(ctl_lab_t *lab, es_buf_t *out)
{
    return ctl_lab_ctl(lab, NULL, out, NULL,
        LAB_ARGS("endpoint", "attempts", lab->endpoint, "--json"));
}


int
ctl_lab_attempts(ctl_lab_t *lab, unsigned number, unsigned *n)
{
    int        rc;
    char      *line, *rest;
    json_t    *row;
    es_buf_t   out = { 0 };

    *n = 0;
    rc = ctl_lab_attempts_read(lab, &out);

    for (line = rc == CTL_OK ? strtok_r(out.data, "\n", &rest) : NULL;
         line != NULL; line = strtok_r(NULL, "\n", &rest))
    {
        row = json_loads(line, 0, NULL);
        *n += number == 0
              || json_integer_value(json_object_get(row, "sequence")) == number;
        json_decref(row);
    }

    es_buf_free(&out);

    return rc;
}


int
ctl_lab_attempted(ctl_lab_t *lab, unsigned number, unsigned before)
{
    int       rc;
    int64_t   until_us;
    unsigned  n;

    until_us = es_clock_mono_us() + JUDGE_MOST_US;
    rc = ctl_lab_attempts(lab, number, &n);

    while (rc == CTL_OK && n <= before && es_clock_mono_us() < until_us) {
        rc = ctl_lab_pause(JUDGE_TICK_MS);

        if (rc == CTL_OK) {
            rc = ctl_lab_attempts(lab, number, &n);
        }
    }

    return rc == CTL_OK && n <= before
           ? ctl_fail(CTL_FAILED, "the dispatcher makes no attempt: see "
                      "%s/dispatcher.log", lab->run)
           : rc;
}


int
ctl_lab_answers(ctl_lab_t *lab, unsigned from, const char *change)
{
    int          rc;
    char        *line, *rest;
    json_t      *row;
    es_buf_t     out = { 0 };
    json_int_t   status;

    rc = ctl_lab_attempts_read(lab, &out);

    for (line = rc == CTL_OK ? strtok_r(out.data, "\n", &rest) : NULL;
         rc == CTL_OK && line != NULL; line = strtok_r(NULL, "\n", &rest))
    {
        if (from > 0) {
            from--;
            continue;
        }

        row = json_loads(line, 0, NULL);
        status = json_integer_value(json_object_get(row, "status"));

        if (status >= 300) {
            rc = ctl_lab_wrong(lab, change, "The receiver has answered %d to "
                               "a webhook", (int) status);

        } else if (status == 0
                   && !json_is_true(json_object_get(row, "simulated")))
        {
            rc = ctl_lab_wrong(lab, change, "The receiver gave no answer to a "
                               "webhook; it probably crashed or hangs: see "
                               "its output");
        }

        json_decref(row);
    }

    es_buf_free(&out);

    return rc;
}


int
ctl_lab_last_answer(ctl_lab_t *lab, int *status)
{
    int        rc;
    char      *line, *rest;
    json_t    *row;
    es_buf_t   out = { 0 };

    *status = -1;
    rc = ctl_lab_attempts_read(lab, &out);

    for (line = rc == CTL_OK ? strtok_r(out.data, "\n", &rest) : NULL;
         line != NULL; line = strtok_r(NULL, "\n", &rest))
    {
        row = json_loads(line, 0, NULL);
        *status = (int) json_integer_value(json_object_get(row, "status"));
        json_decref(row);
    }

    es_buf_free(&out);

    return rc;
}


int
ctl_lab_verify(ctl_lab_t *lab, const char *secret, json_t **report)
{
    int       rc, status;
    char      url[64], file[LAB_PATH + 32];
    es_buf_t  out = { 0 };

    *report = NULL;

    (void) snprintf(url, sizeof(url), "--url=http://127.0.0.1:%u/hook",
                    (unsigned) lab->port);
    (void) snprintf(file, sizeof(file), "--secret=@%s/verified", lab->run);

    rc = ctl_lab_write(lab, "verified", secret);

    if (rc == CTL_OK) {
        rc = ctl_lab_ctl(lab, NULL, &out, &status,
            LAB_ARGS("verify-integration", url, file, "--timeout=3s",
                     "--json"));
    }

    if (rc == CTL_OK) {
        *report = json_loads(out.data, 0, NULL);

        if (*report == NULL) {
            rc = ctl_fail(CTL_FAILED, "verify-integration has printed no "
                          "result");
        }
    }

    es_buf_free(&out);

    return rc;
}
