/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The scope of an access token (RFC 6749, section 3.3): the part of its key's
 * rights that the token has.
 *
 * The words are those of keys (read, publish, ack, manage, admin) and
 * feed:PATTERN, which narrows the first three to feeds.  The words manage and admin
 * never stand beside feed:PATTERN, because a token that is narrowed to one feed
 * could otherwise have another feed sent to an endpoint.
 */

#ifndef ES_SCOPE_H
#define ES_SCOPE_H

#include "base/base.h"
#include "base/pool.h"
#include "registry/registry.h"

typedef struct {
    unsigned       scopes;     /* ES_SCOPE_... */
    es_patterns_t  feeds;      /* narrows; none: all feeds of the key */
} es_scope_t;

/*
 * Reads the scope that a client requests with a key.  An empty text requests
 * all scopes of the key.  A text of feed:PATTERN words alone requests those of
 * read, publish and ack that the key has.  ES_INVALID with a problem that names the
 * word that is not a scope, or that the key lacks.  ES_NOMEM.  Texts are copied
 * to the pool.
 */
es_rc_t es_scope_ask(es_str_t text, const es_key_t *key, es_pool_t *pool,
    es_scope_t *scope, es_problem_t *problem);

/* Reads the scope of a token, in which at least one word is not feed:PATTERN.
   ES_INVALID, ES_NOMEM. */
es_rc_t es_scope_parse(es_str_t text, es_pool_t *pool, es_scope_t *scope);

/*
 * Reads the scope of a token of an external issuer, which has words for other
 * servers, too.  They are left out, and so are ours that are not in
 * `allowed`, so the scope may be empty.  A word that begins with "feed:" must be
 * a pattern, because a token without it could do more: ES_INVALID.  Beside
 * "feed:", manage and admin are left out.  ES_NOMEM.
 */
es_rc_t es_scope_outside(es_str_t text, unsigned allowed, es_pool_t *pool,
    es_scope_t *scope);

/* Appends the words, separated by blanks. */
es_rc_t es_scope_print(const es_scope_t *scope, es_buf_t *out);

/* True if the scope has all of `scopes` for the feed.  It does not say that the
   key still has them. */
bool es_scope_allows(const es_scope_t *scope, unsigned scopes, es_str_t feed);

/*
 * Sets `out` to the patterns of the feeds that the key may read, and of those
 * that it may publish to; with a scope (NULL: none) only what that leaves.  It
 * does not say that the key is valid.  Texts are copied to the pool.  ES_NOMEM.
 */
es_rc_t es_scope_feeds(const es_key_t *key, const es_scope_t *scope,
    es_pool_t *pool, es_patterns_t *out);

#endif /* ES_SCOPE_H */
