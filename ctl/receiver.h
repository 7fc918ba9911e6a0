/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A partner's side, which keeps the rule of docs/http-read.md: hold one
 * cursor for each feed; take an event whose prevcursor is the cursor held; drop
 * one of this epoch that is not behind it; otherwise poll from the cursor held.
 * A feed of which nothing is held begins at its oldest event.
 *
 * One thread at a time.
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
    ctl_http_t    *http;           /* where to poll; NULL: nowhere */
    const char    *types;          /* the endpoint's filter, for polls */
    const char    *subject;
    int64_t        poll_at_us;     /* monotonic; the server asked to wait until
                                      then (Retry-After), so nothing is polled
                                      before */
} ctl_receiver_t;

/* Seconds until the server may be polled again, rounded up; 0: now. */
unsigned ctl_receiver_wait_s(const ctl_receiver_t *receiver);

/* Polls from the cursor held, or from the oldest event, until nothing is
   left, and shows each event. */
int ctl_receiver_heal(ctl_receiver_t *receiver, const char *feed);

/* Takes one event: CTL_OK when it is dealt with for good, on disk too. */
int ctl_receiver_take(ctl_receiver_t *receiver, const ctl_event_t *event);

#endif /* CTL_RECEIVER_H */
