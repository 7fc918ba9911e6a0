/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Hashes with OpenSSL's low-level SHA-256.  The one-shot and EVP interfaces
 * look up the algorithm and allocate at each call, which costs more than the
 * hash of an event.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/sha.h>

#include "event/digest.h"


void
es_digest_event(const char *text, size_t len, uint8_t digest[ES_CHAIN_LEN])
{
    SHA256_CTX  sha;

    (void) SHA256_Init(&sha);
    (void) SHA256_Update(&sha, text, len);
    (void) SHA256_Final(digest, &sha);
}


void
es_digest_link(uint8_t chain[ES_CHAIN_LEN],
    const uint8_t digest[ES_CHAIN_LEN])
{
    SHA256_CTX  sha;

    (void) SHA256_Init(&sha);
    (void) SHA256_Update(&sha, chain, ES_CHAIN_LEN);
    (void) SHA256_Update(&sha, digest, ES_CHAIN_LEN);
    (void) SHA256_Final(chain, &sha);
}


void
es_digest_chain(uint8_t chain[ES_CHAIN_LEN], const char *text, size_t len)
{
    uint8_t  digest[ES_CHAIN_LEN];

    es_digest_event(text, len, digest);
    es_digest_link(chain, digest);
}
