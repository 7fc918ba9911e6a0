/* SPDX-License-Identifier: BSD-2-Clause */

/* Filters by type and subject: parsing and matching. */

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


static void
parse(es_filter_t *to, es_buf_t *scratch, const char *types,
    const char *subject)
{
    memset(to, 0, sizeof(*to));

    if (types) {
        (void) es_filter_types(to, es_str(types), &problem);
    }

    if (subject) {
        (void) es_filter_subject(to, es_str(subject), scratch, &problem);
    }
}


/* No two are the same filter.  Clients hold ETags made of these hashes; 0 is
   one that the test does not know. */
static const struct {
    const char  *types;
    const char  *subject;
    uint64_t     hash;
} known[] = {
    { "*", NULL, 1 },
    { "order.created", NULL, 0x94e4fbbbc0564ba3 },
    { "order.*,price.set", NULL, 0x858d02dd0a8a3a9a },
    { NULL, "o-1", 0x8744cf84bc310b72 },
    { "order.*,price.set", "a\"b", 0x49ee0f21a5999437 },
    { "order.*", NULL, 0 },
    { "order.", NULL, 0 },
    { "price.set,order.*", NULL, 0 },
    { "order.created", "o-1", 0 },
    { "order.created", "o-2", 0 },
};

#define KNOWN  (sizeof(known) / sizeof(known[0]))


static void
identity(void)
{
    void         *memory;
    size_t        i, k;
    uint64_t      hash;
    es_buf_t      scratch[KNOWN];
    es_filter_t   filters[KNOWN], *copy;

    memset(scratch, 0, sizeof(scratch));

    for (i = 0; i < KNOWN; i++) {
        parse(&filters[i], &scratch[i], known[i].types, known[i].subject);
        hash = es_filter_hash(&filters[i]);

        ok(known[i].hash == 0 || hash == known[i].hash,
           "filter %d has its hash", (int) i);

        for (k = 0; k < i; k++) {
            if (es_filter_eq(&filters[i], &filters[k])
                || hash == es_filter_hash(&filters[k]))
            {
                break;
            }
        }

        is_int(k, i, "and neither equals nor hashes as one before it");
    }

    for (i = 0; i < KNOWN; i++) {
        hash = es_filter_hash(&filters[i]);

        memory = malloc(es_filter_size(&filters[i]));
        copy = es_filter_copy(&filters[i], memory);
        ok(es_filter_eq(copy, &filters[i]), "filter %d equals its copy",
           (int) i);

        es_buf_free(&scratch[i]);
        ok(es_filter_hash(copy) == hash, "which has a text of its own");

        free(memory);
    }

    ok(es_filter_hash(NULL) == 1, "no filter has the hash of all events");
    ok(es_filter_eq(NULL, &filters[0]) && es_filter_eq(&filters[0], NULL),
       "and equals a filter that is all events");
    ok(!es_filter_eq(NULL, &filters[1]) && !es_filter_eq(&filters[1], NULL),
       "but no other");
}


static void
test_types(void)
{
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
}


static void
test_refused(void)
{
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
}


static void
test_bounds(void)
{
    char      list[300];
    unsigned  i;

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
}


static void
test_subject(void)
{
    es_buf_t  scratch = { NULL, 0, 0 };

    memset(&filter, 0, sizeof(filter));
    ok(es_filter_is_all(&filter) && es_filter_is_all(NULL),
       "no filter is every event");

    is_int(es_filter_subject(&filter, es_lit("a\"b\\c\x01"), &scratch,
                             &problem), ES_OK, "a subject is taken");
    is_str(filter.subject, "a\\\"b\\\\c\\u0001", "as in JSON text");
    ok(filter.by_subject && !es_filter_is_all(&filter), "and filters");
    ok(es_filter_is_subject(&filter), "by the subject alone");
    filter.ntypes = 1;
    ok(!es_filter_is_subject(&filter) && !es_filter_is_subject(NULL),
       "which it does not with a type, and not without a filter");
    filter.ntypes = 0;
    is_int(es_filter_subject(&filter, es_lit(""), &scratch, &problem),
           ES_INVALID, "an empty subject is refused");
    is_int(es_filter_subject(&filter, es_lit("\xff"), &scratch, &problem),
           ES_INVALID, "and one that is not UTF-8");

    es_buf_free(&scratch);
}


int
main(void)
{
    test_types();
    test_refused();
    test_bounds();
    test_subject();
    identity();

    return done();
}
