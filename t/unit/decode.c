/* SPDX-License-Identifier: BSD-2-Clause */

/* Content codings of a request body: whole bodies decode to the original, torn
   ones are refused, and no output exceeds its bound. */

#include <zlib.h>
#include <zstd.h>

#include "base/decode.h"
#include "base/encode.h"
#include "tap.h"

#define SMALL  "hello, hello, hello: a body that is compressed"


static es_codings_t
codings(const char *value)
{
    es_str_t      unknown;
    es_codings_t  list;

    memset(&list, 0, sizeof(list));
    ok(es_codings_add(&list, es_str(value), &unknown) == ES_OK,
       "\"%s\" is known", value);

    return list;
}


static es_buf_t
zlib(const char *text, size_t len, int window)
{
    uLong     bound;
    z_stream  z;
    es_buf_t  out;

    memset(&z, 0, sizeof(z));
    memset(&out, 0, sizeof(out));

    if (deflateInit2(&z, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY)
        != Z_OK)
    {
        exit(2);
    }

    bound = deflateBound(&z, len);
    (void) es_buf_reserve(&out, bound);
    z.next_in = (Bytef *) (uintptr_t) text;
    z.avail_in = (uInt) len;
    z.next_out = (Bytef *) out.data;
    z.avail_out = (uInt) bound;
    (void) deflate(&z, Z_FINISH);
    out.len = z.total_out;
    (void) deflateEnd(&z);

    return out;
}


static es_buf_t
encoded(es_encoding_t encoding, const char *text, size_t len)
{
    es_buf_t  out;

    memset(&out, 0, sizeof(out));
    (void) es_encode(encoding, (es_str_t) { text, len }, &out);

    return out;
}


static void
decodes(const char *value, es_buf_t in, const char *text, size_t len)
{
    es_rc_t       rc;
    es_buf_t      out;
    es_problem_t  problem;
    es_codings_t  list;

    list = codings(value);
    problem.detail[0] = '\0';
    rc = es_decode(&list, (es_str_t) { in.data, in.len }, len, &out,
                   &problem);
    ok(rc == ES_OK && out.len == len && memcmp(out.data, text, len) == 0,
       "%s: %zu bytes come out as they were, with room for no more: %d %s",
       value, len, rc, problem.detail);
    es_buf_free(&out);

    rc = es_decode(&list, (es_str_t) { in.data, in.len }, len - 1, &out,
                   &problem);
    ok(rc == ES_TOO_LARGE && out.data == NULL,
       "%s: one byte less is too little", value);
}


static void
refuses(const char *value, es_str_t in, const char *detail)
{
    es_rc_t       rc;
    es_buf_t      out;
    es_problem_t  problem;
    es_codings_t  list;

    list = codings(value);
    problem.detail[0] = '\0';
    rc = es_decode(&list, in, 1 << 20, &out, &problem);
    ok(rc == ES_INVALID && out.data == NULL, "%s: %zu bytes are refused",
       value, in.len);
    is_str(es_str(problem.detail), detail, detail);
}


/* Each beginning of it is cut off, and each end has something behind it. */
static void
is_whole(const char *value, es_buf_t in, const char *name)
{
    char    text[64];
    size_t  i, wrong;

    wrong = 0;

    for (i = 0; i < in.len; i++) {
        es_buf_t      out;
        es_codings_t  list;
        es_problem_t  problem;
        es_str_t      unknown;

        memset(&list, 0, sizeof(list));
        (void) es_codings_add(&list, es_str(value), &unknown);

        if (es_decode(&list, (es_str_t) { in.data, i }, 1 << 20, &out,
                      &problem)
            != ES_INVALID)
        {
            wrong++;
            es_buf_free(&out);
        }
    }

    is_int((int64_t) wrong, 0, "no part of it is taken for the whole");

    (void) snprintf(text, sizeof(text), "%s is cut off before its end", name);
    refuses(value, (es_str_t) { in.data, in.len - 1 }, text);
    refuses(value, es_null_str, text);

    (void) es_buf_append(&in, "x", 1);
    (void) snprintf(text, sizeof(text), "%s has bytes after its end", name);
    refuses(value, (es_str_t) { in.data, in.len }, text);
    in.len--;
}


static void
names(void)
{
    es_rc_t       rc;
    es_str_t      unknown;
    es_codings_t  list;

    list = codings(" GZIP ,\tbr,, identity");
    is_int(list.n, 2, "two of them count");
    ok(list.list[0] == ES_CODING_GZIP && list.list[1] == ES_CODING_BR,
       "in the order in which they were applied");

    list = codings("x-gzip");
    ok(list.n == 1 && list.list[0] == ES_CODING_GZIP, "an old name of gzip");
    is_int(codings("").n, 0, "an empty field is none");
    is_int(codings("identity").n, 0, "identity is none");

    memset(&list, 0, sizeof(list));
    rc = es_codings_add(&list, es_str("gzip, compress"), &unknown);
    is_int(rc, ES_INVALID, "a coding that is not known");
    is_str(unknown, "compress", "is named");
    is_int(es_codings_add(&list, es_str("gzip x"), &unknown), ES_INVALID,
           "two words are not one coding");

    memset(&list, 0, sizeof(list));
    is_int(es_codings_add(&list, es_str("br,br"), &unknown), ES_OK, "two");
    is_int(es_codings_add(&list, es_str("br, br"), &unknown), ES_TOO_LARGE,
           "four of them, in two fields, are too many");
}


static void
members(void)
{
    es_buf_t  one, two;

    one = encoded(ES_ENCODING_GZIP, "ab", 2);
    two = encoded(ES_ENCODING_GZIP, "cd", 2);
    (void) es_buf_append(&one, two.data, two.len);
    decodes("gzip", one, "abcd", 4);
    refuses("gzip", (es_str_t) { one.data, one.len - 1 },
            "gzip is cut off before its end");
    es_buf_free(&one);
    es_buf_free(&two);

    one = encoded(ES_ENCODING_ZSTD, "ab", 2);
    (void) es_buf_append(&one, "\x50\x2a\x4d\x18\x01\0\0\0x", 9);
    two = encoded(ES_ENCODING_ZSTD, "cd", 2);
    (void) es_buf_append(&one, two.data, two.len);
    decodes("zstd", one, "abcd", 4);
    es_buf_free(&one);
    es_buf_free(&two);
}


static void
windows(void)
{
    char       *text;
    size_t      n;
    es_buf_t    out;
    ZSTD_CCtx  *c;

    n = 9 << 20;
    text = calloc(1, n);
    memset(&out, 0, sizeof(out));
    (void) es_buf_reserve(&out, ZSTD_compressBound(n));

    c = ZSTD_createCCtx();
    (void) ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, 24);
    (void) ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
    out.len = ZSTD_compress2(c, out.data, out.cap, text, n);
    refuses("zstd", (es_str_t) { out.data, out.len },
            "zstd has a window of more than 8 MB");

    (void) ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, 23);
    out.len = ZSTD_compress2(c, out.data, out.cap, text, n);
    decodes("zstd", out, text, n);

    (void) ZSTD_freeCCtx(c);
    es_buf_free(&out);
    free(text);
}


static void
bombs(void)
{
    char          *text;
    size_t         n;
    es_buf_t       once, twice, out;
    es_codings_t   list;
    es_problem_t   problem;

    n = 32 << 20;
    text = calloc(1, n);
    once = encoded(ES_ENCODING_GZIP, text, n);
    twice = encoded(ES_ENCODING_GZIP, once.data, once.len);
    ok(twice.len < 1000, "%zu MB in %zu bytes", n >> 20, twice.len);

    list = codings("gzip, gzip");
    ok(es_decode(&list, (es_str_t) { twice.data, twice.len }, 1 << 20, &out,
                 &problem)
       == ES_TOO_LARGE && out.data == NULL, "end at the bound");
    is_int(es_decode(&list, (es_str_t) { twice.data, twice.len },
                     once.len - 1, &out, &problem),
           ES_TOO_LARGE, "which holds between two codings, too");

    es_buf_free(&once);
    es_buf_free(&twice);
    free(text);
}


int
main(void)
{
    char      *text;
    size_t     i;
    es_buf_t   in, over;

    names();

    in = encoded(ES_ENCODING_GZIP, SMALL, sizeof(SMALL) - 1);
    decodes("gzip", in, SMALL, sizeof(SMALL) - 1);
    is_whole("gzip", in, "gzip");
    in.data[in.len - 5] ^= 1;
    refuses("gzip", (es_str_t) { in.data, in.len }, "gzip is malformed");
    es_buf_free(&in);

    in = zlib(SMALL, sizeof(SMALL) - 1, 15);
    decodes("deflate", in, SMALL, sizeof(SMALL) - 1);
    is_whole("deflate", in, "deflate");
    es_buf_free(&in);

    in = zlib(SMALL, sizeof(SMALL) - 1, -15);
    refuses("deflate", (es_str_t) { in.data, in.len },
            "deflate is malformed");
    es_buf_free(&in);

    in = encoded(ES_ENCODING_ZSTD, SMALL, sizeof(SMALL) - 1);
    decodes("zstd", in, SMALL, sizeof(SMALL) - 1);
    is_whole("zstd", in, "zstd");
    es_buf_free(&in);

    in = encoded(ES_ENCODING_BR, SMALL, sizeof(SMALL) - 1);
    decodes("br", in, SMALL, sizeof(SMALL) - 1);
    is_whole("br", in, "br");
    es_buf_free(&in);

    text = malloc(3 << 20);
    for (i = 0; i < 3 << 20; i++) {
        text[i] = (char) (i * i >> 7);
    }

    in = encoded(ES_ENCODING_GZIP, text, 3 << 20);
    over = encoded(ES_ENCODING_BR, in.data, in.len);
    decodes("gzip, br", over, text, 3 << 20);
    es_buf_free(&in);
    es_buf_free(&over);
    free(text);

    members();
    windows();
    bombs();

    return done();
}
