/* SPDX-License-Identifier: BSD-2-Clause */

/* Endpoints listed by pages, by partner and by feed. */

#include <dirent.h>
#include <unistd.h>

#include "manage/manage.h"
#include "open/open.h"
#include "store/plain_secrets.h"
#include "store/txn.h"
#include "tap.h"

#define SECRET  "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

static char         dir[] = "/tmp/eventsync-manage-XXXXXX";
static es_store_t  *store;
static unsigned     examined;      /* by the last page */
static char         next[200];     /* token of the last page */


static void
create(es_kind_t kind, const char *name, const char *fmt, ...)
{
    char          json[512];
    va_list       args;
    es_problem_t  problem = { 0 };

    va_start(args, fmt);
    (void) vsnprintf(json, sizeof(json), fmt, args);
    va_end(args);

    if (es_registry_create(store, kind, es_str(name), json, &problem)
        != ES_OK)
    {
        ok(false, "%s: %s %s", name, problem.pointer, problem.detail);
    }
}


static void
endpoint(const char *name, const char *partner, const char *feeds)
{
    create(ES_KIND_ENDPOINT, name, "{\"url\":\"https://a.example/\","
           "\"feeds\":[%s],\"secrets\":[\"" SECRET "\"],"
           "\"headers\":{\"partner\":\"one\"},\"partner\":\"%s\"}", feeds,
           partner);
}


/* One page: its names, each with a blank, and "|" with `next`. */

static void
page(es_manage_t *manage, const char *after, const char *expected)
{
    char                text[256] = "";
    size_t              i;
    json_t             *answer, *object;
    es_manage_t         again = *manage;
    es_problem_t        problem = { 0 };
    es_manage_result_t  managed = { 0 };

    again.op = ES_MANAGE_LIST;
    manage->op = ES_MANAGE_LIST;
    manage->after_len = after != NULL ? strlen(after) : 0;
    memcpy(manage->after, after != NULL ? after : "", manage->after_len);

    is_int(es_manage(store, manage, &managed, &problem), ES_OK, "a list");

    answer = json_loadb(managed.out.data, managed.out.len, 0, NULL);

    json_array_foreach(json_object_get(answer, "endpoints"), i, object) {
        (void) strcat(text, json_string_value(json_object_get(object,
                                                              "name")));
        (void) strcat(text, " ");
    }

    (void) strcat(text, "|");

    next[0] = '\0';

    if (json_is_string(json_object_get(answer, "next"))) {
        (void) snprintf(next, sizeof(next), "%s",
                        json_string_value(json_object_get(answer, "next")));
        is_int(es_manage_after(&again, es_str(next)), ES_OK, "a token");
        (void) strncat(text, again.after, again.after_len);
    }

    is_str(es_str(text), expected, expected);
    examined = managed.examined;

    json_decref(answer);
    es_buf_free(&managed.out);
}


static void
test_pages(void)
{
    es_manage_t  manage = { .partner = es_lit("one"), .limit = 10 };

    endpoint("ep_aaaa", "one", "\"a\"");
    endpoint("ep_abbb", "two", "\"a\"");
    endpoint("ep_accc", "two", "\"a\"");
    endpoint("ep_bddd", "two", "\"a\"");
    endpoint("ep_beee", "one", "\"a\"");
    endpoint("ep_bfff", "one", "\"a\"");

    page(&manage, NULL, "ep_aaaa ep_beee ep_bfff |");
    page(&manage, "ep_aaaa", "ep_beee ep_bfff |");
    page(&manage, "ep_b", "ep_beee ep_bfff |");

    manage.limit = 1;
    page(&manage, NULL, "ep_aaaa |ep_aaaa");
    manage.limit = 2;
    page(&manage, "ep_aaaa", "ep_beee ep_bfff |");
}


/* A token shows nothing of a name, and belongs to one list. */

static void
test_tokens(void)
{
    char         first[200];
    es_manage_t  manage = { .partner = es_lit("one"), .limit = 1 };
    es_manage_t  other;

    page(&manage, NULL, "ep_aaaa |ep_aaaa");
    (void) snprintf(first, sizeof(first), "%s", next);
    ok(strstr(first, "65705f61") == NULL && strstr(first, "ep_") == NULL,
       "no name in it");
    page(&manage, "ep_aaaa", "ep_beee |ep_beee");
    ok(strncmp(first, next, 8) != 0, "nor does another begin as it");

    other = manage;
    other.partner = es_lit("two");
    is_int(es_manage_after(&other, es_str(first)), ES_INVALID,
           "not for another partner");
    other = manage;
    other.op = ES_MANAGE_DEAD;
    is_int(es_manage_after(&other, es_str(first)), ES_INVALID,
           "nor for another list");
    other = manage;
    other.endpoint = es_lit("ep_x");
    is_int(es_manage_after(&other, es_str(first)), ES_INVALID,
           "nor for another endpoint");

    is_int(es_manage_after(&manage, es_str(first)), ES_OK, "but for its own");
    is_int(es_manage_after(&manage, es_lit("")), ES_INVALID, "not empty");
    is_int(es_manage_after(&manage, (es_str_t) { first, strlen(first) - 2 }),
           ES_INVALID, "nor cut");
    first[3] = first[3] == '0' ? '1' : '0';
    is_int(es_manage_after(&manage, es_str(first)), ES_INVALID, "nor changed");
    first[3] = 'G';
    is_int(es_manage_after(&manage, es_str(first)), ES_INVALID,
           "nor with other letters");
}


/* However many endpoints others have, a list examines only the partner's. */

static void
test_examined(void)
{
    int           i;
    char          name[32];
    es_manage_t   manage = { .partner = es_lit("one"), .limit = 2 };

    for (i = 0; i < 200; i++) {
        (void) snprintf(name, sizeof(name), "ep_b%03d", i);
        endpoint(name, i % 2 ? "on" : "onet", "\"a\"");
    }

    examined = 0;
    page(&manage, NULL, "ep_aaaa ep_beee |ep_beee");
    is_int(examined, 2, "a page examines as many as it has");
    page(&manage, "ep_beee", "ep_bfff |");
    is_int(examined, 1, "or as are left");

    manage.partner = es_lit("three");
    page(&manage, NULL, "|");
    is_int(examined, 0, "or none");
}


static void
covers(const es_narrow_t *narrow, const char *pattern, bool expected)
{
    ok(es_narrow_covers(narrow, es_str(pattern)) == expected,
       "%s is %s", pattern, expected ? "covered" : "not covered");
}


static void
test_narrow(void)
{
    es_str_t     a[] = { es_lit("a-*"), es_lit("b") };
    es_str_t     b[] = { es_lit("*") };
    es_str_t     c[] = { es_lit("a-x*"), es_lit("b"), es_lit("c") };
    es_narrow_t  narrow = { 0 };
    es_manage_t  manage = { .partner = es_lit("three"), .limit = 10 };

    covers(&narrow, "*", true);

    narrow = (es_narrow_t) { 1, { { 2, a } } };
    covers(&narrow, "a-", true);
    covers(&narrow, "a-b", true);
    covers(&narrow, "a-b*", true);
    covers(&narrow, "a-*", true);
    covers(&narrow, "b", true);
    covers(&narrow, "a*", false);
    covers(&narrow, "a", false);
    covers(&narrow, "b*", false);
    covers(&narrow, "bb", false);
    covers(&narrow, "*", false);

    narrow = (es_narrow_t) { 1, { { 1, b } } };
    covers(&narrow, "*", true);
    covers(&narrow, "a*", true);

    /* Of several lists each has its say. */

    narrow = (es_narrow_t) { 3, { { 2, a }, { 1, b }, { 3, c } } };
    covers(&narrow, "a-x", true);
    covers(&narrow, "a-xy*", true);
    covers(&narrow, "b", true);
    covers(&narrow, "a-b", false);
    covers(&narrow, "a-*", false);
    covers(&narrow, "c", false);

    endpoint("ep_1", "three", "\"a-x\",\"b\"");
    endpoint("ep_2", "three", "\"a-x\",\"c\"");
    endpoint("ep_3", "three", "\"a-x*\"");
    endpoint("ep_4", "three", "\"a-*\"");

    page(&manage, NULL, "ep_1 ep_2 ep_3 ep_4 |");
    manage.narrow = narrow;
    page(&manage, NULL, "ep_1 ep_3 |");
    manage.limit = 2;
    page(&manage, NULL, "ep_1 |ep_2");
    is_int(examined, 2, "an endpoint that is left out counts");
    manage.limit = 10;
    manage.narrow.lists[2] = (es_patterns_t) { 1, b };
    page(&manage, NULL, "ep_1 ep_3 ep_4 |");
}


static void
places(const char *text, bool attempt, bool dead)
{
    char                   again[ES_LIST_POSITION_MAX];
    es_dead_position_t     d = { 0 };
    es_attempt_position_t  a;

    is_int(es_attempt_position_parse(es_str(text), &a),
           attempt ? ES_OK : ES_INVALID, text);
    is_int(es_dead_position_parse(es_str(text), &d), dead ? ES_OK : ES_INVALID,
           text);

    if (attempt) {
        es_attempt_position_print(&a, again);
        is_str(es_str(again), text, "and back");
    }

    if (dead) {
        es_dead_position_print(&d, again);
        is_str(es_str(again), text, "and back");
    }
}


static void
test_places(void)
{
    places("", false, false);
    places("00000000000000010000000200000000000000030000000f", true, false);
    places("ffffffffffffffffffffffffffffffffffffffffffffffff", true, false);
    places("00000000000000010000000200000000000000030000000F", false, false);
    places("00000000000000010000000200000000000000030000000", false, false);
    places("00000002" "6162636400000000" "0000000000000000" "0000000000000abc",
           false, true);
    places("00000002" "6162636400000000" "0000000000000000" "0000000000000ab ",
           false, false);
    places("00000002" "6162636400000000" "0000000000000000" "00000000000000abc",
           false, false);
    places("000000020000000000000abc", false, false);
}


static void
clean(const char *path)
{
    char            sub[1024];
    DIR            *d;
    struct dirent  *e;

    if (unlink(path) == 0) {
        return;
    }

    d = opendir(path);

    while (d != NULL && (e = readdir(d)) != NULL) {
        if (e->d_name[0] != '.') {
            (void) snprintf(sub, sizeof(sub), "%s/%s", path, e->d_name);
            clean(sub);
        }
    }

    if (d != NULL) {
        (void) closedir(d);
        (void) rmdir(path);
    }
}


int
main(void)
{
    es_problem_t  problem = { 0 };

    if (mkdtemp(dir) == NULL
        || es_store_create(dir, &problem) != ES_OK
        || es_plain_secrets_begin(dir) != ES_OK
        || es_store_open(dir, ES_STORE_ADMIN | ES_STORE_DELIVERY_READ, &store,
                         &problem) != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    create(ES_KIND_PARTNER, "one", "{\"feeds\":[\"*\"]}");
    create(ES_KIND_PARTNER, "two", "{\"feeds\":[\"*\"]}");
    create(ES_KIND_PARTNER, "three", "{\"feeds\":[\"*\"]}");
    create(ES_KIND_PARTNER, "on", "{\"feeds\":[\"*\"]}");
    create(ES_KIND_PARTNER, "onet", "{\"feeds\":[\"*\"]}");

    test_pages();
    test_tokens();
    test_examined();
    test_narrow();
    test_places();

    es_store_close(store);
    clean(dir);

    return done();
}
