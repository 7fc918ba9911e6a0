/* SPDX-License-Identifier: BSD-2-Clause */

/* Access tokens: valid ones are accepted, and each fault is refused. */

#include <jose/b64.h>
#include <jose/jwk.h>
#include <jose/jws.h>

#include "tap.h"
#include "token/jwt.h"

#define STORE  0x0123456789abcdefULL
#define OTHER  0x0123456789abcdeeULL
#define NOW_S  1795000000
#define NOW    (NOW_S * 1000LL)

#define ISSUER "urn:eventsync:store:0123456789abcdef"
#define HEADER "{\"alg\":\"HS256\",\"kid\":\"h\",\"typ\":\"at+jwt\"}"
#define K      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define HMAC   "{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"h\",\"k\":\"" K "\"}"

static es_jwt_keys_t  *keys;       /* HMAC alone */


/* The JSON of a JWK. */

static char *
generate(const char *alg, const char *kid)
{
    char    *text;
    json_t  *jwk;

    jwk = json_pack("{s:s, s:s}", "alg", alg, "kid", kid);
    text = jose_jwk_gen(NULL, jwk) ? json_dumps(jwk, JSON_COMPACT) : NULL;
    json_decref(jwk);

    return text;
}

#define A40  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define CNF(end)  "{\"x5t#S256\":\"" A40 #end "\"}"


static es_jwt_keys_t *
set_of(const char *one, const char *two)
{
    es_buf_t        text = { NULL, 0, 0 };
    es_problem_t    problem;
    es_jwt_keys_t  *set;

    set = NULL;

    (void) es_buf_printf(&text, "{\"keys\":[%s%s%s]}", one, two ? "," : "",
                         two ? two : "");
    (void) es_jwt_keys_parse((es_str_t) { text.data, text.len }, "keys", &set,
                             &problem);
    es_buf_free(&text);

    return set;
}


static es_rc_t
sign(es_jwt_keys_t *with, es_buf_t *out)
{
    es_str_t  feeds[] = { es_lit("orders-*") };
    es_jwt_t  jwt = {
        .client = "aaaaaaaaaa", .partner = es_lit("acme"),
        .scope = { ES_SCOPE_READ | ES_SCOPE_PUBLISH, { 1, feeds } },
        .issued_s = NOW_S, .expires_s = NOW_S + 900
    };

    return es_jwt_sign(with, STORE, &jwt, out);
}


static bool
believed(es_jwt_keys_t *by, uint64_t store, es_str_t text)
{
    es_rc_t   rc;
    es_jwt_t  jwt;

    rc = es_jwt_verify(by, store, text, NOW, &jwt);

    if (rc == ES_OK) {
        es_jwt_free(&jwt);
    }

    return rc == ES_OK;
}


static void
append64(es_buf_t *out, const char *data, size_t len)
{
    json_t  *text;

    text = jose_b64_enc(data, len);
    (void) es_buf_str(out, es_str(json_string_value(text)));
    json_decref(text);
}


/* A token with the header and claims as they stand here, signed by HMAC. */

static void
forge(const char *header, const char *claims, es_buf_t *out)
{
    json_t  *jwk, *jws, *sig;

    jwk = json_loads(HMAC, 0, NULL);
    jws = json_pack("{s:o}", "payload", jose_b64_enc(claims, strlen(claims)));
    sig = json_pack("{s:o}", "protected",
                    jose_b64_enc(header, strlen(header)));

    (void) jose_jws_sig(NULL, jws, sig, jwk);

    (void) es_buf_printf(out, "%s.%s.%s",
                         json_string_value(json_object_get(jws, "protected")),
                         json_string_value(json_object_get(jws, "payload")),
                         json_string_value(json_object_get(jws,
                                                           "signature")));
    json_decref(sig);
    json_decref(jws);
    json_decref(jwk);
}


static bool
forged(const char *header, const char *claims)
{
    bool      good;
    es_buf_t  text = { NULL, 0, 0 };

    forge(header, claims, &text);
    good = believed(keys, STORE, (es_str_t) { text.data, text.len });
    es_buf_free(&text);

    return good;
}


/* Claims with one member as it is given, instead of what it is to be. */

static bool
claims_with(const char *name, const char *value)
{
    char      *text;
    bool       good;
    json_t    *claims;
    es_jwt_t   jwt;

    claims = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s}",
                       "iss", ISSUER, "aud", ISSUER, "sub", "acme",
                       "client_id", "aaaaaaaaaa", "scope", "read",
                       "iat", (json_int_t) NOW_S,
                       "exp", (json_int_t) NOW_S + 900, "jti", "x");

    if (name != NULL && value == NULL) {
        (void) json_object_del(claims, name);

    } else if (name != NULL) {
        (void) json_object_set_new(claims, name, json_loads(value,
                                                 JSON_DECODE_ANY, NULL));
    }

    text = json_dumps(claims, JSON_COMPACT);
    good = es_jwt_claims(es_str(text), STORE, NOW, &jwt) == ES_OK;

    if (good) {
        es_jwt_free(&jwt);
    }

    ok(forged(HEADER, text) == good, "the same of a token");

    free(text);
    json_decref(claims);

    return good;
}


static void
whole(const char *alg)
{
    char           *one, *two;
    es_buf_t        text = { NULL, 0, 0 };
    es_jwt_t        jwt;
    es_jwt_keys_t  *first, *both, *second;

    one = generate(alg, "one");
    two = generate(alg, "two");
    first = set_of(one, NULL);
    second = set_of(two, NULL);
    both = set_of(two, one);

    is_int(sign(first, &text), ES_OK, alg);
    is_int(es_jwt_verify(first, STORE, (es_str_t) { text.data, text.len },
                         NOW, &jwt), ES_OK, "it is verified");
    is_str(es_str(jwt.client), "aaaaaaaaaa", "its key");
    is_str(jwt.partner, "acme", "its partner");
    is_int(jwt.scope.scopes, ES_SCOPE_READ | ES_SCOPE_PUBLISH, "its scopes");
    is_str(jwt.scope.feeds.list[0], "orders-*", "its feeds");
    is_int(jwt.issued_s, NOW_S, "since when");
    ok(!es_jwt_expired(&jwt, NOW + 899999) && es_jwt_expired(&jwt,
       NOW + 900000), "until when");
    es_jwt_free(&jwt);

    ok(believed(both, STORE, (es_str_t) { text.data, text.len }),
       "a key that no longer signs");
    ok(!believed(second, STORE, (es_str_t) { text.data, text.len }),
       "a key that is gone");
    ok(!believed(first, OTHER, (es_str_t) { text.data, text.len }),
       "another store");

    es_buf_free(&text);
    es_jwt_keys_free(first);
    es_jwt_keys_free(second);
    es_jwt_keys_free(both);
    free(one);
    free(two);
}


/* Not one byte can be another. */

static void
changed(void)
{
    int       found;
    char      c, last;
    size_t    i;
    es_buf_t  text = { NULL, 0, 0 };

    last = '\0';

    (void) sign(keys, &text);
    ok(believed(keys, STORE, (es_str_t) { text.data, text.len }), "a token");

    for (found = 0, i = 0; i < text.len; i++) {
        c = text.data[i];
        text.data[i] = c == 'A' ? 'B' : c == 'B' ? 'C' : 'A';
        found += !believed(keys, STORE, (es_str_t) { text.data, text.len });

        text.data[i] = (char) (c ^ 1);
        found += !believed(keys, STORE, (es_str_t) { text.data, text.len });
        text.data[i] = c;
    }

    is_int(found, (int64_t) text.len * 2, "any changed byte is found");

    for (found = 0, i = 0; i < text.len; i++) {
        found += !believed(keys, STORE, (es_str_t) { text.data, i });
    }

    is_int(found, (int64_t) text.len, "any truncation is found");

    /* two bits of the last character are of no byte */

    for (found = 0, i = 0; i < 64; i++) {
        text.data[text.len - 1] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqr"
                                  "stuvwxyz0123456789-_"[i];
        found += believed(keys, STORE, (es_str_t) { text.data, text.len });
        last = believed(keys, STORE, (es_str_t) { text.data, text.len })
               ? text.data[text.len - 1] : last;
    }

    is_int(found, 1, "a token has one text");
    text.data[text.len - 1] = last;

    (void) es_buf_append(&text, "=", 1);
    ok(!believed(keys, STORE, (es_str_t) { text.data, text.len }),
       "nor may there be more");

    es_buf_free(&text);
}


static void
headers(void)
{
    size_t  i;
    char    claims[] = "{\"iss\":\"" ISSUER "\",\"aud\":\"" ISSUER "\","
                       "\"sub\":\"acme\",\"client_id\":\"aaaaaaaaaa\","
                       "\"scope\":\"read\",\"iat\":1795000000,"
                       "\"exp\":1795000900,\"jti\":\"x\"}";

    static const char  *const  bad[] = {
        "{\"alg\":\"HS256\",\"kid\":\"x\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"HS256\",\"kid\":\"h\",\"typ\":\"JWT\"}",
        "{\"alg\":\"HS256\",\"kid\":\"h\"}",
        "{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"HS256\",\"kid\":1,\"typ\":\"at+jwt\"}",
        "{\"alg\":\"HS256\",\"kid\":\"h\",\"typ\":\"at+jwt\",\"crit\":[]}",
        "{\"alg\":\"HS256\",\"kid\":\"h\",\"typ\":\"at+jwt\",\"jku\":\"\"}",
        "{\"alg\":\"HS256\",\"kid\":\"h\",\"typ\":\"at+jwt\",\"kid\":\"h\"}",
    };

    ok(forged(HEADER, claims), "the header that it is to have");

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(!forged(bad[i], claims), "not %s", bad[i]);
    }

    ok(!forged(HEADER, "[]"), "claims are an object");
    ok(!forged(HEADER, "{}"), "with members");
}


/* The signature is of another kind than the header says, or there is none. */

static void
confused(void)
{
    char           *es, *text;
    size_t          i;
    es_buf_t        out = { NULL, 0, 0 };
    es_jwt_keys_t  *both;

    static const char  *const  heads[] = {
        "{\"alg\":\"none\",\"kid\":\"h\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"ES256\",\"kid\":\"h\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"HS512\",\"kid\":\"h\",\"typ\":\"at+jwt\"}",
        "{\"alg\":\"HS256\",\"kid\":\"e\",\"typ\":\"at+jwt\"}"
    };

    es = generate("ES256", "e");
    both = set_of(HMAC, es);
    (void) sign(both, &out);
    text = strndup(out.data, out.len);
    es_buf_free(&out);

    for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        append64(&out, heads[i], strlen(heads[i]));
        (void) es_buf_str(&out, es_str(strchr(text, '.')));
        ok(!believed(both, STORE, (es_str_t) { out.data, out.len }), "not %s",
           heads[i]);

        out.len = (size_t) ((char *) memrchr(out.data, '.', out.len)
                            - out.data) + 1;
        ok(!believed(both, STORE, (es_str_t) { out.data, out.len }),
           "nor without a signature");
        es_buf_free(&out);
    }

    free(text);
    free(es);
    es_jwt_keys_free(both);
}


static void
claims(void)
{
    ok(claims_with(NULL, NULL), "claims as they are to be");
    ok(claims_with("more", "[{}]"), "others are passed over");

    ok(!claims_with("iss", "\"urn:eventsync:store:0123456789abcdee\""),
       "another issuer");
    ok(!claims_with("aud", "\"urn:eventsync:store:0123456789abcdee\""),
       "for another store");
    ok(!claims_with("aud", "[\"" ISSUER "\"]"), "for a list");
    ok(!claims_with("client_id", "\"aaaaaaaaa\""), "no id of a key");
    ok(!claims_with("client_id", "1"), "nor that");
    ok(!claims_with("sub", "\"\""), "nobody");
    ok(!claims_with("scope", "\"\""), "no scope");
    ok(!claims_with("scope", "\"write\""), "an unknown scope");
    ok(!claims_with("scope", "\"manage feed:a\""), "a scope we do not give");
    ok(!claims_with("iat", "1795000061"), "from the future");
    ok(claims_with("iat", "1795000060"), "by a clock that was set back");
    ok(!claims_with("iat", "0"), "from the beginning");
    ok(!claims_with("iat", "1795000000.5"), "half a second");
    ok(!claims_with("exp", "1795000000"), "of no life");
    ok(!claims_with("exp", "1795086401"), "of too long a life");
    ok(!claims_with("exp", "\"1795000900\""), "a time that is text");
    ok(!claims_with("exp", "9223372036854775807"), "of the longest life");
    ok(!claims_with("iat", "-9223372036854775808"), "of the longest past");

    ok(!claims_with("iss", NULL) && !claims_with("aud", NULL)
       && !claims_with("sub", NULL) && !claims_with("client_id", NULL)
       && !claims_with("scope", NULL) && !claims_with("iat", NULL)
       && !claims_with("exp", NULL) && !claims_with("jti", NULL),
       "none may be missing");
}


static void
refused(const char *text, const char *why)
{
    es_rc_t         rc;
    es_problem_t    problem;
    es_jwt_keys_t  *set;

    rc = es_jwt_keys_parse(es_str(text), "F", &set, &problem);

    if (rc == ES_OK) {
        es_jwt_keys_free(set);
    }

    if (!ok(rc == ES_INVALID && strcmp(problem.detail, why) == 0, "%s", why))
    {
        printf("# %s\n", rc == ES_OK ? "it is taken" : problem.detail);
    }
}


static void
refused_key(const char *jwk, const char *why)
{
    es_buf_t  text = { NULL, 0, 0 };

    (void) es_buf_printf(&text, "{\"keys\":[%s]}", jwk ? jwk : "");
    (void) es_buf_append(&text, "", 1);
    refused(text.data, why);
    es_buf_free(&text);
}


static void
sets(void)
{
    int       i, j;
    es_buf_t  text = { NULL, 0, 0 };

    refused("", "key file \"F\" is not JSON: line 1, column 0");
    refused("{\n,}", "key file \"F\" is not JSON: line 2, column 1");
    refused("[]", "key file \"F\" must be a JWK Set with at least one key");
    refused(HMAC, "key file \"F\" must be a JWK Set with at least one key");
    refused_key("", "key file \"F\" must be a JWK Set with at least one key");
    refused_key("1", "key file \"F\", key 1: \"kid\" must be 1 to 64 visible "
                "ASCII characters");
    refused_key(HMAC ",{\"kid\":\"a b\"}", "key file \"F\", key 2: \"kid\" "
                "must be 1 to 64 visible ASCII characters");
    refused_key(HMAC "," HMAC,
                "key file \"F\", key \"h\": another key has this \"kid\"");
    refused_key("{\"kid\":\"a\"}", "key file \"F\", key \"a\": \"alg\" must "
                "be HS256, ES256 or RS256");
    refused_key("{\"kid\":\"a\",\"alg\":\"none\"}", "key file \"F\", key "
                "\"a\": \"alg\" must be HS256, ES256 or RS256");
    refused_key("{\"kid\":\"a\",\"alg\":\"RS256\",\"kty\":\"oct\",\"k\":\"" K
                "\"}", "key file \"F\", key \"a\": \"kty\" does not fit "
                "\"alg\"");
    refused_key("{\"kid\":\"a\",\"alg\":\"HS256\",\"kty\":\"oct\",\"k\":\""
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
                "key file \"F\", key \"a\": \"k\" must be 32 bytes or more "
                "in base64url");
    refused_key("{\"kid\":\"a\",\"alg\":\"HS256\",\"kty\":\"oct\"}",
                "key file \"F\", key \"a\": \"k\" must be 32 bytes or more "
                "in base64url");
    refused_key("{\"kid\":\"a\",\"alg\":\"ES256\",\"kty\":\"EC\","
                "\"crv\":\"P-384\",\"d\":\"AA\"}", "key file \"F\", key "
                "\"a\": it must be a private key with \"crv\" P-256");
    refused_key("{\"kid\":\"a\",\"alg\":\"ES256\",\"kty\":\"EC\","
                "\"crv\":\"P-256\",\"d\":\"AA\",\"x\":\"AA\",\"y\":\"AA\"}",
                "key file \"F\", key \"a\": it cannot sign a text and "
                "verify the signature");
    refused_key("{\"kid\":\"a\",\"alg\":\"HS256\",\"kty\":\"oct\",\"k\":\"" K
                "\",\"use\":\"enc\"}", "key file \"F\", key \"a\": it cannot "
                "sign a text and verify the signature");

    for (i = 2047; i <= 4097; i += 2050) {
        text.len = 0;
        (void) es_buf_printf(&text, "{\"kid\":\"a\",\"alg\":\"RS256\","
                             "\"kty\":\"RSA\",\"e\":\"AQAB\",\"d\":\"AA\","
                             "\"n\":\"%s", i == 2047 ? "f" : "AQ");

        for (j = 0; j < (i == 2047 ? 340 : 682); j++) {
            (void) es_buf_append(&text, "_", 1);
        }

        (void) es_buf_append(&text, i == 2047 ? "w\"}" : "\"}",
                             i == 2047 ? 4 : 3);
        refused_key(text.data, "key file \"F\", key \"a\": it must be a "
                    "private key of 2048 to 4096 bits");
    }

    text.len = 0;

    for (i = 0; i < ES_JWT_KEYS_MAX + 1; i++) {
        (void) es_buf_printf(&text, "%s{\"kid\":\"%d\",\"alg\":\"HS256\","
                             "\"kty\":\"oct\",\"k\":\"" K "\"}",
                             i ? "," : "", i);
    }

    (void) es_buf_append(&text, "", 1);
    refused_key(text.data, "key file \"F\" has more than 16 keys");
    es_buf_free(&text);
}


/* As many feeds as a key may have do not fit. */

static void
large(void)
{
    char      name[ES_PATTERNS_MAX][64];
    size_t    i;
    es_buf_t  text = { NULL, 0, 0 };
    es_str_t  feeds[ES_PATTERNS_MAX];
    es_jwt_t  jwt = {
        .client = "aaaaaaaaaa", .partner = es_lit("acme"),
        .scope = { ES_SCOPE_READ, { ES_PATTERNS_MAX, feeds } },
        .issued_s = NOW_S, .expires_s = NOW_S + 900
    };

    for (i = 0; i < ES_PATTERNS_MAX; i++) {
        (void) snprintf(name[i], sizeof(name[i]), "%063zu", i);
        feeds[i] = es_str(name[i]);
    }

    is_int(es_jwt_sign(keys, STORE, &jwt, &text), ES_TOO_LARGE,
           "a token that would be too large");
    is_int((int64_t) text.len, 0, "is none");

    for (jwt.scope.feeds.n = 1;
         es_jwt_sign(keys, STORE, &jwt, &text) == ES_OK;
         jwt.scope.feeds.n++)
    {
        if (!believed(keys, STORE, (es_str_t) { text.data, text.len })) {
            break;
        }

        text.len = 0;
    }

    is_int((int64_t) text.len, 0, "every one that is signed is believed");
    ok(jwt.scope.feeds.n > 10, "with some feeds, of the longest names");

    es_buf_free(&text);
}


/* The certificate of a token; its claim is in no token that is not bound. */

static void
bound(void)
{
    es_buf_t  text = { NULL, 0, 0 };
    es_jwt_t  read, jwt = {
        .client = "aaaaaaaaaa", .partner = es_lit("acme"),
        .scope = { ES_SCOPE_READ, { 0, NULL } },
        .issued_s = NOW_S, .expires_s = NOW_S + 900, .bound = true
    };

    memset(jwt.certificate, 0xfb, sizeof(jwt.certificate));

    if (ok(es_jwt_sign(keys, STORE, &jwt, &text) == ES_OK
           && es_jwt_verify(keys, STORE, (es_str_t) { text.data, text.len },
                            NOW, &read) == ES_OK, "a bound token"))
    {
        ok(read.bound && memcmp(read.certificate, jwt.certificate,
                                sizeof(jwt.certificate)) == 0,
           "has its certificate");
        es_jwt_free(&read);
    }

    es_buf_free(&text);

    ok(claims_with("cnf", CNF(AAA)), "a certificate");
    ok(!claims_with("cnf", CNF(AA)), "not of fewer bytes");
    ok(!claims_with("cnf", CNF(AAAA)), "nor of more");
    ok(!claims_with("cnf", CNF(AAB)), "nor of more bits than bytes");
    ok(!claims_with("cnf", "{}"), "nor none");
    ok(!claims_with("cnf", "null"), "nor that");
    ok(!claims_with("cnf", "{\"jkt\":\"" A40 "AAA\"}"), "no other key");
    ok(!claims_with("cnf", "{\"jkt\":\"x\",\"x5t#S256\":\"" A40 "AAA\"}"),
       "nor one more");
}


int
main(void)
{
    es_buf_t  text = { NULL, 0, 0 };

    keys = set_of(HMAC, NULL);

    bound();
    whole("HS256");
    whole("ES256");
    whole("RS256");
    changed();
    headers();
    confused();
    claims();
    sets();
    large();

    (void) es_buf_reserve(&text, ES_JWT_MAX + 1);
    memset(text.data, 'A', ES_JWT_MAX + 1);
    ok(!believed(keys, STORE, (es_str_t) { text.data, ES_JWT_MAX + 1 }),
       "what is too long is none");
    memset(text.data, '.', ES_JWT_MAX);
    ok(!believed(keys, STORE, (es_str_t) { text.data, ES_JWT_MAX }),
       "nor are dots");
    ok(!believed(keys, STORE, es_null_str), "nor is nothing");
    es_buf_free(&text);

    es_jwt_keys_free(keys);

    return done();
}
