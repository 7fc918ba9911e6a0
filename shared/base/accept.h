/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Which representation a client prefers (RFC 9110, section 12.5).
 */

#ifndef ES_ACCEPT_H
#define ES_ACCEPT_H

#include "base/base.h"

#define ES_ACCEPT_OFFERS_MAX  8

/*
 * The index of the media type among `offers` (type/subtype, lower case, at
 * most ES_ACCEPT_OFFERS_MAX) that the field's value prefers: by weight, then
 * by how exactly it is named, then by the order of the offers.  A type's
 * weight is that of the most exact range that matches it.  Parameters of a
 * range but its weight are passed over, and so is an item that is malformed.
 *
 * An empty list accepts everything; -1: nothing that is offered.
 */
int es_accept(es_str_t value, const es_str_t *offers, int n);

/*
 * The same for content codings (section 12.5.3), of which the last of `offers`
 * is "identity".  It is acceptable unless it is excluded, but is preferred to
 * another that is acceptable only when it is named with a greater weight.
 *
 * An empty list accepts identity alone; -1: nothing that is offered.
 */
int es_accept_encoding(es_str_t value, const es_str_t *offers, int n);

#endif /* ES_ACCEPT_H */
