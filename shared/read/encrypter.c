/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Looks up ciphertexts for field lists, and collects what has none yet.
 */

#include <stdlib.h>

#include "base/base.h"
#include "base/json.h"
#include "base/pool.h"
#include "base/reason.h"
#include "fields/fields.h"
#include "read/encrypter.h"

/* Each encrypts ES_ENCRYPTER_ITEMS values of an event. */
#define ES_ENCRYPTER_PASSES  1024


void
es_encrypter_init(es_encrypter_t *e, es_ciphertexts_t *texts)
{
    e->texts = texts;
    e->seal.fn = es_encrypter_field;
    e->seal.ctx = e;
}


static void
es_encrypter_reset(es_encrypter_t *e)
{
    size_t  i;

    for (i = 0; i < e->nitems; i++) {
        es_buf_free(&e->items[i].out);
    }

    es_pool_free(&e->pool);
    e->items = NULL;
    e->nitems = 0;
    e->bytes = 0;
}


void
es_encrypter_free(es_encrypter_t *e)
{
    es_encrypter_reset(e);
}


/* Returns the text of the inside of a JSON string. */

static es_str_t
es_encrypter_text(es_pool_t *pool, es_str_t inside)
{
    char             *out;
    es_str_t          text;
    es_json_value_t   value;

    /* the quotes are there, around the inside */

    memset(&value, 0, sizeof(value));
    value.type = ES_JSON_STRING;
    value.text.data = inside.data - 1;
    value.text.len = inside.len + 2;
    value.escaped = memchr(inside.data, '\\', inside.len) != NULL;

    out = es_pool_alloc(pool, value.text.len);
    if (out == NULL) {
        return es_null_str;
    }

    text.data = out;
    text.len = (size_t) (es_json_decode(&value, out) - out);

    return text;
}


/* Fills an item, whose texts are in the pool; `plain` stays where it is. */

static es_rc_t
es_encrypter_item(es_pool_t *pool, es_str_t key,
    const es_fields_place_t *place, es_ciphertext_t *item)
{
    char   *pointer;
    size_t  prefix;

    if (place->id.data == NULL || place->source.data == NULL
        || place->feed.data == NULL || place->cursor.data == NULL
        || key.len != sizeof(es_jwe_key_t))
    {
        return ES_DENIED;
    }

    prefix = sizeof("/data") - 1;
    pointer = es_pool_alloc(pool, prefix + place->pointer.len + 1);

    item->key = (const es_jwe_key_t *) (const void *)
                es_pool_str(pool, key).data;
    item->cursor = es_pool_str(pool, place->cursor);
    item->place.feed = es_pool_str(pool, place->feed);
    item->place.source = es_encrypter_text(pool, place->source);
    item->place.id = es_encrypter_text(pool, place->id);
    item->place.field.data = pointer;
    item->place.field.len = prefix + place->pointer.len;

    if (item->key == NULL || item->cursor.data == NULL
        || item->place.feed.data == NULL || item->place.source.data == NULL
        || item->place.id.data == NULL || pointer == NULL)
    {
        return ES_NOMEM;
    }

    memcpy(pointer, "/data", prefix);
    memcpy(pointer + prefix, place->pointer.data, place->pointer.len);

    return ES_OK;
}


/* Adds an item to those that es_encrypter_make() encrypts, if there is room. */

static es_rc_t
es_encrypter_collect(es_encrypter_t *e, es_str_t key,
    const es_fields_place_t *place, es_str_t plain)
{
    es_rc_t           rc;
    es_ciphertext_t  *item;

    if (!e->seal.missing) {
        es_encrypter_reset(e);
        e->seal.missing = true;
    }

    if (e->nitems == ES_ENCRYPTER_ITEMS
        || (e->nitems > 0 && e->bytes + plain.len > ES_ENCRYPTER_BYTES))
    {
        return ES_OK;
    }

    if (e->items == NULL) {
        e->items = es_pool_alloc(&e->pool, ES_ENCRYPTER_ITEMS
                                           * sizeof(es_ciphertext_t));
        if (e->items == NULL) {
            return ES_NOMEM;
        }
    }

    item = &e->items[e->nitems];
    rc = es_encrypter_item(&e->pool, key, place, item);
    item->plain = es_pool_str(&e->pool, plain);

    if (rc != ES_OK || item->plain.data == NULL) {
        return rc != ES_OK ? rc : ES_NOMEM;
    }

    e->nitems++;
    e->bytes += plain.len;

    return ES_OK;
}


static es_rc_t
es_encrypter_replace(es_buf_t *out, size_t from, es_str_t jwe)
{
    es_rc_t  rc;

    out->len = from;
    rc = es_buf_append(out, "\"", 1);

    if (rc == ES_OK) {
        rc = es_buf_str(out, jwe);
    }

    return rc == ES_OK ? es_buf_append(out, "\"", 1) : rc;
}


es_rc_t
es_encrypter_field(void *ctx, es_str_t key, const es_fields_place_t *place,
    es_buf_t *out, size_t from)
{
    es_rc_t           rc;
    es_pool_t         pool = { NULL, 4096 };
    es_encrypter_t   *e = ctx;
    es_ciphertext_t   item = { 0 };

    item.plain.data = out->data + from;
    item.plain.len = out->len - from;

    rc = es_encrypter_item(&pool, key, place, &item);

    if (rc == ES_OK) {
        rc = es_ciphertexts_get(e->texts, &item);

        if (rc == ES_OK) {
            rc = es_encrypter_replace(out, from, (es_str_t) { item.out.data,
                                                              item.out.len });

        } else if (rc == ES_NOT_FOUND) {
            rc = es_encrypter_collect(e, key, place, item.plain);

            if (rc == ES_OK) {
                out->len = from;
                rc = es_buf_append(out, "null", 4);
            }
        }
    }

    es_buf_free(&item.out);
    es_pool_free(&pool);

    return rc;
}


void
es_encrypter_move(es_encrypter_t *e, es_encrypter_t *to)
{
    *to = *e;
    memset(e, 0, sizeof(es_encrypter_t));
    es_encrypter_init(e, to->texts);
    es_encrypter_init(to, to->texts);
}


es_rc_t
es_encrypter_make(es_encrypter_t *e)
{
    es_rc_t  rc;

    rc = es_ciphertexts_make(e->texts, e->items, e->nitems);
    es_encrypter_reset(e);

    return rc;
}


es_rc_t
es_encrypter_event(es_encrypter_t *e, const es_fields_t *fields,
    es_str_t event, es_buf_t *out)
{
    size_t    start;
    es_rc_t   rc;
    unsigned  i;

    start = out->len;

    for (i = 0; i < ES_ENCRYPTER_PASSES; i++) {
        e->seal.missing = false;
        rc = es_fields_event(fields, &e->seal, event, out);

        if (rc != ES_OK || !e->seal.missing) {
            return rc;
        }

        out->len = start;
        rc = es_encrypter_make(e);

        if (rc != ES_OK) {
            return rc;
        }
    }

    return es_refused_text(ES_IO, "ciphertexts cannot be kept");
}
