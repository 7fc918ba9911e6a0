/*
 * walk.h - along the events that match a filter, and pages under construction.
 *
 * Inside of the reader.  Types lead by their chunks (the log's `bytype`), a
 * subject by its events' links (subject.h); without either every event is
 * looked at.
 */

#ifndef ES_WALK_H
#define ES_WALK_H

#include "chunk.h"
#include "reader.h"
#include "subject.h"

#define ES_WALK_EVENTS     20000  /* looked at in vain before a page ends */
#define ES_WALK_SUBJECTS   100    /* of a subject's events, found at once */
#define ES_WALK_TYPES_MAX  256
#define ES_WALK_AHEAD      16     /* of a type's chunks, fetched at once */

/* One type's chunks, in order: a cursor on its entries in the type index. */
typedef struct {
    MDB_cursor  *cursor;
    uint32_t     number;
    uint64_t     first;        /* its first event in its next chunk; 0: none */
    bool         more;         /* it has others there */
} es_walk_type_t;

/* A chunk that was looked up before it is needed. */
typedef struct {
    es_chunk_t  chunk;
    uint64_t    first;         /* as of es_walk_type_t */
    bool        more;
} es_walk_ahead_t;

typedef struct {
    es_txn_t           *txn;
    const es_feed_t    *feed;
    const es_filter_t  *filter;
    unsigned            limit;         /* as many matches are wanted */
    bool                whole;         /* verify whole chunks, not events */
    bool                open;          /* `chunk` is a chunk */
    es_chunk_t          chunk;
    uint64_t            position;      /* every event up to it was looked at */
    unsigned            skipped;       /* events in vain */
    uint32_t            subject_hash;
    size_t              ntypes;
    es_walk_type_t     *types;
    bool                all_types;
    unsigned            nfound;
    unsigned            taken;
    unsigned            nahead;
    unsigned            ahead_taken;
    uint64_t            only;          /* event of the types in `chunk`; 0:
                                          there may be others */

    /* not zeroed: so many are set as the numbers above say */
    es_found_t          found[ES_WALK_SUBJECTS];   /* of the subject */
    es_walk_ahead_t     ahead[ES_WALK_AHEAD];      /* of the only type */
} es_walk_t;

/* Close it also after a failure. */
es_rc_t es_walk_open(es_walk_t *walk, es_txn_t *txn, const es_feed_t *feed,
    uint64_t after, const es_filter_t *filter, unsigned limit);
void es_walk_close(es_walk_t *walk);

/*
 * The next matching event: its index in walk->chunk and its text.
 * ES_NOT_FOUND: none up to walk->position.
 */
es_rc_t es_walk_next(es_walk_t *walk, uint32_t *index, es_str_t *text);

es_rc_t es_event_parts(const es_feed_t *feed, const es_chunk_t *chunk,
    uint32_t i, es_str_t text, es_event_t *event);

/* ---- page.c ---- */

void es_page_clear(es_page_t *page, uint64_t after);
es_rc_t es_page_slice(es_page_t *page, const char *data, size_t len);

/* Room for the ends of so many events. */
es_rc_t es_page_ends(es_page_t *page, unsigned count);

#endif /* ES_WALK_H */
