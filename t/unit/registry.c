/* SPDX-License-Identifier: BSD-2-Clause */

/* Partners, keys and endpoints: writing, reading and loading their records. */

#include <dirent.h>
#include <unistd.h>

#include "catalogue/catalogue.h"
#include "fields/fields.h"
#include "log/chunk.h"
#include "open/open.h"
#include "registry/control_request.h"
#include "registry/endpoint_members.h"
#include "registry/flags.h"
#include "registry/registry.h"
#include "registry/values.h"
#include "store/plain_secrets.h"
#include "store/store.h"
#include "tap.h"

#define SECRET  "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define DIGEST  "00112233445566778899aabbccddeeff" \
                "00112233445566778899aabbccddeeff"
#define KEY     "\"partner\":\"acme\",\"digest\":\"" DIGEST "\""
#define READS   KEY ",\"scopes\":[\"read\"]"
#define HOOK    "\"partner\":\"acme\",\"url\":\"https://a.example/x\"," \
                "\"feeds\":[\"orders-acme\"],\"secrets\":[\"" SECRET "\"]"

static char           dir[] = "/tmp/eventsync-registry-XXXXXX";
static es_store_t    *store;
static es_problem_t   problem;


static es_rc_t
create(es_kind_t kind, const char *name, const char *json)
{
    memset(&problem, 0, sizeof(problem));

    return es_registry_create(store, kind, es_str(name), json, &problem);
}


static es_rc_t
change(es_kind_t kind, const char *name, const char *json)
{
    memset(&problem, 0, sizeof(problem));

    return es_registry_change(store, kind, es_str(name), json, &problem);
}


static es_rc_t
discard(es_kind_t kind, const char *name)
{
    memset(&problem, 0, sizeof(problem));

    return es_registry_remove(store, kind, es_str(name), &problem);
}


static void
good(es_rc_t rc, const char *name)
{
    if (!ok(rc == ES_OK, "%s", name)) {
        printf("# %s: %s\n", problem.pointer, problem.detail);
    }
}


static void
bad(es_rc_t rc, es_rc_t expected, const char *pointer, const char *name)
{
    is_int(rc, expected, name);
    is_str(es_str(problem.pointer), pointer, "the pointer says where");
    ok(problem.rc == expected && problem.detail[0] != '\0', "the detail: %s",
       problem.detail);
}


/* A wrong member of an otherwise right record is refused at its place. */

static void
wrong(es_kind_t kind, const char *rest, const char *member,
    const char *pointer)
{
    char  json[8000];

    (void) snprintf(json, sizeof(json), "{%s%s%s}", rest,
                    rest[0] ? "," : "", member);
    bad(create(kind, kind == ES_KIND_KEY ? "bbbbbbbbbb" : "wrong", json),
        ES_INVALID, pointer, member);
}


static void
contains(es_kind_t kind, const char *name, const char *text, bool expected)
{
    es_buf_t  buf = { NULL, 0, 0 };

    (void) es_registry_get(store, kind, es_str(name), &buf);
    (void) es_buf_append(&buf, "", 1);
    ok(buf.data != NULL && (strstr(buf.data, text) != NULL) == expected,
       "%s has %s%s", name, expected ? "" : "no ", text);
    es_buf_free(&buf);
}


static void
test_partner(void)
{
    uint64_t  version;

    version = es_registry_version(store);
    good(create(ES_KIND_PARTNER, "acme",
                "{\"feeds\":[\"orders-*\",\"prices\"],"
                "\"publish\":[\"orders-acme\"],\"limits\":{\"poll\":"
                "{\"rate\":\"60r/m\",\"burst\":10},\"waits\":"
                "{\"max\":3},\"backfill\":{\"rate\":\"1m/h\"}}}"),
       "a partner is created");
    ok(es_registry_version(store) != version, "the version moves");
    good(create(ES_KIND_PARTNER, "other", "{\"feeds\":null}"), "and another");
    contains(ES_KIND_PARTNER, "acme", "\"number\":1,\"revision\":1,", true);
    contains(ES_KIND_PARTNER, "acme", "\"created\":\"20", true);
    contains(ES_KIND_PARTNER, "other", "\"number\":2,", true);
    contains(ES_KIND_PARTNER, "other", "feeds", false);

    bad(create(ES_KIND_PARTNER, "acme", "{}"), ES_EXISTS, "", "not twice");
    bad(create(ES_KIND_PARTNER, "A", "{}"), ES_INVALID, "", "a wrong name");
    bad(create(ES_KIND_PARTNER, "", "{}"), ES_INVALID, "", "no name");
    bad(create(ES_KIND_PARTNER, "x", "{"), ES_INVALID, "", "not JSON");
    bad(create(ES_KIND_PARTNER, "x", "[]"), ES_INVALID, "", "no object");
    bad(create(ES_KIND_PARTNER, "x", "{\"feeds\":[],\"feeds\":[]}"),
        ES_INVALID, "", "a member twice");

    wrong(ES_KIND_PARTNER, "", "\"fedes\":[]", "/fedes");
    wrong(ES_KIND_PARTNER, "", "\"a/b\":1", "/a~1b");
    wrong(ES_KIND_PARTNER, "", "\"number\":1", "/number");
    wrong(ES_KIND_PARTNER, "", "\"revision\":1", "/revision");
    wrong(ES_KIND_PARTNER, "", "\"feeds\":\"x\"", "/feeds");
    wrong(ES_KIND_PARTNER, "", "\"feeds\":[\"a\",\"B\"]", "/feeds/1");
    wrong(ES_KIND_PARTNER, "", "\"publish\":[1]", "/publish/0");
    wrong(ES_KIND_PARTNER, "", "\"disabled\":1", "/disabled");
    wrong(ES_KIND_PARTNER, "", "\"operations\":1", "/operations");
    wrong(ES_KIND_PARTNER, "", "\"limits\":[]", "/limits");
    wrong(ES_KIND_PARTNER, "", "\"limits\":{\"x\":{}}", "/limits/x");
    wrong(ES_KIND_PARTNER, "", "\"limits\":{\"poll\":1}", "/limits/poll");
    wrong(ES_KIND_PARTNER, "", "\"limits\":{\"poll\":{}}",
          "/limits/poll/rate");
    wrong(ES_KIND_PARTNER, "", "\"limits\":{\"poll\":{\"rate\":\"x\"}}",
          "/limits/poll/rate");
    wrong(ES_KIND_PARTNER, "",
          "\"limits\":{\"poll\":{\"rate\":\"1r/s\",\"burst\":0}}",
          "/limits/poll/burst");
    wrong(ES_KIND_PARTNER, "",
          "\"limits\":{\"poll\":{\"rate\":\"1r/s\",\"brst\":1}}",
          "/limits/poll/brst");
    wrong(ES_KIND_PARTNER, "",
          "\"limits\":{\"poll\":{\"rate\":\"1r/d\",\"burst\":99999}}",
          "/limits/poll/burst");
    wrong(ES_KIND_PARTNER, "", "\"limits\":{\"address\":{}}",
          "/limits/address");
    wrong(ES_KIND_PARTNER, "", "\"limits\":{\"waits\":{\"max\":0}}",
          "/limits/waits/max");
    wrong(ES_KIND_PARTNER, "", "\"limits\":{\"waits\":{\"rate\":\"1r/s\"}}",
          "/limits/waits/rate");
    wrong(ES_KIND_PARTNER, "",
          "\"limits\":{\"backfill\":{\"rate\":\"1r/s\"}}",
          "/limits/backfill/rate");
}


static void
test_data_use(void)
{
    wrong(ES_KIND_PARTNER, "", "\"data_use\":[]", "/data_use");
    wrong(ES_KIND_PARTNER, "", "\"data_use\":{\"reason\":1}", "/data_use");
    wrong(ES_KIND_PARTNER, "", "\"data_use\":{\"feeds\":[\"a\"],"
          "\"expires\":\"2099-01-01T00:00:00Z\"}", "/data_use/purpose");
    wrong(ES_KIND_PARTNER, "", "\"data_use\":{\"purpose\":\"\","
          "\"feeds\":[\"a\"],\"expires\":\"2099-01-01T00:00:00Z\"}",
          "/data_use/purpose");
    wrong(ES_KIND_PARTNER, "", "\"data_use\":{\"purpose\":\"a\\nb\","
          "\"feeds\":[\"a\"],\"expires\":\"2099-01-01T00:00:00Z\"}",
          "/data_use/purpose");
    wrong(ES_KIND_PARTNER, "", "\"data_use\":{\"purpose\":\"x\","
          "\"feeds\":[\"a\"]}", "/data_use/expires");
    wrong(ES_KIND_PARTNER, "", "\"data_use\":{\"purpose\":\"x\","
          "\"feeds\":[],\"expires\":\"2099-01-01T00:00:00Z\"}",
          "/data_use/feeds");
    wrong(ES_KIND_PARTNER, "", "\"data_use\":{\"purpose\":\"x\","
          "\"feeds\":[\"A\"],\"expires\":\"2099-01-01T00:00:00Z\"}",
          "/data_use/feeds/0");
    wrong(ES_KIND_PARTNER, "", "\"data_use\":{\"purpose\":\"x\","
          "\"feeds\":[\"a\"],\"expires\":\"2099-01-01T00:00:00Z\","
          "\"retention_days\":36501}", "/data_use/retention_days");
    wrong(ES_KIND_PARTNER, "", "\"feeds\":[\"a\",\"a*\"],\"data_use\":{"
          "\"purpose\":\"x\",\"feeds\":[\"a\"],"
          "\"expires\":\"2099-01-01T00:00:00Z\"}", "/feeds/1");
}


static void
test_flags(void)
{
    char      name[16];
    unsigned  i, bad;

    wrong(ES_KIND_FLAG, "", "\"partners\":\"0%\"", "/partners");
    wrong(ES_KIND_FLAG, "", "\"partners\":10", "/partners");
    wrong(ES_KIND_FLAG, "", "\"partners\":\"on\",\"percent\":1", "/percent");
    wrong(ES_KIND_PARTNER, "", "\"flags\":[]", "/flags");
    wrong(ES_KIND_PARTNER, "", "\"flags\":{}", "/flags");
    wrong(ES_KIND_PARTNER, "", "\"flags\":{\"a\":1}", "/flags/a");
    wrong(ES_KIND_PARTNER, "", "\"flags\":{\"A\":true}", "/flags/A");

    for (i = bad = 0; i < ES_FLAGS_MAX; i++) {
        (void) snprintf(name, sizeof(name), "flag-%u", i);
        bad += es_registry_create(store, ES_KIND_FLAG, es_str(name),
                                  "{\"partners\":\"on\"}", NULL) != ES_OK;
    }

    ok(bad == 0, "as many flags as are read");
    ok(es_registry_create(store, ES_KIND_FLAG, es_str("more"),
                          "{\"partners\":\"on\"}", NULL)
       == ES_INVALID, "and no more");
    ok(es_registry_change(store, ES_KIND_FLAG, es_str("flag-9"),
                          "{\"partners\":\"5%\"}", NULL)
       == ES_OK, "one of them is changed");

    for (i = 0; i < ES_FLAGS_MAX; i++) {
        (void) snprintf(name, sizeof(name), "flag-%u", i);
        bad += es_registry_remove(store, ES_KIND_FLAG, es_str(name), NULL)
               != ES_OK;
    }

    ok(bad == 0, "all are removed");
}


static void
test_allow_from(void)
{
    wrong(ES_KIND_PARTNER, "", "\"allow_from\":[]", "/allow_from");
    wrong(ES_KIND_PARTNER, "", "\"allow_from\":\"10.0.0.0/8\"",
          "/allow_from");
    wrong(ES_KIND_PARTNER, "", "\"allow_from\":[\"10.0.0.1\",1]",
          "/allow_from/1");
    wrong(ES_KIND_PARTNER, "", "\"allow_from\":[\"10.0.0.1/31\"]",
          "/allow_from/0");
    wrong(ES_KIND_PARTNER, "", "\"allow_from\":[\"::ffff:10.0.0.0/104\"]",
          "/allow_from/0");
    wrong(ES_KIND_PARTNER, "", "\"operations\":\"A\"", "/operations");
    wrong(ES_KIND_PARTNER, "", "\"operations\":\"none\"", "/operations");
}


/* The lists of partner and endpoint, as they are loaded. */

static void
sees(const es_registry_t *registry, const char *feed, const char *data,
    const char *partner, const char *endpoint)
{
    char                event[256];
    es_buf_t            out = { NULL, 0, 0 };
    const char         *expected;
    const es_fields_t  *fields;

    (void) snprintf(event, sizeof(event), "{\"id\":\"1\",\"data\":%s}", data);

    for (unsigned i = 0; i < 2; i++) {
        expected = i ? endpoint : partner;
        fields = i ? es_endpoint_fields(es_registry_endpoint(registry,
                                                   es_lit("seen")),
                                        es_str(feed))
                   : es_partner_fields(es_registry_partner(registry,
                                                   es_lit("seeing")),
                                       es_str(feed));
        out.len = 0;

        if (fields != NULL) {
            ok(es_fields_event(fields, NULL, es_str(event), &out) == ES_OK
               && es_buf_append(&out, "", 1) == ES_OK, "%s is shown", feed);
        }

        ok(expected == NULL ? fields == NULL
           : out.len > 0 && strstr(out.data, expected) != NULL,
           "%s of %s sees %s", i ? "the endpoint" : "the partner", feed,
           expected ? expected : "everything");
    }

    es_buf_free(&out);
}


#define JWK(members)                                                          \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"k1\","                             \
    "\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\"" members "}"
#define JWK_Y  ",\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\""
#define JWK_X  ",\"y\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\""
#define ENCRYPTS  "\"fields\":{\"a\":{\"encrypt\":[\"/x\"]}}"


/* Shows the kid of the key and the pointer in place of the value. */

static es_rc_t
mark(void *ctx, es_str_t key, const es_fields_place_t *place, es_buf_t *out,
    size_t from)
{
    (void) ctx;
    out->len = from;

    return key.len == sizeof(es_jwe_key_t)
           ? es_buf_printf(out, "\"%s%.*s\"",
                           ((const es_jwe_key_t *) (const void *)
                            key.data)->kid,
                           (int) place->pointer.len, place->pointer.data)
           : ES_DENIED;
}


static void
encrypts(const es_registry_t *registry, const char *feed, const char *expected,
    const char *name)
{
    es_rc_t             rc;
    es_buf_t            out = { 0 };
    es_fields_seal_t    seal = { mark, NULL, false };
    const es_fields_t  *fields;

    fields = es_endpoint_fields(es_registry_endpoint(registry,
                                                     es_lit("sealed")),
                                es_str(feed));
    rc = es_fields_event(fields, &seal,
                         es_lit("{\"id\":\"1\",\"data\":{\"x\":1,\"y\":2,"
                                "\"z\":3}}"), &out);

    if (expected == NULL) {
        is_int(rc, ES_DENIED, name);

    } else {
        is_str((es_str_t) { out.data, out.len }, expected, name);
    }

    es_buf_free(&out);
}


static void
test_encryption(void)
{
    es_registry_t  *registry;

#define SEALED_HOOK                                                           \
    "{\"partner\":\"sealing\",\"url\":\"https://a.example/x\",\"feeds\":"       \
    "[\"*\"],\"secrets\":[\"" SECRET "\"],\"fields\":{\"a\":{\"allow\":"      \
    "[\"/x\",\"/y\"],\"encrypt\":[\"/y\"]},\"b\":{\"encrypt\":[\"/z\"]}}}"

    wrong(ES_KIND_PARTNER, "", ENCRYPTS, "/fields/a/encrypt");
    wrong(ES_KIND_PARTNER, "", "\"encryption_key\":" JWK(JWK_Y) ","
          "\"fields\":{\"a\":{\"encrypt\":[\"/x\",\"tag\"]}}",
          "/fields/a/encrypt/1");
    wrong(ES_KIND_PARTNER, "", "\"encryption_key\":" JWK(JWK_Y) ","
          "\"fields\":{\"a\":{\"encrypt\":{}}}", "/fields/a/encrypt");
    wrong(ES_KIND_PARTNER, "", "\"encryption_key\":7", "/encryption_key");
    wrong(ES_KIND_PARTNER, "", "\"encryption_key\":" JWK(""),
          "/encryption_key/y");
    wrong(ES_KIND_PARTNER, "", "\"encryption_key\":" JWK(JWK_X),
          "/encryption_key");
    wrong(ES_KIND_PARTNER, "", "\"encryption_key\":{\"kty\":\"RSA\"}",
          "/encryption_key/kty");
    wrong(ES_KIND_ENDPOINT, HOOK, ENCRYPTS, "/fields/a/encrypt");

    good(create(ES_KIND_PARTNER, "sealing", "{\"feeds\":[\"*\"],"
                "\"encryption_key\":" JWK(JWK_Y) "," ENCRYPTS "}"),
         "a list that encrypts is written with a key");
    good(create(ES_KIND_ENDPOINT, "sealed", SEALED_HOOK),
         "and that of an endpoint without one");

    is_int(es_registry_load(store, &registry), ES_OK, "they are loaded");
    encrypts(registry, "a", "{\"id\":\"1\",\"data\":{\"x\":\"k1/x\","
             "\"y\":\"k1/y\"}}", "what one of both encrypts is encrypted");
    encrypts(registry, "b", "{\"id\":\"1\",\"data\":{\"x\":1,\"y\":2,"
             "\"z\":\"k1/z\"}}", "to the partner's key");
    es_registry_free(registry);

    is_int(es_registry_change(store, ES_KIND_PARTNER, es_lit("sealing"),
                              "{\"encryption_key\":null}", NULL), ES_INVALID,
           "the key stays while the partner's list needs it");
    good(es_registry_change(store, ES_KIND_PARTNER, es_lit("sealing"),
                            "{\"encryption_key\":null,\"fields\":null}", NULL),
         "the key goes with the list");
    is_int(es_registry_load(store, &registry), ES_OK, "they are loaded");
    encrypts(registry, "b", NULL, "then the endpoint's own list refuses events");
    es_registry_free(registry);

    good(discard(ES_KIND_ENDPOINT, "sealed"), "they are removed");
    good(discard(ES_KIND_PARTNER, "sealing"), "with their records");
}


#define SEES  "{\"feeds\":[\"*\"],\"fields\":{" \
              "\"a\":{\"allow\":[\"/x\",\"/y\"]}," \
              "\"a*\":{\"allow\":[\"/y\"]},\"ab*\":{\"allow\":[\"/z\"]}," \
              "\"b\":{\"allow\":[]}}}"

static void
test_fields(void)
{
    es_registry_t  *registry;

    wrong(ES_KIND_PARTNER, "", "\"fields\":[]", "/fields");
    wrong(ES_KIND_PARTNER, "", "\"fields\":{\"A\":{}}", "/fields/A");
    wrong(ES_KIND_PARTNER, "", "\"fields\":{\"a\":[]}", "/fields/a");
    wrong(ES_KIND_PARTNER, "", "\"fields\":{\"a\":{}}", "/fields/a/allow");
    wrong(ES_KIND_PARTNER, "", "\"fields\":{\"a\":{\"alow\":[]}}",
          "/fields/a/alow");
    wrong(ES_KIND_PARTNER, "", "\"fields\":{\"a\":{\"allow\":\"/x\"}}",
          "/fields/a/allow");
    wrong(ES_KIND_PARTNER, "", "\"fields\":{\"a\":{\"allow\":[\"/x\",1]}}",
          "/fields/a/allow/1");
    wrong(ES_KIND_PARTNER, "",
          "\"fields\":{\"a\":{\"allow\":[\"/x\",\"/~x\"]}}",
          "/fields/a/allow/1");
    wrong(ES_KIND_PARTNER, "", "\"fields\":{\"a\":{\"allow\":[\"subject\"]}}",
          "/fields/a/allow/0");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"fields\":{\"a\":{\"allow\":[\"x/\"]}}",
          "/fields/a/allow/0");

    good(create(ES_KIND_PARTNER, "seeing", SEES), "field lists are written");
    good(create(ES_KIND_ENDPOINT, "seen", "{\"partner\":\"seeing\","
                "\"url\":\"https://a.example/x\",\"feeds\":[\"*\"],"
                "\"secrets\":[\"" SECRET "\"],\"fields\":{"
                "\"a\":{\"allow\":[\"/y\",\"/z\"]},"
                "\"c\":{\"allow\":[\"/z\"]}}}"), "of an endpoint as well");

    is_int(es_registry_load(store, &registry), ES_OK, "they are loaded");

#define DATA  "{\"x\":1,\"y\":2,\"z\":3}"

    sees(registry, "a", DATA, "\"data\":{\"x\":1,\"y\":2}}",
         "\"data\":{\"y\":2}}");
    sees(registry, "ac", DATA, "\"data\":{\"y\":2}}", "\"data\":{\"y\":2}}");
    sees(registry, "abc", DATA, "\"data\":{\"z\":3}}", "\"data\":{\"z\":3}}");
    sees(registry, "b", DATA, "\"id\":\"1\"}", "\"id\":\"1\"}");
    sees(registry, "c", DATA, NULL, "\"data\":{\"z\":3}}");
    sees(registry, "d", DATA, NULL, NULL);
    es_registry_free(registry);

    good(discard(ES_KIND_ENDPOINT, "seen"), "they are removed");
    good(discard(ES_KIND_PARTNER, "seeing"), "with their records");
}


static void
test_key(void)
{
    good(create(ES_KIND_KEY, "aaaaaaaaaa",
                "{" KEY ",\"scopes\":[\"read\",\"publish\"],"
                "\"feeds\":[\"orders-acme\"],"
                "\"expires\":\"2030-01-01T00:00:00Z\"}"), "a key is created");
    good(create(ES_KIND_KEY, "cccccccccc", "{" KEY ",\"scopes\":[\"read\"]}"),
         "and another");

    bad(create(ES_KIND_KEY, "short", "{" KEY ",\"scopes\":[\"read\"]}"),
        ES_INVALID, "", "a name that is no key's id");
    bad(create(ES_KIND_KEY, "bbbbbbbbbb", "{\"partner\":\"nobody\","
               "\"digest\":\"" DIGEST "\",\"scopes\":[\"read\"]}"),
        ES_INVALID, "/partner", "a partner that is not there");
    wrong(ES_KIND_KEY, "\"digest\":\"" DIGEST "\"", "\"scopes\":[\"read\"]",
          "/partner");
    wrong(ES_KIND_KEY, "\"partner\":\"acme\"", "\"scopes\":[\"read\"]",
          "/digest");
    wrong(ES_KIND_KEY, "\"partner\":\"acme\"", "\"digest\":\"00\"", "/digest");
    wrong(ES_KIND_KEY, "\"partner\":\"acme\"", "\"digest\":\""
          "00112233445566778899AABBCCDDEEFF00112233445566778899aabbccddeeff\"",
          "/digest");
    wrong(ES_KIND_KEY, KEY, "\"scopes\":[]", "/scopes");
    wrong(ES_KIND_KEY, KEY, "\"scopes\":[\"write\"]", "/scopes/0");
    wrong(ES_KIND_KEY, KEY ",\"scopes\":[\"read\"]", "\"expires\":\"soon\"",
          "/expires");
    wrong(ES_KIND_KEY, KEY ",\"scopes\":[\"read\"]", "\"revoked\":1",
          "/revoked");
    wrong(ES_KIND_KEY, KEY ",\"scopes\":[\"read\"]", "\"url\":\"x\"", "/url");
    wrong(ES_KIND_KEY, KEY ",\"scopes\":[\"read\"]", "\"allow_from\":[]",
          "/allow_from");
    wrong(ES_KIND_KEY, KEY ",\"scopes\":[\"read\"]", "\"label\":\"\"", "/label");
    wrong(ES_KIND_KEY, KEY ",\"scopes\":[\"read\"]", "\"label\":\"a\\nb\"",
          "/label");
    wrong(ES_KIND_KEY, KEY ",\"scopes\":[\"read\"]", "\"label\":\""
          "12345678901234567890123456789012345678901234567890123456789012345"
          "\"", "/label");
}


static void
test_certificate(void)
{
    wrong(ES_KIND_KEY, READS, "\"certificate\":\"x\"", "/certificate");
    wrong(ES_KIND_KEY, READS, "\"certificate\":{}", "/certificate");
    wrong(ES_KIND_KEY, READS, "\"certificate\":{\"sha256\":\"00\"}",
          "/certificate/sha256");
    wrong(ES_KIND_KEY, READS,
          "\"certificate\":{\"sha256\":\"" DIGEST "\",\"uri\":\"u\"}",
          "/certificate");
    wrong(ES_KIND_KEY, READS, "\"certificate\":{\"issuer\":\"i\"}",
          "/certificate");
    wrong(ES_KIND_KEY, READS, "\"certificate\":{\"subject\":\"s\"}",
          "/certificate");
    wrong(ES_KIND_KEY, READS, "\"certificate\":{\"subject\":\"s\","
          "\"issuer\":\"i\",\"uri\":\"u\"}",
          "/certificate");
    wrong(ES_KIND_KEY, READS, "\"certificate\":{\"uri\":\"\"}",
          "/certificate/uri");
    wrong(ES_KIND_KEY, READS, "\"certificate\":{\"uri\":1}",
          "/certificate/uri");
    wrong(ES_KIND_KEY, READS, "\"certificate\":{\"serial\":\"1\"}",
          "/certificate/serial");
    wrong(ES_KIND_KEY, READS, "\"certificate\":{\"uri\":\"u\"}", "/digest");
    wrong(ES_KIND_KEY, READS,
          "\"certificate\":{\"sha256\":\"" DIGEST "\"}", "");
    wrong(ES_KIND_KEY, KEY ",\"link\":\"" DIGEST "\",\"scopes\":[\"read\"]",
          "\"certificate\":{\"sha256\":\"" DIGEST "\"}", "/certificate");
    good(create(ES_KIND_KEY, "aaisem2ekv", "{" KEY ",\"scopes\":[\"read\"],"
                "\"certificate\":{\"sha256\":\"" DIGEST "\"}}"),
         "a certificate, under the id of its digest");
    bad(change(ES_KIND_KEY, "aaisem2ekv", "{\"certificate\":null}"),
        ES_INVALID, "/certificate", "it does not change");
    bad(change(ES_KIND_KEY, "cccccccccc", "{\"certificate\":{\"sha256\":\""
               DIGEST "\"}}"), ES_INVALID, "/certificate",
        "nor does a key become one");
    good(discard(ES_KIND_KEY, "aaisem2ekv"), "it is removed");
}


/* The table says it as text for people, and the decoder as milliseconds. */

static void
test_default_schedule(void)
{
    char        *text, *word, *rest;
    size_t       i, n = 0;
    uint32_t     ms;
    const char  *preset = NULL;

    for (i = 0; i < ES_ENDPOINT_MEMBERS; i++) {
        if (strcmp(es_endpoint_members[i].name, "schedule") == 0) {
            preset = es_endpoint_members[i].preset;
        }
    }

    text = strdup(preset);

    for (word = strtok_r(text, " ", &rest); word != NULL;
         word = strtok_r(NULL, " ", &rest))
    {
        ms = 0;
        good(es_duration_parse(es_str(word), &ms), word);
        is_int(ms, es_schedule_default_ms[n++ % 10], "the default's");
    }

    is_int((int) n, 10, "the schedule of the table is the default's");
    free(text);
}


static void
test_body(void)
{
    wrong(ES_KIND_ENDPOINT, HOOK, "\"body\":\"structured\"", "/body");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"body\":\"binary\",\"content_type\":"
          "\"application/json\"", "/content_type");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"body\":\"data\",\"content_type\":"
          "\"application/cloudevents+json\"", "/content_type");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"body\":\"binary\",\"batch\":2",
          "/batch");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"body\":\"data\",\"batch\":2", "/batch");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"body\":\"binary\",\"headers\":"
          "{\"CE-x\":\"1\"}", "/headers/CE-x");
}


static void
test_endpoint(void)
{
    good(create(ES_KIND_ENDPOINT, "ep_b",
                "{" HOOK ",\"types\":[\"order.*\",\"x\"],"
                "\"subject\":\"a\\\"b\",\"ordering\":\"none\",\"paused\":true,"
                "\"start\":\"oldest\",\"in_flight\":256,"
                "\"connect_timeout\":\"2s\",\"timeout\":\"500ms\","
                "\"schedule\":[\"0\",\"1s\",\"1h30m\"],"
                "\"disable_after\":\"0\",\"rate\":\"90r/m\",\"burst\":5,"
                "\"headers\":{\"X-A\":\"1 \\t2\",\"b\":\"~\"},"
                "\"ack\":\"billing-*\"}"),
         "an endpoint is created");
    good(create(ES_KIND_ENDPOINT, "ep_a", "{" HOOK "}"), "and a plain one");

    wrong(ES_KIND_ENDPOINT, "\"partner\":\"acme\"", "\"feeds\":[\"a\"]",
          "/url");
    wrong(ES_KIND_ENDPOINT, "\"partner\":\"acme\"",
          "\"url\":\"https://a.example/\"", "/feeds");
    wrong(ES_KIND_ENDPOINT, "\"partner\":\"acme\",\"feeds\":[\"a\"]",
          "\"url\":\"https://a.example/\"", "/secrets");
    wrong(ES_KIND_ENDPOINT, "\"partner\":\"acme\",\"feeds\":[\"a\"],"
          "\"secrets\":[\"" SECRET "\"]", "\"url\":\"https://u@a.example/\"",
          "/url");
    wrong(ES_KIND_ENDPOINT, "\"partner\":\"nobody\",\"feeds\":[\"a\"],"
          "\"secrets\":[\"" SECRET "\"]", "\"url\":\"https://a.example/\"",
          "/partner");
    wrong(ES_KIND_ENDPOINT, "\"partner\":\"acme\",\"feeds\":[\"a\"],"
          "\"url\":\"https://a.example/\"", "\"secrets\":[\"whsec_x\"]",
          "/secrets/0");
    wrong(ES_KIND_ENDPOINT, "\"partner\":\"acme\",\"feeds\":[\"a\"],"
          "\"url\":\"https://a.example/\"", "\"secrets\":[\"whsk_6Xb/dCcHpPea"
          "21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMi"
          "cMFs6Kvg==\"]", "/secrets");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"types\":[\"a,b\"]", "/types/0");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"types\":[\"a*\"]", "/types");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"types\":[\"\"]", "/types");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"subject\":\"\"", "/subject");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"ordering\":\"lifo\"", "/ordering");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"paused\":\"no\"", "/paused");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"start\":\"now\"", "/start");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"in_flight\":0", "/in_flight");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"in_flight\":257", "/in_flight");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"in_flight\":\"8\"", "/in_flight");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"timeout\":30", "/timeout");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"timeout\":\"0\"", "/timeout");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"timeout\":\"1h\"", "/timeout");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"connect_timeout\":\"x\"",
          "/connect_timeout");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"schedule\":[]", "/schedule");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"schedule\":[\"5s\"]", "/schedule");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"schedule\":[\"0\",\"x\"]", "/schedule/1");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"created\":\"x\"", "/created");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"disable_after\":\"999ms\"",
          "/disable_after");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"content_type\":\"text/plain\"",
          "/content_type");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"disable_after\":5", "/disable_after");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"ack\":true", "/ack");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"ack\":\"\"", "/ack");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"ack\":\"a*b\"", "/ack");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"rate\":\"10\"", "/rate");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"rate\":10", "/rate");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"burst\":2", "/burst");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"rate\":\"1r/s\",\"burst\":0", "/burst");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"rate\":\"1r/s\",\"burst\":1000001",
          "/burst");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"rate\":\"1r/d\",\"burst\":1000000",
          "/burst");
}


static void
test_headers(void)
{
    char         text[6000], pointer[64];
    size_t       i;

    static const char *const  names[] = {
        "", "a b", "a:", "a\\r\\n", "\\u00e9", "accept", "Accept-Encoding",
        "CONNECTION", "content-length", "Content-Type", "Eventsync-Attempt",
        "expect", "Forwarded", "Host", "http2-settings", "keep-alive",
        "proxy-authorization", "TE", "traceparent", "tracestate", "trailer",
        "Transfer-Encoding", "upgrade", "User-Agent", "via", "webhook-id",
        "Webhook-Extra", "x-forwarded-for"
    };

    static const char *const  values[] = {
        "\"\"", "\" a\"", "\"a \"", "\"\\ta\"", "\"a\\r\\nb: c\"",
        "\"a\\nb\"", "\"\\u0001\"", "\"\\u007f\"", "\"\\u00e9\"", "1", "{}",
        "[\"a\"]", "null"
    };

    for (i = 0; i < sizeof(names) / sizeof(char *); i++) {
        (void) snprintf(text, sizeof(text), "\"headers\":{\"%s\":\"x\"}",
                        names[i]);
        (void) snprintf(pointer, sizeof(pointer), "/headers/%s",
                        i == 3 ? "a\r\n" : i == 4 ? "\303\251" : names[i]);
        wrong(ES_KIND_ENDPOINT, HOOK, text, pointer);
    }

    for (i = 0; i < sizeof(values) / sizeof(char *); i++) {
        (void) snprintf(text, sizeof(text), "\"headers\":{\"x-a\":%s}",
                        values[i]);
        wrong(ES_KIND_ENDPOINT, HOOK, text, "/headers/x-a");
    }

    wrong(ES_KIND_ENDPOINT, HOOK, "\"headers\":[]", "/headers");
    wrong(ES_KIND_ENDPOINT, HOOK, "\"headers\":{\"x-a\":\"1\","
          "\"X-A\":\"1\"}", "/headers/x-a");

    (void) snprintf(text, sizeof(text), "\"headers\":{\"x-a\":\"%*d\"}",
                    4094, 1);
    for (i = 0; text[i] != '\0'; i++) {
        text[i] = text[i] == ' ' ? '0' : text[i];
    }
    wrong(ES_KIND_ENDPOINT, HOOK, text, "/headers");
}


static void
check_endpoints(const es_registry_t *registry)
{
    size_t                n;
    const es_endpoint_t  *e, *plain;

    e = es_registry_endpoints(registry, &n);
    is_int((int64_t) n, 2, "the endpoints are listed");
    is_str(e[0].name, "ep_a", "in the order of their names");

    plain = es_registry_endpoint(registry, es_lit("ep_a"));
    e = es_registry_endpoint(registry, es_lit("ep_b"));
    ok(es_registry_endpoint(registry, es_lit("ep_")) == NULL,
       "an endpoint that is not there is not found");

    ok(plain != NULL && e != NULL, "those that are, are found");
    if (plain == NULL || e == NULL) {
        return;
    }

    is_str(plain->url, "https://a.example/x", "a URL");
    is_int(plain->url.data[plain->url.len], 0, "with a NUL after it");
    is_str(plain->secrets[0], SECRET, "a secret");
    is_int(plain->secrets[0].data[plain->secrets[0].len], 0, "with a NUL too");
    ok(plain->ordering == ES_ORDER_FIFO && !plain->paused
       && !plain->from_oldest && plain->in_flight == 32
       && plain->connect_timeout_ms == 10000 && plain->timeout_ms == 30000
       && plain->disable_after_ms == 5 * 24 * 3600 * 1000
       && plain->rate.units == 0 && plain->ack.data == NULL
       && !plain->cloudevents && es_filter_is_all(&plain->filter),
       "the defaults");
    ok(plain->nschedule == 10
       && plain->schedule_ms[9] == 24 * 3600 * 1000
       && plain->schedule_ms[0] == 0, "the default schedule");
    ok(plain->number == 2 && e->number == 1, "the numbers");
    is_str(plain->partner->name, "acme", "the partner");

    ok(e->ordering == ES_ORDER_NONE && e->paused && e->from_oldest
       && e->in_flight == 256 && e->connect_timeout_ms == 2000
       && e->timeout_ms == 500 && e->disable_after_ms == 0
       && e->rate.units == 90 && e->rate.period_ns == 60 * ES_SECOND_NS
       && e->rate.burst == 5, "what was chosen");
    is_str(e->headers, "\r\nX-A: 1 \t2\r\nb: ~", "its headers, as sent");
    ok(plain->headers.len == 0, "or none");
    ok(e->nschedule == 3 && e->schedule_ms[2] == 5400000, "the schedule");
    ok(e->filter.ntypes == 2
       && es_filter_type_matches(&e->filter, es_lit("order.x"))
       && es_filter_type_matches(&e->filter, es_lit("x"))
       && !es_filter_type_matches(&e->filter, es_lit("y")), "the types");
    is_str(e->ack, "billing-*", "whose checkpoints count");
    is_str(e->filter.subject, "a\\\"b", "the subject as in JSON text");
    ok(es_endpoint_allows(e, es_lit("orders-acme")), "its feed is allowed");
    ok(!es_endpoint_allows(e, es_lit("prices")), "no other is");
}


static void
check_keys(const es_registry_t *registry)
{
    const es_key_t      *key, *plain;
    const es_partner_t  *acme;

    acme = es_registry_partner(registry, es_lit("acme"));
    ok(acme != NULL && acme->number == 1 && !acme->disabled
       && acme->limited[ES_POLICY_POLL]
       && acme->limits[ES_POLICY_POLL].units == 60
       && acme->limits[ES_POLICY_POLL].period_ns == 60 * ES_SECOND_NS
       && acme->limits[ES_POLICY_POLL].burst == 10
       && acme->limited[ES_POLICY_WAITS]
       && acme->limits[ES_POLICY_WAITS].burst == 3
       && acme->limited[ES_POLICY_BACKFILL]
       && acme->limits[ES_POLICY_BACKFILL].units == 1024 * 1024
       && acme->limits[ES_POLICY_BACKFILL].burst == 1024 * 1024
       && !acme->limited[ES_POLICY_PUBLISH], "a partner with its limits");
    ok(es_registry_partner(registry, es_lit("acm")) == NULL
       && es_registry_partner(registry, es_lit("acmee")) == NULL,
       "no other partner is found");

    key = es_registry_key(registry, "aaaaaaaaaa");
    plain = es_registry_key(registry, "cccccccccc");
    ok(es_registry_key(registry, "bbbbbbbbbb") == NULL,
       "a key that is not there is not found");

    ok(key != NULL && plain != NULL, "those that are, are found");
    if (key == NULL || plain == NULL) {
        return;
    }

    ok(key->partner == acme && key->digest[0] == 0 && key->digest[1] == 0x11
       && key->digest[31] == 0xff, "with partner and digest");
    ok(es_key_allows(key, ES_SCOPE_READ, es_lit("orders-acme")),
       "a key allows what it and its partner may");
    ok(es_key_allows(key, ES_SCOPE_PUBLISH, es_lit("orders-acme")),
       "and publish");
    ok(es_key_allows(key, ES_SCOPE_READ | ES_SCOPE_PUBLISH,
                     es_lit("orders-acme")), "and both");
    ok(!es_key_allows(key, ES_SCOPE_READ, es_lit("orders-x")),
       "not what only the partner may");
    ok(!es_key_allows(key, ES_SCOPE_MANAGE, es_lit("orders-acme")),
       "not another scope");
    ok(es_key_allows(plain, ES_SCOPE_READ, es_lit("orders-x"))
       && es_key_allows(plain, ES_SCOPE_READ, es_lit("prices")),
       "a key without feeds may all of its partner's");
    ok(!es_key_allows(plain, ES_SCOPE_READ, es_lit("pricess")),
       "and no more");
    ok(!es_key_allows(plain, ES_SCOPE_PUBLISH, es_lit("orders-acme")),
       "nor publish without the scope");
    ok(es_key_valid(plain, 1) && es_key_valid(key, INT64_C(1893455999999))
       && !es_key_valid(key, INT64_C(1893456000000)), "a key expires");
}


static void
test_load(void)
{
    es_registry_t  *registry;

    is_int(es_registry_load(store, &registry), ES_OK, "all is loaded");
    ok(es_registry_loaded_version(registry) == es_registry_version(store),
       "as of the version");
    check_endpoints(registry);
    check_keys(registry);
    es_registry_free(registry);

    is_int(es_registry_load_access(store, &registry), ES_OK,
           "partners and keys are loaded alone");
    check_keys(registry);
    ok(es_registry_endpoint(registry, es_lit("ep_a")) == NULL,
       "without endpoints");
    es_registry_free(registry);
}


static void
test_change(void)
{
    es_registry_t         *registry;
    const es_key_t        *key;
    const es_endpoint_t   *e;

    good(change(ES_KIND_ENDPOINT, "ep_b", "{\"paused\":false,\"types\":null}"),
         "an endpoint is changed");
    contains(ES_KIND_ENDPOINT, "ep_b", "\"paused\":false", true);
    contains(ES_KIND_ENDPOINT, "ep_b", "types", false);
    contains(ES_KIND_ENDPOINT, "ep_b", "\"number\":1,\"revision\":2,", true);
    good(change(ES_KIND_ENDPOINT, "ep_b", "{}"), "or only its revision");
    contains(ES_KIND_ENDPOINT, "ep_b", "\"revision\":3,", true);

    bad(change(ES_KIND_ENDPOINT, "ep_b", "{\"url\":null}"), ES_INVALID, "/url",
        "what is required stays");
    bad(change(ES_KIND_ENDPOINT, "ep_b", "{\"partner\":\"other\"}"),
        ES_INVALID, "/partner", "the partner does not change");
    bad(change(ES_KIND_ENDPOINT, "ep_b", "{\"paused\":1}"), ES_INVALID,
        "/paused", "a wrong value");
    bad(change(ES_KIND_ENDPOINT, "ep_b", "{\"pausd\":true}"), ES_INVALID,
        "/pausd", "a wrong name");
    bad(change(ES_KIND_ENDPOINT, "ep_c", "{}"), ES_NOT_FOUND, "",
        "an endpoint that is not there");
    contains(ES_KIND_ENDPOINT, "ep_b", "\"revision\":3,", true);
    bad(change(ES_KIND_KEY, "aaaaaaaaaa", "{\"digest\":\"00\"}"), ES_INVALID,
        "/digest", "a key's digest does not change");

    good(change(ES_KIND_KEY, "aaaaaaaaaa",
                "{\"revoked\":\"2026-01-01T00:00:00Z\"}"), "a key is revoked");
    good(change(ES_KIND_PARTNER, "acme", "{\"disabled\":true}"),
         "a partner is disabled");

    (void) es_registry_load(store, &registry);
    key = es_registry_key(registry, "aaaaaaaaaa");
    ok(key != NULL && key->revoked_ms == INT64_C(1767225600000),
       "and that is loaded");
    ok(key != NULL && !es_key_valid(key, 0)
       && !es_key_allows(key, ES_SCOPE_READ, es_lit("orders-acme")),
       "a disabled partner's key is worth nothing");
    e = es_registry_endpoint(registry, es_lit("ep_b"));
    ok(e != NULL && e->revision == 3 && e->filter.ntypes == 0 && !e->paused,
       "the endpoint's change too");
    ok(e != NULL && !es_endpoint_allows(e, es_lit("orders-acme")),
       "and it is sent nothing");
    es_registry_free(registry);
}


/* A picture with endpoints stays when nothing of it was written. */

static void
test_kept(void)
{
    es_control_request_t  request;
    es_registry_t        *registry;

    memset(&request, 0, sizeof(request));
    request.max = 100;
    request.kind = ES_CONTROL_REDRIVE;
    is_int(es_control_request_add(store, &request, 0, &problem), ES_OK,
           "a request is made of the dispatcher");
    good(create(ES_KIND_FEED, "orders", "{\"schema\":\"warn\"}"),
         "a feed gets a rule");

    is_int(es_registry_load(store, &registry), ES_OK, "a picture is loaded");
    is_int((long) es_registry_loaded_requests(registry), 1,
           "with the last request's number");
    ok(es_registry_unchanged(store, registry), "it is kept");

    memset(&request, 0, sizeof(request));
    request.max = 100;
    request.kind = ES_CONTROL_REDRIVE;
    is_int(es_control_request_add(store, &request, 0, &problem), ES_OK,
           "something is asked");
    good(change(ES_KIND_FEED, "orders", "{\"schema\":\"off\"}"),
         "a feed is ruled of");
    ok(es_registry_loaded_version(registry) != es_registry_version(store),
       "it is not of that version");
    ok(es_registry_unchanged(store, registry), "but kept");
    ok(es_registry_loaded_version(registry) == es_registry_version(store),
       "then it is");
    is_int((long) es_registry_loaded_requests(registry), 2,
           "and has the request");

    good(change(ES_KIND_ENDPOINT, "ep_b", "{}"), "an endpoint is changed");
    is_int(es_control_request_add(store, &request, 0, &problem), ES_OK,
           "something is asked");
    ok(!es_registry_unchanged(store, registry), "that is not overlooked");
    is_int((long) es_registry_loaded_requests(registry), 2,
           "what was asked since is not its");
    es_registry_free(registry);

    is_int(es_registry_load(store, &registry), ES_OK, "another is loaded");
    good(change(ES_KIND_PARTNER, "acme", "{\"disabled\":true}"),
         "a partner is changed");
    ok(!es_registry_unchanged(store, registry), "neither is that");
    es_registry_free(registry);
}


static es_rc_t
ask(uint32_t endpoint, uint64_t taken)
{
    es_control_request_t  request;

    memset(&request, 0, sizeof(request));
    request.kind = ES_CONTROL_REDRIVE;
    request.endpoint = endpoint;
    request.partner = 10 + endpoint / 100;
    request.max = 12;

    memset(&problem, 0, sizeof(problem));

    return es_control_request_add(store, &request, taken, &problem);
}


/* Adds a request of each of many endpoints, without a commit for each. */

static es_rc_t
ask_many(MDB_txn *txn, void *ctx)
{
    int       rc = 0;
    char      text[45] = "";
    MDB_val   key, value = { sizeof(text), text };
    uint8_t   number[8];
    uint32_t  i, endpoint;

    for (i = 0; rc == 0 && i < *(uint32_t *) ctx; i++) {
        es_be64(1000 + i, number);
        endpoint = 1000 + i;
        text[0] = ES_CONTROL_REDRIVE;
        memcpy(text + 1, &endpoint, sizeof(endpoint));
        key.mv_size = sizeof(number);
        key.mv_data = number;
        rc = mdb_put(txn, es_env_dbi(store->registry, ES_REGISTRY_REQUESTS),
                     &key, &value, 0);
    }

    return es_env_rc(rc);
}


/* Requests that no dispatcher takes do not fill the registry. */

static void
test_requests(void)
{
    int       i;
    uint32_t  n;

    is_int(ask(1, 999), ES_OK, "earlier requests are taken");

    for (i = 2; i <= ES_CONTROL_ENDPOINT_MAX; i++) {
        is_int(ask(1, 999), ES_OK, "another waits");
    }

    is_int(ask(1, 999), ES_CONFLICT, "and no further one of the endpoint");
    ok(strstr(problem.detail, "10 requests of the endpoint") != NULL,
       "that is the reason");
    is_int(ask(2, 999), ES_OK, "but one of another");
    is_int(ask(1, 1000), ES_OK, "and one more when the first is taken");
    is_int(ask(1, 1000), ES_CONFLICT, "but not two");

    is_int(ask(3, 1000), ES_OK, "a partner's requests are as many");
    is_int(ask(4, 1000), ES_QUOTA, "as its quota allows");
    ok(strstr(problem.detail, "12 requests of the partner") != NULL
       && problem.quota != NULL && strcmp(problem.quota, "requests") == 0
       && problem.limit == 12, "that is the reason");
    is_int(ask(100, 1000), ES_OK, "but another partner's wait");

    n = ES_CONTROL_MAX - 1;
    is_int(es_env_update(store->registry, ask_many, &n), ES_OK,
           "many endpoints have requests");
    is_int(ask(3, 999), ES_OK, "one more waits");
    is_int(ask(4, 999), ES_CONFLICT, "and then none");
    ok(strstr(problem.detail, "10000 requests wait") != NULL,
       "that is the reason");
    is_int(ask(4, 20000), ES_OK, "until all are taken");
}


static void
test_names(void)
{
    char  name[64];

    is_int(es_registry_next(store, ES_KIND_ENDPOINT, es_null_str, name), ES_OK,
           "names are listed");
    is_str(es_str(name), "ep_a", "the first");
    is_int(es_registry_next(store, ES_KIND_ENDPOINT, es_lit("ep_a"), name),
           ES_OK, "and the next");
    is_str(es_str(name), "ep_b", "in order");
    is_int(es_registry_next(store, ES_KIND_ENDPOINT, es_lit("ep_b"), name),
           ES_NOT_FOUND, "until the last");
    is_int(es_registry_next(store, ES_KIND_ENDPOINT, es_lit("ep_aa"), name),
           ES_OK, "also from a name that is gone");
    is_str(es_str(name), "ep_b", "to the one after it");
    is_int(es_registry_next(store, ES_KIND_PARTNER, es_lit("other"), name),
           ES_NOT_FOUND, "kinds end where they end");
}


static void
test_remove(void)
{
    es_buf_t  buf = { NULL, 0, 0 };

    bad(discard(ES_KIND_PARTNER, "acme"), ES_CONFLICT, "",
        "a partner with keys stays");
    good(discard(ES_KIND_KEY, "aaaaaaaaaa"), "a key is removed");
    good(discard(ES_KIND_KEY, "cccccccccc"), "and the other");
    bad(discard(ES_KIND_KEY, "cccccccccc"), ES_NOT_FOUND, "", "not twice");
    bad(discard(ES_KIND_PARTNER, "acme"), ES_CONFLICT, "",
        "a partner with endpoints stays");
    good(discard(ES_KIND_ENDPOINT, "ep_a"), "an endpoint is removed");
    good(discard(ES_KIND_ENDPOINT, "ep_b"), "and the other");
    good(discard(ES_KIND_PARTNER, "acme"), "a partner is removed");
    is_int(es_registry_get(store, ES_KIND_PARTNER, es_lit("acme"), &buf),
           ES_NOT_FOUND, "and is gone");
    good(create(ES_KIND_PARTNER, "acme", "{}"), "one of its name can come");
    contains(ES_KIND_PARTNER, "acme", "\"number\":3,", true);
}


static void
clean(const char *path)
{
    char            file[600];
    DIR            *d;
    struct dirent  *entry;

    d = opendir(path);

    while (d != NULL && (entry = readdir(d)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }

        (void) snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        if (unlink(file) != 0) {
            clean(file);
        }
    }

    if (d != NULL) {
        (void) closedir(d);
    }

    (void) rmdir(path);
}


int
main(void)
{
    es_registry_t  *registry;

    if (mkdtemp(dir) == NULL
        || es_store_create(dir, &problem) != ES_OK
        || es_plain_secrets_begin(dir) != ES_OK
        || es_store_open(dir, ES_STORE_ADMIN, &store, &problem) != ES_OK)
    {
        printf("Bail out! %s\n", problem.detail);
        return 1;
    }

    is_int(es_registry_load(store, &registry), ES_OK,
           "an empty registry is loaded");
    ok(es_registry_key(registry, "aaaaaaaaaa") == NULL, "with nothing in it");
    es_registry_free(registry);

    test_partner();
    test_allow_from();
    test_data_use();
    test_flags();
    test_key();
    test_certificate();
    test_default_schedule();
    test_body();
    test_endpoint();
    test_headers();
    test_load();
    test_change();
    test_kept();
    test_requests();
    test_names();
    test_remove();
    test_fields();
    test_encryption();

    es_store_close(store);

    if (es_store_open(dir, ES_STORE_READ, &store, &problem) == ES_OK) {
        bad(create(ES_KIND_PARTNER, "x", "{}"), ES_DENIED, "",
            "a store not open for it is not written");
        es_store_close(store);
    }

    clean(dir);

    return done();
}
