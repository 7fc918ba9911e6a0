/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Encodes pages with zlib, zstd and brotli.
 *
 * Levels are high, because a page is encoded once and sent often.  They and
 * the versions of the libraries are part of the maker's name, so that a page
 * that an older encoder made is made again.
 */

#include <stdio.h>

#include <brotli/encode.h>
#include <zlib.h>
#include <zstd.h>

#include "base/base.h"
#include "base/encode.h"

/* bytes; the highest levels would take seconds for more */
#define ES_ENCODE_LARGE    (1024 * 1024)

#define ES_GZIP_LEVEL      9
#define ES_GZIP_LARGE      6
#define ES_GZIP_WINDOW     (15 + 16)    /* 16: with a gzip header */
#define ES_GZIP_MEMORY     8
#define ES_ZSTD_LEVEL      19
#define ES_ZSTD_LARGE      9
#define ES_BR_LEVEL        9
#define ES_BR_LARGE        5

const es_str_t  es_encoding_names[ES_ENCODINGS] = {
    [ES_ENCODING_BR] = { "br", 2 },
    [ES_ENCODING_ZSTD] = { "zstd", 4 },
    [ES_ENCODING_GZIP] = { "gzip", 4 },
    [ES_ENCODING_IDENTITY] = { "identity", 8 }
};


es_str_t
es_encoding_maker(es_encoding_t encoding, char *out, size_t size)
{
    int  n;

    n = snprintf(out, size, "identity");

    switch (encoding) {

    case ES_ENCODING_BR:
        n = snprintf(out, size, "br %u %d %d",
                     (unsigned) BrotliEncoderVersion(), ES_BR_LEVEL,
                     ES_BR_LARGE);
        break;

    case ES_ENCODING_ZSTD:
        n = snprintf(out, size, "zstd %u %d %d", ZSTD_versionNumber(),
                     ES_ZSTD_LEVEL, ES_ZSTD_LARGE);
        break;

    case ES_ENCODING_GZIP:
        n = snprintf(out, size, "gzip %s %d %d", zlibVersion(),
                     ES_GZIP_LEVEL, ES_GZIP_LARGE);
        break;

    case ES_ENCODING_IDENTITY:
    case ES_ENCODINGS:
        break;
    }

    return (es_str_t) { out, (size_t) n < size ? (size_t) n : size - 1 };
}


/* zlib writes no time and no name into the header, so that the bytes are
   always the same. */

static es_rc_t
es_encode_gzip(es_str_t in, bool large, es_buf_t *out)
{
    int       rc;
    es_rc_t   result;
    z_stream  z;

    memset(&z, 0, sizeof(z));

    if (in.len > UINT32_MAX / 2
        || deflateInit2(&z, large ? ES_GZIP_LARGE : ES_GZIP_LEVEL, Z_DEFLATED,
                        ES_GZIP_WINDOW, ES_GZIP_MEMORY, Z_DEFAULT_STRATEGY)
           != Z_OK)
    {
        return ES_NOMEM;
    }

    z.next_in = (Bytef *) (uintptr_t) in.data;
    z.avail_in = (uInt) in.len;
    z.avail_out = (uInt) deflateBound(&z, in.len);

    result = es_buf_reserve(out, z.avail_out);

    if (result == ES_OK) {
        z.next_out = (Bytef *) out->data + out->len;

        rc = deflate(&z, Z_FINISH);
        out->len += z.total_out;
        result = rc == Z_STREAM_END ? ES_OK : ES_NOMEM;
    }

    (void) deflateEnd(&z);

    return result;
}


/* The window stays within the 8 MB that RFC 9659 allows. */

static es_rc_t
es_encode_zstd(es_str_t in, bool large, es_buf_t *out)
{
    size_t   bound, n;
    es_rc_t  rc;

    bound = ZSTD_compressBound(in.len);

    rc = es_buf_reserve(out, bound);
    if (rc != ES_OK) {
        return rc;
    }

    n = ZSTD_compress(out->data + out->len, bound, in.data, in.len,
                      large ? ES_ZSTD_LARGE : ES_ZSTD_LEVEL);
    if (ZSTD_isError(n)) {
        return ES_NOMEM;
    }

    out->len += n;

    return ES_OK;
}


static es_rc_t
es_encode_br(es_str_t in, bool large, es_buf_t *out)
{
    size_t   n;
    es_rc_t  rc;

    n = BrotliEncoderMaxCompressedSize(in.len);

    rc = es_buf_reserve(out, n);
    if (rc != ES_OK) {
        return rc;
    }

    if (!BrotliEncoderCompress(large ? ES_BR_LARGE : ES_BR_LEVEL,
                               BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT,
                               in.len, (const uint8_t *) in.data, &n,
                               (uint8_t *) out->data + out->len))
    {
        return ES_NOMEM;
    }

    out->len += n;

    return ES_OK;
}


es_rc_t
es_encode(es_encoding_t encoding, es_str_t in, es_buf_t *out)
{
    bool  large;

    large = in.len > ES_ENCODE_LARGE;

    switch (encoding) {

    case ES_ENCODING_BR:
        return es_encode_br(in, large, out);

    case ES_ENCODING_ZSTD:
        return es_encode_zstd(in, large, out);

    case ES_ENCODING_GZIP:
        return es_encode_gzip(in, large, out);

    case ES_ENCODING_IDENTITY:
    case ES_ENCODINGS:
        break;
    }

    return ES_INVALID;
}
