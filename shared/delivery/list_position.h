/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Where a list of delivery records goes on, as text.
 *
 * The text is the end of a record's key, in hexadecimal: of the list of one
 * endpoint, and nothing that who holds it should read.
 */

#ifndef ES_LIST_POSITION_H
#define ES_LIST_POSITION_H

#include "delivery/delivery.h"

#define ES_LIST_POSITION_MAX  49               /* NUL included */

void es_attempt_position_print(const es_attempt_position_t *place,
    char text[ES_LIST_POSITION_MAX]);
void es_dead_position_print(const es_dead_position_t *place,
    char text[ES_LIST_POSITION_MAX]);

/* ES_INVALID: it is not such a text.  Of a dead letter's place the endpoint
   is left as it is. */
es_rc_t es_attempt_position_parse(es_str_t text, es_attempt_position_t *place);
es_rc_t es_dead_position_parse(es_str_t text, es_dead_position_t *place);

#endif /* ES_LIST_POSITION_H */
