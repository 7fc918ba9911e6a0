/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes the members `allow_http`, `allow_addresses` and `allow_ports` of
 * partners and endpoints.
 */

#ifndef ES_EXCEPTIONS_H
#define ES_EXCEPTIONS_H

#include "registry/member.h"
#include "registry/registry.h"

#define ES_EXCEPTIONS_MAX  64  /* items of each list */

es_rc_t es_take_exceptions(es_record_t *r, es_exceptions_t *out);

es_rc_t es_take_exception_addresses(es_record_t *r, es_exceptions_t *out);
es_rc_t es_take_exception_ports(es_record_t *r, es_exceptions_t *out);

#endif /* ES_EXCEPTIONS_H */
