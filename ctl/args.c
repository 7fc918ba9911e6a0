/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The command line of one command: options, arguments and their values.
 *
 * Options are long and may stand anywhere, as "--name=value" or "--name value".
 * commands.h says which options and arguments a command has; its own code only
 * says which variable gets the text of each.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/json.h"
#include "commands.h"

/* The variable of an option; NULL: the command has none for it. */

static const ctl_option_t *
ctl_variable(const ctl_option_t *options, const char *name)
{
    for ( /* void */ ; options != NULL && options->name != NULL; options++) {
        if (strcmp(options->name, name) == 0) {
            return options;
        }
    }

    return NULL;
}


/* The table and the command's own code must agree on its options. */

static void
ctl_args_agree(const ctl_t *ctl, const ctl_option_t *options)
{
    const ctl_option_t      *option;
    const ctl_option_row_t  *row;

    for (row = ctl->command->options; row != NULL && row->name != NULL; row++) {
        ES_ASSERT(ctl_variable(options, row->name) != NULL);
    }

    for (option = options; option != NULL && option->name != NULL; option++) {
        ES_ASSERT(ctl_option_find(ctl->command, option->name,
                                  strlen(option->name)) != NULL);
    }
}


/* The text of the option argv[*i], which may be the next argument. */

static int
ctl_value(const ctl_t *ctl, const ctl_option_row_t *row, char **argv, int argc,
    int *i, const char **value)
{
    const char  *text;

    text = strchr(argv[*i], '=');

    if (row->value == NULL) {
        *value = "";

        return text == NULL ? CTL_OK
               : ctl_fail(CTL_USAGE, "\"--%s\" of \"%s\" takes no value",
                          row->name, ctl->command->name);
    }

    if (text == NULL && *i + 1 >= argc) {
        return ctl_fail(CTL_USAGE, "\"--%s\" of \"%s\" needs a value: %s",
                        row->name, ctl->command->name, row->value);
    }

    *value = text != NULL ? text + 1 : argv[++*i];

    return CTL_OK;
}


/* An option that is given twice would lose what was given first.  `given` has a
   bit for each option of the command. */

static int
ctl_once(const ctl_t *ctl, const ctl_option_row_t *row, uint64_t *given)
{
    size_t  n;

    n = (size_t) (row - ctl->command->options);
    ES_ASSERT(n < 64);

    if (*given & (UINT64_C(1) << n)) {
        return ctl_fail(CTL_USAGE, "\"--%s\" of \"%s\" is given twice: give it "
                        "once%s%s", row->name, ctl->command->name,
                        row->value ? ", as " : "", row->value ? row->value : "");
    }

    *given |= UINT64_C(1) << n;

    return CTL_OK;
}


/* Takes the option argv[*i], and its value where that is the next argument. */

static int
ctl_take(ctl_t *ctl, const ctl_option_t *options, char **argv, int argc, int *i,
    uint64_t *given)
{
    int                      rc;
    char                     suggestion[CTL_SUGGESTION_MAX];
    size_t                   len;
    const char              *name, *json = NULL, *quiet = NULL;
    const ctl_option_t      *option;
    const ctl_option_row_t  *row;

    const ctl_option_t  common[] = {
        { "store", &ctl->store_path },
        { "key-file", &ctl->key_file },
        { "json", &json },
        { "quiet", &quiet },
        { NULL, NULL }
    };

    name = argv[*i] + 2;
    len = strcspn(name, "=");
    row = ctl_option_find(ctl->command, name, len);

    if (row == NULL) {
        return ctl_fail(CTL_USAGE, "unknown option \"--%.*s\" of \"%s\"%s",
                        (int) len, name, ctl->command->name,
                        ctl_suggest_option(ctl->command, name, len,
                                           suggestion));
    }

    option = ctl_variable(common, row->name);

    if (option != NULL) {
        rc = ctl_value(ctl, row, argv, argc, i, option->value);
        ctl->json |= json != NULL;
        ctl->quiet |= quiet != NULL;
        return rc;
    }

    option = ctl_variable(options, row->name);
    ES_ASSERT(option != NULL);

    rc = ctl_once(ctl, row, given);
    if (rc != CTL_OK) {
        return rc;
    }

    rc = ctl_value(ctl, row, argv, argc, i, option->value);

    if (rc == CTL_OK && ctl_secret_option(option->name)) {
        rc = ctl_secret_take(ctl, option->name, option->value);
    }

    /* A path may have any bytes; all other values end up in JSON. */

    if (rc == CTL_OK && !es_utf8_ok(es_str(*option->value))) {
        return ctl_fail(CTL_USAGE, "\"--%s\" is not UTF-8", option->name);
    }

    return rc;
}


int
ctl_args(ctl_t *ctl, int *argc, char **argv, const ctl_option_t *options)
{
    int       i, n, rc, min, max;
    uint64_t  given;

    ctl_args_agree(ctl, options);
    ctl_command_arguments(ctl->command, &min, &max);

    n = 0;
    given = 0;

    for (i = 0; i < *argc; i++) {

        if (strncmp(argv[i], "--", 2) == 0) {
            rc = ctl_take(ctl, options, argv, *argc, &i, &given);
            if (rc != CTL_OK) {
                return rc;
            }

            continue;
        }

        if (!es_utf8_ok(es_str(argv[i]))) {
            return ctl_fail(CTL_USAGE, "argument \"%s\" is not UTF-8",
                            argv[i]);
        }

        argv[n++] = argv[i];
    }

    if (n < min) {
        return ctl_fail(CTL_USAGE, "too few arguments: \"%s\" needs %s",
                        ctl->command->name, ctl->command->arguments);
    }

    if (n > max) {
        return ctl_fail(CTL_USAGE, "unexpected argument \"%s\" of \"%s\"",
                        argv[max], ctl->command->name);
    }

    *argc = n;

    return CTL_OK;
}


void
ctl_filter_options(ctl_option_t *options, const char *texts[ES_FILTER_PARAMS])
{
    size_t  i;

    while (options->name != NULL) {
        options++;
    }

    for (i = 0; i < ES_FILTER_PARAMS; i++) {
        options[i].name = es_filter_params[i].name;
        options[i].value = &texts[i];
    }
}


int
ctl_filter_parse(const char *const texts[ES_FILTER_PARAMS],
    es_filter_t *filter, es_buf_t *scratch)
{
    size_t        i;
    es_problem_t  problem;

    for (i = 0; i < ES_FILTER_PARAMS; i++) {
        if (texts[i] != NULL
            && es_filter_params[i].set(filter, es_str(texts[i]), scratch,
                                       &problem) != ES_OK)
        {
            return ctl_fail(CTL_USAGE, "\"--%s=%s\": %s",
                            es_filter_params[i].name, texts[i],
                            problem.detail);
        }
    }

    return CTL_OK;
}


int
ctl_number(const char *option, const char *text, uint64_t min, uint64_t max,
    uint64_t *value)
{
    char  *end;

    errno = 0;
    *value = strtoull(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0
        || *value < min || *value > max)
    {
        return ctl_fail(CTL_USAGE, "\"--%s=%s\" is not a number from %llu to "
                        "%llu", option, text, (unsigned long long) min,
                        (unsigned long long) max);
    }

    return CTL_OK;
}


json_t *
ctl_list(const char *text)
{
    size_t   n;
    json_t  *list;

    list = json_array();

    while (*text != '\0') {
        n = strcspn(text, ",");

        if (n > 0) {
            (void) json_array_append_new(list, json_stringn(text, n));
        }

        text += n + (text[n] == ',');
    }

    return list;
}


int
ctl_numbers(const char *option, const char *text, uint64_t min, uint64_t max,
    json_t **list)
{
    int        rc;
    size_t     i;
    json_t    *texts, *item;
    uint64_t   number;

    rc = CTL_OK;
    texts = ctl_list(text);
    *list = json_array();

    json_array_foreach(texts, i, item) {
        rc = ctl_number(option, json_string_value(item), min, max, &number);
        if (rc != CTL_OK) {
            json_decref(*list);
            *list = NULL;
            break;
        }

        (void) json_array_append_new(*list,
                                     json_integer((json_int_t) number));
    }

    json_decref(texts);

    return rc;
}


int
ctl_yes(const char *option, const char *text, json_t **value)
{
    if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0) {
        return ctl_fail(CTL_USAGE, "\"--%s=%s\" is neither yes nor no", option,
                        text);
    }

    *value = json_boolean(text[0] == 'y');

    return CTL_OK;
}
