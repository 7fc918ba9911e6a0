/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The command line of one command: options, arguments and their values.
 *
 * Options are long and may stand anywhere, as "--name=value" or "--name value".
 * The options of the store are known to every command, so that they need no
 * entry in its table.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "ctl.h"

static const ctl_option_t *ctl_find(const ctl_option_t *options,
    const char *text, size_t len);
static int ctl_value(const ctl_option_t *option, char **argv, int argc, int *i);


/* Takes the option argv[*i], and its value where that is the next argument. */

static int
ctl_take(ctl_t *ctl, const ctl_option_t *options, char **argv, int argc, int *i)
{
    int                  rc;
    size_t               len;
    const char          *name;
    const ctl_option_t  *option;
    const ctl_option_t   store[] = {
        { "store", false, &ctl->store_path },
        { "key-file", false, &ctl->key_file },
        { NULL, false, NULL }
    };

    name = argv[*i] + 2;
    len = strcspn(name, "=");

    option = ctl_find(store, name, len);

    if (option != NULL) {
        return ctl_value(option, argv, argc, i);
    }

    option = ctl_find(options, name, len);
    if (option == NULL) {
        return ctl_fail(CTL_USAGE, "unknown option \"--%.*s\"", (int) len,
                        name);
    }

    rc = ctl_value(option, argv, argc, i);

    if (rc == CTL_OK && ctl_secret_option(option->name)) {
        rc = ctl_secret_take(ctl, option->name, option->value);
    }

    /* A path may have any bytes; all other values end up in JSON. */

    if (rc == CTL_OK && !es_utf8_ok(es_str(*option->value))) {
        return ctl_fail(CTL_USAGE, "\"--%s\" is not UTF-8", option->name);
    }

    return rc;
}


static int
ctl_value(const ctl_option_t *option, char **argv, int argc, int *i)
{
    const char  *value;

    value = strchr(argv[*i], '=');

    if (option->flag) {
        if (value != NULL) {
            return ctl_fail(CTL_USAGE, "\"--%s\" takes no value",
                            option->name);
        }

        *option->value = "";

    } else if (value != NULL) {
        *option->value = value + 1;

    } else if (*i + 1 < argc) {
        *option->value = argv[++*i];

    } else {
        return ctl_fail(CTL_USAGE, "\"--%s\" needs a value", option->name);
    }

    return CTL_OK;
}


int
ctl_args(ctl_t *ctl, int *argc, char **argv, int min, int max,
    const ctl_option_t *options)
{
    int  i, n, rc;

    n = 0;

    for (i = 0; i < *argc; i++) {

        if (strncmp(argv[i], "--", 2) == 0) {
            rc = ctl_take(ctl, options, argv, *argc, &i);
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
        return ctl_fail(CTL_USAGE, "too few arguments; see --help");
    }

    if (n > max) {
        return ctl_fail(CTL_USAGE, "unexpected argument \"%s\"", argv[max]);
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


static const ctl_option_t *
ctl_find(const ctl_option_t *options, const char *text, size_t len)
{
    if (options == NULL) {
        return NULL;
    }

    for ( /* void */ ; options->name != NULL; options++) {
        if (strlen(options->name) == len
            && strncmp(options->name, text, len) == 0)
        {
            return options;
        }
    }

    return NULL;
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
