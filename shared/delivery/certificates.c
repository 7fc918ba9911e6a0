/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads, writes and describes the records of certificates.
 */

#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/certificates.h"
#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"

#define ES_META_CERTIFICATES  "certificates"
#define ES_CERTIFICATES_KEY   (sizeof(ES_META_CERTIFICATES) - 1               \
                               + sizeof(uint32_t))

typedef struct __attribute__((packed)) {
    uint64_t  revision;
    int64_t   expires_ms[ES_CERTS];
    int64_t   seen_ms[ES_CERTS];
} es_certificates_value_t;

ES_STORED_SIZE(es_certificates_value_t, 56);

typedef struct {
    es_certificates_fn   fn;
    void                *ctx;
} es_certificates_walk_t;


const char *
es_cert_name(es_cert_t cert)
{
    static const char *const  names[ES_CERTS] = {
        [ES_CERT_RECEIVER] = "receiver",
        [ES_CERT_CLIENT] = "client",
        [ES_CERT_TOKEN] = "token"
    };

    return names[cert];
}


static es_dkey_t
es_certificates_key(uint32_t endpoint)
{
    es_dkey_t  key;

    key = es_meta_key(ES_META_CERTIFICATES);
    es_key32(&key, endpoint);

    return key;
}


es_rc_t
es_changeset_certificates(es_changeset_t *c,
    const es_certificates_t *certificates)
{
    es_dkey_t                key;
    es_certificates_value_t  value;

    key = es_certificates_key(certificates->endpoint);

    value.revision = certificates->revision;
    memcpy(value.expires_ms, certificates->expires_ms,
           sizeof(value.expires_ms));
    memcpy(value.seen_ms, certificates->seen_ms, sizeof(value.seen_ms));

    return es_changeset_meta_put(c, &key, &value, sizeof(value));
}


es_rc_t
es_changeset_certificates_done(es_changeset_t *c, uint32_t endpoint)
{
    es_dkey_t  key;

    key = es_certificates_key(endpoint);

    return es_changeset_meta_delete(c, &key, false);
}


static es_rc_t
es_certificates_decode(void *ctx, const MDB_val *key, const MDB_val *record)
{
    es_certificates_t        *certificates = ctx;
    es_certificates_value_t   value;

    if (key->mv_size != ES_CERTIFICATES_KEY
        || record->mv_size != sizeof(value))
    {
        return ES_CORRUPT;
    }

    memcpy(&value, record->mv_data, sizeof(value));

    certificates->endpoint = es_key32_get(key,
                                          sizeof(ES_META_CERTIFICATES) - 1);
    certificates->revision = value.revision;
    memcpy(certificates->expires_ms, value.expires_ms,
           sizeof(value.expires_ms));
    memcpy(certificates->seen_ms, value.seen_ms, sizeof(value.seen_ms));

    return ES_OK;
}


es_rc_t
es_delivery_certificates(es_store_t *store, uint32_t endpoint,
    uint64_t revision, es_certificates_t *certificates)
{
    es_rc_t  rc;

    rc = es_delivery_get_meta(store, es_certificates_key(endpoint),
                              es_certificates_decode, certificates);

    return rc == ES_OK && certificates->revision != revision ? ES_NOT_FOUND
                                                             : rc;
}


static es_rc_t
es_certificates_visit(void *ctx, const MDB_val *key, const MDB_val *record)
{
    es_rc_t                  rc;
    es_certificates_t        certificates;
    es_certificates_walk_t  *walk = ctx;

    rc = es_certificates_decode(&certificates, key, record);

    return rc == ES_OK ? walk->fn(walk->ctx, &certificates) : rc;
}


es_rc_t
es_delivery_each_certificates(es_store_t *store, es_certificates_fn fn,
    void *ctx)
{
    es_certificates_walk_t  walk = { fn, ctx };

    return es_delivery_each_meta(store, es_meta_key(ES_META_CERTIFICATES),
                                 es_certificates_visit, &walk);
}


json_t *
es_certificates_report(const es_certificates_t *certificates)
{
    char       expires[ES_TIME_LEN], seen[ES_TIME_LEN];
    json_t    *report, *times;
    unsigned   i;

    report = json_object();

    for (i = 0; report != NULL && i < ES_CERTS; i++) {
        if (certificates->expires_ms[i] == 0) {
            continue;
        }

        es_time_print(certificates->expires_ms[i], expires);
        es_time_print(certificates->seen_ms[i], seen);

        times = json_pack("{s:s%, s:s%}", "expires", expires, sizeof(expires),
                          "seen", seen, sizeof(seen));

        if (json_object_set_new(report, es_cert_name((es_cert_t) i), times)
            != 0)
        {
            json_decref(report);
            report = NULL;
        }
    }

    return report;
}


es_rc_t
es_certificates_add(es_store_t *store, uint32_t endpoint, uint64_t revision,
    json_t *object)
{
    es_rc_t            rc;
    es_certificates_t  certificates;

    rc = es_delivery_certificates(store, endpoint, revision, &certificates);

    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    return json_object_set_new(object, "certificates",
                               es_certificates_report(&certificates)) == 0
           ? ES_OK : ES_NOMEM;
}
