/* SPDX-License-Identifier: BSD-2-Clause */

/* Content-Digest and Repr-Digest of a request body (RFC 9530): parsed and
   compared. */

#include "event/body_digest.h"
#include "tap.h"

/* of {"hello": "world"} and a line feed, RFC 9530, appendix B */
#define SHA256  "RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg="
#define SHA512  "YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCs" \
                "yRZOtw8MjkM7iw7yZ/WkppmM44T3qg=="
#define BODY    "{\"hello\": \"world\"}\n"


static void
says(const char *value, unsigned n, es_rc_t expected, const char *name)
{
    es_rc_t            rc;
    es_body_digests_t  digests;

    memset(&digests, 0, sizeof(digests));
    rc = es_body_digests_add(&digests, es_str(value));
    ok(rc == ES_OK && digests.n == n, "%s: %u are read", name, n);
    ok(es_body_digests_check(&digests, es_str(BODY)) == expected,
       "%s: compared", name);
}


static void
is_none(const char *value)
{
    es_body_digests_t  digests;

    memset(&digests, 0, sizeof(digests));
    is_int(es_body_digests_add(&digests, es_str(value)), ES_INVALID, value);
}


int
main(void)
{
    es_body_digests_t  digests;

    says("", 0, ES_OK, "nothing");
    says("sha-256=:" SHA256 ":", 1, ES_OK, "sha-256");
    says("sha-512=:" SHA512 ":", 1, ES_OK, "sha-512");
    says("sha-512=:" SHA512 ":;a=1 ,\tsha-256=:" SHA256 ":  ", 2, ES_OK,
         "both");
    says("md5=:AAAA:, *x._-1=::", 0, ES_OK, "other algorithms");
    says("sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:", 1,
         ES_MISMATCH, "another digest");
    says("sha-512=:" SHA512 ":, sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
         "AAAAAA=:", 2, ES_MISMATCH, "one of two");

    is_none("sha-256=" SHA256);
    is_none("sha-256");
    is_none("sha-256=:" SHA256);
    is_none("sha-256=:" SHA256 ":,");
    is_none("sha-256=:" SHA256 ": x");
    is_none("sha-256=:AAAA:");
    is_none("sha-256=:" SHA512 ":");
    is_none("sha-512=:" SHA256 ":");
    is_none("sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabD==:");
    is_none("sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP_lF5HF9bvEF8FabDg=:");
    is_none("SHA-256=:" SHA256 ":");
    is_none("=:AAAA:");
    is_none(",");

    memset(&digests, 0, sizeof(digests));
    is_int(es_body_digests_add(&digests,
                               es_str("sha-256=:" SHA256 ":, sha-256=:" SHA256
                                      ":, sha-512=:" SHA512 ":, sha-512=:"
                                      SHA512 ":")),
           ES_OK, "four of them");
    is_int(es_body_digests_add(&digests, es_str("sha-256=:" SHA256 ":")),
           ES_TOO_LARGE, "a fifth, in a second field");

    return done();
}
