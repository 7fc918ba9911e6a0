/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Registry records as partners and operators write them: a letter for the
 * kind, then the object.  An accepted record is within its bounds, and its
 * stored form is accepted again.
 */

#include "fuzz.h"
#include "registry/record.h"


static void
must_refuse(es_rc_t rc, const es_problem_t *problem)
{
    must(rc == ES_INVALID || rc == ES_TOO_LARGE);
    must_explain(problem, rc);
}


/* Text is a copy that ends with NUL. */

static void
must_end(es_str_t text)
{
    must(text.data == NULL || text.data[text.len] == '\0');
    must(text.data == NULL || strlen(text.data) == text.len);
}


static void
must_patterns(const es_patterns_t *patterns)
{
    size_t  i;

    for (i = 0; i < patterns->n; i++) {
        must(patterns->list[i].len > 0);
        must_end(patterns->list[i]);
    }

    must(!es_patterns_match(patterns, es_lit("orders"))
         || patterns->n > 0);
}


/* Lines that end nowhere but at their end, each begun by CR LF. */

static void
must_headers(es_str_t lines)
{
    size_t  i;

    must(lines.len == 0 || lines.len > 4);

    for (i = 0; i < lines.len; i++) {
        if (i % lines.len == 0 || lines.data[i] == '\r') {
            must(i + 3 < lines.len && memcmp(lines.data + i, "\r\n", 2) == 0);
            must(lines.data[i + 2] > ' ' && lines.data[i + 2] != ':');
            i++;
            continue;
        }

        must(lines.data[i] == '\t'
             || (lines.data[i] >= ' ' && lines.data[i] <= '~'));
    }
}


static void
must_endpoint(const es_endpoint_t *e)
{
    unsigned  i;

    must_end(e->url);
    must_patterns(&e->feeds);
    must_headers(e->headers);
    must_end(e->ack);
    must_end(e->oauth.token_url);
    must_end(e->oauth.client_secret);

    must(e->nsecrets >= 1 && e->nsecrets <= ES_SECRETS_MAX);
    must(e->in_flight >= 1 && e->in_flight <= 256);
    must(e->nschedule >= 1 && e->nschedule <= ES_SCHEDULE_MAX);
    must(e->schedule_ms[0] == 0);
    must(e->connect_timeout_ms > 0 && e->timeout_ms > 0);
    must(e->batch >= 1 && e->batch <= ES_BATCH_MAX);
    must(e->rate.units == 0 || e->rate.burst > 0);
    must(e->simulate.failure == ES_SIMULATE_NONE
         || (e->simulate.percent >= 1 && e->simulate.percent <= 100));

    for (i = 0; i < e->nsecrets; i++) {
        must_end(e->secrets[i]);
    }
}


static void
endpoint(json_t *object, es_pool_t *pool, es_problem_t *problem)
{
    es_rc_t        rc;
    es_str_t       partner;
    es_endpoint_t  e;

    memset(&e, 0, sizeof(e));

    rc = es_endpoint_decode(object, pool, &e, &partner, problem);

    if (rc == ES_OK) {
        must_endpoint(&e);
        rc = es_endpoint_check(&e, problem);
    }

    if (rc != ES_OK) {
        must_refuse(rc, problem);
    }
}


static void
decode(int kind, json_t *object, es_pool_t *pool, es_problem_t *problem)
{
    es_rc_t         rc;
    es_key_t        key;
    es_str_t        name;
    es_partner_t    partner;
    es_feed_rule_t  rule;

    switch (kind) {

    case 'p':
        memset(&partner, 0, sizeof(partner));
        rc = es_partner_decode(object, pool, &partner, problem);

        if (rc == ES_OK) {
            must_patterns(&partner.feeds);
            must_patterns(&partner.publish);
            must_end(partner.operations);
        }

        break;

    case 'k':
        memset(&key, 0, sizeof(key));
        rc = es_key_decode(object, pool, &key, &name, problem);

        if (rc == ES_OK) {
            must_patterns(&key.feeds);
            must(key.scopes != 0);
        }

        break;

    case 'f':
        memset(&rule, 0, sizeof(rule));
        rc = es_feed_rule_decode(object, pool, &rule, problem);
        must(rc != ES_OK || rule.schema <= ES_SCHEMA_ENFORCE);
        break;

    default:
        endpoint(object, pool, problem);
        return;
    }

    if (rc != ES_OK) {
        must_refuse(rc, problem);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t        *object;
    es_rc_t        rc;
    es_kind_t      kind;
    es_pool_t      pool;
    es_problem_t   problem;

    if (size == 0) {
        return 0;
    }

    object = json_loadb((const char *) data + 1, size - 1,
                        JSON_REJECT_DUPLICATES, NULL);

    if (!json_is_object(object)) {
        json_decref(object);
        return 0;
    }

    memset(&pool, 0, sizeof(pool));
    memset(&problem, 0, sizeof(problem));

    kind = data[0] == 'p' ? ES_KIND_PARTNER
           : data[0] == 'k' ? ES_KIND_KEY
           : data[0] == 'f' ? ES_KIND_FEED : ES_KIND_ENDPOINT;

    rc = es_record_members(kind, object, &problem);

    if (rc == ES_OK) {
        decode(data[0], object, &pool, &problem);
    } else {
        must_refuse(rc, &problem);
    }

    es_pool_free(&pool);
    json_decref(object);

    return 0;
}
