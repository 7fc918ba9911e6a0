/* SPDX-License-Identifier: BSD-2-Clause */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "ctl.h"

static const ctl_option_t *ctl_find(const ctl_option_t *options,
    const char *text, size_t len);


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


int
ctl_args(ctl_t *ctl, int *argc, char **argv, int min, int max,
    const ctl_option_t *options)
{
    int                  i, n;
    char                *text, *value;
    const ctl_option_t  *option;
    const ctl_option_t   store[] = {
        { "store", false, &ctl->store_path },
        { "key-file", false, &ctl->key_file },
        { NULL, false, NULL }
    };

    n = 0;

    for (i = 0; i < *argc; i++) {
        text = argv[i];

        if (strncmp(text, "--", 2) != 0) {
            if (!es_utf8_ok(es_str(text))) {
                return ctl_fail(CTL_USAGE, "argument \"%s\" is not UTF-8",
                                text);
            }

            argv[n++] = text;
            continue;
        }

        text += 2;
        value = strchr(text, '=');

        option = ctl_find(options, text, strcspn(text, "="));
        if (option == NULL) {
            option = ctl_find(store, text, strcspn(text, "="));
        }

        if (option == NULL) {
            return ctl_fail(CTL_USAGE, "unknown option \"%s\"", argv[i]);
        }

        if (option->flag) {
            if (value != NULL) {
                return ctl_fail(CTL_USAGE, "\"--%s\" takes no value",
                                option->name);
            }

            *option->value = "";
            continue;
        }

        if (value != NULL) {
            *option->value = value + 1;

        } else if (i + 1 < *argc) {
            *option->value = argv[++i];

        } else {
            return ctl_fail(CTL_USAGE, "\"--%s\" needs a value", option->name);
        }

        /* A path may be any bytes; all else ends up in JSON. */

        if (option->value != &ctl->store_path
            && option->value != &ctl->key_file
            && !es_utf8_ok(es_str(*option->value)))
        {
            return ctl_fail(CTL_USAGE, "\"--%s\" is not UTF-8",
                            option->name);
        }
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
