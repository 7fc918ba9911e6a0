/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Scopes of access tokens: reads and prints them, and checks a requested scope
 * against what its key may do.
 */

#include "base/base.h"
#include "base/pool.h"
#include "registry/member.h"
#include "registry/registry.h"
#include "registry/values.h"
#include "token/scope.h"

#define ES_SCOPE_OF_FEEDS  (ES_SCOPE_READ | ES_SCOPE_PUBLISH | ES_SCOPE_ACK)
#define ES_SCOPE_FEED      "feed:"
#define ES_SCOPE_FEED_LEN  (sizeof(ES_SCOPE_FEED) - 1)
#define ES_SCOPE_QUOTED    80

const es_word_t  es_scope_words[] = {
    { "read", ES_SCOPE_READ },
    { "publish", ES_SCOPE_PUBLISH },
    { "ack", ES_SCOPE_ACK },
    { "manage", ES_SCOPE_MANAGE },
    { "admin", ES_SCOPE_ADMIN },
    { NULL, 0 }
};


/* Quotes at most ES_SCOPE_QUOTED bytes of the word. */

static es_rc_t
es_scope_fault(es_problem_t *problem, es_str_t word, const char *why)
{
    size_t  len;

    len = word.len < ES_SCOPE_QUOTED ? word.len : ES_SCOPE_QUOTED;

    return es_problem_set(problem, ES_INVALID, -1, NULL,
                          "the word \"%.*s\" %s", (int) len, word.data, why);
}


static bool
es_scope_feed_word(es_str_t word, es_str_t *pattern)
{
    if (word.len <= ES_SCOPE_FEED_LEN
        || memcmp(word.data, ES_SCOPE_FEED, ES_SCOPE_FEED_LEN) != 0)
    {
        return false;
    }

    pattern->data = word.data + ES_SCOPE_FEED_LEN;
    pattern->len = word.len - ES_SCOPE_FEED_LEN;

    return es_pattern_ok(*pattern);
}


static es_rc_t
es_scope_add_feed(es_scope_t *scope, es_str_t word, es_str_t pattern,
    es_pool_t *pool, es_problem_t *problem)
{
    size_t  i;

    for (i = 0; i < scope->feeds.n; i++) {
        if (es_str_eq(scope->feeds.list[i], pattern)) {
            return ES_OK;
        }
    }

    if (i == ES_PATTERNS_MAX) {
        return es_scope_fault(problem, word, "is one \"feed:\" too many");
    }

    pattern = es_pool_str(pool, pattern);
    if (pattern.data == NULL) {
        return es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
    }

    scope->feeds.list[scope->feeds.n++] = pattern;

    return ES_OK;
}


static es_rc_t
es_scope_add(es_scope_t *scope, es_str_t word, es_pool_t *pool,
    es_problem_t *problem)
{
    es_str_t          pattern;
    const es_word_t  *w;

    for (w = es_scope_words; w->word != NULL; w++) {
        if (es_str_eq(word, es_str(w->word))) {
            scope->scopes |= w->value;
            return ES_OK;
        }
    }

    if (es_scope_feed_word(word, &pattern)) {
        return es_scope_add_feed(scope, word, pattern, pool, problem);
    }

    return es_scope_fault(problem, word, "is not a scope");
}


/* Words are separated by exactly one blank (RFC 6749, section 3.3). */

static es_rc_t
es_scope_read(es_str_t text, es_pool_t *pool, es_scope_t *scope,
    es_problem_t *problem)
{
    es_rc_t      rc;
    es_str_t     word;
    const char  *p, *last, *end;

    memset(scope, 0, sizeof(es_scope_t));

    scope->feeds.list = es_pool_alloc(pool,
                                      ES_PATTERNS_MAX * sizeof(es_str_t));
    if (scope->feeds.list == NULL) {
        return es_problem_set(problem, ES_NOMEM, -1, NULL, "out of memory");
    }

    last = text.data + text.len;

    for (p = text.data; p <= last; p = end + 1) {
        end = p < last ? memchr(p, ' ', (size_t) (last - p)) : NULL;
        end = end ? end : last;

        word.data = p;
        word.len = (size_t) (end - p);

        rc = es_scope_add(scope, word, pool, problem);
        if (rc != ES_OK) {
            return rc;
        }
    }

    if (scope->feeds.n > 0 && (scope->scopes & ~(unsigned) ES_SCOPE_OF_FEEDS))
    {
        return es_problem_set(problem, ES_INVALID, -1, NULL, "\"manage\" and "
                              "\"admin\" cannot be narrowed by \"feed:\"");
    }

    return ES_OK;
}


es_rc_t
es_scope_parse(es_str_t text, es_pool_t *pool, es_scope_t *scope)
{
    es_rc_t  rc;

    rc = text.len ? es_scope_read(text, pool, scope, NULL) : ES_INVALID;

    return rc == ES_OK && scope->scopes == 0 ? ES_INVALID : rc;
}


es_rc_t
es_scope_outside(es_str_t text, unsigned allowed, es_pool_t *pool,
    es_scope_t *scope)
{
    es_rc_t      rc;
    es_str_t     word;
    es_scope_t   one = { 0 };
    const char  *p, *last, *end;

    one.feeds.list = es_pool_alloc(pool, ES_PATTERNS_MAX * sizeof(es_str_t));
    if (one.feeds.list == NULL) {
        return ES_NOMEM;
    }

    last = text.data + text.len;

    for (p = text.data; p < last; p = end + 1) {
        end = memchr(p, ' ', (size_t) (last - p));
        end = end ? end : last;

        word.data = p;
        word.len = (size_t) (end - p);

        rc = es_scope_add(&one, word, pool, NULL);

        if (rc == ES_NOMEM
            || (rc != ES_OK && word.len >= ES_SCOPE_FEED_LEN
                && memcmp(word.data, ES_SCOPE_FEED, ES_SCOPE_FEED_LEN) == 0))
        {
            return rc;
        }
    }

    one.scopes &= one.feeds.n > 0 ? allowed & ES_SCOPE_OF_FEEDS : allowed;
    *scope = one;

    return ES_OK;
}


/* A scope that the key lacks would never be usable, so the request for it is a
   mistake that the client must learn of. */

static es_rc_t
es_scope_check(const es_scope_t *scope, const es_key_t *key,
    es_problem_t *problem)
{
    char              text[sizeof(ES_SCOPE_FEED) + ES_FEED_MAX + 1];
    size_t            i;
    es_str_t          word, p;
    const es_word_t  *w;

    for (w = es_scope_words; w->word != NULL; w++) {
        if (scope->scopes & ~key->scopes & w->value) {
            return es_scope_fault(problem, es_str(w->word),
                                  "is not granted to the key");
        }
    }

    for (i = 0; i < scope->feeds.n; i++) {
        p = scope->feeds.list[i];

        if ((key->feeds.n == 0 || es_patterns_match(&key->feeds, p))
            && (es_patterns_match(&key->partner->feeds, p)
                || es_patterns_match(&key->partner->publish, p)))
        {
            continue;
        }

        memcpy(text, ES_SCOPE_FEED, ES_SCOPE_FEED_LEN);
        memcpy(text + ES_SCOPE_FEED_LEN, p.data, p.len);
        word = (es_str_t) { text, ES_SCOPE_FEED_LEN + p.len };

        return es_scope_fault(problem, word, "is not granted to the key");
    }

    return ES_OK;
}


es_rc_t
es_scope_ask(es_str_t text, const es_key_t *key, es_pool_t *pool,
    es_scope_t *scope, es_problem_t *problem)
{
    es_rc_t  rc;

    if (text.len == 0) {
        memset(scope, 0, sizeof(es_scope_t));
        scope->scopes = key->scopes;
        return ES_OK;
    }

    rc = es_scope_read(text, pool, scope, problem);

    if (rc == ES_OK) {
        rc = es_scope_check(scope, key, problem);
    }

    if (rc != ES_OK) {
        return rc;
    }

    if (scope->scopes == 0) {
        scope->scopes = key->scopes & ES_SCOPE_OF_FEEDS;
    }

    return scope->scopes
           ? ES_OK
           : es_problem_set(problem, ES_INVALID, -1, NULL, "the key has "
                            "none of \"read\", \"publish\" and \"ack\", "
                            "which \"feed:\" narrows");
}


es_rc_t
es_scope_print(const es_scope_t *scope, es_buf_t *out)
{
    size_t            i;
    es_rc_t           rc;
    const char       *blank;
    const es_word_t  *w;

    blank = "";
    rc = ES_OK;

    for (w = es_scope_words; w->word != NULL && rc == ES_OK; w++) {
        if (scope->scopes & w->value) {
            rc = es_buf_printf(out, "%s%s", blank, w->word);
            blank = " ";
        }
    }

    for (i = 0; i < scope->feeds.n && rc == ES_OK; i++) {
        rc = es_buf_printf(out, "%s" ES_SCOPE_FEED "%s", blank,
                           scope->feeds.list[i].data);
        blank = " ";
    }

    return rc;
}


bool
es_scope_allows(const es_scope_t *scope, unsigned scopes, es_str_t feed)
{
    return (scope->scopes & scopes) == scopes
           && (scope->feeds.n == 0 || es_patterns_match(&scope->feeds, feed));
}


/* The feeds of one word: of those granted, what the key and the scope leave. */

static es_rc_t
es_scope_word_feeds(const es_key_t *key, const es_scope_t *scope,
    unsigned word, es_patterns_t granted, es_pool_t *pool, es_patterns_t *out)
{
    es_rc_t        rc;
    es_patterns_t  feeds;

    memset(out, 0, sizeof(es_patterns_t));

    if (!(key->scopes & word)
        || (scope != NULL && !(scope->scopes & word)))
    {
        return ES_OK;
    }

    feeds = granted;
    rc = ES_OK;

    if (key->feeds.n > 0) {
        rc = es_patterns_common(&granted, &key->feeds, pool, &feeds);
    }

    if (rc == ES_OK && scope != NULL && scope->feeds.n > 0) {
        granted = feeds;
        rc = es_patterns_common(&granted, &scope->feeds, pool, &feeds);
    }

    *out = feeds;

    return rc;
}


es_rc_t
es_scope_feeds(const es_key_t *key, const es_scope_t *scope, es_pool_t *pool,
    es_patterns_t *out)
{
    es_rc_t        rc;
    es_patterns_t  reads, publishes;

    rc = es_scope_word_feeds(key, scope, ES_SCOPE_READ, key->partner->feeds,
                             pool, &reads);

    if (rc == ES_OK) {
        rc = es_scope_word_feeds(key, scope, ES_SCOPE_PUBLISH,
                                 key->partner->publish, pool, &publishes);
    }

    return rc == ES_OK ? es_patterns_join(&reads, &publishes, pool, out) : rc;
}
