/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Conditional requests (RFC 9110, section 13.1).
 */

#ifndef ES_CONDITION_H
#define ES_CONDITION_H

#include "base/base.h"

/* Header fields.  `data` is NULL if the request does not have the field. */
typedef struct {
    es_str_t  if_match;
    es_str_t  if_none_match;
} es_condition_t;

/*
 * True if both conditions hold.  `etag` is the strong tag of the stored
 * resource, with its quotes and without a comma inside; its `data` is NULL if
 * there is no resource.
 */
bool es_condition_met(const es_condition_t *condition, es_str_t etag);

#endif /* ES_CONDITION_H */
