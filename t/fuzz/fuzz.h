/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the fuzz targets share.  Each target is one function in
 * libFuzzer's manner; it stops the program when a promise is broken.
 */

#ifndef ES_FUZZ_H
#define ES_FUZZ_H

#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition)                                                       \
    do {                                                                      \
        if (!(condition)) {                                                   \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__,        \
                    #condition);                                              \
            abort();                                                          \
        }                                                                     \
    } while (0)

/* A failure says what and, in at most so many bytes, why. */
static inline void
must_explain(const es_problem_t *problem, es_rc_t rc)
{
    must(problem->rc == rc);
    must(problem->detail[0] != '\0');
    must(memchr(problem->detail, '\0', sizeof(problem->detail)) != NULL);
    must(memchr(problem->pointer, '\0', sizeof(problem->pointer)) != NULL);
}

#endif /* ES_FUZZ_H */
