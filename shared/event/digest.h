/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The digest chain, which lets a reader prove that it has every event.
 *
 *     D(0) = 32 zero bytes, at the beginning of a feed
 *     D(n) = SHA-256(D(n-1) || SHA-256(text of event n))
 *
 * The text is the event as every channel sends it without a filter.  The chain
 * is over digests, so that the digest of an erased event can stand for its
 * text.  Its tombstone has that digest as an extension.  A tombstone without it
 * counts as any other event: with the digest of its own text.
 */

#ifndef ES_DIGEST_H
#define ES_DIGEST_H

#include "base/base.h"

#define ES_CHAIN_LEN  32

/* The name of the chain, as manifests tell it. */
#define ES_CHAIN_NAME  "sha256-event-chain"

/* The same over events as a field list shows them.  It begins with 32 zero
   bytes at the beginning of the range. */
#define ES_CHAIN_SHOWN_NAME  "sha256-shown-event-chain"

/* Computes the digest of one event. */
void es_digest_event(const char *text, size_t len,
    uint8_t digest[ES_CHAIN_LEN]);

/* The source of tombstones, the word that they are such, and what is before
   their digest. */
#define ES_TOMBSTONE_SOURCE  "/eventsync/erased"
#define ES_TOMBSTONE_ERASED  ",\"erased\":true"
#define ES_TOMBSTONE_DIGEST  ES_TOMBSTONE_ERASED ",\"digest\":\""

/* True: the text of an event is that of a tombstone. */
bool es_digest_erased(const char *text, size_t len);

/* Reads the digest of a tombstone.  False: the text is no tombstone, or one
   without a digest. */
bool es_digest_tombstone(const char *text, size_t len,
    uint8_t digest[ES_CHAIN_LEN]);

/* Computes the digest of one event, or takes that of a tombstone. */
void es_digest_sent(const char *text, size_t len,
    uint8_t digest[ES_CHAIN_LEN]);

/* Extends the chain by the digest of one event. */
void es_digest_link(uint8_t chain[ES_CHAIN_LEN],
    const uint8_t digest[ES_CHAIN_LEN]);

/* Extends the chain by one event. */
void es_digest_chain(uint8_t chain[ES_CHAIN_LEN], const char *text,
    size_t len);

#endif /* ES_DIGEST_H */
