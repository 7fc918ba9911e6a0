/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The end of a process whose assertion failed.
 *
 * The line goes to standard error by one write(), because the process may be
 * in any state: stdio's lock may be held, and the heap may be damaged.
 */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"


void
es_assert_failed(const char *condition, const char *function,
    const char *file, int line)
{
    int      len;
    char     text[1024];
    ssize_t  written;

    len = snprintf(text, sizeof(text),
                   "eventsync: assertion failed: %s, in %s() at %s:%d\n",
                   condition, function, file, line);

    if (len >= (int) sizeof(text)) {
        len = sizeof(text) - 1;
    }

    if (len > 0) {
        written = write(STDERR_FILENO, text, (size_t) len);
        (void) written;
    }

    abort();
}
