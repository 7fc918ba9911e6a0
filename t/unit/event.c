/* SPDX-License-Identifier: BSD-2-Clause */

/* Composition of events: the exact bytes, and every refusal. */

#include "base/clock.h"
#include "event/event.h"
#include "tap.h"

#define HEAD  "\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\"," \
              "\"type\":\"t\""
#define TIME  "\"time\":\"2026-11-23T12:00:00Z\""

static es_buf_t      arena;
static es_draft_t    draft;
static es_problem_t  problem;
static es_compose_t  compose = { .feed = { "f", 1 },
                                .event_max = 1 << 18 };


static es_rc_t
add(const char *text, size_t len)
{
    char     *copy;
    es_rc_t   rc;

    copy = malloc(len ? len : 1);
    memcpy(copy, text, len);
    memset(&problem, 0, sizeof(problem));
    arena.len = 3;    /* as if something were there */
    rc = es_draft_json(&compose, copy, len, 7, &arena, &draft, &problem);
    free(copy);

    return rc;
}


static es_str_t
part(es_str_t s)
{
    return (es_str_t) { arena.data + (uintptr_t) s.data, s.len };
}


static es_str_t
in_head(uint32_t off, uint32_t len)
{
    return (es_str_t) { part(draft.head).data + off, len };
}


static void
is_event(es_rc_t rc, const char *head, const char *tail, const char *name)
{
    if (!ok(rc == ES_OK, "%s", name)) {
        printf("# %s: %s\n", problem.pointer, problem.detail);
        return;
    }

    is_str(part(draft.head), head, "its head");
    is_str(part(draft.tail), tail, "its tail");
    is_int((int64_t) arena.len,
           (int64_t) (3 + draft.head.len + draft.tail.len),
           "and nothing else in the arena");
}


static void
good(const char *json, const char *head, const char *tail, const char *name)
{
    is_event(add(json, strlen(json)), head, tail, name);
}


static void
is_problem(es_rc_t rc, es_rc_t expected, const char *pointer,
    const char *name)
{
    is_int(rc, expected, name);
    is_str(es_str(problem.pointer), pointer, "the pointer says where");
    ok(problem.rc == expected && problem.detail[0] != '\0', "the detail: %s",
       problem.detail);
}


static void
bad(const char *json, const char *pointer, const char *name)
{
    is_problem(add(json, strlen(json)), ES_INVALID, pointer, name);
    is_int(problem.index, 7, "and which event");
    is_int((int64_t) arena.len, 3, "and the arena is as it was");
}


static void
test_order(void)
{
    good("{" HEAD "," TIME "}", "{" HEAD "," TIME ",\"feed\":\"f\"", "}",
         "the least event");
    is_int(draft.time_off, 0, "with its own time");
    is_str(in_head(draft.id_off, draft.id_len), "1", "where its id is");
    is_str(in_head(draft.type_off, draft.type_len), "t", "where its type is");
    is_str(in_head(0, draft.ident_len),
           "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\"",
           "its identity");
    ok(draft.subject_len == 0 && draft.subject_off == 0, "no subject");

    good("\n{ \"zz\" : true , \"data\" : { \"b\" : 1.50 } , \"aa\" : \"x\" , "
         "\"datacontenttype\" : \"application/json\" ,\"n\":-12, "
         "\"dataschema\":\"urn:x\", \"subject\":\"s/1\", " TIME
         ",\"type\":\"t\", \"source\":\"/s\",\"id\":\"1\", "
         "\"specversion\":\"1.0\"}\r\n",
         "{" HEAD "," TIME ",\"subject\":\"s/1\",\"dataschema\":\"urn:x\","
         "\"datacontenttype\":\"application/json\",\"aa\":\"x\",\"n\":-12,"
         "\"zz\":true,\"feed\":\"f\"",
         ",\"data\":{ \"b\" : 1.50 }}", "members in any order");
    is_str(in_head(draft.subject_off, draft.subject_len), "s/1",
           "where its subject is");

    compose.now_ms = INT64_C(1795435200123);
    good("{" HEAD "}",
         "{" HEAD ",\"time\":\"2026-11-23T12:00:00.123Z\",\"feed\":\"f\"", "}",
         "an event without a time is given one");
    is_str(in_head(draft.time_off, ES_TIME_LEN), "2026-11-23T12:00:00.123Z",
           "and it is known where");

    good("{" HEAD "," TIME ",\"subject\":null,\"x\":null,\"dataschema\":null,"
         "\"data_base64\":null}",
         "{" HEAD "," TIME ",\"feed\":\"f\"", "}",
         "null is the same as absent");
    good("{" HEAD ",\"time\":null,\"b\":\"1\",\"a10\":\"2\",\"a\":\"3\"}",
         "{" HEAD ",\"time\":\"2026-11-23T12:00:00.123Z\",\"a\":\"3\","
         "\"a10\":\"2\",\"b\":\"1\",\"feed\":\"f\"", "}",
         "extensions are in the order of their names");
}


static void
test_canonical(void)
{
    good("{\"specver\\u0073ion\":\"1\\u002e0\",\"\\u0069d\":\"\\u0031\","
         "\"source\":\"\\/s\",\"type\":\"\\u0074\"," TIME
         ",\"subject\":\"\\u00e4\\\"\\\\\\/\\ud83d\\ude00\",\"e\":\"\\u0041\"}",
         "{" HEAD "," TIME ",\"subject\":\"\xc3\xa4\\\"\\\\/"
         "\xf0\x9f\x98\x80\",\"e\":\"A\",\"feed\":\"f\"", "}",
         "escapes are made canonical");
    is_str(in_head(draft.subject_off, draft.subject_len),
           "\xc3\xa4\\\"\\\\/\xf0\x9f\x98\x80",
           "the subject is given as in JSON text");
    good("{" HEAD "," TIME ",\"datacontenttype\":"
         "\"text/plain; charset=\\\"utf-8\\\"\"}",
         "{" HEAD "," TIME ",\"datacontenttype\":"
         "\"text/plain; charset=\\\"utf-8\\\"\",\"feed\":\"f\"", "}",
         "a media type with a quoted parameter");
    good("{" HEAD "," TIME ",\"i\":2147483647,\"j\":-2147483648,\"k\":false}",
         "{" HEAD "," TIME ",\"i\":2147483647,\"j\":-2147483648,\"k\":false,"
         "\"feed\":\"f\"", "}", "integers and booleans");
    good("{" HEAD "," TIME ",\"e\":\"\"}",
         "{" HEAD "," TIME ",\"e\":\"\",\"feed\":\"f\"", "}",
         "an extension may be empty");
}


static void
test_data(void)
{
    static const char  head[] = "{" HEAD "," TIME ",\"feed\":\"f\"";

    good("{" HEAD "," TIME ",\"data\":{\"z\":1.0,\"a\":[1e5,\"\\u00e4\\/\"]}}",
         head, ",\"data\":{\"z\":1.0,\"a\":[1e5,\"\\u00e4\\/\"]}}",
         "data keeps its bytes");
    good("{" HEAD "," TIME ",\"data\":\n{\r\n\t\"a\" :\t1,\n  \"long name\":\n"
         "[\n1,\n2\n]\n}\n}",
         head, ",\"data\":{   \"a\" : 1,   \"long name\": [ 1, 2 ] }}",
         "line breaks and tabs between tokens become spaces");
    good("{" HEAD "," TIME ",\"data\":null}", head, ",\"data\":null}",
         "data may be null");
    good("{" HEAD "," TIME ",\"data\":\"a\\nb\"}", head,
         ",\"data\":\"a\\nb\"}", "or a string");
    good("{" HEAD "," TIME ",\"data\":1.10}", head, ",\"data\":1.10}",
         "or a number");
    good("{" HEAD "," TIME ",\"data_base64\":\"AAECAw==\"}", head,
         ",\"data_base64\":\"AAECAw==\"}", "binary data");
    good("{" HEAD "," TIME ",\"data_base64\":\"\\/\\/\\/\\/\"}", head,
         ",\"data_base64\":\"////\"}", "with its escapes undone");
    good("{" HEAD "," TIME ",\"data_base64\":\"\"}", head,
         ",\"data_base64\":\"\"}", "or none");

    bad("{" HEAD ",\"data\":1,\"data_base64\":\"\"}", "/data_base64",
        "both kinds of data are refused");
    bad("{" HEAD ",\"data\":1,\"data\":1}", "/data", "data twice");
    bad("{" HEAD ",\"data_base64\":\"\",\"data_base64\":\"\"}", "/data_base64",
        "binary data twice");
    bad("{" HEAD ",\"data_base64\":1}", "/data_base64", "a number as base64");
    bad("{" HEAD ",\"data_base64\":{}}", "/data_base64", "an object");
    bad("{" HEAD ",\"data_base64\":\"AAA\"}", "/data_base64", "no padding");
    bad("{" HEAD ",\"data_base64\":\"A===\"}", "/data_base64", "too much");
    bad("{" HEAD ",\"data_base64\":\"AA=A\"}", "/data_base64", "inside");
    bad("{" HEAD ",\"data_base64\":\"AAA*\"}", "/data_base64", "other letters");
    bad("{" HEAD ",\"data_base64\":\"AAB=\"}", "/data_base64",
        "bits left over");
    bad("{" HEAD ",\"data_base64\":\"AA\\n==\"}", "/data_base64",
        "a line break in base64");
    bad("{" HEAD ",\"data\":{\"a\":}}", "/data", "malformed data");
    bad("{" HEAD ",\"data\":\"\xff\"}", "/data", "data that is not UTF-8");
}


static void
test_required(void)
{
    bad("{\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}", "/specversion",
        "no specversion");
    bad("{\"specversion\":\"1.0\",\"source\":\"/s\",\"type\":\"t\"}", "/id",
        "no id");
    bad("{\"specversion\":\"1.0\",\"id\":\"1\",\"type\":\"t\"}", "/source",
        "no source");
    bad("{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\"}", "/type",
        "no type");
    bad("{\"specversion\":\"1.0\",\"id\":null,\"source\":\"/s\","
        "\"type\":\"t\"}", "/id", "an id that is null");
    bad("{}", "/specversion", "nothing");
    bad("{\"specversion\":\"0.3\",\"id\":\"1\",\"source\":\"/s\","
        "\"type\":\"t\"}", "/specversion", "another version");
    bad("{\"specversion\":1.0,\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}",
        "/specversion", "a version that is a number");
    bad("{\"specversion\":\"1.0\",\"id\":\"\",\"source\":\"/s\","
        "\"type\":\"t\"}", "/id", "an empty id");
    bad("{" HEAD ",\"id\":\"1\"}", "/id", "an id twice");
    bad("{" HEAD ",\"subject\":null,\"subject\":\"x\"}", "/subject",
        "a subject twice, once null");
    bad("{" HEAD ",\"x\":1,\"x\":2}", "/x", "an extension twice");
    bad("{" HEAD ",\"x\":null,\"x\":2}", "/x", "once null");
    bad("{" HEAD ",\"time\":true}", "/time", "a time that is no string");
    bad("{" HEAD ",\"subject\":{}}", "/subject", "a subject that is an object");
}


static void
attr(const char *name, const char *value, bool right)
{
    char           json[512], pointer[64];
    unsigned       i, n;
    es_rc_t        rc;

    static const char  *const  names[] = { "specversion", "id", "source",
                                           "type" };
    static const char  *const  values[] = { "1.0", "1", "/s", "t" };

    n = (unsigned) snprintf(json, sizeof(json), "{\"%s\":\"%s\"", name, value);

    for (i = 0; i < 4; i++) {
        if (strcmp(names[i], name) != 0) {
            n += (unsigned) snprintf(json + n, sizeof(json) - n,
                                     ",\"%s\":\"%s\"", names[i], values[i]);
        }
    }

    json[n++] = '}';
    rc = add(json, n);
    (void) snprintf(pointer, sizeof(pointer), "/%s", name);

    ok(right ? rc == ES_OK
             : rc == ES_INVALID && strcmp(problem.pointer, pointer) == 0
               && problem.index == 7,
       "%s '%.40s' is %s", name, value, right ? "taken" : "refused");
}


static void
test_id_and_source(void)
{
    attr("id", "evt_01J-x~!*'()", true);
    attr("id", "a.b", false);
    attr("id", "a b", false);
    attr("id", "a\\\"b", false);
    attr("id", "a\\\\b", false);
    attr("id", "a\\u0000b", false);
    attr("id", "\xc3\xa4", false);
    attr("id", "a\x7f", false);

    attr("source", "/orders", true);
    attr("source", "https://example.com/a?b=c#d", true);
    attr("source", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66", true);
    attr("source", "mailto:a@example.com", true);
    attr("source", "1-555-123-4567", true);
    attr("source", "./a:b", true);
    attr("source", "//[::1]/a", true);
    attr("source", "a%20b", true);
    attr("source", "", false);
    attr("source", "a b", false);
    attr("source", "a%2", false);
    attr("source", "a%zz", false);
    attr("source", "a#b#c", false);
    attr("source", "1a:b", false);
    attr("source", ":a", false);
    attr("source", "a\\u0001", false);
    attr("source", "\xc3\xa4", false);
    attr("source", "<a>", false);
    attr("source", "a\\\\b", false);
}


static void
test_attributes(void)
{
    attr("type", "com.example.order.created.v2", true);
    attr("type", "Order Created", true);
    attr("type", "\xc3\xa4", true);
    attr("type", "", false);
    attr("type", "a,b", false);
    attr("type", "a*", false);
    attr("type", "a\\\"", false);
    attr("type", "a\\\\", false);
    attr("type", "a\\n", false);

    attr("time", "2026-11-23T12:00:00+01:00", true);
    attr("time", "2026-11-23", false);
    attr("time", "", false);

    attr("subject", "order/42", true);
    attr("subject", "", false);
    attr("subject", "a\\u0007", false);
    attr("subject", "a\x7f", false);
    attr("subject", "a\xc2\x85", false);
    attr("subject", "a\xc2\xa0", true);
    attr("subject", "a\xef\xb7\x90", false);
    attr("subject", "a\xef\xb7\xb0", true);
    attr("subject", "a\xef\xbf\xbe", false);
    attr("subject", "a\xef\xbf\xbd", true);
    attr("subject", "a\xf0\x9f\xbf\xbf", false);
    attr("subject", "a\xf4\x8f\xbf\xbe", false);

    attr("dataschema", "https://example.com/schema/1.2.0", true);
    attr("dataschema", "/schema", false);
    attr("dataschema", "schema", false);
    attr("dataschema", "", false);

    attr("datacontenttype", "application/json", true);
    attr("datacontenttype", "application/vnd.x+json;charset=utf-8", true);
    attr("datacontenttype", "text/plain ; a=b ; c=\\\"d \\\\\\\"e\\\"", true);
    attr("datacontenttype", "text/plain;", true);
    attr("datacontenttype", "json", false);
    attr("datacontenttype", "text/", false);
    attr("datacontenttype", "/json", false);
    attr("datacontenttype", "text/plain x", false);
    attr("datacontenttype", "text/plain;a", false);
    attr("datacontenttype", "text/plain;a=", false);
    attr("datacontenttype", "text/plain;a=\\\"b", false);
    attr("datacontenttype", "text/plain;=b", false);
    attr("datacontenttype", "", false);
}


static void
test_extension_names(void)
{
    char  name[129], json[512];

    attr("traceparent", "00-0af7651916cd43dd8448eb211c80319c-"
         "b7ad6b7169203331-01", true);
    attr("x", "a\\u0000", false);
    attr("feed", "f", false);
    attr("sequence", "1", false);
    attr("sequencetype", "Integer", false);
    attr("cursor", "a-1", false);
    attr("prevcursor", "a-0", false);
    attr("Id", "1", false);
    attr("a_b", "1", false);
    attr("a-b", "1", false);
    attr("\xc3\xa4", "1", false);
    attr("abcdefghijabcdefghij", "1", true);
    attr("knativekafkapartition", "1", true);

    memset(name, 'n', 128);
    name[128] = '\0';
    attr(name, "1", true);
    (void) snprintf(json, sizeof(json), "{" HEAD ",\"%sn\":1}", name);
    is_int(add(json, strlen(json)), ES_INVALID, "a name that is longer");
    attr("", "1", false);
}


/* Attributes of another log, in every form. */

static void
test_replaced(void)
{
    static const char  whole[] = "{" HEAD ",\"feed\":\"x\",\"sequence\":7,"
        "\"sequencetype\":\"Integer\",\"\\u0063ursor\":null,"
        "\"prevcursor\":{},\"note\":\"n\",\"data\":{\"feed\":\"y\"}}";

    compose.replace = true;

    is_int(add(whole, sizeof(whole) - 1), ES_OK, "replaced: all of them");
    ok(draft.replaced, "replaced: it is said");
    ok(memmem(arena.data, arena.len, "\"feed\":\"x\"", 10) == NULL
       && memmem(arena.data, arena.len, "sequence", 8) == NULL
       && memmem(arena.data, arena.len, "\"note\":\"n\"", 10) != NULL
       && memmem(arena.data, arena.len, "{\"feed\":\"y\"}", 12) != NULL,
       "replaced: and nothing else");

    is_int(add("{" HEAD "}", sizeof("{" HEAD "}") - 1), ES_OK,
           "replaced: an event without them");
    ok(!draft.replaced, "replaced: has none replaced");
    bad("{" HEAD ",\"Feed\":\"x\"}", "/Feed", "replaced: no other names");

    compose.replace = false;
}


static void
test_extensions(void)
{
    char      json[2000];
    unsigned  i, n;

    bad("{" HEAD ",\"x\":1.5}", "/x", "a fraction");
    bad("{" HEAD ",\"x\":1e5}", "/x", "an exponent");
    bad("{" HEAD ",\"x\":2147483648}", "/x", "over 32 bits");
    bad("{" HEAD ",\"x\":-2147483649}", "/x", "under 32 bits");
    bad("{" HEAD ",\"x\":123456789012345678901234567890}", "/x", "a huge one");
    bad("{" HEAD ",\"x\":[]}", "/x", "an array");
    bad("{" HEAD ",\"x\":{}}", "/x", "an object");
    bad("{" HEAD ",\"a/b~c\":1}", "/a~1b~0c", "a name that is escaped");
    bad("{" HEAD ",\"\\u0066eed\":\"f\"}", "/feed", "a reserved name in escapes");

    for (i = 0, n = 0; i < 21; i++) {
        n += (unsigned) snprintf(json + n, sizeof(json) - n, "%s\"x%02u\":1",
                                 i ? "," : "{" HEAD ",", i);
        if (i == 19) {
            json[n] = '}';
            is_int(add(json, n + 1), ES_OK, "20 extensions");
        }
    }

    json[n] = '}';
    json[n + 1] = '\0';
    bad(json, "/x20", "one more");
}


static void
test_syntax(void)
{
    size_t       i;
    unsigned     wrong;

    static const char  whole[] = "{" HEAD "," TIME ",\"data\":{\"a\":[1,2]}}";

    bad("", "", "no text");
    bad("[]", "", "an array");
    bad("1", "", "a number");
    bad("{" HEAD "} x", "", "something after");
    bad("{" HEAD "}{}", "", "two events");
    bad("{" HEAD ",}", "", "a comma too many");
    bad("{" HEAD ",\"time\"}", "/time", "a name alone");
    bad("{\"specversion\":\"1.0\",\"id\":x}", "/id", "no value");

    wrong = 0;

    for (i = 0; i < sizeof(whole) - 1; i++) {
        wrong += add(whole, i) != ES_INVALID;
    }

    is_int(wrong, 0, "any truncation is found");
}


/* An event with an extension of so many escaped characters. */

static es_rc_t
add_escapes(unsigned n)
{
    es_rc_t   rc;
    es_buf_t  json = { NULL, 0, 0 };

    (void) es_buf_printf(&json, "{%s,\"x\":\"", HEAD);

    while (n-- > 0) {
        (void) es_buf_append(&json, "\\u0041", 6);
    }

    (void) es_buf_append(&json, "\"}", 2);
    rc = add(json.data, json.len);
    es_buf_free(&json);

    return rc;
}


static void
test_sizes(void)
{
    char      json[2000], id[140], tail[3000];
    size_t    size;

    memset(id, 'a', sizeof(id));
    id[128] = '\0';
    attr("id", id, true);
    id[128] = 'a';
    id[129] = '\0';
    (void) snprintf(json, sizeof(json), "{\"specversion\":\"1.0\","
                    "\"id\":\"%s\",\"source\":\"/s\",\"type\":\"t\"}", id);
    is_problem(add(json, strlen(json)), ES_TOO_LARGE, "/id",
               "an id of 129 bytes");

    memset(tail, 'a', sizeof(tail));
    (void) snprintf(json, sizeof(json), "{\"specversion\":\"1.0\","
                    "\"id\":\"1\",\"source\":\"/%.1023s\","
                    "\"type\":\"%.255s\"}", tail, tail);
    is_int(add(json, strlen(json)), ES_OK,
           "a source of 1024 bytes, a type of 255");
    (void) snprintf(json, sizeof(json), "{\"specversion\":\"1.0\","
                    "\"id\":\"1\",\"source\":\"/%.1024s\",\"type\":\"t\"}",
                    tail);
    is_problem(add(json, strlen(json)), ES_TOO_LARGE, "/source",
               "a source of 1025");
    (void) snprintf(json, sizeof(json), "{\"specversion\":\"1.0\","
                    "\"id\":\"1\",\"source\":\"/s\",\"type\":\"%.256s\"}",
                    tail);
    is_problem(add(json, strlen(json)), ES_INVALID, "/type",
               "a type of 256");
    (void) snprintf(json, sizeof(json), "{\"specversion\":\"1.0\","
                    "\"id\":\"1\",\"source\":\"/s\",\"type\":\"\\u0061%.255s\"}",
                    tail);
    is_problem(add(json, strlen(json)), ES_INVALID, "/type",
               "also by an escape");

    (void) snprintf(json, sizeof(json), "{" HEAD ",\"subject\":\"%.*s\"}", 1024,
                    tail);
    is_int(add(json, strlen(json)), ES_OK, "a subject of 1024 bytes");
    (void) snprintf(json, sizeof(json), "{" HEAD ",\"subject\":\"%.*s\"}", 1025,
                    tail);
    is_problem(add(json, strlen(json)), ES_TOO_LARGE, "/subject",
               "a subject of 1025");

    is_int(add_escapes(1024), ES_OK, "1024 escapes are 1024 bytes");
    is_problem(add_escapes(1025), ES_TOO_LARGE, "/x", "1025 are not");
    is_problem(add_escapes(9999), ES_TOO_LARGE, "/x", "nor very many");

    (void) strcpy(json, "{" HEAD "," TIME ",\"data\":\"0123456789\"}");
    is_int(add(json, strlen(json)), ES_OK, "an event");
    size = draft.head.len + draft.tail.len;
    compose.event_max = size;
    is_int(add(json, strlen(json)), ES_OK, "of the maximum");
    compose.event_max = size - 1;
    is_problem(add(json, strlen(json)), ES_TOO_LARGE, "", "one byte over");
    is_int((int64_t) arena.len, 3, "leaves the arena as it was");
    compose.event_max = 11;
    is_problem(add(json, strlen(json)), ES_TOO_LARGE, "/data",
               "data over the maximum alone");
    compose.event_max = 1 << 18;

    is_int(es_draft_json(&compose, "{}", 2, 0, &arena, &draft, NULL),
           ES_INVALID, "nobody need want the problem");
}


static es_rc_t
binary(const es_attr_t *attrs, size_t n, const char *type, const char *data,
    size_t len)
{
    memset(&problem, 0, sizeof(problem));
    arena.len = 3;

    return es_draft_binary(&compose, attrs, n, es_str(type), data, len,
                           &arena, &draft, &problem);
}


static void
test_depth(void)
{
    char       deep[128];
    es_attr_t  attrs[4] = {
        { es_lit("specversion"), es_lit("1.0") },
        { es_lit("id"), es_lit("1") },
        { es_lit("source"), es_lit("/s") },
        { es_lit("type"), es_lit("t") }
    };

    memset(deep, '[', 64);
    memset(deep + 64, ']', 64);
    is_problem(binary(attrs, 4, "application/json", deep, 128), ES_INVALID,
               "/data", "JSON that is too deep in an event");
    is_int(binary(attrs, 4, "application/json", deep + 1, 126), ES_OK,
           "JSON that is just not");
}


static void
test_binary(void)
{
    es_attr_t  attrs[6] = {
        { es_lit("specversion"), es_lit("1.0") },
        { es_lit("id"), es_lit("1") },
        { es_lit("source"), es_lit("/s") },
        { es_lit("Type"), es_lit("t") },
        { es_lit("time"), es_lit("2026-11-23T12:00:00Z") },
        { es_lit("x"), es_lit("a\"b\\") }
    };

    is_event(binary(attrs, 5, "", NULL, 0),
             "{" HEAD "," TIME ",\"feed\":\"f\"", "}", "binary mode, no data");
    is_event(binary(attrs, 6, "application/json", "{\"a\":\n1.0} ", 11),
             "{" HEAD "," TIME ",\"datacontenttype\":\"application/json\","
             "\"x\":\"a\\\"b\\\\\",\"feed\":\"f\"", ",\"data\":{\"a\": 1.0}}",
             "JSON");
    is_event(binary(attrs, 5, "application/Vnd.x+JSON; a=b", "1", 1),
             "{" HEAD "," TIME ",\"datacontenttype\":"
             "\"application/Vnd.x+JSON; a=b\",\"feed\":\"f\"", ",\"data\":1}",
             "a kind of JSON");
    is_event(binary(attrs, 5, "text/plain", "a\"b\nc\x01", 6),
             "{" HEAD "," TIME ",\"datacontenttype\":\"text/plain\","
             "\"feed\":\"f\"", ",\"data\":\"a\\\"b\\nc\\u0001\"}", "text");
    is_event(binary(attrs, 5, "text/plain", "\xff\xfe", 2),
             "{" HEAD "," TIME ",\"datacontenttype\":\"text/plain\","
             "\"feed\":\"f\"", ",\"data_base64\":\"//4=\"}",
             "text that is not UTF-8");
    is_event(binary(attrs, 5, "application/xml", "<a/>", 4),
             "{" HEAD "," TIME ",\"datacontenttype\":\"application/xml\","
             "\"feed\":\"f\"", ",\"data\":\"<a/>\"}", "XML");
    is_event(binary(attrs, 5, "image/png", "\0\1\2\3", 4),
             "{" HEAD "," TIME ",\"datacontenttype\":\"image/png\","
             "\"feed\":\"f\"", ",\"data_base64\":\"AAECAw==\"}", "bytes");
    is_event(binary(attrs, 5, "", "abc", 3),
             "{" HEAD "," TIME ",\"feed\":\"f\"", ",\"data_base64\":\"YWJj\"}",
             "bytes of no type");

    is_problem(binary(attrs, 5, "application/json", "{", 1), ES_INVALID,
               "/data", "JSON that is none");
    is_problem(binary(attrs, 3, "", NULL, 0), ES_INVALID, "/type", "no type");
    is_problem(binary(attrs, 5, "nonsense", NULL, 0), ES_INVALID,
               "/datacontenttype", "a content type that is none");
    is_problem(binary(attrs, 5, "text/\xff", NULL, 0), ES_INVALID,
               "/datacontenttype", "or not UTF-8");
    is_problem(binary(attrs, 5, "text/x\n", NULL, 0), ES_INVALID,
               "/datacontenttype", "or has a line break");

    attrs[5].name = es_lit("id");
    is_problem(binary(attrs, 6, "", NULL, 0), ES_INVALID, "/id", "an id twice");
    attrs[5].name = es_lit("data");
    is_problem(binary(attrs, 6, "", NULL, 0), ES_INVALID, "/data",
               "data as an attribute");
    attrs[5].name = es_lit("datacontenttype");
    is_problem(binary(attrs, 6, "", NULL, 0), ES_INVALID, "/datacontenttype",
               "a content type as an attribute");
    attrs[5].name = es_lit("x");
    attrs[5].value = es_lit("\xff");
    is_problem(binary(attrs, 6, "", NULL, 0), ES_INVALID, "/x",
               "a value that is not UTF-8");
    attrs[5].value = es_lit("a\nb");
    is_problem(binary(attrs, 6, "", NULL, 0), ES_INVALID, "/x",
               "a value with a line break");

    compose.event_max = 3;
    is_problem(binary(attrs, 5, "image/png", "abcd", 4), ES_TOO_LARGE, "/data",
               "data over the maximum");
    compose.event_max = 1 << 18;
}


/* The context of the request becomes that of an event that has none. */

static void
test_trace(void)
{
    char      text[2048], *p;
    unsigned  i;

    compose.traceparent = es_lit("TP");

    good("{" HEAD "," TIME ",\"b\":1,\"z\":2}",
         "{" HEAD "," TIME ",\"b\":1,\"traceparent\":\"TP\",\"z\":2,"
         "\"feed\":\"f\"", "}",
         "between others");
    good("{" HEAD "," TIME ",\"traceparent\":\"own\"}",
         "{" HEAD "," TIME ",\"traceparent\":\"own\",\"feed\":\"f\"", "}",
         "an event with its own");
    good("{" HEAD "," TIME ",\"traceparent\":null}",
         "{" HEAD "," TIME ",\"traceparent\":\"TP\",\"feed\":\"f\"", "}",
         "null is none");

    compose.tracestate = es_lit("a=\"\\");

    good("{" HEAD "," TIME ",\"b\":1}",
         "{" HEAD "," TIME ",\"b\":1,\"traceparent\":\"TP\","
         "\"tracestate\":\"a=\\\"\\\\\",\"feed\":\"f\"", "}",
         "with a state");
    good("{" HEAD "," TIME ",\"traceparent\":\"own\"}",
         "{" HEAD "," TIME ",\"traceparent\":\"own\",\"feed\":\"f\"", "}",
         "its own alone");
    good("{" HEAD "," TIME ",\"tracestate\":\"own\"}",
         "{" HEAD "," TIME ",\"tracestate\":\"own\",\"feed\":\"f\"", "}",
         "a state of its own alone");

    /* it never makes an event too large */

    p = text + sprintf(text, "{" HEAD "," TIME);

    for (i = 0; i < 20; i++) {
        p += sprintf(p, ",\"n%u\":1", i);
    }

    (void) sprintf(p, "}");
    is_int(add(text, strlen(text)), ES_OK, "beside 20 extensions");
    ok(memmem(part(draft.head).data, draft.head.len, "tracestate", 10) != NULL,
       "it is added");

    compose.event_max = strlen(text) + strlen(",\"feed\":\"f\"");
    is_int(add(text, strlen(text)), ES_OK, "in an event of the largest size");
    compose.event_max--;
    is_int(add(text, strlen(text)), ES_TOO_LARGE, "but not in a larger one");

    compose.event_max = 1 << 18;
    compose.traceparent = es_null_str;
    compose.tracestate = es_null_str;
}


int
main(void)
{
    (void) es_buf_append(&arena, "xyz", 3);

    test_order();
    test_canonical();
    test_data();
    test_required();
    test_id_and_source();
    test_attributes();
    test_extension_names();
    test_trace();
    test_extensions();
    test_replaced();
    test_syntax();
    test_sizes();
    test_binary();
    test_depth();

    es_buf_free(&arena);

    return done();
}
