/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Output of the commands: one line of JSON on stdout, one message on stderr.
 */

#include <stdarg.h>
#include <stdio.h>

#include "ctl.h"


void
ctl_complain(const char *fmt, ...)
{
    va_list  args;

    (void) fputs("eventsyncctl: ", stderr);

    va_start(args, fmt);
    (void) vfprintf(stderr, fmt, args);
    va_end(args);

    (void) fputc('\n', stderr);
}


const char *
ctl_quota_hint(const es_problem_t *problem)
{
    static char  hint[96];

    hint[0] = '\0';

    if (problem->quota != NULL) {
        (void) snprintf(hint, sizeof(hint), " (\"partner change\" raises it "
                        "with --quota-%s=N)", problem->quota);
    }

    return hint;
}


void
ctl_print(const json_t *json)
{
    (void) json_dumpf(json, stdout, JSON_COMPACT);
    (void) putchar('\n');
}


bool
ctl_print_named(const char *name, const char *value, json_t *object)
{
    bool     ok;
    json_t  *named;

    named = json_pack("{s:s}", name, value);
    ok = json_object_update(named, object) == 0;

    if (ok) {
        ctl_print(named);
    }

    json_decref(named);

    return ok;
}
