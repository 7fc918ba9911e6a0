/* SPDX-License-Identifier: BSD-2-Clause */

/* Metrics: the figures of feeds, and of endpoints in every state. */

#include <stdlib.h>
#include <unistd.h>

#include "delivery/cases.h"
#include "delivery/certificates.h"
#include "delivery/figures.h"
#include "delivery/packing.h"
#include "delivery/stall.h"
#include "delivery/tally.h"
#include "inspect/metrics.h"
#include "log/feed.h"
#include "open/open.h"
#include "registry/registry.h"
#include "store/plain_secrets.h"
#include "tap.h"

static char           dir[] = "/tmp/eventsync-metrics-XXXXXX";
static es_store_t    *store;
static es_problem_t   problem;


static bool
make(es_kind_t kind, const char *name, const char *json)
{
    return es_registry_create(store, kind, es_str(name), json, &problem)
           == ES_OK;
}


/* Endpoints 1 to 6, of which the last is of a partner that is disabled. */

static bool
make_endpoints(void)
{
    int   i;
    char  name[32], json[256];

    if (!make(ES_KIND_PARTNER, "acme", "{\"feeds\":[\"*\"]}")
        || !make(ES_KIND_PARTNER, "bolt",
                 "{\"feeds\":[\"*\"],\"disabled\":true}"))
    {
        return false;
    }

    for (i = 1; i <= 6; i++) {
        (void) snprintf(name, sizeof(name), "ep_aaaaaaaaaaaaaaa%c", 'a' + i);
        (void) snprintf(json, sizeof(json), "{\"partner\":\"%s\",\"url\":"
                        "\"https://a.example/\",\"feeds\":[\"*\"],"
                        "\"secrets\":"
                        "[\"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"]%s}",
                        i == 6 ? "bolt" : "acme",
                        i == 4 ? ",\"paused\":true" : "");

        if (!make(ES_KIND_ENDPOINT, name, json)) {
            return false;
        }
    }

    return true;
}


/* 2 is stopped, the stop of 3 is of an older record, the circuits of 2, 5 and
   one that is no more are open. */

static es_rc_t
record(uint32_t retries)
{
    es_rc_t          rc;
    uint32_t         i;
    es_dead_t        dead = { .endpoint = 5, .feed = 1, .sequence = 1 };
    es_stop_t        stop = { .endpoint = 2, .revision = 1 };
    es_retry_t       retry = { .endpoint = 3, .feed = 1 };
    es_stall_t       stall = { .feed = 1, .reason = ES_STALL_EVENT,
                             .since_ms = 500 };
    es_changeset_t  *c;
    es_circuit_t     circuit = { .trips = 1 };

    c = es_changeset_create();
    rc = es_changeset_stop(c, &stop);
    stop.endpoint = 3;
    stop.revision = 0;
    rc = rc == ES_OK ? es_changeset_stop(c, &stop) : rc;

    for (i = 2; i <= 8; i += 3) {
        circuit.endpoint = i;
        rc = rc == ES_OK ? es_changeset_circuit(c, &circuit) : rc;
    }

    /* that of 4 does not count, as it is paused */

    for (i = 1; i <= 4; i += 3) {
        stall.endpoint = i;
        rc = rc == ES_OK ? es_changeset_stall(c, &stall) : rc;
    }

    rc = rc == ES_OK ? es_changeset_dead(c, &dead) : rc;
    rc = rc == ES_OK ? es_changeset_heartbeat(c, 1000) : rc;

    for (i = 0; rc == ES_OK && i < retries; i++) {
        retry.sequence = i + 1;
        rc = es_changeset_retry(c, &retry);
    }

    rc = rc == ES_OK ? es_delivery_commit(store, c) : rc;
    es_changeset_destroy(c);

    return rc;
}


/* Four events, of which endpoint 1 has had one, and 3 all; 4 is in an epoch
   that is gone, and 9 is no endpoint. */

static es_rc_t
progress(const char *epoch)
{
    es_rc_t          rc;
    size_t           i;
    es_changeset_t  *c;
    es_progress_t    p = { .feed = 1 };

    static const struct {
        uint32_t  endpoint;
        uint64_t  sequence;
    } all[] = { { 1, 1 }, { 3, 4 }, { 4, 0 }, { 9, 0 } };

    rc = ES_OK;
    c = es_changeset_create();

    for (i = 0; rc == ES_OK && i < sizeof(all) / sizeof(all[0]); i++) {
        p.endpoint = all[i].endpoint;
        p.sequence = all[i].sequence;
        (void) snprintf(p.epoch, sizeof(p.epoch), "%s",
                        p.endpoint == 4 ? "gone" : epoch);
        rc = es_changeset_progress(c, &p);
    }

    rc = rc == ES_OK ? es_delivery_commit(store, c) : rc;
    es_changeset_destroy(c);

    return rc;
}


static void
has(const es_buf_t *out, const char *line)
{
    char  text[256];

    (void) snprintf(text, sizeof(text), "\neventsync_%s\n", line);

    ok(memmem(out->data, out->len, text, strlen(text)) != NULL, "%s", line);
}


static void
has_none(const es_buf_t *out, const char *text)
{
    ok(memmem(out->data, out->len, text, strlen(text)) == NULL, "no %s", text);
}


/* Without a record all are 0; one of another length is passed over. */

static void
test_packing(void)
{
    es_rc_t              rc;
    es_buf_t             out = { 0 };
    es_metrics_t         m = { .store = store };
    es_changeset_t      *c;
    es_exposition_t      e = { .out = &out };
    es_packing_counts_t  counts = { .pages = 7, .before = 6000, .after = 900,
                                    .errors = 2, .pending = 1300 };

    (void) es_metrics_delivery(&m, &e);
    has(&out, "packed_pages_total 0");
    has(&out, "packing_pending_events 0");

    c = es_changeset_create();
    rc = es_changeset_packing(c, &counts);
    rc = rc == ES_OK ? es_delivery_commit(store, c) : rc;
    es_changeset_destroy(c);
    ok(rc == ES_OK, "the dispatcher has packed");

    out.len = 0;
    (void) es_metrics_delivery(&m, &e);
    has(&out, "packed_pages_total 7");
    has(&out, "packed_bytes_total{form=\"plain\"} 6000");
    has(&out, "packed_bytes_total{form=\"packed\"} 900");
    has(&out, "packing_errors_total 2");
    has(&out, "packing_pending_events 1300");

    es_buf_free(&out);
}


static void
test_delivery(void)
{
    es_buf_t         out = { 0 };
    es_metrics_t     m = { .store = store, .now_ms = 3500,
                         .endpoints = 100 };
    es_exposition_t  e = { .out = &out };

    ok(es_metrics_delivery(&m, &e) == ES_OK, "endpoints");
    has(&out, "endpoints{state=\"active\"} 1");
    has(&out, "endpoints{state=\"stalled\"} 1");
    has(&out, "endpoint_state{endpoint=\"ep_aaaaaaaaaaaaaaab\","
        "partner=\"acme\",state=\"stalled\"} 1");
    has(&out, "delivery_stalled{reason=\"event\"} 1");
    has(&out, "delivery_stalled{reason=\"proxy\"} 0");
    has(&out, "delivery_stalled_age_seconds 3.000");
    has(&out, "endpoints{state=\"failing\"} 1");
    has(&out, "endpoints{state=\"stopped\"} 1");
    has(&out, "endpoints{state=\"paused\"} 1");
    has(&out, "endpoints{state=\"disabled\"} 1");
    has(&out, "endpoint_state{endpoint=\"ep_aaaaaaaaaaaaaaac\","
        "partner=\"acme\",state=\"stopped\"} 1");
    has(&out, "endpoint_state{endpoint=\"ep_aaaaaaaaaaaaaaad\","
        "partner=\"acme\",state=\"active\"} 1");
    has(&out, "endpoint_state{endpoint=\"ep_aaaaaaaaaaaaaaaf\","
        "partner=\"acme\",state=\"failing\"} 1");
    has(&out, "delivery_backlog_events 3");
    has(&out, "endpoint_backlog_events{endpoint=\"ep_aaaaaaaaaaaaaaab\","
        "partner=\"acme\"} 3");
    has(&out, "endpoint_backlog_events{endpoint=\"ep_aaaaaaaaaaaaaaae\","
        "partner=\"acme\"} 0");
    has(&out, "delivery_retries 5");
    has(&out, "endpoint_retries{endpoint=\"ep_aaaaaaaaaaaaaaad\","
        "partner=\"acme\"} 5");
    has(&out, "delivery_dead_letters 1");
    has(&out, "endpoint_dead_letters{endpoint=\"ep_aaaaaaaaaaaaaaaf\","
        "partner=\"acme\"} 1");
    has(&out, "dispatcher_heartbeat_age_seconds 2.500");

    out.len = 0;
    m.now_ms = 900;
    m.endpoints = 0;
    ok(es_metrics_delivery(&m, &e) == ES_OK, "without each");
    has(&out, "dispatcher_heartbeat_age_seconds 0.000");
    has_none(&out, "endpoint=");

    ok(record(100001) == ES_OK, "many retries");
    out.len = 0;
    m.endpoints = 100;
    ok(es_metrics_delivery(&m, &e) == ES_OK, "are not walked");
    has(&out, "delivery_retries 100001");
    has(&out, "endpoint_backlog_events{endpoint=\"ep_aaaaaaaaaaaaaaab\","
        "partner=\"acme\"} 3");
    has_none(&out, "endpoint_retries");
    has_none(&out, "endpoint_dead_letters");

    es_buf_free(&out);
}


/* Endpoint 3 has had four attempts, of which one succeeded, 4 two that
   succeeded, and 2 failed long ago. */

static es_rc_t
attempts(int64_t now_ms)
{
    int               i;
    es_rc_t           rc;
    es_changeset_t   *c;
    es_attempt_t      attempt = { .attempt = 1, .feed = 1 };
    es_figures_t      figures[5] = { 0 };

    rc = ES_OK;
    c = es_changeset_create();

    for (i = 0; rc == ES_OK && i < 7; i++) {
        attempt.endpoint = i < 4 ? 3 : i < 6 ? 4 : 2;
        attempt.class = i > 0 && i != 4 && i != 5 ? ES_ATTEMPT_STATUS
                                                  : ES_ATTEMPT_OK;
        rc = es_figures_attempt(&figures[attempt.endpoint], &attempt,
                                now_ms - (i == 6 ? 7200000 : 60000));
    }

    for (i = 2; rc == ES_OK && i < 5; i++) {
        rc = es_changeset_figures(c, (uint32_t) i, &figures[i]);
    }

    rc = rc == ES_OK ? es_delivery_commit(store, c) : rc;
    es_changeset_destroy(c);

    for (i = 2; i < 5; i++) {
        es_figures_free(&figures[i]);
    }

    return rc;
}


/* Six endpoints, and series for four. */

static void
test_worst(const es_feed_t *feed)
{
    size_t           i;
    const char      *at, *end;
    es_buf_t         out = { 0 };
    es_metrics_t     m = { .store = store, .now_ms = feed->last_ms + 5000,
                         .endpoints = 4 };
    es_exposition_t  e = { .out = &out };

    static const char *const  order[] = {
        "ep_aaaaaaaaaaaaaaab", "ep_aaaaaaaaaaaaaaac", "ep_aaaaaaaaaaaaaaaf",
        "ep_aaaaaaaaaaaaaaad", "other"
    };

    ok(attempts(m.now_ms) == ES_OK && es_metrics_delivery(&m, &e) == ES_OK,
       "the worst four of six");
    (void) es_buf_append(&out, "", 1);
    at = strstr(out.data, "\neventsync_endpoint_state{");

    for (i = 0; at != NULL && i < 5; i++) {
        at = strstr(at + 1, "{endpoint=\"");
        ok(at != NULL && strncmp(at + 11, order[i], strlen(order[i])) == 0,
           "%s is number %zu", order[i], i + 1);
        at = i < 4 || at == NULL ? at : strchr(at, '\n') + 1;
    }

    end = "eventsync_endpoint_state{endpoint=\"other\",state=\"paused\"} 1\n# ";
    ok(at != NULL && strncmp(at, end, strlen(end)) == 0, "and no more");
    has(&out, "endpoint_state{endpoint=\"other\",state=\"disabled\"} 1");
    has(&out, "endpoint_hour_attempts{endpoint=\"ep_aaaaaaaaaaaaaaad\","
        "partner=\"acme\"} 4");
    has(&out, "endpoint_hour_success_ratio{endpoint=\"ep_aaaaaaaaaaaaaaad\","
        "partner=\"acme\"} 0.250000");
    has(&out, "endpoint_hour_attempts{endpoint=\"ep_aaaaaaaaaaaaaaac\","
        "partner=\"acme\"} 0");
    has_none(&out, "hour_success_ratio{endpoint=\"ep_aaaaaaaaaaaaaaac\"");
    has(&out, "endpoint_hour_attempts{endpoint=\"other\"} 2");
    has(&out, "endpoint_hour_success_ratio{endpoint=\"other\"} 1.000000");
    has(&out, "endpoint_lag_seconds{endpoint=\"ep_aaaaaaaaaaaaaaab\","
        "partner=\"acme\"} 5.000");
    has(&out, "endpoint_lag_seconds{endpoint=\"ep_aaaaaaaaaaaaaaac\","
        "partner=\"acme\"} 0.000");
    has(&out, "endpoint_lag_seconds{endpoint=\"ep_aaaaaaaaaaaaaaad\","
        "partner=\"acme\"} 5.000");
    has_none(&out, "lag_seconds{endpoint=\"other\"");
    has_none(&out, "ep_aaaaaaaaaaaaaaae");

    out.len = 0;
    m.endpoints = 6;
    ok(es_metrics_delivery(&m, &e) == ES_OK, "series for all");
    has_none(&out, "endpoint=\"other\"");

    out.len = 0;
    m.endpoints = 1;
    ok(es_metrics_delivery(&m, &e) == ES_OK, "series for one");
    has(&out, "endpoint_retries{endpoint=\"other\"} 5");
    has(&out, "endpoint_dead_letters{endpoint=\"other\"} 1");
    has(&out, "endpoint_backlog_events{endpoint=\"other\"} 0");
    has(&out, "endpoint_backlog_events{endpoint=\"ep_aaaaaaaaaaaaaaab\","
        "partner=\"acme\"} 3");

    es_buf_free(&out);
}


/* A certificate that expires soon is worse than failed attempts. */

static void
test_worst_certificate(const es_feed_t *feed)
{
    es_buf_t              out = { 0 };
    es_metrics_t          m = { .store = store, .now_ms = feed->last_ms + 5000,
                                .endpoints = 3 };
    es_registry_t        *registry;
    es_changeset_t       *changes;
    es_exposition_t       e = { .out = &out };
    es_certificates_t     c = { 0 };
    const es_endpoint_t  *endpoint;

    ok(es_metrics_delivery(&m, &e) == ES_OK, "the worst three");
    has_none(&out, "state{endpoint=\"ep_aaaaaaaaaaaaaaad\"");

    ok(es_registry_load(store, &registry) == ES_OK, "the registry");
    endpoint = es_registry_endpoint(registry, es_lit("ep_aaaaaaaaaaaaaaad"));
    c.endpoint = endpoint->number;
    c.revision = endpoint->revision;
    c.expires_ms[ES_CERT_CLIENT] = m.now_ms + 86400000;
    es_registry_free(registry);

    changes = es_changeset_create();
    ok(es_changeset_certificates(changes, &c) == ES_OK
       && es_delivery_commit(store, changes) == ES_OK,
       "a certificate that expires tomorrow");
    es_changeset_destroy(changes);

    out.len = 0;
    ok(es_metrics_delivery(&m, &e) == ES_OK, "moves its endpoint up");
    has(&out, "endpoint_state{endpoint=\"ep_aaaaaaaaaaaaaaad\","
        "partner=\"acme\",state=\"active\"} 1");

    es_buf_free(&out);
}


/* Of the events 0 to 3, with the sequences 1 to 4. */

static void
test_exemplars(const es_feed_t *feed)
{
    es_buf_t          out = { 0 };
    es_cases_t        cases = { 0 };
    es_metrics_t      m = { .store = store, .now_ms = feed->last_ms };
    es_exposition_t   e = { .out = &out, .form = ES_EXPOSITION_OPENMETRICS };
    es_changeset_t   *c;

    cases.classes[ES_ATTEMPT_OK] = (es_case_of_t) {
        feed->last_ms + 1, 2500, 2, feed->number, 3
    };
    cases.classes[ES_ATTEMPT_DNS] = (es_case_of_t) {
        feed->last_ms - 1, 2500, 2, feed->number, 3
    };
    cases.classes[ES_ATTEMPT_TLS] = (es_case_of_t) {
        feed->last_ms + 1, 2500, 5, feed->number, 3
    };
    cases.classes[ES_ATTEMPT_RESET] = (es_case_of_t) {
        feed->last_ms + 1, 2500, 2, 99, 3
    };
    cases.delays[0] = cases.classes[ES_ATTEMPT_OK];

    c = es_changeset_create();
    ok(es_changeset_cases(c, &cases) == ES_OK
       && es_delivery_commit(store, c) == ES_OK
       && es_metrics_delivery(&m, &e) == ES_OK, "exemplars");
    (void) es_buf_append(&out, "", 1);
    ok(strstr(out.data, "{class=\"ok\"} 0 # {webhook_id=\"1\"} 0.002500 ")
       != NULL, "of an attempt");
    ok(strstr(out.data, "latency_seconds_bucket{le=\"0.01\"} 0 # "
                        "{webhook_id=\"1\"} 0.002500 ") != NULL,
       "of a delivery");
    ok(strstr(out.data, "{class=\"dns\"} 0\n") != NULL,
       "an event of a later epoch was not sent then");
    ok(strstr(out.data, "{class=\"tls\"} 0\n") != NULL
       && strstr(out.data, "{class=\"reset\"} 0\n") != NULL,
       "an event or a feed that is gone has none");

    out.len = 0;
    e.form = ES_EXPOSITION_TEXT;
    ok(es_metrics_delivery(&m, &e) == ES_OK, "the text format");
    has_none(&out, "webhook_id");

    es_changeset_destroy(c);
    es_buf_free(&out);
}


static void
test_store(const es_feed_t *feed)
{
    es_buf_t         out = { 0 };
    es_metrics_t     m = { .store = store, .now_ms = feed->last_ms + 42,
                         .endpoints = 0 };
    es_exposition_t  e = { .out = &out };

    ok(es_metrics_store(&m, &e) == ES_OK, "feeds");
    has(&out, "feed_events{feed=\"orders\"} 4");
    has(&out, "feed_last_event_age_seconds{feed=\"orders\"} 0.042");
    has(&out, "feed_events{feed=\"empty\"} 0");
    has(&out, "feed_oldest_sequence{feed=\"empty\"} 1");
    has_none(&out, "age_seconds{feed=\"empty\"}");
    has(&out, "store_readers_max{environment=\"delivery\"} 1022");
    has_none(&out, "environment=\"pages\"");
    has_none(&out, "environment=\"checkpoints\"");

    es_buf_free(&out);
}


static bool
publish(void)
{
    int          i;
    bool         stored;
    char         json[128];
    es_batch_t  *batch;

    batch = es_batch_create(es_str("orders"), NULL);
    stored = true;

    for (i = 0; i < 4; i++) {
        (void) snprintf(json, sizeof(json), "{\"specversion\":\"1.0\",\"id\":"
                        "\"%d\",\"source\":\"/s\",\"type\":\"t\"}", i);
        stored = stored && es_batch_add(batch, json, strlen(json), &problem)
                           == ES_OK;
    }

    es_publish(store, &batch, 1);
    stored = stored && es_batch_rc(batch) == ES_OK;
    es_batch_destroy(batch);

    return stored;
}


int
main(void)
{
    char       command[64];
    es_txn_t  *txn;
    es_feed_t  feed, empty;

    if (mkdtemp(dir) == NULL
        || es_store_create(dir, &problem) != ES_OK
        || es_plain_secrets_begin(dir) != ES_OK
        || es_store_open(dir, ES_STORE_DELIVER | ES_STORE_ADMIN
                              | ES_STORE_PUBLISH, &store, &problem) != ES_OK
        || es_feed_create(store, es_str("orders"), NULL, &feed) != ES_OK
        || es_feed_create(store, es_str("empty"), NULL, &empty) != ES_OK
        || !make_endpoints() || !publish()
        || record(5) != ES_OK || progress(feed.epoch) != ES_OK
        || es_txn_begin(store, &txn) != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    (void) es_feed_get(txn, es_str("orders"), &feed);
    es_txn_end(txn);

    test_store(&feed);
    test_worst(&feed);
    test_worst_certificate(&feed);
    test_exemplars(&feed);
    test_packing();
    test_delivery();

    es_store_close(store);
    (void) snprintf(command, sizeof(command), "rm -rf %s", dir);

    return system(command) != 0 || done();
}
