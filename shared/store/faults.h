/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a proof of the store counts, and how it tells a fault.
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

/* Called with one sentence for each fault found. */
typedef void (*es_verify_fn)(void *ctx, const char *text);

#endif /* ES_FAULTS_H */
