/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The claim `cnf` of a token that is bound to a client certificate (RFC 8705,
 * section 3.1): {"x5t#S256": base64url of the certificate's SHA-256}.
 */

#ifndef ES_CONFIRM_H
#define ES_CONFIRM_H

#include <jansson.h>

#include "base/base.h"
#include "token/jwt.h"

/* Sets `bound` and `certificate` by the claim; without one the token is not
   bound.  ES_INVALID: the token is bound in another way, which cannot be
   checked here, or the claim is malformed. */
es_rc_t es_confirm_take(const json_t *claims, es_jwt_t *jwt);

/* Adds the claim if the token is bound.  ES_NOMEM. */
es_rc_t es_confirm_add(json_t *claims, const es_jwt_t *jwt);

#endif /* ES_CONFIRM_H */
