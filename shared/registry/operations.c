/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Compares a partner's operations feed and publish patterns with those of all
 * partners.
 *
 * There may be ten thousand partners, and few have either member.  So a record
 * is only decoded if its text contains the member's name.
 */

#include <jansson.h>
#include <string.h>

#include "base/base.h"
#include "base/pool.h"
#include "registry/object.h"
#include "registry/operations.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "store/env.h"
#include "store/store.h"


static es_rc_t
es_operations_published(es_problem_t *problem, const char *pointer,
    es_str_t feed, es_str_t publisher)
{
    return es_problem_set(problem, ES_INVALID, -1, pointer, "the feed "
                          "\"%.*s\" cannot be for operational events and for "
                          "the partner \"%.*s\" to publish to",
                          (int) feed.len, feed.data, (int) publisher.len,
                          publisher.data);
}


static es_rc_t
es_operations_compare(es_str_t name, const es_partner_t *partner,
    es_str_t other_name, const es_partner_t *other, es_problem_t *problem)
{
    if (partner->operations.data != NULL
        && es_str_eq(partner->operations, other->operations))
    {
        return es_problem_set(problem, ES_INVALID, -1, "/operations", "the "
                              "feed \"%.*s\" has the operational events of "
                              "the partner \"%.*s\"",
                              (int) partner->operations.len,
                              partner->operations.data,
                              (int) other_name.len, other_name.data);
    }

    if (partner->operations.data != NULL
        && es_patterns_match(&other->publish, partner->operations))
    {
        return es_operations_published(problem, "/operations",
                                       partner->operations, other_name);
    }

    return other->operations.data != NULL
           && es_patterns_match(&partner->publish, other->operations)
           ? es_operations_published(problem, "/publish", other->operations,
                                     name)
           : ES_OK;
}


static bool
es_operations_has(const MDB_val *text, const char *member)
{
    return memmem(text->mv_data, text->mv_size, member, strlen(member))
           != NULL;
}


static es_rc_t
es_operations_other(es_str_t name, const es_partner_t *partner,
    es_str_t other_name, const MDB_val *text, es_problem_t *problem)
{
    json_t        *object;
    es_rc_t        rc;
    es_pool_t      pool = { 0 };
    es_partner_t   other = { 0 };

    if (!es_operations_has(text, "\"operations\"")
        && (partner->operations.data == NULL
            || !es_operations_has(text, "\"publish\"")))
    {
        return ES_OK;
    }

    /* a damaged record grants nothing: the registry cannot be loaded with it */

    object = json_loadb(text->mv_data, text->mv_size, 0, NULL);
    rc = object != NULL && es_partner_decode(object, &pool, &other, NULL)
                           == ES_OK
         ? es_operations_compare(name, partner, other_name, &other, problem)
         : ES_OK;

    json_decref(object);
    es_pool_free(&pool);

    return rc;
}


es_rc_t
es_operations_check(es_store_t *store, MDB_txn *txn, es_str_t name,
    const es_partner_t *partner, es_problem_t *problem)
{
    int          rc;
    MDB_val      key, text;
    es_rc_t      result;
    es_str_t     other;
    es_kind_t    kind;
    MDB_cursor  *cursor;
    char         buf[ES_OBJECT_KEY_MAX];

    if (partner->operations.data != NULL
        && es_patterns_match(&partner->publish, partner->operations))
    {
        return es_operations_published(problem, "/operations",
                                       partner->operations, name);
    }

    rc = mdb_cursor_open(txn, es_env_dbi(store->registry, ES_REGISTRY_OBJECTS),
                         &cursor);
    if (rc != 0) {
        return es_env_rc(rc);
    }

    key = es_object_key(ES_KIND_PARTNER, es_null_str, buf);
    result = ES_OK;

    for (rc = mdb_cursor_get(cursor, &key, &text, MDB_SET_RANGE);
         rc == 0 && es_object_kind(&key, &kind) && kind == ES_KIND_PARTNER;
         rc = mdb_cursor_get(cursor, &key, &text, MDB_NEXT))
    {
        other = (es_str_t) { (char *) key.mv_data + 1, key.mv_size - 1 };

        if (!es_str_eq(other, name)) {
            result = es_operations_other(name, partner, other, &text, problem);
        }

        if (result != ES_OK) {
            break;
        }
    }

    mdb_cursor_close(cursor);

    return rc != 0 && rc != MDB_NOTFOUND ? es_env_rc(rc) : result;
}
