/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a unit test needs to say: one line of TAP for each fact.
 */

#ifndef ES_TAP_H
#define ES_TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

static int  tap_count;
static int  tap_failed;

__attribute__((format(printf, 2, 3)))
static inline bool
ok(bool pass, const char *fmt, ...)
{
    va_list  args;

    printf("%sok %d - ", pass ? "" : "not ", ++tap_count);

    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);

    printf("\n");
    tap_failed += !pass;

    return pass;
}

static inline bool
is_str(es_str_t got, const char *expected, const char *name)
{
    if (ok(es_str_eq(got, es_str(expected)), "%s", name)) {
        return true;
    }

    printf("#      got: '%.*s'\n# expected: '%s'\n", (int) got.len,
           got.data ? got.data : "", expected);

    return false;
}

static inline bool
is_int(int64_t got, int64_t expected, const char *name)
{
    if (ok(got == expected, "%s", name)) {
        return true;
    }

    printf("#      got: %lld\n# expected: %lld\n", (long long) got,
           (long long) expected);

    return false;
}

/* The value that main() returns. */
static inline int
done(void)
{
    printf("1..%d\n", tap_count);

    return tap_failed != 0;
}

#endif /* ES_TAP_H */
