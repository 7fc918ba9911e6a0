/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The digest chain, which lets a reader prove that it has every event.
 *
 *     D(0) = 32 zero bytes, at the beginning of an epoch
 *     D(n) = SHA-256(D(n-1) || text of event n)
 *
 * The text is the event as every channel sends it without a filter.
 */

#ifndef ES_DIGEST_H
#define ES_DIGEST_H

#include "base/base.h"

#define ES_CHAIN_LEN  32

/* Extends the chain by one event. */
void es_digest_chain(uint8_t chain[ES_CHAIN_LEN], const char *text,
    size_t len);

#endif /* ES_DIGEST_H */
