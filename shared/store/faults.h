/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The counts and the callback that all checks of `verify` share.
 *
 * Each folder checks its own records, so these types are in store/, which all
 * of those folders may include.
 */

#ifndef ES_FAULTS_H
#define ES_FAULTS_H

#include <stdint.h>

typedef struct {
    uint64_t  feeds;
    uint64_t  events;
    uint64_t  chunks;
    uint64_t  checkpoints;
    uint64_t  faults;
} es_verify_t;

/* Called with one sentence for each fault, and with NULL after each slice of
   work, so that the caller can show its progress. */
typedef void (*es_verify_fn)(void *ctx, const char *text);

#endif /* ES_FAULTS_H */
