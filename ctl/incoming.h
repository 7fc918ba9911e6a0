/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An event as a receiver reads it: its position in its feed, and the members
 * that are printed.
 *
 * The data of an event is skipped and never parsed, because it may have numbers
 * that no C type holds.
 */

#ifndef CTL_INCOMING_H
#define CTL_INCOMING_H

#include "event/cursor.h"

typedef struct {
    char         feed[ES_FEED_MAX + 1];
    es_cursor_t  cursor;
    es_cursor_t  prev;
    es_str_t     type;             /* escaped as in JSON, hence on one line */
    es_str_t     subject;          /* the same; "-" if absent */
} ctl_event_t;

/* ES_INVALID: this is not an event of a feed.  Pointers are into `text`. */
es_rc_t ctl_event_parse(es_str_t text, ctl_event_t *event);

/* A test event belongs to no feed; a receiver only acknowledges it. */
bool ctl_event_is_test(es_str_t text);

/* The text to repeat if the event is a challenge, which asks whether the
   receiver agrees to be sent events; a new string, or NULL. */
char *ctl_event_challenge(es_str_t text);

/* A nudge announces that `feed` has events to poll. */
bool ctl_event_is_nudge(es_str_t text, char feed[ES_FEED_MAX + 1]);

/* Prints one line on stdout. */
void ctl_event_print(const char *how, const ctl_event_t *event);

#endif /* CTL_INCOMING_H */
