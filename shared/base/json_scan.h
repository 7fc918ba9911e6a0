/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Finds the end of plain text inside of JSON strings.  It is inlined, because
 * those who step over members call it once or twice for each.
 */

#ifndef ES_JSON_SCAN_H
#define ES_JSON_SCAN_H

#include <byteswap.h>
#include <endian.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include <stdint.h>
#include <string.h>

#define ES_ONES   UINT64_C(0x0101010101010101)
#define ES_HIGHS  UINT64_C(0x8080808080808080)

/* Sets the high bit of each byte in a word that is a '"', a '\', a control
   character or part of a UTF-8 sequence.  Exact up to the first such byte. */
static inline uint64_t
es_special(uint64_t w)
{
    uint64_t  quote, slash;

    quote = w ^ (ES_ONES * '"');
    slash = w ^ (ES_ONES * '\\');

    return (((quote - ES_ONES) & ~quote) | ((slash - ES_ONES) & ~slash)
            | ((w - ES_ONES * 0x20) & ~w) | w) & ES_HIGHS;
}


#ifdef __SSE2__

/* The same as es_special() for sixteen bytes, one bit each.  Bytes of UTF-8
   sequences are negative, so that one signed comparison finds them too. */

static inline unsigned
es_special16(const char *p)
{
    __m128i  v;

    v = _mm_loadu_si128((const __m128i *) (const void *) p);

    return (unsigned) _mm_movemask_epi8(
        _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20)),
                     _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('"')),
                                  _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')))));
}


#endif


/* Returns the next byte at or after `p` that has a meaning in a string or is no
   ASCII: a '"', a '\\', a control character, or part of a UTF-8 sequence. */

static inline const char *
es_json_plain(const char *p, const char *end)
{
    uint64_t       w;
    unsigned char  c;

#ifdef __SSE2__

    unsigned  mask;

    while (end - p >= 16) {
        mask = es_special16(p);

        if (mask) {
            return p + __builtin_ctz(mask);
        }

        p += 16;
    }

#endif

    while (end - p >= 8) {
        memcpy(&w, p, 8);
#if __BYTE_ORDER == __BIG_ENDIAN
        w = bswap_64(w);
#endif
        w = es_special(w);

        if (w) {
            return p + (__builtin_ctzll(w) >> 3);
        }

        p += 8;
    }

    while (p < end) {
        c = (unsigned char) *p;
        if (c == '"' || c == '\\' || c < 0x20 || c >= 0x80) {
            break;
        }
        p++;
    }

    return p;
}

#endif /* ES_JSON_SCAN_H */
