/* SPDX-License-Identifier: BSD-2-Clause */

/* The body of a checkpoint's PUT: an accepted one has a cursor that polls
   accept, and no members but the two. */

#include <jansson.h>

#include "checkpoint/checkpoint.h"
#include "fuzz.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char                  text[ES_CURSOR_MAX];
    json_t               *root, *rewind;
    es_rc_t               rc;
    es_problem_t          problem;
    es_checkpoint_job_t   job;

    memset(&job, 0, sizeof(job));
    memset(&problem, 0, sizeof(problem));

    rc = es_checkpoint_body((es_str_t) { (const char *) data, size }, &job,
                            &problem);

    if (rc != ES_OK) {
        must(rc == ES_INVALID);
        must_explain(&problem, rc);
        must(problem.pointer[0] == '\0'
             || strcmp(problem.pointer, "/cursor") == 0);
        return 0;
    }

    root = json_loadb((const char *) data, size, 0, NULL);
    rewind = json_object_get(root, "rewind");

    must(json_object_size(root) == (rewind ? 2 : 1));
    must(job.rewind == json_is_true(rewind));

    (void) es_cursor_print(job.cursor.epoch, job.cursor.sequence, text);
    must(strcmp(text, json_string_value(json_object_get(root, "cursor")))
         == 0);

    json_decref(root);

    return 0;
}
