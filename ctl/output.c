/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Output of the commands: results on stdout, messages on stderr.
 *
 * How a process prints is decided once, by --json and --quiet, and holds for
 * all of its messages, also for those of its threads.  So this file has the one
 * state of the command line that is not in ctl_t.
 */

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"

#include "commands.h"
#include "progress.h"

static struct {
    pthread_mutex_t   lock;
    bool              json;
    bool              quiet;
    bool              printed;     /* JSON, on stdout */
    json_t           *notes;       /* texts; NULL: none yet */
} ctl_output = { .lock = PTHREAD_MUTEX_INITIALIZER };


void
ctl_output_set(bool json, bool quiet)
{
    ctl_output.json = json;
    ctl_output.quiet = quiet;
    ctl_progress_set(quiet);
}


static char *
ctl_output_text(const char *fmt, va_list args)
{
    char  *text;

    return vasprintf(&text, fmt, args) < 0 ? NULL : text;
}


/* Prints a line of text on stderr, or the object. */

static void
ctl_output_message(const char *before, const char *text, json_t *object)
{
    ctl_progress_hide();

    if (ctl_output.json) {
        (void) json_dumpf(object, stderr, JSON_COMPACT);
        (void) fputc('\n', stderr);

    } else {
        (void) fprintf(stderr, "eventsyncctl: %s%s\n", before,
                       text ? text : "out of memory");
    }

    json_decref(object);
}


void
ctl_complain(int status, const char *fmt, ...)
{
    char     *text;
    va_list   args;

    va_start(args, fmt);
    text = ctl_output_text(fmt, args);
    va_end(args);

    (void) pthread_mutex_lock(&ctl_output.lock);

    ctl_output_message("", text,
                       json_pack("{s:s, s:s, s:i}", "title",
                                 status == CTL_USAGE ? "The call is wrong"
                                                     : "The operation failed",
                                 "detail", text ? text : "out of memory",
                                 "exit_status", status));

    (void) pthread_mutex_unlock(&ctl_output.lock);

    free(text);
}


static void
ctl_output_tell(const char *before, const char *fmt, va_list args)
{
    char  *text;

    text = ctl_output_text(fmt, args);

    (void) pthread_mutex_lock(&ctl_output.lock);

    ctl_output_message(before, text, json_pack("{s:s*}", "note", text));

    if (ctl_output.notes == NULL) {
        ctl_output.notes = json_array();
    }

    (void) json_array_append_new(ctl_output.notes, json_string(text));
    (void) pthread_mutex_unlock(&ctl_output.lock);

    free(text);
}


void
ctl_warn(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);
    ctl_output_tell("", fmt, args);
    va_end(args);
}


const char *
ctl_plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}


void
ctl_say(const char *fmt, ...)
{
    va_list  args;

    va_start(args, fmt);

    if (ctl_output.json) {
        ctl_output_tell("", fmt, args);

    } else {
        ctl_progress_hide();
        (void) vprintf(fmt, args);
        (void) putchar('\n');
    }

    va_end(args);
}


void
ctl_happened(const char *what, json_t *members, const char *fmt, ...)
{
    va_list  args;

    if (ctl_output.json) {
        (void) ctl_print_named("what", what, members);

    } else {
        (void) printf(fmt != NULL ? "%-9s " : "%s", what);

        if (fmt != NULL) {
            va_start(args, fmt);
            (void) vprintf(fmt, args);
            va_end(args);
        }

        (void) putchar('\n');
    }

    json_decref(members);
}


void
ctl_note(const char *fmt, ...)
{
    va_list  args;

    if (ctl_output.quiet) {
        return;
    }

    va_start(args, fmt);
    ctl_output_tell("note: ", fmt, args);
    va_end(args);
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


char *
ctl_printable(char *text)
{
    char    *p, *end;
    size_t   len;

    end = text + strlen(text);

    for (p = text; p < end; p += len) {
        len = es_utf8_len(p, end);

        if (len == 0 || (unsigned char) *p < ' ' || *p == 0x7f) {
            *p = '?';
            len = 1;
        }
    }

    return text;
}


void
ctl_print(const json_t *json)
{
    (void) json_dumpf(json, stdout, ES_JSON_PRINT);
    (void) putchar('\n');
    ctl_output.printed = true;
}


void
ctl_print_text(es_str_t text)
{
    (void) fwrite(text.data, 1, text.len, stdout);

    if (text.len == 0 || text.data[text.len - 1] != '\n') {
        (void) putchar('\n');
    }

    ctl_output.printed = true;
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


void
ctl_result(ctl_t *ctl, json_t *object)
{
    if (!ctl->json) {
        json_decref(object);
        return;
    }

    json_decref(ctl->result);
    ctl->result = object;
}


void
ctl_result_removed(ctl_t *ctl, const char *name)
{
    ctl_result(ctl, json_pack("{s:s, s:b}", "name", name, "removed", true));
}


void
ctl_output_end(ctl_t *ctl, int rc)
{
    if (ctl->json && ctl->result == NULL && rc == CTL_OK
        && !ctl_output.printed && !ctl->command->stream)
    {
        ctl->result = json_object();
    }

    if (ctl->result != NULL) {

        if (ctl_output.notes != NULL) {
            (void) json_object_set(ctl->result, "notes", ctl_output.notes);
        }

        ctl_print(ctl->result);
        json_decref(ctl->result);
        ctl->result = NULL;
    }

    json_decref(ctl_output.notes);
    ctl_output.notes = NULL;
}
