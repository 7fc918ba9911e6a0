/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * API keys and client certificates of partners: created, changed, and revoked,
 * also with the endpoints that they have made.
 *
 * The store has only a digest of a key, so that a key can be printed only when
 * it is created.
 */

#include <stdio.h>

#include "advice.h"
#include "base/clock.h"
#include "key_certificate.h"
#include "log/store_clock.h"
#include "object.h"
#include "store/staging.h"

typedef struct {
    const char  *key;              /* id */
    json_t      *names;            /* of its endpoints that are not paused */
} ctl_key_made_t;


/* A record without names would narrow nothing, and an empty list comes more
   likely from an empty shell variable. */

static int
ctl_key_named(const char *option, const char *noun, const char *text)
{
    return text != NULL && text[strspn(text, ",")] == '\0'
           ? ctl_fail(CTL_USAGE, "\"--%s\" names no %s; leave the option out to "
                      "narrow nothing", option, noun)
           : CTL_OK;
}


/* The options of `key create` and `key change`; NULL: not given. */
typedef struct {
    const char              *scopes;
    const char              *feeds;
    const char              *consumers;
    const char              *expires;
    const char              *from;
    const char              *label;
    ctl_certificate_args_t   certificate;
} ctl_key_args_t;


/* Sets the members that a key may be given anew later, too. */

static int
ctl_key_members(const ctl_key_args_t *a, json_t *object)
{
    if (a->expires != NULL) {
        (void) json_object_set_new(object, "expires",
                                   strcmp(a->expires, "never") == 0
                                   ? json_null() : json_string(a->expires));
    }

    if (a->label != NULL) {
        (void) json_object_set_new(object, "label",
                                   a->label[0] == '\0'
                                   ? json_null() : json_string(a->label));
    }

    return ctl_allow_from(a->from, object);
}


/* The record of a new key; NULL with *rc. */

static json_t *
ctl_key_record(const ctl_key_args_t *a, const char *partner,
    const es_apikey_t *key, int *rc)
{
    int      i;
    char     digest[2 * ES_DIGEST_LEN + 1];
    json_t  *object;

    if ((*rc = ctl_key_named("feeds", "feed", a->feeds)) != CTL_OK
        || (*rc = ctl_key_named("consumers", "consumer", a->consumers))
           != CTL_OK)
    {
        return NULL;
    }

    for (i = 0; i < ES_DIGEST_LEN; i++) {
        (void) snprintf(digest + 2 * i, 3, "%02x", key->digest[i]);
    }

    object = json_pack("{s:s, s:s, s:o}", "partner", partner,
                       "digest", digest, "scopes", ctl_list(a->scopes));
    if (object == NULL) {
        *rc = ctl_fail(CTL_FAILED, "out of memory");
        return NULL;
    }

    if (a->feeds != NULL) {
        (void) json_object_set_new(object, "feeds", ctl_list(a->feeds));
    }

    if (a->consumers != NULL) {
        (void) json_object_set_new(object, "consumers",
                                   ctl_list(a->consumers));
    }

    if (ctl_certificate_given(&a->certificate)) {
        (void) json_object_set_new(object, "certificate",
                                   ctl_certificate_member(&a->certificate,
                                                          digest));
    }

    *rc = ctl_key_members(a, object);

    if (*rc != CTL_OK) {
        json_decref(object);
        return NULL;
    }

    return object;
}


/* Makes the key, or takes the name of a certificate.  `text` stays empty if it
   is a certificate. */

static int
ctl_key_make(ctl_t *ctl, const ctl_key_args_t *a,
    char text[ES_APIKEY_LEN + 1], es_apikey_t *key)
{
    int  rc;

    text[0] = '\0';

    if (ctl_certificate_given(&a->certificate)) {
        return ctl_certificate_read(&a->certificate, key);
    }

    rc = ctl_open(ctl, ES_STORE_ADMIN);
    if (rc != CTL_OK) {
        return rc;
    }

    return es_apikey_create(es_staging(ctl->store_path), text, key) == ES_OK
           ? CTL_OK : ctl_fail(CTL_FAILED, "cannot get random bytes");
}


/* Prints the key, or the id of a certificate.  A document has the id. */

static void
ctl_key_print(ctl_t *ctl, const char *text, const char *id)
{
    if (!ctl->json) {
        (void) printf("%s\n", text[0] != '\0' ? text : id);

    } else if (text[0] != '\0') {
        (void) json_object_set_new(ctl->result, "key", json_string(text));
    }
}


int
ctl_key_create(ctl_t *ctl, int argc, char **argv)
{
    int              rc;
    char             text[ES_APIKEY_LEN + 1];
    json_t          *object;
    es_apikey_t      key;
    ctl_key_args_t   a = { 0 };

    const ctl_option_t  options[] = {
        { "scopes", &a.scopes },
        { "feeds", &a.feeds },
        { "consumers", &a.consumers },
        { "expires", &a.expires },
        { "allow-from", &a.from },
        { "label", &a.label },
        { "certificate", &a.certificate.file },
        { "fingerprint", &a.certificate.fingerprint },
        { "subject", &a.certificate.subject },
        { "issuer", &a.certificate.issuer },
        { "uri", &a.certificate.uri },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);
    if (rc != CTL_OK) {
        return rc;
    }

    if (a.scopes == NULL) {
        return ctl_fail(CTL_USAGE, "\"--scopes\" is needed, for example "
                        "--scopes=read,publish");
    }

    rc = ctl_key_make(ctl, &a, text, &key);
    if (rc != CTL_OK) {
        return rc;
    }

    object = ctl_key_record(&a, argv[0], &key, &rc);

    if (object != NULL) {
        rc = ctl_object_create(ctl, ES_KIND_KEY, key.id, object);
    }

    if (rc == CTL_OK) {
        ctl_key_print(ctl, text, key.id);
        ctl_advise_key(ctl, key.id);
    }

    explicit_bzero(text, sizeof(text));

    return rc;
}


int
ctl_key_change(ctl_t *ctl, int argc, char **argv)
{
    int              rc;
    json_t          *object;
    ctl_key_args_t   a = { 0 };

    const ctl_option_t  options[] = {
        { "allow-from", &a.from },
        { "expires", &a.expires },
        { "label", &a.label },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);
    if (rc != CTL_OK) {
        return rc;
    }

    object = json_object();
    rc = ctl_key_members(&a, object);

    if (rc != CTL_OK) {
        json_decref(object);
        return rc;
    }

    if (json_object_size(object) == 0) {
        ctl_note("no option was given: the record stays as it is");
    }

    return ctl_object_change(ctl, ES_KIND_KEY, argv[0], object);
}


/* Adds the endpoint's name if the key has made it and it is not paused. */

static es_rc_t
ctl_key_collect(void *ctx, es_str_t name, es_str_t text)
{
    json_t          *object;
    const char      *made_by;
    ctl_key_made_t  *made = ctx;

    object = json_loadb(text.data, text.len, 0, NULL);
    made_by = json_string_value(json_object_get(object, "made_by"));

    if (made_by != NULL
        && strcmp(made_by, made->key) == 0
        && !json_is_true(json_object_get(object, "paused")))
    {
        (void) json_array_append_new(made->names,
                                     json_stringn(name.data, name.len));
    }

    json_decref(object);

    return ES_OK;
}


/* Collects the endpoints that the key has made, which are its partner's. */

static es_rc_t
ctl_key_made(ctl_t *ctl, ctl_key_made_t *made)
{
    json_t    *key;
    es_rc_t    rc;
    es_str_t   partner;
    es_buf_t   text = { 0 };

    rc = es_registry_get(ctl->store, ES_KIND_KEY, es_str(made->key), &text);

    if (rc == ES_OK) {
        key = json_loadb(text.data, text.len, 0, NULL);
        partner = es_str(json_string_value(json_object_get(key, "partner")));

        rc = es_registry_each_of(ctl->store, ES_KIND_ENDPOINT, partner,
                                 es_null_str, ctl_key_collect, made);
        json_decref(key);
    }

    es_buf_free(&text);

    return rc;
}


/* Pauses the endpoints instead of removing them, because some may be the
   partner's own work before the key leaked.  A paused endpoint is sent nothing
   and loses nothing, and an operator can look at it. */

static int
ctl_key_pause(ctl_t *ctl, const char *id)
{
    int              rc;
    size_t           i;
    json_t          *name;
    es_rc_t          es;
    json_t          *key = json_incref(ctl->result);
    ctl_key_made_t   made = { .key = id, .names = json_array() };

    rc = CTL_OK;
    es = ctl_key_made(ctl, &made);

    if (es != ES_OK) {
        rc = ctl_fail(CTL_FAILED, "cannot read the registry: %s",
                      es_reason(es));
    }

    json_array_foreach(made.names, i, name) {
        if (rc == CTL_OK) {
            rc = ctl_object_change(ctl, ES_KIND_ENDPOINT,
                                   json_string_value(name),
                                   json_pack("{s:b}", "paused", true));
        }

        if (rc == CTL_OK && !ctl->json) {
            (void) printf("%s\n", json_string_value(name));
        }
    }

    if (key != NULL) {
        (void) json_object_set(key, "paused", made.names);
        ctl_result(ctl, json_incref(key));
    }

    json_decref(key);
    json_decref(made.names);

    return rc;
}


/* The key is revoked first: from then on it makes no endpoint. */

int
ctl_key_revoke(ctl_t *ctl, int argc, char **argv)
{
    int          rc;
    char         now[ES_TIME_LEN];
    const char  *with_endpoints = NULL;

    const ctl_option_t  options[] = {
        { "with-endpoints", &with_endpoints },
        { NULL, NULL }
    };

    rc = ctl_begin(ctl, &argc, argv, options, ES_STORE_ADMIN);
    if (rc != CTL_OK) {
        return rc;
    }

    (void) ctl_advise_flag(ctl, ES_KIND_KEY, argv[0], "revoked", true,
                           "revoked");
    es_time_print(es_store_ms(ctl->store), now);

    rc = ctl_object_change(ctl, ES_KIND_KEY, argv[0],
                           json_pack("{s:o}", "revoked",
                                     json_stringn(now, ES_TIME_LEN)));

    return rc == CTL_OK && with_endpoints != NULL
           ? ctl_key_pause(ctl, argv[0]) : rc;
}
