/* SPDX-License-Identifier: BSD-2-Clause */

/* Encodes stdin in the content coding that its argument names. */

#include <stdio.h>

#include "base/encode.h"


int
main(int argc, char **argv)
{
    int       rc;
    char      piece[4096];
    size_t    n;
    es_buf_t  in, out;
    unsigned  i;

    memset(&in, 0, sizeof(in));
    memset(&out, 0, sizeof(out));

    while ((n = fread(piece, 1, sizeof(piece), stdin)) > 0) {
        if (es_buf_append(&in, piece, n) != ES_OK) {
            return 1;
        }
    }

    rc = 2;

    for (i = 0; argc == 2 && i < ES_ENCODING_IDENTITY; i++) {
        if (es_str_eq(es_str(argv[1]), es_encoding_names[i])) {
            rc = es_encode(i, (es_str_t) { in.data, in.len }, &out) != ES_OK
                 || fwrite(out.data, 1, out.len, stdout) != out.len;
        }
    }

    es_buf_free(&in);
    es_buf_free(&out);

    return rc;
}
