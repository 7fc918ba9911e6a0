/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The table of all commands: their arguments, options and help texts.
 *
 * Everything that lists commands follows from it: parsing (args.c), help
 * (help.c), suggestions (suggest.c) and completion (complete.c).  The rows are
 * in commands_*.c, a file for each part of the table.  docs/eventsyncctl.md
 * describes the same commands at length; t/ctl/table.t compares both.
 */

#ifndef CTL_COMMANDS_H
#define CTL_COMMANDS_H

#include "ctl.h"

typedef enum {
    CTL_FREE,                      /* the option may be left out */
    CTL_REQUIRED,
    CTL_OR                         /* instead of the one before it */
} ctl_need_t;

typedef struct {
    const char  *name;             /* without "--"; NULL: end of the list */
    const char  *value;            /* as help shows it: "N", "off|warn|enforce";
                                      NULL: the option has no value */
    const char  *about;            /* what it does, with the default */
    ctl_need_t   need;
} ctl_option_row_t;

struct ctl_command {
    const char  *name;             /* "feed create"; NULL: end of the list */
    int        (*run)(ctl_t *ctl, int argc, char **argv);
    int          kind;             /* of the registry records that the command
                                      works on (es_kind_t), or CTL_NO_KIND */

    const char  *arguments;        /* "FEED [CURSOR]"; NULL: none.  Arguments in
                                      brackets may be left out */
    const ctl_option_row_t  *options;      /* NULL: none of its own */
    const char  *input;            /* what it reads from standard input, or
                                      NULL */
    const char  *about;            /* one line */
    const char  *json;             /* what it prints with --json; NULL: it has
                                      no --json */
    bool         stream;           /* --json prints one document a line */
    const char  *examples;         /* lines without the name of the program */
};

typedef struct {
    const char           *name;    /* NULL: end of the list */
    const char           *about;   /* one line */
    const ctl_command_t  *commands;
} ctl_group_t;

extern const ctl_group_t  ctl_groups[];

/* Options that every command has. */
extern const ctl_option_row_t  ctl_common_options[];

/* ---- commands_*.c ---- */

extern const ctl_command_t  ctl_store_commands[];
extern const ctl_command_t  ctl_feed_commands[];
extern const ctl_command_t  ctl_type_commands[];
extern const ctl_command_t  ctl_partner_commands[];
extern const ctl_command_t  ctl_flag_commands[];
extern const ctl_command_t  ctl_fields_commands[];
extern const ctl_command_t  ctl_key_commands[];
extern const ctl_command_t  ctl_dashboard_commands[];
extern const ctl_command_t  ctl_endpoint_commands[];
extern const ctl_command_t  ctl_checkpoint_commands[];
extern const ctl_command_t  ctl_audit_commands[];
extern const ctl_command_t  ctl_events_commands[];
extern const ctl_command_t  ctl_receive_commands[];
extern const ctl_command_t  ctl_check_commands[];

/* The options of "endpoint create" and "endpoint change" are those of the
   members of an endpoint, so that this makes their rows.  It must be called
   once before the rows are read. */
void ctl_endpoint_rows_make(void);

/* ---- commands.c ---- */

/* The command of the first one or two words, with the number of these *words;
   NULL: there is none. */
const ctl_command_t *ctl_command_find(int argc, char **argv, int *words);

/* NULL: there is no such group. */
const ctl_group_t *ctl_group_find(const char *name);

/* An option of the command (NULL: of none), or one that every command has;
   NULL: there is no such option.  `name` has `len` bytes. */
const ctl_option_row_t *ctl_option_find(const ctl_command_t *command,
    const char *name, size_t len);

/* How many arguments the command has at least and at most. */
void ctl_command_arguments(const ctl_command_t *command, int *min, int *max);

/* ---- help.c ---- */

/* Prints help on the command or group of the words in argv, or on the program
   if there are none.  CTL_USAGE with a message: there is no such command. */
int ctl_help(int argc, char **argv, bool json);

/* ---- complete.c ---- */

/* Prints what may stand for the last word of a command line, whose words after
   the name of the program are argv. */
int ctl_complete(ctl_t *ctl, int argc, char **argv);

/* ---- suggest.c ---- */

#define CTL_SUGGESTION_MAX  128

/* Both return "; did you mean ...?", in `out`, or "" if nothing is near. */
const char *ctl_suggest_command(int argc, char **argv,
    char out[CTL_SUGGESTION_MAX]);
const char *ctl_suggest_option(const ctl_command_t *command, const char *name,
    size_t len, char out[CTL_SUGGESTION_MAX]);

#endif /* CTL_COMMANDS_H */
