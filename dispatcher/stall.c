/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Stalls: reports lanes and endpoints that make no progress.
 *
 * The start and the end of a stall are logged, stored for `endpoint status` and
 * metrics, and announced by an operational event.  A lane is checked after each
 * failed attempt, when it has no room for waiting events, and every second.  An
 * endpoint that is paused, stopped or unverified, or whose partner is disabled,
 * is not reported.
 */

#include <jansson.h>
#include <stdio.h>
#include <sys/queue.h>

#include "base/base.h"
#include "base/clock.h"
#include "delivery/stall.h"
#include "event/attribute.h"
#include "event/filter.h"
#include "log/feed.h"
#include "read/reader.h"
#include "registry/registry.h"
#include "store/txn.h"

#include "about.h"
#include "channel.h"
#include "dispatcher.h"
#include "item.h"
#include "lane.h"
#include "log.h"
#include "notice.h"
#include "recorder.h"
#include "schedule.h"
#include "stall.h"
#include "target.h"
#include "trusted_clock.h"
#include "types.h"
#include "waiting.h"

#define ESD_STALL_PAUSE_US  60000000   /* requested by the receiver */
#define ESD_STALL_TEXT_MAX  256


void
esd_stall_load(esd_dispatcher_t *d, esd_target_t *target, esd_lane_t *lane)
{
    es_stall_t  *stall;

    stall = lane != NULL ? &lane->stall : &target->stall;

    if (es_delivery_stall(d->store, target->number,
                          lane != NULL ? lane->source->feed.number : 0, stall)
        != ES_OK)
    {
        stall->reason = ES_STALL_NONE;
    }
}


/* The time of the last attempt if all attempts fail at once. */

static int64_t
esd_stall_dead(const esd_lane_t *lane, const es_event_t *event,
    const es_stall_t *stall)
{
    char       id[ES_ID_MAX + 1];
    int64_t    at_ms, delay_ms;
    uint32_t   n;

    (void) snprintf(id, sizeof(id), "%.*s", (int) event->id.len,
                    event->id.data);
    at_ms = stall->next_ms;

    for (n = stall->attempts + 1;
         (delay_ms = esd_schedule_delay(lane->target->conf, es_str(id), n))
         >= 0;
         n++)
    {
        at_ms += delay_ms;
    }

    return at_ms;
}


static void
esd_stall_item(es_stall_t *stall, const esd_item_t *item)
{
    stall->sequence = item->sequence;
    stall->attempts = item->attempts;
    stall->status = item->status;
    stall->next_ms = item->next_ms;
}


/* Counts the subjects whose first event failed and blocks others.  Only the
   events that are due first are examined, up to a limit. */

static void
esd_stall_subjects(const esd_lane_t *lane, es_stall_t *stall)
{
    size_t             i, next;
    unsigned           examined;
    const esd_item_t  *item;

    i = esd_waiting_first(lane, ESD_BY_DUE);

    for (examined = 0;
         i != ESD_NO_ITEM && examined < ES_STALL_SUBJECTS
         && !lane->waiting[i].held;
         examined++)
    {
        item = &lane->waiting[i];
        next = item->key != 0 && item->attempts > 0
               ? esd_waiting_next(lane, ESD_BY_KEY, i) : ESD_NO_ITEM;

        if (next != ESD_NO_ITEM && lane->waiting[next].key == item->key) {
            if (stall->subjects++ == 0) {
                stall->reason = ES_STALL_SUBJECT;
                esd_stall_item(stall, item);
            }
        }

        i = esd_waiting_next(lane, ESD_BY_DUE, i);
    }
}


/* True: an event after the position matches.  Events that are known not to
   match are not examined again. */

static bool
esd_stall_behind(esd_dispatcher_t *d, esd_lane_t *lane)
{
    es_rc_t           rc;
    uint64_t          from, scanned;
    es_txn_t         *txn;
    es_event_t        event;
    const es_feed_t  *feed;

    feed = &lane->source->feed;
    from = lane->unmatched > lane->position ? lane->unmatched
                                            : lane->position;

    if (from >= feed->last || es_filter_is_all(&lane->target->conf->filter)) {
        return from < feed->last;
    }

    if (es_txn_begin(d->store, &txn) != ES_OK) {
        return false;
    }

    rc = es_event_next(txn, feed, from, &lane->target->conf->filter, &event,
                       &scanned);
    es_txn_end(txn);

    if (rc == ES_NOT_FOUND) {
        lane->unmatched = scanned;
    }

    return rc == ES_OK;
}


/* A `fifo` lane is stalled from a failed attempt on, if events wait behind it,
   and stays stalled during the next attempt. */

static void
esd_stall_fifo(esd_dispatcher_t *d, esd_lane_t *lane, es_stall_t *stall)
{
    size_t  i;

    if (!TAILQ_EMPTY(&lane->sends)) {
        if (lane->stall.reason == ES_STALL_EVENT) {
            *stall = lane->stall;
        }

        return;
    }

    i = esd_waiting_first(lane, ESD_BY_KEY);

    if (i != ESD_NO_ITEM && lane->waiting[i].attempts > 0
        && (esd_waiting_next(lane, ESD_BY_KEY, i) != ESD_NO_ITEM
            || esd_stall_behind(d, lane)))
    {
        stall->reason = ES_STALL_EVENT;
        esd_stall_item(stall, &lane->waiting[i]);
    }
}


/* A full lane moves again only when several places are free, not just one. */

static bool
esd_stall_full(const esd_dispatcher_t *d, const esd_lane_t *lane)
{
    return lane->position < lane->source->feed.last
           && !esd_lane_room(d, lane, lane->stall.reason == ES_STALL_FULL
                                      ? lane->nwaiting / 8 : 0);
}


static void
esd_stall_find(esd_dispatcher_t *d, esd_lane_t *lane, es_stall_t *stall)
{
    memset(stall, 0, sizeof(es_stall_t));
    stall->endpoint = lane->target->number;
    stall->feed = lane->source->feed.number;

    if (lane->nudges > 0) {
        stall->reason = ES_STALL_NUDGE;
        stall->next_ms = lane->stuck_ms;

    } else if (lane->stuck_ms != 0) {
        stall->reason = ES_STALL_UNREADABLE;
        stall->sequence = lane->stuck_at;
        stall->next_ms = lane->stuck_ms;

    } else if (lane->target->conf->ordering == ES_ORDER_FIFO) {
        esd_stall_fifo(d, lane, stall);

    } else if (esd_stall_full(d, lane)) {
        stall->reason = ES_STALL_FULL;
        stall->next_ms = lane->due_ms != INT64_MAX ? lane->due_ms : 0;

    } else if (lane->nheld > 0) {
        esd_stall_subjects(lane, stall);
    }

    memcpy(stall->epoch,
           es_feed_epoch_of(&lane->source->feed, stall->sequence),
           sizeof(stall->epoch));
}


static const char *
esd_stall_text(json_t *report, const char *member)
{
    const char  *text;

    text = json_string_value(json_object_get(report, member));

    return text != NULL ? text : "?";
}


/* What a line about a stall is about; `lane` is NULL for the whole endpoint. */

static esd_about_t
esd_stall_about(const esd_target_t *target, const esd_lane_t *lane,
    const es_stall_t *stall)
{
    esd_about_t  about;

    about = lane != NULL ? esd_about_lane(lane) : esd_about_target(target);

    if (stall->epoch[0] != '\0') {
        about.epoch = stall->epoch;
        about.sequence = stall->sequence;
    }

    about.status = stall->status;

    return about;
}


static void
esd_stall_log_event(const esd_target_t *target, const esd_lane_t *lane,
    const es_stall_t *stall, json_t *report)
{
    char         subject[ESD_STALL_TEXT_MAX];
    esd_about_t  about;

    about = esd_stall_about(target, lane, stall);
    about.event_id = esd_stall_text(report, "id");

    subject[0] = '\0';

    if (stall->reason == ES_STALL_SUBJECT) {
        (void) snprintf(subject, sizeof(subject), " of subject \"%.200s\"",
                        esd_stall_text(report, "subject"));
    }

    esd_log_about(ESD_LOG_WARN, about,
                  "endpoint %s: feed \"%s\" is blocked by event %s%s, id "
                  "\"%s\", type \"%.200s\", after %u failed attempts, the "
                  "last with status %d: later events wait; the next attempt "
                  "is at %s, and the event becomes a dead letter at %s",
                  target->name, about.feed,
                  esd_stall_text(report, "cursor"), subject, about.event_id,
                  esd_stall_text(report, "type"), stall->attempts,
                  stall->status,
                  esd_stall_text(report, "next"),
                  esd_stall_text(report, "dead_at"));
}


static void
esd_stall_log(const esd_target_t *target, const esd_lane_t *lane,
    const es_stall_t *stall, json_t *report)
{
    size_t       nwaiting;
    const char  *feed;
    esd_about_t  about;

    about = esd_stall_about(target, lane, stall);
    feed = lane != NULL ? lane->source->feed.name : "";
    nwaiting = lane != NULL ? lane->nwaiting : 0;

    switch ((es_stall_reason_t) stall->reason) {

    case ES_STALL_EVENT:
    case ES_STALL_SUBJECT:
        esd_stall_log_event(target, lane, stall, report);
        break;

    case ES_STALL_FULL:
        esd_log_about(ESD_LOG_WARN, about,
                      "endpoint %s: feed \"%s\" accepts no new events: %zu "
                      "of its events wait, and --max-waiting allows no more",
                      target->name, feed, nwaiting);
        break;

    case ES_STALL_UNREADABLE:
        esd_log_about(ESD_LOG_WARN, about,
                      "endpoint %s: feed \"%s\" makes no progress: event %s "
                      "cannot be read", target->name, feed,
                      esd_stall_text(report, "cursor"));
        break;

    case ES_STALL_NUDGE:
        esd_log_about(ESD_LOG_WARN, about,
                      "endpoint %s: feed \"%s\" waits until the receiver "
                      "accepts the nudge to poll; it is sent again at %s",
                      target->name, feed, esd_stall_text(report, "next"));
        break;

    case ES_STALL_TOKEN:
        esd_log_about(ESD_LOG_WARN, about,
                      "endpoint %s receives nothing: there is no access "
                      "token; it is requested again at %s", target->name,
                      esd_stall_text(report, "next"));
        break;

    case ES_STALL_SECRET:
        esd_log_about(ESD_LOG_WARN, about,
                      "endpoint %s receives nothing: no secret can be used",
                      target->name);
        break;

    case ES_STALL_THROTTLED:
        esd_log_about(ESD_LOG_WARN, about,
                      "endpoint %s receives nothing: the receiver requested "
                      "a pause until %s", target->name,
                      esd_stall_text(report, "next"));
        break;

    case ES_STALL_PROXY:   /* these two stop all, see esd_stall_all() */
    case ES_STALL_FILES:
    case ES_STALL_NONE:
    case ES_STALLS:
        break;
    }
}


/* Describes the blocking event from the log; returns the report. */

static json_t *
esd_stall_describe(esd_dispatcher_t *d, const esd_lane_t *lane,
    es_stall_t *stall)
{
    json_t      *report;
    es_txn_t    *txn;
    es_event_t   event;

    report = NULL;

    if (lane != NULL && stall->sequence != 0
        && es_txn_begin(d->store, &txn) == ES_OK)
    {
        if (es_event_get(txn, &lane->source->feed, stall->sequence, &event)
            == ES_OK)
        {
            stall->dead_ms = stall->attempts > 0
                             ? esd_stall_dead(lane, &event, stall) : 0;
            report = es_stall_report(stall, &event);
        }

        es_txn_end(txn);
    }

    return report != NULL ? report : es_stall_report(stall, NULL);
}


static bool
esd_stall_same(const es_stall_t *a, const es_stall_t *b)
{
    return a->reason == b->reason
           && strcmp(a->epoch, b->epoch) == 0
           && a->sequence == b->sequence
           && a->attempts == b->attempts
           && a->next_ms == b->next_ms
           && a->subjects == b->subjects;
}


/* The stall continues, or another one replaces it. */

static void
esd_stall_set(esd_dispatcher_t *d, esd_target_t *target, esd_lane_t *lane,
    es_stall_t *stall)
{
    bool         begins;
    json_t      *report;
    es_stall_t  *was;

    was = lane != NULL ? &lane->stall : &target->stall;
    begins = was->reason != stall->reason;
    stall->since_ms = begins ? esd_clock_stamp_ms(d) : was->since_ms;
    stall->dead_ms = was->dead_ms;

    if (esd_stall_same(was, stall)) {
        return;
    }

    report = esd_stall_describe(d, lane, stall);
    *was = *stall;
    esd_must(d, es_changeset_stall(d->recorder.filling, stall));

    if (begins) {
        esd_stall_log(target, lane, stall, report);
        esd_notice_stalled(d, target, lane, stall, report);

    } else {
        json_decref(report);
    }
}


static void
esd_stall_over(esd_dispatcher_t *d, esd_target_t *target, esd_lane_t *lane)
{
    es_stall_t  *stall;

    stall = lane != NULL ? &lane->stall : &target->stall;

    if (stall->reason == ES_STALL_NONE) {
        return;
    }

    esd_log_about(ESD_LOG_INFO, esd_stall_about(target, lane, stall),
                  "endpoint %s: %s%s%s makes progress again after %lld s",
                  target->name, lane != NULL ? "feed \"" : "it",
                  lane != NULL ? lane->source->feed.name : "",
                  lane != NULL ? "\"" : "",
                  (long long) (esd_clock_stamp_ms(d) - stall->since_ms) / 1000);

    esd_notice_unstalled(d, target, lane, stall);
    esd_must(d, es_changeset_stall_done(d->recorder.filling, stall->endpoint,
                                        stall->feed));
    memset(stall, 0, sizeof(es_stall_t));
}


void
esd_stall_check(esd_dispatcher_t *d, esd_lane_t *lane)
{
    es_stall_t     stall;
    esd_target_t  *target;

    target = lane->target;

    if (!esd_target_enabled(target)
        || (lane->stall.reason == ES_STALL_NONE
            && lane->nwaiting == 0
            && lane->stuck_ms == 0))
    {
        return;
    }

    esd_stall_find(d, lane, &stall);

    if (stall.reason != ES_STALL_NONE
        && lane->stall.reason != ES_STALL_NONE
        && lane->stall.reason != stall.reason)
    {
        esd_stall_over(d, target, lane);
    }

    if (stall.reason == ES_STALL_NONE) {
        esd_stall_over(d, target, lane);

    } else {
        esd_stall_set(d, target, lane, &stall);
    }
}


/* Converts a time of the monotonic clock and rounds it to seconds, because it
   is computed again for each report. */

static int64_t
esd_stall_at(const esd_dispatcher_t *d, int64_t until_us)
{
    return (esd_schedule_ms(d) + (until_us - es_clock_mono_us()) / 1000 + 500)
           / 1000 * 1000;
}


/* An open circuit pauses an endpoint as well, but is announced as failing. */

static void
esd_stall_target(esd_dispatcher_t *d, esd_target_t *target)
{
    int64_t     left_us;
    es_stall_t  stall;

    memset(&stall, 0, sizeof(stall));
    stall.endpoint = target->number;
    left_us = target->throttled_us - es_clock_mono_us();

    if (target->nsigners == 0) {
        stall.reason = ES_STALL_SECRET;

    } else if (target->token.failures > 0) {
        stall.reason = ES_STALL_TOKEN;
        stall.next_ms = esd_stall_at(d, target->token.until_us);

    } else if (target->trips == 0
               && left_us > (target->stall.reason == ES_STALL_THROTTLED
                             ? 0 : ESD_STALL_PAUSE_US))
    {
        stall.reason = ES_STALL_THROTTLED;
        stall.next_ms = esd_stall_at(d, target->throttled_us);
    }

    if (stall.reason != target->stall.reason) {
        esd_stall_over(d, target, NULL);
    }

    if (stall.reason != ES_STALL_NONE) {
        esd_stall_set(d, target, NULL, &stall);
    }
}


void
esd_stalls_tick(esd_dispatcher_t *d, esd_target_t *target)
{
    esd_lane_t  *lane;

    if (target->conf->paused
        || target->stopped
        || target->unverified
        || es_endpoint_disabled(target->conf))
    {
        return;
    }

    esd_stall_target(d, target);

    esd_each(lane, &target->lanes, in_target) {
        esd_stall_check(d, lane);
    }
}


/* Reports a cause that stalls all endpoints.  The code that found it has logged
   it. */

void
esd_stall_all(esd_dispatcher_t *d)
{
    es_stall_reason_t  reason;

    reason = d->proxy.pause_ms != 0 ? ES_STALL_PROXY
             : esd_descriptors_short(d) ? ES_STALL_FILES : ES_STALL_NONE;

    if (reason == d->stall.reason) {
        return;
    }

    memset(&d->stall, 0, sizeof(es_stall_t));
    d->stall.reason = (uint8_t) reason;
    d->stall.since_ms = esd_clock_stamp_ms(d);

    esd_must(d, reason != ES_STALL_NONE
                ? es_changeset_stall(d->recorder.filling, &d->stall)
                : es_changeset_stall_done(d->recorder.filling, 0, 0));
}


void
esd_stall_end(esd_dispatcher_t *d, esd_lane_t *lane)
{
    if (lane->stall.reason != ES_STALL_NONE) {
        esd_must(d, es_changeset_stall_done(d->recorder.filling,
                                            lane->stall.endpoint,
                                            lane->stall.feed));
        memset(&lane->stall, 0, sizeof(es_stall_t));
    }
}
