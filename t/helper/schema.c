/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Runs one file of the JSON Schema test suite.
 *
 * Prints a line for each test: "ok" or "wrong", its names and the outcome of
 * the validator, separated by tabs.  For a group whose schema does not compile
 * it prints one line "refused".
 */

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "schema/schema.h"


static void
run_test(const es_schema_t *schema, const char *group, const json_t *test)
{
    char          *text;
    es_rc_t        rc;
    int64_t        work = ES_SCHEMA_WORK_MAX;
    es_problem_t   problem = { 0 };

    text = json_dumps(json_object_get(test, "data"), JSON_ENCODE_ANY);

    rc = es_schema_validate(schema, es_str(text), "", &work, &problem);

    printf("%s\t%s\t%s\t%s: %s\n",
           (rc == ES_OK) == json_is_true(json_object_get(test, "valid"))
           ? "ok" : "wrong", group,
           json_string_value(json_object_get(test, "description")),
           es_strerror(rc), rc == ES_OK ? "" : problem.detail);

    free(text);
}


static void
run_group(const json_t *group)
{
    char          *text;
    size_t         i;
    json_t        *test;
    const char    *name;
    es_schema_t   *schema;
    es_problem_t   problem;

    name = json_string_value(json_object_get(group, "description"));
    text = json_dumps(json_object_get(group, "schema"), JSON_ENCODE_ANY);

    if (es_schema_compile(es_str(text), &schema, &problem) != ES_OK) {
        printf("refused\t%s\t\t%s: %s\n", name, problem.pointer,
               problem.detail);
        free(text);
        return;
    }

    json_array_foreach(json_object_get(group, "tests"), i, test) {
        run_test(schema, name, test);
    }

    es_schema_free(schema);
    free(text);
}


int
main(int argc, char **argv)
{
    size_t   i;
    json_t  *groups, *group;

    groups = argc == 2 ? json_load_file(argv[1], JSON_ALLOW_NUL, NULL) : NULL;
    if (groups == NULL) {
        fprintf(stderr, "usage: schema file\n");
        return 2;
    }

    json_array_foreach(groups, i, group) {
        run_group(group);
    }

    json_decref(groups);

    return 0;
}
