/* SPDX-License-Identifier: BSD-2-Clause */

/* Checks and decodes base64: OpenSSL decodes what was checked here. */

#include <openssl/evp.h>

#include "base/ascii.h"
#include "base/base.h"
#include "base/base64.h"


static size_t
es_base64_padding(es_str_t text)
{
    size_t  pad;

    for (pad = 0; pad < 2 && pad < text.len
                  && text.data[text.len - 1 - pad] == '='; pad++)
    {
        /* void */
    }

    return pad;
}


bool
es_base64_ok(es_str_t text)
{
    int          value;
    size_t       i, pad;
    const char  *at;

    static const char  alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    if (text.len % 4 != 0) {
        return false;
    }

    pad = es_base64_padding(text);
    text.len -= pad;

    for (i = 0; i < text.len; i++) {
        if (!es_is_alnum(text.data[i]) && text.data[i] != '+'
            && text.data[i] != '/')
        {
            return false;
        }
    }

    if (pad == 0) {
        return true;
    }

    at = memchr(alphabet, text.data[text.len - 1], 64);
    value = (int) (at - alphabet);

    return (value & (pad == 1 ? 3 : 15)) == 0;
}


es_rc_t
es_base64_decode(es_str_t text, void *out, size_t *len)
{
    int  n;

    *len = 0;

    if (text.len == 0 || text.len > INT32_MAX || !es_base64_ok(text)) {
        return ES_INVALID;
    }

    n = EVP_DecodeBlock(out, (const unsigned char *) text.data,
                        (int) text.len);

    if (n < 0) {
        return ES_INVALID;
    }

    *len = (size_t) n - es_base64_padding(text);

    return ES_OK;
}
