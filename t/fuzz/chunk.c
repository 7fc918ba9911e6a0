/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A chunk of the log, as a disk or another program may have changed it: what is
 * accepted has texts within its bounds.  The hash is set here, because a fuzzer
 * would never find it.
 */

#include "fuzz.h"
#include "log/chunk.h"
#include "read/walk.h"

#define FEED  1


static void
must_event(const es_feed_t *feed, const es_chunk_t *chunk, uint32_t i)
{
    size_t      len;
    es_rc_t     rc;
    uint8_t     digest[ES_CHAIN_LEN];
    es_str_t    text;
    es_event_t  event;

    rc = es_chunk_text(chunk, i, &text);
    must(rc == ES_OK || rc == ES_CORRUPT);

    if (rc != ES_OK) {
        must(es_chunk_published(chunk, i, &len, digest) == ES_CORRUPT);
        return;
    }

    must((chunk->entries[i].flags & ~ES_ENTRY_ERASED) == 0);
    must(text.data >= chunk->body && text.len > 0
         && text.data + text.len <= (char *) chunk->head + chunk->size);

    rc = es_chunk_published(chunk, i, &len, digest);
    must(rc == ES_OK || (rc == ES_CORRUPT && chunk->entries[i].flags != 0));
    must(chunk->entries[i].flags != 0 || len == text.len);

    if (es_event_parts(feed, chunk, i, text, &event) == ES_OK) {
        must(event.before.len + event.after.len < text.len);
        must(event.after.data + event.after.len == text.data + text.len);
        must(event.type.data + event.type.len <= text.data + text.len);
        must(event.subject.data + event.subject.len <= text.data + text.len);
        must(event.id.data + event.id.len <= text.data + text.len);
    }
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char              *copy;
    es_rc_t            rc;
    uint8_t            name[ES_EVENT_KEY_LEN];
    MDB_val            value;
    uint32_t           i;
    es_feed_t          feed = { .epoch = "aaaabbbb" };
    es_chunk_t         chunk;
    es_chunk_head_t   *head;

    copy = malloc(size > 0 ? size : 1);
    must(copy != NULL);
    memcpy(copy, data, size);
    memset(name, 0, sizeof(name));

    if (size >= sizeof(es_chunk_head_t)) {
        head = (es_chunk_head_t *) copy;
        es_event_key(FEED, head->first + head->count - 1, name);
        head->hash = es_chunk_hash(FEED, es_event_key_last(name), copy, size);
    }

    value.mv_data = copy;
    value.mv_size = size;

    rc = es_chunk_decode(FEED, name, &value, true, &chunk);
    must(rc == ES_OK || rc == ES_CORRUPT);

    if (rc == ES_OK) {
        must(chunk.head->form == ES_CHUNK_PLAIN);
        must(chunk.head->count > 0 && chunk.head->count <= ES_CHUNK_COUNT);
        must(chunk.body > (char *) copy && chunk.body < copy + size);

        for (i = 0; i < chunk.head->count; i++) {
            (void) es_chunk_type(&chunk, i);
            (void) es_chunk_bytes(&chunk, i + 1);
            must_event(&feed, &chunk, i);
        }
    }

    free(copy);

    return 0;
}
