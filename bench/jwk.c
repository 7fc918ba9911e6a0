/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * jwk prints a set with one new RSA key of 4096 bits, for access tokens.
 */

#include "bench.h"

#include <jansson.h>
#include <jose/jwk.h>

int
main(void)
{
    json_t  *jwk, *set;

    jwk = json_pack("{s:s, s:i}", "kty", "RSA", "bits", 4096);

    if (jwk == NULL || !jose_jwk_gen(NULL, jwk)
        || json_object_set_new(jwk, "alg", json_string("RS256")) != 0
        || json_object_set_new(jwk, "kid", json_string("bench")) != 0)
    {
        bench_die("cannot make a key");
    }

    set = json_pack("{s:[o]}", "keys", jwk);

    if (set == NULL || json_dumpf(set, stdout, JSON_COMPACT) != 0) {
        bench_die("cannot print the key");
    }

    json_decref(set);

    return 0;
}
