/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * JSON Schema: a schema, a line break, an instance, and optionally another line
 * break and schema.
 */

#include "fuzz.h"
#include "schema/schema.h"


static es_str_t
line(es_str_t *rest)
{
    es_str_t     text;
    const char  *end;

    text = *rest;
    end = text.len ? memchr(text.data, '\n', text.len) : NULL;

    if (end == NULL) {
        rest->len = 0;
        return text;
    }

    text.len = (size_t) (end - text.data);
    rest->data = end + 1;
    rest->len -= text.len + 1;

    return text;
}


static es_schema_t *
compile(es_str_t text, bool is_new)
{
    es_rc_t        rc;
    es_schema_t   *schema;
    es_problem_t   problem;

    rc = is_new ? es_schema_compile_new(text, &schema, &problem)
                : es_schema_compile(text, &schema, &problem);
    if (rc == ES_OK) {
        return schema;
    }

    must(rc == ES_INVALID || rc == ES_TOO_LARGE);
    must_explain(&problem, rc);

    return NULL;
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    es_rc_t        old, new;
    int64_t        work = ES_SCHEMA_WORK_MAX;
    es_str_t       rest, instance;
    es_schema_t   *schema, *other;
    es_problem_t   problem;

    rest.data = size ? (const char *) data : "";
    rest.len = size;

    schema = compile(line(&rest), false);
    if (schema == NULL) {
        return 0;
    }

    instance = line(&rest);

    old = es_schema_validate(schema, instance, "/data", &work, &problem);
    if (old != ES_OK) {
        must(old == ES_MISMATCH);
        must_explain(&problem, old);
        must(strncmp(problem.pointer, "/data", 5) == 0);
    }

    other = compile(rest, true);

    if (other != NULL) {
        work = ES_SCHEMA_WORK_MAX;
        new = es_schema_validate(other, instance, "", &work, NULL);

        if (es_schema_compatible(schema, other, &problem) != ES_OK) {
            must_explain(&problem, ES_CONFLICT);
        } else {
            /* But for names that are new in an open object. */
            must(old != ES_OK || new == ES_OK
                 || memmem(rest.data, rest.len, "properties", 10) != NULL
                 || memmem(rest.data, rest.len, "\\u", 2) != NULL);
        }

        es_schema_free(other);
    }

    es_schema_free(schema);

    return 0;
}
