/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A packed chunk, as a disk or another program may have changed it: what is
 * accepted has texts within its bounds, and is the same when it is packed
 * again.  The hash is set here, because a fuzzer would never find it.
 *
 * The first byte says whether the rest is a chunk with its frame, or with the
 * content of its frame, which is then compressed here.
 */

#include <zstd.h>

#include "fuzz.h"
#include "log/chunk.h"
#include "log/packed.h"
#include "log/unpacked.h"
#include "read/walk.h"

#define FEED  1


static void
must_event(const es_feed_t *feed, const es_chunk_t *chunk, uint32_t i)
{
    size_t          len;
    es_rc_t         rc;
    uint8_t         digest[ES_CHAIN_LEN];
    es_str_t        text;
    es_event_t      event;
    es_commit_of_t  commit;

    must(es_chunk_text(chunk, i, &text) == ES_OK);
    must(text.data >= chunk->body && text.len > 0
         && text.data + text.len <= (char *) chunk->head + chunk->size);

    rc = es_chunk_published(chunk, i, &len, digest);
    must(rc == ES_OK);
    must(chunk->entries[i].flags != 0 || len == text.len);

    commit = es_chunk_commit(chunk, i);
    must(commit.time_ms >= chunk->head->time_ms);

    if (es_event_parts(feed, chunk, i, text, &event) == ES_OK) {
        must(event.before.len + event.after.len < text.len);
        must(event.after.data + event.after.len == text.data + text.len);
        must(event.type.data + event.type.len <= text.data + text.len);
        must(event.subject.data + event.subject.len <= text.data + text.len);
        must(event.id.data + event.id.len <= text.data + text.len);
    }
}


static void
must_links(const es_chunk_head_t *head, const es_chunk_t *chunk, uint32_t i)
{
    es_links_t  links;

    must(es_packed_links(head, chunk->head->first + i, &links) == ES_OK);
    must(links.nth == chunk->entries[i].subject_nth);
    must(links.prev == chunk->entries[i].subject_prev);
    must(links.jump == chunk->entries[i].subject_jump);
    must(links.prev < chunk->head->first + i && links.jump <= links.prev);
}


/* Not everything that can be read is written. */

static void
must_repeat(const es_chunk_t *chunk)
{
    char        *copy;
    size_t       size;
    uint8_t      name[ES_EVENT_KEY_LEN];
    MDB_val      value;
    es_buf_t     out = { 0 };
    es_rc_t      rc;
    es_chunk_t   again;

    rc = es_packed_encode(FEED, chunk, 1, 1, &out);
    must(rc == ES_OK || rc == ES_INVALID);

    if (rc == ES_OK) {
        size = chunk->size - sizeof(uint64_t);
        copy = malloc(size);
        must(copy != NULL);
        memcpy(copy, &chunk->head->first, size);

        es_event_key(FEED, chunk->last, name);
        value.mv_data = out.data;
        value.mv_size = out.len;

        es_unpacked_free();
        must(es_chunk_decode(FEED, name, &value, true, &again) == ES_OK);
        must(again.size == size + sizeof(uint64_t));
        must(memcmp(copy, &again.head->first, size) == 0);
        free(copy);
    }

    es_buf_free(&out);
}


static void
try(uint64_t last, const char *data, size_t size)
{
    es_rc_t           rc;
    uint8_t           name[ES_EVENT_KEY_LEN];
    MDB_val           value;
    uint32_t          i;
    es_feed_t         feed = { .epoch = "aaaabbbb" };
    es_chunk_t        chunk;

    es_event_key(FEED, last, name);
    value.mv_data = (void *) (uintptr_t) data;
    value.mv_size = size;

    es_unpacked_free();
    rc = es_chunk_decode(FEED, name, &value, true, &chunk);
    must(rc == ES_OK || rc == ES_CORRUPT);

    if (rc != ES_OK) {
        return;
    }

    must(chunk.commits != NULL && chunk.epoch != NULL);
    must(chunk.head->count > 0 && chunk.head->count <= ES_CHUNK_COUNT);

    for (i = 0; i < chunk.head->count; i++) {
        (void) es_chunk_type(&chunk, i);
        (void) es_chunk_bytes(&chunk, i + 1);
        must_event(&feed, &chunk, i);
        must_links((const es_chunk_head_t *) data, &chunk, i);
    }

    must_repeat(&chunk);
}


int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char             *copy;
    size_t            n, bound;
    uint64_t          last;
    es_chunk_head_t  *head;

    if (size < 1 + sizeof(es_chunk_head_t)) {
        return 0;
    }

    size--;
    bound = size + ZSTD_compressBound(size);
    copy = malloc(bound);
    must(copy != NULL);
    memcpy(copy, data + 1, size);

    head = (es_chunk_head_t *) copy;
    head->form = ES_CHUNK_PACKED;
    last = head->first + head->count - 1;
    n = size;

    if (data[0] % 2 == 0 && head->body >= sizeof(es_chunk_head_t)
        && head->body < size)
    {
        head->hash = es_packed_hash(FEED, last, copy, head->body,
                                    data + 1 + head->body, size - head->body);
        n = ZSTD_compress(copy + head->body, bound - head->body,
                          data + 1 + head->body, size - head->body, 1);
        must(!ZSTD_isError(n));
        n += head->body;
    }

    try(last, copy, n);
    free(copy);

    return 0;
}
