/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * External issuers: claims that are taken and refused, and the file of keys at
 * each fault.  t/module/issuers.t has the signatures.
 */

#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"
#include "token/issuer.h"

#define NOW_S  1795000000LL
#define HEAD   "{\"iss\":\"i\",\"aud\":\"a\",\"partner\":\"acme\","
#define GOOD   HEAD "\"exp\":1795000900"
#define ED(kid, x)                                                            \
    "{\"kid\":\"" kid "\",\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"" x     \
    "\",\"alg\":\"EdDSA\"}"
#define X1     "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
#define X2     "VCpo2LMLhn6iWku8MKvSLg2ZAoC-nlOyPVQaO3FxVeQ"

static es_issuer_conf_t  conf = {
    .iss = es_lit("i"), .aud = es_lit("a"), .typ = es_lit("at+jwt"),
    .partner_claim = es_lit("partner"),
    .scopes = ES_SCOPE_READ | ES_SCOPE_MANAGE
};

static char         dir[] = "/tmp/eventsync-issuer-XXXXXX";
static char         path[64], fresh[64];
static uint64_t     clock_ms = 1;
static es_issuer_t *issuer;


/* The reason of a refusal; NULL: it is taken. */

static const char *
taken(const char *claims, es_jwt_t *jwt)
{
    const char  *reason = NULL;

    return es_issuer_claims(&conf, es_str(claims), NOW_S * 1000, jwt, &reason)
           == ES_OK ? NULL : reason;
}


static void
refused(const char *claims, const char *reason)
{
    es_jwt_t     jwt;
    const char  *got;

    got = taken(claims, &jwt);

    if (ok(got != NULL, "refused: %s", claims)) {
        is_str(es_str(got), reason, "for this reason");

    } else {
        es_jwt_free(&jwt);
    }
}


static void
scope_is(const char *member, unsigned scopes, size_t feeds)
{
    char         claims[256];
    es_jwt_t     jwt;
    const char  *reason;

    (void) snprintf(claims, sizeof(claims), "%s%s}", GOOD, member);
    reason = taken(claims, &jwt);

    if (ok(reason == NULL, "taken: %s", member)) {
        is_int(jwt.scope.scopes, scopes, "its scopes");
        is_int((int64_t) jwt.scope.feeds.n, (int64_t) feeds, "its feeds");
        is_str(jwt.partner, "acme", "its partner");
        is_int(jwt.expires_s, NOW_S + 900, "its end");
        es_jwt_free(&jwt);
    }
}


static void
test_claims(void)
{
    static const char  times[] = "\"exp\", \"nbf\" or \"iat\" is not a time";
    static const char  cnf[] = "its \"cnf\" is not a certificate's x5t#S256";

    scope_is("", 0, 0);
    scope_is(",\"scope\":\"\"", 0, 0);
    scope_is(",\"scope\":\"  read   x \"", ES_SCOPE_READ, 0);
    scope_is(",\"scope\":\"read publish admin\"", ES_SCOPE_READ, 0);
    scope_is(",\"scope\":\"manage read\"", ES_SCOPE_READ | ES_SCOPE_MANAGE, 0);
    scope_is(",\"scope\":\"manage read feed:b*\"", ES_SCOPE_READ, 1);
    scope_is(",\"scp\":[\"read\",\"manage\"]",
             ES_SCOPE_READ | ES_SCOPE_MANAGE, 0);
    scope_is(",\"scp\":[]", 0, 0);
    scope_is(",\"nbf\":1795000060,\"iat\":1795000060.9", 0, 0);

    refused(GOOD ",\"nbf\":1795000061}", "it is not valid yet");
    refused(GOOD ",\"iat\":1795000061}", "it is not valid yet");
    refused(GOOD ",\"nbf\":null}", times);
    refused(HEAD "\"exp\":\"1795000900\"}", times);
    refused(HEAD "\"exp\":1e12}", times);
    refused(HEAD "\"iat\":1}", times);
    refused(HEAD "\"exp\":1795086461}", "it lives longer than a day");
    refused(GOOD ",\"scope\":\"read feed:\"}", "its scope is malformed");
    refused(GOOD ",\"scope\":\"read feed:A\"}", "its scope is malformed");
    refused(GOOD ",\"scope\":null}", "its scope is malformed");
    refused(GOOD ",\"scp\":[\"read\",[]]}", "its scope is malformed");
    refused("{\"aud\":\"a\"}", "its \"iss\" is another");
    refused("{\"iss\":\"i\",\"aud\":[[\"a\"]]}", "its \"aud\" is another");
    refused("{\"iss\":\"i\",\"aud\":\"a\",\"exp\":1795000900}",
            "no claim names a partner");
    refused(GOOD ",\"exp\":1795000900}", "its claims are no JSON object");
    refused(GOOD ",\"cnf\":{\"jkt\":\"x\"}}", cnf);
    refused(GOOD ",\"cnf\":{\"x5t#S256\":\"AA\"}}", cnf);
    refused(GOOD ",\"cnf\":[]}", cnf);
}


/* Replaces the file by rename. */

static void
file_is(const char *text)
{
    FILE  *file;

    file = fopen(fresh, "w");

    if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0
        || rename(fresh, path) != 0)
    {
        printf("Bail out! no file\n");
        exit(1);
    }
}


static void
looked(es_rc_t rc, bool ready, const char *what)
{
    es_problem_t  problem = { 0 };

    clock_ms += ES_ISSUER_REREAD_MS;

    is_int(es_issuer_refresh(issuer, clock_ms, &problem), rc, what);
    ok((problem.detail[0] != '\0') == (rc != ES_OK), "a problem says why");
    is_int(es_issuer_ready(issuer), ready, "its tokens can be verified");
    is_int(es_issuer_refresh(issuer, clock_ms + ES_ISSUER_REREAD_MS - 1,
                             &problem), ES_OK, "no look before the time");
}


static void
test_file(void)
{
    int64_t       changes;
    es_problem_t  problem = { 0 };

    conf.path = path;

    is_int(es_issuer_create(&conf, &issuer, &problem), ES_IO, "no file");
    file_is("{}");
    is_int(es_issuer_create(&conf, &issuer, &problem), ES_INVALID, "no key");
    file_is("{\"keys\":[" ED("one", X1) "]}");
    is_int(es_issuer_create(&conf, &issuer, &problem), ES_OK, "a key");

    looked(ES_OK, true, "the same file is no news");
    changes = (int64_t) es_issuer_changes(issuer);

    file_is("{\"keys\":[" ED("one", X1));
    looked(ES_INVALID, true, "a damaged file leaves the keys");

    clock_ms += ES_ISSUER_REREAD_MS;
    is_int(es_issuer_refresh(issuer, clock_ms, &problem), ES_OK,
           "which is said once");

    file_is("");
    looked(ES_INVALID, true, "as does an empty one, which is news");
    is_int((int64_t) es_issuer_changes(issuer), changes, "no key has changed");

    (void) chmod(path, 0666);
    looked(ES_DENIED, false, "one that all can write leaves none");
    (void) chmod(path, 0644);
    looked(ES_INVALID, false, "a damaged one brings none back");

    file_is("{\"keys\":[" ED("two", X2) "]}");
    looked(ES_OK, true, "a good one does");
    is_int((int64_t) es_issuer_changes(issuer), changes + 2,
           "the keys have gone and come back");

    (void) unlink(path);
    looked(ES_IO, false, "a missing file leaves no keys");
    clock_ms += ES_ISSUER_REREAD_MS;
    is_int(es_issuer_refresh(issuer, clock_ms, &problem), ES_OK,
           "which is said once, too");

    (void) mkdir(path, 0755);
    looked(ES_DENIED, false, "a directory is no file");
    (void) rmdir(path);
    looked(ES_IO, false, "a missing file after that is news");

    es_issuer_free(issuer);
}


int
main(void)
{
    if (mkdtemp(dir) == NULL) {
        printf("Bail out! no directory\n");
        return 1;
    }

    (void) snprintf(path, sizeof(path), "%s/keys", dir);
    (void) snprintf(fresh, sizeof(fresh), "%s/new", dir);

    test_claims();
    test_file();

    (void) rmdir(dir);

    return done();
}
