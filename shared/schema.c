/*
 * schema.c - a JSON Schema document to nodes and checks.
 *
 *   1. Every schema of the document becomes a node, found again by its path;
 *      a member that is no keyword of schema.h is refused.
 *   2. References get their nodes.
 *   3. A circle that stays at one place of the instance, which would never
 *      end, is refused; so is a chain that is very long.
 */

#include <stdio.h>
#include <stdlib.h>

#include "query.h"
#include "schema_node.h"

#define ES_SCHEMA_DIALECT  "https://json-schema.org/draft/2020-12/schema"

struct es_regex_list {
    es_regex_t       *regex;
    es_regex_list_t  *next;
};

/* A $ref that waits for its target. */
typedef struct es_pending  es_pending_t;

struct es_pending {
    es_node_t      *node;
    es_check_t     *check;
    es_pending_t   *next;
};

typedef struct {
    es_schema_t    *schema;
    es_problem_t   *problem;
    json_t         *index;         /* path -> a number in `nodes` */
    json_t         *anchors;       /* name -> the same */
    es_node_t     **nodes;
    size_t          n;
    size_t          cap;
    es_pending_t   *pending;
    es_buf_t        path;          /* NUL-terminated */
    unsigned        nest;
    const char     *keyword;       /* that is compiled, or "" */
} es_compile_t;

typedef es_rc_t (*es_compile_fn)(es_compile_t *c, es_node_t *node,
    es_check_t *check);

typedef struct {
    const char     *name;
    es_compile_fn   compile;       /* NULL: an annotation */
} es_keyword_t;

static es_rc_t es_compile_node(es_compile_t *c, json_t *json,
    es_node_t **node);


static es_rc_t
es_compile_fail(es_compile_t *c, es_rc_t rc, const char *why)
{
    (void) es_problem_set(c->problem, rc, -1, c->path.data, "%s%s%s%s",
                          c->keyword[0] ? "\"" : "", c->keyword,
                          c->keyword[0] ? "\" " : "", why);

    return es_problem_keyword(c->problem, c->keyword);
}


static es_rc_t
es_compile_nomem(es_compile_t *c)
{
    return es_problem_set(c->problem, ES_NOMEM, -1, NULL, "out of memory");
}


/* The path goes one name down; es_path_back() takes it to `len` again. */

static es_rc_t
es_path_down(es_compile_t *c, const char *name)
{
    char     buf[2];
    es_rc_t  rc;

    rc = es_buf_append(&c->path, "/", 1);

    for ( /* void */ ; *name != '\0' && rc == ES_OK; name++) {
        buf[0] = '~';
        buf[1] = *name == '~' ? '0' : '1';

        rc = *name == '~' || *name == '/' ? es_buf_append(&c->path, buf, 2)
                                          : es_buf_append(&c->path, name, 1);
    }

    if (rc == ES_OK) {
        rc = es_buf_append(&c->path, "", 1);
    }

    if (rc != ES_OK) {
        return es_compile_nomem(c);
    }

    c->path.len--;

    return ES_OK;
}


static void
es_path_back(es_compile_t *c, size_t len)
{
    c->path.len = len;
    c->path.data[len] = '\0';
}


static es_rc_t
es_compile_below(es_compile_t *c, const char *name, json_t *json,
    es_node_t **node)
{
    size_t   len;
    es_rc_t  rc;

    len = c->path.len;

    rc = es_path_down(c, name);
    if (rc == ES_OK) {
        rc = es_compile_node(c, json, node);
    }

    es_path_back(c, len);

    return rc;
}


/* ---- keywords ---- */


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
        if (es_str_eq(es_value_str(value), es_str(names[i].name))) {
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

    return ES_OK;
}


static es_rc_t
es_compile_pattern(es_compile_t *c, es_node_t *node, es_check_t *check)
{
    (void) node;

    if (!json_is_string(check->value)) {
        return es_compile_fail(c, ES_INVALID, "must be a string");
    }

    return es_compile_regex(c, es_value_str(check->value), &check->regex);
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
    size_t   i;
    es_rc_t  rc;

    rc = es_compile_members(c, node, check);

    for (i = 0; rc == ES_OK && i < check->n; i++) {
        rc = es_compile_regex(c, check->members[i].name,
                              &check->members[i].regex);
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


/* Its siblings are judged to be numbers by their own rows. */

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


/* Stands after its siblings in the table, so that they are checks already. */

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

    name = json_is_string(check->value) ? es_value_str(check->value)
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

    uri = json_is_string(check->value) ? es_value_str(check->value)
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


/* Below the top it would change what references mean. */

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


/* In the order of es_kw_t; after those, what is no check. */

static const es_keyword_t  es_keywords[] = {
    { "type", es_compile_type },
    { "enum", es_compile_array },
    { "const", es_compile_any },
    { "multipleOf", es_compile_multiple },
    { "maximum", es_compile_number },
    { "exclusiveMaximum", es_compile_number },
    { "minimum", es_compile_number },
    { "exclusiveMinimum", es_compile_number },
    { "maxLength", es_compile_count },
    { "minLength", es_compile_count },
    { "pattern", es_compile_pattern },
    { "maxItems", es_compile_count },
    { "minItems", es_compile_count },
    { "uniqueItems", es_compile_boolean },
    { "prefixItems", es_compile_list },
    { "items", es_compile_items },
    { "contains", es_compile_contains },
    { "maxProperties", es_compile_count },
    { "minProperties", es_compile_count },
    { "required", es_compile_required },
    { "properties", es_compile_members },
    { "patternProperties", es_compile_patterns },
    { "additionalProperties", es_compile_additional },
    { "propertyNames", es_compile_schema },
    { "dependentRequired", es_compile_dependent },
    { "dependentSchemas", es_compile_members },
    { "$ref", es_compile_ref },
    { "allOf", es_compile_list },
    { "anyOf", es_compile_list },
    { "oneOf", es_compile_list },
    { "not", es_compile_schema },
    { "if", es_compile_if },

    { "then", es_compile_schema },
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


const char *
es_keyword_name(es_kw_t kw)
{
    return es_keywords[kw].name;
}


const es_check_t *
es_node_find(const es_node_t *node, es_kw_t kw)
{
    size_t  i;

    for (i = 0; i < node->n; i++) {
        if (node->checks[i].kw == kw) {
            return &node->checks[i];
        }
    }

    return NULL;
}


/* ---- nodes ---- */


static es_rc_t
es_compile_known(es_compile_t *c, const es_node_t *node)
{
    size_t       i;
    json_t      *value;
    const char  *name;

    json_object_foreach(node->json, name, value) {

        for (i = 0; i < ES_KEYWORDS; i++) {
            if (strcmp(es_keywords[i].name, name) == 0) {
                break;
            }
        }

        if (i == ES_KEYWORDS) {
            if (es_path_down(c, name) != ES_OK) {
                return ES_NOMEM;
            }

            c->keyword = name;

            return es_compile_fail(c, ES_INVALID, "is not a keyword that is "
                                   "judged here");
        }
    }

    return ES_OK;
}


static es_rc_t
es_compile_keyword(es_compile_t *c, es_node_t *node, size_t i, json_t *value,
    es_check_t *check)
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


static es_rc_t
es_compile_checks(es_compile_t *c, es_node_t *node)
{
    size_t       i, n;
    json_t      *value;
    es_rc_t      rc;
    es_check_t  *checks;

    rc = es_compile_known(c, node);
    if (rc != ES_OK) {
        return rc;
    }

    for (i = 0, n = 0; i < ES_KW_CHECKS; i++) {
        n += json_object_get(node->json, es_keywords[i].name) != NULL;
    }

    checks = es_pool_alloc(&c->schema->pool, n * sizeof(es_check_t));
    if (checks == NULL) {
        return es_compile_nomem(c);
    }

    node->checks = checks;

    for (i = 0; i < ES_KEYWORDS; i++) {
        value = json_object_get(node->json, es_keywords[i].name);

        if (value == NULL) {
            continue;
        }

        rc = es_compile_keyword(c, node, i, value,
                                i < ES_KW_CHECKS ? &checks[node->n] : NULL);
        if (rc != ES_OK) {
            return rc;
        }

        node->n += i < ES_KW_CHECKS;
    }

    return ES_OK;
}


/* A new node at the path, entered in the index. */

static es_rc_t
es_compile_enter(es_compile_t *c, json_t *json, es_node_t **out)
{
    size_t       cap;
    es_str_t     path;
    es_node_t   *node, **nodes;

    if (c->n == ES_SCHEMA_NODES_MAX) {
        return es_compile_fail(c, ES_TOO_LARGE, "is one schema too many");
    }

    if (c->n == c->cap) {
        cap = c->cap ? c->cap * 2 : 64;

        nodes = realloc(c->nodes, cap * sizeof(es_node_t *));
        if (nodes == NULL) {
            return es_compile_nomem(c);
        }

        c->nodes = nodes;
        c->cap = cap;
    }

    node = es_pool_alloc(&c->schema->pool, sizeof(es_node_t));
    path = es_pool_str(&c->schema->pool,
                       (es_str_t) { c->path.data, c->path.len });

    if (node == NULL || path.data == NULL
        || json_object_set_new(c->index, path.data,
                               json_integer((json_int_t) c->n)) != 0)
    {
        return es_compile_nomem(c);
    }

    node->path = path.data;
    node->json = json;
    c->nodes[c->n++] = node;
    *out = node;

    return ES_OK;
}


static es_rc_t
es_compile_node(es_compile_t *c, json_t *json, es_node_t **out)
{
    es_rc_t       rc;
    const json_t  *number;

    /* `then` is compiled with its `if` and met again. */

    number = json_object_get(c->index, c->path.data);
    if (number != NULL) {
        *out = c->nodes[json_integer_value(number)];
        return ES_OK;
    }

    if (!json_is_object(json) && !json_is_boolean(json)) {
        return es_compile_fail(c, ES_INVALID, "must be a schema: an object, "
                               "true or false");
    }

    if (c->nest == ES_SCHEMA_NEST_MAX) {
        return es_compile_fail(c, ES_TOO_LARGE, "is nested too deeply");
    }

    rc = es_compile_enter(c, json, out);
    if (rc != ES_OK) {
        return rc;
    }

    if (json_is_boolean(json)) {
        (*out)->never = json_is_false(json);
        return ES_OK;
    }

    c->nest++;
    rc = es_compile_checks(c, *out);
    c->nest--;

    return rc;
}


/* ---- references ---- */


/* The target's path, percent-decoded, or by its anchor; NULL: none. */

static es_node_t *
es_ref_target(es_compile_t *c, const json_t *ref)
{
    char         *end, path[1024];
    es_str_t      text;
    const char   *id, *hash;
    const json_t  *number;

    text = es_value_str(ref);
    hash = memchr(text.data, '#', text.len);
    id = json_string_value(json_object_get(c->schema->document, "$id"));

    /* Without a fragment it is the whole document that has the name. */

    if (hash == NULL) {
        return id != NULL && es_str_eq(text, es_str(id)) ? c->nodes[0] : NULL;
    }

    if (hash > text.data
        && (id == NULL
            || !es_str_eq((es_str_t) { text.data,
                                       (size_t) (hash - text.data) },
                          es_str(id))))
    {
        return NULL;
    }

    text.len -= (size_t) (hash + 1 - text.data);
    text.data = hash + 1;

    if (text.len >= sizeof(path)) {
        return NULL;
    }

    end = es_query_decode(text, true, path);
    if (end == NULL || memchr(path, '\0', (size_t) (end - path)) != NULL) {
        return NULL;
    }

    *end = '\0';

    number = json_object_get(path[0] == '/' || path[0] == '\0' ? c->index
                                                               : c->anchors,
                             path);

    return number ? c->nodes[json_integer_value(number)] : NULL;
}


static es_rc_t
es_compile_refs(es_compile_t *c)
{
    es_node_t     *target;
    es_pending_t  *pending;

    for (pending = c->pending; pending != NULL; pending = pending->next) {
        target = es_ref_target(c, pending->check->value);

        if (target == NULL) {
            (void) es_problem_set(c->problem, ES_INVALID, -1,
                                  pending->node->path, "\"$ref\" is to no "
                                  "schema of this document: %s",
                                  json_string_value(pending->check->value));
            return es_problem_keyword(c->problem, "$ref");
        }

        pending->check->nodes[0] = target;
    }

    return ES_OK;
}


/*
 * The longest chain of schemas that are applied to one place, so that judging
 * needs no more stack than depth of the instance times ES_SCHEMA_CHAIN_MAX.
 */

static es_rc_t
es_compile_height(es_compile_t *c, es_node_t *node, unsigned above)
{
    size_t            i, j;
    es_rc_t           rc;
    es_node_t        *next;
    const es_check_t  *check;

    if (node->entered) {
        return es_problem_set(c->problem, ES_INVALID, -1, node->path,
                              "the schema refers to itself at the same place "
                              "of what it judges, without end");
    }

    if (above + (node->height ? node->height : 1) > ES_SCHEMA_CHAIN_MAX) {
        return es_problem_set(c->problem, ES_TOO_LARGE, -1, node->path,
                              "more than %d schemas apply to one place in "
                              "turn", ES_SCHEMA_CHAIN_MAX);
    }

    if (node->height > 0) {
        return ES_OK;
    }

    node->entered = true;
    node->height = 1;

    for (i = 0; i < node->n; i++) {
        check = &node->checks[i];

        if (check->kw < ES_KW_DEPENDENT_SCHEMAS) {
            continue;
        }

        for (j = 0; j < check->n; j++) {
            next = check->nodes ? check->nodes[j] : check->members[j].node;

            if (next == NULL) {
                continue;
            }

            rc = es_compile_height(c, next, above + 1);
            if (rc != ES_OK) {
                return rc;
            }

            if (next->height >= node->height) {
                node->height = next->height + 1;
            }
        }
    }

    node->entered = false;

    return ES_OK;
}


static es_rc_t
es_compile_document(es_compile_t *c)
{
    size_t      i;
    es_rc_t     rc;
    es_node_t  *root;

    if (es_buf_reserve(&c->path, 64) != ES_OK || c->index == NULL
        || c->anchors == NULL)
    {
        return es_compile_nomem(c);
    }

    es_path_back(c, 0);

    rc = es_compile_node(c, c->schema->document, &root);

    if (rc == ES_OK) {
        c->schema->root = root;
        rc = es_compile_refs(c);
    }

    for (i = 0; i < c->n && rc == ES_OK; i++) {
        rc = es_compile_height(c, c->nodes[i], 0);
    }

    return rc;
}


es_rc_t
es_schema_compile(es_str_t text, es_schema_t **out, es_problem_t *problem)
{
    es_rc_t        rc;
    json_error_t   error;
    es_problem_t   ignored;
    es_compile_t   c = { 0 };

    c.problem = problem ? problem : &ignored;
    c.keyword = "";

    if (text.len > ES_SCHEMA_SIZE_MAX) {
        return es_problem_set(c.problem, ES_TOO_LARGE, -1, NULL,
                              "a schema may have at most %d bytes",
                              ES_SCHEMA_SIZE_MAX);
    }

    c.schema = calloc(1, sizeof(es_schema_t));
    if (c.schema == NULL) {
        return es_compile_nomem(&c);
    }

    c.schema->document = json_loadb(text.data, text.len,
                                    JSON_DECODE_ANY | JSON_ALLOW_NUL
                                    | JSON_REJECT_DUPLICATES, &error);
    if (c.schema->document == NULL) {
        free(c.schema);
        return es_problem_set(c.problem, ES_INVALID, -1, NULL,
                              "not valid JSON at byte %d: %s", error.position,
                              error.text);
    }

    c.index = json_object();
    c.anchors = json_object();

    rc = es_compile_document(&c);

    json_decref(c.index);
    json_decref(c.anchors);
    es_buf_free(&c.path);
    free(c.nodes);

    if (rc != ES_OK) {
        es_schema_free(c.schema);
        return rc;
    }

    *out = c.schema;

    return ES_OK;
}


void
es_schema_free(es_schema_t *schema)
{
    es_regex_list_t  *item;

    if (schema == NULL) {
        return;
    }

    for (item = schema->regexes; item != NULL; item = item->next) {
        es_regex_free(item->regex);
    }

    json_decref(schema->document);
    es_pool_free(&schema->pool);
    free(schema);
}
