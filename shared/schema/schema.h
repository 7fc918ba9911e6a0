/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * JSON Schema 2020-12, as far as the keywords listed here.
 *
 * Validated: type, enum, const, multipleOf, maximum, exclusiveMaximum,
 * minimum, exclusiveMinimum, maxLength, minLength, pattern, maxItems,
 * minItems, uniqueItems, prefixItems, items, contains, minContains,
 * maxContains, maxProperties, minProperties, required, properties,
 * patternProperties, additionalProperties, propertyNames, dependentRequired,
 * dependentSchemas, allOf, anyOf, oneOf, not, if, then, else, $ref (within the
 * document), $defs, $anchor; true and false as schemas.
 *
 * Accepted and ignored (annotations): $schema (of 2020-12 only), $id (of the
 * whole document only), $comment, title, description, default, examples,
 * deprecated, readOnly, writeOnly, format, contentEncoding, contentMediaType,
 * contentSchema.
 *
 * A schema with any other member is refused, so that no schema promises a
 * check that nobody makes.
 *
 * Numbers compare by value: 1 equals 1.0.  Integers of 64 bits are exact, also
 * against doubles.  `multipleOf` is exact in decimal: it uses the shortest
 * text that gives the double.  If a document has a larger integer, all of its
 * numbers are taken as doubles.  Lengths of strings are in code points.
 * Patterns are those of schema_regex.h.
 *
 * A compiled schema is immutable.  Any number of threads may use it.
 */

#ifndef ES_SCHEMA_H
#define ES_SCHEMA_H

#include "base/base.h"

#define ES_SCHEMA_SIZE_MAX   262144    /* bytes of a document */
#define ES_SCHEMA_NODES_MAX  10000     /* schemas within a document */
#define ES_SCHEMA_NEST_MAX   64        /* levels of schemas in the text */
#define ES_SCHEMA_CHAIN_MAX  32        /* schemas applied to one place in
                                          turn */

/* Steps for the validation of a request, each some tens of nanoseconds: so
   many, and some more for each of its events. */
#define ES_SCHEMA_WORK_MAX   4000000
#define ES_SCHEMA_WORK_EVENT 1000

typedef struct es_schema  es_schema_t;

/*
 * Compiles a document.  ES_INVALID, ES_TOO_LARGE: the problem's pointer leads
 * into the schema, and its keyword is the wrong one.  ES_NOMEM.
 */
es_rc_t es_schema_compile(es_str_t text, es_schema_t **schema,
    es_problem_t *problem);
void es_schema_free(es_schema_t *schema);

/*
 * The same for a schema that is new, not one from the catalogue: it must have
 * no pattern that may take exponentially many steps (schema_ambiguity.h).
 */
es_rc_t es_schema_compile_new(es_str_t text, es_schema_t **schema,
    es_problem_t *problem);

/*
 * Validates a JSON text, and subtracts the steps that this took from `work`.
 * ES_MISMATCH, with a problem: its pointer is `root` and the place in the text,
 * and its keyword the one that does not hold.  The keyword is empty if the text
 * cannot be validated: a duplicate name in an object, a number beyond a double,
 * or not enough steps.  ES_NOMEM.
 */
es_rc_t es_schema_validate(const es_schema_t *schema, es_str_t text,
    const char *root, int64_t *work, es_problem_t *problem);

/*
 * Decides whether `next` accepts all that `previous` accepts, as far as the
 * structure of the documents shows; docs/catalogue.md has the rules.
 * ES_CONFLICT, with a problem whose pointer leads into `next`.
 */
es_rc_t es_schema_compatible(const es_schema_t *previous,
    const es_schema_t *next, es_problem_t *problem);

#endif /* ES_SCHEMA_H */
