/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * New names and secrets of endpoints.
 *
 * The registry stores what it is given: the random parts of a name or a secret
 * are made here, and a rotation decides here which old secrets stay valid.
 */

#include <jansson.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/random.h"
#include "keys/public_key.h"
#include "keys/signature.h"
#include "log/store_clock.h"
#include "manage/manage.h"
#include "registry/registry.h"

#define ES_ENDPOINT_RANDOM  16


es_rc_t
es_endpoint_name(char name[ES_ENDPOINT_NAME_MAX])
{
    memcpy(name, "ep_", 3);
    name[3 + ES_ENDPOINT_RANDOM] = '\0';

    return es_random_base32(name + 3, ES_ENDPOINT_RANDOM);
}


/* The entry of an old secret: it expires at `until_ms`, or sooner if it
   already had an earlier end. */

static json_t *
es_rotate_old(json_t *old, int64_t until_ms)
{
    char         expires[ES_TIME_LEN + 1] = "";
    int64_t      ms;
    const char  *secret, *text;

    secret = json_string_value(old);

    if (json_is_object(old)) {
        secret = json_string_value(json_object_get(old, "secret"));
        text = json_string_value(json_object_get(old, "expires"));

        if (es_time_parse(es_str(text), &ms) == ES_OK && ms < until_ms) {
            until_ms = ms;
        }
    }

    es_time_print(until_ms, expires);

    return json_pack("{s:s, s:s}", "secret", secret, "expires", expires);
}


static bool
es_rotate_expired(json_t *secret, int64_t now_ms)
{
    int64_t      ms;
    const char  *text;

    text = json_string_value(json_object_get(secret, "expires"));

    return text != NULL && es_time_parse(es_str(text), &ms) == ES_OK
           && ms <= now_ms;
}


static bool
es_rotate_pair(json_t *secret)
{
    char     whpk[ES_PUBLIC_TEXT_MAX];
    json_t  *text;

    text = json_is_object(secret) ? json_object_get(secret, "secret") : secret;

    return es_secret_public(es_str(json_string_value(text)), whpk);
}


/* The new secret replaces those of its kind.  v1 comes first, because some
   receivers read only the first signature. */

static json_t *
es_rotate_secrets(const json_t *old, const char *secret, int64_t overlap_ms,
    int64_t now_ms)
{
    bool      pair;
    size_t    i;
    json_t   *list, *entry, *item;

    list = json_array();
    entry = json_string(secret);
    pair = es_rotate_pair(entry);

    if (!pair) {
        (void) json_array_append(list, entry);
    }

    for (i = 0; i < json_array_size(old); i++) {
        item = json_array_get(old, i);

        if (es_rotate_expired(item, now_ms)) {
            continue;
        }

        if (es_rotate_pair(item) != pair) {
            (void) json_array_append(list, item);

        } else if (overlap_ms > 0) {
            (void) json_array_append_new(list,
                                         es_rotate_old(item,
                                                       now_ms + overlap_ms));
        }
    }

    if (pair) {
        (void) json_array_append(list, entry);
    }

    json_decref(entry);

    return list;
}


es_rc_t
es_endpoint_secret(const char *kind, char secret[ES_SECRET_TEXT_MAX],
    es_problem_t *problem)
{
    es_rc_t  rc;

    if (strcmp(kind, "v1") == 0) {
        rc = es_secret_create(secret);

    } else if (strcmp(kind, "v1a") == 0) {
        rc = es_secret_create_pair(secret);

    } else {
        return es_problem_set(problem, ES_INVALID, -1, "/kind",
                              "kind must be \"v1\" or \"v1a\"");
    }

    return rc == ES_OK ? rc
           : es_problem_set(problem, rc, -1, NULL, "cannot make a secret: %s",
                            es_reason(rc));
}


es_rc_t
es_endpoint_keys(es_store_t *store, es_str_t name, json_t **keys)
{
    json_t    *object;
    es_rc_t    rc;
    es_buf_t   text = { 0 };

    rc = es_registry_get(store, ES_KIND_ENDPOINT, name, &text);
    if (rc != ES_OK) {
        return rc;
    }

    object = json_loadb(text.data, text.len, 0, NULL);
    *keys = es_public_keys(object, es_store_due_ms(store));

    json_decref(object);
    es_buf_free(&text);

    return *keys != NULL ? ES_OK : ES_NOMEM;
}


typedef struct {
    const char       *secret;
    int64_t           overlap_ms;
    es_str_t          name;
    int64_t           now_ms;      /* the store's time */
    const es_edit_t  *guard;
} es_rotation_t;


/* Makes the list from the stored record in the writing transaction, so that
   two rotations at once do not lose each other's secret. */

static es_rc_t
es_rotate_edit(void *ctx, json_t *stored, json_t *change,
    es_problem_t *problem)
{
    json_t         *list;
    es_rc_t         rc;
    es_rotation_t  *r = ctx;

    rc = r->guard ? r->guard->fn(r->guard->ctx, stored, change, problem)
                  : ES_OK;
    if (rc != ES_OK) {
        return rc;
    }

    list = es_rotate_secrets(json_object_get(stored, "secrets"), r->secret,
                             r->overlap_ms, r->now_ms);

    if (json_array_size(list) > ES_SECRETS_MAX) {
        json_decref(list);

        return es_problem_set(problem, ES_CONFLICT, -1, NULL, "%d secrets of "
                              "\"%.*s\" are still in use: wait until one "
                              "expires, or rotate with a smaller overlap",
                              ES_SECRETS_MAX, (int) r->name.len,
                              r->name.data);
    }

    return json_object_set_new(change, "secrets", list) == 0 ? ES_OK
                                                             : ES_NOMEM;
}


es_rc_t
es_endpoint_rotate(es_store_t *store, es_str_t name,
    char secret[ES_SECRET_TEXT_MAX], int64_t overlap_ms,
    const es_edit_t *guard, es_problem_t *problem)
{
    json_t         *change;
    es_rc_t         rc;
    es_rotation_t   rotation = { secret, overlap_ms, name,
                                 es_store_due_ms(store), guard };
    es_edit_t       edit = { es_rotate_edit, &rotation, NULL };

    if (secret[0] == '\0') {
        rc = es_secret_create(secret);
        if (rc != ES_OK) {
            return rc;
        }
    }

    change = json_object();

    rc = change ? es_registry_edit(store, ES_KIND_ENDPOINT, name, change,
                                   &edit, problem) : ES_NOMEM;
    json_decref(change);

    return rc;
}
