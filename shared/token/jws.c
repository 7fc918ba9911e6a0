/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Splits, decodes and verifies a JWS for jwt.c and foreign.c.
 */

#include <jose/b64.h>
#include <jose/jws.h>

#include "base/base.h"
#include "token/jws.h"


bool
es_jws_split(es_str_t text, size_t max, es_jws_parts_t *parts)
{
    const char  *first, *second, *last;

    if (text.len == 0 || text.len > max) {
        return false;
    }

    last = text.data + text.len;
    first = memchr(text.data, '.', text.len);

    second = first ? memchr(first + 1, '.', (size_t) (last - first - 1))
                   : NULL;
    if (second == NULL) {
        return false;
    }

    parts->header = (es_str_t) { text.data, (size_t) (first - text.data) };
    parts->claims = (es_str_t) { first + 1, (size_t) (second - first - 1) };
    parts->signature = (es_str_t) { second + 1, (size_t) (last - second - 1) };

    return true;
}


bool
es_jws_decode(es_str_t text, char *out, size_t size, size_t *len)
{
    *len = jose_b64_dec_buf(text.data, text.len, out, size);

    return *len != SIZE_MAX && *len > 0;
}


bool
es_jws_verify(jose_cfg_t *cfg, const json_t *jwk, const es_jws_parts_t *parts)
{
    bool     good;
    json_t  *jws;

    jws = json_pack("{s:s%, s:s%, s:s%}",
                    "protected", parts->header.data, parts->header.len,
                    "payload", parts->claims.data, parts->claims.len,
                    "signature", parts->signature.data, parts->signature.len);

    good = jws != NULL && jose_jws_ver(cfg, jws, NULL, jwk, false);

    json_decref(jws);

    return good;
}
