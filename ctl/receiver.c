/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Decides about one webhook: it is the next event, a duplicate, or after a gap.
 */

#include <inttypes.h>
#include <stdio.h>

#include "receiver.h"


/* Prints the event and holds its cursor.  Events that are missing before it
   become a gap; one that arrives later is late and not a duplicate. */

static int
ctl_receiver_hold(ctl_receiver_t *receiver, ctl_held_t *held,
    const ctl_event_t *event)
{
    if (ctl_held_room(held) != CTL_OK
        || ctl_journal_add(&receiver->journal, "webhook", event) != CTL_OK
        || ctl_journal_sync(&receiver->journal) != CTL_OK)
    {
        return CTL_FAILED;
    }

    ctl_event_print("webhook", event);
    held->processed++;

    (void) ctl_held_gap(held, held->cursor.sequence + 1, event->prev.sequence);
    held->cursor = event->cursor;

    return ctl_held_save(&receiver->helds);
}


/* Starts a feed that cannot be polled.  Webhooks of earlier events may still
   arrive. */

static int
ctl_receiver_begin(ctl_receiver_t *receiver, const ctl_event_t *event)
{
    ctl_held_t   *held;
    es_cursor_t   start;

    start = event->cursor;
    start.sequence = 0;

    held = ctl_held_set(&receiver->helds, event->feed, &start);

    return held ? ctl_receiver_hold(receiver, held, event) : CTL_FAILED;
}


/* Takes an event that is not after the cursor held. */

static int
ctl_receiver_old(ctl_receiver_t *receiver, ctl_held_t *held,
    const ctl_event_t *event)
{
    if (!ctl_held_lacks(held, event->cursor.sequence)) {
        ctl_event_print("duplicate", event);
        held->duplicates++;
        return CTL_OK;
    }

    if (ctl_held_room(held) != CTL_OK
        || ctl_journal_add(&receiver->journal, "late", event) != CTL_OK
        || ctl_journal_sync(&receiver->journal) != CTL_OK)
    {
        return CTL_FAILED;
    }

    (void) ctl_held_fill(held, event->prev.sequence + 1,
                         event->cursor.sequence);
    ctl_event_print("late", event);
    held->processed++;
    held->late++;

    return ctl_held_save(&receiver->helds);
}


/* Polls the events between the cursor held and this one. */

static int
ctl_receiver_gap(ctl_receiver_t *receiver, const ctl_event_t *event)
{
    int                rc;
    const ctl_held_t  *held;

    rc = ctl_receiver_heal(receiver, event->feed);
    if (rc != CTL_OK) {
        return rc;
    }

    held = ctl_held_find(&receiver->helds, event->feed);

    if (strcmp(held->cursor.epoch, event->cursor.epoch) != 0) {
        ctl_event_print("stale", event);
        return CTL_OK;
    }

    if (held->cursor.sequence < event->cursor.sequence) {
        return ctl_fail(CTL_FAILED, "feed \"%s\": the poll does not return the "
                        "event yet", event->feed);
    }

    return CTL_OK;
}


/* A new receiver begins at the oldest event. */

static int
ctl_receiver_first(ctl_receiver_t *receiver, const ctl_event_t *event)
{
    ctl_happened("new", json_pack("{s:s}", "feed", event->feed),
                 "%s begins at the oldest event", event->feed);

    return ctl_receiver_gap(receiver, event);
}


int
ctl_receiver_take(ctl_receiver_t *receiver, const ctl_event_t *event)
{
    ctl_held_t  *held;

    held = ctl_held_find(&receiver->helds, event->feed);

    if (held == NULL) {
        return receiver->http && event->prev.sequence > 0
               ? ctl_receiver_first(receiver, event)
               : ctl_receiver_begin(receiver, event);
    }

    /* an epoch that began after the event held goes on from it */

    if (strcmp(held->cursor.epoch, event->prev.epoch) == 0
        && held->cursor.sequence == event->prev.sequence)
    {
        memcpy(held->cursor.epoch, event->cursor.epoch,
               sizeof(held->cursor.epoch));
    }

    if (strcmp(held->cursor.epoch, event->cursor.epoch) != 0) {
        ctl_happened("reset",
                     json_pack("{s:s, s:s, s:s}", "feed", event->feed, "held",
                               held->cursor.epoch, "epoch",
                               event->cursor.epoch),
                     "%s held epoch %s, the event is of %s", event->feed,
                     held->cursor.epoch, event->cursor.epoch);

        return receiver->http ? ctl_receiver_gap(receiver, event)
                              : ctl_receiver_begin(receiver, event);
    }

    if (event->cursor.sequence <= held->cursor.sequence) {
        return ctl_receiver_old(receiver, held, event);
    }

    /* With a filter, `prevcursor` may be before the cursor held, because a poll
       moves the cursor past events that the filter does not match. */

    if (event->prev.sequence <= held->cursor.sequence) {
        return ctl_receiver_hold(receiver, held, event);
    }

    ctl_happened("gap",
                 json_pack("{s:s, s:I, s:I}", "feed", event->feed, "held",
                           (json_int_t) held->cursor.sequence, "follows",
                           (json_int_t) event->prev.sequence),
                 "%s held %" PRIu64 ", the event follows %" PRIu64,
                 event->feed, held->cursor.sequence, event->prev.sequence);

    return receiver->http ? ctl_receiver_gap(receiver, event)
                          : ctl_receiver_hold(receiver, held, event);
}
