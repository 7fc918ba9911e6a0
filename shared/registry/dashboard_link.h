/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Links to the dashboard: one-time secrets that a partner exchanges for a key
 * of at most an hour.
 *
 * A link is the record of a key whose member `link` has the digest of the
 * link's secret.  Until the link is redeemed, `digest` has the same value.  The
 * secret begins with esl_, so no request can present it as a key.  Redeeming
 * replaces `digest` by that of a new key and sets `expires`, in one
 * transaction.  So a link is redeemed once only, whichever process does it, and
 * links and their keys are revoked, counted and listed as keys are.
 */

#ifndef ES_DASHBOARD_LINK_H
#define ES_DASHBOARD_LINK_H

#include "registry/registry.h"

#define ES_LINK_KEY_MS    INT64_C(3600000)      /* life of its key */
#define ES_LINK_KEEP_MS   INT64_C(86400000)     /* how long it is remembered
                                                   after its end */

/* Scopes that a link can give.  The page publishes nothing. */
#define ES_LINK_SCOPES  \
    (ES_SCOPE_READ|ES_SCOPE_ACK|ES_SCOPE_MANAGE|ES_SCOPE_ADMIN)

typedef enum {
    ES_LINK_WAITS = 0,         /* it can be redeemed */
    ES_LINK_UNKNOWN,           /* no link, or one with another secret */
    ES_LINK_USED,
    ES_LINK_EXPIRED,
    ES_LINK_REVOKED            /* or its partner is disabled */
} es_link_state_t;

/* True if the key is a link that was not redeemed yet. */
bool es_link_waits(const es_key_t *key);

/* The state of the link whose secret has this digest.  The record with its id
   is `key`. */
es_link_state_t es_link_state(const es_key_t *key,
    const uint8_t digest[ES_DIGEST_LEN], int64_t now_ms);

/* ES_INVALID with a problem: the key is a link that never ends, or that gives
   other scopes than ES_LINK_SCOPES. */
es_rc_t es_link_check(const es_key_t *key, es_problem_t *problem);

/* A key that a link was exchanged for. */
typedef struct {
    char             text[ES_APIKEY_LEN + 1];
    int64_t          expires_ms;
    es_link_state_t  state;
} es_link_key_t;

/*
 * Redeems the link: one durable transaction; it needs ES_STORE_ADMIN.  `now_ms`
 * is the later one of the wall clock and the store's time.  The caller wipes
 * `key`.  ES_CONFLICT: the link does not wait any more, see `key->state`;
 * nothing is changed.  Others as es_registry_change(), with a problem.
 */
es_rc_t es_link_redeem(es_store_t *store, const es_apikey_t *link,
    int64_t now_ms, es_link_key_t *key, es_problem_t *problem);

/* The es_edit_fn by which the registry recognises es_link_redeem(). */
es_rc_t es_link_edit(void *ctx, json_t *stored, json_t *change,
    es_problem_t *problem);

/* Removes the partner's links and their keys whose end is a day ago, so that
   they do not fill its quota.  It needs ES_STORE_ADMIN. */
es_rc_t es_link_prune(es_store_t *store, es_str_t partner, int64_t now_ms);

#endif /* ES_DASHBOARD_LINK_H */
