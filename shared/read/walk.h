/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A walk along the events that match a filter, and pages under construction.
 *
 * For the files of the reader only.  Types lead by their chunks (the log's
 * `bytype`), a subject by its events' links (subject.h).  With both, the one
 * with fewer events from here on leads, and the choice is made anew every
 * hundred events.  Without either, and where an index does not pay for the
 * rest, every event is examined.
 *
 * The work of a walk is bounded, so that no caller waits for it long: by the
 * events examined in vain, by the distant chunks read from disk, and by the
 * bytes unpacked.
 */

#ifndef ES_WALK_H
#define ES_WALK_H

#include "event/filter.h"
#include "fields/fields.h"
#include "log/chunk.h"
#include "log/feed.h"
#include "log/subject.h"
#include "read/reader.h"
#include "store/txn.h"

#define ES_WALK_EVENTS     20000  /* examined in vain before a page ends */
#define ES_WALK_LOOKUP     10     /* so many count for one that is looked up
                                     alone */
#define ES_WALK_COLD       128    /* chunks looked up since one came from
                                     disk */
#define ES_WALK_NEAR       100    /* events that are read without an index */
#define ES_WALK_CLOSE      4      /* the same for a subject, or before one */
#define ES_WALK_SUBJECTS   100    /* of a subject's events, found at once */
#define ES_WALK_SUBJECTS_MIN  4   /* the same where types exclude some */
#define ES_WALK_TYPES_MAX  256    /* more types are not followed one by one */
#define ES_WALK_NAMES_MAX  1024   /* types of the store searched by name */
#define ES_WALK_AHEAD      32     /* of the types' chunks, prefetched at once */
#define ES_WALK_UNKNOWN    (-1)

/* One type's chunks, in order, by its entries in the type index. */
typedef struct {
    uint32_t        number;
    bool            more;      /* the chunk has further events of the type */
    bool            ended;     /* there is no entry after `end` */
    uint64_t        first;     /* its first event in its next chunk; 0: none */
    const uint8_t  *at;        /* the entries after that one, in the map, ... */
    const uint8_t  *end;       /* ... as far as they are contiguous */
} es_walk_type_t;

/* A chunk that was looked up ahead. */
typedef struct {
    es_chunk_t  chunk;
    uint64_t    first;         /* the first event of the types in it */
    bool        more;          /* the chunk has further ones */
} es_walk_ahead_t;

typedef struct {
    es_txn_t           *txn;
    const es_feed_t    *feed;
    const es_filter_t  *filter;
    unsigned            limit;         /* matches that the caller wants */
    unsigned            given;
    uint64_t            position;      /* every event up to it was examined */
    uint64_t            end;           /* the last event of `chunk` that may
                                          match */
    unsigned            skipped;       /* events examined in vain */
    uint64_t            unpacked;      /* bytes, to examine some */
    int64_t             asked_us;      /* when `faults` was read */
    long                faults;        /* disk reads by then, if known */
    unsigned            looked;        /* distant chunks looked up since then */
    unsigned            cold;          /* of them, since one came from disk */
    uint32_t            subject_hash;
    bool                by_subject;    /* the subject leads */
    bool                all_types;     /* any type may match */
    size_t              ntypes;        /* sorted by number */
    size_t              types_cap;
    es_walk_type_t     *types;
    MDB_cursor         *bytype;
    unsigned            round;         /* events of the subject to find next
                                          time */
    uint64_t            stretch;       /* the types lead up to this event */
    unsigned            nfound;
    unsigned            taken;
    unsigned            nahead;
    unsigned            ahead_taken;
    es_chunk_t          chunk;         /* this and the rest are not cleared */
    es_found_t          found[ES_WALK_SUBJECTS];   /* events of the subject */
    es_walk_ahead_t     ahead[ES_WALK_AHEAD];      /* chunks of the types */
} es_walk_t;

/* The caller also closes a walk that has failed. */
es_rc_t es_walk_open(es_walk_t *walk, es_txn_t *txn, const es_feed_t *feed,
    uint64_t after, const es_filter_t *filter, unsigned limit);
void es_walk_close(es_walk_t *walk);

/*
 * Finds the next matching event: its index in walk->chunk and its text.
 * ES_NOT_FOUND: none up to walk->position.
 */
es_rc_t es_walk_next(es_walk_t *walk, uint32_t *index, es_str_t *text);

es_rc_t es_event_parts(const es_feed_t *feed, const es_chunk_t *chunk,
    uint32_t i, es_str_t text, es_event_t *event);

/* ---- walk_cold.c ---- */

void es_walk_warm(es_walk_t *walk);

/* Counts distant chunks that were looked up. */
void es_walk_looked(es_walk_t *walk, unsigned n);

/* Has the kernel read a chunk that es_chunk_find() found, while others are
   looked up. */
void es_walk_advise(const es_walk_t *walk, const MDB_val *value);

/* ---- walk_names.c ---- */

/* Finds the types of the filter that the feed has from here on.  If they
   are too many, any type may match and every event is examined. */
es_rc_t es_types_open(es_walk_t *walk);

/* ---- walk_types.c ---- */

/* Returns where the chunk begins that holds the event after walk->position.
   Its first event of a type may be before that event, and others after it. */
es_rc_t es_types_from(const es_walk_t *walk, uint64_t *from);

/*
 * Adds a type that has events in the chunk that begins with `from`, or later.
 * Numbers come in ascending order.  ES_TOO_LARGE: there are too many.
 */
es_rc_t es_types_add(es_walk_t *walk, uint32_t number, uint64_t from);
void es_types_close(es_walk_t *walk);

/* True if it is one of the types. */
bool es_types_has(const es_walk_t *walk, uint32_t number);

/* Returns the first event of the next chunk that has some; 0: there is
   none. */
uint64_t es_types_least(const es_walk_t *walk);

/* Looks up the next chunks that have some, at least one, in walk->ahead. */
es_rc_t es_types_ahead(es_walk_t *walk);

/* Goes to what is after walk->position and forgets chunks looked up ahead. */
es_rc_t es_types_skip(es_walk_t *walk);

/* Returns an event up to which they have about `n` chunks, and not more.
   UINT64_MAX: they have no more than that. */
es_rc_t es_types_reach(es_walk_t *walk, unsigned n, uint64_t *reach);

/* ---- page.c ---- */

void es_page_clear(es_page_t *page, uint64_t after);
es_rc_t es_page_slice(es_page_t *page, const char *data, size_t len);

/* Makes room for the ends of this many events. */
es_rc_t es_page_ends(es_page_t *page, unsigned count);

/* Adds what the lists show of an event.  Sets `*room` to false, and adds
   nothing, if the page would exceed `bytes_max`; the first event always has
   room.  es_page_shown() ends such a page.  ES_PENDING: see reader.h. */
es_rc_t es_page_show(es_page_t *page, const es_fields_t *fields,
    es_str_t event, size_t bytes_max, bool *room);
es_rc_t es_page_shown(es_page_t *page);

#endif /* ES_WALK_H */
