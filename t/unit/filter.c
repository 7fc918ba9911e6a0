/* SPDX-License-Identifier: BSD-2-Clause */

/* Filters by type and subject. */

#include "event/filter.h"
#include "tap.h"

static es_filter_t   filter;
static es_problem_t  problem;


static void
good(const char *text, unsigned ntypes)
{
    memset(&filter, 0, sizeof(filter));
    ok(es_filter_types(&filter, es_str(text), &problem) == ES_OK,
       "'%s' is a list of types", text);
    is_int(filter.ntypes, ntypes, "with its number of types");
}


static void
bad(const char *text)
{
    memset(&problem, 0, sizeof(problem));
    ok(es_filter_types(&filter, es_str(text), &problem) == ES_INVALID,
       "'%s' is none", text);
    ok(problem.rc == ES_INVALID && problem.detail[0] != '\0',
       "and the problem says why");
}


static bool
matches(const char *type)
{
    return es_filter_type_matches(&filter, es_str(type));
}


int
main(void)
{
    char      list[300];
    unsigned  i;
    es_buf_t  scratch = { NULL, 0, 0 };

    good("order.created", 1);
    ok(matches("order.created"), "a type matches itself");
    ok(!matches("order.create"), "not its start");
    ok(!matches("order.created.x"), "not what begins with it");
    ok(!matches(""), "not nothing");

    good("order.*,price.set", 2);
    ok(matches("order.created"), "a prefix matches what begins with it");
    ok(matches("order.a.b"), "at any depth");
    ok(!matches("order"), "not itself without the '.'");
    ok(!matches("orders.x"), "not half a word");
    ok(matches("order."), "an empty rest begins with it too");
    ok(matches("price.set"), "beside other types");
    ok(!matches("price.unset"), "and no others");

    good("*", 0);
    ok(matches("anything"), "'*' is every type");
    ok(es_filter_is_all(&filter), "and no filter at all");
    good("a,*", 0);
    ok(matches("b"), "'*' in a list is too");
    good("a.b.*", 1);
    ok(matches("a.b.c") && !matches("a.c"), "a longer prefix");
    good("a.*,a.*", 2);

    bad("");
    bad(",");
    bad("a,");
    bad(",a");
    bad("a,,b");
    bad("a*");
    bad("*a");
    bad("a.*.b");
    bad("**");
    bad(".*");
    bad("a\"b");
    bad("a\\b");
    bad("a\x01");

    for (i = 0; i < 33; i++) {
        memcpy(list + i * 2, "a,", 2);
    }

    list[65] = '\0';
    bad(list);
    list[63] = '\0';
    good(list, 32);

    memset(list, 'a', sizeof(list));
    memcpy(list + 253, ".*", 3);
    good(list, 1);
    memcpy(list + 254, ".*", 3);
    bad(list);

    memset(&filter, 0, sizeof(filter));
    ok(es_filter_is_all(&filter) && es_filter_is_all(NULL),
       "no filter is every event");

    is_int(es_filter_subject(&filter, es_lit("a\"b\\c\x01"), &scratch,
                             &problem), ES_OK, "a subject is taken");
    is_str(filter.subject, "a\\\"b\\\\c\\u0001", "as in JSON text");
    ok(filter.by_subject && !es_filter_is_all(&filter), "and filters");
    is_int(es_filter_subject(&filter, es_lit(""), &scratch, &problem),
           ES_INVALID, "an empty subject is refused");
    is_int(es_filter_subject(&filter, es_lit("\xff"), &scratch, &problem),
           ES_INVALID, "and one that is not UTF-8");

    es_buf_free(&scratch);

    return done();
}
