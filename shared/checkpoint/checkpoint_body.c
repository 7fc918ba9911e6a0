/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads the body of a request that writes a checkpoint.
 */

#include <string.h>

#include <jansson.h>

#include "base/base.h"
#include "checkpoint/checkpoint.h"
#include "event/cursor.h"


static es_rc_t
es_checkpoint_members(json_t *root, es_checkpoint_job_t *job,
    es_problem_t *problem)
{
    json_t      *value;
    es_rc_t      rc;
    es_str_t     text;
    const char  *name;

    if (!json_is_object(root)) {
        return es_problem_set(problem, ES_INVALID, -1, "",
                              "it must be a JSON object");
    }

    rc = es_problem_set(problem, ES_INVALID, -1, "", "\"cursor\" is missing");

    json_object_foreach(root, name, value) {

        if (strcmp(name, "cursor") == 0 && json_is_string(value)) {
            text.data = json_string_value(value);
            text.len = json_string_length(value);

            rc = es_cursor_parse(text, &job->cursor);
            if (rc != ES_OK) {
                return es_problem_set(problem, ES_INVALID, -1, "/cursor",
                                      "it is not a cursor");
            }

        } else if (strcmp(name, "rewind") == 0 && json_is_boolean(value)) {
            job->rewind = json_is_true(value);

        } else {
            return es_problem_set(problem, ES_INVALID, -1, "",
                                  "it may contain only \"cursor\", a string, "
                                  "and \"rewind\", a boolean");
        }
    }

    return rc;
}


es_rc_t
es_checkpoint_body(es_str_t body, es_checkpoint_job_t *job,
    es_problem_t *problem)
{
    json_t        *root;
    es_rc_t        rc;
    json_error_t   error;

    root = json_loadb(body.len ? body.data : "", body.len,
                      JSON_REJECT_DUPLICATES, &error);

    if (root == NULL) {
        if (json_error_code(&error) == json_error_out_of_memory) {
            return ES_NOMEM;
        }

        return es_problem_set(problem, ES_INVALID, -1, "",
                              "it must be a JSON object");
    }

    rc = es_checkpoint_members(root, job, problem);
    json_decref(root);

    return rc;
}
