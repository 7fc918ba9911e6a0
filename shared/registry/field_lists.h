/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The member `fields` of a partner and of an endpoint: field lists by feed.
 *
 *     {"orders": {"allow": ["/id", "/items/ * /sku", "traceparent"]},
 *      "invoices-*": {"allow": [], "encrypt": ["/customer"]}}
 *
 * (without the spaces around the star).  Without `allow` everything is shown.
 * What `encrypt` names is encrypted to the member `encryption_key` of the
 * partner.  The longest pattern that matches a feed decides; a feed that none
 * matches is under no list.  An endpoint's list holds besides its partner's.
 * fields/fields.h says what a list shows.
 *
 * Lists are compiled when a record is decoded.  A record whose lists or key
 * cannot be read refuses every event, and nothing else of it.  So does a list
 * that encrypts without a key.
 */

#ifndef ES_FIELD_LISTS_H
#define ES_FIELD_LISTS_H

#include "base/base.h"
#include "base/pool.h"
#include "fields/fields.h"
#include "jwe/jwe.h"

#define ES_FIELD_LISTS_MAX  64         /* patterns of a record */

typedef struct {
    es_str_t            pattern;       /* of feeds */
    bool                all;           /* there is no `allow` */
    es_fields_list_t    allow;
    es_fields_list_t    encrypt;
    const es_fields_t  *fields;        /* of this list alone */
} es_field_list_t;

/* Both lists of a feed, compiled together. */
typedef struct {
    const es_field_list_t  *partner;
    const es_field_list_t  *endpoint;
    const es_fields_t      *fields;
} es_field_pair_t;

typedef struct {
    bool                 unreadable;
    const es_jwe_key_t  *key;          /* of a partner; NULL: none */
    size_t               n;
    es_field_list_t     *lists;
    size_t               npairs;       /* of an endpoint: with the lists of its
                                          partner that match feeds in common */
    es_field_pair_t     *pairs;
} es_field_lists_t;

/* The list of the longest pattern that matches the feed.  NULL: none does. */
const es_field_list_t *es_field_lists_find(const es_field_lists_t *lists,
    es_str_t feed);

/* Compiles the pairs of an endpoint's lists, and those that encrypt with the
   partner's key.  A pair that is too intricate is
   es_fields_unreadable.  ES_NOMEM. */
es_rc_t es_field_lists_pair(es_field_lists_t *endpoint,
    const es_field_lists_t *partner, es_pool_t *pool);

/* The first pair that is too intricate, though each of its lists is not.  NULL:
   none is. */
const es_field_pair_t *es_field_lists_intricate(
    const es_field_lists_t *endpoint, const es_field_lists_t *partner);

/* What is shown of a feed's events by a partner's lists; with `endpoint`, by
   both.  NULL: everything. */
const es_fields_t *es_field_lists_fields(const es_field_lists_t *partner,
    const es_field_lists_t *endpoint, es_str_t feed);

#endif /* ES_FIELD_LISTS_H */
