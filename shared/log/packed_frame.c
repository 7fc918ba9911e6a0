/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Compresses the content of a packed chunk.
 *
 * A page is packed once and read often, so room that LMDB would leave empty is
 * given for a frame that is faster to unpack.
 */

#define ZSTD_STATIC_LINKING_ONLY   /* for the names of parameters only */
#include <zstd.h>

#include "log/packed.h"
#include "log/packed_impl.h"

#define ES_LMDB_PAGE  4096     /* bytes */
#define ES_LMDB_HEAD  16       /* bytes of a page that no value has */


/* Returns how many pages LMDB needs for a value; 0: it stands among others. */

static size_t
es_frame_pages(size_t value)
{
    return value <= ES_LMDB_PAGE / 2
           ? 0 : (value + ES_LMDB_HEAD + ES_LMDB_PAGE - 1) / ES_LMDB_PAGE;
}


/*
 * Literals that are not compressed take a third off the time to unpack an
 * order's page, and a search of fewer and longer matches another tenth.  Both
 * take room, so they are used where the value needs no more pages.
 */

static bool
es_frame_fast(ZSTD_CCtx *zstd)
{
    size_t  i;

    static const struct {
        ZSTD_cParameter  name;
        int              value;
    } parameters[] = {
        { ZSTD_c_literalCompressionMode, ZSTD_ps_disable },
        { ZSTD_c_strategy, ZSTD_lazy },
        { ZSTD_c_useRowMatchFinder, ZSTD_ps_disable },  /* slow for 32 KB */
        { ZSTD_c_minMatch, 6 },
        { ZSTD_c_hashLog, 13 },
        { ZSTD_c_chainLog, 13 },
        { ZSTD_c_searchLog, 2 }
    };

    for (i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
        if (ZSTD_isError(ZSTD_CCtx_setParameter(zstd, parameters[i].name,
                                                parameters[i].value)))
        {
            return false;
        }
    }

    return true;
}


static es_rc_t
es_frame_write(ZSTD_CCtx *zstd, const es_buf_t *content, unsigned level,
    size_t value, es_buf_t *out)
{
    bool     two;
    char    *frame;
    size_t   n, fast, bound;

    bound = ZSTD_compressBound(content->len);
    two = content->len <= ES_PACKED_TEXT;

    if (es_buf_reserve(out, two ? 2 * bound : bound) != ES_OK) {
        return ES_NOMEM;
    }

    frame = out->data + out->len;

    if (ZSTD_isError(ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel,
                                            (int) level)))
    {
        return ES_NOMEM;
    }

    n = ZSTD_compress2(zstd, frame, bound, content->data, content->len);

    if (ZSTD_isError(n)) {
        return ES_NOMEM;
    }

    if (two && es_frame_pages(value + n) > 0 && es_frame_fast(zstd)) {
        fast = ZSTD_compress2(zstd, frame + n, bound, content->data,
                              content->len);

        if (!ZSTD_isError(fast) && es_frame_pages(value + fast)
                                   == es_frame_pages(value + n))
        {
            memmove(frame, frame + n, fast);
            n = fast;
        }
    }

    out->len += n;

    return ES_OK;
}


es_rc_t
es_packed_frame(const es_buf_t *content, unsigned level, size_t value,
    es_buf_t *out)
{
    es_rc_t     rc;
    ZSTD_CCtx  *zstd;

    zstd = ZSTD_createCCtx();
    if (zstd == NULL) {
        return ES_NOMEM;
    }

    rc = es_frame_write(zstd, content, level, value, out);
    ZSTD_freeCCtx(zstd);

    return rc;
}
