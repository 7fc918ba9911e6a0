/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Writes findings as JSON and as text.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "finding.h"


/* Names and texts of others may be in the sentence. */

static json_t *
ctl_finding_text(const char *fmt, va_list args)
{
    char    *text;
    json_t  *value;

    if (vasprintf(&text, fmt, args) < 0) {
        return NULL;
    }

    value = json_string(ctl_printable(text));
    free(text);

    return value != NULL ? value : json_string("");
}


json_t *
ctl_finding_add(json_t *list, const char *fmt, ...)
{
    json_t   *finding;
    va_list   args;

    finding = json_object();

    va_start(args, fmt);
    (void) json_object_set_new(finding, "text", ctl_finding_text(fmt, args));
    va_end(args);

    return json_array_append_new(list, finding) == 0 ? finding : NULL;
}


void
ctl_finding_set(json_t *finding, const char *name, const char *value)
{
    if (value != NULL) {
        (void) json_object_set_new(finding, name, json_string(value));
    }
}


void
ctl_finding_next(json_t *finding, const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    (void) json_object_set_new(finding, "next", ctl_finding_text(fmt, args));
    va_end(args);
}


void
ctl_finding_print(const char *title, const json_t *finding)
{
    const char  *next;

    (void) printf("%s: %s\n", title,
                  json_string_value(json_object_get(finding, "text")));

    next = json_string_value(json_object_get(finding, "next"));

    if (next != NULL) {
        (void) printf("    next: %s\n", next);
    }
}


const char *
ctl_finding_time(int64_t ms, char *text)
{
    es_time_print(ms, text);
    text[ES_TIME_LEN] = '\0';

    return text;
}
