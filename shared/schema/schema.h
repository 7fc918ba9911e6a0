/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * JSON Schema 2020-12, of the keywords that are listed here.
 *
 * Judged: type, enum, const, multipleOf, maximum, exclusiveMaximum, minimum,
 * exclusiveMinimum, maxLength, minLength, pattern, maxItems, minItems,
 * uniqueItems, prefixItems, items, contains, minContains, maxContains,
 * maxProperties, minProperties, required, properties, patternProperties,
 * additionalProperties, propertyNames, dependentRequired, dependentSchemas,
 * allOf, anyOf, oneOf, not, if, then, else, $ref (within the document),
 * $defs, $anchor; true and false as schemas.
 *
 * Taken and not judged (annotations): $schema (of 2020-12 only), $id (of the
 * whole document only), $comment, title, description, default, examples,
 * deprecated, readOnly, writeOnly, format, contentEncoding, contentMediaType,
 * contentSchema.
 *
 * A schema with any other member is refused, so that none promises what is not
 * checked.
 *
 * Numbers compare by value: 1 equals 1.0; integers of 64 bits are exact, and
 * are compared exactly with doubles; `multipleOf` is exact in decimal, of the
 * shortest text that gives the double.  A document that has a larger integer
 * is judged with all of its numbers as doubles.  Lengths of strings are in
 * code points.  Patterns are those of schema_regex.h.
 *
 * A compiled schema is immutable and may be used by any number of threads.
 */

#ifndef ES_SCHEMA_H
#define ES_SCHEMA_H

#include "base/base.h"

#define ES_SCHEMA_SIZE_MAX   262144    /* bytes of a document */
#define ES_SCHEMA_NODES_MAX  10000     /* schemas within it */
#define ES_SCHEMA_NEST_MAX   64        /* of each other in the text */
#define ES_SCHEMA_CHAIN_MAX  32        /* applied to one place in turn */

/* Steps of one judgement, each some tens of nanoseconds. */
#define ES_SCHEMA_WORK_MAX   4000000

typedef struct es_schema  es_schema_t;

/*
 * ES_INVALID, ES_TOO_LARGE: the problem's pointer is into the schema, and its
 * keyword the one that is wrong.  ES_NOMEM.
 */
es_rc_t es_schema_compile(es_str_t text, es_schema_t **schema,
    es_problem_t *problem);
void es_schema_free(es_schema_t *schema);

/*
 * Judges a JSON text.  ES_MISMATCH with a problem: `root` and the place in the
 * text as the pointer, and the keyword that does not allow it; it has none if
 * the text cannot be judged (a name twice in an object, a number beyond a
 * double, more than ES_SCHEMA_WORK_MAX steps).  ES_NOMEM.
 */
es_rc_t es_schema_validate(const es_schema_t *schema, es_str_t text,
    const char *root, es_problem_t *problem);

/*
 * Whether `next` accepts all that `previous` accepts, as far as the documents
 * tell by their structure; docs/catalogue.md has the rules.  ES_CONFLICT with
 * a problem whose pointer is into `next`.
 */
es_rc_t es_schema_compatible(const es_schema_t *previous,
    const es_schema_t *next, es_problem_t *problem);

#endif /* ES_SCHEMA_H */
