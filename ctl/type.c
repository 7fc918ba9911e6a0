/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The event catalogue: types are registered, listed, deprecated, and given to
 * feeds.
 *
 * No command removes or changes a version, because partners may depend on it.
 */

#include <stdio.h>
#include <unistd.h>

#include "advice.h"
#include "base/clock.h"
#include "catalogue/catalogue.h"
#include "ctl.h"
#include "input.h"

#define CTL_TYPES_PAGE  100

typedef int (*ctl_type_fn)(ctl_t *ctl, const json_t *type);


static int
ctl_type_failed(const char *type, const char *version, es_rc_t rc,
    const es_problem_t *problem)
{
    return ctl_fail(CTL_FAILED, "type \"%s\"%s%s: %s%s%s", type,
                    version ? " " : "", version ? version : "",
                    problem ? problem->pointer : "",
                    problem && problem->pointer[0] ? ": " : "",
                    problem ? problem->detail : es_reason(rc));
}


/* The type as it is now is the document of a command that changed it. */

static int
ctl_type_result(ctl_t *ctl, const char *type)
{
    es_rc_t   es;
    es_buf_t  out = { 0 };

    if (!ctl->json) {
        return CTL_OK;
    }

    es = es_catalogue_type(ctl->store, es_str(type), NULL, &out);

    if (es == ES_OK) {
        ctl_result(ctl, json_loadb(out.data, out.len, 0, NULL));
    }

    es_buf_free(&out);

    return es == ES_OK ? CTL_OK : ctl_type_failed(type, NULL, es, NULL);
}


int
ctl_type_register(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    es_rc_t       es;
    es_str_t      text;
    json_t       *list;
    const char   *description = "", *feeds = NULL;
    ctl_input_t   input = { .fd = STDIN_FILENO };
    es_problem_t  problem = { 0 };

    const ctl_option_t  options[] = {
        { "description", &description },
        { "feeds", &feeds },
        { NULL, NULL }
    };

    rc = ctl_begin(ctl, &argc, argv, options, ES_STORE_ADMIN);
    if (rc != CTL_OK) {
        return rc;
    }

    es = ctl_input_all(&input, &text);

    if (es != ES_OK) {
        rc = ctl_fail(CTL_FAILED, "cannot read standard input: %s",
                      es_reason(es));

    } else {
        list = feeds ? ctl_list(feeds) : NULL;
        es = es_catalogue_register(ctl->store, es_str(argv[0]),
                                   es_str(argv[1]), text, es_str(description),
                                   list, &problem);

        if (es == ES_OK) {
            ctl_advise_feeds(ctl, list);
        } else {
            rc = ctl_type_failed(argv[0], argv[1], es, &problem);
        }

        json_decref(list);
    }

    ctl_input_free(&input);

    return rc == CTL_OK ? ctl_type_result(ctl, argv[0]) : rc;
}


int
ctl_type_change(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    json_t       *list;
    es_rc_t       es;
    const char   *feeds = NULL;
    es_problem_t  problem = { 0 };

    const ctl_option_t  options[] = {
        { "feeds", &feeds },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK && feeds == NULL) {
        rc = ctl_fail(CTL_USAGE, "\"type change\" requires \"--feeds\"");
    }

    if (rc == CTL_OK) {
        rc = ctl_open(ctl, ES_STORE_ADMIN);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    list = ctl_list(feeds);
    es = es_catalogue_change_feeds(ctl->store, es_str(argv[0]), list,
                                   &problem);

    if (es == ES_OK) {
        ctl_advise_feeds(ctl, list);
    }

    json_decref(list);

    return es == ES_OK ? ctl_type_result(ctl, argv[0])
                       : ctl_type_failed(argv[0], NULL, es, &problem);
}


static void
ctl_type_print_feeds(const json_t *type)
{
    size_t       i;
    json_t      *feed;
    const char  *before = " feeds=";

    json_array_foreach(json_object_get(type, "feeds"), i, feed) {
        (void) printf("%s%s", before, json_string_value(feed));
        before = ",";
    }
}


static int
ctl_type_print(ctl_t *ctl, const json_t *type)
{
    size_t       i, j;
    json_t      *version;
    const char  *value;

    static const char  *const  dates[] = { "deprecated", "sunset" };

    if (ctl->json) {
        ctl_print(type);
        return CTL_OK;
    }

    json_array_foreach(json_object_get(type, "versions"), i, version) {
        (void) printf("%-40s %-10s %s",
                      json_string_value(json_object_get(type, "type")),
                      json_string_value(json_object_get(version, "version")),
                      json_string_value(json_object_get(version, "created")));

        for (j = 0; j < 2; j++) {
            value = json_string_value(json_object_get(version, dates[j]));

            if (value != NULL) {
                (void) printf(" %s=%s", dates[j], value);
            }
        }

        ctl_type_print_feeds(type);
        (void) putchar('\n');
    }

    return CTL_OK;
}


static int
ctl_type_page(ctl_t *ctl, ctl_type_fn fn, char after[ES_TYPE_NAME_MAX + 1],
    bool *more)
{
    int          rc;
    size_t       i;
    json_t      *page, *type;
    es_rc_t      es;
    es_buf_t     out = { 0 };
    const char  *next;

    es = es_catalogue_list(ctl->store, es_null_str, es_str(after),
                           CTL_TYPES_PAGE, NULL, &out);
    page = es == ES_OK ? json_loadb(out.data, out.len, 0, NULL) : NULL;
    es_buf_free(&out);

    if (page == NULL) {
        return ctl_fail(CTL_FAILED, "cannot read the catalogue: %s",
                        es_reason(es != ES_OK ? es : ES_NOMEM));
    }

    rc = CTL_OK;

    json_array_foreach(json_object_get(page, "types"), i, type) {
        rc = rc == CTL_OK ? fn(ctl, type) : rc;
    }

    next = json_string_value(json_object_get(page, "next"));
    *more = next != NULL;

    es = next != NULL ? es_catalogue_after(es_null_str, es_str(next), after)
                      : ES_OK;
    json_decref(page);

    return es == ES_OK ? rc
                       : ctl_fail(CTL_FAILED, "cannot read the catalogue");
}


/* Calls `fn` for each type of the catalogue, until it fails. */

static int
ctl_type_each(ctl_t *ctl, ctl_type_fn fn)
{
    int   rc;
    char  after[ES_TYPE_NAME_MAX + 1] = "";
    bool  more;

    rc = CTL_OK;

    for (more = true; rc == CTL_OK && more; /* void */ ) {
        rc = ctl_type_page(ctl, fn, after, &more);
    }

    return rc;
}


int
ctl_type_list(ctl_t *ctl, int argc, char **argv)
{
    int  rc;

    rc = ctl_begin_list(ctl, &argc, argv);

    return rc == CTL_OK ? ctl_type_each(ctl, ctl_type_print) : rc;
}


/* Prints a version with its document, as "type promote" takes it. */

static int
ctl_type_export_version(ctl_t *ctl, const json_t *type, json_t *version)
{
    json_t         *line;
    es_rc_t         es;
    es_buf_t        schema = { 0 };
    const char     *name, *number;
    es_lifetime_t   lifetime;

    name = json_string_value(json_object_get(type, "type"));
    number = json_string_value(json_object_get(version, "version"));

    es = es_catalogue_get(ctl->store, es_str(name), es_str(number), NULL,
                          &schema, &lifetime);
    if (es != ES_OK) {
        return ctl_type_failed(name, number, es, NULL);
    }

    line = json_pack("{s:s, s:s, s:O*, s:O*, s:O*, s:O*, s:s%}", "type", name,
                     "version", number, "description",
                     json_object_get(version, "description"), "feeds",
                     json_object_get(type, "feeds"), "deprecated",
                     json_object_get(version, "deprecated"), "sunset",
                     json_object_get(version, "sunset"), "schema", schema.data,
                     schema.len);
    es_buf_free(&schema);

    if (line == NULL) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    ctl_print(line);
    json_decref(line);

    return CTL_OK;
}


static int
ctl_type_export_one(ctl_t *ctl, const json_t *type)
{
    int      rc;
    size_t   i;
    json_t  *version;

    rc = CTL_OK;

    json_array_foreach(json_object_get(type, "versions"), i, version) {
        rc = rc == CTL_OK ? ctl_type_export_version(ctl, type, version) : rc;
    }

    return rc;
}


int
ctl_type_export(ctl_t *ctl, int argc, char **argv)
{
    int       rc;
    json_t   *type;
    es_rc_t   es;
    es_buf_t  out = { 0 };

    rc = ctl_begin(ctl, &argc, argv, NULL, 0);

    if (rc != CTL_OK || argc == 0) {
        return rc == CTL_OK ? ctl_type_each(ctl, ctl_type_export_one) : rc;
    }

    es = es_catalogue_type(ctl->store, es_str(argv[0]), NULL, &out);

    if (es != ES_OK) {
        return ctl_type_failed(argv[0], NULL, es, NULL);
    }

    type = json_loadb(out.data, out.len, 0, NULL);
    rc = ctl_type_export_one(ctl, type);

    json_decref(type);
    es_buf_free(&out);

    return rc;
}


/* Prints a type as JSON, or the document of a version as it was registered. */

int
ctl_type_show(ctl_t *ctl, int argc, char **argv)
{
    int            rc;
    es_rc_t        es;
    es_buf_t       out = { 0 };
    es_lifetime_t  lifetime;

    rc = ctl_begin(ctl, &argc, argv, NULL, 0);
    if (rc != CTL_OK) {
        return rc;
    }

    es = argc == 2
         ? es_catalogue_get(ctl->store, es_str(argv[0]), es_str(argv[1]), NULL,
                            &out, &lifetime)
         : es_catalogue_type(ctl->store, es_str(argv[0]), NULL, &out);

    if (es == ES_OK && argc == 2 && !ctl->json) {
        (void) fwrite(out.data, 1, out.len, stdout);

    } else if (es == ES_OK) {
        ctl_print_text((es_str_t) { out.data, out.len });

    } else {
        rc = ctl_type_failed(argv[0], argc == 2 ? argv[1] : NULL, es, NULL);
    }

    es_buf_free(&out);

    return rc;
}


static int
ctl_type_time(const char *option, const char *text, int64_t *ms)
{
    if (text != NULL && es_time_parse(es_str(text), ms) != ES_OK) {
        return ctl_fail(CTL_USAGE, "\"--%s=%s\" is not an RFC 3339 time",
                        option, text);
    }

    return CTL_OK;
}


int
ctl_type_deprecate(ctl_t *ctl, int argc, char **argv)
{
    int             rc;
    es_rc_t         es;
    const char     *from = NULL, *sunset = NULL, *cancel = NULL;
    es_problem_t    problem = { 0 };
    es_lifetime_t   lifetime = { 0 };

    const ctl_option_t  options[] = {
        { "from", &from },
        { "sunset", &sunset },
        { "cancel", &cancel },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK && cancel != NULL && (from != NULL || sunset != NULL)) {
        rc = ctl_fail(CTL_USAGE, "\"--cancel\" excludes all other options");
    }

    if (cancel == NULL) {
        lifetime.deprecated_ms = es_clock_ms();
    }

    if (rc == CTL_OK) {
        rc = ctl_type_time("from", from, &lifetime.deprecated_ms);
    }

    if (rc == CTL_OK) {
        rc = ctl_type_time("sunset", sunset, &lifetime.sunset_ms);
    }

    if (rc == CTL_OK) {
        rc = ctl_open(ctl, ES_STORE_ADMIN);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    es = es_catalogue_change(ctl->store, es_str(argv[0]), es_str(argv[1]),
                             &lifetime, &problem);

    return es == ES_OK ? ctl_type_result(ctl, argv[0])
                       : ctl_type_failed(argv[0], argv[1], es, &problem);
}
