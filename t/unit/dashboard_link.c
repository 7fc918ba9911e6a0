/* SPDX-License-Identifier: BSD-2-Clause */

/* Links to the dashboard: their states, and how they are redeemed and
   forgotten. */

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "open/open.h"
#include "registry/dashboard_link.h"
#include "registry/registry.h"
#include "store/store.h"
#include "tap.h"

#define DAY  INT64_C(86400000)

static char         dir[] = "/tmp/eventsync-link-XXXXXX";
static es_store_t  *store;
static int64_t      now;


static es_rc_t
create(const char *id, const char *digest, const char *link, int64_t expires_ms)
{
    char  json[512], time[ES_TIME_LEN + 1] = "";

    es_time_print(expires_ms, time);
    (void) snprintf(json, sizeof(json), "{\"partner\":\"acme\",\"scopes\":"
                    "[\"read\"],\"digest\":\"%s\",%s%s%s\"expires\":\"%s\"}",
                    digest, link ? "\"link\":\"" : "", link ? link : "",
                    link ? "\"," : "", time);

    return es_registry_create(store, ES_KIND_KEY, es_str(id), json, NULL);
}


static void
hex(const es_apikey_t *key, char out[2 * ES_DIGEST_LEN + 1])
{
    int  i;

    for (i = 0; i < ES_DIGEST_LEN; i++) {
        (void) snprintf(out + 2 * i, 3, "%02x", key->digest[i]);
    }
}


static void
texts(void)
{
    char         text[ES_APIKEY_LEN + 1], again[ES_APIKEY_LEN + 1];
    es_apikey_t  link, key;

    is_int(es_link_create(text, &link), ES_OK, "a secret is made");
    ok(strncmp(text, "esl_", 4) == 0, "of its own form");
    is_int(es_link_parse(es_str(text), &key), ES_OK, "it is parsed");
    is_str(es_str(key.id), link.id, "to its id");
    is_int(es_apikey_parse(es_str(text), &key), ES_INVALID, "and is no key");

    is_int(es_apikey_renew(false, again, &link), ES_OK, "a key is made for its id");
    is_int(es_apikey_parse(es_str(again), &key), ES_OK, "which is one");
    is_str(es_str(key.id), link.id, "with the id");
    is_int(es_link_parse(es_str(again), &key), ES_INVALID, "and no link");
}


static void
states(void)
{
    es_partner_t  partner = { 0 };
    es_key_t      key = { .partner = &partner, .expires_ms = 100 };
    uint8_t       other[ES_DIGEST_LEN] = { 2 };

    is_int(es_link_state(&key, key.link, 1), ES_LINK_UNKNOWN, "a key is none");

    key.linked = true;
    key.link[0] = key.digest[0] = 1;
    is_int(es_link_state(&key, other, 1), ES_LINK_UNKNOWN, "another secret");
    is_int(es_link_state(&key, key.link, 1), ES_LINK_WAITS, "a new link waits");
    ok(!es_key_valid(&key, 1), "and is no valid key meanwhile");
    is_int(es_link_state(&key, key.link, 100), ES_LINK_EXPIRED, "it expires");

    partner.disabled = true;
    is_int(es_link_state(&key, key.link, 1), ES_LINK_REVOKED,
           "with its partner");
    partner.disabled = false;
    key.revoked_ms = 50;
    is_int(es_link_state(&key, key.link, 49), ES_LINK_WAITS, "it is revoked");
    is_int(es_link_state(&key, key.link, 50), ES_LINK_REVOKED, "at a time");

    key.revoked_ms = 0;
    key.digest[0] = 3;
    is_int(es_link_state(&key, key.link, 1), ES_LINK_USED, "it was used");
    is_int(es_link_state(&key, key.link, 100), ES_LINK_USED, "also later");
    ok(es_key_valid(&key, 1), "and its key is valid");
}


static void
redeemed(void)
{
    char            text[ES_APIKEY_LEN + 1], digest[2 * ES_DIGEST_LEN + 1];
    es_problem_t    problem;
    es_apikey_t     link, other, made;
    es_link_key_t   key;
    es_registry_t  *registry;

    (void) es_link_create(text, &link);
    hex(&link, digest);
    is_int(create(link.id, digest, digest, now + 1000), ES_OK, "a link");

    other = link;
    other.digest[0] ^= 1;
    is_int(es_link_redeem(store, &other, now, &key, &problem), ES_CONFLICT,
           "is not redeemed by another secret");
    is_int(key.state, ES_LINK_UNKNOWN, "which is unknown");
    is_int(es_link_redeem(store, &link, now + 1000, &key, &problem),
           ES_CONFLICT, "nor when it has expired");
    is_int(key.state, ES_LINK_EXPIRED, "which is said");
    is_int(es_link_redeem(store, &link, now, &key, &problem), ES_OK,
           "but by its own");
    is_int(key.expires_ms, now + ES_LINK_KEY_MS, "for an hour");
    is_int(es_apikey_parse(es_str(key.text), &made), ES_OK, "to a key");

    is_int(es_registry_load(store, &registry), ES_OK, "the registry");
    ok(es_apikey_equal(es_registry_key(registry, link.id)->digest,
                       made.digest), "has its digest");
    is_int(es_registry_key(registry, link.id)->expires_ms, key.expires_ms,
           "and its end");
    es_registry_free(registry);

    is_int(es_link_redeem(store, &link, now, &key, &problem), ES_CONFLICT,
           "a second time it is not");
    is_int(key.state, ES_LINK_USED, "which is said");
    memcpy(other.id, "aaaaaaaaaa", ES_KEYID_LEN);
    is_int(es_link_redeem(store, &other, now, &key, &problem), ES_CONFLICT,
           "nor is one that is not there");
    is_int(key.state, ES_LINK_UNKNOWN, "which is unknown");
}


/* Only es_link_redeem() changes a digest. */

static void
fixed(void)
{
    char          text[ES_APIKEY_LEN + 1], digest[2 * ES_DIGEST_LEN + 1];
    char          json[128];
    es_apikey_t   link;
    es_problem_t  problem;

    (void) es_link_create(text, &link);
    hex(&link, digest);
    is_int(create(link.id, digest, digest, now + 1000), ES_OK, "a link");

    digest[0] = digest[0] == 'a' ? 'b' : 'a';
    (void) snprintf(json, sizeof(json), "{\"digest\":\"%s\"}", digest);
    is_int(es_registry_change(store, ES_KIND_KEY, es_str(link.id), json,
                              &problem), ES_INVALID, "keeps its digest");
    is_str(es_str(problem.pointer), "/digest", "which it names");
    (void) snprintf(json, sizeof(json), "{\"link\":\"%s\"}", digest);
    is_int(es_registry_change(store, ES_KIND_KEY, es_str(link.id), json,
                              &problem), ES_INVALID, "and that of its secret");
    is_str(es_str(problem.pointer), "/link", "which it names");
    is_int(create("bbbbbbbbbb", digest, "short", now), ES_INVALID,
           "which must be one");
    (void) snprintf(json, sizeof(json), "{\"expires\":null}");
    is_int(es_registry_change(store, ES_KIND_KEY, es_str(link.id), json,
                              &problem), ES_INVALID, "and its end");
    is_str(es_str(problem.pointer), "/expires", "which it names");
}


static size_t
keys(void)
{
    char    name[64] = "", next[64];
    size_t  n;

    for (n = 0;
         es_registry_next(store, ES_KIND_KEY, es_str(name), next) == ES_OK;
         n++)
    {
        memcpy(name, next, sizeof(name));
    }

    return n;
}


static void
pruned(void)
{
    int          i;
    char         text[ES_APIKEY_LEN + 1], digest[2 * ES_DIGEST_LEN + 1];
    size_t       before;
    es_apikey_t  link;

    (void) es_link_create(text, &link);
    hex(&link, digest);
    is_int(create("cccccccccc", digest, NULL, now - 9 * DAY), ES_OK,
           "an old key");
    is_int(create("dddddddddd", digest, digest, now - DAY + 1000), ES_OK,
           "a link that ended within a day");
    before = keys();

    for (i = 0; i < 90; i++) {
        (void) es_link_create(text, &link);
        hex(&link, digest);
        (void) create(link.id, digest, digest, now - DAY);
    }

    is_int((int64_t) keys(), (int64_t) before + 90, "ninety old links");
    is_int(es_link_prune(store, es_lit("other"), now), ES_OK, "stay");
    is_int((int64_t) keys(), (int64_t) before + 90, "if others' are removed");
    is_int(es_link_prune(store, es_lit("acme"), now), ES_OK,
           "old links are removed");
    is_int((int64_t) keys(), (int64_t) before, "and nothing else");
}


static int
unmake(const char *path, const struct stat *sb, int flag, struct FTW *ftw)
{
    (void) sb;
    (void) flag;
    (void) ftw;

    return remove(path);
}


int
main(void)
{
    es_problem_t  problem = { 0 };

    if (mkdtemp(dir) == NULL
        || es_store_create(dir, &problem) != ES_OK
        || es_store_open(dir, ES_STORE_ADMIN, &store, &problem) != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    now = es_clock_ms();
    is_int(es_registry_create(store, ES_KIND_PARTNER, es_lit("acme"), "{}",
                              NULL), ES_OK, "a partner");
    texts();
    states();
    redeemed();
    fixed();
    pruned();

    es_store_close(store);
    (void) nftw(dir, unmake, 8, FTW_DEPTH | FTW_PHYS);

    return done();
}
