/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One line of TAP that says whether es_verify() finds exactly some faults.
 */

#ifndef ES_VERIFIES_H
#define ES_VERIFIES_H

#include "inspect/verify.h"
#include "tap.h"

static char  verifies_said[1024];

static inline void
verifies_say(void *ctx, const char *text)
{
    size_t  len;

    (void) ctx;

    if (text == NULL) {
        return;
    }

    len = strlen(verifies_said);
    (void) snprintf(verifies_said + len, sizeof(verifies_said) - len, "%s%s",
                    len > 0 ? "\n" : "", text);
}

/* `faults`: the lines, joined by "\n"; "": none. */
static inline void
verifies(es_store_t *store, const char *faults, const char *name)
{
    es_verify_t  totals;

    verifies_said[0] = '\0';
    (void) es_verify(store, verifies_say, NULL, &totals);
    is_str(es_str(verifies_said), faults, name);
}

#endif /* ES_VERIFIES_H */
