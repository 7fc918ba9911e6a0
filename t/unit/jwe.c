/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Public keys of partners, and the form of what is encrypted to them.
 * t/unit/ciphertexts.c has the texts that are kept, t/ctl/encrypt_jose.t another
 * implementation that decrypts them.
 */

#include <jose/b64.h>

#include "base/event_loop.h"
#include "jwe/jwe.h"
#include "tap.h"

/* RFC 7517, appendix A.1; RFC 7520, section 3.1 */
#define X256  "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4"
#define Y256  "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"
#define X521                                                                  \
    "AHKZLLOsCOzz5cY97ewNUajB957y-C-U88c3v13nmGZx6sYl_oJXu9A5RkTKqjqvjyekWF-7"\
    "ytDyRXYgCF5cj0Kt"
#define Y521                                                                  \
    "AdymlHvOiLxXkEhayXQnNCvDX4h9htZaCJN34kfmC6pV5OhQHiraVySsUdaQkAgDPrwQrJmb"\
    "nX9cwlGfP-HqHZR1"
#define KEY(kty, crv, x, y, more)                                             \
    "{\"kty\":\"" kty "\",\"crv\":\"" crv "\",\"x\":\"" x "\",\"y\":\"" y     \
    "\"" more "}"
#define KID   ",\"kid\":\"k1\""
#define P256  KEY("EC", "P-256", X256, Y256, KID)

static es_jwe_place_t  place = {
    es_lit("orders"), es_lit("/shop"), es_lit("evt \xc3\xa9\"1"),
    es_lit("/data/mail")
};


static const char *
read_key(const char *text, es_jwe_key_t *key, const char **member)
{
    json_t      *jwk;
    const char  *why;

    jwk = json_loads(text, JSON_DECODE_ANY, NULL);
    why = es_jwe_key_read(jwk, key, member);
    json_decref(jwk);

    return why;
}


static void
taken(const char *text, const char *name)
{
    const char    *member;
    es_jwe_key_t   key;

    ok(read_key(text, &key, &member) == NULL && es_jwe_key_works(&key),
       "taken: %s", name);
}


static void
refused(const char *text, const char *member, const char *reason)
{
    const char    *got, *why;
    es_jwe_key_t   key;

    why = read_key(text, &key, &got);

    if (ok(why != NULL, "refused: %s", text)) {
        is_str(es_str(got), member, "for this member");
        ok(strstr(why, reason) != NULL, "because it %s (%s)", reason, why);
    }
}


static void
keys(void)
{
    const char    *member;
    es_jwe_key_t   key;

    taken(P256, "P-256");
    taken(KEY("EC", "P-521", X521, Y521, KID), "P-521");
    taken(KEY("EC", "P-256", X256, Y256, KID ",\"use\":\"enc\",\"alg\":"
              "\"ECDH-ES+A256KW\",\"key_ops\":[],\"ext\":true"),
          "with all members");
    taken(KEY("EC", "P-256", X256, Y256, KID ",\"key_ops\":[\"deriveBits\"]"),
          "deriveBits");
    taken(KEY("EC", "P-256", X256, Y256, KID ",\"key_ops\":[\"x\","
              "\"deriveKey\"]"), "deriveKey");

    refused("\"a\"", "", "must be an object");
    refused("{}", "kty", "must be \"EC\"");
    refused("{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", "kty",
            "must be \"EC\"");
    refused("{\"kty\":\"OKP\",\"crv\":\"X25519\",\"x\":\"" X256 "\"}", "kty",
            "must be \"EC\"");
    refused("{\"kty\":\"oct\",\"k\":\"" X256 "\"}", "k", "public one");
    refused(KEY("EC", "P-256", X256, Y256, KID ",\"d\":\"" X256 "\""), "d",
            "must be left out");
    refused(KEY("EC", "secp256k1", X256, Y256, KID), "crv", "\"P-256\"");
    refused(KEY("EC", "P-256", X256, Y256, ""), "kid", "1 to 64");
    refused(KEY("EC", "P-256", X256, Y256, ",\"kid\":\"\""), "kid", "1 to 64");
    refused(KEY("EC", "P-256", X256, Y256, ",\"kid\":\"a b\""), "kid",
            "1 to 64");
    refused(KEY("EC", "P-256", X256, Y256, KID ",\"alg\":\"ES256\""), "alg",
            "must be ECDH-ES+A256KW");
    refused(KEY("EC", "P-256", X256, Y256, KID ",\"alg\":\"ECDH-ES\""), "alg",
            "must be ECDH-ES+A256KW");
    refused(KEY("EC", "P-256", X256, Y256, KID ",\"use\":\"sig\""), "use",
            "must be \"enc\"");
    refused(KEY("EC", "P-256", X256, Y256, KID ",\"key_ops\":[\"verify\"]"),
            "key_ops", "deriveKey");
    refused(KEY("EC", "P-256", X256, Y256, KID ",\"key_ops\":\"deriveKey\""),
            "key_ops", "deriveKey");
    refused(KEY("EC", "P-256", X521, Y256, KID), "x", "32 bytes");
    refused(KEY("EC", "P-384", X256, Y256, KID), "x", "48 bytes");
    refused(KEY("EC", "P-521", X521, Y256, KID), "y", "66 bytes");
    refused(KEY("EC", "P-256", X256, "%%%", KID), "y", "32 bytes");
    refused("{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k\",\"x\":\"" X256
            "\"}", "y", "32 bytes");

    ok(read_key(KEY("EC", "P-256", X256, X256, KID), &key, &member) == NULL
       && !es_jwe_key_works(&key), "a point off the curve does not work");
}


/* The protected header of the text, as JSON. */

static json_t *
header(const es_buf_t *out)
{
    json_t      *text, *json;
    const char  *dot;

    dot = memchr(out->data, '.', out->len);
    text = json_stringn(out->data, (size_t) (dot - out->data));
    json = jose_b64_dec_load(text);
    json_decref(text);

    return json;
}


static void
members(const es_buf_t *out)
{
    char    *text;
    json_t  *json;

    json = header(out);
    ok(json_is_object(json_object_get(json, "epk")), "the header has epk");
    (void) json_object_del(json, "epk");

    text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);
    is_str(es_str(text), "{\"alg\":\"ECDH-ES+A256KW\",\"cty\":\"json\","
           "\"enc\":\"A256GCM\",\"event_id\":\"evt \xc3\xa9\\\"1\","
           "\"event_source\":\"/shop\",\"feed\":\"orders\","
           "\"field\":\"/data/mail\",\"kid\":\"k1\"}",
           "and all the rest is known");

    free(text);
    json_decref(json);
}


/* The same text with another header: that of the text, with a member more or
   changed. */

static void
forged(const es_buf_t *out, const es_jwe_key_t *key, const char *member,
    const char *value)
{
    json_t      *json, *text;
    es_buf_t     other;

    memset(&other, 0, sizeof(other));
    json = header(out);
    (void) json_object_set_new(json, member,
                               json_loads(value, JSON_DECODE_ANY, NULL));
    text = jose_b64_enc_dump(json);

    (void) es_buf_printf(&other, "%s%s", json_string_value(text),
                         strchr(out->data, '.'));

    ok(!es_jwe_is((es_str_t) { other.data, other.len }, key, &place),
       "refused with another header: %s %s", member, value);

    es_buf_free(&other);
    json_decref(text);
    json_decref(json);
}


static void
encryption(void)
{
    es_buf_t         out, again;
    const char      *member;
    es_str_t         text;
    es_jwe_key_t     key, other;
    es_jwe_place_t   moved;

    memset(&out, 0, sizeof(out));
    memset(&again, 0, sizeof(again));
    (void) read_key(P256, &key, &member);

    is_int(es_jwe_encrypt(&key, &place, es_lit("\"a@b\""), &out), ES_OK,
           "a text is encrypted");
    (void) es_buf_append(&out, "", 1);
    out.len--;
    text = (es_str_t) { out.data, out.len };

    ok(es_jwe_compact(text), "the form is compact");
    ok(es_jwe_is(text, &key, &place), "the header is as expected");
    members(&out);

    (void) es_jwe_encrypt(&key, &place, es_lit("\"a@b\""), &again);
    ok(!es_str_eq(text, (es_str_t) { again.data, again.len }),
       "the next text is another one");

    moved = place;
    moved.id = es_lit("evt 2");
    ok(!es_jwe_is(text, &key, &moved), "refused for another event");
    moved = place;
    moved.field = es_lit("/data/name");
    ok(!es_jwe_is(text, &key, &moved), "refused for another field");
    (void) read_key(KEY("EC", "P-256", X256, Y256, ",\"kid\":\"k2\""), &other,
                    &member);
    ok(!es_jwe_is(text, &other, &place), "refused for another key");

    forged(&out, &key, "zip", "\"DEF\"");
    forged(&out, &key, "crit", "[\"x\"]");
    forged(&out, &key, "alg", "\"ECDH-ES\"");
    forged(&out, &key, "enc", "\"A128GCM\"");
    forged(&out, &key, "epk", "{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"\","
           "\"y\":\"\"}");
    forged(&out, &key, "epk", "null");

    ok(!es_jwe_compact(es_lit("a.b.c.d")), "four parts are no compact form");
    ok(!es_jwe_compact(es_lit("a.b.c.d.e.f")), "six are none");
    ok(!es_jwe_compact(es_lit("a..c.d.e")), "nor with an empty one");
    ok(!es_jwe_compact(es_lit("a.b.c.d.")), "at the end");
    ok(!es_jwe_compact(es_lit("\"a\".b.c.d.e")), "nor with a quote");
    ok(!es_jwe_compact(es_lit("")), "nothing is none");

    moved.id = es_lit("\xff");
    again.len = 0;
    is_int(es_jwe_encrypt(&key, &moved, es_lit("1"), &again), ES_INVALID,
           "an id that is not UTF-8 is refused");
    (void) read_key(KEY("EC", "P-256", X256, X256, KID), &other, &member);
    is_int(es_jwe_encrypt(&other, &place, es_lit("1"), &again), ES_INVALID,
           "a key off its curve is refused");
    is_int((int64_t) again.len, 0, "and nothing was written");

    es_buf_free(&out);
    es_buf_free(&again);
}


int
main(void)
{
    keys();
    encryption();
    ok(es_jwe_available(), "libjose can do all this");

    return done();
}
