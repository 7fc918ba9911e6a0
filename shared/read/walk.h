/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Along the events that match a filter, and pages under construction.
 *
 * Inside of the reader.  Types lead by their chunks (the log's `bytype`), a
 * subject by its events' links (subject.h); with both, the one that has fewer
 * events from here on does, asked anew every hundred of them.  Without either,
 * and where what is left is not worth an index, every event is looked at.
 *
 * A walk is bounded, so that nobody waits for it long: by what it looks at in
 * vain, and by how much of what is far apart has to be read from disk.
 */

#ifndef ES_WALK_H
#define ES_WALK_H

#include "event/filter.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/subject.h"
#include "read/reader.h"
#include "store/txn.h"

#define ES_WALK_EVENTS     20000  /* looked at in vain before a page ends */
#define ES_WALK_LOOKUP     10     /* so many is one that is looked up alone */
#define ES_WALK_COLD       128    /* chunks looked up since one came from disk */
#define ES_WALK_NEAR       100    /* events that are read without an index */
#define ES_WALK_CLOSE      4      /* the same, of a subject, or before one */
#define ES_WALK_SUBJECTS   100    /* of a subject's events, found at once */
#define ES_WALK_SUBJECTS_MIN  4   /* the same where types pass some by */
#define ES_WALK_TYPES_MAX  256    /* more of them are not followed one by one */
#define ES_WALK_NAMES_MAX  1024   /* types of the store, for their names */
#define ES_WALK_AHEAD      32     /* of the types' chunks, fetched at once */
#define ES_WALK_UNKNOWN    (-1)

/* One type's chunks, in order, by its entries in the type index. */
typedef struct {
    uint32_t        number;
    bool            more;      /* it has others there */
    bool            ended;     /* nothing comes after `end` */
    uint64_t        first;     /* its first event in its next chunk; 0: none */
    const uint8_t  *at;        /* the entries after that one, in the map, ... */
    const uint8_t  *end;       /* ... as far as they lie together */
} es_walk_type_t;

/* A chunk that was looked up before it is needed. */
typedef struct {
    es_chunk_t  chunk;
    uint64_t    first;         /* the first event of the types in it */
    bool        more;          /* it has others */
} es_walk_ahead_t;

typedef struct {
    es_txn_t           *txn;
    const es_feed_t    *feed;
    const es_filter_t  *filter;
    unsigned            limit;         /* as many matches are wanted */
    unsigned            given;
    uint64_t            position;      /* every event up to it was looked at */
    uint64_t            end;           /* the last that may match in `chunk` */
    unsigned            skipped;       /* events in vain */
    int64_t             asked_us;      /* when this was last looked at: */
    long                faults;        /* reads from disk until then, if known */
    unsigned            looked;        /* chunks looked up since, far apart */
    unsigned            cold;          /* of them, since one was read */
    uint32_t            subject_hash;
    bool                by_subject;    /* the subject leads */
    bool                all_types;     /* any type may match */
    size_t              ntypes;        /* in the order of their numbers */
    size_t              types_cap;
    es_walk_type_t     *types;
    MDB_cursor         *bytype;
    unsigned            round;         /* of the subject's events, next time */
    uint64_t            stretch;       /* so far the types lead */
    unsigned            nfound;
    unsigned            taken;
    unsigned            nahead;
    unsigned            ahead_taken;
    es_chunk_t          chunk;         /* all from here on: not cleared */
    es_found_t          found[ES_WALK_SUBJECTS];   /* of the subject */
    es_walk_ahead_t     ahead[ES_WALK_AHEAD];      /* of the types */
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

/* ---- walk_cold.c ---- */

void es_walk_warm(es_walk_t *walk);

/* So many chunks that are far apart were looked up. */
void es_walk_looked(es_walk_t *walk, unsigned n);

/* Has a chunk that es_chunk_find() found read from disk, if it must be, while
   others are asked for. */
void es_walk_advise(const es_walk_t *walk, const MDB_val *value);

/* ---- walk_names.c ---- */

/* Finds the types that the filter means and that the feed has from here on, or
   lets any type match: of too many each event is looked at. */
es_rc_t es_types_open(es_walk_t *walk);

/* ---- walk_types.c ---- */

/* Where the chunk begins that holds the event after walk->position: it may
   have its first event of a type before that, and others after it. */
es_rc_t es_types_from(const es_walk_t *walk, uint64_t *from);

/* Adds a type that has events in the chunk that begins with `from`, or later;
   higher numbers after lower ones.  ES_TOO_LARGE: they are too many. */
es_rc_t es_types_add(es_walk_t *walk, uint32_t number, uint64_t from);
void es_types_close(es_walk_t *walk);

/* Whether it is one of them. */
bool es_types_has(const es_walk_t *walk, uint32_t number);

/* The first event of the next chunk that has some; 0: none. */
uint64_t es_types_least(const es_walk_t *walk);

/* Looks up the next chunks that have some, in walk->ahead: one at least. */
es_rc_t es_types_ahead(es_walk_t *walk);

/* Goes to what is after walk->position; what was looked up is forgotten. */
es_rc_t es_types_skip(es_walk_t *walk);

/* An event up to which they have about `n` chunks, not more; UINT64_MAX: they
   have no more than that. */
es_rc_t es_types_reach(es_walk_t *walk, unsigned n, uint64_t *reach);

/* ---- page.c ---- */

void es_page_clear(es_page_t *page, uint64_t after);
es_rc_t es_page_slice(es_page_t *page, const char *data, size_t len);

/* Room for the ends of so many events. */
es_rc_t es_page_ends(es_page_t *page, unsigned count);

#endif /* ES_WALK_H */
