#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"

#define CTL_BATCH  1000

typedef struct {
    ctl_t        *ctl;
    const char   *feed;
    bool          results;
    uint64_t      line;            /* of the input, for errors */
    uint64_t      first;           /* line of the batch's first event */
    uint64_t      size;            /* events of one commit */
    es_batch_t   *batch;
} ctl_publish_t;


static int
ctl_publish_commit(ctl_publish_t *p)
{
    int                  rc;
    size_t               i;
    const es_result_t   *result;
    const es_problem_t  *problem;

    if (p->batch == NULL || es_batch_count(p->batch) == 0) {
        return CTL_OK;
    }

    es_publish(p->ctl->store, &p->batch, 1);

    rc = CTL_OK;

    if (es_batch_rc(p->batch) != ES_OK) {
        problem = es_batch_problem(p->batch);

        rc = ctl_fail(CTL_FAILED, "feed \"%s\": event %llu: %s", p->feed,
                      (unsigned long long) p->first
                      + (problem->index > 0 ? (unsigned) problem->index : 0),
                      problem->detail);
    }

    for (i = 0; rc == CTL_OK && p->results && i < es_batch_count(p->batch);
         i++)
    {
        result = es_batch_result(p->batch, i);
        (void) printf("%s %.*s%s\n", result->cursor, (int) result->id.len,
                      result->id.data, result->duplicate ? " duplicate" : "");
    }

    /* Whoever reads the results must be able to count on them. */

    (void) fflush(stdout);

    p->first += es_batch_count(p->batch);
    es_batch_destroy(p->batch);
    p->batch = NULL;

    return rc;
}


static int
ctl_publish_begin(ctl_publish_t *p)
{
    if (p->batch == NULL) {
        p->batch = es_batch_create(es_str(p->feed), NULL);
    }

    return p->batch ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");
}


static int
ctl_publish_fault(const ctl_publish_t *p, const es_problem_t *problem)
{
    if (p->line > 0) {
        return ctl_fail(CTL_FAILED, "line %llu: %s%s%s",
                        (unsigned long long) p->line, problem->pointer,
                        problem->pointer[0] ? ": " : "", problem->detail);
    }

    return ctl_fail(CTL_FAILED, "event %d: %s%s%s", problem->index + 1,
                    problem->pointer, problem->pointer[0] ? ": " : "",
                    problem->detail);
}


/* One commit for each `size` lines: input without end is published as it
   comes. */

static int
ctl_publish_lines(ctl_publish_t *p)
{
    int           rc;
    char         *line = NULL;
    size_t        cap = 0;
    ssize_t       n;
    es_problem_t  problem;

    rc = CTL_OK;

    while (rc == CTL_OK && (n = getline(&line, &cap, stdin)) != -1) {
        p->line++;

        rc = ctl_publish_begin(p);
        if (rc != CTL_OK) {
            break;
        }

        if (es_batch_add_ndjson(p->batch, line, (size_t) n, &problem)
            != ES_OK)
        {
            rc = ctl_publish_fault(p, &problem);
            break;
        }

        if (es_batch_count(p->batch) == p->size) {
            rc = ctl_publish_commit(p);
        }
    }

    free(line);

    if (rc == CTL_OK && ferror(stdin)) {
        rc = ctl_fail(CTL_FAILED, "cannot read standard input");
    }

    return rc == CTL_OK ? ctl_publish_commit(p) : rc;
}


/* The whole input is one event, or one array of events: one commit. */

static int
ctl_publish_whole(ctl_publish_t *p, bool array)
{
    int           rc;
    char          text[65536];
    size_t        n;
    es_rc_t       es;
    es_buf_t      buf = { 0 };
    es_problem_t  problem;

    while ((n = fread(text, 1, sizeof(text), stdin)) > 0) {
        if (es_buf_append(&buf, text, n) != ES_OK) {
            es_buf_free(&buf);
            return ctl_fail(CTL_FAILED, "out of memory");
        }
    }

    rc = ferror(stdin) ? ctl_fail(CTL_FAILED, "cannot read standard input")
                       : ctl_publish_begin(p);

    if (rc == CTL_OK) {
        es = array ? es_batch_add_array(p->batch, buf.data, buf.len, &problem)
                   : es_batch_add(p->batch, buf.data, buf.len, &problem);
        rc = es == ES_OK ? ctl_publish_commit(p)
                         : ctl_publish_fault(p, &problem);
    }

    es_buf_free(&buf);

    return rc;
}


int
ctl_publish(ctl_t *ctl, int argc, char **argv)
{
    int            rc;
    const char    *format = "ndjson", *batch = NULL, *results = NULL;
    ctl_publish_t  p = { 0 };

    const ctl_option_t  options[] = {
        { "format", false, &format },
        { "batch", false, &batch },
        { "results", true, &results },
        { NULL, false, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, 1, 1, options);
    if (rc != CTL_OK) {
        return rc;
    }

    p.ctl = ctl;
    p.feed = argv[0];
    p.first = 1;
    p.size = CTL_BATCH;
    p.results = results != NULL;

    if (batch != NULL) {
        rc = ctl_number("batch", batch, 1, 10000, &p.size);
        if (rc != CTL_OK) {
            return rc;
        }
    }

    if (strcmp(format, "ndjson") != 0 && strcmp(format, "json") != 0
        && strcmp(format, "batch") != 0)
    {
        return ctl_fail(CTL_USAGE, "\"--format=%s\" is not ndjson, json or "
                        "batch", format);
    }

    rc = ctl_open(ctl, ES_STORE_PUBLISH);
    if (rc != CTL_OK) {
        return rc;
    }

    rc = strcmp(format, "ndjson") == 0
         ? ctl_publish_lines(&p)
         : ctl_publish_whole(&p, strcmp(format, "batch") == 0);

    es_batch_destroy(p.batch);

    return rc;
}
