/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Conditions of HTTP on what is stored (RFC 9110, section 13.1).
 */

#ifndef ES_CONDITION_H
#define ES_CONDITION_H

#include "base/base.h"

/* Header fields, each NULL if it is not there. */
typedef struct {
    es_str_t  if_match;
    es_str_t  if_none_match;
} es_condition_t;

/* Whether it is as the fields say.  `etag` is strong, with its quotes and
   without a comma inside; NULL: there is nothing. */
bool es_condition_met(const es_condition_t *condition, es_str_t etag);

#endif /* ES_CONDITION_H */
