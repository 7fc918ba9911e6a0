/* SPDX-License-Identifier: BSD-2-Clause */

/* Standard Webhooks signatures: the published vectors, and refused ones. */

#include "keys/signature.h"
#include "tap.h"

static const char  *const  ed25519_secret =
    "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJ"
    "p4AJ6p9lMicMFs6Kvg==";


static void
vector(const char *id, int64_t timestamp, const char *body,
    const char *secret, const char *expected)
{
    char          out[ES_SIGNATURE_MAX], header[512], digits[24];
    es_str_t      parts[3];
    es_signer_t  *signer;

    if (!ok(es_signer_create(es_str(secret), &signer) == ES_OK,
            "the secret of %s is taken", id))
    {
        return;
    }

    parts[0] = es_str(body);
    (void) es_sign(signer, es_str(id), timestamp, parts, 1, out);
    is_str(es_str(out), expected, "the published signature");
    (void) es_sign(signer, es_str(id), timestamp, parts, 1, out);
    is_str(es_str(out), expected, "and again with the same signer");

    parts[0] = (es_str_t) { body, 5 };
    parts[1] = es_lit("");
    parts[2] = es_str(body + 5);
    (void) es_sign(signer, es_str(id), timestamp, parts, 3, out);
    is_str(es_str(out), expected, "and of a body in parts");

    (void) snprintf(digits, sizeof(digits), "%lld", (long long) timestamp);

    ok(es_signature_verify(signer, es_str(out), es_str(id), es_str(digits),
                           es_str(body)), "it verifies");
    (void) snprintf(header, sizeof(header), "v1,xxxx v1a,yyyy %s v2,z",
                    expected);
    ok(es_signature_verify(signer, es_str(header), es_str(id), es_str(digits),
                           es_str(body)), "among others too");
    ok(!es_signature_verify(signer, es_str(out), es_lit("msg_other"),
                            es_str(digits), es_str(body)),
       "not with another id");
    ok(!es_signature_verify(signer, es_str(out), es_str(id), es_lit("1"),
                            es_str(body)), "not with another time");
    ok(!es_signature_verify(signer, es_str(out), es_str(id), es_str(digits),
                            es_lit("{}")), "not with another body");
    ok(!es_signature_verify(signer, es_lit(""), es_str(id), es_str(digits),
                            es_str(body)), "not without a token");
    ok(!es_signature_verify(signer, es_lit("v1, v1a, , v1"), es_str(id),
                            es_str(digits), es_str(body)),
       "not with malformed tokens");
    out[strlen(out) - 1] = '\0';
    ok(!es_signature_verify(signer, es_str(out), es_str(id), es_str(digits),
                            es_str(body)), "not when it is cut");

    es_signer_destroy(signer);
}


static void
refused(const char *secret, const char *why)
{
    es_signer_t  *signer;

    ok(es_signer_create(es_str(secret), &signer) == ES_INVALID,
       "a secret is refused: %s", why);
}


/* A secret of so many zero bytes. */

static void
secret_of(size_t bytes, es_rc_t expected)
{
    char          text[ES_SECRET_TEXT_MAX + 8];
    size_t        len;
    es_signer_t  *signer;

    len = (bytes + 2) / 3 * 4;
    memcpy(text, "whsec_", 6);
    memset(text + 6, 'A', len);
    memset(text + 6 + len - (3 - bytes % 3) % 3, '=', (3 - bytes % 3) % 3);

    signer = NULL;
    ok(es_signer_create((es_str_t) { text, len + 6 }, &signer) == expected,
       "a secret of %zu bytes is %s", bytes,
       expected == ES_OK ? "taken" : "refused");
    es_signer_destroy(signer);
}


int
main(void)
{
    char          secret[ES_SECRET_TEXT_MAX], other[ES_SECRET_TEXT_MAX];
    char          token[ES_SIGNATURE_MAX];
    es_signer_t  *signer;

    vector("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
           "{\"test\": 2432232314}", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
           "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    vector("msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", 1649367553,
           "{\"email\":\"test@example.com\",\"username\":\"test_user\"}",
           "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
           "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");
    vector("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
           "{\"test\": 2432232314}", ed25519_secret,
           "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7"
           "AZdpXwVLPo3mNl8EM+m7TBAg==");

    refused("", "empty");
    refused("whsec_", "nothing after the prefix");
    refused("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "no prefix");
    refused("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==", "22 bytes");
    refused("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", "not whole base64");
    refused("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa$w", "not base64");
    refused("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=",
            "ed25519 without the public half");
    refused("whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX"
            "0dRqSKJp4AJ6p9lMicMFs6Kvw==", "halves that do not belong");

    secret_of(23, ES_INVALID);
    secret_of(24, ES_OK);
    secret_of(64, ES_OK);
    secret_of(65, ES_INVALID);
    secret_of(66, ES_INVALID);
    secret_of(90, ES_INVALID);

    is_int(es_secret_create(secret), ES_OK, "a secret is made");
    is_int(es_secret_create(other), ES_OK, "and another");
    ok(strcmp(secret, other) != 0, "not the same");
    is_int(es_signer_create(es_str(secret), &signer), ES_OK,
           "and it makes a signer");
    ok(!es_signer_is_v1a(signer), "of v1");
    ok(es_signer_hold(signer) == signer, "for two owners");
    es_signer_destroy(signer);
    ok(es_sign(signer, es_str("a"), 1, NULL, 0, token) == ES_OK,
       "it signs when one has destroyed it");
    es_signer_destroy(signer);
    es_signer_destroy(NULL);

    is_int(es_signer_create(es_str(ed25519_secret), &signer), ES_OK, "a pair");
    ok(es_signer_is_v1a(signer), "is of v1a");
    is_int(es_sign(signer, es_str("a"), 1, NULL, 0, token), ES_OK, "signs");
    is_int(strlen(token), ES_SIGNATURE_V1A, "as many bytes as it says");
    es_signer_destroy(signer);

    return done();
}
