/* SPDX-License-Identifier: BSD-2-Clause */

/* Access tokens, their claims and scopes.  Sets of keys are not fuzzed: they
   come from the operator, and libjose leaks memory of refused ones. */

#include "fuzz.h"
#include "token/jwt.h"

#define STORE  0x0123456789abcdefULL
#define NOW    1795000000000LL

static const es_str_t  set = es_lit(
    "{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"h\",\"k\":"
    "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}]}");


/* What is believed could have been signed. */

static void
check(const es_jwt_t *jwt)
{
    size_t     i;
    es_buf_t   text = { NULL, 0, 0 };
    es_pool_t  pool = { 0 };
    es_scope_t again;

    must(strlen(jwt->client) == ES_KEYID_LEN);
    must(jwt->partner.len > 0);
    must(jwt->scope.scopes != 0);
    must(jwt->scope.feeds.n <= ES_PATTERNS_MAX);
    must(jwt->expires_s > jwt->issued_s);
    must(es_jwt_expired(jwt, NOW + (ES_JWT_LIFETIME_MAX_S + 61) * 1000LL));

    must(es_scope_print(&jwt->scope, &text) == ES_OK);
    must(es_scope_parse((es_str_t) { text.data, text.len }, &pool, &again)
         == ES_OK);
    must(again.scopes == jwt->scope.scopes);
    must(again.feeds.n == jwt->scope.feeds.n);

    for (i = 0; i < again.feeds.n; i++) {
        must(es_str_eq(again.feeds.list[i], jwt->scope.feeds.list[i]));
    }

    es_pool_free(&pool);
    es_buf_free(&text);
}


static void
ask(es_str_t text)
{
    es_str_t      feeds[] = { es_lit("a*"), es_lit("b") };
    es_pool_t     pool = { 0 };
    es_scope_t    scope;
    es_partner_t  partner = { .feeds = { 2, feeds } };
    es_key_t      key = { .partner = &partner, .scopes = ES_SCOPE_READ };
    es_problem_t  problem;

    if (es_scope_ask(text, &key, &pool, &scope, &problem) == ES_OK) {
        must(scope.scopes == ES_SCOPE_READ);
        must(!es_scope_allows(&scope, ES_SCOPE_PUBLISH, es_lit("b")));

    } else {
        must_explain(&problem, ES_INVALID);
    }

    es_pool_free(&pool);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    es_str_t               text;
    es_jwt_t               jwt;
    es_problem_t           problem;
    static es_jwt_keys_t  *keys;

    text = (es_str_t) { (const char *) data, size };

    if (keys == NULL) {
        must(es_jwt_keys_parse(set, "set", &keys, &problem) == ES_OK);
    }

    if (es_jwt_verify(keys, STORE, text, NOW, &jwt) == ES_OK) {
        must(size <= ES_JWT_MAX);
        check(&jwt);
        es_jwt_free(&jwt);
    }

    if (es_jwt_claims(text, STORE, NOW, &jwt) == ES_OK) {
        check(&jwt);
        es_jwt_free(&jwt);
    }

    ask(text);

    return 0;
}
