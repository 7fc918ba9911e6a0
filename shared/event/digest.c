/* SPDX-License-Identifier: BSD-2-Clause */

/* The one-shot and EVP interfaces look the algorithm up and allocate at each
   call, which is more than the hash of an event costs. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/sha.h>

#include "event/digest.h"


void
es_digest_chain(uint8_t chain[ES_CHAIN_LEN], const char *text, size_t len)
{
    SHA256_CTX  sha;

    (void) SHA256_Init(&sha);
    (void) SHA256_Update(&sha, chain, ES_CHAIN_LEN);
    (void) SHA256_Update(&sha, text, len);
    (void) SHA256_Final(chain, &sha);
}
