/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * An event as a consumer reads it: what places it in its feed, and
 * what is shown of it.
 *
 * Data may be any JSON, with numbers that no tree of values could hold: it is
 * passed over, not read.
 */

#ifndef CTL_INCOMING_H
#define CTL_INCOMING_H

#include "event/cursor.h"

typedef struct {
    char         feed[ES_FEED_MAX + 1];
    es_cursor_t  cursor;
    es_cursor_t  prev;
    es_str_t     type;             /* as in JSON, hence on one line */
    es_str_t     subject;          /* the same; "-" if there is none */
} ctl_event_t;

/* ES_INVALID unless it is an event of a feed; pointers are into `text`. */
es_rc_t ctl_event_parse(es_str_t text, ctl_event_t *event);

/* A test event, which is of no feed: nothing is to be done with it but to take
   it. */
bool ctl_event_is_test(es_str_t text);

/* A nudge, which says that a feed is to be polled. */
bool ctl_event_is_nudge(es_str_t text, char feed[ES_FEED_MAX + 1]);

/* One line on standard output. */
void ctl_event_print(const char *how, const ctl_event_t *event);

#endif /* CTL_INCOMING_H */
