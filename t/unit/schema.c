/* SPDX-License-Identifier: BSD-2-Clause */

/* JSON Schema: cases that the test suite of t/store/schema.t lacks. */

#include "schema/schema.h"
#include "tap.h"


static void
refuses(const char *schema, es_rc_t expected, const char *pointer,
    const char *name)
{
    es_rc_t        rc;
    es_schema_t   *compiled = NULL;
    es_problem_t   problem = { 0 };

    rc = es_schema_compile(es_str(schema), &compiled, &problem);

    if (!ok(rc == expected && strcmp(problem.pointer, pointer) == 0
            && problem.detail[0] != '\0', "%s", name))
    {
        printf("# %s at '%s': %s\n", es_strerror(rc), problem.pointer,
               problem.detail);
    }

    es_schema_free(rc == ES_OK ? compiled : NULL);
}


/* What is said of the instance: "" if it is allowed, else "pointer keyword". */

static void
checks(const char *schema, const char *instance, const char *expected,
    const char *name)
{
    char           got[256] = "";
    es_rc_t        rc;
    int64_t        work = ES_SCHEMA_WORK_MAX;
    es_schema_t   *compiled;
    es_problem_t   problem = { 0 };

    if (es_schema_compile(es_str(schema), &compiled, &problem) != ES_OK) {
        ok(false, "%s: %s", name, problem.detail);
        return;
    }

    rc = es_schema_validate(compiled, es_str(instance), "/data", &work,
                            &problem);

    if (rc == ES_MISMATCH) {
        (void) snprintf(got, sizeof(got), "%s %s", problem.pointer,
                        problem.keyword);
    }

    if (!is_str(es_str(got), expected, name)) {
        printf("# %s: %s\n", es_strerror(rc), problem.detail);
    }

    es_schema_free(compiled);
}


static void
test_refused(void)
{
    refuses("{", ES_INVALID, "", "text that is not JSON");
    refuses("{\"type\":\"object\",\"type\":\"array\"}", ES_INVALID, "",
            "a name twice");
    refuses("1", ES_INVALID, "", "a number is no schema");
    refuses("{\"properties\":{\"a\":[]}}", ES_INVALID, "/properties/a",
            "a list is no schema");
    refuses("{\"unevaluatedProperties\":false}", ES_INVALID,
            "/unevaluatedProperties", "a keyword that is not checked");
    refuses("{\"items\":{\"x-mine\":1}}", ES_INVALID, "/items/x-mine",
            "a keyword that nobody knows");
    refuses("{\"a/b~c\":1}", ES_INVALID, "/a~1b~0c",
            "the pointer is escaped");
    refuses("{\"type\":\"text\"}", ES_INVALID, "/type", "a type unknown");
    refuses("{\"type\":[]}", ES_INVALID, "/type", "no type at all");
    refuses("{\"minLength\":-1}", ES_INVALID, "/minLength",
            "a length below zero");
    refuses("{\"minLength\":1.5}", ES_INVALID, "/minLength", "half a length");
    refuses("{\"multipleOf\":0}", ES_INVALID, "/multipleOf",
            "multiples of zero");
    refuses("{\"required\":\"a\"}", ES_INVALID, "/required",
            "a name for a list");
    refuses("{\"allOf\":[]}", ES_INVALID, "/allOf", "all of nothing");
    refuses("{\"allOf\":[true,{\"not\":3}]}", ES_INVALID, "/allOf/1/not",
            "deeper, with an index");
    refuses("{\"items\":[true]}", ES_INVALID, "/items",
            "items as a list, of older drafts");
    refuses("{\"if\":true,\"then\":1}", ES_INVALID, "/then",
            "then is a schema");
    refuses("{\"then\":{\"zzz\":1}}", ES_INVALID, "/then/zzz",
            "also without an if");
    refuses("{\"$defs\":{\"a\":{\"zzz\":1}}}", ES_INVALID, "/$defs/a/zzz",
            "also where nothing refers to");
    refuses("{\"maxContains\":\"1\"}", ES_INVALID, "/maxContains",
            "also a keyword that is alone");
    refuses("{\"$schema\":\"http://json-schema.org/draft-07/schema#\"}",
            ES_INVALID, "/$schema", "another draft");
    refuses("{\"items\":{\"$id\":\"x\"}}", ES_INVALID, "/items/$id",
            "a document within the document");
    refuses("{\"$ref\":\"#/$defs/a\"}", ES_INVALID, "",
            "a reference to nothing");
    refuses("{\"$ref\":\"#/enum/0\",\"enum\":[{}]}", ES_INVALID, "",
            "a reference to what is no schema");
    refuses("{\"$ref\":\"other.json\"}", ES_INVALID, "",
            "a reference to elsewhere");
    refuses("{\"$anchor\":\"1a\"}", ES_INVALID, "/$anchor",
            "an anchor that is no name");
    refuses("{\"$anchor\":\"a\",\"not\":{\"$anchor\":\"a\"}}", ES_INVALID,
            "/$anchor", "an anchor twice");
}


static void
test_patterns_refused(void)
{
    unsigned  i;
    char      schema[128];

    static const char  *const  patterns[] = {
        "(", "(*UCP)a", "(?R)", "(?i)a", "(?>a)", "a++", "a*+", "\\\\Aa",
        "\\\\Qa", "\\\\Ka", "\\\\h", "[[:alpha:]]", "(?(1)a)", "(?#x)", "\\\\",
        "(?P<a>b)", "(?|a)"
    };

    for (i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        (void) snprintf(schema, sizeof(schema), "{\"pattern\":\"%s\"}",
                        patterns[i]);
        refuses(schema, ES_INVALID, "/pattern", patterns[i]);
    }

    checks("{\"pattern\":\"^(?:\\\\d{2}|(?<y>[a-z])\\\\k<y>|(?=x)x(?!y)"
           "|(?<=q)[\\\\]\\\\[]+?)$\"}", "\"aa\"", "", "what ECMA-262 has");
    checks("{\"pattern\":\"^a$\"}", "\"a\\n\"", "/data pattern",
           "the end is the end");
    checks("{\"pattern\":\"^\\\\u00e9$\"}", "\"\xc3\xa9\"", "",
           "a character by its number");
    checks("{\"pattern\":\"^.$\"}", "\"\xf0\x9f\x98\x80\"", "",
           "a character is a code point");
}


static void
test_numbers(void)
{
    checks("{\"const\":1}", "1.0", "", "1 is 1.0");
    checks("{\"const\":true}", "1", "/data const", "1 is not true");
    checks("{\"const\":9007199254740993}", "9007199254740992",
           "/data const", "integers are exact");
    checks("{\"const\":9007199254740993}", "9007199254740992.0",
           "/data const", "also against doubles");
    checks("{\"maximum\":9223372036854775807}", "9223372036854775808",
           "/data maximum", "the first beyond 64 bits is larger");
    checks("{\"items\":{\"const\":9007199254740992}}",
           "[9007199254740993,1e19,18446744073709551616]",
           "/data/1 const", "and makes doubles of all beside it");
    checks("{\"type\":\"integer\"}", "123456789012345678901234567890", "",
           "and are whole");
    checks("{\"type\":\"number\"}", "1e999", "/data ",
           "a number that no double holds is not checked");
    checks("{\"multipleOf\":0.01}", "19.99", "", "decimals are exact");
    checks("{\"multipleOf\":0.01}", "19.995", "/data multipleOf",
           "half a cent is none");
    checks("{\"multipleOf\":0.1}", "0.3", "", "a third of what?");
    checks("{\"multipleOf\":1e-300}", "1", "", "a very small divisor");
    checks("{\"multipleOf\":3}", "1e300", "/data multipleOf",
           "a very large number");
    checks("{\"multipleOf\":1e300}", "3e-300", "/data multipleOf",
           "and the other way round");
    checks("{\"multipleOf\":7}", "-9223372036854775808", "/data multipleOf",
           "the smallest integer");
    checks("{\"multipleOf\":2}", "-9223372036854775808", "",
           "which is even");
    checks("{\"multipleOf\":2.5}", "0", "", "zero is a multiple");
    checks("{\"minimum\":-9223372036854775808}", "-9.3e18", "/data minimum",
           "a double below all integers");
    checks("{\"exclusiveMaximum\":5}", "4.999", "", "between two integers");
    checks("{\"exclusiveMinimum\":5}", "5.0", "/data exclusiveMinimum",
           "the bound itself");
}


static void
test_places(void)
{
    checks("{\"properties\":{\"a/b\":{\"items\":{\"maxLength\":1}}}}",
           "{\"a/b\":[\"x\",\"yy\"]}", "/data/a~1b/1 maxLength",
           "names and indexes, escaped");
    checks("{\"required\":[\"id\"]}", "{}", "/data required",
           "what is missing is told where it should be");
    checks("{\"additionalProperties\":false}", "{\"x\":1}",
           "/data/x additionalProperties", "one too many");
    checks("{\"propertyNames\":{\"maxLength\":2}}", "{\"abc\":1}",
           "/data/abc maxLength", "a name that is not allowed");
    checks("{\"anyOf\":[{\"properties\":{\"a\":{\"type\":\"null\"}}},"
           "{\"required\":[\"b\"]}]}", "{\"a\":1}", "/data anyOf",
           "none of the choices is singled out");
    checks("{\"not\":{\"not\":{\"type\":\"null\"}}}", "1", "/data not",
           "nor what is within not");
    checks("{\"if\":{\"type\":\"object\"},\"then\":{\"required\":[\"a\"]}}",
           "{}", "/data required", "what then asks for is");
    checks("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"minimum\":3}}}", "2",
           "/data minimum", "and what a reference does");
    checks("false", "1", "/data ", "a schema that allows nothing");
    checks("{\"items\":{\"$ref\":\"#\"},\"type\":\"array\"}", "[[],[[1]]]",
           "/data/1/0/0 type", "a recursive schema");
    checks("{\"$id\":\"urn:x\",\"items\":{\"$ref\":\"urn:x#a\"},"
           "\"$defs\":{\"y\":{\"$anchor\":\"a\",\"type\":\"null\"}}}", "[1]",
           "/data/0 type", "a reference by the document's own name");
    checks("{\"$ref\":\"#/$defs/a%20b~1c\",\"$defs\":{\"a b/c\":false}}", "1",
           "/data $ref", "a reference with escapes");
    checks("{\"format\":\"date\",\"contentEncoding\":\"base64\"}", "\"x\"", "",
           "annotations are not checked");
    checks("true", "{\"a\":1,\"a\":2}", "/data ",
           "a name twice means nothing certain");
    checks("{\"type\":\"string\"}", "\"a\\u0000b\"", "", "a NUL in a string");
    checks("{\"uniqueItems\":true}", "[{\"a\":1,\"b\":2},{\"b\":2.0,\"a\":1}]",
           "/data uniqueItems", "unique in whichever order and spelling");
}


/* "open" n times, `inside`, "close" n times; freed by the caller. */

static char *
nested(const char *open, size_t n, const char *inside, const char *close)
{
    char    *text, *p;
    size_t   i;

    text = malloc(n * (strlen(open) + strlen(close)) + strlen(inside) + 1);
    p = text;
    *p = '\0';

    for (i = 0; i < n; i++) {
        p = stpcpy(p, open);
    }

    p = stpcpy(p, inside);

    for (i = 0; i < n; i++) {
        p = stpcpy(p, close);
    }

    return text;
}


static void
test_deep(void)
{
    char  *text, *pointer;

    refuses("{\"$ref\":\"#\"}", ES_INVALID, "", "a reference to itself");
    refuses("{\"anyOf\":[{\"$ref\":\"#/$defs/a\"}],\"$defs\":{\"a\":"
            "{\"not\":{\"$ref\":\"#\"}}}}", ES_INVALID, "",
            "a circle at one place");

    text = nested("{\"not\":", ES_SCHEMA_CHAIN_MAX, "true", "}");
    pointer = nested("/not", 31, "/no", "");
    refuses(text, ES_TOO_LARGE, pointer, "a long chain at one place");
    free(pointer);
    free(text);

    text = nested("{\"items\":", ES_SCHEMA_NEST_MAX, "{\"type\":\"null\"}",
                  "}");
    refuses(text, ES_TOO_LARGE,
            "/items/items/items/items/items/items/items/items/items/items"
            "/items/items/items/items/items/items/items/items/items/items"
            "/items/", "a schema nested deeply");
    free(text);

    text = nested("[", 2000, "", "]");
    checks("{\"items\":{\"$ref\":\"#\"}}", text, "",
           "an instance as deep as the parser takes");
    free(text);

    text = nested("[", 3000, "", "]");
    checks("true", text, "/data ", "an instance that is deeper");
    free(text);
}


/* Each of the levels asks the next one three times. */

static void
test_exponential(void)
{
    char      text[4096], *p;
    unsigned  i;

    p = text + sprintf(text, "{\"$ref\":\"#/$defs/a0\",\"$defs\":{");

    for (i = 0; i < 15; i++) {
        p += sprintf(p, "\"a%u\":{\"allOf\":[{\"$ref\":\"#/$defs/a%u\"},"
                     "{\"$ref\":\"#/$defs/a%u\"},{\"$ref\":\"#/$defs/a%u\"}]},",
                     i, i + 1, i + 1, i + 1);
    }

    (void) sprintf(p, "\"a15\":true}}");
    checks(text, "1", "/data ", "a schema that would take for ever");

    checks("{\"pattern\":\"^(a|aa)+$\"}",
           "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"",
           "/data ", "a pattern that would");
    checks("{\"not\":{\"pattern\":\"^(a|aa)+$\"}}",
           "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!\"",
           "/data ", "its end within not proves nothing");
}


/* The steps that a validation takes; more than ES_SCHEMA_WORK_MAX if that is
   not enough. */

static int64_t
steps(const char *pattern, const char *unit, size_t times, const char *end)
{
    char           schema[256], *text, *p;
    int64_t        work = ES_SCHEMA_WORK_MAX;
    es_schema_t   *compiled;
    es_problem_t   problem = { 0 };

    (void) snprintf(schema, sizeof(schema), "{\"pattern\":\"%s\"}", pattern);

    if (es_schema_compile(es_str(schema), &compiled, &problem) != ES_OK) {
        printf("Bail out! %s: %s\n", pattern, problem.detail);
        exit(1);
    }

    text = malloc(times * strlen(unit) + strlen(end) + 3);
    p = stpcpy(text, "\"");

    while (times-- > 0) {
        p = stpcpy(p, unit);
    }

    (void) stpcpy(stpcpy(p, end), "\"");

    (void) es_schema_validate(compiled, es_str(text), "", &work, &problem);
    es_schema_free(compiled);
    free(text);

    return ES_SCHEMA_WORK_MAX - work;
}


/* What a pattern costs is what PCRE2 did for it. */

static void
test_steps(void)
{
    char     block[1000];
    int64_t  one, two;

    one = steps("^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "2026-11-30", 1, "");
    ok(one < 200, "a date takes few steps: %lld", (long long) one);

    one = steps("^[a-z]+$", "a", 100000, "");
    ok(one > 100000 && one < 200000, "a long text a step a byte: %lld",
       (long long) one);

    one = steps("^(.*)(.*)x$", "a", 200, "x!");
    two = steps("^(.*)(.*)x$", "a", 400, "x!");
    ok(one > 200 * 200 / 2 && two > 3 * one && two < 5 * one,
       "a quadratic pattern quadratically: %lld, %lld", (long long) one,
       (long long) two);

    one = steps("^(a|aa)+$", "a", 15, "!");
    two = steps("^(a|aa)+$", "a", 20, "!");
    ok(two > 8 * one && two < 16 * one,
       "an exponential pattern exponentially: %lld, %lld", (long long) one,
       (long long) two);

    ok(steps("^(a|aa)+$", "a", 60, "!") > ES_SCHEMA_WORK_MAX,
       "until there are none left");
    ok(steps("[a-z ]+$", " ", 5000, "!") > ES_SCHEMA_WORK_MAX,
       "all starts of a match count together");

    memset(block, 'a', 899);
    (void) strcpy(block + 899, "!");
    ok(steps("[a-z]{900}[0-9]", block, 10, "") > ES_SCHEMA_WORK_MAX,
       "a repetition that fails counts");
    one = steps("^(.*)!!\\\\1$", "a", 2000, "!");
    ok(one > 2000 * 2000 / 16, "a reference that may be compared counts: %lld",
       (long long) one);
}


/* Validations that share their steps. */

static void
test_shared_steps(void)
{
    int64_t        work = 60;
    es_schema_t   *compiled;
    es_problem_t   problem = { 0 };

    (void) es_schema_compile(es_lit("{\"pattern\":\"^a\"}"), &compiled, NULL);

    is_int(es_schema_validate(compiled, es_lit("\"a\""), "", &work, NULL),
           ES_OK, "steps: enough");
    ok(work < 60 && work > 30, "steps: fewer are left: %lld",
       (long long) work);

    while (work > 0) {
        (void) es_schema_validate(compiled, es_lit("\"a\""), "/d", &work,
                                  &problem);
    }

    is_int(problem.rc, ES_MISMATCH, "steps: none are left");
    is_str(es_str(problem.pointer), "/d", "steps: of the text");
    is_str(es_str(problem.keyword), "", "steps: no keyword is at fault");
    is_int(es_schema_validate(compiled, es_lit("\"a\""), "", &work, NULL),
           ES_MISMATCH, "steps: so it stays");
    es_schema_free(compiled);
}


static void
test_large(void)
{
    char    *text, *p;
    size_t   i;

    text = malloc(ES_SCHEMA_SIZE_MAX + 2);
    memset(text, ' ', ES_SCHEMA_SIZE_MAX + 1);
    memcpy(text, "true", 4);
    text[ES_SCHEMA_SIZE_MAX + 1] = '\0';
    refuses(text, ES_TOO_LARGE, "", "a document too large");
    free(text);

    text = malloc(ES_SCHEMA_NODES_MAX * 5 + 64);
    p = text + sprintf(text, "{\"anyOf\":[true");

    for (i = 1; i < ES_SCHEMA_NODES_MAX; i++) {
        p = stpcpy(p, ",true");
    }

    (void) strcpy(p, "]}");
    refuses(text, ES_TOO_LARGE, "/anyOf/9999", "a document of too many");
    free(text);

    text = malloc(200000);
    p = stpcpy(text, "[");

    for (i = 0; i < 20000; i++) {
        p += sprintf(p, "%zu,", i);
    }

    (void) strcpy(p, "0.0]");
    checks("{\"uniqueItems\":true}", text, "/data uniqueItems",
           "one of many is there twice");
    checks("{\"items\":{\"minimum\":0,\"multipleOf\":1}}", text, "",
           "many that are allowed");
    free(text);
}


int
main(void)
{
    test_refused();
    test_patterns_refused();
    test_numbers();
    test_places();
    test_deep();
    test_exponential();
    test_steps();
    test_shared_steps();
    test_large();

    return done();
}
