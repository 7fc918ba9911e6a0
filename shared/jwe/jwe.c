/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads public keys, and encrypts to them with libjose.
 *
 * jose_jwe_enc() would put the ephemeral key ("epk") into the unprotected
 * header, which the compact form does not have.  So the key is wrapped first,
 * then "epk" moves into the protected header, and the text is encrypted last.
 */

#include <jose/b64.h>
#include <jose/jwe.h>
#include <jose/jwk.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/event_loop.h"
#include "base/json.h"
#include "jwe/jwe.h"

typedef struct {
    const char  *crv;
    size_t       size;         /* bytes of a coordinate (RFC 7518, 6.2.1.2) */
} es_jwe_curve_t;

static const es_jwe_curve_t  es_jwe_curves[] = {
    { "P-256", 32 },
    { "P-384", 48 },
    { "P-521", 66 }
};

#define ES_JWE_CURVES  (sizeof(es_jwe_curves) / sizeof(es_jwe_curves[0]))

/* Of the compact form, in its order. */
static const char  *const  es_jwe_parts[] = {
    "protected", "encrypted_key", "iv", "ciphertext", "tag"
};

#define ES_JWE_PARTS  (sizeof(es_jwe_parts) / sizeof(es_jwe_parts[0]))

/* Members that only a private or a symmetric key has. */
static const char  *const  es_jwe_private[] = { "d", "k", "p", "q", NULL };


static bool
es_jwe_text_is(const json_t *object, const char *member, const char *text)
{
    return es_str_eq(es_text(json_object_get(object, member)), es_str(text));
}


/* ---- keys ---- */


/* The public half of a key that WebCrypto exports has an empty "key_ops". */

static const char *
es_jwe_key_purpose(const json_t *jwk, const char **member)
{
    size_t   i;
    json_t  *ops, *op;

    *member = "alg";

    if (json_object_get(jwk, "alg") != NULL
        && !es_jwe_text_is(jwk, "alg", ES_JWE_ALG))
    {
        return "must be " ES_JWE_ALG ", or be left out";
    }

    *member = "use";

    if (json_object_get(jwk, "use") != NULL
        && !es_jwe_text_is(jwk, "use", "enc"))
    {
        return "must be \"enc\", or be left out: a key for signatures is not "
               "for encryption";
    }

    *member = "key_ops";
    ops = json_object_get(jwk, "key_ops");

    if (ops == NULL || (json_is_array(ops) && json_array_size(ops) == 0)) {
        return NULL;
    }

    json_array_foreach(ops, i, op) {
        if (es_str_eq(es_text(op), es_lit("deriveKey"))
            || es_str_eq(es_text(op), es_lit("deriveBits")))
        {
            return NULL;
        }
    }

    return "must have \"deriveKey\" or \"deriveBits\", or be left out: a key "
           "for signatures is not for encryption";
}


static const char *
es_jwe_coordinate(const json_t *jwk, const char *member,
    const es_jwe_curve_t *curve, char out[ES_JWE_COORDINATE + 1])
{
    char      bytes[ES_JWE_COORDINATE];
    es_str_t  text;

    text = es_text(json_object_get(jwk, member));

    if (text.len == 0 || text.len > ES_JWE_COORDINATE
        || jose_b64_dec_buf(text.data, text.len, bytes, sizeof(bytes))
           != curve->size)
    {
        switch (curve->size) {
        case 32:
            return "must be 32 bytes in base64url";
        case 48:
            return "must be 48 bytes in base64url";
        default:
            return "must be 66 bytes in base64url";
        }
    }

    memcpy(out, text.data, text.len);
    out[text.len] = '\0';

    return NULL;
}


const char *
es_jwe_key_read(const json_t *jwk, es_jwe_key_t *key, const char **member)
{
    size_t              i;
    es_str_t            kid;
    const char         *why;
    const char *const  *name;

    *member = "";
    memset(key, 0, sizeof(es_jwe_key_t));

    if (!json_is_object(jwk)) {
        return "must be an object: a public EC key as a JWK";
    }

    for (name = es_jwe_private; *name != NULL; name++) {
        if (json_object_get(jwk, *name) != NULL) {
            *member = *name;
            return "must be left out: the key must be a public one";
        }
    }

    *member = "kty";

    if (!es_jwe_text_is(jwk, "kty", "EC")) {
        return "must be \"EC\": keys of other types cannot be used";
    }

    *member = "crv";

    for (i = 0; i < ES_JWE_CURVES; i++) {
        if (es_jwe_text_is(jwk, "crv", es_jwe_curves[i].crv)) {
            break;
        }
    }

    if (i == ES_JWE_CURVES) {
        return "must be \"P-256\", \"P-384\" or \"P-521\"";
    }

    *member = "kid";
    kid = es_text(json_object_get(jwk, "kid"));

    if (!es_kid_ok(kid)) {
        return "must be 1 to 64 visible ASCII characters";
    }

    why = es_jwe_key_purpose(jwk, member);

    if (why == NULL) {
        *member = "x";
        why = es_jwe_coordinate(jwk, "x", &es_jwe_curves[i], key->x);
    }

    if (why == NULL) {
        *member = "y";
        why = es_jwe_coordinate(jwk, "y", &es_jwe_curves[i], key->y);
    }

    (void) strcpy(key->crv, es_jwe_curves[i].crv);
    memcpy(key->kid, kid.data, kid.len);

    return why;
}


bool
es_jwe_key_works(const es_jwe_key_t *key)
{
    bool            works;
    es_buf_t        out;
    es_jwe_place_t  place;

    memset(&out, 0, sizeof(out));
    place.feed = place.source = place.id = place.field = es_lit("");

    works = es_jwe_encrypt(key, &place, es_lit("null"), &out) == ES_OK;

    es_buf_free(&out);

    return works;
}


/* ---- encryption ---- */


static json_t *
es_jwe_public(const es_jwe_key_t *key)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "kty", "EC", "crv", key->crv,
                     "x", key->x, "y", key->y);
}


/* The protected header without "epk".  NULL: out of memory, or no UTF-8. */

static json_t *
es_jwe_header(const es_jwe_key_t *key, const es_jwe_place_t *place)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:s%, s:s%, s:s%, s:s%}",
                     "alg", ES_JWE_ALG, "enc", ES_JWE_ENC, "cty", "json",
                     "kid", key->kid,
                     "feed", place->feed.data, place->feed.len,
                     "event_source", place->source.data, place->source.len,
                     "event_id", place->id.data, place->id.len,
                     "field", place->field.data, place->field.len);
}


/* Moves "epk" from the unprotected header into the protected one. */

static bool
es_jwe_protect(json_t *jwe)
{
    json_t  *epk;

    epk = json_object_get(json_object_get(jwe, "header"), "epk");

    return epk != NULL
           && json_object_set(json_object_get(jwe, "protected"), "epk", epk)
              == 0
           && json_object_del(jwe, "header") == 0;
}


static es_rc_t
es_jwe_print(const json_t *jwe, es_buf_t *out)
{
    size_t    i, len;
    es_rc_t   rc;
    es_str_t  part;

    rc = ES_OK;
    len = out->len;

    for (i = 0; i < ES_JWE_PARTS && rc == ES_OK; i++) {
        part = es_text(json_object_get(jwe, es_jwe_parts[i]));

        if (i > 0) {
            rc = es_buf_append(out, ".", 1);
        }

        if (rc == ES_OK) {
            rc = es_buf_str(out, part);
        }
    }

    if (rc != ES_OK) {
        out->len = len;
    }

    return rc;
}


es_rc_t
es_jwe_encrypt(const es_jwe_key_t *key, const es_jwe_place_t *place,
    es_str_t plain, es_buf_t *out)
{
    size_t       len;
    json_t      *jwe, *cek, *jwk;
    es_rc_t      rc;
    es_str_t     text;
    jose_cfg_t  *cfg;

    ES_ASSERT_NO_EVENT_LOOP();

    rc = ES_INVALID;
    len = out->len;

    cfg = es_jose_cfg();
    cek = json_object();
    jwk = es_jwe_public(key);
    jwe = json_pack("{s:o}", "protected", es_jwe_header(key, place));

    if (cfg != NULL && cek != NULL && jwk != NULL && jwe != NULL
        && jose_jwe_enc_jwk(cfg, jwe, NULL, jwk, cek)
        && es_jwe_protect(jwe)
        && jose_jwe_enc_cek(cfg, jwe, cek, plain.data, plain.len))
    {
        rc = es_jwe_print(jwe, out);
    }

    /* the product's own check of what a library has made */

    if (rc == ES_OK) {
        text = (es_str_t) { out->data + len, out->len - len };

        if (!es_jwe_is(text, key, place)) {
            out->len = len;
            rc = ES_INVALID;
        }
    }

    json_decref(jwe);
    json_decref(jwk);
    json_decref(cek);
    jose_cfg_decref(cfg);

    return rc;
}


/* ---- checks ---- */


static bool
es_jwe_base64url(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')
           || (c >= '0' && c <= '9') || c == '-' || c == '_';
}


bool
es_jwe_compact(es_str_t text)
{
    size_t    i;
    unsigned  dots;

    dots = 0;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] != '.') {
            if (!es_jwe_base64url(text.data[i])) {
                return false;
            }

        } else if (i == 0 || text.data[i - 1] == '.' || ++dots == ES_JWE_PARTS) {
            return false;
        }
    }

    return dots == ES_JWE_PARTS - 1 && text.data[text.len - 1] != '.';
}


/* The ephemeral key is on the curve of the key. */

static bool
es_jwe_epk_ok(const json_t *epk, const es_jwe_key_t *key)
{
    return json_object_size(epk) == 4
           && es_jwe_text_is(epk, "kty", "EC")
           && es_jwe_text_is(epk, "crv", key->crv)
           && json_is_string(json_object_get(epk, "x"))
           && json_is_string(json_object_get(epk, "y"));
}


bool
es_jwe_is(es_str_t text, const es_jwe_key_t *key, const es_jwe_place_t *place)
{
    bool         good;
    json_t      *header, *expected, *epk;
    const char  *dot;

    if (!es_jwe_compact(text)) {
        return false;
    }

    dot = memchr(text.data, '.', text.len);
    epk = json_stringn(text.data, (size_t) (dot - text.data));
    header = jose_b64_dec_load(epk);
    json_decref(epk);

    expected = es_jwe_header(key, place);
    epk = json_object_get(header, "epk");

    good = expected != NULL
           && es_jwe_epk_ok(epk, key)
           && json_object_set(expected, "epk", epk) == 0
           && json_equal(header, expected);

    json_decref(header);
    json_decref(expected);

    return good;
}


/* ---- the library ---- */


static json_t *
es_jwe_parse(es_str_t text)
{
    size_t       i, len;
    json_t      *jwe;
    const char  *p, *end, *dot;

    jwe = json_object();
    p = text.data;
    end = text.data + text.len;

    for (i = 0; i < ES_JWE_PARTS; i++) {
        dot = memchr(p, '.', (size_t) (end - p));
        len = (size_t) ((dot ? dot : end) - p);
        (void) json_object_set_new(jwe, es_jwe_parts[i], json_stringn(p, len));
        p += len + (dot != NULL);
    }

    return jwe;
}


/* Encrypts to a new key and decrypts. */

static bool
es_jwe_works_on(jose_cfg_t *cfg, const char *crv)
{
    bool            works;
    void           *plain;
    size_t          len;
    json_t         *private, *public, *jwe;
    es_buf_t        out;
    const char     *member;
    es_jwe_key_t    key;
    es_jwe_place_t  place;

    len = 0;
    plain = NULL;
    jwe = NULL;
    memset(&out, 0, sizeof(out));
    place.feed = place.source = place.id = place.field = es_lit("");

    private = json_pack("{s:s, s:s, s:s}", "kty", "EC", "crv", crv,
                        "kid", "test");
    works = private != NULL && jose_jwk_gen(cfg, private);
    public = json_deep_copy(private);
    (void) json_object_del(public, "d");

    if (works
        && es_jwe_key_read(public, &key, &member) == NULL
        && es_jwe_encrypt(&key, &place, es_lit("null"), &out) == ES_OK)
    {
        jwe = es_jwe_parse((es_str_t) { out.data, out.len });
        plain = jose_jwe_dec(cfg, jwe, NULL, private, &len);
    }

    works = plain != NULL && len == 4 && memcmp(plain, "null", 4) == 0;

    free(plain);
    es_buf_free(&out);
    json_decref(jwe);
    json_decref(public);
    json_decref(private);

    return works;
}


bool
es_jwe_available(void)
{
    bool         available;
    size_t       i;
    jose_cfg_t  *cfg;

    cfg = es_jose_cfg();
    available = cfg != NULL;

    for (i = 0; i < ES_JWE_CURVES && available; i++) {
        available = es_jwe_works_on(cfg, es_jwe_curves[i].crv);
    }

    jose_cfg_decref(cfg);

    return available;
}
