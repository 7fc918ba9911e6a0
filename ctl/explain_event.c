/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The fate of one event for one endpoint: what the records say of it.
 *
 * A delivered event has no record but its attempts, which the dispatcher keeps
 * for --attempt-retention.  So the fate of an old event may only be that it was
 * passed.
 */

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "checkpoint/checkpoint.h"
#include "explain.h"
#include "read/reader.h"

/* What the walks over the records find. */
typedef struct {
    ctl_explain_t        *x;
    ctl_explain_event_t  *event;
    bool                  dead;
    es_dead_t             letter;
    bool                  waits;
    es_retry_t            retry;
    bool                  begun;
    es_progress_t         progress;
    bool                  delivered;
    unsigned              attempts;
    es_attempt_t          last;        /* the attempt that has succeeded, or the
                                          last one */
    es_txn_t             *txn;
    uint64_t              holder;      /* the event that holds this one */
} ctl_fate_t;


/* ---- the event ---- */

static void
ctl_explain_cut(char out[256], es_str_t text)
{
    (void) snprintf(out, 256, "%.*s", (int) text.len, text.data);
}


/* The names of epochs are random, so one feed has this one, as a rule. */

static const es_feed_t *
ctl_explain_event_feed(const ctl_explain_t *x, const es_cursor_t *cursor,
    const char *name, int *rc)
{
    size_t            i;
    uint64_t          last;
    const es_feed_t  *feed, *found;

    found = NULL;

    for (i = 0; i < x->feeds.n; i++) {
        feed = &x->feeds.feeds[i];

        if ((name != NULL && strcmp(feed->name, name) != 0)
            || !es_feed_epoch(feed, cursor->epoch, &last)
            || cursor->sequence > last)
        {
            continue;
        }

        if (found != NULL) {
            *rc = ctl_fail(CTL_USAGE, "the feeds \"%s\" and \"%s\" have this "
                           "epoch: name one with --feed=NAME", found->name,
                           feed->name);
            return NULL;
        }

        found = feed;
    }

    if (found == NULL) {
        *rc = ctl_fail(CTL_FAILED, "%s%s has %s event of this cursor: its epoch "
                       "is of another feed, or ended by a reset",
                       name != NULL ? "feed " : "no feed",
                       name != NULL ? name : "",
                       name != NULL ? "no" : "an");
    }

    return found;
}


static bool
ctl_explain_matches(const es_filter_t *filter, const es_event_t *event)
{
    return es_filter_type_matches(filter, event->type)
           && (!filter->by_subject
               || es_str_eq(filter->subject, event->subject));
}


int
ctl_explain_event_find(ctl_explain_t *x, const char *cursor, const char *name,
    ctl_explain_event_t *event)
{
    int               rc;
    es_rc_t           es;
    es_txn_t         *txn;
    es_event_t        found;
    const es_feed_t  *feed;

    if (es_cursor_parse(es_str(cursor), &event->cursor) != ES_OK
        || event->cursor.sequence == 0)
    {
        return ctl_fail(CTL_USAGE, "\"--event=%s\" is not the cursor of an "
                        "event", cursor);
    }

    rc = CTL_OK;
    feed = ctl_explain_event_feed(x, &event->cursor, name, &rc);

    if (feed == NULL) {
        return rc;
    }

    event->feed = *feed;

    if (es_txn_begin(x->ctl->store, &txn) != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot read the log");
    }

    es = es_event_get(txn, feed, event->cursor.sequence, &found);
    event->kept = es == ES_OK;

    if (event->kept) {
        event->time_ms = found.time_ms;
        event->matches = ctl_explain_matches(&x->endpoint->filter, &found);
        ctl_explain_cut(event->type, found.type);
        ctl_explain_cut(event->subject, found.subject);
    }

    es_txn_end(txn);

    return es == ES_OK || es == ES_NOT_FOUND
           ? CTL_OK : ctl_fail(CTL_FAILED, "cannot read the event: %s",
                               es_reason(es));
}


/* ---- the records ---- */

static es_rc_t
ctl_fate_dead(void *ctx, const es_dead_t *dead)
{
    ctl_fate_t  *f = ctx;

    if (dead->feed == f->event->feed.number
        && dead->sequence == f->event->cursor.sequence
        && es_feed_has(&f->event->feed, dead->epoch, dead->sequence))
    {
        f->dead = true;
        f->letter = *dead;
    }

    return ES_OK;
}


static es_rc_t
ctl_fate_retry(void *ctx, const es_retry_t *retry)
{
    ctl_fate_t  *f = ctx;

    if (retry->feed == f->event->feed.number
        && retry->sequence == f->event->cursor.sequence)
    {
        f->waits = true;
        f->retry = *retry;
    }

    return ES_OK;
}


/* The first waiting event of the same subject is the one that holds. */

static es_rc_t
ctl_fate_holder(void *ctx, const es_retry_t *retry)
{
    es_event_t   other;
    ctl_fate_t  *f = ctx;

    if (f->holder == 0
        && retry->feed == f->event->feed.number
        && retry->sequence < f->event->cursor.sequence
        && es_event_get(f->txn, &f->event->feed, retry->sequence, &other)
           == ES_OK
        && other.subject.len < sizeof(f->event->subject)
        && es_str_eq(other.subject, es_str(f->event->subject)))
    {
        f->holder = retry->sequence;
    }

    return ES_OK;
}


static es_rc_t
ctl_fate_progress(void *ctx, const es_progress_t *progress)
{
    ctl_fate_t  *f = ctx;

    if (progress->feed == f->event->feed.number) {
        f->begun = true;
        f->progress = *progress;
    }

    return ES_OK;
}


/* The last attempt comes first.  An attempt before the event's commit is of an
   event of an earlier epoch. */

static es_rc_t
ctl_fate_attempt(void *ctx, const es_attempt_t *attempt)
{
    ctl_fate_t  *f = ctx;

    if (attempt->feed != f->event->feed.number
        || attempt->sequence != f->event->cursor.sequence
        || attempt->flags & (ES_ATTEMPT_TEST | ES_ATTEMPT_FETCH
                             | ES_ATTEMPT_CHECK | ES_ATTEMPT_NUDGE)
        || attempt->time_ms < f->event->feed.created_ms)
    {
        return ES_OK;
    }

    (void) json_array_append_new(f->event->attempts,
                                 es_report_attempt(&f->x->feeds, attempt));

    if (f->attempts == 0 || (attempt->class == ES_ATTEMPT_OK && !f->delivered))
    {
        f->last = *attempt;
    }

    f->delivered |= attempt->class == ES_ATTEMPT_OK;
    f->attempts++;

    return ES_OK;
}


static es_rc_t
ctl_fate_read(ctl_fate_t *f)
{
    es_rc_t      rc;
    uint32_t     number;
    es_store_t  *store;

    store = f->x->ctl->store;
    number = f->x->endpoint->number;

    rc = es_delivery_each_dead(store, number, ctl_fate_dead, f);

    if (rc == ES_OK || rc == ES_NOT_FOUND) {
        rc = es_delivery_each_retry(store, number, ctl_fate_retry, f);
    }

    if (rc == ES_OK || rc == ES_NOT_FOUND) {
        rc = es_delivery_each_progress(store, number, ctl_fate_progress, f);
    }

    if (rc == ES_OK || rc == ES_NOT_FOUND) {
        rc = es_delivery_last_attempts(store, number, NULL, ctl_fate_attempt,
                                       f);
    }

    if ((rc == ES_OK || rc == ES_NOT_FOUND)
        && f->waits && es_retry_held(&f->retry) && f->event->subject[0] != '\0'
        && es_txn_begin(store, &f->txn) == ES_OK)
    {
        rc = es_delivery_each_retry(store, number, ctl_fate_holder, f);
        es_txn_end(f->txn);
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


/* ---- the judgement ---- */

/* `open`: the event has not been dealt with. */

#define ctl_fate_is(f, word, still_open, ...)                                  \
    ctl_fate_set((f), (word), (still_open),                                    \
                 ctl_finding_add((f)->event->attempts, __VA_ARGS__))

/* The finding is taken out of the array in which it was made. */

static json_t *
ctl_fate_set(const ctl_fate_t *f, const char *word, bool still_open,
    json_t *finding)
{
    json_t  *list;

    list = f->event->attempts;

    if (finding != NULL) {
        ctl_finding_set(finding, "fate", word);
        (void) json_object_set_new(finding, "open", json_boolean(still_open));
        f->event->fate = json_incref(finding);
        (void) json_array_remove(list, json_array_size(list) - 1);
    }

    return finding;
}


/* A feed that the endpoint is not sent.  True: this decides. */

static bool
ctl_fate_not_sent(ctl_fate_t *f)
{
    json_t               *fate;
    es_str_t              feed;
    const es_endpoint_t  *e;

    e = f->x->endpoint;
    feed = es_str(f->event->feed.name);

    if (es_endpoint_lists(e, feed)) {
        return false;
    }

    if (!es_patterns_match(&e->feeds, feed)) {
        fate = ctl_fate_is(f, "not-listed", false, "the endpoint's feeds do "
                           "not include %s", feed.data);
        ctl_finding_next(fate, "add it by: eventsyncctl endpoint change %s "
                         "--feeds=...,%s", e->name.data, feed.data);

    } else {
        fate = ctl_fate_is(f, "not-granted", false, "the partner %s may not "
                           "read %s", e->partner->name.data, feed.data);
        ctl_finding_next(fate, "add it by: eventsyncctl partner change %s "
                         "--feeds=...,%s", e->partner->name.data, feed.data);
    }

    return true;
}


static void
ctl_fate_of_letter(ctl_fate_t *f)
{
    char     time[ES_TIME_LEN + 1], cursor[ES_CURSOR_MAX];
    json_t  *fate;

    fate = ctl_fate_is(f, "dead", false, "the event became a dead letter at %s "
                       "after %u attempt%s, class %s, last status %d%s%s",
                       ctl_finding_time(f->letter.time_ms, time),
                       f->letter.attempts, ctl_plural(f->letter.attempts),
                       es_attempt_class_name((es_attempt_class_t)
                                             f->letter.class),
                       (int) f->letter.status,
                       f->letter.reason[0] != '\0' ? ": " : "",
                       f->letter.reason);

    (void) es_cursor_print(f->letter.epoch, f->letter.sequence, cursor);
    ctl_finding_next(fate, "eventsyncctl endpoint resend %s %s %s",
                     f->x->endpoint->name.data, f->event->feed.name, cursor);
}


static void
ctl_fate_of_retry(ctl_fate_t *f)
{
    char         time[ES_TIME_LEN + 1], holder[ES_CURSOR_MAX] = "";
    json_t      *fate;
    const char  *name, *feed;

    name = f->x->endpoint->name.data;
    feed = f->event->feed.name;

    if (!es_retry_held(&f->retry)) {
        fate = ctl_fate_is(f, "waiting", true, "the event waits after %u failed "
                           "attempt%s, last status %d; the next one is at %s",
                           f->attempts, ctl_plural(f->attempts),
                           (int) f->retry.status,
                           ctl_finding_time(f->retry.next_ms, time));
        ctl_finding_next(fate, "eventsyncctl endpoint resend %s %s %s-%" PRIu64,
                         name, feed, f->event->cursor.epoch,
                         f->event->cursor.sequence);
        return;
    }

    if (f->holder != 0) {
        (void) es_feed_cursor(&f->event->feed, f->holder, holder);
    }

    fate = ctl_fate_is(f, "held", true, "the event waits for an earlier one of "
                       "its subject%s%s", holder[0] != '\0' ? ", " : "",
                       holder);

    if (holder[0] != '\0') {
        ctl_finding_next(fate, "eventsyncctl explain %s --event=%s", name,
                         holder);
    }
}


/* An event behind the position, which is not dead and does not wait. */

static void
ctl_fate_of_passed(ctl_fate_t *f)
{
    char                    created[ES_TIME_LEN + 1];
    uint64_t                acked;
    const es_endpoint_t    *e;
    es_checkpoint_query_t   q = { .feed = &f->event->feed };

    e = f->x->endpoint;
    acked = 0;

    if (e->ack.data != NULL) {
        q.partner = e->partner->number;
        q.pattern = e->ack;
        (void) es_checkpoint_reached(f->x->ctl->store, &q, &acked);
    }

    if (!f->event->kept) {
        (void) ctl_fate_is(f, "deleted", false, "retention or an operator has "
                           "deleted the event, and no attempt of it is on "
                           "record");

    } else if (!e->from_oldest && f->event->time_ms < e->created_ms) {
        (void) ctl_fate_is(f, "before-start", false, "the event was committed "
                           "before the endpoint was created at %s, and the "
                           "endpoint begins at the latest one",
                           ctl_finding_time(e->created_ms, created));

    } else if (acked >= f->event->cursor.sequence) {
        (void) ctl_fate_is(f, "acknowledged", false, "the consumer %.*s has "
                           "acknowledged the event", (int) e->ack.len,
                           e->ack.data);

    } else {
        (void) ctl_fate_is(f, "passed", false, "the event was passed, and no "
                           "attempt of it is on record: it was cancelled, "
                           "polled after a nudge, excluded by an earlier "
                           "filter, or delivered long ago");
    }
}


/* What becomes of an event that the position has not reached. */

static void
ctl_fate_of_later(ctl_fate_t *f)
{
    char     at[ES_CURSOR_MAX];
    json_t  *fate;

    if (!f->event->kept) {
        (void) ctl_fate_is(f, "lost", false, "retention or an operator deleted "
                           "the event before the endpoint was sent it");
        return;
    }

    if (!f->begun) {
        (void) ctl_fate_is(f, "not-begun", true, "the dispatcher has not begun "
                           "with the feed yet");
        return;
    }

    (void) es_cursor_print(f->progress.epoch, f->progress.sequence, at);
    fate = ctl_fate_is(f, "not-yet", true, "the turn of the event has not come: "
                       "the endpoint is at %s, %" PRIu64 " event%s before it",
                       at, f->event->cursor.sequence - f->progress.sequence,
                       ctl_plural(f->event->cursor.sequence
                                     - f->progress.sequence));
    ctl_finding_next(fate, "eventsyncctl explain %s",
                     f->x->endpoint->name.data);
}


static bool
ctl_fate_pending(const ctl_fate_t *f)
{
    unsigned  i;

    for (i = 0; i < f->progress.npending; i++) {
        if (f->progress.pending[i] == f->event->cursor.sequence) {
            return true;
        }
    }

    return false;
}


/* The first of these that holds is the fate. */

static void
ctl_fate_judge(ctl_fate_t *f)
{
    char     time[ES_TIME_LEN + 1];
    json_t  *fate;

    if (ctl_fate_not_sent(f)) {
        return;
    }

    if (f->dead
        && !(f->delivered && f->last.time_ms > f->letter.time_ms))
    {
        ctl_fate_of_letter(f);

    } else if (f->waits) {
        ctl_fate_of_retry(f);

    } else if (f->delivered) {
        (void) ctl_fate_is(f, "delivered", false, "the receiver took the event "
                           "with %d at %s, in attempt %u", (int) f->last.status,
                           ctl_finding_time(f->last.time_ms, time),
                           f->last.attempt);

    } else if (ctl_fate_pending(f)) {
        (void) ctl_fate_is(f, "in-flight", true, "the event is being sent");

    } else if (f->event->kept && !f->event->matches) {
        fate = ctl_fate_is(f, "filtered", false, "the endpoint's types and "
                           "subject do not match the event");
        ctl_finding_next(fate, "eventsyncctl endpoint change %s --types=A,B.*",
                         f->x->endpoint->name.data);

    } else if (f->begun && f->event->cursor.sequence <= f->progress.sequence) {
        ctl_fate_of_passed(f);

    } else {
        ctl_fate_of_later(f);
    }
}


es_rc_t
ctl_explain_event_fate(ctl_explain_t *x, ctl_explain_event_t *event)
{
    es_rc_t     rc;
    ctl_fate_t  f = { .x = x, .event = event };

    rc = ctl_fate_read(&f);

    if (rc == ES_OK) {
        ctl_fate_judge(&f);
    }

    return rc;
}
