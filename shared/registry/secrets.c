/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds the secret members of registry records and encrypts or decrypts them.
 *
 * One table says where secrets are; every function walks it.
 */

#include <inttypes.h>
#include <openssl/crypto.h>

#include "base/base.h"
#include "base/json.h"
#include "keys/keyring.h"
#include "keys/public_key.h"
#include "registry/object.h"
#include "registry/origin.h"
#include "registry/registry.h"
#include "registry/secrets.h"

/*
 * The secret is the value of `member`.  If that is an array, each element is
 * one.  If a value is an object, its member `inner` is the secret, or without
 * `inner` each of its members.
 */
typedef struct {
    es_kind_t    kind;
    const char  *member;
    const char  *inner;
    const char  *url;          /* a member of the value: the secret is sent to
                                  this URL as well; NULL: none */
} es_secret_field_t;

static const es_secret_field_t  es_secret_fields[] = {
    { ES_KIND_ENDPOINT, "secrets", "secret", NULL },
    { ES_KIND_ENDPOINT, "headers", NULL, NULL },
    { ES_KIND_ENDPOINT, "oauth", "client_secret", "token_url" }
};

typedef struct {
    const es_keyring_t  *ring;
    uint64_t             identity;     /* of the store */
    es_str_t             name;
    const json_t        *object;       /* the record of the secrets */
    const json_t        *before;       /* the record that sealed them */
    json_t              *other;
    const char          *item;         /* the member of the value that is the
                                          secret, such as a header; or "" */
    const char          *other_item;
    es_kind_t            kind;
    const es_secret_field_t
                        *other_field;
    bool                 sealed;
    unsigned             count;
    es_buf_t            *kids;
    es_rc_t              rc;
} es_secrets_ctx_t;

/* Called with each secret; ES_OK to go on. */
typedef es_rc_t (*es_secret_fn)(es_secrets_ctx_t *ctx,
    const es_secret_field_t *field, json_t *text);


static es_rc_t
es_secrets_at(es_secrets_ctx_t *ctx, const es_secret_field_t *field,
    json_t *value, es_secret_fn fn)
{
    json_t      *item;
    es_rc_t      rc;
    const char  *name;

    ctx->item = "";

    if (json_is_object(value) && field->inner == NULL) {
        json_object_foreach(value, name, item) {
            ctx->item = name;
            rc = json_is_string(item) ? fn(ctx, field, item) : ES_OK;
            if (rc != ES_OK) {
                return rc;
            }
        }

        return ES_OK;
    }

    if (json_is_object(value)) {
        value = json_object_get(value, field->inner);
    }

    return json_is_string(value) ? fn(ctx, field, value) : ES_OK;
}


static es_rc_t
es_secrets_each(es_secrets_ctx_t *ctx, json_t *object, es_secret_fn fn)
{
    size_t    i, j;
    json_t   *value, *item;
    es_rc_t   rc;

    const es_secret_field_t  *field;

    rc = ES_OK;

    for (i = 0; i < sizeof(es_secret_fields) / sizeof(es_secret_fields[0]);
         i++)
    {
        field = &es_secret_fields[i];

        if (field->kind != ctx->kind) {
            continue;
        }

        value = json_object_get(object, field->member);

        if (!json_is_array(value)) {
            rc = es_secrets_at(ctx, field, value, fn);
        }

        for (j = 0; rc == ES_OK && j < json_array_size(value); j++) {
            item = json_array_get(value, j);
            rc = es_secrets_at(ctx, field, item, fn);
        }

        if (rc != ES_OK) {
            return rc;
        }
    }

    return ES_OK;
}


static es_rc_t
es_secret_hide(es_secrets_ctx_t *ctx, const es_secret_field_t *field,
    json_t *text)
{
    (void) field;

    return json_string_setn(text, ctx->name.data, ctx->name.len) == 0
           ? ES_OK : ES_NOMEM;
}


es_rc_t
es_secrets_hide(es_kind_t kind, json_t *object, const char *word)
{
    size_t             i;
    json_t            *value;
    es_secrets_ctx_t   ctx = { .kind = kind, .name = es_str(word) };

    static const char  *const  digests[] = { "digest", "link" };

    for (i = 0; kind == ES_KIND_KEY && i < sizeof(digests) / sizeof(digests[0]);
         i++)
    {
        value = json_object_get(object, digests[i]);

        if (json_is_string(value) && json_string_set(value, word) != 0) {
            return ES_NOMEM;
        }
    }

    return es_secrets_each(&ctx, object, es_secret_hide);
}


static es_str_t
es_secret_text(json_t *text)
{
    return (es_str_t) { json_string_value(text), json_string_length(text) };
}


/*
 * Writes what a secret is encrypted together with: the store, the record, its
 * partner, the member, and the origins to which the secret or what it earns is
 * sent.  Otherwise somebody who may write records could have a secret that
 * they cannot read sent to themselves.  No part has a blank in it.
 *
 * ES_CORRUPT: the record lacks one of the parts.
 */

static es_rc_t
es_secret_bound(const es_secrets_ctx_t *ctx, const json_t *object,
    const es_secret_field_t *field, es_buf_t *out)
{
    char      origin[ES_ORIGIN_MAX], other[ES_ORIGIN_MAX] = "-";
    json_t   *number, *url;
    es_str_t  partner;

    number = json_object_get(object, "number");
    partner = es_text(json_object_get(object, "partner"));
    url = field->url == NULL ? NULL
          : json_object_get(json_object_get(object, field->member),
                            field->url);

    if (!json_is_integer(number) || partner.len == 0
        || !es_origin(es_text(json_object_get(object, "url")), origin)
        || (field->url != NULL && !es_origin(es_text(url), other)))
    {
        return ES_CORRUPT;
    }

    out->len = 0;

    return es_buf_printf(out, "%016" PRIx64 " %s %.*s %" JSON_INTEGER_FORMAT
                         " %.*s %s %s %s %s", ctx->identity,
                         es_kind_name(ctx->kind), (int) ctx->name.len,
                         ctx->name.data, json_integer_value(number),
                         (int) partner.len, partner.data, field->member,
                         ctx->item[0] != '\0' ? ctx->item : "-", origin,
                         other);
}


static es_rc_t
es_secret_replace(json_t *text, es_buf_t *buf, es_rc_t rc)
{
    if (rc == ES_OK && json_string_setn(text, buf->data, buf->len) != 0) {
        rc = ES_CORRUPT;
    }

    if (buf->data != NULL) {
        OPENSSL_cleanse(buf->data, buf->cap);
    }

    es_buf_free(buf);

    return rc;
}


static es_rc_t
es_secret_seal(es_secrets_ctx_t *ctx, const es_secret_field_t *field,
    json_t *text)
{
    char      public_key[ES_PUBLIC_TEXT_MAX];
    es_rc_t   rc;
    es_buf_t  bound = { 0 }, out = { 0 };

    if (es_sealed(es_secret_text(text))) {
        return ES_OK;
    }

    if (!es_secret_public(es_secret_text(text), public_key)) {
        public_key[0] = '\0';
    }

    rc = es_secret_bound(ctx, ctx->object, field, &bound);

    if (rc == ES_OK) {
        rc = es_seal(ctx->ring, (es_str_t) { bound.data, bound.len },
                     es_secret_text(text), es_str(public_key), &out);
    }

    es_buf_free(&bound);

    return es_secret_replace(text, &out, rc);
}


es_rc_t
es_secrets_seal(const es_keyring_t *ring, uint64_t identity, es_kind_t kind,
    es_str_t name, json_t *object)
{
    es_secrets_ctx_t  ctx = { .ring = ring, .identity = identity,
                              .name = name, .object = object, .kind = kind };

    return es_secrets_each(&ctx, object, es_secret_seal);
}


/* Decrypts a secret that was sealed for the record `object`. */

static es_rc_t
es_secret_unseal(es_secrets_ctx_t *ctx, const json_t *object,
    const es_secret_field_t *field, json_t *text)
{
    es_rc_t   rc;
    es_buf_t  bound = { 0 }, out = { 0 };

    rc = ctx->ring ? es_secret_bound(ctx, object, field, &bound)
                   : ES_NOT_FOUND;

    if (rc == ES_OK) {
        rc = es_unseal(ctx->ring, (es_str_t) { bound.data, bound.len },
                       es_secret_text(text), &out);
    }

    es_buf_free(&bound);

    return es_secret_replace(text, &out, rc);
}


static es_rc_t
es_secret_open(es_secrets_ctx_t *ctx, const es_secret_field_t *field,
    json_t *text)
{
    es_rc_t  rc;

    if (!es_sealed(es_secret_text(text))) {
        return ES_OK;
    }

    rc = es_secret_unseal(ctx, ctx->object, field, text);

    if (rc != ES_OK && ctx->rc != ES_CORRUPT) {
        ctx->rc = rc;
    }

    return rc == ES_NOMEM ? rc : ES_OK;
}


es_rc_t
es_secrets_open(const es_keyring_t *ring, uint64_t identity, es_kind_t kind,
    es_str_t name, json_t *object)
{
    es_secrets_ctx_t  ctx = { .ring = ring, .identity = identity,
                              .name = name, .object = object, .kind = kind };

    (void) es_secrets_each(&ctx, object, es_secret_open);

    return ctx.rc;
}


/* Leaves the secret in plain text if it belongs to another record than
   before, so that it is sealed anew. */

static es_rc_t
es_secret_rebind(es_secrets_ctx_t *ctx, const es_secret_field_t *field,
    json_t *text)
{
    bool      same;
    es_rc_t   rc;
    es_buf_t  now = { 0 }, before = { 0 };

    if (!es_sealed(es_secret_text(text))) {
        return ES_OK;
    }

    rc = es_secret_bound(ctx, ctx->object, field, &now);

    if (rc == ES_OK) {
        rc = es_secret_bound(ctx, ctx->before, field, &before);
    }

    same = rc == ES_OK && now.len == before.len
           && memcmp(now.data, before.data, now.len) == 0;

    es_buf_free(&now);
    es_buf_free(&before);

    return rc == ES_OK && !same
           ? es_secret_unseal(ctx, ctx->before, field, text) : rc;
}


es_rc_t
es_secrets_rebind(const es_keyring_t *ring, uint64_t identity, es_kind_t kind,
    es_str_t name, const json_t *before, json_t *object)
{
    es_secrets_ctx_t  ctx = { .ring = ring, .identity = identity,
                              .name = name, .object = object,
                              .before = before, .kind = kind };

    return es_secrets_each(&ctx, object, es_secret_rebind);
}


static es_rc_t
es_secret_count(es_secrets_ctx_t *ctx, const es_secret_field_t *field,
    json_t *text)
{
    (void) field;

    ctx->count += es_sealed(es_secret_text(text)) == ctx->sealed;

    return ES_OK;
}


unsigned
es_secrets_count(es_kind_t kind, json_t *object, bool sealed)
{
    es_secrets_ctx_t  ctx = { .kind = kind, .sealed = sealed };

    (void) es_secrets_each(&ctx, object, es_secret_count);

    return ctx.count;
}


static es_rc_t
es_secret_stale(es_secrets_ctx_t *ctx, const es_secret_field_t *field,
    json_t *text)
{
    es_str_t  kid;

    (void) field;

    kid = es_sealed_kid(es_secret_text(text));
    ctx->count += !es_str_eq(kid, es_str(es_keyring_current(ctx->ring)));

    return ES_OK;
}


unsigned
es_secrets_stale(const es_keyring_t *ring, es_kind_t kind, json_t *object)
{
    es_secrets_ctx_t  ctx = { .ring = ring, .kind = kind };

    (void) es_secrets_each(&ctx, object, es_secret_stale);

    return ctx.count;
}


static es_rc_t
es_secret_kid(es_secrets_ctx_t *ctx, const es_secret_field_t *field,
    json_t *text)
{
    es_str_t  kid;

    (void) field;

    kid = es_sealed_kid(es_secret_text(text));

    if (kid.len == 0
        || (ctx->kids->len > 0
            && memmem(ctx->kids->data, ctx->kids->len, kid.data, kid.len)))
    {
        return ES_OK;
    }

    return es_buf_printf(ctx->kids, "%s%.*s", ctx->kids->len > 0 ? " " : "",
                         (int) kid.len, kid.data);
}


es_rc_t
es_secrets_kids(es_kind_t kind, json_t *object, es_buf_t *kids)
{
    es_secrets_ctx_t  ctx = { .kind = kind, .kids = kids };

    return es_secrets_each(&ctx, object, es_secret_kid);
}


static es_rc_t
es_secret_equal(es_secrets_ctx_t *ctx, const es_secret_field_t *field,
    json_t *text)
{
    ctx->count += field == ctx->other_field
                  && strcmp(ctx->item, ctx->other_item) == 0
                  && json_equal(text, ctx->other);

    return ES_OK;
}


/* Looks a secret up in the record `other`. */

static bool
es_secret_in(const es_secrets_ctx_t *ctx, const es_secret_field_t *field,
    json_t *text)
{
    es_secrets_ctx_t  search = { .kind = ctx->kind, .other = text,
                                 .other_field = field,
                                 .other_item = ctx->item };

    (void) es_secrets_each(&search, ctx->other, es_secret_equal);

    return search.count > 0;
}


static es_rc_t
es_secret_left(es_secrets_ctx_t *ctx, const es_secret_field_t *field,
    json_t *text)
{
    ctx->count += !es_sealed(es_secret_text(text))
                  && es_secret_in(ctx, field, text);

    return ES_OK;
}


unsigned
es_secrets_left(es_kind_t kind, json_t *before, json_t *object)
{
    es_secrets_ctx_t  ctx = { .kind = kind, .other = before };

    (void) es_secrets_each(&ctx, object, es_secret_left);

    return ctx.count;
}


static es_rc_t
es_secret_known(es_secrets_ctx_t *ctx, const es_secret_field_t *field,
    json_t *text)
{
    return !es_sealed(es_secret_text(text)) || es_secret_in(ctx, field, text)
           ? ES_OK : ES_INVALID;
}


bool
es_secrets_known(es_kind_t kind, json_t *input, json_t *stored)
{
    es_secrets_ctx_t  ctx = { .kind = kind, .other = stored };

    return es_secrets_each(&ctx, input, es_secret_known) == ES_OK;
}
