/* SPDX-License-Identifier: BSD-2-Clause */

/* Cursors: a parsed cursor prints as the same text. */

#include "event/cursor.h"
#include "fuzz.h"


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char         text[ES_CURSOR_MAX];
    size_t       len;
    es_str_t     input, found;
    es_cursor_t  cursor;

    input = (es_str_t) { (const char *) data, size };

    if (es_cursor_parse(input, &cursor) == ES_OK) {
        must(cursor.sequence <= ES_SEQUENCE_MAX);
        must(strlen(cursor.epoch) <= ES_EPOCH_MAX);

        len = es_cursor_print(cursor.epoch, cursor.sequence, text);
        must(es_str_eq(input, (es_str_t) { text, len }));
    }

    found = es_cursor_of(input);
    must(found.len < ES_CURSOR_MAX);
    must(found.len == 0 || (found.data > input.data
                            && found.data + found.len < input.data + size));

    must(!es_feed_name_ok(input) || (size > 0 && size <= ES_FEED_MAX));

    return 0;
}
