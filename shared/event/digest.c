/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Hashes with OpenSSL's low-level SHA-256.  The one-shot and EVP interfaces
 * look up the algorithm and allocate at each call, which costs more than the
 * hash of an event.
 */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "event/digest.h"


void
es_digest_event(const char *text, size_t len, uint8_t digest[ES_CHAIN_LEN])
{
    SHA256_CTX  sha;

    (void) SHA256_Init(&sha);
    (void) SHA256_Update(&sha, text, len);
    (void) SHA256_Final(digest, &sha);
}


bool
es_digest_erased(const char *text, size_t len)
{
    const char  *source;

    static const char  begin[] = "{\"specversion\":\"1.0\",\"id\":\"erased-";
    static const char  from[] = "\",\"source\":\"" ES_TOMBSTONE_SOURCE "\"";

    if (text == NULL || len < sizeof(begin)
        || memcmp(text, begin, sizeof(begin) - 1) != 0)
    {
        return false;
    }

    source = memmem(text, len, from, sizeof(from) - 1);

    return source != NULL
           && memchr(text + sizeof(begin) - 1, '"', len - sizeof(begin) + 1)
              == source;
}


bool
es_digest_tombstone(const char *text, size_t len,
    uint8_t digest[ES_CHAIN_LEN])
{
    char         byte[3], *end;
    size_t       i;
    const char  *p;

    static const char  mark[] = ES_TOMBSTONE_DIGEST;

    p = es_digest_erased(text, len)
        ? memmem(text, len, mark, sizeof(mark) - 1) : NULL;

    if (p == NULL
        || (size_t) (text + len - p) < sizeof(mark) + 2 * ES_CHAIN_LEN)
    {
        return false;
    }

    p += sizeof(mark) - 1;
    byte[2] = '\0';

    for (i = 0; i < ES_CHAIN_LEN; i++) {
        memcpy(byte, p + 2 * i, 2);
        digest[i] = (uint8_t) strtoul(byte, &end, 16);

        if (end != byte + 2) {
            return false;
        }
    }

    return true;
}


void
es_digest_sent(const char *text, size_t len, uint8_t digest[ES_CHAIN_LEN])
{
    if (!es_digest_tombstone(text, len, digest)) {
        es_digest_event(text, len, digest);
    }
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
