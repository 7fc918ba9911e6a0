/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "type promote": takes the lines of "type export" over into this catalogue,
 * all of them or none.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "catalogue/promote.h"
#include "ctl.h"
#include "input.h"

typedef struct {
    json_t          *lines;        /* which the texts of `list` point into */
    es_promotion_t  *list;
    size_t           n;
    size_t           room;
} ctl_promote_t;


static int
ctl_promote_bad(const ctl_promote_t *p, const char *why)
{
    return ctl_fail(CTL_FAILED, "line %zu of standard input: %s; nothing was "
                    "registered", p->n + 1, why);
}


/* NULL stands for no date. */

static bool
ctl_promote_time(const char *text, int64_t *ms)
{
    return text == NULL || es_time_parse(es_str(text), ms) == ES_OK;
}


static int
ctl_promote_line(ctl_promote_t *p, es_str_t text)
{
    json_t          *line, *feeds = NULL;
    const char      *deprecated = NULL, *sunset = NULL;
    json_error_t     error;
    es_promotion_t   item = { 0 }, *list;

    line = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);

    if (line == NULL) {
        return ctl_promote_bad(p, error.text);
    }

    if (json_array_append_new(p->lines, line) != 0) {
        return ctl_fail(CTL_FAILED, "out of memory");
    }

    if (json_unpack_ex(line, &error, JSON_STRICT,
                       "{s:s%, s:s%, s?s%, s?o, s?s, s?s, s:s%}", "type",
                       &item.type.data, &item.type.len, "version",
                       &item.version.data, &item.version.len, "description",
                       &item.description.data, &item.description.len, "feeds",
                       &feeds, "deprecated", &deprecated, "sunset", &sunset,
                       "schema", &item.schema.data, &item.schema.len) != 0)
    {
        return ctl_promote_bad(p, error.text);
    }

    if (!ctl_promote_time(deprecated, &item.lifetime.deprecated_ms)
        || !ctl_promote_time(sunset, &item.lifetime.sunset_ms))
    {
        return ctl_promote_bad(p, "a date is not an RFC 3339 time");
    }

    item.feeds = feeds;

    if (p->n == p->room) {
        p->room = p->room ? 2 * p->room : 64;
        list = realloc(p->list, p->room * sizeof(es_promotion_t));
        if (list == NULL) {
            return ctl_fail(CTL_FAILED, "out of memory");
        }

        p->list = list;
    }

    p->list[p->n++] = item;

    return CTL_OK;
}


static int
ctl_promote_read(ctl_promote_t *p)
{
    int          rc;
    es_rc_t      es;
    es_str_t     line;
    ctl_input_t  input = { .fd = STDIN_FILENO };

    rc = CTL_OK;
    es = ES_OK;

    while (rc == CTL_OK && (es = ctl_input_line(&input, &line)) == ES_OK) {
        rc = ctl_promote_line(p, line);
    }

    ctl_input_free(&input);

    if (rc == CTL_OK && es != ES_NOT_FOUND) {
        rc = ctl_fail(CTL_FAILED, "cannot read standard input: %s",
                      es_reason(es));
    }

    if (rc == CTL_OK && p->n == 0) {
        rc = ctl_fail(CTL_FAILED, "standard input has no version of a type");
    }

    return rc;
}


static int
ctl_promote_refused(const ctl_promote_t *p, const es_problem_t *problem)
{
    const es_promotion_t  *item;

    if (problem->index < 0) {
        return ctl_fail(CTL_FAILED, "%s; nothing was registered",
                        problem->detail);
    }

    item = &p->list[problem->index];

    return ctl_fail(CTL_FAILED, "type \"%.*s\" %.*s%s%s: %s; nothing was "
                    "registered", (int) item->type.len, item->type.data,
                    (int) item->version.len, item->version.data,
                    problem->pointer[0] ? " " : "", problem->pointer,
                    problem->detail);
}


static void
ctl_promote_print(ctl_t *ctl, const ctl_promote_t *p, bool dry_run)
{
    size_t                 i, new;
    json_t                *names;
    const es_promotion_t  *item;

    new = 0;
    names = json_array();

    for (i = 0; i < p->n; i++) {
        item = &p->list[i];

        if (item->present) {
            continue;
        }

        new++;
        (void) json_array_append_new(names,
            json_pack("{s:s%, s:s%}", "type", item->type.data, item->type.len,
                      "version", item->version.data, item->version.len));

        if (!ctl->json) {
            (void) printf("%.*s %.*s\n", (int) item->type.len,
                          item->type.data, (int) item->version.len,
                          item->version.data);
        }
    }

    if (!ctl->json) {
        (void) printf("%s %zu version%s; %zu %s there already\n",
                      dry_run ? "would register" : "registered", new,
                      ctl_plural(new), p->n - new,
                      p->n - new == 1 ? "was" : "were");
    }

    ctl_result(ctl, json_pack("{s:o, s:I, s:b}", "registered", names,
                              "present", (json_int_t) (p->n - new), "dry_run",
                              dry_run));
}


int
ctl_type_promote(ctl_t *ctl, int argc, char **argv)
{
    int            rc;
    const char    *dry_run = NULL;
    es_problem_t   problem = { 0 };
    ctl_promote_t  p = { 0 };

    const ctl_option_t  options[] = {
        { "dry-run", &dry_run },
        { NULL, NULL }
    };

    rc = ctl_begin(ctl, &argc, argv, options, ES_STORE_ADMIN);
    if (rc != CTL_OK) {
        return rc;
    }

    p.lines = json_array();
    rc = ctl_promote_read(&p);

    if (rc == CTL_OK) {
        if (es_catalogue_promote(ctl->store, p.list, p.n, dry_run != NULL,
                                 &problem) == ES_OK)
        {
            ctl_promote_print(ctl, &p, dry_run != NULL);
        } else {
            rc = ctl_promote_refused(&p, &problem);
        }
    }

    free(p.list);
    json_decref(p.lines);

    return rc;
}
