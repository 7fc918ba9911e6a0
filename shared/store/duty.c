/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes transactions longer or shorter by the time that they take.
 */

#include <unistd.h>

#include "store/duty.h"

#define ES_DUTY_SHORT_US  1500     /* a publisher hardly notices it */
#define ES_DUTY_LONG_US   3000


void
es_duty_pause(es_duty_t *duty, int64_t took_us)
{
    if (took_us <= ES_DUTY_SHORT_US) {
        duty->items = 2 * duty->items < duty->most ? 2 * duty->items
                                                   : duty->most;

    } else if (took_us > ES_DUTY_LONG_US) {
        duty->items = duty->items / 2 > duty->least ? duty->items / 2
                                                    : duty->least;
    }

    (void) usleep((useconds_t) (took_us / 2));
}
