/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The cursors that a receiver holds, and the gaps before them, in a file that
 * is replaced as a whole.
 *
 * A gap is a run of sequences before the cursor that did not arrive, because
 * they are older than the first webhook or cannot be polled.  An event in a gap
 * is late; any other event up to the cursor is a duplicate.
 */

#ifndef CTL_HELD_H
#define CTL_HELD_H

#include "event/cursor.h"

typedef struct {
    uint64_t  first;
    uint64_t  last;
} ctl_gap_t;

typedef struct {
    char         feed[ES_FEED_MAX + 1];
    es_cursor_t  cursor;
    uint64_t     processed;        /* since the start, polled ones included */
    uint64_t     healed;           /* of those, by polling */
    uint64_t     late;             /* of those, after a later event */
    uint64_t     duplicates;
    size_t       ngaps;
    size_t       gaps_cap;
    ctl_gap_t   *gaps;
} ctl_held_t;

typedef struct {
    const char  *file;             /* NULL: memory only */
    ctl_held_t  *list;
    size_t       n;
} ctl_helds_t;

/* Reads the file.  A file that does not exist counts as empty. */
int ctl_held_load(ctl_helds_t *helds);

/* Writes the file and returns when it is on disk. */
int ctl_held_save(const ctl_helds_t *helds);

/* Returns when the file's name is on disk. */
bool ctl_held_sync_directory(const char *file);

void ctl_held_free(ctl_helds_t *helds);

/* The entry of a feed, or NULL.  The pointer is valid until a feed is added. */
ctl_held_t *ctl_held_find(ctl_helds_t *helds, const char *feed);

/* Sets a cursor without gaps, and adds the feed if it is new.  NULL with a
   message: out of memory. */
ctl_held_t *ctl_held_set(ctl_helds_t *helds, const char *feed,
    const es_cursor_t *cursor);

/* Adds a gap unless it is empty.  CTL_FAILED with a message: out of memory. */
int ctl_held_gap(ctl_held_t *held, uint64_t first, uint64_t last);

/* Reserves room for one more gap, so that the next ctl_held_gap() or
   ctl_held_fill() cannot fail.  CTL_FAILED with a message. */
int ctl_held_room(ctl_held_t *held);

/* Whether the sequence is in a gap. */
bool ctl_held_lacks(const ctl_held_t *held, uint64_t sequence);

/* Removes first..last from the gaps; false if no gap contains `last`.  This may
   split a gap, so that ctl_held_room() must be called before. */
bool ctl_held_fill(ctl_held_t *held, uint64_t first, uint64_t last);

#endif /* CTL_HELD_H */
