/* SPDX-License-Identifier: BSD-2-Clause */

/* Tokens of external issuers, their claims, and sets of public keys. */

#include <unistd.h>

#include "event/cursor.h"
#include "fuzz.h"
#include "token/issuer.h"

#define NOW      1795000000000LL
#define ALLOWED  (ES_SCOPE_READ | ES_SCOPE_MANAGE)

static const char  set[] = "{\"keys\":[{\"kid\":\"e\",\"kty\":\"OKP\","
    "\"alg\":\"EdDSA\",\"crv\":\"Ed25519\","
    "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";

static es_issuer_t  *issuer;


/* The issuer reads its file once. */

static void
create(void)
{
    int               fd;
    static char       path[] = "/tmp/eventsync-fuzz-XXXXXX";
    es_problem_t      problem;
    es_issuer_conf_t  conf = {
        .iss = es_lit("i"), .aud = es_lit("a"), .typ = es_lit("at+jwt"),
        .partner_claim = es_lit("p"), .scopes = ALLOWED, .path = path
    };

    fd = mkstemp(path);
    must(fd != -1);
    must(write(fd, set, sizeof(set) - 1) == (ssize_t) sizeof(set) - 1);
    (void) close(fd);

    must(es_issuer_create(&conf, &issuer, &problem) == ES_OK);
    (void) unlink(path);
}


static void
check(es_jwt_t *jwt)
{
    must(es_feed_name_ok(jwt->partner));
    must((jwt->scope.scopes & ~(unsigned) ALLOWED) == 0);
    must(jwt->scope.feeds.n == 0 || !(jwt->scope.scopes & ES_SCOPE_MANAGE));
    must(jwt->scope.feeds.n <= ES_PATTERNS_MAX);
    must(jwt->expires_s > 0);
    must(es_jwt_expired(jwt, NOW + (ES_JWT_LIFETIME_MAX_S + 61) * 1000LL));

    es_jwt_free(jwt);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    es_rc_t            rc;
    es_jwt_t           jwt;
    es_str_t           text;
    const char        *reason = NULL;
    es_foreign_t       token;
    es_problem_t       problem;
    es_issuer_keys_t  *keys;

    if (issuer == NULL) {
        create();
    }

    text = (es_str_t) { (const char *) data, size };

    rc = es_issuer_verify(issuer, text, NOW, &token, &reason);

    if (rc == ES_OK) {
        must(es_issuer_of(&issuer, 1, text) == issuer);
        must(es_issuer_has(issuer, token.signer));
        check(&token.jwt);

    } else {
        must(rc == ES_INVALID && reason != NULL);
    }

    rc = es_issuer_claims(es_issuer_conf(issuer), text, NOW, &jwt, &reason);

    if (rc == ES_OK) {
        check(&jwt);

    } else {
        must(rc == ES_INVALID);
    }

    rc = es_issuer_keys_parse(text, "set", es_lit("RS256"), &keys, &problem);

    if (rc == ES_OK) {
        es_issuer_keys_free(keys);

    } else {
        must_explain(&problem, rc);
    }

    return 0;
}
