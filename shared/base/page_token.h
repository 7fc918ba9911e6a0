/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Page tokens: the position in a list as a text that clients cannot read.
 *
 * A token is valid for one list only, which a text names: what is listed, for
 * which partner, of which endpoint.  The position is masked and checked by
 * hashes of that text.  They have no secret: they prevent accidents, and keep
 * clients from reading names out of a token.  A client that computes a token
 * finds nothing that the list does not show anyway.
 */

#ifndef ES_PAGE_TOKEN_H
#define ES_PAGE_TOKEN_H

#include "base/base.h"

#define ES_PAGE_POSITION_MAX  256      /* bytes of a position */

/* Bytes of a token of such a position, with its NUL. */
#define ES_PAGE_TOKEN_LEN(position)  (2 * (8 + (position)) + 1)
#define ES_PAGE_TOKEN_MAX            ES_PAGE_TOKEN_LEN(ES_PAGE_POSITION_MAX)

/* Prints the token, with a NUL.  The position has at least one byte and at most
   ES_PAGE_POSITION_MAX. */
void es_page_token_print(es_str_t list, es_str_t position, char *token);

/* ES_INVALID: it is no token of this list.  `position` has `max` bytes. */
es_rc_t es_page_token_parse(es_str_t list, es_str_t token, char *position,
    size_t max, size_t *len);

#endif /* ES_PAGE_TOKEN_H */
