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
#include <strings.h>

#include "base/clock.h"
#include "base/random.h"
#include "delivery/verification.h"
#include "http.h"
#include "keys/signature.h"
#include "log/store_clock.h"
#include "object.h"
#include "registry/values.h"

#define INTEGRATION_TIMEOUT    "10s"
#define INTEGRATION_SKEW_S     600     /* twice what receivers tolerate */
#define INTEGRATION_LARGE      (200 * 1024)
#define INTEGRATION_ID_RANDOM  16
#define INTEGRATION_ID         (sizeof("test-") + INTEGRATION_ID_RANDOM)

/* The fault of the request's signature, if any. */
typedef enum {
    CTL_SIGNED = 0,
    CTL_SIGNED_BY_OTHER,
    CTL_SIGNED_NOT,
    CTL_SIGNED_TAMPERED,
    CTL_SIGNED_OLD,
    CTL_SIGNED_FUTURE,
    CTL_SIGNED_SEVERAL
} ctl_signed_t;

typedef enum {
    CTL_BODY_EVENT = 0,
    CTL_BODY_AGAIN,                    /* the first one, with the same id */
    CTL_BODY_UNKNOWN_TYPE,
    CTL_BODY_EXTENSIONS,
    CTL_BODY_LARGE,
    CTL_BODY_THIN,
    CTL_BODY_BATCH,
    CTL_BODY_CHALLENGE
} ctl_body_t;

typedef struct {
    const char    *name;
    ctl_signed_t   how;
    ctl_body_t     body;
    unsigned       expected;           /* the first digit of the status */
} ctl_check_t;

typedef struct {
    ctl_http_t           http;
    es_signer_t         *signer;
    es_signer_t         *other;        /* its key is unknown to the receiver */
    const char          *url;
    es_str_t             headers;      /* of the record, each after CR LF */
    uint32_t             timeout_ms;
    bool                 thin;
    bool                 batch;
    const char          *sender;       /* that must be allowed, or NULL */
    char                 allowed[ES_SENDER_MAX];   /* by the last answer */
    bool                 cloudevents;  /* the content type of CloudEvents */
    char                 first[INTEGRATION_ID];
    int64_t              slowest_ms;
    unsigned             failed;
    json_t              *report;       /* NULL: text */
} ctl_integration_t;

/* One request and its answer. */
typedef struct {
    char                id[INTEGRATION_ID];
    int64_t             timestamp_s;
    es_buf_t            body;
    char                signature[3 * ES_SIGNATURE_MAX];
    struct curl_slist  *fields;
    long                status;
    int64_t             took_ms;
    char                came[CURL_ERROR_SIZE + 40];
} ctl_trial_t;

static const ctl_check_t  ctl_checks[] = {
    { "valid", CTL_SIGNED, CTL_BODY_EVENT, 2 },
    { "repeated", CTL_SIGNED, CTL_BODY_AGAIN, 2 },
    { "wrong-signature", CTL_SIGNED_BY_OTHER, CTL_BODY_EVENT, 4 },
    { "no-signature", CTL_SIGNED_NOT, CTL_BODY_EVENT, 4 },
    { "tampered-body", CTL_SIGNED_TAMPERED, CTL_BODY_EVENT, 4 },
    { "old-timestamp", CTL_SIGNED_OLD, CTL_BODY_EVENT, 4 },
    { "future-timestamp", CTL_SIGNED_FUTURE, CTL_BODY_EVENT, 4 },
    { "several-signatures", CTL_SIGNED_SEVERAL, CTL_BODY_EVENT, 2 },
    { "unknown-type", CTL_SIGNED, CTL_BODY_UNKNOWN_TYPE, 2 },
    { "unknown-attributes", CTL_SIGNED, CTL_BODY_EXTENSIONS, 2 },
    { "large", CTL_SIGNED, CTL_BODY_LARGE, 2 },
    { "thin", CTL_SIGNED, CTL_BODY_THIN, 2 },
    { "batch", CTL_SIGNED, CTL_BODY_BATCH, 2 },
    { "agreement", CTL_SIGNED, CTL_BODY_CHALLENGE, 2 },
    { NULL, CTL_SIGNED, CTL_BODY_EVENT, 0 }
};


/* Has the form of a test event of the dispatcher, which belongs to no feed and
   therefore has no sequence. */

static es_rc_t
ctl_integration_event(es_buf_t *buf, const ctl_check_t *check,
    const char *id, unsigned number)
{
    char     at[ES_TIME_LEN];
    size_t   i;
    es_rc_t  rc;

    es_time_print(es_clock_ms(), at);

    rc = es_buf_printf(buf, "{\"specversion\":\"1.0\",\"id\":\"%s", id);

    if (rc == ES_OK && number > 0) {
        rc = es_buf_printf(buf, "-%u", number);
    }

    if (rc == ES_OK) {
        rc = es_buf_printf(buf, "\",\"source\":\"/eventsync\",\"type\":"
                           "\"eventsync.%s\",\"time\":\"%.*s\"%s",
                           check->body == CTL_BODY_CHALLENGE ? "challenge"
                           : check->body == CTL_BODY_UNKNOWN_TYPE
                             ? "test.unknown" : "test",
                           (int) sizeof(at), at,
                           check->body == CTL_BODY_EXTENSIONS
                           ? ",\"testnote\":\"not known\",\"testcount\":1"
                           : "");
    }

    if (rc == ES_OK && check->body != CTL_BODY_THIN) {
        rc = es_buf_printf(buf, ",\"datacontenttype\":\"application/json\","
                           "\"data\":{\"check\":\"%s\"", check->name);
    }

    if (rc == ES_OK && check->body == CTL_BODY_CHALLENGE) {
        rc = es_buf_printf(buf, ",\"challenge\":\"%s\"",
                           id + sizeof("test-") - 1);
    }

    if (rc == ES_OK && check->body == CTL_BODY_LARGE) {
        rc = es_buf_printf(buf, ",\"filler\":\"");

        for (i = 0; rc == ES_OK && i < INTEGRATION_LARGE / 16; i++) {
            rc = es_buf_str(buf, es_lit("0123456789abcdef"));
        }

        if (rc == ES_OK) {
            rc = es_buf_printf(buf, "\"");
        }
    }

    if (rc == ES_OK) {
        rc = es_buf_printf(buf, check->body == CTL_BODY_THIN ? "}" : "}}");
    }

    return rc;
}


static es_rc_t
ctl_integration_body(ctl_integration_t *in, const ctl_check_t *check,
    ctl_trial_t *trial)
{
    es_rc_t  rc;

    (void) snprintf(trial->id, sizeof(trial->id), "test-");

    rc = es_random_base32(trial->id + 5, INTEGRATION_ID_RANDOM);
    if (rc != ES_OK) {
        return rc;
    }

    trial->id[5 + INTEGRATION_ID_RANDOM] = '\0';

    if (check->body == CTL_BODY_AGAIN) {
        memcpy(trial->id, in->first, sizeof(trial->id));

    } else if (in->first[0] == '\0') {
        memcpy(in->first, trial->id, sizeof(trial->id));
    }

    if (check->body != CTL_BODY_BATCH) {
        return ctl_integration_event(&trial->body, check, trial->id, 0);
    }

    rc = es_buf_printf(&trial->body, "[");

    if (rc == ES_OK) {
        rc = ctl_integration_event(&trial->body, check, trial->id, 1);
    }

    if (rc == ES_OK) {
        rc = es_buf_printf(&trial->body, ",");
    }

    if (rc == ES_OK) {
        rc = ctl_integration_event(&trial->body, check, trial->id, 2);
    }

    return rc == ES_OK ? es_buf_printf(&trial->body, "]") : rc;
}


static es_rc_t
ctl_integration_sign(ctl_integration_t *in, const ctl_check_t *check,
    ctl_trial_t *trial)
{
    char      wrong[ES_SIGNATURE_MAX], right[ES_SIGNATURE_MAX];
    es_rc_t   rc;
    es_str_t  body;

    trial->timestamp_s = es_clock_ms() / 1000;

    if (check->how == CTL_SIGNED_OLD) {
        trial->timestamp_s -= INTEGRATION_SKEW_S;

    } else if (check->how == CTL_SIGNED_FUTURE) {
        trial->timestamp_s += INTEGRATION_SKEW_S;
    }

    body.data = trial->body.data;
    body.len = trial->body.len;

    rc = es_sign(in->signer, es_str(trial->id), trial->timestamp_s, &body, 1,
                 right);

    if (rc == ES_OK) {
        rc = es_sign(in->other, es_str(trial->id), trial->timestamp_s, &body,
                     1, wrong);
    }

    if (rc != ES_OK) {
        return rc;
    }

    if (check->how == CTL_SIGNED_SEVERAL) {
        (void) snprintf(trial->signature, sizeof(trial->signature), "%s %s",
                        wrong, right);
    } else {
        (void) snprintf(trial->signature, sizeof(trial->signature), "%s",
                        check->how == CTL_SIGNED_BY_OTHER ? wrong : right);
    }

    /* The changed body is still JSON and an event. */

    if (check->how == CTL_SIGNED_TAMPERED) {
        trial->body.data[trial->body.len - 4] ^= 1;
    }

    return ES_OK;
}


static es_rc_t
ctl_integration_field(ctl_trial_t *trial, const char *name, es_str_t value)
{
    char               *line;
    struct curl_slist  *longer;

    if (asprintf(&line, "%s%.*s", name, (int) value.len, value.data) < 0) {
        return ES_NOMEM;
    }

    longer = curl_slist_append(trial->fields, line);
    free(line);

    if (longer == NULL) {
        return ES_NOMEM;
    }

    trial->fields = longer;

    return ES_OK;
}


/* Adds the endpoint's own header fields, each of which begins with CR LF. */

static es_rc_t
ctl_integration_own(ctl_trial_t *trial, es_str_t headers)
{
    es_rc_t      rc;
    es_str_t     line;
    const char  *end;

    for (rc = ES_OK; rc == ES_OK && headers.len > 2;
         headers.data += 2 + line.len, headers.len -= 2 + line.len)
    {
        line.data = headers.data + 2;
        end = memchr(line.data, '\r', headers.len - 2);
        line.len = end ? (size_t) (end - line.data) : headers.len - 2;

        rc = ctl_integration_field(trial, "", line);
    }

    return rc;
}


static es_rc_t
ctl_integration_fields(const ctl_integration_t *in, const ctl_check_t *check,
    ctl_trial_t *trial)
{
    char     timestamp[24];
    es_rc_t  rc;

    (void) snprintf(timestamp, sizeof(timestamp), "%" PRId64,
                    trial->timestamp_s);

    rc = ctl_integration_field(trial, "Content-Type: application/",
                               !in->cloudevents ? es_lit("json")
                               : check->body == CTL_BODY_BATCH
                               ? es_lit("cloudevents-batch+json")
                               : es_lit("cloudevents+json"));

    if (rc == ES_OK) {
        rc = ctl_integration_field(trial, "webhook-id: ", es_str(trial->id));
    }

    if (rc == ES_OK) {
        rc = ctl_integration_field(trial, "webhook-timestamp: ",
                                   es_str(timestamp));
    }

    if (rc == ES_OK && check->how != CTL_SIGNED_NOT) {
        rc = ctl_integration_field(trial, "webhook-signature: ",
                                   es_str(trial->signature));
    }

    if (rc == ES_OK) {
        rc = ctl_integration_field(trial, "Expect:", es_lit(""));
    }

    return rc == ES_OK ? ctl_integration_own(trial, in->headers) : rc;
}


static void
ctl_integration_send(ctl_integration_t *in, ctl_trial_t *trial)
{
    CURL      *curl = in->http.curl;
    int64_t    began_us;
    CURLcode   rc;

    in->http.body.len = 0;

    (void) curl_easy_setopt(curl, CURLOPT_URL, in->url);
    (void) curl_easy_setopt(curl, CURLOPT_HTTPHEADER, trial->fields);
    (void) curl_easy_setopt(curl, CURLOPT_POST, 1L);
    (void) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, trial->body.data);
    (void) curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t) trial->body.len);
    (void) curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long) in->timeout_ms);

    began_us = es_clock_mono_us();
    rc = curl_easy_perform(curl);
    trial->took_ms = (es_clock_mono_us() - began_us) / 1000;

    (void) curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
    (void) curl_easy_setopt(curl, CURLOPT_POSTFIELDS, NULL);

    if (rc == CURLE_OK) {
        (void) curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &trial->status);
        (void) snprintf(trial->came, sizeof(trial->came), "%ld",
                        trial->status);

    } else if (rc == CURLE_OPERATION_TIMEDOUT) {
        (void) snprintf(trial->came, sizeof(trial->came), "no answer in %"
                        PRIu32 " ms", in->timeout_ms);

    } else {
        (void) snprintf(trial->came, sizeof(trial->came), "no answer: %s",
                        curl_easy_strerror(rc));
    }

    if (trial->took_ms > in->slowest_ms) {
        in->slowest_ms = trial->took_ms;
    }
}


static size_t
ctl_integration_head(char *data, size_t size, size_t n, void *ctx)
{
    es_str_t            name = es_lit("webhook-allowed-origin:");
    ctl_integration_t  *in = ctx;

    n *= size;

    if (n > name.len && strncasecmp(data, name.data, name.len) == 0) {
        (void) snprintf(in->allowed, sizeof(in->allowed), "%.*s",
                        (int) (n - name.len), data + name.len);
        in->allowed[strcspn(in->allowed, "\r\n")] = '\0';
        memmove(in->allowed, in->allowed + strspn(in->allowed, " \t"),
                strlen(in->allowed + strspn(in->allowed, " \t")) + 1);
    }

    return n;
}


/* Sends the handshake.  False: the answer says nothing about senders, so that
   the dispatcher would send a challenge. */

static bool
ctl_integration_handshake(ctl_integration_t *in, ctl_trial_t *trial)
{
    char                nothing[] = "";
    bool                allows;
    CURL               *curl = in->http.curl;
    es_buf_t            body;
    struct curl_slist  *fields;

    fields = trial->fields;
    body = trial->body;
    trial->fields = NULL;
    trial->body = (es_buf_t) { .data = nothing };
    in->allowed[0] = '\0';

    if (ctl_integration_field(trial, "WebHook-Request-Origin: ",
                              es_str(in->sender)) == ES_OK)
    {
        (void) curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION,
                                ctl_integration_head);
        (void) curl_easy_setopt(curl, CURLOPT_HEADERDATA, in);
        (void) curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, "OPTIONS");
        ctl_integration_send(in, trial);
        (void) curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, NULL);
        (void) curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, NULL);
        (void) curl_easy_setopt(curl, CURLOPT_HEADERDATA, NULL);
    }

    curl_slist_free_all(trial->fields);
    trial->fields = fields;
    trial->body = body;

    if (in->allowed[0] == '\0') {
        return false;
    }

    allows = strcmp(in->allowed, "*") == 0
             || strcasecmp(in->allowed, in->sender) == 0;

    if (!allows) {
        trial->status = 0;
        (void) snprintf(trial->came, sizeof(trial->came), "only \"%.60s\" is "
                        "allowed", in->allowed);
    }

    return true;
}


/* Checks whether the receiver agrees to be sent events, as the dispatcher
   does: by the handshake, else by a challenge. */

static void
ctl_integration_agrees(ctl_integration_t *in, ctl_trial_t *trial)
{
    json_t      *answer;
    const char  *text;

    if (ctl_integration_handshake(in, trial)) {
        return;
    }

    ctl_integration_send(in, trial);

    answer = json_loadb(in->http.body.data ? in->http.body.data : "",
                        in->http.body.len, 0, NULL);
    text = json_string_value(json_object_get(answer, "challenge"));

    if (trial->status / 100 == 2
        && (text == NULL
            || strcmp(text, trial->id + sizeof("test-") - 1) != 0))
    {
        (void) snprintf(trial->came, sizeof(trial->came), "%ld, without the "
                        "challenge", trial->status);
        trial->status = 0;
    }

    json_decref(answer);
}


static void
ctl_integration_print(ctl_integration_t *in, const ctl_check_t *check,
    const ctl_trial_t *trial)
{
    bool  pass;
    char  expected[4];

    pass = trial->status / 100 == (long) check->expected;
    in->failed += !pass;

    (void) snprintf(expected, sizeof(expected), "%uxx", check->expected);

    if (in->report == NULL) {
        (void) printf("%s %-18s expected %s, came %s\n",
                      pass ? "pass" : "FAIL", check->name, expected,
                      trial->came);
        (void) fflush(stdout);
        return;
    }

    (void) json_array_append_new(in->report,
        json_pack("{s:s, s:b, s:s, s:s, s:I, s:s}", "check", check->name,
                  "pass", pass, "expected", expected, "came", trial->came,
                  "took_ms", (json_int_t) trial->took_ms, "id", trial->id));
}


static int
ctl_integration_check(ctl_integration_t *in, const ctl_check_t *check)
{
    es_rc_t      rc;
    ctl_trial_t  trial = { 0 };

    rc = ctl_integration_body(in, check, &trial);

    if (rc == ES_OK) {
        rc = ctl_integration_sign(in, check, &trial);
    }

    if (rc == ES_OK) {
        rc = ctl_integration_fields(in, check, &trial);
    }

    if (rc == ES_OK) {
        if (check->body == CTL_BODY_CHALLENGE) {
            ctl_integration_agrees(in, &trial);
        } else {
            ctl_integration_send(in, &trial);
        }

        ctl_integration_print(in, check, &trial);
    }

    curl_slist_free_all(trial.fields);
    es_buf_free(&trial.body);

    return rc == ES_OK ? CTL_OK : ctl_fail(CTL_FAILED, "%s", es_reason(rc));
}


/* Prints the totals and returns the exit status. */

static int
ctl_integration_sum(ctl_integration_t *in, unsigned n)
{
    json_t  *whole;

    if (in->report == NULL) {
        (void) printf("%u of %u passed, the slowest took %" PRId64 " ms\n",
                      n - in->failed, n, in->slowest_ms);

    } else {
        whole = json_pack("{s:s, s:b, s:i, s:i, s:I, s:O}", "url", in->url,
                          "pass", in->failed == 0, "checks_passed",
                          (int) (n - in->failed), "checks_failed",
                          (int) in->failed, "slowest_ms",
                          (json_int_t) in->slowest_ms, "checks", in->report);
        ctl_print(whole);
        json_decref(whole);
    }

    return in->failed == 0
           ? CTL_OK : ctl_fail(CTL_FAILED, "%u of %u checks failed",
                               in->failed, n);
}


static int
ctl_integration_run(ctl_integration_t *in, es_str_t secret)
{
    int                 rc;
    char                other[ES_SECRET_TEXT_MAX];
    es_rc_t             es;
    unsigned            n;
    const ctl_check_t  *check;

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
    n = 0;

    for (check = ctl_checks; rc == CTL_OK && check->name != NULL; check++) {
        if ((check->body == CTL_BODY_THIN && !in->thin)
            || (check->body == CTL_BODY_BATCH && !in->batch)
            || (check->body == CTL_BODY_CHALLENGE && in->sender == NULL))
        {
            continue;
        }

        rc = ctl_integration_check(in, check);
        n++;
    }

    return rc == CTL_OK ? ctl_integration_sum(in, n) : rc;
}


/* Uses what the dispatcher would use for the endpoint: its URL, its header
   fields, the body formats of its record, and a secret that signs now. */

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
        in->url = endpoint->url.data;
        in->headers = endpoint->headers;
        in->thin |= endpoint->thin;
        in->batch |= endpoint->batch > 1;
        in->cloudevents |= endpoint->cloudevents;
        rc = ctl_integration_run(in, endpoint->secrets[i]);
    }

    es_registry_free(registry);

    return rc;
}


int
ctl_verify_integration(ctl_t *ctl, int argc, char **argv)
{
    int                rc;
    const char        *secret = NULL, *thin = NULL, *batch = NULL;
    const char        *cloudevents = NULL;
    const char        *json = NULL, *timeout = INTEGRATION_TIMEOUT;
    ctl_integration_t  in = { 0 };

    const ctl_option_t  options[] = {
        { "url", false, &in.url },
        { "secret", false, &secret },
        { "timeout", false, &timeout },
        { "thin", true, &thin },
        { "batch", true, &batch },
        { "agreement", false, &in.sender },
        { "cloudevents", true, &cloudevents },
        { "json", true, &json },
        { NULL, false, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, 0, 1, options);
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

    in.thin = thin != NULL;
    in.batch = batch != NULL;
    in.cloudevents = cloudevents != NULL;
    in.report = json ? json_array() : NULL;

    rc = argc == 1 ? ctl_integration_endpoint(&in, ctl, argv[0])
                   : ctl_integration_run(&in, es_str(secret));

    json_decref(in.report);
    ctl_http_close(&in.http);
    es_signer_destroy(in.other);
    es_signer_destroy(in.signer);

    return rc;
}
