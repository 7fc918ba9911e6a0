/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Compares a registry write with the quotas of its partner, in the write's
 * transaction.  So concurrent writes together do not exceed a quota.
 */

#include <jansson.h>

#include "base/base.h"
#include "limit/quota.h"
#include "registry/object.h"
#include "registry/partner_index.h"
#include "registry/record.h"
#include "registry/registry.h"
#include "registry/write.h"


static es_str_t
es_write_partner(const json_t *object)
{
    return es_str(json_string_value(json_object_get(object, "partner")));
}


static es_rc_t
es_write_quotas(es_write_t *w, MDB_txn *txn, const json_t *object,
    uint64_t quotas[ES_QUOTAS])
{
    json_t   *partner;
    es_rc_t   rc;
    MDB_val   text;

    rc = es_object_text(w->store, txn, ES_KIND_PARTNER,
                        es_write_partner(object), &text);
    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_CORRUPT : rc;
    }

    partner = json_loadb(text.mv_data, text.mv_size, 0, NULL);
    rc = partner != NULL && es_partner_quotas(partner, quotas, NULL) == ES_OK
         ? ES_OK : ES_CORRUPT;
    json_decref(partner);

    return rc;
}


es_rc_t
es_write_check_count(es_write_t *w, MDB_txn *txn, const json_t *object)
{
    es_rc_t     rc;
    uint64_t    quotas[ES_QUOTAS];
    es_str_t    partner;
    es_owned_t  owned;
    es_quota_t  quota;

    if (!es_kind_owned(w->kind)) {
        return ES_OK;
    }

    partner = es_write_partner(object);
    quota = w->kind == ES_KIND_KEY ? ES_QUOTA_KEYS : ES_QUOTA_ENDPOINTS;

    rc = es_write_quotas(w, txn, object, quotas);

    if (rc == ES_OK) {
        rc = es_partner_index_sum(w->store, txn, w->kind, partner, &owned);
    }

    if (rc != ES_OK || owned.records < quotas[quota]) {
        return rc;
    }

    (void) es_problem_set(w->problem, ES_QUOTA, -1, NULL, "the partner "
                          "\"%.*s\" has %llu %s, and its quota is %llu",
                          (int) partner.len, partner.data,
                          (unsigned long long) owned.records,
                          es_quota_rules[quota].name,
                          (unsigned long long) quotas[quota]);

    return es_quota_problem(w->problem, quota, quotas[quota]);
}


es_rc_t
es_write_check_bytes(es_write_t *w, MDB_txn *txn, const json_t *object,
    size_t len)
{
    es_rc_t     rc;
    uint64_t    quotas[ES_QUOTAS], before, total;
    es_str_t    partner;
    es_owned_t  keys, endpoints;

    partner = es_write_partner(object);
    before = 0;

    rc = es_partner_index_get(w->store, txn, w->kind, partner, w->name,
                              &before);

    if ((rc != ES_OK && rc != ES_NOT_FOUND) || len <= before) {
        return rc;
    }

    rc = es_write_quotas(w, txn, object, quotas);

    if (rc == ES_OK) {
        rc = es_partner_index_sum(w->store, txn, ES_KIND_KEY, partner, &keys);
    }

    if (rc == ES_OK) {
        rc = es_partner_index_sum(w->store, txn, ES_KIND_ENDPOINT, partner,
                                  &endpoints);
    }

    if (rc != ES_OK) {
        return rc;
    }

    total = keys.bytes + endpoints.bytes - before + len;

    if (total <= quotas[ES_QUOTA_BYTES]) {
        return ES_OK;
    }

    (void) es_problem_set(w->problem, ES_QUOTA, -1, NULL, "the keys and "
                          "endpoints of the partner \"%.*s\" would take %llu "
                          "bytes, and its quota is %llu", (int) partner.len,
                          partner.data, (unsigned long long) total,
                          (unsigned long long) quotas[ES_QUOTA_BYTES]);

    return es_quota_problem(w->problem, ES_QUOTA_BYTES,
                            quotas[ES_QUOTA_BYTES]);
}
