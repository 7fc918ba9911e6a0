/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes the member `data_use` of a partner: what its data-use agreement
 * says (docs/registry.md).  A partner whose agreement has ended is treated as
 * one that is disabled.
 */

#ifndef ES_DATA_USE_H
#define ES_DATA_USE_H

#include "registry/member.h"
#include "registry/registry.h"

#define ES_DATA_USE_PURPOSE_MAX  256                /* bytes */
#define ES_DATA_USE_DAYS_MAX     36500

/* Takes the partner's `feeds` into account, which must be decoded already.
   Texts are of the record's pool. */
es_rc_t es_take_data_use(es_record_t *r, es_partner_t *out);

/* A new object with the members as they are stored, for reports; NULL: there is
   no agreement, or no memory. */
json_t *es_data_use_report(const es_data_use_t *use);

#endif /* ES_DATA_USE_H */
