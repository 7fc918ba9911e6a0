/*
 * receiver.h - a partner's side: hold one cursor per feed; when an event's
 * prevcursor is not the cursor held, poll from the cursor held.
 *
 * One thread at a time.
 */

#ifndef CTL_RECEIVER_H
#define CTL_RECEIVER_H

#include "incoming.h"
#include "held.h"
#include "http.h"
#include "journal.h"

typedef struct {
    ctl_helds_t    helds;
    ctl_journal_t  journal;
    ctl_http_t    *http;           /* where to poll; NULL: nowhere */
    const char    *types;          /* the endpoint's filter, for polls */
    const char    *subject;
} ctl_receiver_t;

/* Polls from the cursor held, or from the oldest event, until nothing is
   left, and shows each event. */
int ctl_receiver_heal(ctl_receiver_t *receiver, const char *feed);

/* Takes one event: CTL_OK when it is dealt with for good, on disk too. */
int ctl_receiver_take(ctl_receiver_t *receiver, const ctl_event_t *event);

#endif /* CTL_RECEIVER_H */
