/* SPDX-License-Identifier: BSD-2-Clause */

/* Field lists: entries, what is shown of events, and random documents. */

#include <jansson.h>

#include "base/json.h"
#include "base/pool.h"
#include "fields/fields.h"
#include "tap.h"

#define HEAD  "{\"specversion\":\"1.0\",\"id\":\"e1\",\"source\":\"/s\"," \
              "\"type\":\"t\",\"time\":\"2026-12-01T00:00:00Z\"," \
              "\"subject\":\"o/1\",\"datacontenttype\":\"application/json\""
#define EXTENSIONS  ",\"aa\":\"x\",\"bb\":7"
#define LOG   ",\"feed\":\"orders\",\"sequence\":\"00000000000000000001\"," \
              "\"cursor\":\"k3f9-1\",\"prevcursor\":\"k3f9-0\""

static es_pool_t  pool;


/* Compiles lists that are given as JSON: [["/a"], ["/b"]]. */

static es_rc_t
compile(const char *text, const char *encrypt, const char *key,
    const es_fields_t **out)
{
    json_t             *lists, *list, *entry;
    size_t              i, j;
    es_rc_t             rc;
    es_str_t           *entries;
    es_fields_list_t    allow[ES_FIELDS_LISTS + 2];
    es_fields_source_t  source = { .allow = allow, .key = es_str(key) };

    lists = json_pack("[o,o]", json_loads(text, 0, NULL),
                      json_loads(encrypt ? encrypt : "[]", 0, NULL));
    json_array_append(json_array_get(lists, 0), json_array_get(lists, 1));

    json_array_foreach(json_array_get(lists, 0), i, list) {
        entries = es_pool_alloc(&pool, (json_array_size(list) + 1)
                                       * sizeof(es_str_t));
        json_array_foreach(list, j, entry) {
            entries[j] = es_pool_str(&pool, es_text(entry));
        }
        allow[i].n = json_array_size(list);
        allow[i].entries = entries;
    }

    source.nallow = json_array_size(json_array_get(lists, 0)) - 1;
    source.encrypt = allow[source.nallow];
    rc = es_fields_compile(&source, &pool, out);
    json_decref(lists);

    return rc;
}


static const es_fields_seal_t  *sealing;

static es_rc_t
show(const es_fields_t *fields, const char *event, es_buf_t *out)
{
    es_rc_t  rc;
    char    *copy;

    /* a copy of the exact size lets the sanitizer see a read beyond it */

    copy = malloc(strlen(event) + 1);
    memcpy(copy, event, strlen(event) + 1);
    out->len = 0;
    rc = es_fields_event(fields, sealing, es_str(copy), out);
    free(copy);

    return rc;
}


/* Shows an event with this data member under lists. */

static void
shows(const char *lists, const char *data, const char *expected,
    const char *name)
{
    char                event[4096], wanted[4096];
    es_rc_t             rc;
    es_buf_t            out = { NULL, 0, 0 };
    const es_fields_t  *fields;

    rc = compile(lists, NULL, NULL, &fields);
    if (!ok(rc == ES_OK, "%s compiles", lists)) {
        return;
    }

    snprintf(event, sizeof(event), "%s%s%s}", HEAD LOG, *data ? "," : "",
             data);
    snprintf(wanted, sizeof(wanted), "%s%s%s}", HEAD LOG,
             *expected ? "," : "", expected);

    rc = show(fields, event, &out);
    is_int(rc, ES_OK, "the event is shown");
    is_str((es_str_t) { out.data, out.len }, wanted, name);
    es_buf_free(&out);
}


static void
entries(void)
{
    char      text[1200];
    size_t    i;
    static const char  *const  good[] = {
        "", "/", "//", "/a", "/a/0/b", "/*", "/*/*", "/~0~1", "/a~1b",
        "/\xc3\xa9", "traceparent", "aa", "/data", "/-"
    };
    static const char  *const  bad[] = {
        "/~", "/a~", "/~2", "/a/~x/b", "subject", "type", "id", "time",
        "feed", "cursor", "prevcursor", "sequence", "data", "data_base64",
        "Upper", "a.b", "*", "#/a", " /a", "/\xff", "a-b", "\xc3\xa9"
    };

    for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ok(es_fields_entry(es_str(good[i])) == NULL, "\"%s\" is an entry",
           good[i]);
    }

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(es_fields_entry(es_str(bad[i])) != NULL, "entry %zu is refused", i);
    }

    memset(text, 'a', sizeof(text));
    text[0] = '/';
    text[129] = '\0';
    ok(es_fields_entry(es_str(text)) == NULL, "a name of 128 bytes");
    text[129] = 'a';
    text[130] = '\0';
    ok(es_fields_entry(es_str(text)) != NULL, "one of 129 is refused");

    for (i = 0; i < 63; i++) {
        memcpy(text + 2 * i, "/a", 3);
    }
    ok(es_fields_entry(es_str(text)) == NULL, "63 names");
    memcpy(text + 126, "/a", 3);
    ok(es_fields_entry(es_str(text)) != NULL, "64 are refused");

    memset(text, '/', 600);
    text[513] = '\0';
    ok(es_fields_entry(es_str(text)) != NULL, "513 bytes are refused");
}


static void
members(void)
{
    shows("[[\"/a\"]]", "\"data\":{\"a\":1,\"b\":2}", "\"data\":{\"a\":1}",
          "a member, and not the other");
    shows("[[\"/b\"]]", "\"data\":{ \"a\" : 1 , \"b\" : 2.50 }",
          "\"data\":{\"b\" : 2.50}", "a member with its white space");
    shows("[[\"/a/b\"]]", "\"data\":{\"a\":{\"b\":{\"c\":1},\"d\":1},\"b\":1}",
          "\"data\":{\"a\":{\"b\":{\"c\":1}}}",
          "a nested one, with all inside");
    shows("[[\"/a/b\"]]", "\"data\":{\"a\":{\"d\":1},\"e\":1}", "",
          "an object of which nothing is left, is left out");
    shows("[[\"/a/b\"]]", "\"data\":{\"a\":{},\"c\":1}", "",
          "an empty one as well");
    shows("[[\"/a\"]]", "\"data\":{\"a\":{},\"c\":[]}", "\"data\":{\"a\":{}}",
          "but not where it is listed");
    shows("[[\"/a/b\"]]", "\"data\":{\"a\":5}", "",
          "a value that is no object has no member");
    shows("[[]]", "\"data\":{\"a\":1}", "", "an empty list shows no data");
    shows("[[\"/a\"]]", "", "", "an event without data");
    shows("[[\"/a\",\"/a/b\"]]", "\"data\":{\"a\":{\"b\":1,\"c\":2}}",
          "\"data\":{\"a\":{\"b\":1,\"c\":2}}", "an entry inside another");
    shows("[[\"/a\"]]", "\"data\":null", "", "null is not shown by a member");
    shows("[[\"\"]]", "\"data\":null", "\"data\":null",
          "but by the empty pointer");
    shows("[[\"\"]]", "\"data\":[ 1, {\"b\":2} ]",
          "\"data\":[ 1, {\"b\":2} ]", "which shows the whole data");
    shows("[[\"\"]]", "\"data\":\"text\"", "\"data\":\"text\"",
          "text as well");
    shows("[[\"/a\"]]", "\"data\":\"{\\\"a\\\":1}\"", "",
          "text is shown whole or not at all");
    shows("[[\"\"]]", "\"data_base64\":\"AAEC\"", "\"data_base64\":\"AAEC\"",
          "data_base64 whole");
    shows("[[\"/a\",\"/*\"]]", "\"data_base64\":\"AAEC\"", "",
          "or not at all");
}


static void
names(void)
{
    shows("[[\"/a\"]]", "\"data\":{\"a\":1,\"b\":2,\"a\":{\"c\":3},\"b\":4}",
          "\"data\":{\"a\":1,\"a\":{\"c\":3}}", "a repeated name");
    shows("[[\"/a/c\"]]",
          "\"data\":{\"a\":{\"c\":1,\"s\":2},\"a\":{\"s\":3,\"c\":4}}",
          "\"data\":{\"a\":{\"c\":1},\"a\":{\"c\":4}}",
          "and what is inside its occurrences");
    shows("[[\"/ab\"]]", "\"data\":{\"\\u0061b\":1,\"a\\u0062c\":2}",
          "\"data\":{\"\\u0061b\":1}", "an escaped name");
    shows("[[\"/a\\\"b\"]]", "\"data\":{\"a\\\"b\":1,\"a\\\\\":2}",
          "\"data\":{\"a\\\"b\":1}", "a quote in a name");
    shows("[[\"/a~1b\",\"/m~0n\"]]",
          "\"data\":{\"a/b\":1,\"m~n\":2,\"a\":{\"b\":3},\"m~0n\":4}",
          "\"data\":{\"a/b\":1,\"m~n\":2}", "~1 and ~0");
    shows("[[\"/~01\"]]", "\"data\":{\"~1\":1,\"/\":2}", "\"data\":{\"~1\":1}",
          "~01 is ~1, and not /");
    shows("[[\"/\"]]", "\"data\":{\"\":1,\"a\":{\"\":2}}", "\"data\":{\"\":1}",
          "an empty name");
    shows("[[\"//x\"]]", "\"data\":{\"\":{\"x\":1,\"y\":2},\"x\":3}",
          "\"data\":{\"\":{\"x\":1}}", "and one on the way");
    shows("[[\"/\\u00e9\"]]",
          "\"data\":{\"\xc3\xa9\":1,\"\\u00e9\":2,\"e\\u0301\":3}",
          "\"data\":{\"\xc3\xa9\":1,\"\\u00e9\":2}", "no ASCII");
    shows("[[\"/\\ud83d\\ude00\"]]",
          "\"data\":{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2,\"x\":3}",
          "\"data\":{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":2}",
          "a surrogate pair");
    shows("[[\"/a\"]]", "\"data\":{\"a\\u0000\":1,\"a\":2}",
          "\"data\":{\"a\":2}", "a name that goes on after a NUL");
    shows("[[\"/A\"]]", "\"data\":{\"a\":1}", "", "case counts");
    shows("[[\"/b\"]]", "\"data\":{\"a\":\"\\\"b\\\":1\",\"c\":\"}\"}", "",
          "a name inside a string is none");
    shows("[[\"/a\\\":1,\\\"b\"]]", "\"data\":{\"a\":1,\"b\":2,\"c\":3}", "",
          "a name with quotes is not what is between two members");
    shows("[[\"/a\\\\\"]]", "\"data\":{\"a\\\\\":1,\"a\":2,\"b\":\"\\\\\"}",
          "\"data\":{\"a\\\\\":1}", "a backslash before a quote");
    shows("[[\"/abcdefghijklmn\",\"/abcdefghijklmnop\"]]",
          "\"data\":{\"abcdefghijklm\":1,\"abcdefghijklmn\":2,"
          "\"abcdefghijklmno\":3,\"abcdefghijklmnop\":4,"
          "\"abcdefghijklmnopq\":5,\"abcdefghijklmnox\":6,"
          "\"after\":\"what is near the end\"}",
          "\"data\":{\"abcdefghijklmn\":2,\"abcdefghijklmnop\":4}",
          "names that begin alike");
    shows("[[\"/a\",\"/b\",\"/cc\",\"/d\",\"/ee\",\"/f\",\"/gg\",\"/h\","
          "\"/i\","
          "\"/jjj\",\"/k\",\"/l\"]]",
          "\"data\":{\"l\":1,\"jjj\":2,\"c\":3,\"cc\":4,\"a\":5,\"m\":6,"
          "\"gg\":7,"
          "\"\":8,\"jj\":9}",
          "\"data\":{\"l\":1,\"jjj\":2,\"cc\":4,\"a\":5,\"gg\":7}",
          "many names");
}


static void
wildcards(void)
{
    shows("[[\"/items/*/sku\"]]",
          "\"data\":{\"items\":[{\"sku\":1,\"x\":2},{\"x\":3},4,{\"sku\":5}]}",
          "\"data\":{\"items\":[{\"sku\":1},{\"sku\":5}]}",
          "items by *");
    shows("[[\"/*/id\"]]",
          "\"data\":{\"a\":{\"id\":1,\"x\":2},\"hidden\":{\"x\":1},\"c\":3}",
          "\"data\":{\"a\":{\"id\":1}}",
          "members by *, and no name of one of which nothing is left");
    shows("[[\"/*/id\",\"/a/x\"]]",
          "\"data\":{\"a\":{\"id\":1,\"x\":2,\"y\":3},"
          "\"b\":{\"id\":4,\"x\":5}}",
          "\"data\":{\"a\":{\"id\":1,\"x\":2},\"b\":{\"id\":4}}",
          "* and a name beside it");
    shows("[[\"/*/*/z\",\"/a/*/y\",\"/*/b/x\"]]",
          "\"data\":{\"a\":{\"b\":{\"x\":1,\"y\":2,\"z\":3,\"w\":4},"
          "\"c\":{\"x\":1,\"y\":2,\"z\":3}},\"q\":{\"b\":{\"x\":1,\"y\":2}}}",
          "\"data\":{\"a\":{\"b\":{\"x\":1,\"y\":2,\"z\":3},"
          "\"c\":{\"y\":2,\"z\":3}},\"q\":{\"b\":{\"x\":1}}}",
          "several that meet");
    shows("[[\"/1\"]]", "\"data\":[10,{\"a\":20},30]", "\"data\":[{\"a\":20}]",
          "an item by its index");
    shows("[[\"/1/0\"]]", "\"data\":{\"1\":[1,2],\"0\":3}",
          "\"data\":{\"1\":[1]}", "a member by a number");
    shows("[[\"/01\",\"/-\",\"/1e0\"]]", "\"data\":[1,2,3]", "",
          "what is not an index");
    shows("[[\"/*\"]]", "\"data\":{\"*\":1,\"a\":2}",
          "\"data\":{\"*\":1,\"a\":2}", "* is not a name");
    shows("[[\"/*\"]]", "\"data\":[1,[2],{}]", "\"data\":[1,[2],{}]",
          "* for all items");
    shows("[[\"/*/*\"]]", "\"data\":[1,[2],{},[3,[4]]]",
          "\"data\":[[2],[3,[4]]]", "a second level of items");
}


static void
several(void)
{
    shows("[[\"/a\",\"/b\"],[\"/b\",\"/c\"]]",
          "\"data\":{\"a\":1,\"b\":2,\"c\":3}", "\"data\":{\"b\":2}",
          "two lists show what both show");
    shows("[[\"/a\"],[\"/a/x\"]]", "\"data\":{\"a\":{\"x\":1,\"y\":2}}",
          "\"data\":{\"a\":{\"x\":1}}", "the second narrows");
    shows("[[\"/a/x\"],[\"/a\"]]", "\"data\":{\"a\":{\"x\":1,\"y\":2}}",
          "\"data\":{\"a\":{\"x\":1}}", "and cannot widen");
    shows("[[\"/*/x\"],[\"/a/*\"]]",
          "\"data\":{\"a\":{\"x\":1,\"y\":2},\"b\":{\"x\":1}}",
          "\"data\":{\"a\":{\"x\":1}}", "* in both");
    shows("[[\"\"],[\"/1\"]]", "\"data\":[1,2,3]", "\"data\":[2]",
          "the index is that of what was published");
    shows("[[\"/1\"],[\"/1\"]]", "\"data\":[1,2,3]", "\"data\":[2]",
          "in both lists");
    shows("[[\"\"],[]]", "\"data\":{\"a\":1}", "", "nothing narrows all");
}


static void
attributes(void)
{
    es_buf_t            out = { NULL, 0, 0 };
    const es_fields_t  *fields;

    static const struct {
        const char  *lists;
        const char  *expected;
    } cases[] = {
        { "[[]]", HEAD LOG "}" },
        { "[[\"\"]]", HEAD LOG ",\"data\":{}}" },
        { "[[\"bb\"]]", HEAD ",\"bb\":7" LOG "}" },
        { "[[\"bb\",\"aa\",\"cc\"]]", HEAD EXTENSIONS LOG "}" },
        { "[[\"bb\",\"aa\"],[\"aa\"]]", HEAD ",\"aa\":\"x\"" LOG "}" },
        { "[[\"/aa\",\"/bb\"]]", HEAD LOG "}" },
        { "[]", HEAD EXTENSIONS LOG ",\"data\":{}}" }
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ok(compile(cases[i].lists, NULL, NULL, &fields) == ES_OK
           && show(fields, HEAD EXTENSIONS LOG ",\"data\":{}}", &out) == ES_OK,
           "an event under %s", cases[i].lists);
        is_str((es_str_t) { out.data, out.len }, cases[i].expected,
               "has the attributes that are listed");
    }

    es_buf_free(&out);
}


/* A tombstone's digest is over what the lists hide. */

static void
tombstones(void)
{
    size_t              i;
    es_buf_t            out = { NULL, 0, 0 };
    const es_fields_t  *fields;

#define ERASED  "{\"specversion\":\"1.0\",\"id\":\"erased-k3f9-1\"," \
    "\"source\":\"/eventsync/erased\",\"type\":\"t\"," \
    "\"time\":\"2026-12-01T00:00:00Z\",\"erased\":true"
#define DIGEST  ",\"digest\":\"9f86d081884c7d659a2feaa0c55ad015" \
    "a3bf4f1b2b0b822cd15d6c15b0f00a08\""

    static const struct {
        const char  *allow, *encrypt;
    } cases[] = {
        { "[[]]", NULL }, { "[[\"\"]]", NULL }, { "[[\"digest\"]]", NULL },
        { "[[\"erased\",\"digest\"],[\"digest\"]]", NULL },
        { "[]", "[\"/a\"]" }, { "[]", "[\"\"]" }
    };

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ok(compile(cases[i].allow, cases[i].encrypt, "k1", &fields) == ES_OK
           && show(fields, ERASED DIGEST LOG "}", &out) == ES_OK,
           "a tombstone under %s", cases[i].allow);
        is_str((es_str_t) { out.data, out.len }, ERASED LOG "}",
               "says that the event was erased, and not its digest");
    }

    (void) compile("[[\"digest\"]]", NULL, NULL, &fields);
    ok(show(fields, HEAD ",\"erased\":true" DIGEST LOG "}", &out) == ES_OK,
       "another event with a digest");
    is_str((es_str_t) { out.data, out.len }, HEAD DIGEST LOG "}",
           "has it if the list names it");

    es_buf_free(&out);
}


static void
refused(void)
{
    char                text[8192];
    size_t              i;
    es_buf_t            out = { NULL, 0, 0 };
    const es_fields_t  *fields;

    static const char  *const  bad[] = {
        "", "[]", "{", "{\"data\":", "{\"data\":{\"a\":1}", "{}x",
        "{\"data\":{\"a\":}}", "{\"data\":{\"b\":[1,}}", "{\"data\":{\"a\"",
        "{\"data\":{\"b\":\"\\ud800\",\"a\":1}}", "{\"id\":1,}",
        "{\"data\":[{\"b\":1}", "{\"data\":[[[[[[", "{\"data\":{\"a\":{\"b\":",
        "{\"data\":{\"a\":1\"b\":2,\"c\":\"what is near the end\"}}",
        "{\"data\":{,\"b\":2,\"c\":\"what is near the end\"}}",
        "{\"data\":{\"a\":1,,\"c\":\"what is near the end\"}}",
        "{\"data\":{\"a\":{}{\"c\":\"what is near the end\"}}",
        "{\"data\":{\"a\":{}\"c\":\"what is near the end\"}}",
        "{\"data\":{\"a\":01,\"c\":\"what is near the end\"}}",
        "{\"data\":{\"a\":1x,\"c\":\"what is near the end\"}}",
        "{\"data\":[{\"a\":1],\"c\":\"what is near the end\"}}",
        "{\"id\":\"1\"\"data\":{\"c\":\"what is near the end\"}}"
    };

    (void) compile("[[\"/a/*/*\",\"/*/*/*/*/*\"]]", NULL, NULL, &fields);

    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        ok(es_buf_append(&out, "x", 1) == ES_OK
           && show(fields, bad[i], &out) == ES_CORRUPT && out.len == 0,
           "text %zu is no event, and nothing of it is shown", i);
    }

    is_int(show(es_fields_unreadable, HEAD "}", &out), ES_DENIED,
           "an unreadable list refuses each event");
    is_int((int64_t) out.len, 0, "and shows nothing");

    /* the deepest data that the log has, and deeper */

    for (i = 62; i <= 63; i++) {
        memset(text, 0, sizeof(text));
        memcpy(text, "{\"data\":", 8);
        memset(text + 8, '[', i + 1);
        memset(text + 8 + i + 1, ']', i + 1);
        text[8 + 2 * (i + 1)] = '}';
        is_int(show(fields, text, &out), i == 62 ? ES_OK : ES_CORRUPT,
               i == 62 ? "63 levels" : "64 are refused");
    }

    es_buf_free(&out);
}


/* Lists whose states are too many: each "*" or "a" doubles them. */

static void
intricate(void)
{
    char                text[8192];
    size_t              i, j, n;
    const es_fields_t  *fields;

    n = (size_t) snprintf(text, sizeof(text), "[[");

    for (i = 0; i < 24; i++) {
        n += (size_t) snprintf(text + n, sizeof(text) - n, "%s\"",
                               i ? "," : "");
        for (j = 0; j < 24; j++) {
            n += (size_t) snprintf(text + n, sizeof(text) - n, "%s",
                                   j == i ? "/a" : "/*");
        }
        n += (size_t) snprintf(text + n, sizeof(text) - n, "/z%zu\"", i);
    }

    (void) snprintf(text + n, sizeof(text) - n, "]]");

    is_int(compile(text, NULL, NULL, &fields), ES_TOO_LARGE,
           "lists that are too intricate are refused");
    is_int(compile("[[],[],[],[],[],[],[],[],[]]", NULL, NULL, &fields),
           ES_TOO_LARGE, "and too many of them");
    is_int(compile("[[\"/a\",\"/~\"]]", NULL, NULL, &fields), ES_INVALID,
           "a bad entry");
}


/* Writes the place instead of the value, and the length of what was there. */

static es_rc_t
seal(void *ctx, es_str_t key, const es_fields_place_t *place, es_buf_t *out,
    size_t from)
{
    size_t  len;

    ok(ctx == &sealing && es_str_eq(key, es_lit("k1")), "encryption has a key");
    len = out->len - from;

    if (memchr(out->data + from, '!', len) != NULL) {
        return ES_BUSY;
    }

    out->len = from;

    return es_buf_printf(out, "\"%.*s %.*s %.*s %.*s <%.*s>%s %zu "
                         "and much longer than before, so that it must grow\"",
                         (int) place->id.len, place->id.data,
                         (int) place->source.len, place->source.data,
                         (int) place->feed.len, place->feed.data,
                         (int) place->cursor.len, place->cursor.data,
                         (int) place->pointer.len, place->pointer.data,
                         place->base64 ? " base64" : "", len);
}


static void
encrypted(void)
{
    es_buf_t            out = { NULL, 0, 0 };
    es_fields_seal_t    with = { seal, &sealing, false };
    const es_fields_t  *fields;

#define SEALED(place)  "\"e1 /s orders k3f9-1 <" place \
    " and much longer than before, so that it must grow\""

    static const struct {
        const char  *allow, *encrypt, *data, *expected;
    } cases[] = {
        { "[]", "[\"/a\"]", "\"data\":{\"a\":12,\"b\":3}",
          "\"data\":{\"a\":" SEALED("/a> 2") ",\"b\":3}" },
        { "[]", "[\"/a/b\"]", "\"data\":{\"a\":{\"b\":{\"c\":1}},\"b\":3}",
          "\"data\":{\"a\":{\"b\":" SEALED("/a/b> 7") "},\"b\":3}" },
        { "[[\"/a/x\"]]", "[\"/a\"]", "\"data\":{\"a\":{\"x\":1,\"y\":2}}",
          "\"data\":{\"a\":" SEALED("/a> 7") "}" },
        { "[]", "[\"/a/b\"]", "\"data\":{\"a\":{},\"b\":[{}]}",
          "\"data\":{\"a\":{},\"b\":[{}]}" },
        { "[]", "[\"/a/*\"]", "\"data\":{\"a\":[]}", "\"data\":{\"a\":[]}" },
        { "[[\"/b\"]]", "[\"/a\"]", "\"data\":{\"a\":1,\"b\":2}",
          "\"data\":{\"b\":2}" },
        { "[[\"/i/1\",\"/i/2\"]]", "[\"/i/*/k\"]",
          "\"data\":{\"i\":[{\"k\":1},{\"k\":2,\"l\":3},{\"k\":4}]}",
          "\"data\":{\"i\":[{\"k\":" SEALED("/i/1/k> 1") ",\"l\":3},"
          "{\"k\":" SEALED("/i/2/k> 1") "}]}" },
        { "[]", "[\"\"]", "\"data\":[1]", "\"data\":" SEALED("> 3") },
        { "[]", "[\"\"]", "\"data_base64\":\"AAEC\"",
          "\"data\":" SEALED("> base64 6") },
        { "[]", "[\"/x~1y~0\"]", "\"data\":{\"x\\/\\u0079~\":1}",
          "\"data\":{\"x\\/\\u0079~\":" SEALED("/x~1y~0> 1") "}" },
        { "[]", "[\"/a\",\"/a/b\"]", "\"data\":{\"a\":{\"b\":1}}",
          "\"data\":{\"a\":" SEALED("/a> 7") "}" },
        { "[[\"/a/b\"]]", "[\"/a\"]", "\"data\":{\"a\":{\"c\":1}}", "" },
    };

    sealing = &with;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char  event[2048], wanted[2048];

        snprintf(event, sizeof(event), "%s,%s}", HEAD LOG, cases[i].data);
        snprintf(wanted, sizeof(wanted), "%s%s%s}", HEAD LOG,
                 *cases[i].expected ? "," : "", cases[i].expected);

        ok(compile(cases[i].allow, cases[i].encrypt, "k1", &fields) == ES_OK
           && show(fields, event, &out) == ES_OK,
           "%s is encrypted under %s", cases[i].encrypt, cases[i].allow);
        is_str((es_str_t) { out.data, out.len }, wanted,
               "in its place, after the list");
    }

    (void) compile("[]", "[\"/a\"]", "k1", &fields);
    is_int(show(fields, HEAD ",\"data\":{\"a\":\"!\"}}", &out), ES_BUSY,
           "an outcome of encryption refuses the event");
    is_int((int64_t) out.len, 0, "and nothing of it is shown");

    sealing = NULL;
    is_int(show(fields, HEAD ",\"data\":{\"a\":1}}", &out), ES_DENIED,
           "without a way to encrypt, the event is refused");

    es_buf_free(&out);
}


static void
identity(void)
{
    size_t              i, j;
    const es_fields_t  *fields;
    const es_fields_t  *all[8];

    static const char  *const  lists[8] = {
        "[[\"/a\"]]", "[[\"/b\"]]", "[[\"/a\",\"/b\"]]", "[[\"/a\"],[\"/b\"]]",
        "[[\"/a/b\"]]", "[[]]", "[[\"aa\"]]", "[[],[]]"
    };

    for (i = 0; i < 8; i++) {
        (void) compile(lists[i], NULL, NULL, &all[i]);
        (void) compile(lists[i], NULL, NULL, &fields);
        ok(memcmp(es_fields_id(fields), es_fields_id(all[i]), ES_FIELDS_ID)
           == 0, "%s has one id", lists[i]);
        for (j = 0; j < i; j++) {
            ok(memcmp(es_fields_id(all[j]), es_fields_id(all[i]), ES_FIELDS_ID)
               != 0, "and not that of %s", lists[j]);
        }
    }

    (void) compile("[[\"/a\"]]", "[\"/a\"]", NULL, &fields);
    ok(memcmp(es_fields_id(all[0]), es_fields_id(fields), ES_FIELDS_ID) != 0,
       "encryption has another");
    (void) compile("[[\"/a\"]]", "[\"/a\"]", "k1", &all[0]);
    ok(memcmp(es_fields_id(all[0]), es_fields_id(fields), ES_FIELDS_ID) != 0,
       "and so has another key");
}


/* ---- random documents ---- */


#define DEPTH    5
#define VALUES   200

/* Names as they are, as they may be spelt, and as tokens. */
static const struct {
    const char  *name, *spelt, *token;
} words[] = {
    { "a", "a", "a" }, { "a", "\\u0061", "a" }, { "b", "b", "b" },
    { "", "", "" }, { "x/y", "x\\/y", "x~1y" }, { "~", "~", "~0" },
    { "0", "0", "0" }, { "1", "\\u0031", "1" }, { "*", "*", NULL },
    { "ab", "ab", "ab" }, { "\"", "\\\"", "\"" }, { "\\", "\\u005C", "\\" },
};

#define WORDS  (sizeof(words) / sizeof(words[0]))

static unsigned  seed = 1;

typedef struct {
    unsigned     depth;
    const char  *names[DEPTH];
    char         text[16];             /* the canary */
    size_t       from, to;             /* of the lead and the value */
} leaf_t;

typedef struct {
    char         entry[128];
    unsigned     depth;
    const char  *tokens[DEPTH];        /* NULL: "*" */
} path_t;

static es_buf_t  document;
static leaf_t    leaves[VALUES];
static unsigned  nleaves;


static unsigned
pick(unsigned n)
{
    seed = seed * 1103515245 + 12345;

    return (seed >> 16) % n;
}


static void
space(void)
{
    if (pick(8) == 0) {
        (void) es_buf_append(&document, " ", 1);
    }
}


static const char  *const  digits[] = { "0", "1", "2", "3" };


/* Writes a random value whose lead began at `from`. */

static void
value(const char *names[DEPTH], unsigned depth, size_t from)
{
    bool      array;
    unsigned  i, n, word;
    leaf_t   *leaf;

    if (depth == DEPTH || pick(4) == 0) {
        if (nleaves == VALUES) {
            (void) es_buf_append(&document, "0", 1);
            return;
        }
        leaf = &leaves[nleaves];
        leaf->depth = depth;
        memcpy(leaf->names, names, sizeof(leaf->names));
        leaf->from = from;
        (void) snprintf(leaf->text, sizeof(leaf->text), "\"v%u.\"", nleaves);
        (void) es_buf_str(&document, es_str(leaf->text));
        leaf->to = document.len;
        nleaves++;
        return;
    }

    array = pick(3) == 0;
    n = pick(5);
    (void) es_buf_append(&document, array ? "[" : "{", 1);

    for (i = 0; i < (n > 4 ? 4 : n); i++) {
        if (i > 0) {
            (void) es_buf_append(&document, ",", 1);
        }
        space();
        from = document.len;
        if (array) {
            names[depth] = digits[i];
        } else {
            word = pick(WORDS);
            names[depth] = words[word].name;
            (void) es_buf_printf(&document, "\"%s\"", words[word].spelt);
            space();
            (void) es_buf_append(&document, ":", 1);
            space();
        }
        value(names, depth + 1, from);
        space();
    }

    (void) es_buf_append(&document, array ? "]" : "}", 1);
}


static void
path(path_t *out)
{
    size_t    n;
    unsigned  i, word;

    n = 0;
    out->entry[0] = '\0';
    out->depth = pick(DEPTH);

    for (i = 0; i < out->depth; i++) {
        word = pick(WORDS);
        out->tokens[i] = words[word].token ? words[word].name : NULL;
        if (pick(3) == 0) {
            out->tokens[i] = NULL;
        }
        n += (size_t) snprintf(out->entry + n, sizeof(out->entry) - n, "/%s",
                               out->tokens[i] ? words[word].token : "*");
    }
}


/* True if one of the paths is the leaf's or leads to it. */

static bool
listed(const path_t *paths, unsigned npaths, const leaf_t *leaf)
{
    bool      same;
    unsigned  i, j;

    for (i = 0; i < npaths; i++) {
        same = paths[i].depth <= leaf->depth;
        for (j = 0; same && j < paths[i].depth; j++) {
            same = paths[i].tokens[j] == NULL
                   || strcmp(paths[i].tokens[j], leaf->names[j]) == 0;
        }
        if (same) {
            return true;
        }
    }

    return false;
}


static unsigned
wrong(unsigned nlists, path_t paths[3][6], const unsigned npaths[3],
    const es_buf_t *out)
{
    bool         shown;
    unsigned     i, j, bad;
    const char  *at;

    bad = 0;

    for (i = 0; i < nleaves; i++) {
        shown = true;
        for (j = 0; j < nlists; j++) {
            shown = shown && listed(paths[j], npaths[j], &leaves[i]);
        }
        at = memmem(out->data, out->len, leaves[i].text,
                    strlen(leaves[i].text));
        bad += shown != (at != NULL);

        if (shown && memmem(out->data, out->len, document.data + leaves[i].from,
                            leaves[i].to - leaves[i].from) == NULL)
        {
            bad++;
        }
    }

    return bad;
}


static void
property(void)
{
    json_t             *parsed;
    path_t              paths[3][6];
    es_buf_t            out = { NULL, 0, 0 };
    unsigned            run, i, j, nlists, npaths[3], bad, shown, failed;
    const char         *names[DEPTH];
    es_str_t            entries[3][6];
    const es_fields_t  *fields;
    es_fields_list_t    allow[3];
    es_fields_source_t  source = { .allow = allow };

    bad = failed = shown = 0;

    for (run = 0; run < 20000; run++) {
        document.len = 0;
        nleaves = 0;
        memset(names, 0, sizeof(names));
        (void) es_buf_str(&document, es_lit(HEAD EXTENSIONS LOG ",\"data\":"));
        value(names, 0, document.len);
        (void) es_buf_append(&document, "}", 1);

        nlists = 1 + pick(3);
        for (i = 0; i < nlists; i++) {
            npaths[i] = pick(7);
            for (j = 0; j < npaths[i]; j++) {
                path(&paths[i][j]);
                entries[i][j] = es_str(paths[i][j].entry);
            }
            allow[i].n = npaths[i];
            allow[i].entries = entries[i];
        }
        source.nallow = nlists;
        out.len = 0;

        if (es_fields_compile(&source, &pool, &fields) != ES_OK
            || es_fields_event(fields, NULL, (es_str_t) { document.data,
                                                          document.len }, &out)
               != ES_OK)
        {
            failed++;
            continue;
        }

        parsed = json_loadb(out.data, out.len, 0, NULL);
        failed += !json_is_object(parsed);
        json_decref(parsed);

        i = wrong(nlists, paths, npaths, &out);
        if (i > 0 && bad == 0) {
            printf("# run %u: %.*s\n# shown: %.*s\n", run, (int) document.len,
                   document.data, (int) out.len, out.data);
        }
        bad += i;
        shown += memmem(out.data, out.len, ".\"", 2) != NULL;
        es_pool_free(&pool);
        memset(&pool, 0, sizeof(pool));
    }

    is_int(failed, 0, "random documents under random lists are shown as JSON");
    is_int(bad, 0, "exactly the listed values are shown, byte for byte");
    ok(shown > 1000, "some of %u", run);
    es_buf_free(&out);
    es_buf_free(&document);
}


int
main(void)
{
    entries();
    members();
    names();
    wildcards();
    several();
    attributes();
    tombstones();
    refused();
    intricate();
    encrypted();
    identity();
    property();
    es_pool_free(&pool);

    return done();
}
