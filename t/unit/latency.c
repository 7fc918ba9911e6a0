/* SPDX-License-Identifier: BSD-2-Clause */

/* Histograms in shared memory, also when two processes count at once. */

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "limit/latency.h"
#include "tap.h"

#define COUNTS  200000

static es_latency_t  *latency;


static void
count(uint64_t us, char mark)
{
    es_case_t  c = { .us = us, .time_ms = mark };

    memset(c.cursor, mark, sizeof(c.cursor) - 1);
    memset(c.feed, mark, sizeof(c.feed) - 1);
    es_latency_count(latency, &c);
}


static void
expose(es_buf_t *out)
{
    es_exposition_t  e = { .out = out, .form = ES_EXPOSITION_OPENMETRICS };

    out->len = 0;
    es_metric_family(&e, "l_seconds", "histogram", "L.");
    es_metric_latency(&e, latency);
    (void) es_buf_append(out, "", 1);
}


static void
test_one(void)
{
    es_buf_t   out = { 0 };
    es_case_t  c = { .us = 1000, .time_ms = 5, .trace = "4bf9",
                     .cursor = "k3f9-1", .feed = "orders" };

    es_latency_count(latency, &c);
    c = (es_case_t) { .us = 1001 };
    es_latency_count(latency, &c);
    c = (es_case_t) { .us = 10000001, .time_ms = 6, .cursor = "k3f9-2" };
    es_latency_count(latency, &c);

    expose(&out);
    ok(strstr(out.data, "l_seconds_bucket{le=\"0.001\"} 1 # {trace_id=\"4bf9\","
                        "cursor=\"k3f9-1\",feed=\"orders\"} 0.001000 0.005\n"),
       "a bound belongs to its bucket, and the case has all that is known");
    ok(strstr(out.data, "l_seconds_bucket{le=\"0.002\"} 2\n"),
       "what has no case is counted");
    ok(strstr(out.data, "l_seconds_bucket{le=\"10.0\"} 2\n"
                        "l_seconds_bucket{le=\"+Inf\"} 3 # "
                        "{cursor=\"k3f9-2\"} 10.000001 0.006\n"),
       "the last bucket has no bound");
    latency->cases[0][3]++;
    expose(&out);
    ok(strstr(out.data, "l_seconds_bucket{le=\"0.001\"} 1\n"),
       "a case that is being written is left out");
    ok(strstr(out.data, "l_seconds_sum 10.002002\nl_seconds_count 3\n"),
       "sum and count");
    es_buf_free(&out);
}


static void
test_two(void)
{
    int          i, mixed;
    pid_t        pid;
    char        *at;
    es_buf_t     out = { 0 };
    const char  *a = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                *b = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    pid = fork();

    if (pid == 0) {
        for (i = 0; i < COUNTS; i++) {
            count(20000, 'a');
        }

        _exit(0);
    }

    mixed = 0;

    for (i = 0; i < COUNTS; i++) {
        count(20000, 'b');

        if (i % 1000 == 0) {
            expose(&out);
            at = strstr(out.data, "le=\"0.025\"}");
            at = at ? strstr(at, "cursor=\"") : NULL;

            /* the next bucket's case is no concern of this one */

            mixed += at != NULL && strncmp(at + 8, a, 39) != 0
                     && strncmp(at + 8, b, 39) != 0
                     && strncmp(at + 8, "k3f9-2", 6) != 0;
        }
    }

    (void) waitpid(pid, NULL, 0);
    expose(&out);
    is_int(mixed, 0, "no case is mixed of two");
    ok(strstr(out.data, "l_seconds_count 400003\n"), "and no count is lost");
    es_buf_free(&out);
}


int
main(void)
{
    latency = mmap(NULL, sizeof(es_latency_t), PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (latency == MAP_FAILED) {
        return 1;
    }

    test_one();
    test_two();

    return done();
}
