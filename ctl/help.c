/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Help: one screen on the program, then on a group and on a command; or the
 * whole table as JSON, for other programs.
 */

#include <stdio.h>

#include "commands.h"

#define HELP_WIDTH    79
#define HELP_GROUP    14           /* columns of names, with the margin */
#define HELP_OPTION   26

static const char  ctl_help_call[] =
    "usage: eventsyncctl [--store=PATH] COMMAND [ARGUMENTS] [OPTIONS]";


/* Prints words from column `at` on, and wraps them before the last column of
   the screen; further lines begin at `column`.  Ends the line. */

static void
ctl_help_wrap(const char *text, int at, int column)
{
    int   len;
    bool  first;

    for (first = true; *text != '\0'; first = false) {
        len = (int) strcspn(text, " ");

        if (!first && at + 1 + len > HELP_WIDTH) {
            (void) printf("\n%*s", column, "");
            at = column;

        } else if (!first) {
            (void) putchar(' ');
            at++;
        }

        (void) printf("%.*s", len, text);
        at += len;
        text += len;
        text += *text == ' ';
    }

    (void) putchar('\n');
}


/* Prints a name and, in the column, the text about it. */

static void
ctl_help_row(const char *name, int column, const char *about)
{
    if ((int) strlen(name) + 4 <= column) {
        (void) printf("  %-*s", column - 2, name);
    } else {
        (void) printf("  %s\n%*s", name, column, "");
    }

    ctl_help_wrap(about, column, column);
}


/* The commands of one word stand for themselves, and the name of the group for
   the others. */

static void
ctl_help_names(const ctl_group_t *group, char *out, size_t size)
{
    size_t                len;
    bool                  two;
    const ctl_command_t  *command;

    len = 0;
    two = false;

    for (command = group->commands; command->name != NULL; command++) {
        if (strchr(command->name, ' ') != NULL) {
            two = true;

        } else if (len < size) {
            len += (size_t) snprintf(out + len, size - len, "%s%s",
                                     len > 0 ? ", " : "", command->name);
        }
    }

    if (two && len < size) {
        (void) snprintf(out + len, size - len, "%s%s", len > 0 ? ", " : "",
                        group->name);
    }
}


static void
ctl_help_program(void)
{
    char                names[256];
    const ctl_group_t  *group;

    (void) printf("%s\n\n", ctl_help_call);

    for (group = ctl_groups; group->name != NULL; group++) {
        ctl_help_names(group, names, sizeof(names));
        ctl_help_row(names, HELP_GROUP, group->about);
    }

    (void) printf("\n\"eventsyncctl COMMAND --help\" explains a command, or the"
                  " commands of a group.\nThe store is --store=PATH or "
                  "EVENTSYNC_STORE.  --version prints the version.\n");
}


/* The arguments and the options that must be given. */

static void
ctl_help_synopsis(const ctl_command_t *command, char *out, size_t size)
{
    size_t                   len;
    bool                     open, free;
    const char              *before;
    const ctl_option_row_t  *row;

    len = (size_t) snprintf(out, size, "%s%s%s", command->name,
                            command->arguments ? " " : "",
                            command->arguments ? command->arguments : "");
    open = free = false;

    for (row = command->options;
         row != NULL && row->name != NULL && len < size; row++)
    {
        if (row->need == CTL_FREE || (row->need == CTL_OR && !open)) {
            free = true;
            open = false;
            continue;
        }

        before = row->need == CTL_OR ? " | " : " ";
        open = true;
        len += (size_t) snprintf(out + len, size - len, "%s--%s%s%s", before,
                                 row->name, row->value ? "=" : "",
                                 row->value ? row->value : "");
    }

    if (len < size) {
        (void) snprintf(out + len, size - len, "%s%s%s",
                        free ? " [OPTIONS]" : "", command->input ? " < " : "",
                        command->input ? command->input : "");
    }
}


static int
ctl_help_group(const ctl_group_t *group)
{
    char                  synopsis[512];
    const ctl_command_t  *command;

    (void) printf("%s\n\n", ctl_help_call);
    ctl_help_wrap(group->about, 0, 0);
    (void) putchar('\n');

    for (command = group->commands; command->name != NULL; command++) {
        ctl_help_synopsis(command, synopsis, sizeof(synopsis));
        (void) printf("  ");
        ctl_help_wrap(synopsis, 2, 6);
        (void) printf("      ");
        ctl_help_wrap(command->about, 6, 6);
    }

    (void) printf("\n\"eventsyncctl COMMAND --help\" has the options and "
                  "examples.\n");

    return CTL_OK;
}


static void
ctl_help_options(const ctl_command_t *command, const ctl_option_row_t *rows)
{
    char  name[128];

    for ( /* void */ ; rows != NULL && rows->name != NULL; rows++) {
        if (ctl_option_find(command, rows->name, strlen(rows->name)) != rows
            || strcmp(rows->name, "json") == 0)
        {
            continue;
        }

        (void) snprintf(name, sizeof(name), "--%s%s%s", rows->name,
                        rows->value ? "=" : "", rows->value ? rows->value : "");
        ctl_help_row(name, HELP_OPTION, rows->about);
    }
}


static int
ctl_help_command(const ctl_command_t *command)
{
    char         text[512];
    size_t       len;
    const char  *line;

    ctl_help_synopsis(command, text, sizeof(text));
    (void) printf("usage: eventsyncctl ");
    ctl_help_wrap(text, 20, 20);
    (void) putchar('\n');
    ctl_help_wrap(command->about, 0, 0);

    if (command->options != NULL) {
        (void) printf("\nOptions:\n");
        ctl_help_options(command, command->options);
    }

    (void) printf("\nOptions of every command:\n");

    if (command->json != NULL) {
        (void) snprintf(text, sizeof(text), "print JSON: %s", command->json);
        ctl_help_row("--json", HELP_OPTION, text);
    }

    ctl_help_options(command, ctl_common_options);

    if (command->examples != NULL) {
        (void) printf("\nExamples:\n");

        for (line = command->examples; *line != '\0'; /* void */ ) {
            len = strcspn(line, "\n");
            (void) printf("  eventsyncctl ");
            (void) fwrite(line, 1, len, stdout);
            (void) putchar('\n');
            line += len;
            line += *line == '\n';
        }
    }

    return CTL_OK;
}


static json_t *
ctl_help_json_options(const ctl_command_t *command,
    const ctl_option_row_t *rows)
{
    json_t  *list;

    list = json_array();

    for ( /* void */ ; rows != NULL && rows->name != NULL; rows++) {
        if (ctl_option_find(command, rows->name, strlen(rows->name)) == rows) {
            (void) json_array_append_new(
                list, json_pack("{s:s, s:s?, s:s, s:b, s:b}", "name",
                                rows->name, "value", rows->value, "about",
                                rows->about, "required",
                                rows->need == CTL_REQUIRED, "instead",
                                rows->need == CTL_OR));
        }
    }

    return list;
}


/* One object a line: a command. */

static int
ctl_help_json(void)
{
    json_t               *json;
    const ctl_group_t    *group;
    const ctl_command_t  *c;

    for (group = ctl_groups; group->name != NULL; group++) {
        for (c = group->commands; c->name != NULL; c++) {
            json = json_pack("{s:s, s:s, s:s, s:s, s:s?, s:s?, s:b, s:s?, s:o,"
                             " s:o}", "command", c->name, "group", group->name,
                             "about", c->about, "arguments",
                             c->arguments ? c->arguments : "",
                             "input", c->input, "json", c->json,
                             "stream", c->stream, "examples", c->examples,
                             "options", ctl_help_json_options(c, c->options),
                             "common_options",
                             ctl_help_json_options(c, ctl_common_options));
            ctl_print(json);
            json_decref(json);
        }
    }

    return CTL_OK;
}


int
ctl_help(int argc, char **argv, bool json)
{
    int                   words;
    char                  suggestion[CTL_SUGGESTION_MAX];
    const ctl_group_t    *group;
    const ctl_command_t  *command;

    if (json) {
        return ctl_help_json();
    }

    if (argc == 0 || argv[0][0] == '-') {
        ctl_help_program();
        return CTL_OK;
    }

    command = ctl_command_find(argc, argv, &words);
    if (command != NULL) {
        return ctl_help_command(command);
    }

    group = ctl_group_find(argv[0]);
    if (group != NULL && (argc == 1 || argv[1][0] == '-')) {
        return ctl_help_group(group);
    }

    return ctl_fail(CTL_USAGE, "unknown command \"%s%s%s\"%s", argv[0],
                    argc > 1 && argv[1][0] != '-' ? " " : "",
                    argc > 1 && argv[1][0] != '-' ? argv[1] : "",
                    ctl_suggest_command(argc, argv, suggestion));
}
