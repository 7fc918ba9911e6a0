/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "verify-integration": checks a receiver with valid and invalid requests.
 *
 * The requests are those that the dispatcher would send, except for one fault
 * in each invalid one, so that a receiver which passes accepts the dispatcher
 * and refuses an attacker.  Each check expects a class of status only.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "integration.h"
#include "junit.h"
#include "log/store_clock.h"
#include "object.h"
#include "registry/values.h"

#define INTEGRATION_TIMEOUT  "10s"
#define INTEGRATION_TLS_DIR  "/etc/eventsync/tls"

static const ctl_check_t  ctl_checks[] = {
    { "valid", CTL_SIGNED, CTL_BODY_EVENT, 2, NULL },
    { "repeated", CTL_SIGNED, CTL_BODY_AGAIN, 2, "repeated" },
    { "wrong-signature", CTL_SIGNED_BY_OTHER, CTL_BODY_EVENT, 4,
      "verifies-nothing" },
    { "no-signature", CTL_SIGNED_NOT, CTL_BODY_EVENT, 4, "unsigned" },
    { "tampered-body", CTL_SIGNED_TAMPERED, CTL_BODY_EVENT, 4, "tampered" },
    { "old-timestamp", CTL_SIGNED_OLD, CTL_BODY_EVENT, 4, "timestamp" },
    { "future-timestamp", CTL_SIGNED_FUTURE, CTL_BODY_EVENT, 4, "timestamp" },
    { "several-signatures", CTL_SIGNED_SEVERAL, CTL_BODY_EVENT, 2,
      "several-signatures" },
    { "spelling", CTL_SIGNED, CTL_BODY_SPELLING, 2, "rewrites-json" },
    { "characters", CTL_SIGNED, CTL_BODY_CHARACTERS, 2, "decodes-body" },
    { "line-end", CTL_SIGNED, CTL_BODY_LINE_END, 2, "trims-body" },
    { "unknown-type", CTL_SIGNED, CTL_BODY_UNKNOWN_TYPE, 2, "unknown-type" },
    { "unknown-attributes", CTL_SIGNED, CTL_BODY_EXTENSIONS, 2,
      "unknown-attributes" },
    { "large", CTL_SIGNED, CTL_BODY_LARGE, 2, "large" },
    { "thin", CTL_SIGNED, CTL_BODY_THIN, 2, "thin" },
    { "batch", CTL_SIGNED, CTL_BODY_BATCH, 2, "batch" },
    { "no-data", CTL_SIGNED, CTL_BODY_NO_DATA, 2, "no-data" },
    { "agreement", CTL_SIGNED, CTL_BODY_CHALLENGE, 2, "agreement" },
    { NULL, CTL_SIGNED, CTL_BODY_EVENT, 0, NULL }
};


static void
ctl_integration_print(ctl_integration_t *in, const ctl_check_t *check,
    const ctl_trial_t *trial, bool passes, const es_hint_t *hint)
{
    char  expected[4];

    in->failed += !passes;

    (void) snprintf(expected, sizeof(expected), "%uxx", check->expected);

    if (!in->json) {
        (void) printf("%s %-18s expected %s, came %s\n",
                      passes ? "pass" : "FAIL", check->name, expected,
                      trial->came);
        (void) fflush(stdout);
    }

    (void) json_array_append_new(in->checks,
        json_pack("{s:s, s:b, s:s, s:s, s:I, s:s, s:s*}", "check",
                  check->name, "pass", passes, "expected", expected, "came",
                  trial->came, "took_ms", (json_int_t) trial->took_ms, "id",
                  trial->id, "cause", hint ? hint->cause : NULL));
}


static int
ctl_integration_check(ctl_integration_t *in, const ctl_check_t *check)
{
    bool              passes;
    es_rc_t           rc;
    ctl_trial_t       trial = { 0 };
    const es_hint_t  *hint;

    rc = ctl_integration_compose(in, check, &trial);

    if (rc == ES_OK) {
        if (check->body == CTL_BODY_CHALLENGE) {
            ctl_integration_agrees(in, &trial);
        } else {
            ctl_integration_send(in, &trial);
        }

        rc = ctl_integration_diagnose(in, check, &trial, &passes, &hint);
    }

    if (rc == ES_OK) {
        (void) ctl_printable(trial.came);
        ctl_integration_print(in, check, &trial, passes, hint);
    }

    ctl_integration_release(&trial);

    return rc == ES_OK ? CTL_OK : ctl_fail(CTL_FAILED, "%s", es_reason(rc));
}


static void
ctl_integration_hints(const ctl_integration_t *in)
{
    unsigned            i;
    const ctl_found_t  *found;

    for (i = 0; i < in->nfound; i++) {
        found = &in->found[i];

        (void) printf("hint %s (%s", found->hint->cause, found->check);

        if (found->more > 0) {
            (void) printf(" and %u more", found->more);
        }

        (void) printf("): %s\n", found->hint->text);
    }
}


static json_t *
ctl_integration_hints_json(const ctl_integration_t *in)
{
    json_t    *list;
    unsigned   i;

    list = json_array();

    for (i = 0; i < in->nfound; i++) {
        (void) json_array_append_new(list,
            json_pack("{s:s, s:s}", "cause", in->found[i].hint->cause, "hint",
                      in->found[i].hint->text));
    }

    return list;
}


/* Prints the totals and returns the exit status. */

static int
ctl_integration_sum(ctl_integration_t *in, unsigned n)
{
    int      rc;
    json_t  *whole;

    whole = json_pack("{s:s, s:b, s:i, s:i, s:I, s:o, s:O}", "url", in->url,
                      "pass", in->failed == 0, "checks_passed",
                      (int) (n - in->failed), "checks_failed",
                      (int) in->failed, "slowest_ms",
                      (json_int_t) in->slowest_ms, "hints",
                      ctl_integration_hints_json(in), "checks", in->checks);

    if (in->json) {
        ctl_print(whole);

    } else {
        (void) printf("%u of %u passed, the slowest took %" PRId64 " ms\n",
                      n - in->failed, n, in->slowest_ms);
        ctl_integration_hints(in);
    }

    rc = ctl_junit_write(in->junit, "verify-integration", whole);
    json_decref(whole);

    return rc != CTL_OK || in->failed == 0
           ? rc : ctl_fail(CTL_FAILED, "%u of %u checks failed", in->failed, n);
}


static int
ctl_integration_run(ctl_integration_t *in, es_str_t secret)
{
    int                 rc;
    char                other[ES_SECRET_TEXT_MAX];
    es_rc_t             es;
    unsigned            n;
    const ctl_check_t  *check;

    in->secret = secret;

    if (es_signer_create(secret, &in->signer) != ES_OK) {
        return ctl_fail(CTL_USAGE, "\"--secret\" is not a whsec_ or whsk_ "
                        "secret");
    }

    es = strncmp(secret.data, "whsk_", 5) == 0 ? es_secret_create_pair(other)
                                               : es_secret_create(other);
    if (es == ES_OK) {
        es = es_signer_create(es_str(other), &in->other);
    }

    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "%s", es_reason(es));
    }

    rc = ctl_http_open(&in->http, "url", in->url, NULL);
    if (rc == CTL_OK) {
        rc = ctl_integration_identity(in);
    }

    n = 0;

    for (check = ctl_checks; rc == CTL_OK && check->name != NULL; check++) {
        if ((check->body == CTL_BODY_THIN && !in->thin)
            || (check->body == CTL_BODY_BATCH && !in->batch)
            || (check->body == CTL_BODY_NO_DATA && in->form < ES_BODY_BINARY)
            || (check->body == CTL_BODY_CHALLENGE && in->sender == NULL))
        {
            continue;
        }

        rc = ctl_integration_check(in, check);
        n++;
    }

    return rc == CTL_OK ? ctl_integration_sum(in, n) : rc;
}


/* An option that names a form goes before the record. */

static void
ctl_integration_forms(ctl_integration_t *in, const es_endpoint_t *endpoint)
{
    if (in->form >= ES_BODY_BINARY) {
        return;
    }

    if (endpoint->body >= ES_BODY_BINARY && !in->thin && !in->batch
        && !in->cloudevents)
    {
        in->form = endpoint->body;
        return;
    }

    in->thin |= endpoint->body == ES_BODY_THIN;
    in->batch |= endpoint->batch > 1;
    in->cloudevents |= endpoint->cloudevents;
}


/* Uses what the dispatcher would use for the endpoint: its URL, its header
   fields, its certificates, the body formats of its record, and a secret that
   signs now. */

static int
ctl_integration_endpoint(ctl_integration_t *in, ctl_t *ctl, const char *name)
{
    int                   rc;
    es_rc_t               es;
    unsigned              i;
    es_registry_t        *registry;
    const es_endpoint_t  *endpoint;

    rc = ctl_open(ctl, 0);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_registry_load(ctl->store, &registry);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot read the registry: %s",
                        es_reason(es));
    }

    endpoint = ctl_endpoint_named(registry, name);

    for (i = 0; endpoint != NULL && i < endpoint->nsecrets; i++) {
        if (endpoint->secret_expires_ms[i] == 0
            || endpoint->secret_expires_ms[i] > es_store_due_ms(ctl->store))
        {
            break;
        }
    }

    if (endpoint == NULL) {
        rc = CTL_FAILED;

    } else if (endpoint->locked != ES_OK || i == endpoint->nsecrets) {
        rc = ctl_fail(CTL_FAILED, "endpoint \"%s\" has no usable secret", name);

    } else {
        in->endpoint = endpoint;
        in->url = endpoint->url.data;
        in->headers = endpoint->headers;
        ctl_integration_forms(in, endpoint);
        rc = ctl_integration_run(in, endpoint->secrets[i]);
    }

    es_registry_free(registry);

    return rc;
}


/* `name` is that of the endpoint, or there are a URL and a secret. */

static int
ctl_integration_verify(ctl_integration_t *in, ctl_t *ctl, const char *name,
    const char *secret)
{
    int  rc;

    in->json = ctl->json;
    in->checks = json_array();

    rc = secret != NULL ? ctl_integration_run(in, es_str(secret))
                        : ctl_integration_endpoint(in, ctl, name);

    json_decref(in->checks);
    ctl_http_close(&in->http);
    es_signer_destroy(in->other);
    es_signer_destroy(in->signer);

    return rc;
}


int
ctl_verify_integration(ctl_t *ctl, int argc, char **argv)
{
    int                rc;
    const char        *secret = NULL, *thin = NULL, *batch = NULL;
    const char        *cloudevents = NULL, *binary = NULL, *data = NULL;
    const char        *timeout = INTEGRATION_TIMEOUT;
    ctl_integration_t  in = { 0 };

    const ctl_option_t  options[] = {
        { "url", &in.url },
        { "secret", &secret },
        { "timeout", &timeout },
        { "thin", &thin },
        { "batch", &batch },
        { "agreement", &in.sender },
        { "cloudevents", &cloudevents },
        { "binary", &binary },
        { "data-only", &data },
        { "ca-file", &in.ca_file },
        { "tls-dir", &in.tls_dir },
        { "junit", &in.junit },
        { NULL, NULL }
    };

    in.tls_dir = INTEGRATION_TLS_DIR;

    rc = ctl_args(ctl, &argc, argv, options);
    if (rc != CTL_OK) {
        return rc;
    }

    if (argc == 1 ? in.url || secret : !in.url || !secret) {
        return ctl_fail(CTL_USAGE, "either ENDPOINT or both \"--url\" and "
                        "\"--secret\" must be given");
    }

    if (es_duration_parse(es_str(timeout), &in.timeout_ms) != ES_OK
        || in.timeout_ms == 0)
    {
        return ctl_fail(CTL_USAGE, "\"--timeout=%s\" is not a duration",
                        timeout);
    }

    if ((binary && data)
        || ((binary || data) && (thin || batch || cloudevents)))
    {
        return ctl_fail(CTL_USAGE, "\"--binary\" and \"--data-only\" exclude "
                        "each other, \"--thin\", \"--batch\" and "
                        "\"--cloudevents\"");
    }

    in.form = binary ? ES_BODY_BINARY : data ? ES_BODY_DATA : ES_BODY_WHOLE;
    in.thin = thin != NULL;
    in.batch = batch != NULL;
    in.cloudevents = cloudevents != NULL;

    rc = ctl_junit_begin(in.junit);

    return rc == CTL_OK
           ? ctl_integration_verify(&in, ctl, argc == 1 ? argv[0] : NULL,
                                    secret) : rc;
}
