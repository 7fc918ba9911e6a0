/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decodes request bodies.
 *
 * One loop serves all codings.  Each coding is a step function that consumes
 * input, produces output, and says whether its stream has ended.
 */

#include <strings.h>

#include <brotli/decode.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/base.h"
#include "base/decode.h"

#define ES_DECODE_CHUNK    16384        /* bytes of output at first */
#define ES_DECODE_PIECE    (1 << 30)    /* zlib counts in 32 bits */
#define ES_DECODE_GZIP     (15 + 16)    /* 16: only a gzip header */
#define ES_DECODE_MAGIC    "\x1f\x8b"    /* the first bytes of a gzip member */
#define ES_DECODE_ZLIB     15
#define ES_DECODE_WINDOW   23           /* zstd: 8 MB */

typedef enum {
    ES_STEP_ON = 0,     /* needs more input or more room */
    ES_STEP_END,        /* the stream is complete */
    ES_STEP_BAD,
    ES_STEP_WINDOW,
    ES_STEP_NOMEM
} es_step_t;

typedef struct {
    es_coding_t  coding;
    bool         ended;     /* after a member or frame; another may follow */
    const char  *in;
    size_t       in_len;
    char        *out;
    size_t       room;

    union {
        z_stream             z;
        ZSTD_DStream        *zstd;
        BrotliDecoderState  *br;
    } u;
} es_decoder_t;

const es_str_t  es_coding_names[ES_CODINGS] = {
    [ES_CODING_GZIP] = { "gzip", 4 },
    [ES_CODING_DEFLATE] = { "deflate", 7 },
    [ES_CODING_ZSTD] = { "zstd", 4 },
    [ES_CODING_BR] = { "br", 2 }
};


static bool
es_coding_is(es_str_t name, const char *coding)
{
    return name.len == strlen(coding)
           && strncasecmp(name.data, coding, name.len) == 0;
}


/* Finds one coding by its name.  ES_CODINGS stands for "identity" and for
   an empty list item. */

static bool
es_coding_find(es_str_t name, es_coding_t *coding)
{
    if (name.len == 0 || es_coding_is(name, "identity")) {
        *coding = ES_CODINGS;
        return true;
    }

    if (es_coding_is(name, "x-gzip")) {
        *coding = ES_CODING_GZIP;
        return true;
    }

    for (*coding = 0; *coding < ES_CODINGS; (*coding)++) {
        if (es_coding_is(name, es_coding_names[*coding].data)) {
            return true;
        }
    }

    return false;
}


static es_str_t
es_coding_trim(es_str_t name)
{
    while (name.len > 0 && (name.data[0] == ' ' || name.data[0] == '\t')) {
        name.data++;
        name.len--;
    }

    while (name.len > 0
           && (name.data[name.len - 1] == ' '
               || name.data[name.len - 1] == '\t'))
    {
        name.len--;
    }

    return name;
}


es_rc_t
es_codings_add(es_codings_t *codings, es_str_t value, es_str_t *unknown)
{
    es_str_t      name;
    const char   *comma;
    es_coding_t   coding;

    while (value.len > 0) {
        comma = memchr(value.data, ',', value.len);

        name.data = value.data;
        name.len = comma ? (size_t) (comma - value.data) : value.len;

        value.data += name.len + (comma ? 1 : 0);
        value.len -= name.len + (comma ? 1 : 0);

        name = es_coding_trim(name);

        if (!es_coding_find(name, &coding)) {
            *unknown = name;
            return ES_INVALID;
        }

        if (coding == ES_CODINGS) {
            continue;
        }

        if (codings->n == ES_CODINGS_MAX) {
            return ES_TOO_LARGE;
        }

        codings->list[codings->n++] = coding;
    }

    return ES_OK;
}


/* ---- the steps ---- */


static es_step_t
es_step_zlib(es_decoder_t *d)
{
    int        rc;
    z_stream  *z;

    z = &d->u.z;

    if (d->ended) {

        /* gzip: another member follows */

        if (d->coding != ES_CODING_GZIP
            || memcmp(d->in, ES_DECODE_MAGIC,
                      d->in_len < 2 ? d->in_len : 2) != 0
            || inflateReset(z) != Z_OK)
        {
            return ES_STEP_BAD;
        }
    }

    z->next_in = (Bytef *) (uintptr_t) d->in;
    z->avail_in = d->in_len < ES_DECODE_PIECE ? (uInt) d->in_len
                                              : ES_DECODE_PIECE;
    z->next_out = (Bytef *) d->out;
    z->avail_out = d->room < ES_DECODE_PIECE ? (uInt) d->room
                                             : ES_DECODE_PIECE;

    rc = inflate(z, Z_NO_FLUSH);

    d->in_len -= (size_t) ((const char *) z->next_in - d->in);
    d->in = (const char *) z->next_in;
    d->room -= (size_t) ((char *) z->next_out - d->out);
    d->out = (char *) z->next_out;

    switch (rc) {
    case Z_STREAM_END:
        return ES_STEP_END;
    case Z_OK: case Z_BUF_ERROR:
        d->ended = false;
        return ES_STEP_ON;
    case Z_MEM_ERROR:
        return ES_STEP_NOMEM;
    default:
        return ES_STEP_BAD;
    }
}


/* The library starts the next frame by itself. */

static es_step_t
es_step_zstd(es_decoder_t *d)
{
    size_t          rc;
    ZSTD_inBuffer   in;
    ZSTD_outBuffer  out;

    in = (ZSTD_inBuffer) { d->in, d->in_len, 0 };
    out = (ZSTD_outBuffer) { d->out, d->room, 0 };

    rc = ZSTD_decompressStream(d->u.zstd, &out, &in);

    if (ZSTD_isError(rc)) {
        switch (ZSTD_getErrorCode(rc)) {
        case ZSTD_error_frameParameter_windowTooLarge:
            return ES_STEP_WINDOW;
        case ZSTD_error_memory_allocation:
            return ES_STEP_NOMEM;
        default:
            return ES_STEP_BAD;
        }
    }

    d->in += in.pos;
    d->in_len -= in.pos;
    d->out += out.pos;
    d->room -= out.pos;
    d->ended = false;

    return rc == 0 ? ES_STEP_END : ES_STEP_ON;
}


static es_step_t
es_step_br(es_decoder_t *d)
{
    size_t                in_len, room;
    uint8_t              *out;
    const uint8_t        *in;
    BrotliDecoderResult   rc;

    if (d->ended) {
        return ES_STEP_BAD;
    }

    in = (const uint8_t *) d->in;
    in_len = d->in_len;
    out = (uint8_t *) d->out;
    room = d->room;

    rc = BrotliDecoderDecompressStream(d->u.br, &in_len, &in, &room, &out,
                                       NULL);
    d->in = (const char *) in;
    d->in_len = in_len;
    d->out = (char *) out;
    d->room = room;

    switch (rc) {

    case BROTLI_DECODER_RESULT_SUCCESS:
        return ES_STEP_END;

    case BROTLI_DECODER_RESULT_ERROR:
        return BrotliDecoderGetErrorCode(d->u.br)
               <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES
               && BrotliDecoderGetErrorCode(d->u.br)
                  >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES
               ? ES_STEP_NOMEM : ES_STEP_BAD;

    default:
        return ES_STEP_ON;
    }
}


static es_step_t
es_step(es_decoder_t *d)
{
    switch (d->coding) {
    case ES_CODING_ZSTD:
        return es_step_zstd(d);
    case ES_CODING_BR:
        return es_step_br(d);
    case ES_CODING_GZIP:
    case ES_CODING_DEFLATE:
        return es_step_zlib(d);
    case ES_CODINGS:
        break;
    }

    return ES_STEP_BAD;
}


/* ---- start and end ---- */


static bool
es_decoder_init(es_decoder_t *d)
{
    switch (d->coding) {

    case ES_CODING_ZSTD:
        d->u.zstd = ZSTD_createDStream();
        if (d->u.zstd == NULL) {
            return false;
        }

        (void) ZSTD_DCtx_setParameter(d->u.zstd, ZSTD_d_windowLogMax,
                                      ES_DECODE_WINDOW);
        return true;

    case ES_CODING_BR:
        d->u.br = BrotliDecoderCreateInstance(NULL, NULL, NULL);
        return d->u.br != NULL;

    case ES_CODING_GZIP:
        return inflateInit2(&d->u.z, ES_DECODE_GZIP) == Z_OK;

    case ES_CODING_DEFLATE:
        return inflateInit2(&d->u.z, ES_DECODE_ZLIB) == Z_OK;

    case ES_CODINGS:
        break;
    }

    return false;
}


static void
es_decoder_free(es_decoder_t *d)
{
    switch (d->coding) {
    case ES_CODING_ZSTD:
        (void) ZSTD_freeDStream(d->u.zstd);
        break;
    case ES_CODING_BR:
        BrotliDecoderDestroyInstance(d->u.br);
        break;
    case ES_CODING_GZIP:
    case ES_CODING_DEFLATE:
        (void) inflateEnd(&d->u.z);
        break;
    case ES_CODINGS:
        break;
    }
}


/* ---- the loop ---- */


static es_rc_t
es_decode_fault(es_decoder_t *d, const char *what, es_problem_t *problem)
{
    return es_problem_set(problem, ES_INVALID, -1, NULL, "%s %s",
                          es_coding_names[d->coding].data, what);
}


/* Handles the result of a step.  ES_OK with `*done` unset: the loop goes
   on. */

static es_rc_t
es_decode_outcome(es_decoder_t *d, es_step_t step, bool moved, bool *done,
    es_problem_t *problem)
{
    switch (step) {

    case ES_STEP_BAD:
        return es_decode_fault(d, d->ended ? "has bytes after its end"
                                           : "is malformed", problem);

    case ES_STEP_WINDOW:
        return es_decode_fault(d, "has a window of more than 8 MB", problem);

    case ES_STEP_NOMEM:
        return ES_NOMEM;

    case ES_STEP_END:
        d->ended = true;
        *done = d->in_len == 0;
        return ES_OK;

    case ES_STEP_ON:
        break;
    }

    return moved ? ES_OK
                 : es_decode_fault(d, "is cut off before its end", problem);
}


/* The buffer always has room for one byte more than `max`, so that a body
   of exactly `max` bytes reaches the end of its stream. */

static es_rc_t
es_decode_run(es_decoder_t *d, size_t max, es_buf_t *out,
    es_problem_t *problem)
{
    bool       done, moved;
    size_t     room, in_len;
    es_rc_t    rc;
    es_step_t  step;

    for (done = false; !done; /* void */ ) {

        room = out->len > ES_DECODE_CHUNK ? out->len : ES_DECODE_CHUNK;
        if (room > max - out->len) {
            room = max - out->len + 1;
        }

        rc = es_buf_reserve(out, room);
        if (rc != ES_OK) {
            return rc;
        }

        in_len = d->in_len;
        d->out = out->data + out->len;
        d->room = room;

        step = es_step(d);

        moved = d->in_len < in_len || d->room < room;
        out->len += room - d->room;

        if (out->len > max) {
            return ES_TOO_LARGE;
        }

        rc = es_decode_outcome(d, step, moved, &done, problem);
        if (rc != ES_OK) {
            return rc;
        }
    }

    return ES_OK;
}


static es_rc_t
es_decode_one(es_coding_t coding, es_str_t in, size_t max, es_buf_t *out,
    es_problem_t *problem)
{
    es_rc_t       rc;
    es_decoder_t  d;

    memset(&d, 0, sizeof(d));

    d.coding = coding;
    d.in = in.len > 0 ? in.data : "";
    d.in_len = in.len;

    if (!es_decoder_init(&d)) {
        return ES_NOMEM;
    }

    rc = es_decode_run(&d, max, out, problem);

    es_decoder_free(&d);

    return rc;
}


es_rc_t
es_decode(const es_codings_t *codings, es_str_t in, size_t max, es_buf_t *out,
    es_problem_t *problem)
{
    es_rc_t   rc;
    unsigned  i;
    es_buf_t  before;

    memset(out, 0, sizeof(es_buf_t));
    memset(&before, 0, sizeof(es_buf_t));

    if (codings->n == 0) {
        return in.len > max ? ES_TOO_LARGE
                            : es_buf_append(out, in.data, in.len);
    }

    rc = ES_OK;

    for (i = codings->n; i > 0 && rc == ES_OK; i--) {

        es_buf_free(&before);
        before = *out;
        memset(out, 0, sizeof(es_buf_t));

        if (i < codings->n) {
            in = (es_str_t) { before.data, before.len };
        }

        rc = es_decode_one(codings->list[i - 1], in, max, out, problem);
    }

    es_buf_free(&before);

    if (rc != ES_OK) {
        es_buf_free(out);
    }

    return rc;
}
