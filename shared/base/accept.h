/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Which representation a client prefers (RFC 9110, section 12.5).
 */

#ifndef ES_ACCEPT_H
#define ES_ACCEPT_H

#include "base/base.h"

#define ES_ACCEPT_OFFERS_MAX  16

/*
 * Returns the index of the media type that the field's value prefers among `n`
 * offers.  Offers are type/subtype, at most ES_ACCEPT_OFFERS_MAX of them, and
 * may have parameters.  The weight decides, then how exactly the field names
 * the type, then the order of the offers.
 *
 * The weight of a type is that of the most exact range that matches it.  A
 * range that names a parameter of an offer with another value does not match.
 * A malformed item and parameters that the offer does not have are ignored.
 *
 * An empty list accepts everything.  -1: the client accepts no offer.
 */
int es_accept(es_str_t value, const es_str_t *offers, int n);

/*
 * The same for content codings (section 12.5.3), where the last of `offers` is
 * "identity".  Identity is acceptable unless the field excludes it, but
 * another acceptable coding wins unless the field gives identity a greater
 * weight.
 *
 * An empty list accepts identity alone.  -1: the client accepts no offer.
 */
int es_accept_encoding(es_str_t value, const es_str_t *offers, int n);

#endif /* ES_ACCEPT_H */
