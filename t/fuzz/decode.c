/* SPDX-License-Identifier: BSD-2-Clause */

/* A Content-Encoding field, a line feed, and a body, which is decoded, and then
   encoded and decoded.  No output is larger than its limit. */

#include "base/decode.h"
#include "base/encode.h"
#include "fuzz.h"

#define MAX  65536


/* One of them each time: some take their time. */

static void
round_trip(es_str_t text)
{
    es_buf_t      in, out;
    es_codings_t  codings;
    es_problem_t  problem;

    static const es_encoding_t  encodings[] = {
        ES_ENCODING_GZIP, ES_ENCODING_ZSTD, ES_ENCODING_BR
    };
    static const es_coding_t  decodings[] = {
        ES_CODING_GZIP, ES_CODING_ZSTD, ES_CODING_BR
    };

    memset(&in, 0, sizeof(in));

    codings.n = 1;
    codings.list[0] = decodings[text.len % 3];

    must(es_encode(encodings[text.len % 3], text, &in) == ES_OK);
    must(es_decode(&codings, (es_str_t) { in.data, in.len }, text.len, &out,
                   &problem)
         == ES_OK);
    must(es_str_eq((es_str_t) { out.data, out.len }, text));

    es_buf_free(&in);
    es_buf_free(&out);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    es_rc_t       rc;
    es_str_t      field, body, unknown;
    es_buf_t      out;
    const char   *end;
    es_codings_t  codings;
    es_problem_t  problem;

    field.data = (const char *) data;
    end = size > 0 ? memchr(data, '\n', size) : NULL;
    field.len = end ? (size_t) (end - field.data) : size;
    body.data = end ? end + 1 : "";
    body.len = end ? size - field.len - 1 : 0;

    memset(&codings, 0, sizeof(codings));
    rc = es_codings_add(&codings, field, &unknown);
    must(codings.n <= ES_CODINGS_MAX);

    if (rc == ES_INVALID) {
        must(unknown.len > 0 && unknown.data >= field.data
             && unknown.data + unknown.len <= field.data + field.len);
    }

    if (rc == ES_OK) {
        rc = es_decode(&codings, body, MAX, &out, &problem);
        must(rc == ES_OK || rc == ES_INVALID || rc == ES_TOO_LARGE);
        must(out.len <= MAX);
        must(rc == ES_OK || out.data == NULL);
        must(rc != ES_INVALID || problem.detail[0] != '\0');
        es_buf_free(&out);
    }

    round_trip(body);

    return 0;
}
