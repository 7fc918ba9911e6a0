/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Composes the requests of "verify-integration": event, signature, header
 * fields.
 */

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "event/binary_mode.h"
#include "integration.h"
#include "keys/signature.h"

#define INTEGRATION_SKEW_S     600     /* twice what receivers tolerate */
#define INTEGRATION_LARGE      (200 * 1024)

/* Members that most programs write differently than they were. */
#define INTEGRATION_SPELLING                                                  \
    ",\"large\":12345678901234567890,\"one\":1.0,\"power\":1e2,"              \
    "\"letter\":\"\\u0041\",\"slash\":\"\\/\","                              \
    "\"names\":{\"10\":1,\"9\":2},\"blanks\": [ 1, 2 ]"

#define INTEGRATION_CHARACTERS                                                \
    ",\"text\":\"\xc5\xbelu\xc5\xa5 \xf0\x9f\x90\x8e \xe2\x80\xa8\""


/* Has the form of a test event of the dispatcher, which belongs to no feed and
   therefore has no sequence. */

static es_rc_t
ctl_integration_event(es_buf_t *buf, const ctl_check_t *check,
    const char *id, unsigned number)
{
    bool     empty;
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

    empty = check->body == CTL_BODY_THIN || check->body == CTL_BODY_NO_DATA;

    if (rc == ES_OK && !empty) {
        rc = es_buf_printf(buf, ",\"datacontenttype\":\"application/json\","
                           "\"data\":{\"check\":\"%s\"", check->name);
    }

    if (rc == ES_OK && check->body == CTL_BODY_SPELLING) {
        rc = es_buf_str(buf, es_lit(INTEGRATION_SPELLING));

    } else if (rc == ES_OK && check->body == CTL_BODY_CHARACTERS) {
        rc = es_buf_str(buf, es_lit(INTEGRATION_CHARACTERS));

    } else if (rc == ES_OK && check->body == CTL_BODY_CHALLENGE) {
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
        rc = es_buf_printf(buf, empty ? "}" : "}}");
    }

    return rc;
}


/* Writes the body as other programs would, which parse it and write it
   again. */

static es_rc_t
ctl_integration_rewrite(const ctl_check_t *check, es_buf_t *body)
{
    char    *text;
    size_t   flags;
    json_t  *event;
    es_rc_t  rc;

    flags = check->body == CTL_BODY_SPACED ? 0
            : check->body == CTL_BODY_SORTED ? JSON_COMPACT | JSON_SORT_KEYS
            : JSON_COMPACT | JSON_ESCAPE_SLASH;

    event = json_loadb(body->data, body->len, 0, NULL);
    text = event ? json_dumps(event, flags) : NULL;
    json_decref(event);

    if (text == NULL) {
        return ES_NOMEM;
    }

    body->len = 0;
    rc = es_buf_str(body, es_str(text));
    free(text);

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


/* Signs with the text of the secret as the key.  ES_INVALID: the key would be
   too long. */

static es_rc_t
ctl_integration_text(const ctl_integration_t *in, const ctl_check_t *check,
    const ctl_trial_t *trial, char out[ES_SIGNATURE_MAX])
{
    char          secret[ES_SECRET_TEXT_MAX];
    size_t        skip;
    es_rc_t       rc;
    es_str_t      body = { trial->body.data, trial->body.len };
    es_signer_t  *signer;

    skip = check->how == CTL_SIGNED_ENCODED ? sizeof("whsec_") - 1 : 0;

    if (in->secret.len > 64 + skip || in->secret.len < skip) {
        return ES_INVALID;
    }

    (void) snprintf(secret, sizeof(secret), "whsec_");
    (void) EVP_EncodeBlock((unsigned char *) secret + sizeof("whsec_") - 1,
                           (const unsigned char *) in->secret.data + skip,
                           (int) (in->secret.len - skip));

    rc = es_signer_create(es_str(secret), &signer);

    if (rc == ES_OK) {
        rc = es_sign(signer, es_str(trial->id), trial->timestamp_s, &body, 1,
                     out);
        es_signer_destroy(signer);
    }

    return rc;
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

    if (rc == ES_OK && check->how >= CTL_SIGNED_TEXT) {
        rc = ctl_integration_text(in, check, trial, right);
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


es_rc_t
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


/* Adds header fields, each of which begins with CR LF. */

static es_rc_t
ctl_integration_lines(ctl_trial_t *trial, es_str_t headers)
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


/* Takes the event apart, as the dispatcher does. */

static es_rc_t
ctl_integration_split(const ctl_integration_t *in, ctl_trial_t *trial)
{
    es_rc_t   rc;
    es_buf_t  data = { 0 }, attrs = { 0 };

    rc = es_binary_mode((es_str_t) { trial->body.data, trial->body.len },
                        es_null_str, &trial->type,
                        in->form == ES_BODY_BINARY ? &attrs : NULL, &data);

    if (rc == ES_OK && attrs.len > 0) {
        rc = es_buf_str(&trial->attrs, es_lit("\r\n"));
    }

    if (rc == ES_OK) {
        rc = es_buf_append(&trial->attrs, attrs.data, attrs.len);
    }

    es_buf_free(&attrs);
    es_buf_free(&trial->body);
    trial->body = data;

    return rc;
}


static es_rc_t
ctl_integration_type(const ctl_integration_t *in, const ctl_check_t *check,
    ctl_trial_t *trial)
{
    if (in->form < ES_BODY_BINARY) {
        return ctl_integration_field(trial, "Content-Type: application/",
                                     !in->cloudevents ? es_lit("json")
                                     : check->body == CTL_BODY_BATCH
                                     ? es_lit("cloudevents-batch+json")
                                     : es_lit("cloudevents+json"));
    }

    return ctl_integration_field(trial, "", trial->type.len > 0
                                 ? (es_str_t) { trial->type.data,
                                                trial->type.len }
                                 : es_lit("Content-Type:"));
}


static es_rc_t
ctl_integration_fields(const ctl_integration_t *in, const ctl_check_t *check,
    ctl_trial_t *trial)
{
    char     timestamp[24];
    es_rc_t  rc;

    (void) snprintf(timestamp, sizeof(timestamp), "%" PRId64,
                    trial->timestamp_s);

    rc = ctl_integration_type(in, check, trial);

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

    if (rc == ES_OK) {
        rc = ctl_integration_lines(trial, (es_str_t) { trial->attrs.data,
                                                       trial->attrs.len });
    }

    return rc == ES_OK ? ctl_integration_lines(trial, in->headers) : rc;
}


es_rc_t
ctl_integration_compose(ctl_integration_t *in, const ctl_check_t *check,
    ctl_trial_t *trial)
{
    es_rc_t  rc;

    rc = ctl_integration_body(in, check, trial);

    if (rc == ES_OK && in->form >= ES_BODY_BINARY) {
        rc = ctl_integration_split(in, trial);
    }

    if (rc == ES_OK && check->body >= CTL_BODY_SPACED) {
        rc = ctl_integration_rewrite(check, &trial->body);
    }

    if (rc == ES_OK && check->body == CTL_BODY_LINE_END) {
        rc = es_buf_printf(&trial->body, "\n");
    }

    if (rc == ES_OK) {
        rc = ctl_integration_sign(in, check, trial);
    }

    return rc == ES_OK ? ctl_integration_fields(in, check, trial) : rc;
}


void
ctl_integration_release(ctl_trial_t *trial)
{
    curl_slist_free_all(trial->fields);
    es_buf_free(&trial->body);
    es_buf_free(&trial->type);
    es_buf_free(&trial->attrs);
}
