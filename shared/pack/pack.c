/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes packed chunks of a run's plain ones.
 *
 * Each new chunk is unpacked again and compared with what it is made of before
 * anything is replaced.
 */

#include "event/digest.h"
#include "log/chunk.h"
#include "log/feed_pack.h"
#include "log/packed.h"
#include "pack/pack.h"
#include "pack/pack_impl.h"


/* The digest of each chunk must be that of the chunks before it, because it is
   not stored any more. */

static es_rc_t
es_pack_chain(const es_chunk_t *chunks, uint32_t n)
{
    size_t    len;
    es_rc_t   rc;
    uint8_t   digest[ES_CHAIN_LEN], event[ES_CHAIN_LEN];
    uint32_t  i, j;

    memcpy(digest, chunks[0].head->digest, ES_CHAIN_LEN);

    for (i = 0; i < n; i++) {
        if (memcmp(digest, chunks[i].head->digest, ES_CHAIN_LEN) != 0) {
            return ES_CORRUPT;
        }

        for (j = 0; i + 1 < n && j < chunks[i].head->count; j++) {
            rc = es_chunk_published(&chunks[i], j, &len, event);
            if (rc != ES_OK) {
                return rc;
            }

            es_digest_link(digest, event);
        }
    }

    return ES_OK;
}


static bool
es_pack_same_entry(const es_entry_t *a, const es_entry_t *b)
{
    return a->subject_hash == b->subject_hash && a->mid == b->mid
           && a->ident_len == b->ident_len && a->id_len == b->id_len
           && a->type_off == b->type_off && a->type_len == b->type_len
           && a->subject_off == b->subject_off
           && a->subject_len == b->subject_len && a->time_off == b->time_off
           && a->subject_nth == b->subject_nth
           && a->subject_prev == b->subject_prev
           && a->subject_jump == b->subject_jump && a->flags == b->flags;
}


static bool
es_pack_same_event(const es_chunk_t *a, uint32_t i, const es_chunk_t *b,
    uint32_t j)
{
    es_str_t        one, other;
    es_commit_of_t  c, d;

    c = es_chunk_commit(a, i);
    d = es_chunk_commit(b, j);

    return es_chunk_text(a, i, &one) == ES_OK
           && es_chunk_text(b, j, &other) == ES_OK
           && es_str_eq(one, other)
           && es_chunk_type(a, i) == es_chunk_type(b, j)
           && es_pack_same_entry(&a->entries[i], &b->entries[j])
           && c.time_ms == d.time_ms && c.partner == d.partner
           && c.key == d.key;
}


/* Compares the new chunk with those that it is made of. */

static es_rc_t
es_pack_compare(es_packer_t *p, const es_chunk_t *chunks, uint32_t n,
    MDB_val *value)
{
    es_rc_t     rc;
    uint8_t     key[ES_EVENT_KEY_LEN];
    uint32_t    i, j, at;
    es_chunk_t  packed;

    es_event_key(p->feed.number, chunks[n - 1].last, key);

    rc = es_chunk_decode(p->feed.number, key, value, true, &packed);
    if (rc != ES_OK) {
        return rc;
    }

    for (i = at = 0; i < n; i++) {
        if (packed.head->total + es_chunk_bytes(&packed, at)
            != chunks[i].head->total)
        {
            return ES_INVALID;
        }

        for (j = 0; j < chunks[i].head->count; j++, at++) {
            if (at == packed.head->count
                || !es_pack_same_event(&chunks[i], j, &packed, at))
            {
                return ES_INVALID;
            }
        }
    }

    return at == packed.head->count && es_packed_of_feed(&p->feed, &packed)
           ? ES_OK : ES_INVALID;
}


/* Returns how many chunks go into the next packed one. */

static uint32_t
es_pack_group(const es_chunk_t *chunks, uint32_t n)
{
    size_t    text;
    uint32_t  i;

    for (i = 0, text = 0; i < n; i++) {
        text += chunks[i].size - chunks[i].head->body;

        if (i > 0 && text > ES_PACKED_TEXT) {
            break;
        }
    }

    return i;
}


static es_rc_t
es_pack_run(es_packer_t *p, const es_chunk_t *chunks, es_run_t *run)
{
    size_t    at, before, start;
    es_rc_t   rc;
    MDB_val   value;
    uint32_t  i, n;

    before = 0;
    start = p->out.len;

    for (i = 0; i < run->nold; i += n) {
        n = es_pack_group(&chunks[i], run->nold - i);
        at = p->out.len;

        rc = es_pack_chain(&chunks[i], n);

        if (rc == ES_OK) {
            rc = es_packed_encode(p->feed.number, &chunks[i], n, p->level,
                                  &p->out);
        }

        if (rc == ES_OK) {
            value.mv_data = p->out.data + at;
            value.mv_size = p->out.len - at;
            rc = es_pack_compare(p, &chunks[i], n, &value);
        }

        if (rc == ES_OK) {
            rc = es_run_add(p, run, chunks[i + n - 1].last, at);
        }

        if (rc != ES_OK) {
            return rc;
        }
    }

    for (i = 0; i < run->nold; i++) {
        before += run->old[i].size;
    }

    return p->out.len - start < before ? ES_OK : ES_INVALID;
}


es_rc_t
es_pack_step(es_store_t *store, es_str_t feed, uint64_t after, unsigned max,
    unsigned level, es_packed_runs_t *packed)
{
    es_packer_t  p = { .store = store, .name = feed, .level = level,
                       .tail = ES_PACK_TAIL, .make = es_pack_run,
                       .done = packed };

    if (level == ES_PACK_OFF || level > ES_PACK_MAX) {
        return ES_INVALID;
    }

    return es_runs_replace(&p, after, max);
}
