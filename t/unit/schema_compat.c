/* SPDX-License-Identifier: BSD-2-Clause */

/* Compatibility: whether a schema accepts everything that another accepts. */

#include "schema/schema.h"
#include "tap.h"


static es_schema_t *
compiled(const char *text)
{
    es_schema_t   *schema;
    es_problem_t   problem;

    if (es_schema_compile(es_str(text), &schema, &problem) != ES_OK) {
        printf("# %s: %s\n", text, problem.detail);
        return NULL;
    }

    return schema;
}


/* The pointer of the problem, or NULL when it is compatible; "*" is any. */

static void
compares(const char *old, const char *new, const char *expected,
    const char *name)
{
    es_rc_t        rc;
    es_schema_t   *previous, *next;
    es_problem_t   problem = { 0 };

    previous = compiled(old);
    next = compiled(new);

    if (previous == NULL || next == NULL) {
        ok(false, "%s", name);

    } else {
        rc = es_schema_compatible(previous, next, &problem);

        if (!ok(expected == NULL
                ? rc == ES_OK
                : rc == ES_CONFLICT && problem.detail[0] != '\0'
                  && (strcmp(expected, "*") == 0
                      || strcmp(problem.pointer, expected) == 0), "%s", name))
        {
            printf("# %s at '%s': %s\n", es_strerror(rc), problem.pointer,
                   problem.detail);
        }
    }

    es_schema_free(previous);
    es_schema_free(next);
}


static void
widens(const char *old, const char *new, const char *name)
{
    compares(old, new, NULL, name);
    compares(new, old, "*", "and not the other way round");
}


static void
test_values(void)
{
    widens("{\"type\":\"string\"}", "{}", "any type");
    widens("{\"type\":\"integer\"}", "{\"type\":\"number\"}",
           "whole numbers are numbers");
    widens("{\"type\":\"string\"}", "{\"type\":[\"null\",\"string\"]}",
           "one more type");
    widens("{\"enum\":[1,2]}", "{\"enum\":[3,2.0,1]}", "one more value");
    widens("{\"const\":\"a\"}", "{\"enum\":[\"a\",\"b\"]}",
           "a constant among others");
    widens("{\"enum\":[\"a\",\"bb\"]}", "{\"type\":\"string\",\"maxLength\":2}",
           "values that a rule covers");
    widens("false", "true", "everything from nothing");
    widens("{\"maximum\":5}", "{\"maximum\":5.5}", "a larger maximum");
    widens("{\"exclusiveMaximum\":5}", "{\"maximum\":5}",
           "the maximum itself");
    widens("{\"minimum\":5}", "{\"exclusiveMinimum\":4}", "a smaller minimum");
    widens("{\"exclusiveMinimum\":5}", "{\"exclusiveMinimum\":4}",
           "a smaller bound");
    widens("{\"multipleOf\":0.5}", "{\"multipleOf\":0.25}", "finer steps");
    widens("{\"type\":\"integer\"}", "{\"multipleOf\":0.5,\"type\":\"number\"}",
           "whole numbers are multiples of a half");
    widens("{\"maxLength\":5}", "{\"maxLength\":6}", "longer text");
    widens("{\"minLength\":5}", "{\"minLength\":4}", "shorter text");
    compares("{}", "{\"minLength\":0}", NULL, "a bound that bounds nothing");
    compares("{\"pattern\":\"a\"}", "{\"pattern\":\"a\"}", NULL,
             "the same pattern");
    compares("{\"pattern\":\"a\"}", "{\"pattern\":\"a|b\"}", "",
             "another pattern is not understood");
    compares("{\"type\":\"integer\"}",
             "{\"type\":\"integer\",\"maxLength\":1}", NULL,
             "a rule of strings where there are none");
    compares("{\"title\":\"a\",\"format\":\"date\"}",
             "{\"description\":\"b\",\"default\":1}", NULL,
             "annotations do not count");
}


static void
test_objects(void)
{
    widens("{\"required\":[\"a\",\"b\"]}", "{\"required\":[\"b\"]}",
           "a member that is optional now");
    compares("{\"properties\":{\"a\":{\"type\":\"string\"}}}",
             "{\"properties\":{\"a\":{\"type\":\"string\"},"
             "\"b\":{\"type\":\"string\"}}}", NULL,
             "a new member of an open object");
    compares("{\"properties\":{\"a\":{\"type\":\"string\"}},"
             "\"additionalProperties\":false}",
             "{\"properties\":{\"a\":{\"type\":\"string\"},"
             "\"b\":{\"type\":\"string\"}},\"additionalProperties\":false}",
             NULL, "a new member of a closed object");
    compares("{\"additionalProperties\":true}",
             "{\"properties\":{\"b\":{\"type\":\"string\"}}}",
             "/properties/b", "a new member where all were promised");
    compares("{\"additionalProperties\":{\"type\":\"string\"}}",
             "{\"properties\":{\"b\":{\"type\":[\"string\",\"null\"]}},"
             "\"additionalProperties\":{\"type\":\"string\"}}", NULL,
             "a new member that is wider than what was promised");
    compares("{\"required\":[\"b\"]}",
             "{\"properties\":{\"b\":{\"type\":\"string\"}}}",
             "/properties/b", "a member that had to be there already");
    compares("{\"propertyNames\":{\"maxLength\":9}}",
             "{\"properties\":{\"b\":{\"type\":\"string\"}}}",
             "/properties/b", "a member of which the old one spoke by name");
    compares("{\"properties\":{\"a\":{\"type\":\"string\"}}}",
             "{\"properties\":{\"a\":{\"type\":\"integer\"}}}",
             "/properties/a", "a member of another type");
    compares("{\"properties\":{\"a\":{\"items\":{\"maximum\":5}}}}",
             "{\"properties\":{\"a\":{\"items\":{\"maximum\":4}}}}",
             "/properties/a/items", "deeper");
    compares("{\"properties\":{\"a\":true}}",
             "{\"properties\":{\"a\":true},\"required\":[\"a\"]}", "",
             "a member that is required now");
    compares("{\"properties\":{\"a\":{\"type\":\"string\"}}}", "{}", NULL,
             "a member of which nothing is said now");
    compares("{\"properties\":{\"a\":true,\"b\":true},"
             "\"additionalProperties\":false}",
             "{\"properties\":{\"a\":true},\"additionalProperties\":false}",
             "/additionalProperties", "a member that a closed object has no more");
    widens("{\"additionalProperties\":false}", "{}", "an object opened");
    widens("{\"additionalProperties\":{\"type\":\"integer\"}}",
           "{\"additionalProperties\":{\"type\":\"number\"}}",
           "wider members");
    widens("{\"patternProperties\":{\"^x\":{\"type\":\"integer\"}}}",
           "{\"patternProperties\":{\"^x\":{\"type\":\"number\"}}}",
           "wider members by pattern");
    compares("{\"patternProperties\":{\"^x\":{\"type\":\"integer\"}},"
             "\"additionalProperties\":false}",
             "{\"additionalProperties\":false}", "/additionalProperties",
             "a pattern that a closed object has no more");
    widens("{\"propertyNames\":{\"maxLength\":1}}",
           "{\"propertyNames\":{\"maxLength\":2}}", "longer names");
    widens("{\"maxProperties\":1}", "{\"maxProperties\":2}", "more members");
    widens("{\"dependentRequired\":{\"a\":[\"b\",\"c\"]}}",
           "{\"dependentRequired\":{\"a\":[\"c\"]}}",
           "less that depends");
    compares("{\"required\":[\"b\"]}",
             "{\"dependentRequired\":{\"a\":[\"b\"]}}", NULL,
             "what is there anyway may be depended on");
    widens("{\"dependentSchemas\":{\"a\":{\"minProperties\":3}}}",
           "{\"dependentSchemas\":{\"a\":{\"minProperties\":2}}}",
           "wider schemas that depend");
}


static void
test_arrays(void)
{
    widens("{\"items\":{\"type\":\"integer\"}}",
           "{\"items\":{\"type\":\"number\"}}", "wider items");
    widens("{\"maxItems\":2}", "{\"maxItems\":3}", "more items");
    widens("{\"minItems\":2}", "{\"minItems\":1}", "fewer items");
    widens("{\"uniqueItems\":true}", "{\"uniqueItems\":false}",
           "items may be there twice");
    widens("{\"prefixItems\":[{\"type\":\"integer\"}]}",
           "{\"prefixItems\":[{\"type\":\"number\"}]}", "a wider first item");
    compares("{\"prefixItems\":[true,{\"type\":\"null\"}],\"items\":false}",
             "{\"prefixItems\":[true],\"items\":{\"type\":\"null\"}}", NULL,
             "items in place of a prefix");
    compares("{\"prefixItems\":[true,true],\"items\":{\"type\":\"null\"}}",
             "{\"prefixItems\":[true],\"items\":{\"type\":\"null\"}}", "/items",
             "items where the prefix was wider");
    compares("{\"maxItems\":1}", "{\"prefixItems\":[true,false]}", NULL,
             "an item that was never there");
    widens("{\"contains\":{\"type\":\"integer\"},\"minContains\":2}",
           "{\"contains\":{\"type\":\"number\"}}", "fewer are contained");
    compares("{\"contains\":{\"type\":\"integer\"},\"maxContains\":2}",
             "{\"contains\":{\"type\":\"number\"},\"maxContains\":2}", "/contains",
             "more would count against the most");
    compares("{\"contains\":{\"type\":\"integer\"},\"maxContains\":2}",
             "{\"contains\":{\"type\":\"integer\"},\"maxContains\":3}", NULL,
             "more may be contained");
}


static void
test_logic(void)
{
    widens("{\"allOf\":[{\"minimum\":1},{\"maximum\":5}]}",
           "{\"maximum\":6,\"minimum\":0}", "all of it in one");
    widens("{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",
           "{\"type\":[\"string\",\"null\",\"object\"]}",
           "all of the choices in one");
    compares("{\"type\":\"string\"}",
             "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", NULL,
             "one more choice");
    compares("{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",
             "{\"anyOf\":[{\"type\":\"string\"}]}", "/anyOf/0",
             "one choice less");
    compares("{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}",
             "{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", NULL,
             "the same, of which one");
    compares("{\"oneOf\":[{\"type\":\"string\"}]}",
             "{\"oneOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "",
             "one more, of which one, is not understood");
    widens("{\"not\":{\"type\":[\"string\",\"null\"]}}",
           "{\"not\":{\"type\":\"null\"}}", "less that is not allowed");
    compares("{\"not\":{\"properties\":{\"a\":{\"type\":\"null\"}}}}",
             "{\"not\":{\"properties\":{}}}", "/not/properties/a",
             "the exception of open objects stops at not");
    compares("{\"not\":{}}", "{\"not\":{\"properties\":{\"a\":{\"type\":\"null\"}}}}",
             NULL, "and is not needed here");
    compares("{\"if\":{\"type\":\"null\"},\"then\":false,\"else\":{\"maxLength\":1}}",
             "{\"if\":{\"type\":\"null\"},\"then\":false,\"else\":{\"maxLength\":2}}",
             NULL, "a wider branch");
    compares("{\"if\":{\"type\":\"null\"},\"then\":{\"const\":1}}",
             "{\"if\":{\"type\":\"string\"},\"then\":{\"const\":1}}", "/if",
             "another condition");
    compares("{\"properties\":{\"a\":{\"type\":\"string\"}},\"allOf\":[{}]}",
             "{\"anyOf\":[{\"properties\":{\"a\":{\"type\":\"null\"}}}]}",
             "/anyOf/0/properties/a",
             "a member is not open because one part has no word of it");
    compares("{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"string\"}}}]}",
             "{\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{}}}", NULL,
             "a member that another part names");
    compares("{\"allOf\":[{\"properties\":{\"a\":{\"type\":\"string\"}}}]}",
             "{\"properties\":{\"a\":{\"type\":\"null\"}}}", "/properties/a",
             "and with another type");
}


static void
test_references(void)
{
    static const char  tree[] =
        "{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"integer\"},"
        "\"next\":{\"$ref\":\"#\"}}}";

    static const char  wider[] =
        "{\"$ref\":\"#/$defs/t\",\"$defs\":{\"t\":{\"type\":\"object\","
        "\"properties\":{\"v\":{\"type\":\"number\"},"
        "\"next\":{\"$ref\":\"#/$defs/t\"}}}}}";

    compares(tree, tree, NULL, "a recursive schema is compatible with itself");
    compares(tree, wider, NULL, "and with a wider one, written otherwise");
    compares(wider, tree, "/properties/v", "and not the other way round");
    compares("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"maximum\":3}}}",
             "{\"maximum\":3,\"$defs\":{\"b\":{\"type\":\"null\"}}}", NULL,
             "definitions that are not used do not count");
}


/* Lists that would have to be compared each with each. */

static void
test_work(void)
{
    char    *old, *new, *p, *q;
    size_t   i;

    old = malloc(200000);
    new = malloc(200000);
    p = stpcpy(old, "{\"enum\":[0");
    q = stpcpy(new, "{\"enum\":[0");

    for (i = 1; i < 20000; i++) {
        p += sprintf(p, ",%zu", i);
        q += sprintf(q, ",%zu", 20000 - i);
    }

    (void) strcpy(p, "]}");
    (void) strcpy(q, "]}");

    compares(old, new, "", "what takes too long to compare is not compatible");

    free(old);
    free(new);
}


int
main(void)
{
    test_values();
    test_objects();
    test_arrays();
    test_logic();
    test_references();
    test_work();

    return done();
}
