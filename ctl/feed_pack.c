/* SPDX-License-Identifier: BSD-2-Clause */

/* Packed history of feeds: the option "--pack". */

#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "log/feed_pack.h"


int
ctl_pack_level(const char *text, unsigned *level)
{
    char      *end;
    unsigned   n;

    if (strcmp(text, "on") == 0) {
        *level = ES_PACK_LEVEL;
        return CTL_OK;
    }

    if (strcmp(text, "off") == 0) {
        *level = ES_PACK_OFF;
        return CTL_OK;
    }

    n = (unsigned) strtoul(text, &end, 10);

    if (text[0] < '1' || text[0] > '9' || *end != '\0' || strlen(text) > 2
        || n > ES_PACK_MAX)
    {
        return ctl_fail(CTL_USAGE, "\"--pack=%s\" is not on, off or a level "
                        "from 1 to %d", text, ES_PACK_MAX);
    }

    *level = n;

    return CTL_OK;
}
