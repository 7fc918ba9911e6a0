/* SPDX-License-Identifier: BSD-2-Clause */

/* Snapshot tokens: a feed, a line break, and a token; and any bytes as a
   position. A printed token is parsed again, and no other text is accepted. */

#include "fuzz.h"
#include "read/snapshot_token.h"


static void
parse(es_str_t feed, es_str_t text, bool tombstones)
{
    char                 again[ES_SNAPSHOT_TOKEN_MAX];
    size_t               len;
    es_snapshot_token_t  place;

    if (es_snapshot_token_parse(text, feed, tombstones, &place) != ES_OK) {
        return;
    }

    must(place.len > 0 && place.len <= ES_SNAPSHOT_POSITION_MAX);
    must(place.at.sequence <= ES_SEQUENCE_MAX);

    len = es_snapshot_token_print(&place, feed, tombstones, again);
    must(es_str_eq(text, (es_str_t) { again, len }));
}


static void
round_trip(es_str_t feed, es_str_t bytes)
{
    char                 text[ES_SNAPSHOT_TOKEN_MAX];
    size_t               len, i;
    es_str_t             printed;
    es_snapshot_token_t  place, again;

    if (bytes.len == 0 || bytes.len > ES_SNAPSHOT_POSITION_MAX) {
        return;
    }

    memset(&place, 0, sizeof(place));
    memcpy(place.at.epoch, "abc", 3);
    place.at.sequence = bytes.len;
    place.len = bytes.len;
    memcpy(place.position, bytes.data, bytes.len);

    len = es_snapshot_token_print(&place, feed, true, text);
    must(len < sizeof(text) && text[len] == '\0');

    printed = (es_str_t) { text, len };
    must(es_snapshot_token_parse(printed, feed, true, &again) == ES_OK);
    must(again.len == place.len
         && memcmp(again.position, place.position, place.len) == 0);
    must(es_snapshot_token_parse(printed, feed, false, &again) != ES_OK);

    /* each of its bytes counts */

    i = (unsigned char) bytes.data[0] * len / 256;
    text[i] ^= 1;
    must(es_snapshot_token_parse(printed, feed, true, &again) != ES_OK);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    es_str_t     feed, text;
    const char  *mark;

    if (size == 0) {
        return 0;
    }

    feed = (es_str_t) { (const char *) data, size };
    mark = memchr(data, '\n', size);
    text = feed;

    if (mark != NULL) {
        feed.len = (size_t) (mark - feed.data);
        text = (es_str_t) { mark + 1, size - feed.len - 1 };
    }

    parse(feed, text, false);
    parse(feed, text, true);
    round_trip(feed, text);

    return 0;
}
