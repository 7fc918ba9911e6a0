/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The position in a list of delivery records, as a text that page tokens mask.
 *
 * The text is the part of the last record's key after the endpoint, in
 * hexadecimal.
 */

#ifndef ES_LIST_POSITION_H
#define ES_LIST_POSITION_H

#include "delivery/delivery.h"

#define ES_LIST_POSITION_MAX  57               /* NUL included */

void es_attempt_position_print(const es_attempt_position_t *position,
    char text[ES_LIST_POSITION_MAX]);
void es_dead_position_print(const es_dead_position_t *position,
    char text[ES_LIST_POSITION_MAX]);

/* ES_INVALID: it is not such a text.  The endpoint of a dead letter's position
   stays as it is. */
es_rc_t es_attempt_position_parse(es_str_t text,
    es_attempt_position_t *position);
es_rc_t es_dead_position_parse(es_str_t text, es_dead_position_t *position);

#endif /* ES_LIST_POSITION_H */
