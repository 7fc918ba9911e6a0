/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checks a registry write in its transaction: the members of the new record,
 * what it refers to, what may not change, and what may not be removed.
 */

#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/pool.h"
#include "event/cursor.h"
#include "log/feed.h"
#include "log/store_clock.h"
#include "jwe/jwe.h"
#include "registry/access.h"
#include "registry/dashboard_link.h"
#include "registry/object.h"
#include "registry/field_lists.h"
#include "registry/flags.h"
#include "registry/member.h"
#include "registry/operations.h"
#include "registry/partner_index.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "registry/write.h"
#include "store/env.h"
#include "store/store.h"
#include "store/txn.h"


static es_rc_t
es_partner_exists(es_write_t *w, MDB_txn *txn, es_str_t name)
{
    es_rc_t  rc;
    MDB_val  text;

    rc = name.len <= ES_FEED_MAX
         ? es_object_text(w->store, txn, ES_KIND_PARTNER, name, &text)
         : ES_NOT_FOUND;

    if (rc == ES_NOT_FOUND) {
        return es_problem_set(w->problem, ES_INVALID, -1, "/partner",
                              "there is no partner \"%.*s\"", (int) name.len,
                              name.data);
    }

    return rc;
}


/* The feed of `operations` must exist when a write sets it. */

static es_rc_t
es_operations_exist(es_write_t *w, es_str_t name)
{
    es_rc_t    rc;
    es_txn_t  *txn;
    es_feed_t  feed;

    if (name.data == NULL || json_object_get(w->input, "operations") == NULL) {
        return ES_OK;
    }

    rc = es_txn_begin(w->store, &txn);
    if (rc != ES_OK) {
        return rc;
    }

    rc = es_feed_get(txn, name, &feed);
    es_txn_end(txn);

    return rc == ES_NOT_FOUND
           ? es_problem_set(w->problem, ES_INVALID, -1, "/operations",
                            "there is no feed \"%.*s\"", (int) name.len,
                            name.data)
           : rc;
}


/* Other changes of a partner do not fail for what was allowed earlier. */

static es_rc_t
es_operations_admit(es_write_t *w, MDB_txn *txn, const es_partner_t *partner)
{
    es_rc_t  rc;

    rc = es_operations_exist(w, partner->operations);

    return rc == ES_OK
           && (json_object_get(w->input, "operations") != NULL
               || json_object_get(w->input, "publish") != NULL)
           ? es_operations_check(w->store, txn, w->name, partner, w->problem)
           : rc;
}


/* The point of a key need not be on its curve.  To find out takes longer than
   readers may take, so only a write does. */

static es_rc_t
es_encryption_key_works(es_write_t *w, const es_partner_t *partner)
{
    return partner->fields.key == NULL
           || json_object_get(w->input, "encryption_key") == NULL
           || es_jwe_key_works(partner->fields.key)
           ? ES_OK
           : es_problem_set(w->problem, ES_INVALID, -1, "/encryption_key",
                            "encryption_key is not a public key: its point is "
                            "not on the curve");
}


/* The list of an endpoint cannot encrypt without a key of its partner. */

static es_rc_t
es_encryption_key_there(es_write_t *w, const json_t *partner,
    const es_field_lists_t *lists)
{
    char    pointer[ES_POINTER_MAX] = "/fields";
    size_t  i;

    if (json_object_get(partner, "encryption_key") != NULL) {
        return ES_OK;
    }

    for (i = 0; i < lists->n; i++) {
        if (lists->lists[i].encrypt.n == 0) {
            continue;
        }

        es_pointer_add(pointer, sizeof(pointer), lists->lists[i].pattern);
        es_pointer_add(pointer, sizeof(pointer), es_lit("encrypt"));

        return es_problem_set(w->problem, ES_INVALID, -1, pointer,
                              "%s needs the member \"encryption_key\" of the "
                              "partner", pointer + 1);
    }

    return ES_OK;
}


/* Two lists may be too intricate only together.  The write of the second one is
   refused, because their events would be.  `whose` says whose the first one
   is. */

static es_rc_t
es_field_lists_meet(es_write_t *w, es_field_lists_t *endpoint,
    const es_field_lists_t *partner, es_pool_t *pool, const char *whose)
{
    char                    pointer[ES_POINTER_MAX] = "/fields";
    es_rc_t                 rc;
    const es_field_pair_t  *pair;

    rc = es_field_lists_pair(endpoint, partner, pool);

    if (rc != ES_OK || endpoint->unreadable || partner->unreadable) {
        return rc;
    }

    pair = es_field_lists_intricate(endpoint, partner);

    if (pair == NULL) {
        return ES_OK;
    }

    es_pointer_add(pointer, sizeof(pointer),
                   w->kind == ES_KIND_PARTNER ? pair->partner->pattern
                                              : pair->endpoint->pattern);

    return es_problem_set(w->problem, ES_INVALID, -1, pointer,
                          "%s has too many entries with \"*\" that meet those "
                          "of the %s", pointer + 1, whose);
}


static es_rc_t
es_endpoint_lists_admit(es_write_t *w, MDB_txn *txn, es_str_t name,
    es_field_lists_t *lists, es_pool_t *pool)
{
    json_t            *object;
    es_rc_t            rc;
    MDB_val            text;
    es_problem_t       problem = { 0 };
    es_record_t        r = { NULL, pool, &problem };
    es_field_lists_t   partner = { 0 };

    if (lists->n == 0) {
        return ES_OK;
    }

    rc = es_object_text(w->store, txn, ES_KIND_PARTNER, name, &text);
    if (rc != ES_OK) {
        return rc;
    }

    object = json_loadb(text.mv_data, text.mv_size, 0, NULL);
    rc = es_encryption_key_there(w, object, lists);

    if (rc == ES_OK && json_object_get(w->input, "fields") != NULL) {
        r.object = object;
        rc = es_take_field_lists(&r, true, &partner);

        if (rc == ES_OK) {
            rc = es_field_lists_meet(w, lists, &partner, pool, "partner");
        }
    }

    json_decref(object);

    return rc;
}


/* The lists of a partner that are written, for each of its endpoints. */
typedef struct {
    es_write_t              *w;
    const es_field_lists_t  *lists;
} es_partner_lists_t;


static es_rc_t
es_partner_lists_meet(void *ctx, es_str_t name, es_str_t text)
{
    char                 whose[ES_POINTER_MAX];
    es_rc_t              rc;
    es_pool_t            pool = { 0 };
    es_problem_t         problem = { 0 };
    es_record_t          r = { NULL, &pool, &problem };
    es_field_lists_t     lists = { 0 };
    es_partner_lists_t  *p = ctx;

    r.object = json_loadb(text.data, text.len, 0, NULL);
    rc = es_take_field_lists(&r, false, &lists);

    if (rc == ES_OK && lists.n > 0) {
        (void) snprintf(whose, sizeof(whose), "endpoint \"%.*s\"",
                        (int) name.len, name.data);
        rc = es_field_lists_meet(p->w, &lists, p->lists, &pool, whose);
    }

    json_decref(r.object);
    es_pool_wipe(&pool);

    return rc;
}


/* A reader takes no more than ES_FLAGS_MAX. */

static es_rc_t
es_write_check_flag(es_write_t *w, MDB_txn *txn, json_t *object,
    es_pool_t *pool)
{
    es_rc_t     rc;
    es_flag_t   flag;
    es_flags_t  flags;

    rc = es_flag_decode(object, pool, &flag, w->problem);

    if (rc != ES_OK || w->op != ES_OP_CREATE) {
        return rc;
    }

    rc = es_flags_load(w->store, txn, pool, &flags);

    if (rc == ES_OK && flags.n >= ES_FLAGS_MAX) {
        rc = es_problem_set(w->problem, ES_INVALID, -1, NULL, "there are %u "
                            "flags already, and no more are read",
                            ES_FLAGS_MAX);
    }

    return rc;
}


static es_rc_t
es_endpoint_admit(es_write_t *w, MDB_txn *txn, es_str_t partner,
    es_endpoint_t *endpoint, es_pool_t *pool)
{
    es_rc_t  rc;

    rc = endpoint->fields.unreadable
         ? ES_INVALID : es_endpoint_check(endpoint, w->problem);

    if (rc == ES_OK && json_object_get(w->input, "simulate") != NULL) {
        rc = es_simulate_check(&endpoint->simulate, es_store_due_ms(w->store),
                               w->problem);
    }

    if (rc == ES_OK) {
        rc = es_partner_exists(w, txn, partner);
    }

    return rc == ES_OK
           ? es_endpoint_lists_admit(w, txn, partner, &endpoint->fields, pool)
           : rc;
}


static es_rc_t
es_write_check_partner(es_write_t *w, MDB_txn *txn, json_t *object,
    es_pool_t *pool)
{
    es_rc_t             rc;
    es_partner_t        partner = { 0 };
    es_partner_lists_t  lists = { w, &partner.fields };

    rc = es_partner_decode(object, pool, &partner, w->problem);

    if (rc == ES_OK && partner.fields.unreadable) {
        return ES_INVALID;
    }

    if (rc == ES_OK) {
        rc = es_encryption_key_works(w, &partner);
    }

    if (rc == ES_OK && partner.fields.n > 0
        && json_object_get(w->input, "fields") != NULL)
    {
        rc = es_partner_index_walk(w->store, txn, ES_KIND_ENDPOINT, w->name,
                                   es_null_str, es_partner_lists_meet, &lists);
    }

    return rc == ES_OK ? es_operations_admit(w, txn, &partner) : rc;
}


es_rc_t
es_write_check(es_write_t *w, MDB_txn *txn, json_t *object)
{
    es_rc_t         rc = ES_INVALID;
    es_key_t        key;
    es_pool_t       pool;
    es_str_t        partner;
    es_endpoint_t   endpoint;
    es_feed_rule_t  rule;

    memset(&pool, 0, sizeof(pool));

    switch (w->kind) {

    case ES_KIND_PARTNER:
        rc = es_write_check_partner(w, txn, object, &pool);
        break;

    case ES_KIND_KEY:
        memset(&key, 0, sizeof(key));
        rc = es_key_decode(object, &pool, &key, &partner, w->problem);
        if (rc == ES_OK) {
            rc = es_link_check(&key, w->problem);
        }
        if (rc == ES_OK) {
            rc = es_peer_cert_check(&key, w->name, w->problem);
        }
        if (rc == ES_OK) {
            rc = es_partner_exists(w, txn, partner);
        }
        break;

    case ES_KIND_FEED:
        memset(&rule, 0, sizeof(rule));
        rc = es_feed_rule_decode(object, &pool, &rule, w->problem);
        break;

    case ES_KIND_FLAG:
        rc = es_write_check_flag(w, txn, object, &pool);
        break;

    case ES_KIND_ENDPOINT:
        memset(&endpoint, 0, sizeof(endpoint));
        rc = es_endpoint_decode(object, &pool, &endpoint, &partner,
                                w->problem);
        if (rc == ES_OK) {
            rc = es_endpoint_admit(w, txn, partner, &endpoint, &pool);
        }
        break;
    }

    es_pool_wipe(&pool);

    return rc;
}


es_rc_t
es_write_check_maker(es_write_t *w, MDB_txn *txn)
{
    json_t     *object;
    int64_t     due_ms, now_ms;
    es_rc_t     rc;
    MDB_val     text;
    es_key_t    key = { 0 };
    es_str_t    partner;
    es_pool_t   pool = { 0 };

    /* the partner of an issuer's token was looked up just before */

    if (w->made_by == NULL || w->made_by[0] == ES_ACCESS_NO_KEY) {
        return ES_OK;
    }

    rc = es_object_text(w->store, txn, ES_KIND_KEY, es_str(w->made_by), &text);

    if (rc != ES_OK && rc != ES_NOT_FOUND) {
        return rc;
    }

    object = rc == ES_OK ? json_loadb(text.mv_data, text.mv_size, 0, NULL)
                         : NULL;
    now_ms = es_clock_ms();
    due_ms = es_store_due_ms(w->store);
    now_ms = now_ms > due_ms ? now_ms : due_ms;

    if (object == NULL
        || es_key_decode(object, &pool, &key, &partner, NULL) != ES_OK
        || (key.expires_ms != 0 && now_ms >= key.expires_ms)
        || (key.revoked_ms != 0 && now_ms >= key.revoked_ms))
    {
        rc = es_problem_set(w->problem, ES_DENIED, -1, "/made_by",
                            "the key is expired or revoked");
    }

    json_decref(object);
    es_pool_wipe(&pool);

    return rc;
}


/* A link that waits gets the digest of a key when it is redeemed. */

static bool
es_link_redeems(const es_write_t *w, json_t *object, const char *member)
{
    return w->edit != NULL && w->edit->fn == es_link_edit
           && strcmp(member, "digest") == 0
           && json_equal(json_object_get(object, "link"),
                         json_object_get(object, "digest"));
}


es_rc_t
es_write_check_fixed(es_write_t *w, json_t *object)
{
    char          pointer[32];
    json_t       *value;
    unsigned      i;

    static const char  *const  fixed[] = {
        "partner", "digest", "link", "certificate"
    };

    for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        value = json_object_get(w->input, fixed[i]);

        if (value != NULL
            && !json_equal(value, json_object_get(object, fixed[i]))
            && !es_link_redeems(w, object, fixed[i]))
        {
            pointer[0] = '\0';
            es_pointer_add(pointer, sizeof(pointer), es_str(fixed[i]));

            return es_problem_set(w->problem, ES_INVALID, -1, pointer,
                                  "%s cannot be changed", fixed[i]);
        }
    }

    return ES_OK;
}


es_rc_t
es_write_check_unused(es_write_t *w, MDB_txn *txn, es_kind_t kind)
{
    es_rc_t   rc;
    es_str_t  name;

    rc = es_partner_index_first(w->store, txn, kind, w->name, &name);

    if (rc == ES_OK) {
        return es_problem_set(w->problem, ES_CONFLICT, -1, NULL,
                              "the partner \"%.*s\" still has the %s "
                              "\"%.*s\"", (int) w->name.len, w->name.data,
                              es_kind_name(kind), (int) name.len, name.data);
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}
