/* SPDX-License-Identifier: BSD-2-Clause */

/* Scopes of access tokens: what they grant, what is refused, and which feeds
   they leave of a key's. */

#include "tap.h"
#include "token/scope.h"

static es_str_t      feeds[] = { es_lit("orders-*"), es_lit("prices") };
static es_str_t      publish[] = { es_lit("orders-acme") };
static es_str_t      narrow[] = { es_lit("orders-a*") };
static es_partner_t  partner = {
    .feeds = { 2, feeds }, .publish = { 1, publish }
};
static es_key_t      key = {
    .partner = &partner,
    .scopes = ES_SCOPE_READ | ES_SCOPE_PUBLISH | ES_SCOPE_MANAGE
};


/* What the key grants of `text`, or "no: " and why. */

static void
granted(const char *text, const char *expected)
{
    es_rc_t       rc;
    es_buf_t      out = { NULL, 0, 0 };
    es_pool_t     pool = { 0 };
    es_scope_t    scope;
    es_problem_t  problem;

    rc = es_scope_ask(es_str(text), &key, &pool, &scope, &problem);

    if (rc == ES_OK) {
        rc = es_scope_print(&scope, &out);

    } else {
        (void) es_buf_printf(&out, "no: %s", problem.detail);
    }

    if (!ok(es_str_eq((es_str_t) { out.data, out.len }, es_str(expected)),
            "of \"%s\"", text))
    {
        printf("#      got: '%.*s'\n", (int) out.len, out.data);
    }

    es_buf_free(&out);
    es_pool_free(&pool);
    (void) rc;
}


static bool
parsed(const char *text)
{
    es_rc_t     rc;
    es_pool_t   pool = { 0 };
    es_scope_t  scope;

    rc = es_scope_parse(es_str(text), &pool, &scope);
    es_pool_free(&pool);

    return rc == ES_OK;
}


static void
allowed(void)
{
    es_pool_t   pool = { 0 };
    es_scope_t  scope;

    (void) es_scope_parse(es_lit("read feed:prices feed:orders-*"), &pool,
                          &scope);

    ok(es_scope_allows(&scope, ES_SCOPE_READ, es_lit("prices")),
       "a feed by its name");
    ok(es_scope_allows(&scope, ES_SCOPE_READ, es_lit("orders-b")),
       "one by a pattern");
    ok(!es_scope_allows(&scope, ES_SCOPE_READ, es_lit("price")),
       "not another");
    ok(!es_scope_allows(&scope, ES_SCOPE_PUBLISH, es_lit("prices")),
       "nor another scope");
    ok(!es_scope_allows(&scope, ES_SCOPE_READ | ES_SCOPE_PUBLISH,
                        es_lit("prices")), "nor one with it");

    es_pool_free(&pool);

    (void) es_scope_parse(es_lit("publish"), &pool, &scope);
    ok(es_scope_allows(&scope, ES_SCOPE_PUBLISH, es_lit("x")),
       "without feeds, any");
    es_pool_free(&pool);
}


/* The patterns that the key has with the scope, or without one. */

static void
seen(const char *text, const char *expected)
{
    size_t         i;
    es_rc_t        rc;
    es_buf_t       out = { NULL, 0, 0 };
    es_pool_t      pool = { NULL };
    es_scope_t     scope;
    es_patterns_t  found;

    rc = text ? es_scope_parse(es_str(text), &pool, &scope) : ES_OK;

    if (rc == ES_OK) {
        rc = es_scope_feeds(&key, text ? &scope : NULL, &pool, &found);
    }

    for (i = 0; rc == ES_OK && i < found.n; i++) {
        rc = es_buf_printf(&out, "%s%s", i > 0 ? " " : "",
                           found.list[i].data);
    }

    ok(rc == ES_OK && es_str_eq((es_str_t) { out.data, out.len },
                                es_str(expected)),
       "of \"%s\" it sees \"%s\"", text ? text : "the key", expected);

    es_buf_free(&out);
    es_pool_free(&pool);
}


static void
seen_feeds(void)
{
    es_key_t  whole = key;

    seen(NULL, "orders-* prices orders-acme");
    seen("read", "orders-* prices");
    seen("publish", "orders-acme");
    seen("manage", "");
    seen("read publish feed:orders-b*", "orders-b*");
    seen("read feed:*", "orders-* prices");
    seen("read feed:p* feed:order*", "orders-* prices");
    seen("publish feed:prices", "");

    key.feeds = (es_patterns_t) { 1, narrow };
    seen(NULL, "orders-a* orders-acme");
    seen("read feed:orders-acme feed:prices", "orders-acme");
    seen("read feed:orders-b", "");

    key.scopes = ES_SCOPE_PUBLISH | ES_SCOPE_MANAGE;
    seen(NULL, "orders-acme");
    seen("read", "");

    key = whole;
}


int
main(void)
{
    seen_feeds();

    granted("", "read publish manage");
    granted("read", "read");
    granted("manage read read", "read manage");
    granted("admin", "no: the word \"admin\" is not granted to the key");
    granted("read write", "no: the word \"write\" is not a scope");
    granted("read  publish", "no: the word \"\" is not a scope");
    granted(" read", "no: the word \"\" is not a scope");
    granted("read ", "no: the word \"\" is not a scope");
    granted("READ", "no: the word \"READ\" is not a scope");
    granted("feed:prices", "read publish feed:prices");
    granted("read feed:prices feed:prices", "read feed:prices");
    granted("read feed:orders-*", "read feed:orders-*");
    granted("read feed:orders-b*", "read feed:orders-b*");
    granted("read feed:orders-b", "read feed:orders-b");
    granted("read feed:order*",
            "no: the word \"feed:order*\" is not granted to the key");
    granted("read feed:*", "no: the word \"feed:*\" is not granted to the key");
    granted("read feed:prices2",
            "no: the word \"feed:prices2\" is not granted to the key");
    granted("read feed:Prices", "no: the word \"feed:Prices\" is not a scope");
    granted("feed:", "no: the word \"feed:\" is not a scope");
    granted("manage feed:prices", "no: \"manage\" and \"admin\" cannot "
            "be narrowed by \"feed:\"");

    key.feeds = (es_patterns_t) { 1, narrow };
    granted("read feed:orders-a*", "read feed:orders-a*");
    granted("read feed:orders-acme", "read feed:orders-acme");
    granted("read feed:orders-*",
            "no: the word \"feed:orders-*\" is not granted to the key");

    key.scopes = ES_SCOPE_MANAGE;
    granted("feed:orders-acme", "no: the key has none of "
            "\"read\", \"publish\" and \"ack\", which \"feed:\" narrows");

    ok(parsed("admin manage"), "a token may manage");
    ok(!parsed(""), "but not nothing");
    ok(!parsed("feed:prices"), "on no feed");
    ok(!parsed("manage feed:prices"), "nor manage on one");
    ok(!parsed("read;publish"), "words are separated by blanks");

    allowed();

    return done();
}
