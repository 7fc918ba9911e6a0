/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Random bytes from the kernel, and base32 (RFC 4648) in lower case.
 */

#include "base/reason.h"
#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

es_rc_t
es_random(void *out, size_t len)
{
    char     *p;
    ssize_t   n;

    p = out;

    while (len > 0) {
        n = getrandom(p, len, 0);

        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return es_refused(errno, "get", "random bytes");
        }

        p += n;
        len -= (size_t) n;
    }

    return ES_OK;
}


es_rc_t
es_random_base32(char *out, size_t len)
{
    size_t  i;

    if (es_random(out, len) != ES_OK) {
        return ES_IO;
    }

    for (i = 0; i < len; i++) {
        out[i] = es_base32_char((unsigned char) out[i] & 31);
    }

    return ES_OK;
}


char
es_base32_char(unsigned value)
{
    return "abcdefghijklmnopqrstuvwxyz234567"[value & 31];
}
