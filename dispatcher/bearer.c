/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The access token in the requests to an endpoint.  token.c requests the token.
 */

#include <openssl/crypto.h>

#include "base/base.h"

#include "bearer.h"
#include "send.h"
#include "target.h"


void
esd_bearer_drop(esd_token_t *token)
{
    if (token->line.data != NULL) {
        OPENSSL_cleanse(token->line.data, token->line.cap);
    }

    es_buf_free(&token->line);
}


es_rc_t
esd_bearer_attach(esd_send_t *send)
{
    send->auth.len = 0;

    if (!esd_send_trusts(send) || send->target->token.line.len == 0) {
        return ES_OK;
    }

    return es_buf_append(&send->auth, send->target->token.line.data,
                         send->target->token.line.len);
}


void
esd_bearer_refused(const esd_send_t *send)
{
    esd_token_t  *token;

    token = &send->target->token;

    if (token->line.len > 0
        && send->auth.len == token->line.len
        && CRYPTO_memcmp(send->auth.data, token->line.data, token->line.len)
           == 0)
    {
        esd_bearer_drop(token);
    }
}
