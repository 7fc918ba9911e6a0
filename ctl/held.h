/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The cursors that a receiver holds, and what it has not seen below
 * them; kept in a file that is replaced as a whole.
 *
 * A gap is a run of sequences up to the cursor that did not arrive: they were
 * there before the first webhook, or there is nowhere to poll them from.  An
 * event in a gap is late; any other up to the cursor is a duplicate.
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
    uint64_t     processed;        /* since the start, polled ones too */
    uint64_t     healed;           /* of them, by polling */
    uint64_t     late;             /* of them, after one that is behind them */
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

/* Reads the file; one that does not exist is an empty one. */
int ctl_held_load(ctl_helds_t *helds);

/* Writes the file and returns when it is on disk. */
int ctl_held_save(const ctl_helds_t *helds);

/* Returns when the file's name is on disk. */
bool ctl_held_sync_directory(const char *file);

void ctl_held_free(ctl_helds_t *helds);

/* What is held of a feed, or NULL.  Good until the next one is added. */
ctl_held_t *ctl_held_find(ctl_helds_t *helds, const char *feed);

/* The same with another cursor and no gaps; added if need be.  NULL with a
   line said. */
ctl_held_t *ctl_held_set(ctl_helds_t *helds, const char *feed,
    const es_cursor_t *cursor);

/* Adds a gap, if it is one.  CTL_FAILED with a line said: no memory. */
int ctl_held_gap(ctl_held_t *held, uint64_t first, uint64_t last);

/* Room for one more gap: who has it can add or fill one without failing.
   CTL_FAILED with a line said. */
int ctl_held_room(ctl_held_t *held);

/* Whether the sequence is in a gap. */
bool ctl_held_lacks(const ctl_held_t *held, uint64_t sequence);

/* Takes first..last out of the gaps; false if none has `last`.  What is left of
   one may be two: needs ctl_held_room(). */
bool ctl_held_fill(ctl_held_t *held, uint64_t first, uint64_t last);

#endif /* CTL_HELD_H */
