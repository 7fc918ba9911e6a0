/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes plain chunks of a run's packed ones.
 *
 * A plain chunk has one time and one publisher, and not more bytes than a
 * publisher would give it.
 */

#include "event/digest.h"
#include "log/chunk.h"
#include "log/erased.h"
#include "pack/pack.h"
#include "pack/pack_impl.h"


/* Returns the index of the event after those that go into one plain chunk. */

static uint32_t
es_unpack_cut(const es_chunk_t *chunk, uint32_t from)
{
    size_t          start;
    uint32_t        i;
    es_commit_of_t  first, commit;

    first = es_chunk_commit(chunk, from);
    start = from == 0 ? 0 : chunk->entries[from - 1].end + 1;

    for (i = from + 1; i < chunk->head->count; i++) {
        commit = es_chunk_commit(chunk, i);

        if (commit.time_ms != first.time_ms || commit.partner != first.partner
            || commit.key != first.key
            || chunk->entries[i].end + 1 - start > ES_CHUNK_BYTES)
        {
            break;
        }
    }

    return i;
}


/* Appends the entries and the erased records of the events [from, to). */

static es_rc_t
es_unpack_table(const es_chunk_t *chunk, uint32_t from, uint32_t to,
    es_buf_t *out)
{
    size_t       start;
    es_rc_t      rc;
    uint32_t     i;
    es_str_t     text;
    es_entry_t   entry;
    es_erased_t  erased;

    start = from == 0 ? 0 : chunk->entries[from - 1].end + 1;
    rc = es_buf_append(out, chunk->types + from * sizeof(uint32_t),
                       (to - from) * sizeof(uint32_t));

    for (i = from; rc == ES_OK && i < to; i++) {
        rc = es_chunk_text(chunk, i, &text);

        if (rc == ES_OK) {
            entry = chunk->entries[i];
            entry.end -= (uint32_t) start;
            entry.hash = es_event_hash(text.data, text.len);
            rc = es_buf_append(out, &entry, sizeof(entry));
        }
    }

    for (i = from; rc == ES_OK && i < to; i++) {
        if (!es_entry_erased(&chunk->entries[i])) {
            continue;
        }

        rc = es_chunk_erased_record(chunk, i, &erased);

        if (rc == ES_OK) {
            rc = es_buf_append(out, &erased, sizeof(erased));
        }
    }

    return rc;
}


/* Makes a plain chunk of the events [from, to). */

static es_rc_t
es_unpack_chunk(es_packer_t *p, const es_chunk_t *chunk, uint32_t from,
    uint32_t to, const uint8_t digest[ES_CHAIN_LEN], es_run_t *run)
{
    size_t            at, start;
    es_rc_t           rc;
    uint32_t          i;
    uint64_t          last;
    es_commit_of_t    commit;
    es_chunk_head_t   head, *stored;

    at = p->out.len;
    last = chunk->head->first + to - 1;
    start = from == 0 ? 0 : chunk->entries[from - 1].end + 1;
    commit = es_chunk_commit(chunk, from);

    head = *chunk->head;
    head.first += from;
    head.count = (uint16_t) (to - from);
    head.nerased = 0;
    head.total += es_chunk_bytes(chunk, from);
    head.time_ms = commit.time_ms;
    head.partner = commit.partner;
    head.key = commit.key;
    memcpy(head.digest, digest, ES_CHAIN_LEN);

    for (i = from; i < to; i++) {
        head.nerased += es_entry_erased(&chunk->entries[i]);
    }

    rc = es_buf_append(&p->out, &head, sizeof(head));

    if (rc == ES_OK) {
        rc = es_unpack_table(chunk, from, to, &p->out);
    }

    if (rc == ES_OK) {
        head.body = (uint32_t) (p->out.len - at);
        rc = es_buf_append(&p->out, chunk->body + start,
                           chunk->entries[to - 1].end - start);
    }

    if (rc != ES_OK) {
        return rc;
    }

    stored = (es_chunk_head_t *) (p->out.data + at);
    stored->body = head.body;
    stored->hash = es_chunk_hash(p->feed.number, last, stored,
                                 p->out.len - at);

    return es_run_add(p, run, last, at);
}


static es_rc_t
es_unpack_run(es_packer_t *p, const es_chunk_t *chunks, es_run_t *run)
{
    size_t    len;
    es_rc_t   rc;
    uint8_t   digest[ES_CHAIN_LEN], event[ES_CHAIN_LEN];
    uint32_t  i, from, to;

    for (i = 0; i < run->nold; i++) {
        memcpy(digest, chunks[i].head->digest, ES_CHAIN_LEN);

        for (from = 0; from < chunks[i].head->count; from = to) {
            to = es_unpack_cut(&chunks[i], from);

            rc = es_unpack_chunk(p, &chunks[i], from, to, digest, run);

            for ( ; rc == ES_OK && from < to; from++) {
                rc = es_chunk_published(&chunks[i], from, &len, event);
                es_digest_link(digest, event);
            }

            if (rc != ES_OK) {
                return rc;
            }
        }
    }

    return ES_OK;
}


es_rc_t
es_unpack_step(es_store_t *store, es_str_t feed, uint64_t after, unsigned max,
    es_packed_runs_t *packed)
{
    es_packer_t  p = { .store = store, .name = feed, .unpacks = true,
                       .make = es_unpack_run, .done = packed };

    return es_runs_replace(&p, after, max);
}
