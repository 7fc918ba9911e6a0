/*
 * receiver.h - a partner's side: hold one cursor per feed; when an event's
 * prevcursor is not the cursor held, poll from the cursor held.
 *
 * One thread at a time.
 */

#ifndef CTL_RECEIVER_H
#define CTL_RECEIVER_H

#include <jansson.h>

#include "cursor.h"

typedef struct {
    char         feed[ES_FEED_MAX + 1];
    es_cursor_t  cursor;
} receiver_held_t;

typedef struct {
    const char       *url;         /* of the API, "http://host/v1"; or NULL */
    const char       *key;         /* NULL: none */
    const char       *state;       /* file of the cursors; NULL: memory only */
    receiver_held_t  *held;
    size_t            nheld;
} receiver_t;

/* Reads the state file; one that does not exist is an empty one. */
int receiver_load(receiver_t *receiver);

/* The cursor held of a feed, or NULL. */
receiver_held_t *receiver_find(receiver_t *receiver, const char *feed);

/* Holds a cursor and, before returning, writes it to disk. */
int receiver_hold(receiver_t *receiver, const char *feed,
    const es_cursor_t *cursor);

/* Polls from the cursor held until nothing is left, printing each event. */
int receiver_heal(receiver_t *receiver, const char *feed);

/* Takes one event: prints it, drops it as a duplicate, or heals a gap. */
int receiver_take(receiver_t *receiver, const json_t *event);

void receiver_free(receiver_t *receiver);

#endif /* CTL_RECEIVER_H */
