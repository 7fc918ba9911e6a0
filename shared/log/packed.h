/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The packed form of a chunk.
 *
 * A packed chunk has the events of one page, or of a part of it, which several
 * commits may have published.  It is one LMDB value under the same key as a
 * plain chunk:
 *
 *     es_chunk_head_t | side | one zstd frame (RFC 8878)
 *
 * The head is that of a plain chunk.  `form` is ES_CHUNK_PACKED, and `body` is
 * the offset of the frame.  Time and publisher are those of the first event.
 * Programs that do not know the form refuse it.
 *
 * The side has what compresses badly, and what a walk along a subject needs of
 * an event without its text.  Numbers are LEB128, at most 10 bytes:
 *
 *     links        for each event: 0 (no subject); 1 (a subject's first event);
 *                  or 1 + the distance to subject_prev, subject_nth, and 0 (no
 *                  jump) or 1 + the distance from subject_prev to subject_jump
 *     times        for each event but the first the milliseconds since the one
 *                  before; after a 0 the number of further zeros
 *     publishers   runs: events, partner, key
 *     epochs       runs, which begin with the event before the first: events,
 *                  length of the name, name
 *     types        how many differ, and each of these; if several differ, for
 *                  each event an index in as few bits as the last index needs
 *     erased       for each: es_erased_t, and 4 bytes of subject_hash
 *     UUIDs        16 bytes for each that the texts have (uuid.h)
 *
 * The frame's content is columns of lengths and offsets, and then the texts
 * without commas, UUIDs, and what es_mid_print() makes.  A column has for each
 * event the difference to the event before, zigzag and LEB128.  What a text
 * gives is not stored.  Its literals are compressed where that saves a page of
 * LMDB (packed_frame.c).
 *
 * The hash covers what was compressed, not the compressed bytes, because these
 * differ between versions of zstd.
 */

#ifndef ES_PACKED_H
#define ES_PACKED_H

#include "base/base.h"
#include "log/chunk.h"
#include "log/feed.h"

#define ES_PACKED_TEXT   (128 * 1024)    /* bytes of text in a packed chunk that
                                            was made of several chunks */
#define ES_PACKED_MAX    (64 * 1024 * 1024)    /* bytes that a chunk may have
                                                  in its plain layout */

/*
 * Appends the packed form of the events of `n` chunks, which follow each other
 * and have been opened (es_chunk_open()).  `level` is that of zstd.
 *
 * ES_INVALID: these chunks have no packed form, because they are too large, or
 * a text is not as the log composes it.  ES_CORRUPT, ES_NOMEM.
 */
es_rc_t es_packed_encode(uint32_t feed, const es_chunk_t *chunks, size_t n,
    unsigned level, es_buf_t *out);

/* Checks the head of a packed chunk, so that its side has its place.
   ES_CORRUPT. */
es_rc_t es_packed_check(const MDB_val *value, uint64_t last);

/*
 * Unpacks a chunk, for chunk.c, into memory of this thread (unpacked.h).  It
 * always checks the hash.  ES_CORRUPT, ES_NOMEM.
 */
es_rc_t es_packed_decode(uint32_t feed, uint64_t last, const MDB_val *value,
    es_chunk_t *chunk);

/* Reads one event's links without its text, for chunk.c, of a chunk that
   es_packed_check() has accepted.  The hash is not checked.  ES_CORRUPT. */
es_rc_t es_packed_links(const es_chunk_head_t *head, uint64_t sequence,
    es_links_t *links);

/* Gives a packed chunk, in memory of the caller's, another digest of the events
   before it, and its new hash.  The old hash is checked.  ES_CORRUPT,
   ES_NOMEM. */
es_rc_t es_packed_relink(uint32_t feed, uint64_t last, const MDB_val *value,
    const uint8_t digest[ES_CHAIN_LEN]);

/* False: the chunk is packed, and its last event states another epoch than the
   feed has there. */
bool es_packed_of_feed(const es_feed_t *feed, const es_chunk_t *chunk);

/* The hash of a packed chunk, of its head and side and of the content of its
   frame.  The key is the seed. */
uint64_t es_packed_hash(uint32_t feed, uint64_t last, const void *value,
    size_t body, const void *content, size_t len);

#endif /* ES_PACKED_H */
