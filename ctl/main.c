/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * eventsyncctl: the command line of operators and of partner engineers.
 *
 * commands.h has the table of all commands.  A command is one or two words; its
 * function is in the file of its subject.
 */

#include <stdio.h>
#include <stdlib.h>

#include "commands.h"
#include "open/child.h"
#include "progress.h"

static int ctl_run(ctl_t *ctl, int argc, char **argv);
static int ctl_unknown(int argc, char **argv);
static int ctl_leading(ctl_t *ctl, int argc, char **argv);
static bool ctl_before(int argc, char **argv, int *i, const char *option,
    const char **value);
static bool ctl_asks(int argc, char **argv, const char *option);


int
main(int argc, char **argv)
{
    int    skip;
    ctl_t  ctl = { 0 };

    ctl.store_path = getenv("EVENTSYNC_STORE");
    ctl.key_file = getenv("EVENTSYNC_KEY_FILE");

    ctl_output_set(ctl_asks(argc, argv, "--json"),
                   ctl_asks(argc, argv, "--quiet"));
    ctl_endpoint_rows_make();

    skip = ctl_leading(&ctl, argc, argv);
    argc -= skip;
    argv += skip;

    if (argc > 0 && strcmp(argv[0], "--version") == 0) {
        (void) printf("eventsyncctl %s\n", ES_VERSION);
        return CTL_OK;
    }

    if (argc > 0 && strcmp(argv[0], "help") == 0) {
        return ctl_help(argc - 1, argv + 1,
                        ctl.json || ctl_asks(argc, argv, "--json"));
    }

    if (argc > 0 && strcmp(argv[0], "complete") == 0) {
        return ctl_complete(&ctl, argc - 1, argv + 1);
    }

    if (ctl_asks(argc, argv, "--help")
        || (argc > 0 && strcmp(argv[argc - 1], "-h") == 0))
    {
        return ctl_help(argc, argv, false);
    }

    return ctl_run(&ctl, argc, argv);
}


static int
ctl_run(ctl_t *ctl, int argc, char **argv)
{
    int  rc, words;

    ctl->command = ctl_command_find(argc, argv, &words);
    if (ctl->command == NULL) {
        return ctl_unknown(argc, argv);
    }

    if (ctl->json && ctl->command->json == NULL) {
        return ctl_fail(CTL_USAGE, "unknown option \"--json\" of \"%s\"",
                        ctl->command->name);
    }

    es_child_of_first();

    rc = ctl->command->run(ctl, argc - words, argv + words);

    ctl_progress_end();
    ctl_report(ctl, true);
    ctl_output_end(ctl, rc);
    es_store_close(ctl->store);
    ctl_secrets_free(ctl);

    if (fflush(stdout) != 0 && rc == CTL_OK) {
        return ctl_fail(CTL_FAILED, "cannot write to standard output");
    }

    return rc;
}


/* Says why no command is found. */

static int
ctl_unknown(int argc, char **argv)
{
    char  suggestion[CTL_SUGGESTION_MAX];

    if (argc == 0) {
        return ctl_fail(CTL_USAGE, "no command; see --help");
    }

    if (strncmp(argv[0], "--", 2) == 0) {
        return ctl_fail(CTL_USAGE, "unknown option \"%.*s\" before the "
                        "command", (int) strcspn(argv[0], "="), argv[0]);
    }

    if (argc == 1 && ctl_group_find(argv[0]) != NULL) {
        return ctl_fail(CTL_USAGE, "\"%s\" is a group of commands; see "
                        "\"eventsyncctl %s --help\"", argv[0], argv[0]);
    }

    (void) ctl_suggest_command(argc, argv, suggestion);

    if (suggestion[0] == '\0') {
        (void) snprintf(suggestion, sizeof(suggestion), "; see \"eventsyncctl "
                        "%s%s--help\"", ctl_group_find(argv[0]) ? argv[0] : "",
                        ctl_group_find(argv[0]) ? " " : "");
    }

    return ctl_fail(CTL_USAGE, "unknown command \"%s%s%s\"%s", argv[0],
                    argc > 1 ? " " : "", argc > 1 ? argv[1] : "", suggestion);
}


/* Takes the options that stand before the command, and returns how many words
   these and the name of the program are. */

static int
ctl_leading(ctl_t *ctl, int argc, char **argv)
{
    int  i;

    for (i = 1; /* void */ ; /* void */ ) {

        if (i < argc && strcmp(argv[i], "--json") == 0) {
            ctl->json = true;
            i++;

        } else if (i < argc && strcmp(argv[i], "--quiet") == 0) {
            ctl->quiet = true;
            i++;

        } else if (!ctl_before(argc, argv, &i, "--store", &ctl->store_path)
                   && !ctl_before(argc, argv, &i, "--key-file",
                                  &ctl->key_file))
        {
            return i;
        }
    }
}


/* Takes the option and its value if argv[*i] is this option. */

static bool
ctl_before(int argc, char **argv, int *i, const char *option,
    const char **value)
{
    size_t  len;

    len = strlen(option);

    if (*i >= argc || strncmp(argv[*i], option, len) != 0) {
        return false;
    }

    if (argv[*i][len] == '=') {
        *value = argv[*i] + len + 1;
        (*i)++;
        return true;
    }

    if (argv[*i][len] == '\0' && *i + 1 < argc) {
        *value = argv[*i + 1];
        *i += 2;
        return true;
    }

    return false;
}


static bool
ctl_asks(int argc, char **argv, const char *option)
{
    int  i;

    for (i = 0; i < argc; i++) {
        if (strcmp(argv[i], option) == 0) {
            return true;
        }
    }

    return false;
}
