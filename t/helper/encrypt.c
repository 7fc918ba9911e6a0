/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * encrypt encrypts its standard input to the public key in a file, and prints
 * the JWE.
 *
 *   encrypt JWK FEED SOURCE ID FIELD
 */

#include <stdio.h>
#include <unistd.h>

#include "jwe/jwe.h"


int
main(int argc, char **argv)
{
    json_t          *jwk;
    ssize_t          n;
    es_buf_t         plain = { NULL, 0, 0 }, out = { NULL, 0, 0 };
    const char      *member, *why;
    es_jwe_key_t     key;
    es_jwe_place_t   place;

    jwk = argc == 6 ? json_load_file(argv[1], 0, NULL) : NULL;
    why = es_jwe_key_read(jwk, &key, &member);
    json_decref(jwk);

    if (why != NULL) {
        (void) fprintf(stderr, "encrypt: %s %s\n", member, why);
        return 2;
    }

    do {
        if (es_buf_reserve(&plain, 65536) != ES_OK) {
            return 1;
        }

        n = read(STDIN_FILENO, plain.data + plain.len, 65536);
        plain.len += n > 0 ? (size_t) n : 0;
    } while (n > 0);

    place.feed = es_str(argv[2]);
    place.source = es_str(argv[3]);
    place.id = es_str(argv[4]);
    place.field = es_str(argv[5]);

    if (es_jwe_encrypt(&key, &place, (es_str_t) { plain.data, plain.len },
                       &out) != ES_OK)
    {
        (void) fprintf(stderr, "encrypt: the key cannot be used\n");
        return 1;
    }

    (void) printf("%.*s\n", (int) out.len, out.data);
    es_buf_free(&plain);
    es_buf_free(&out);

    return 0;
}
