/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The frame of a packed chunk.  It has literals that are not compressed where
 * the value needs no more pages of LMDB with them, and only there.
 */

#include <stdlib.h>
#include <zstd.h>

#include "log/packed.h"
#include "log/packed_impl.h"
#include "tap.h"

#define PAGE      4096
#define HEAD      16       /* bytes of a page that no value has */
#define LITERALS  0x03     /* RFC 8878, 3.1.1.3.1.1: 0 is raw, 2 compressed */

static unsigned  seed = 7;


/* Appends text that compresses, and `n` digits of 4 bits that do not match. */

static void
fill(es_buf_t *content, size_t n)
{
    size_t  i;

    content->len = 0;

    for (i = 0; i < 100; i++) {
        (void) es_buf_str(content, es_lit("{\"name\":\"one of a hundred\"}"));
    }

    for (i = 0; i < n; i++) {
        seed = seed * 1103515245 + 12345;
        (void) es_buf_append(content, &"0123456789abcdef"[seed >> 28], 1);
    }
}


static size_t
pages(size_t value)
{
    return (value + HEAD + PAGE - 1) / PAGE;
}


/* Returns the type of the literals of the frame's first block. */

static unsigned
literals(const es_buf_t *frame)
{
    size_t  at;

    static const uint8_t  sizes[] = { 1, 2, 4, 8 };

    /* the size of the content stands behind a window of one byte, or alone */

    at = 4 + 1 + sizes[(uint8_t) frame->data[4] >> 6]
         + (((uint8_t) frame->data[4] & 0x20) == 0);

    return (uint8_t) frame->data[at + 3] & LITERALS;
}


static void
test_frame(size_t digits, size_t value, unsigned type, const char *name)
{
    char      *text;
    size_t     n;
    es_buf_t   content = { 0 }, frame = { 0 }, usual = { 0 };

    fill(&content, digits);
    (void) es_buf_reserve(&usual, ZSTD_compressBound(content.len));
    usual.len = ZSTD_compress(usual.data, usual.cap, content.data, content.len,
                              1);

    ok(es_packed_frame(&content, 1, value, &frame) == ES_OK
       && literals(&usual) == 2 && literals(&frame) == type, "%s", name);
    ok(pages(value + frame.len) == pages(value + usual.len),
       "it needs as many pages as the smaller one");

    text = malloc(content.len);
    n = ZSTD_decompress(text, content.len, frame.data, frame.len);
    ok(n == content.len && memcmp(text, content.data, n) == 0
       && ZSTD_getFrameContentSize(frame.data, frame.len) == n,
       "it has the text, and says how long that is");

    free(text);
    es_buf_free(&content);
    es_buf_free(&frame);
    es_buf_free(&usual);
}


int
main(void)
{
    test_frame(3000, 3000, 0, "literals are raw where a page has room");
    test_frame(3000, 5500, 2, "they are compressed to save a page");
    test_frame(1000, 200, 2, "and where the value has no page of its own");
    test_frame(3000, 700, 0, "one page of its own may be full");
    test_frame(200000, 200, 2, "a large event has the smaller form");

    return done();
}
