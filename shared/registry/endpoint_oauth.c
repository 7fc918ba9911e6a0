/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes an endpoint's OAuth 2.0 client credentials (RFC 6749, section 4.4),
 * with which the dispatcher gets access tokens.
 */

#include <strings.h>

#include "keys/keyring.h"
#include "registry/endpoint_members.h"
#include "registry/member.h"
#include "registry/registry.h"

#define ES_OAUTH_MAX  1024

static const char  *const  es_oauth_members[] = {
    "token_url", "client_id", "client_secret", "scope", "audience", NULL
};


/* Visible ASCII and blanks (RFC 6749, appendix A). */

static bool
es_oauth_text_ok(es_str_t text)
{
    size_t  i;

    for (i = 0; i < text.len; i++) {
        if (text.data[i] < ' ' || text.data[i] > '~') {
            return false;
        }
    }

    return text.len <= ES_OAUTH_MAX;
}


static es_rc_t
es_take_oauth_text(es_record_t *r, json_t *oauth, const char *pointer,
    bool required, es_str_t *out)
{
    es_rc_t      rc;
    es_record_t  inner = { oauth, r->pool, r->problem };

    rc = es_take_str(&inner, pointer, required, out);

    if (rc == ES_OK && out->data != NULL && !es_sealed(*out)
        && !es_oauth_text_ok(*out))
    {
        rc = es_fault(r, pointer, "must be at most 1024 characters of "
                      "visible ASCII");
    }

    return rc;
}


static es_rc_t
es_take_oauth_members(es_record_t *r, json_t *oauth, es_oauth_t *out)
{
    es_rc_t  rc;

    if ((rc = es_take_oauth_text(r, oauth, "/token_url", true,
                                 &out->token_url)) != ES_OK
        || (rc = es_take_oauth_text(r, oauth, "/client_id", true,
                                    &out->client_id)) != ES_OK
        || (rc = es_take_oauth_text(r, oauth, "/client_secret", true,
                                    &out->client_secret)) != ES_OK
        || (rc = es_take_oauth_text(r, oauth, "/scope", false,
                                    &out->scope)) != ES_OK)
    {
        return rc;
    }

    return es_take_oauth_text(r, oauth, "/audience", false, &out->audience);
}


es_rc_t
es_take_oauth(es_record_t *r, es_endpoint_t *out)
{
    json_t      *oauth, *value;
    es_rc_t      rc;
    const char  *name;

    oauth = json_object_get(r->object, "oauth");
    if (oauth == NULL) {
        return ES_OK;
    }

    if (!json_is_object(oauth)) {
        return es_fault(r, "/oauth", "must be an object");
    }

    json_object_foreach(oauth, name, value) {
        if (!es_member_listed(es_oauth_members, name)) {
            return es_fault(r, "/oauth", "must have \"token_url\", "
                            "\"client_id\" and \"client_secret\", and may "
                            "have only \"scope\" and \"audience\" besides");
        }
    }

    json_object_foreach(json_object_get(r->object, "headers"), name, value) {
        if (strcasecmp(name, "authorization") == 0) {
            return es_fault(r, "/oauth", "cannot be used with "
                            "\"authorization\" in \"headers\"");
        }
    }

    rc = es_take_oauth_members(r, oauth, &out->oauth);

    if (rc == ES_INVALID && r->problem != NULL) {
        es_member_within(r->problem, "oauth");
    }

    return rc;
}
