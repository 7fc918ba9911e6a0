/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Shows an endpoint as its partner may see it: without secrets and without the
 * operator's members.
 */

#include <stdio.h>

#include "base/base.h"
#include "delivery/certificates.h"
#include "delivery/verification.h"
#include "keys/public_key.h"
#include "manage/manage_internal.h"
#include "registry/endpoint_members.h"
#include "registry/endpoint_simulate.h"


static json_t *
es_view_secret(json_t *secret)
{
    bool         pair;
    char         whpk[ES_PUBLIC_TEXT_MAX];
    json_t      *view, *expires;
    const char  *text;

    text = json_string_value(json_is_object(secret)
                             ? json_object_get(secret, "secret") : secret);
    expires = json_object_get(secret, "expires");

    pair = es_secret_public(es_str(text), whpk);
    view = json_pack("{s:s}", "kind", pair ? "v1a" : "v1");

    if (pair) {
        (void) json_object_set_new(view, "public_key", json_string(whpk));
    }

    if (expires != NULL) {
        (void) json_object_set(view, "expires", expires);
    }

    return view;
}


/* Header fields are shown by name only, because their values may be secret. */

static json_t *
es_view_names(json_t *headers)
{
    json_t      *list, *value;
    const char  *name;

    list = json_array();

    json_object_foreach(headers, name, value) {
        (void) json_array_append_new(list, json_string(name));
    }

    return list;
}


json_t *
es_manage_view(es_manage_ctx_t *m, es_str_t name, json_t *object)
{
    size_t              i;
    json_t             *view, *secrets, *secret;
    uint32_t            number;
    uint64_t            revision;
    es_verification_t   verification;

    number = (uint32_t) json_integer_value(json_object_get(object, "number"));
    revision = (uint64_t) json_integer_value(json_object_get(object,
                                                             "revision"));
    view = json_pack("{s:s%}", "name", name.data, name.len);
    secrets = json_array();

    json_array_foreach(json_object_get(object, "secrets"), i, secret) {
        (void) json_array_append_new(secrets, es_view_secret(secret));
    }

    if (json_object_get(object, "headers") != NULL) {
        (void) json_object_set_new(object, "headers",
                             es_view_names(json_object_get(object,
                                                           "headers")));
    }

    (void) json_object_del(json_object_get(object, "oauth"), "client_secret");
    (void) json_object_del(object, "partner");
    (void) json_object_del(object, "number");
    (void) json_object_del(object, "made_by");
    (void) json_object_del(object, "url_by");
    es_simulate_prune(object, m->now_ms);

    for (i = 0; i < ES_ENDPOINT_MEMBERS; i++) {
        if (es_endpoint_members[i].access == ES_MEMBER_OPERATOR) {
            (void) json_object_del(object, es_endpoint_members[i].name);
        }
    }

    (void) json_object_set_new(object, "secrets", secrets);
    (void) json_object_update(view, object);
    json_decref(object);

    if (es_delivery_verification(m->store, number, &verification) == ES_OK) {
        (void) json_object_set_new(view, "verification",
                                   es_verification_report(&verification));
    }

    (void) es_certificates_add(m->store, number, revision, view);

    return view;
}


es_rc_t
es_manage_owner(es_manage_ctx_t *m)
{
    size_t       i;
    char         pointer[ES_POINTER_MAX], detail[64];
    const char  *name;

    for (i = 0; i < ES_ENDPOINT_MEMBERS; i++) {
        name = es_endpoint_members[i].name;

        if (es_endpoint_members[i].access == ES_MEMBER_OPERATOR
            && json_object_get(m->body, name) != NULL)
        {
            (void) snprintf(pointer, sizeof(pointer), "/%s", name);
            (void) snprintf(detail, sizeof(detail),
                            "\"%s\" can only be set by an operator", name);
            return es_manage_invalid(m, pointer, detail);
        }
    }

    return ES_OK;
}
