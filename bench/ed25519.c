/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * ed25519 measures the processor time of one signature of OpenSSL, of a message
 * as long as a webhook, with a key and a context that are made once.
 *
 *   ed25519 [--size 400] [--seconds 1]
 */

#include "bench.h"

#include <openssl/evp.h>

#define KEY_LEN        32
#define SIGNATURE_LEN  64

static uint64_t
cpu_ns(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t) ts.tv_sec * 1000000000 + (uint64_t) ts.tv_nsec;
}

int
main(int argc, char **argv)
{
    size_t          size, len;
    uint64_t        began, ns, until, n;
    EVP_PKEY       *key;
    EVP_MD_CTX     *ctx;
    unsigned char  *message, seed[KEY_LEN] = { 1 }, signature[SIGNATURE_LEN];

    size = (size_t) bench_arg_n(argc, argv, "--size", "400");
    until = (uint64_t) bench_arg_n(argc, argv, "--seconds", "1") * 1000000000;
    message = bench_alloc(1, size + 1);
    key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, KEY_LEN);
    ctx = EVP_MD_CTX_new();

    if (key == NULL || ctx == NULL
        || EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) != 1)
    {
        bench_die("cannot make a key");
    }

    began = cpu_ns();
    for (n = 0; (ns = cpu_ns() - began) < until; n++) {
        len = sizeof(signature);
        if (EVP_DigestSignInit(ctx, NULL, NULL, NULL, NULL) != 1
            || EVP_DigestSign(ctx, signature, &len, message, size) != 1)
        {
            bench_die("cannot sign");
        }
    }

    printf("{\"signatures\":%llu,\"cpu_us\":%.3f}\n", (unsigned long long) n,
           (double) ns / 1e3 / (double) n);
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    free(message);
    return 0;
}
