/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The scope of an access token (RFC 6749, section 3.3): what it may
 * of that which its key may.
 *
 * Words are those of keys (read, publish, manage, admin), and feed:PATTERN,
 * which narrows reading and publishing to feeds.  Managing is of no feed, so
 * the words manage and admin never stand beside feed:PATTERN: what is narrowed
 * to a feed could otherwise have another one sent to an endpoint.
 */

#ifndef ES_SCOPE_H
#define ES_SCOPE_H

#include "base/base.h"
#include "base/pool.h"
#include "registry/registry.h"

typedef struct {
    unsigned       scopes;     /* ES_SCOPE_... */
    es_patterns_t  feeds;      /* narrows; none: all of the key's */
} es_scope_t;

/*
 * What is asked for, as it is for the key to give.  Empty text asks for all
 * that the key has; of words that are only feed:PATTERN the scopes are those
 * of the key's that are of feeds.  ES_INVALID with a problem that names the
 * word which is none or which the key has not.  Texts are copied to the pool.
 */
es_rc_t es_scope_ask(es_str_t text, const es_key_t *key, es_pool_t *pool,
    es_scope_t *scope, es_problem_t *problem);

/* What a token says: words as above, at least one that is a key's. */
es_rc_t es_scope_parse(es_str_t text, es_pool_t *pool, es_scope_t *scope);

/* Appends the words, separated by blanks. */
es_rc_t es_scope_print(const es_scope_t *scope, es_buf_t *out);

/* Whether it has the scopes, on the feed; of the key nothing is said. */
bool es_scope_allows(const es_scope_t *scope, unsigned scopes, es_str_t feed);

#endif /* ES_SCOPE_H */
