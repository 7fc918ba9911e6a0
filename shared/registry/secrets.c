/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds the secret members of registry records and encrypts or decrypts them.
 *
 * One table says where secrets are; every function walks it.
 */

#include <openssl/crypto.h>
#include <stdio.h>

#include "base/base.h"
#include "keys/keyring.h"
#include "keys/public_key.h"
#include "registry/object.h"
#include "registry/registry.h"
#include "registry/secrets.h"

#define ES_BOUND_MAX  (16 + ES_FEED_MAX + 32)

/*
 * The secret is the value of `member`.  If that is an array, each element is
 * one.  If a value is an object, its member `inner` is the secret, or without
 * `inner` each of its members.
 */
typedef struct {
    es_kind_t    kind;
    const char  *member;
    const char  *inner;
} es_secret_field_t;

static const es_secret_field_t  es_secret_fields[] = {
    { ES_KIND_ENDPOINT, "secrets", "secret" },
    { ES_KIND_ENDPOINT, "headers", NULL },
    { ES_KIND_ENDPOINT, "oauth", "client_secret" }
};

typedef struct {
    const es_keyring_t  *ring;
    es_str_t             name;
    json_t              *other;
    es_kind_t            kind;
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

    if (json_is_object(value) && field->inner == NULL) {
        json_object_foreach(value, name, item) {
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


static es_str_t
es_secret_text(json_t *text)
{
    return (es_str_t) { json_string_value(text), json_string_length(text) };
}


/* A secret is encrypted together with its kind, record and member.  Otherwise
   somebody who may write another endpoint could copy it there and have it
   used. */

static es_str_t
es_secret_bound(const es_secrets_ctx_t *ctx, const es_secret_field_t *field,
    char buf[ES_BOUND_MAX])
{
    int  n;

    n = snprintf(buf, ES_BOUND_MAX, "%s/%.*s/%s", es_kind_name(ctx->kind),
                 (int) ctx->name.len, ctx->name.data, field->member);

    return (es_str_t) { buf, (size_t) n };
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
    char      bound[ES_BOUND_MAX], public_key[ES_PUBLIC_TEXT_MAX];
    es_rc_t   rc;
    es_buf_t  out = { 0 };

    if (es_sealed(es_secret_text(text))) {
        return ES_OK;
    }

    if (!es_secret_public(es_secret_text(text), public_key)) {
        public_key[0] = '\0';
    }

    rc = es_seal(ctx->ring, es_secret_bound(ctx, field, bound),
                 es_secret_text(text), es_str(public_key), &out);

    return es_secret_replace(text, &out, rc);
}


es_rc_t
es_secrets_seal(const es_keyring_t *ring, es_kind_t kind, es_str_t name,
    json_t *object)
{
    es_secrets_ctx_t  ctx = { .ring = ring, .name = name, .kind = kind };

    return es_secrets_each(&ctx, object, es_secret_seal);
}


static es_rc_t
es_secret_open(es_secrets_ctx_t *ctx, const es_secret_field_t *field,
    json_t *text)
{
    char      bound[ES_BOUND_MAX];
    es_rc_t   rc;
    es_buf_t  out = { 0 };

    if (!es_sealed(es_secret_text(text))) {
        return ES_OK;
    }

    rc = ctx->ring == NULL
         ? ES_NOT_FOUND
         : es_unseal(ctx->ring, es_secret_bound(ctx, field, bound),
                     es_secret_text(text), &out);
    rc = es_secret_replace(text, &out, rc);

    if (rc != ES_OK && ctx->rc != ES_CORRUPT) {
        ctx->rc = rc;
    }

    return rc == ES_NOMEM ? rc : ES_OK;
}


es_rc_t
es_secrets_open(const es_keyring_t *ring, es_kind_t kind, es_str_t name,
    json_t *object)
{
    es_secrets_ctx_t  ctx = { .ring = ring, .name = name, .kind = kind };

    (void) es_secrets_each(&ctx, object, es_secret_open);

    return ctx.rc;
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
    (void) field;

    ctx->count += json_equal(text, ctx->other);

    return ES_OK;
}


static es_rc_t
es_secret_known(es_secrets_ctx_t *ctx, const es_secret_field_t *field,
    json_t *text)
{
    es_secrets_ctx_t  search = { .kind = ctx->kind, .other = text };

    (void) field;

    if (!es_sealed(es_secret_text(text))) {
        return ES_OK;
    }

    (void) es_secrets_each(&search, ctx->other, es_secret_equal);

    return search.count > 0 ? ES_OK : ES_INVALID;
}


bool
es_secrets_known(es_kind_t kind, json_t *input, json_t *stored)
{
    es_secrets_ctx_t  ctx = { .kind = kind, .other = stored };

    return es_secrets_each(&ctx, input, es_secret_known) == ES_OK;
}
