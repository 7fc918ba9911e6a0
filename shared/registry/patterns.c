/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Matches, narrows and joins lists of feed patterns.
 */

#include "base/base.h"
#include "base/pool.h"
#include "registry/patterns.h"


bool
es_patterns_match(const es_patterns_t *patterns, es_str_t feed)
{
    size_t    i;
    es_str_t  p;

    for (i = 0; i < patterns->n; i++) {
        p = patterns->list[i];

        if (p.data[p.len - 1] == '*') {
            if (feed.len >= p.len - 1
                && memcmp(feed.data, p.data, p.len - 1) == 0)
            {
                return true;
            }

        } else if (es_str_eq(p, feed)) {
            return true;
        }
    }

    return false;
}


static es_rc_t
es_patterns_room(es_patterns_t *out, size_t n, es_pool_t *pool)
{
    out->n = 0;
    out->list = es_pool_alloc(pool, n * sizeof(es_str_t));

    return out->list ? ES_OK : ES_NOMEM;
}


static void
es_patterns_add(es_patterns_t *out, es_str_t pattern)
{
    size_t  i;

    for (i = 0; i < out->n; i++) {
        if (es_str_eq(out->list[i], pattern)) {
            return;
        }
    }

    out->list[out->n++] = pattern;
}


es_rc_t
es_patterns_common(const es_patterns_t *a, const es_patterns_t *b,
    es_pool_t *pool, es_patterns_t *out)
{
    size_t  i;

    if (es_patterns_room(out, a->n + b->n, pool) != ES_OK) {
        return ES_NOMEM;
    }

    for (i = 0; i < a->n; i++) {
        if (es_patterns_match(b, a->list[i])) {
            es_patterns_add(out, a->list[i]);
        }
    }

    for (i = 0; i < b->n; i++) {
        if (es_patterns_match(a, b->list[i])) {
            es_patterns_add(out, b->list[i]);
        }
    }

    return ES_OK;
}


es_rc_t
es_patterns_join(const es_patterns_t *a, const es_patterns_t *b,
    es_pool_t *pool, es_patterns_t *out)
{
    size_t  i;

    if (es_patterns_room(out, a->n + b->n, pool) != ES_OK) {
        return ES_NOMEM;
    }

    for (i = 0; i < a->n; i++) {
        es_patterns_add(out, a->list[i]);
    }

    for (i = 0; i < b->n; i++) {
        es_patterns_add(out, b->list[i]);
    }

    for (i = 0; i < out->n; i++) {
        out->list[i] = es_pool_str(pool, out->list[i]);

        if (out->list[i].data == NULL) {
            return ES_NOMEM;
        }
    }

    return ES_OK;
}
