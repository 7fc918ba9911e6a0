/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Feature flags: how many partners have something that not all have.
 */

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "object.h"
#include "registry/flags.h"


/* Writes the record, whether it is new or not. */

int
ctl_flag_set(ctl_t *ctl, int argc, char **argv)
{
    int         rc;
    json_t     *object;
    es_rc_t     es;
    es_buf_t    stored = { 0 };
    unsigned    percent;

    rc = ctl_args(ctl, &argc, argv, NULL);
    if (rc != CTL_OK) {
        return rc;
    }

    if (!es_flag_parse(es_str(argv[1]), &percent)) {
        return ctl_fail(CTL_USAGE, "\"%s\" is not on, off, or 1%% to 99%%",
                        argv[1]);
    }

    rc = ctl_open(ctl, ES_STORE_ADMIN);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_registry_get(ctl->store, ES_KIND_FLAG, es_str(argv[0]), &stored);
    es_buf_free(&stored);

    object = json_pack("{s:s}", "partners", argv[1]);

    return es == ES_OK
           ? ctl_object_change(ctl, ES_KIND_FLAG, argv[0], object)
           : ctl_object_create(ctl, ES_KIND_FLAG, argv[0], object);
}


static bool
ctl_flag_is(const char *value, const char *end, const char *word)
{
    return strlen(word) == (size_t) (end - value)
           && memcmp(value, word, strlen(word)) == 0;
}


/* Reads "sse=on,new-order=off" into the partner's flags, which are added to the
   stored ones; "default" takes one back. */

int
ctl_flags_member(const char *text, json_t *object)
{
    json_t      *flags;
    const char  *end, *equal, *value;

    if (text == NULL) {
        return CTL_OK;
    }

    flags = json_object();

    for ( /* void */ ; *text != '\0'; text = *end == ',' ? end + 1 : end) {
        end = text + strcspn(text, ",");
        equal = memchr(text, '=', (size_t) (end - text));
        value = equal != NULL ? equal + 1 : end;

        if (equal == NULL || equal == text
            || !(ctl_flag_is(value, end, "on") || ctl_flag_is(value, end, "off")
                 || ctl_flag_is(value, end, "default")))
        {
            json_decref(flags);
            return ctl_fail(CTL_USAGE, "\"--flags=%s\" is not FLAG=on, "
                            "FLAG=off or FLAG=default, with commas between",
                            text);
        }

        (void) json_object_setn_new(flags, text, (size_t) (equal - text),
                                    ctl_flag_is(value, end, "default")
                                    ? json_null()
                                    : json_boolean(ctl_flag_is(value, end, "on")));
    }

    (void) json_object_set_new(object, "flags", flags);

    return CTL_OK;
}
