/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Writes results of checks as JUnit XML.  The form has no specification: these
 * are the elements that Jenkins, GitLab and others read.
 */

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "ctl.h"
#include "junit.h"
#include "replace.h"


/* Appends a text.  XML 1.0 has no escape for most control characters, nor for
   U+FFFE and U+FFFF. */

static es_rc_t
ctl_junit_text(es_buf_t *out, const char *text)
{
    es_rc_t      rc;
    const char  *with;

    for (rc = ES_OK; rc == ES_OK && *text != '\0'; text++) {
        with = *text == '&' ? "&amp;"
               : *text == '<' ? "&lt;"
               : *text == '>' ? "&gt;"
               : *text == '"' ? "&quot;"
               : *text == '\n' ? "&#10;"
               : *text == '\t' ? "&#9;"
               : *text == '\r' ? "&#13;"
               : (unsigned char) *text < ' ' ? "?"
               : strncmp(text, "\xef\xbf\xbe", 3) == 0 ? "?"
               : strncmp(text, "\xef\xbf\xbf", 3) == 0 ? "?" : NULL;

        if (with == NULL) {
            rc = es_buf_append(out, text, 1);
            continue;
        }

        rc = es_buf_str(out, es_str(with));
        text += *text == '\xef' ? 2 : 0;
    }

    return rc;
}


/* Appends ` name="value"`. */

static es_rc_t
ctl_junit_attribute(es_buf_t *out, const char *name, const char *value)
{
    es_rc_t  rc;

    rc = es_buf_printf(out, " %s=\"", name);

    if (rc == ES_OK) {
        rc = ctl_junit_text(out, value != NULL ? value : "");
    }

    return rc == ES_OK ? es_buf_str(out, es_lit("\"")) : rc;
}


static const char *
ctl_junit_member(const json_t *object, const char *name)
{
    const char  *text;

    text = json_string_value(json_object_get(object, name));

    return text != NULL ? text : "";
}


static double
ctl_junit_seconds(const json_t *check)
{
    return (double) json_integer_value(json_object_get(check, "took_ms"))
           / 1000;
}


/* Appends what the hint of a check says. */

static es_rc_t
ctl_junit_hint(es_buf_t *out, const json_t *results, const char *cause)
{
    es_rc_t       rc;
    size_t        i;
    const char   *change;
    json_t       *hint;

    json_array_foreach(json_object_get(results, "hints"), i, hint) {
        if (strcmp(ctl_junit_member(hint, "cause"), cause) != 0) {
            continue;
        }

        change = ctl_junit_member(hint, "change");
        rc = ctl_junit_text(out, ctl_junit_member(hint, "hint"));

        if (rc == ES_OK && change[0] != '\0') {
            rc = es_buf_str(out, es_lit(" Change: "));
        }

        return rc == ES_OK ? ctl_junit_text(out, change) : rc;
    }

    return ES_OK;
}


/* Appends the child of a check that did not pass. */

static es_rc_t
ctl_junit_failure(es_buf_t *out, const json_t *results, const json_t *check)
{
    es_rc_t      rc;
    es_buf_t     message = { 0 };
    const char  *cause;

    cause = ctl_junit_member(check, "cause");

    rc = es_buf_printf(&message, "expected %s, came %s",
                       ctl_junit_member(check, "expected"),
                       ctl_junit_member(check, "came"));

    if (rc == ES_OK) {
        rc = es_buf_append(&message, "", 1);
    }

    if (rc == ES_OK) {
        rc = es_buf_str(out, es_lit("\n      <failure"));
    }

    if (rc == ES_OK) {
        rc = ctl_junit_attribute(out, "message", message.data);
    }

    if (rc == ES_OK) {
        rc = ctl_junit_attribute(out, "type",
                                 cause[0] != '\0' ? cause : "answer");
    }

    if (rc == ES_OK) {
        rc = es_buf_str(out, es_lit(">"));
    }

    if (rc == ES_OK) {
        rc = ctl_junit_hint(out, results, cause);
    }

    es_buf_free(&message);

    return rc == ES_OK ? es_buf_str(out, es_lit("</failure>\n    ")) : rc;
}


static es_rc_t
ctl_junit_check(es_buf_t *out, const char *suite, const json_t *results,
    const json_t *check)
{
    es_rc_t  rc;

    rc = es_buf_printf(out, "    <testcase classname=\"eventsyncctl.%s\"",
                       suite);

    if (rc == ES_OK) {
        rc = ctl_junit_attribute(out, "name", ctl_junit_member(check, "check"));
    }

    if (rc == ES_OK) {
        rc = es_buf_printf(out, " time=\"%.3f\">", ctl_junit_seconds(check));
    }

    if (rc == ES_OK && json_is_true(json_object_get(check, "skipped"))) {
        rc = es_buf_str(out, es_lit("<skipped"));

        if (rc == ES_OK) {
            rc = ctl_junit_attribute(out, "message",
                                     ctl_junit_member(check, "came"));
        }

        if (rc == ES_OK) {
            rc = es_buf_str(out, es_lit("/>"));
        }

    } else if (rc == ES_OK && !json_is_true(json_object_get(check, "pass"))) {
        rc = ctl_junit_failure(out, results, check);
    }

    return rc == ES_OK ? es_buf_str(out, es_lit("</testcase>\n")) : rc;
}


/* Appends the element that has all checks, up to its name and totals. */

static es_rc_t
ctl_junit_totals(es_buf_t *out, const char *element, const char *name,
    const json_t *results)
{
    double   seconds;
    size_t   i, skipped;
    json_t  *check, *checks;

    checks = json_object_get(results, "checks");
    seconds = 0;
    skipped = 0;

    json_array_foreach(checks, i, check) {
        seconds += ctl_junit_seconds(check);
        skipped += json_is_true(json_object_get(check, "skipped"));
    }

    return es_buf_printf(out, "<%s name=\"%s\" tests=\"%zu\" failures=\"%lld\" "
                         "errors=\"0\" skipped=\"%zu\" time=\"%.3f\"", element,
                         name, json_array_size(checks),
                         (long long) json_integer_value(
                             json_object_get(results, "checks_failed")),
                         skipped, seconds);
}


static es_rc_t
ctl_junit_compose(es_buf_t *out, const char *suite, const json_t *results)
{
    char       now[sizeof("2026-11-23T12:00:00")];
    time_t     clock;
    size_t     i;
    json_t    *check;
    es_rc_t    rc;
    struct tm  tm;

    clock = time(NULL);
    (void) strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%S",
                    gmtime_r(&clock, &tm));

    rc = es_buf_str(out, es_lit("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));

    if (rc == ES_OK) {
        rc = ctl_junit_totals(out, "testsuites", "eventsyncctl", results);
    }

    if (rc == ES_OK) {
        rc = es_buf_str(out, es_lit(">\n  "));
    }

    if (rc == ES_OK) {
        rc = ctl_junit_totals(out, "testsuite", suite, results);
    }

    if (rc == ES_OK) {
        rc = es_buf_printf(out, " timestamp=\"%s\">\n    <properties>"
                           "<property name=\"url\"", now);
    }

    if (rc == ES_OK) {
        rc = ctl_junit_attribute(out, "value",
                                 ctl_junit_member(results, "url"));
    }

    if (rc == ES_OK) {
        rc = es_buf_str(out, es_lit("/></properties>\n"));
    }

    json_array_foreach(json_object_get(results, "checks"), i, check) {
        if (rc == ES_OK) {
            rc = ctl_junit_check(out, suite, results, check);
        }
    }

    return rc == ES_OK
           ? es_buf_str(out, es_lit("  </testsuite>\n</testsuites>\n")) : rc;
}


int
ctl_junit_begin(const char *path)
{
    return path == NULL || ctl_replace_try(path)
           ? CTL_OK
           : ctl_fail(CTL_FAILED, "cannot write \"%s\": %s", path,
                      strerror(errno));
}


int
ctl_junit_write(const char *path, const char *suite, const json_t *results)
{
    int       error;
    es_buf_t  out = { 0 };

    if (path == NULL) {
        return CTL_OK;
    }

    error = ctl_junit_compose(&out, suite, results) != ES_OK ? ENOMEM
            : ctl_replace(path, &out) ? 0 : errno;
    es_buf_free(&out);

    return error == 0 ? CTL_OK
           : ctl_fail(CTL_FAILED, "cannot write \"%s\": %s", path,
                      strerror(error));
}
