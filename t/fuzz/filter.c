/* SPDX-License-Identifier: BSD-2-Clause */

/* Filters: a list of types, a line break, and a subject. */

#include "base/json.h"
#include "event/filter.h"
#include "fuzz.h"


static void
types(es_str_t text)
{
    es_rc_t       rc;
    unsigned      i;
    es_filter_t   filter;
    es_problem_t  problem;

    memset(&filter, 0, sizeof(filter));
    memset(&problem, 0, sizeof(problem));

    rc = es_filter_types(&filter, text, &problem);

    if (rc != ES_OK) {
        must(rc == ES_INVALID);
        must_explain(&problem, rc);
        return;
    }

    must(filter.ntypes <= ES_FILTER_TYPES_MAX);

    for (i = 0; i < filter.ntypes; i++) {
        must(filter.types[i].name.len > 0);

        if (!filter.types[i].prefix) {
            must(es_filter_type_matches(&filter, filter.types[i].name));
        }
    }

    must(filter.ntypes > 0 || es_filter_is_all(&filter));
    must(filter.ntypes > 0 || es_filter_type_matches(&filter, text));
}


static void
subject(es_str_t text)
{
    es_rc_t       rc;
    es_buf_t      scratch;
    es_filter_t   filter;
    es_problem_t  problem;

    memset(&filter, 0, sizeof(filter));
    memset(&problem, 0, sizeof(problem));
    memset(&scratch, 0, sizeof(scratch));

    rc = es_filter_subject(&filter, text, &scratch, &problem);

    if (rc == ES_OK) {
        must(filter.by_subject && text.len > 0 && es_utf8_ok(text));
    } else {
        must(rc == ES_INVALID || rc == ES_TOO_LARGE);
        must_explain(&problem, rc);
    }

    es_buf_free(&scratch);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    es_str_t     input;
    const char  *mark;

    input = (es_str_t) { (const char *) data, size };
    mark = size ? memchr(data, '\n', size) : NULL;

    if (mark != NULL) {
        input.len = (size_t) (mark - input.data);
        subject((es_str_t) { mark + 1, size - input.len - 1 });
    }

    types(input);

    return 0;
}
