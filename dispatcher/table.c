/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Arrays of pointers by number.
 *
 * The registry assigns small consecutive numbers to endpoints, feeds and
 * partners, so that an array finds them faster than a map.
 */

#include <stdlib.h>
#include <string.h>

#include "table.h"


void *
esd_table_reserve(void *list, size_t *n, uint32_t number)
{
    void   **slots;
    size_t   more;

    if (number < *n) {
        return list;
    }

    more = (size_t) number + 16;

    slots = realloc(list, more * sizeof(void *));
    if (slots == NULL) {
        return NULL;
    }

    memset(slots + *n, 0, (more - *n) * sizeof(void *));
    *n = more;

    return slots;
}
