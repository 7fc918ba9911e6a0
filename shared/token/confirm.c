/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Tokens that are bound to a certificate.
 */

#include <string.h>

#include <jansson.h>
#include <jose/b64.h>

#include "base/base.h"
#include "base/json.h"
#include "token/confirm.h"
#include "token/jws.h"
#include "token/jwt.h"


es_rc_t
es_confirm_take(const json_t *claims, es_jwt_t *jwt)
{
    char     digest[ES_DIGEST_LEN];
    size_t   len;
    json_t  *cnf;

    cnf = json_object_get(claims, "cnf");
    jwt->bound = cnf != NULL;

    if (cnf == NULL) {
        return ES_OK;
    }

    /* a second member would be another proof that is asked for */

    if (json_object_size(cnf) != 1
        || !es_jws_decode(es_text(json_object_get(cnf, "x5t#S256")), digest,
                          sizeof(digest), &len)
        || len != ES_DIGEST_LEN)
    {
        return ES_INVALID;
    }

    memcpy(jwt->certificate, digest, ES_DIGEST_LEN);

    return ES_OK;
}


es_rc_t
es_confirm_add(json_t *claims, const es_jwt_t *jwt)
{
    if (!jwt->bound) {
        return ES_OK;
    }

    return json_object_set_new(claims, "cnf",
                               json_pack("{s:o}", "x5t#S256",
                                         jose_b64_enc(jwt->certificate,
                                                      ES_DIGEST_LEN)))
           == 0 ? ES_OK : ES_NOMEM;
}
