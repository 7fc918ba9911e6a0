/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * encrypt encrypts its standard input to the public key in a file, and prints
 * the JWE.  With a store and the event's cursor it is the one that is kept there.
 *
 *   encrypt JWK FEED SOURCE ID FIELD [STORE CURSOR]
 */

#include <stdio.h>
#include <unistd.h>

#include "jwe/jwe.h"
#include "open/open.h"
#include "read/ciphertexts.h"


static es_rc_t
keep(const char *path, es_ciphertext_t *item)
{
    es_rc_t            rc;
    es_store_t        *store;
    es_problem_t       problem;
    es_ciphertexts_t  *texts;

    rc = es_store_open(path, 0, &store, &problem);
    if (rc != ES_OK) {
        return rc;
    }

    texts = es_ciphertexts_create(store, ES_CIPHERTEXTS_HALF);
    rc = es_ciphertexts_make(texts, item, 1);
    es_ciphertexts_free(texts);
    es_store_close(store);

    return rc;
}


int
main(int argc, char **argv)
{
    json_t          *jwk;
    ssize_t          n;
    es_rc_t          rc;
    es_buf_t         plain = { NULL, 0, 0 };
    const char      *member, *why;
    es_jwe_key_t     key;
    es_ciphertext_t  item = { .key = &key };

    jwk = argc == 6 || argc == 8 ? json_load_file(argv[1], 0, NULL) : NULL;
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

    item.place.feed = es_str(argv[2]);
    item.place.source = es_str(argv[3]);
    item.place.id = es_str(argv[4]);
    item.place.field = es_str(argv[5]);
    item.plain = (es_str_t) { plain.data, plain.len };
    item.cursor = es_str(argc == 8 ? argv[7] : NULL);

    rc = argc == 8 ? keep(argv[6], &item)
                   : es_jwe_encrypt(&key, &item.place, item.plain, &item.out);
    if (rc != ES_OK) {
        (void) fprintf(stderr, "encrypt: %s\n", es_reason(rc));
        return 1;
    }

    (void) printf("%.*s\n", (int) item.out.len, item.out.data);
    es_buf_free(&plain);
    es_buf_free(&item.out);

    return 0;
}
