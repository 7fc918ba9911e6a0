/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes the member `allow_from` of partners and keys: the addresses from
 * which a key may be used (docs/registry.md).
 *
 * It is not related to `allow_addresses`, which is about connections that the
 * dispatcher makes (exceptions.h).
 */

#ifndef ES_ALLOW_FROM_H
#define ES_ALLOW_FROM_H

#include "registry/member.h"
#include "registry/registry.h"

#define ES_ALLOW_FROM_MAX  64

/* Texts and addresses are of the record's pool. */
es_rc_t es_take_allow_from(es_record_t *r, es_allow_from_t *out);

#endif /* ES_ALLOW_FROM_H */
