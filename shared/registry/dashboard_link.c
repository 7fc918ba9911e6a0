/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Redeems and forgets links to the dashboard.
 */

#include <jansson.h>
#include <stdio.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/pool.h"
#include "keys/apikey.h"
#include "registry/dashboard_link.h"
#include "registry/record.h"
#include "registry/registry.h"

#define ES_LINK_PRUNED  64             /* records removed at a time */

typedef struct {
    const es_apikey_t  *link;
    int64_t             now_ms;
    es_link_key_t      *key;
} es_link_redeem_t;

typedef struct {
    int64_t   now_ms;
    unsigned  n;
    char      ids[ES_LINK_PRUNED][ES_KEYID_LEN + 1];
} es_link_prune_t;


bool
es_link_waits(const es_key_t *key)
{
    return key->linked && es_apikey_equal(key->link, key->digest);
}


es_link_state_t
es_link_state(const es_key_t *key, const uint8_t digest[ES_DIGEST_LEN],
    int64_t now_ms)
{
    if (!key->linked || !es_apikey_equal(key->link, digest)) {
        return ES_LINK_UNKNOWN;
    }

    if ((key->revoked_ms != 0 && now_ms >= key->revoked_ms)
        || (key->partner != NULL && key->partner->disabled))
    {
        return ES_LINK_REVOKED;
    }

    if (!es_link_waits(key)) {
        return ES_LINK_USED;
    }

    return key->expires_ms != 0 && now_ms >= key->expires_ms
           ? ES_LINK_EXPIRED : ES_LINK_WAITS;
}


es_rc_t
es_link_check(const es_key_t *key, es_problem_t *problem)
{
    if (key->linked && (key->scopes & ~(unsigned) ES_LINK_SCOPES)) {
        return es_problem_set(problem, ES_INVALID, -1, "/scopes", "a link to "
                              "the dashboard cannot publish");
    }

    return key->linked && key->expires_ms == 0
           ? es_problem_set(problem, ES_INVALID, -1, "/expires", "a link to "
                            "the dashboard must have an end")
           : ES_OK;
}


static es_rc_t
es_link_change(json_t *change, const es_apikey_t *key, int64_t expires_ms)
{
    char    time[ES_TIME_LEN], digest[2 * ES_DIGEST_LEN + 1];
    size_t  i;

    for (i = 0; i < ES_DIGEST_LEN; i++) {
        (void) snprintf(digest + 2 * i, 3, "%02x", key->digest[i]);
    }

    es_time_print(expires_ms, time);

    return json_object_set_new(change, "digest", json_string(digest)) == 0
           && json_object_set_new(change, "expires",
                                  json_stringn(time, ES_TIME_LEN)) == 0
           ? ES_OK : ES_NOMEM;
}


es_rc_t
es_link_edit(void *ctx, json_t *stored, json_t *change, es_problem_t *problem)
{
    es_rc_t            rc;
    es_key_t           key = { 0 };
    es_str_t           partner;
    es_pool_t          pool = { 0 };
    es_apikey_t        made;
    es_link_redeem_t  *redeem;

    redeem = ctx;

    rc = es_key_decode(stored, &pool, &key, &partner, problem);
    es_pool_free(&pool);

    if (rc != ES_OK) {
        return rc;
    }

    redeem->key->state = es_link_state(&key, redeem->link->digest,
                                       redeem->now_ms);

    if (redeem->key->state != ES_LINK_WAITS) {
        return es_problem_set(problem, ES_CONFLICT, -1, NULL,
                              "the link cannot be redeemed");
    }

    memcpy(made.id, redeem->link->id, sizeof(made.id));
    redeem->key->expires_ms = redeem->now_ms + ES_LINK_KEY_MS;

    rc = es_apikey_renew(key.staging, redeem->key->text, &made);

    return rc == ES_OK
           ? es_link_change(change, &made, redeem->key->expires_ms) : rc;
}


es_rc_t
es_link_redeem(es_store_t *store, const es_apikey_t *link, int64_t now_ms,
    es_link_key_t *key, es_problem_t *problem)
{
    json_t            *change;
    es_rc_t            rc;
    es_link_redeem_t   redeem = { link, now_ms, key };
    es_edit_t          edit = { es_link_edit, &redeem, NULL };

    memset(key, 0, sizeof(es_link_key_t));

    change = json_object();
    if (change == NULL) {
        return ES_NOMEM;
    }

    rc = es_registry_edit(store, ES_KIND_KEY, es_str(link->id), change, &edit,
                          problem);
    json_decref(change);

    if (rc == ES_NOT_FOUND) {
        key->state = ES_LINK_UNKNOWN;
        return ES_CONFLICT;
    }

    return rc;
}


/* Collects the ids of those that ended a day ago. */

static es_rc_t
es_link_ended(void *ctx, es_str_t name, es_str_t text)
{
    json_t           *object;
    es_key_t          key = { 0 };
    es_str_t          partner;
    es_pool_t         pool = { 0 };
    es_link_prune_t  *prune;

    prune = ctx;
    object = json_loadb(text.data, text.len, 0, NULL);

    if (json_is_object(object)
        && es_key_decode(object, &pool, &key, &partner, NULL) == ES_OK
        && key.linked
        && key.expires_ms != 0
        && prune->now_ms - key.expires_ms >= ES_LINK_KEEP_MS)
    {
        (void) snprintf(prune->ids[prune->n++], ES_KEYID_LEN + 1, "%.*s",
                        (int) name.len, name.data);
    }

    json_decref(object);
    es_pool_free(&pool);

    return prune->n < ES_LINK_PRUNED ? ES_OK : ES_STOP;
}


es_rc_t
es_link_prune(es_store_t *store, es_str_t partner, int64_t now_ms)
{
    es_rc_t          rc;
    unsigned         i;
    es_link_prune_t  prune = { .now_ms = now_ms };

    do {
        prune.n = 0;

        rc = es_registry_each_of(store, ES_KIND_KEY, partner, es_null_str,
                                 es_link_ended, &prune);

        rc = rc == ES_STOP ? ES_OK : rc;

        for (i = 0; rc == ES_OK && i < prune.n; i++) {
            rc = es_registry_remove(store, ES_KIND_KEY, es_str(prune.ids[i]),
                                    NULL);
        }
    } while (rc == ES_OK && prune.n == ES_LINK_PRUNED);

    return rc;
}
