/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads, writes and describes the records of verifications.
 */

#include <string.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/delivery.h"
#include "delivery/delivery_keys.h"
#include "delivery/verification.h"

#define ES_META_VERIFICATION  "verification"
#define ES_VERIFICATION_KEY   (sizeof(ES_META_VERIFICATION) - 1               \
                               + sizeof(uint32_t))
#define ES_VERIFICATION_TEXTS 3

/* The texts follow: origin, sender and reason, a NUL after each. */
typedef struct __attribute__((packed)) {
    uint8_t   method;
    uint8_t   class;
    int32_t   status;
    uint32_t  checks;
    uint64_t  revision;
    int64_t   time_ms;
    int64_t   next_ms;
} es_verification_value_t;

ES_STORED_SIZE(es_verification_value_t, 34);

typedef struct {
    es_verification_fn   fn;
    void                *ctx;
} es_verification_walk_t;


static es_dkey_t
es_verification_key(uint32_t endpoint)
{
    es_dkey_t  key;

    key = es_meta_key(ES_META_VERIFICATION);
    es_key32(&key, endpoint);

    return key;
}


es_rc_t
es_changeset_verification(es_changeset_t *c, const es_verification_t *v)
{
    char                     *p;
    size_t                    i, len;
    es_dkey_t                 key;
    es_verification_value_t   value;

    const char  *texts[ES_VERIFICATION_TEXTS] = { v->origin, v->sender,
                                                  v->reason };
    char  record[sizeof(value) + sizeof(v->origin) + sizeof(v->sender)
                 + sizeof(v->reason)];

    key = es_verification_key(v->endpoint);

    value.method = v->method;
    value.class = v->class;
    value.status = v->status;
    value.checks = v->checks;
    value.revision = v->revision;
    value.time_ms = v->time_ms;
    value.next_ms = v->next_ms;

    memcpy(record, &value, sizeof(value));
    p = record + sizeof(value);

    for (i = 0; i < ES_VERIFICATION_TEXTS; i++) {
        len = strlen(texts[i]) + 1;
        memcpy(p, texts[i], len);
        p += len;
    }

    return es_changeset_meta_put(c, &key, record, (size_t) (p - record));
}


es_rc_t
es_changeset_verification_done(es_changeset_t *c, uint32_t endpoint)
{
    es_dkey_t  key;

    key = es_verification_key(endpoint);

    return es_changeset_meta_delete(c, &key, false);
}


/* Takes one text with its NUL from the rest of the record. */

static bool
es_verification_text(const char **p, const char *end, char *out, size_t size)
{
    size_t  len;

    len = strnlen(*p, (size_t) (end - *p)) + 1;

    if (len > (size_t) (end - *p) || len > size) {
        return false;
    }

    memcpy(out, *p, len);
    *p += len;

    return true;
}


static es_rc_t
es_verification_decode(const MDB_val *key, const MDB_val *record,
    es_verification_t *v)
{
    const char               *p, *end;
    es_verification_value_t   value;

    if (key->mv_size != ES_VERIFICATION_KEY
        || record->mv_size < sizeof(value))
    {
        return ES_CORRUPT;
    }

    p = record->mv_data;
    end = p + record->mv_size;
    memcpy(&value, p, sizeof(value));
    p += sizeof(value);

    v->endpoint = es_key32_get(key, sizeof(ES_META_VERIFICATION) - 1);
    v->method = value.method;
    v->class = value.class;
    v->status = value.status;
    v->checks = value.checks;
    v->revision = value.revision;
    v->time_ms = value.time_ms;
    v->next_ms = value.next_ms;

    return value.method < ES_VERIFIED_METHODS
           && es_verification_text(&p, end, v->origin, sizeof(v->origin))
           && es_verification_text(&p, end, v->sender, sizeof(v->sender))
           && es_verification_text(&p, end, v->reason, sizeof(v->reason))
           && p == end
           ? ES_OK : ES_CORRUPT;
}


static es_rc_t
es_verification_visit(void *ctx, const MDB_val *key, const MDB_val *record)
{
    es_rc_t                  rc;
    es_verification_t        v;
    es_verification_walk_t  *walk = ctx;

    rc = es_verification_decode(key, record, &v);

    return rc == ES_OK ? walk->fn(walk->ctx, &v) : rc;
}


es_rc_t
es_delivery_each_verification(es_store_t *store, es_verification_fn fn,
    void *ctx)
{
    es_verification_walk_t  walk = { fn, ctx };

    return es_delivery_each_meta(store, es_meta_key(ES_META_VERIFICATION),
                                 es_verification_visit, &walk);
}


static es_rc_t
es_verification_take(void *ctx, const MDB_val *key, const MDB_val *record)
{
    return es_verification_decode(key, record, ctx);
}


es_rc_t
es_delivery_verification(es_store_t *store, uint32_t endpoint,
    es_verification_t *v)
{
    return es_delivery_get_meta(store, es_verification_key(endpoint),
                                es_verification_take, v);
}


static void
es_verification_time(json_t *report, const char *member, int64_t ms)
{
    char  time[ES_TIME_LEN];

    if (ms != 0) {
        es_time_print(ms, time);
        (void) json_object_set_new(report, member,
                                   json_stringn(time, sizeof(time)));
    }
}


json_t *
es_verification_report(const es_verification_t *v)
{
    json_t  *report;

    static const char  *const  methods[ES_VERIFIED_METHODS] = {
        [ES_VERIFIED_NOT] = "none",
        [ES_VERIFIED_HANDSHAKE] = "handshake",
        [ES_VERIFIED_CHALLENGE] = "challenge",
        [ES_VERIFIED_OPERATOR] = "operator"
    };

    report = json_pack("{s:b, s:s, s:s, s:I}",
                       "verified", v->method != ES_VERIFIED_NOT,
                       "method", methods[v->method], "origin", v->origin,
                       "checks", (json_int_t) v->checks);
    if (report == NULL) {
        return NULL;
    }

    es_verification_time(report, "time", v->time_ms);

    if (v->method != ES_VERIFIED_NOT) {
        return report;
    }

    es_verification_time(report, "next", v->next_ms);

    if (v->reason[0] != '\0') {
        (void) json_object_set_new(report, "class", json_string(
            es_attempt_class_name((es_attempt_class_t) v->class)));
        (void) json_object_set_new(report, "status", json_integer(v->status));
        (void) json_object_set_new(report, "reason", json_string(v->reason));
    }

    return report;
}
