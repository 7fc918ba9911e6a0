/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Checks and compiles the value of each keyword.
 */

#include <stdio.h>

#include "base/base.h"
#include "base/json.h"
#include "base/pool.h"
#include "schema/schema_ambiguity.h"
#include "schema/schema_compile.h"
#include "schema/schema_node.h"
#include "schema/schema_regex.h"

#define ES_SCHEMA_DIALECT  "https://json-schema.org/draft/2020-12/schema"

typedef es_rc_t (*es_compile_fn)(es_compile_t *c, es_node_t *node,
    es_check_t *check);

typedef struct {
    const char     *name;
    es_compile_fn   compile;       /* NULL: an annotation */
} es_keyword_t;


static es_rc_t
es_compile_type_name(es_compile_t *c, const json_t *value, unsigned *types)
{
    unsigned  i;

    static const struct {
        const char  *name;
        unsigned     bit;
    } names[] = {
        { "null", ES_TYPE_NULL }, { "boolean", ES_TYPE_BOOLEAN },
        { "object", ES_TYPE_OBJECT }, { "array", ES_TYPE_ARRAY },
        { "number", ES_TYPE_NUMBER }, { "string", ES_TYPE_STRING },
        { "integer", ES_TYPE_INTEGER }
    };

    for (i = 0; json_is_string(value) && i < sizeof(names) / sizeof(names[0]);
         i++)
    {
        if (es_str_eq(es_text(value), es_str(names[i].name))) {
            *types |= names[i].bit;
            return ES_OK;
        }
    }

    return es_compile_fail(c, ES_INVALID, "must be null, boolean, object, "
                           "array, number, string, integer, or a list of "
                           "these");
}


static es_rc_t
es_compile_type(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    size_t   i;
    json_t  *item;
    es_rc_t  rc;

    (void) node;

    if (!json_is_array(check->value)) {
        return es_compile_type_name(c, check->value, &check->types);
    }

    rc = json_array_size(check->value) > 0
         ? ES_OK : es_compile_fail(c, ES_INVALID, "must not be empty");

    json_array_foreach(check->value, i, item) {
        if (rc == ES_OK) {
            rc = es_compile_type_name(c, item, &check->types);
        }
    }

    return rc;
}


static es_rc_t
es_compile_any(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    (void) c;
    (void) node;
    (void) check;

    return ES_OK;
}


static es_rc_t
es_compile_array(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    (void) node;

    return json_is_array(check->value)
           ? ES_OK : es_compile_fail(c, ES_INVALID, "must be a list");
}


static es_rc_t
es_compile_number(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    (void) node;

    return json_is_number(check->value)
           ? ES_OK : es_compile_fail(c, ES_INVALID, "must be a number");
}


static es_rc_t
es_compile_multiple(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    (void) node;

    return json_is_number(check->value)
           && json_number_value(check->value) > 0
           ? ES_OK : es_compile_fail(c, ES_INVALID, "must be a number over 0");
}


static bool
es_count(const json_t *value, uint64_t *out)
{
    double  real;

    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *out = (uint64_t) json_integer_value(value);
        return true;
    }

    real = json_real_value(value);

    if (!json_is_real(value) || !(es_value_types(value) & ES_TYPE_INTEGER)
        || real < 0 || real > 9007199254740992.0)
    {
        return false;
    }

    *out = (uint64_t) real;

    return true;
}


static es_rc_t
es_compile_count(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    (void) node;

    return es_count(check->value, &check->count)
           ? ES_OK : es_compile_fail(c, ES_INVALID, "must be a whole number "
                                     "from 0");
}


static es_rc_t
es_compile_boolean(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    (void) node;

    return json_is_boolean(check->value)
           ? ES_OK : es_compile_fail(c, ES_INVALID, "must be true or false");
}


static es_rc_t
es_compile_unambiguous(es_compile_t *c, es_str_t pattern)
{
    bool     ambiguous;
    es_rc_t  rc;

    rc = es_regex_ambiguous(pattern, &ambiguous);

    return rc != ES_OK ? es_compile_nomem(c) : !ambiguous ? ES_OK
           : es_compile_fail(c, ES_INVALID, "has a pattern that may take "
                             "exponentially long, because a repetition in it "
                             "can match the same text in several ways");
}


static es_rc_t
es_compile_regex(es_compile_t *c, es_str_t pattern, es_regex_t **regex)
{
    char              error[128], why[192];
    es_rc_t           rc;
    es_regex_list_t  *item;

    item = es_pool_alloc(&c->schema->pool, sizeof(es_regex_list_t));
    if (item == NULL) {
        return es_compile_nomem(c);
    }

    rc = es_regex_compile(pattern, regex, error);

    if (rc == ES_INVALID) {
        (void) snprintf(why, sizeof(why), "has a pattern that %s", error);
        return es_compile_fail(c, ES_INVALID, why);
    }

    if (rc != ES_OK) {
        return es_compile_nomem(c);
    }

    item->regex = *regex;
    item->next = c->schema->regexes;
    c->schema->regexes = item;

    return c->is_new ? es_compile_unambiguous(c, pattern) : ES_OK;
}


static es_rc_t
es_compile_pattern(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    (void) node;

    if (!json_is_string(check->value)) {
        return es_compile_fail(c, ES_INVALID, "must be a string");
    }

    return es_compile_regex(c, es_text(check->value), &check->regex);
}


/* One schema. */

static es_rc_t
es_compile_schema(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    (void) node;

    check->nodes = es_pool_alloc(&c->schema->pool, sizeof(es_node_t *));
    if (check->nodes == NULL) {
        return es_compile_nomem(c);
    }

    check->n = 1;

    return es_compile_node(c, check->value, &check->nodes[0]);
}


static es_rc_t
es_compile_list(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    char     name[24];
    size_t   i;
    json_t  *item;
    es_rc_t  rc;

    (void) node;

    if (json_array_size(check->value) == 0) {
        return es_compile_fail(c, ES_INVALID, "must be a list of schemas, "
                               "and not empty");
    }

    check->n = json_array_size(check->value);
    check->nodes = es_pool_alloc(&c->schema->pool,
                                 check->n * sizeof(es_node_t *));
    if (check->nodes == NULL) {
        return es_compile_nomem(c);
    }

    rc = ES_OK;

    json_array_foreach(check->value, i, item) {
        if (rc == ES_OK) {
            (void) snprintf(name, sizeof(name), "%zu", i);
            rc = es_compile_below(c, name, item, &check->nodes[i]);
        }
    }

    return rc;
}


static es_rc_t
es_compile_members(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    es_rc_t       rc;
    json_t       *value;
    const char   *name;
    es_member_t  *member;

    (void) node;

    if (!json_is_object(check->value)) {
        return es_compile_fail(c, ES_INVALID, "must be an object of schemas");
    }

    member = es_pool_alloc(&c->schema->pool, json_object_size(check->value)
                                             * sizeof(es_member_t));
    if (member == NULL) {
        return es_compile_nomem(c);
    }

    check->members = member;
    rc = ES_OK;

    json_object_foreach(check->value, name, value) {
        if (rc == ES_OK) {
            member->name = es_str(name);
            rc = es_compile_below(c, name, value, &member->node);
            member++;
            check->n++;
        }
    }

    return rc;
}


static es_rc_t
es_compile_patterns(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    size_t   i, len;
    es_rc_t  rc;

    rc = es_compile_members(c, node, check);
    len = c->path.len;

    for (i = 0; rc == ES_OK && i < check->n; i++) {
        rc = es_path_down(c, check->members[i].name.data);

        if (rc == ES_OK) {
            rc = es_compile_regex(c, check->members[i].name,
                                  &check->members[i].regex);
        }

        es_path_back(c, len);
    }

    return rc;
}


static es_rc_t
es_compile_items(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    if (json_is_array(check->value)) {
        return es_compile_fail(c, ES_INVALID, "must be one schema; a list is "
                               "\"prefixItems\"");
    }

    check->count = json_array_size(json_object_get(node->json,
                                                   "prefixItems"));

    return es_compile_schema(c, node, check);
}


/* The rows of its siblings check that they are numbers. */

static es_rc_t
es_compile_contains(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    if (!es_count(json_object_get(node->json, "minContains"), &check->count)) {
        check->count = 1;
    }

    if (!es_count(json_object_get(node->json, "maxContains"), &check->most)) {
        check->most = UINT64_MAX;
    }

    return es_compile_schema(c, node, check);
}


static es_rc_t
es_compile_names(es_compile_t *c, const json_t *list)
{
    size_t        i;
    const json_t  *item;

    json_array_foreach(list, i, item) {
        if (!json_is_string(item)) {
            break;
        }
    }

    return json_is_array(list) && i == json_array_size(list)
           ? ES_OK : es_compile_fail(c, ES_INVALID, "must be a list of names");
}


static es_rc_t
es_compile_required(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    (void) node;

    return es_compile_names(c, check->value);
}


static es_rc_t
es_compile_dependent(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    es_rc_t      rc;
    json_t      *value;
    const char  *name;

    (void) node;

    if (!json_is_object(check->value)) {
        return es_compile_fail(c, ES_INVALID, "must be an object of lists");
    }

    rc = ES_OK;

    json_object_foreach(check->value, name, value) {
        if (rc == ES_OK) {
            rc = es_compile_names(c, value);
        }
    }

    return rc;
}


/* Comes after its siblings in the table, so that they are compiled. */

static es_rc_t
es_compile_additional(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    check->properties = es_node_find(node, ES_KW_PROPERTIES);
    check->patterns = es_node_find(node, ES_KW_PATTERN_PROPERTIES);

    return es_compile_schema(c, node, check);
}


static es_rc_t
es_compile_if(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    size_t        i, len;
    es_rc_t       rc;
    json_t       *value;

    static const char  *const  names[] = { "if", "then", "else" };

    check->nodes = es_pool_alloc(&c->schema->pool, 3 * sizeof(es_node_t *));
    if (check->nodes == NULL) {
        return es_compile_nomem(c);
    }

    check->n = 3;
    len = c->path.len - 3;
    rc = ES_OK;

    for (i = 0; i < 3 && rc == ES_OK; i++) {
        value = json_object_get(node->json, names[i]);

        if (value != NULL) {
            es_path_back(c, len);
            rc = es_compile_below(c, names[i], value, &check->nodes[i]);
        }
    }

    return rc;
}


static es_rc_t
es_compile_ref(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    es_pending_t  *pending;

    if (!json_is_string(check->value)) {
        return es_compile_fail(c, ES_INVALID, "must be a string");
    }

    pending = es_pool_alloc(&c->schema->pool, sizeof(es_pending_t));
    check->nodes = es_pool_alloc(&c->schema->pool, sizeof(es_node_t *));

    if (pending == NULL || check->nodes == NULL) {
        return es_compile_nomem(c);
    }

    check->n = 1;
    pending->node = node;
    pending->check = check;
    pending->next = c->pending;
    c->pending = pending;

    return ES_OK;
}


static es_rc_t
es_compile_anchor(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    size_t    i;
    es_str_t  name;

    static const char  allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
        "0123456789-.";

    name = json_is_string(check->value) ? es_text(check->value)
                                        : es_lit("");
    i = 0;

    while (i < name.len
           && memchr(allowed, name.data[i], i ? sizeof(allowed) - 1 : 53))
    {
        i++;
    }

    if (i == 0 || i < name.len) {
        return es_compile_fail(c, ES_INVALID, "must be a letter or '_', and "
                               "then letters, digits, '_', '-' and '.'");
    }

    if (json_object_get(c->anchors, name.data) != NULL) {
        return es_compile_fail(c, ES_INVALID, "is there twice");
    }

    return json_object_set(c->anchors, name.data,
                           json_object_get(c->index, node->path)) == 0
           ? ES_OK : es_compile_nomem(c);
}


static es_rc_t
es_compile_dialect(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    es_str_t  uri;

    uri = json_is_string(check->value) ? es_text(check->value)
                                       : es_lit("");

    if (uri.len > 0 && uri.data[uri.len - 1] == '#') {
        uri.len--;
    }

    if (!es_str_eq(uri, es_lit(ES_SCHEMA_DIALECT)) || node->path[0] != '\0') {
        return es_compile_fail(c, ES_INVALID, "must be \"" ES_SCHEMA_DIALECT
                               "\", and at the top");
    }

    return ES_OK;
}


/* Below the top it would change the meaning of references. */

static es_rc_t
es_compile_id(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    if (!json_is_string(check->value) || node->path[0] != '\0'
        || strchr(json_string_value(check->value), '#') != NULL)
    {
        return es_compile_fail(c, ES_INVALID, "must be a string without '#', "
                               "and at the top");
    }

    return ES_OK;
}


/* The keywords after ES_KW_CHECKS check nothing by themselves. */

static const es_keyword_t  es_keywords[] = {
    [ES_KW_TYPE] = { "type", es_compile_type },
    [ES_KW_ENUM] = { "enum", es_compile_array },
    [ES_KW_CONST] = { "const", es_compile_any },
    [ES_KW_MULTIPLE_OF] = { "multipleOf", es_compile_multiple },
    [ES_KW_MAXIMUM] = { "maximum", es_compile_number },
    [ES_KW_EXCLUSIVE_MAXIMUM] = { "exclusiveMaximum", es_compile_number },
    [ES_KW_MINIMUM] = { "minimum", es_compile_number },
    [ES_KW_EXCLUSIVE_MINIMUM] = { "exclusiveMinimum", es_compile_number },
    [ES_KW_MAX_LENGTH] = { "maxLength", es_compile_count },
    [ES_KW_MIN_LENGTH] = { "minLength", es_compile_count },
    [ES_KW_PATTERN] = { "pattern", es_compile_pattern },
    [ES_KW_MAX_ITEMS] = { "maxItems", es_compile_count },
    [ES_KW_MIN_ITEMS] = { "minItems", es_compile_count },
    [ES_KW_UNIQUE_ITEMS] = { "uniqueItems", es_compile_boolean },
    [ES_KW_PREFIX_ITEMS] = { "prefixItems", es_compile_list },
    [ES_KW_ITEMS] = { "items", es_compile_items },
    [ES_KW_CONTAINS] = { "contains", es_compile_contains },
    [ES_KW_MAX_PROPERTIES] = { "maxProperties", es_compile_count },
    [ES_KW_MIN_PROPERTIES] = { "minProperties", es_compile_count },
    [ES_KW_REQUIRED] = { "required", es_compile_required },
    [ES_KW_PROPERTIES] = { "properties", es_compile_members },
    [ES_KW_PATTERN_PROPERTIES] = { "patternProperties", es_compile_patterns },
    [ES_KW_ADDITIONAL_PROPERTIES]
        = { "additionalProperties", es_compile_additional },
    [ES_KW_PROPERTY_NAMES] = { "propertyNames", es_compile_schema },
    [ES_KW_DEPENDENT_REQUIRED] = { "dependentRequired", es_compile_dependent },
    [ES_KW_DEPENDENT_SCHEMAS] = { "dependentSchemas", es_compile_members },
    [ES_KW_REF] = { "$ref", es_compile_ref },
    [ES_KW_ALL_OF] = { "allOf", es_compile_list },
    [ES_KW_ANY_OF] = { "anyOf", es_compile_list },
    [ES_KW_ONE_OF] = { "oneOf", es_compile_list },
    [ES_KW_NOT] = { "not", es_compile_schema },
    [ES_KW_IF] = { "if", es_compile_if },

    [ES_KW_CHECKS] = { "then", es_compile_schema },
    { "else", es_compile_schema },
    { "minContains", es_compile_count },
    { "maxContains", es_compile_count },
    { "$defs", es_compile_members },
    { "$anchor", es_compile_anchor },
    { "$schema", es_compile_dialect },
    { "$id", es_compile_id },
    { "$comment", NULL },
    { "title", NULL },
    { "description", NULL },
    { "default", NULL },
    { "examples", NULL },
    { "deprecated", NULL },
    { "readOnly", NULL },
    { "writeOnly", NULL },
    { "format", NULL },
    { "contentEncoding", NULL },
    { "contentMediaType", NULL },
    { "contentSchema", NULL }
};

#define ES_KEYWORDS  (sizeof(es_keywords) / sizeof(es_keywords[0]))


size_t
es_keyword_count(void)
{
    return ES_KEYWORDS;
}


size_t
es_keyword_find(const char *name)
{
    size_t  i;

    for (i = 0; i < ES_KEYWORDS; i++) {
        if (strcmp(es_keywords[i].name, name) == 0) {
            break;
        }
    }

    return i;
}


const char *
es_keyword_text(size_t i)
{
    return es_keywords[i].name;
}


const char *
es_keyword_name(es_kw_t kw)
{
    return es_keywords[kw].name;
}


es_rc_t
es_keyword_compile(es_compile_t *c, es_node_t *node, size_t i,
    json_t *value, es_check_t *check)
{
    size_t       len;
    es_rc_t      rc;
    const char  *outer;
    es_check_t   other = { 0 };

    if (es_keywords[i].compile == NULL) {
        return ES_OK;
    }

    if (i >= ES_KW_CHECKS) {
        check = &other;
    }

    len = c->path.len;
    outer = c->keyword;

    check->kw = (es_kw_t) i;
    check->value = value;

    rc = es_path_down(c, es_keywords[i].name);
    if (rc != ES_OK) {
        return rc;
    }

    c->keyword = es_keywords[i].name;

    rc = es_keywords[i].compile(c, node, check);

    c->keyword = outer;
    es_path_back(c, len);

    return rc;
}
