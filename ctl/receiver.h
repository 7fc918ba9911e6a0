/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A receiver of webhooks that follows the rule of docs/http-read.md.
 *
 * It holds one cursor for each feed.  It takes an event whose prevcursor is the
 * cursor held, drops an event of the same epoch that is not after that cursor,
 * and otherwise polls from the cursor.  A new feed begins at its oldest event.
 *
 * The functions are not thread-safe.
 */

#ifndef CTL_RECEIVER_H
#define CTL_RECEIVER_H

#include "held.h"
#include "http.h"
#include "incoming.h"
#include "journal.h"

typedef struct {
    ctl_helds_t    helds;
    ctl_journal_t  journal;
    ctl_http_t    *http;           /* where to poll; NULL: no polling */
    const char    *filter[ES_FILTER_PARAMS];   /* the endpoint's, for polls */
    int64_t        poll_at_us;     /* monotonic; a Retry-After forbids polls
                                      before this time */
} ctl_receiver_t;

/* Seconds until the server may be polled again, rounded up; 0: now. */
unsigned ctl_receiver_wait_s(const ctl_receiver_t *receiver);

/* Polls from the cursor held, or from the oldest event, until no more events
   are left, and prints each event.  CTL_FAILED with a message. */
int ctl_receiver_heal(ctl_receiver_t *receiver, const char *feed);

/* Takes one event.  CTL_OK: the event is processed, and that is on disk. */
int ctl_receiver_take(ctl_receiver_t *receiver, const ctl_event_t *event);

#endif /* CTL_RECEIVER_H */
