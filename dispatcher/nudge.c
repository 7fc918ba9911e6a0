/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Nudges: one event that says "poll from here" replaces a long backlog.
 *
 * An endpoint with `nudge` may have a longer backlog than that number after an
 * outage or a pause.  Then the dispatcher sends one event with the cursor to
 * poll from.  When the receiver accepts it, the lane skips the backlog; until
 * then, all events of the backlog are kept.
 */

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "base/base.h"
#include "base/clock.h"
#include "event/attribute.h"
#include "event/cursor.h"
#include "event/filter.h"
#include "log/feed.h"
#include "read/reader.h"
#include "registry/registry.h"
#include "store/txn.h"

#include "ack.h"
#include "dispatcher.h"
#include "failing.h"
#include "health.h"
#include "lane.h"
#include "message.h"
#include "notice.h"
#include "nudge.h"
#include "outcome.h"
#include "recorder.h"
#include "schedule.h"
#include "send.h"
#include "target.h"
#include "token.h"
#include "trusted_clock.h"

#define ESD_NUDGE_TURN    256      /* events counted in a turn */
#define ESD_NUDGE_MIN_MS  5000


/* True: the number of matching events after the position is known, or known to
   exceed `nudge`. */

static bool
esd_nudge_counted(es_txn_t *txn, esd_lane_t *lane)
{
    es_rc_t               rc;
    unsigned              i;
    uint64_t              scanned;
    es_event_t            event;
    const es_feed_t      *feed;
    const es_endpoint_t  *conf;

    feed = &lane->source->feed;
    conf = lane->target->conf;

    /* the backlog is an upper bound of the matching events */

    if (es_filter_is_all(&conf->filter)
        || feed->last - lane->position + lane->nwaiting <= conf->nudge)
    {
        lane->nahead = feed->last - lane->position;
        lane->ahead = 0;
        return true;
    }

    if (lane->ahead < lane->position) {
        lane->ahead = lane->position;
        lane->nahead = 0;
    }

    for (i = 0; i < ESD_NUDGE_TURN; i++) {
        if (lane->ahead >= feed->last || lane->nahead > conf->nudge) {
            return true;
        }

        rc = es_event_next(txn, feed, lane->ahead, &conf->filter, &event,
                           &scanned);

        if (rc == ES_NOT_FOUND) {
            lane->ahead = scanned;
            return lane->ahead >= feed->last;
        }

        /* the lane logs this when it takes the event */

        if (rc != ES_OK) {
            return true;
        }

        lane->ahead = event.sequence;
        lane->nahead++;
    }

    return false;
}


/* The cursor before the first undelivered event. */

static uint64_t
esd_nudge_after(const esd_lane_t *lane)
{
    size_t    i;
    uint64_t  first, after;

    first = UINT64_MAX;
    after = lane->matched;

    for (i = 0; i < lane->nwaiting; i++) {
        if (lane->waiting[i].sequence < first) {
            first = lane->waiting[i].sequence;
            after = lane->waiting[i].prev;
        }
    }

    return after;
}


static es_rc_t
esd_nudge_compose(const esd_lane_t *lane, esd_send_t *send, es_str_t id,
    const char *after)
{
    char      *text, latest[ES_CURSOR_MAX], time[ES_TIME_LEN + 1];
    json_t    *event;
    es_rc_t    rc;
    json_int_t n;

    (void) es_feed_cursor(&lane->source->feed, lane->source->feed.last, latest);
    n = (json_int_t) (lane->nahead + lane->nwaiting);

    event = json_pack("{s:s, s:s%, s:s, s:s, s:s, s:s, s:s,"
                      "s:{s:s, s:s, s:s, s:I}}",
                      "specversion", "1.0", "id", id.data, id.len,
                      "source", "/eventsync", "type", "feed.poll",
                      "subject", lane->source->feed.name,
                      "time", esd_notice_time(esd_clock_stamp_ms(send->d),
                                              time),
                      "datacontenttype", "application/json",
                      "data", "feed", lane->source->feed.name,
                      "after", after, "latest", latest, "events", n);

    text = event ? json_dumps(event, JSON_COMPACT) : NULL;
    json_decref(event);

    rc = text ? esd_message_own(send, ESD_SEND_NUDGE, id, es_str(text))
              : ES_NOMEM;
    free(text);

    return rc;
}


static void
esd_nudge_settle(esd_send_t *send, esd_outcome_t *o)
{
    int64_t            delay_ms;
    es_str_t           id;
    unsigned           n;
    esd_lane_t        *lane;
    esd_target_t      *target;
    esd_dispatcher_t  *d;

    d = send->d;
    lane = send->lane;
    target = send->target;

    esd_record_send(send, send->ids.data, send->upto, send->attempt, o);

    if (o->success) {
        lane->nudges = 0;
        esd_health_success(d, target, send);
        esd_ack_pass(d, lane, send->upto, "the receiver was told to poll");
        return;
    }

    if (o->ours) {
        return;
    }

    if (o->busy) {
        delay_ms = esd_health_busy(d, target, send, o);
        lane->stuck_ms = esd_schedule_ms(d) + delay_ms;
        return;
    }

    esd_health_failure(d, target, send, o);
    o->stop = o->stop != NULL ? o->stop : esd_failing_stop_reason(target);
    lane->nudges++;

    n = target->conf->nschedule - 1;
    n = lane->nudges < n ? lane->nudges : n;
    id = es_str(send->ids.data);

    delay_ms = esd_schedule_delay(target->conf, id, n);
    delay_ms = delay_ms > ESD_NUDGE_MIN_MS ? delay_ms : ESD_NUDGE_MIN_MS;

    lane->stuck_ms = esd_schedule_ms(d) + delay_ms;
}


static void
esd_nudge_ended(esd_send_t *send, CURLcode result)
{
    esd_outcome_t  outcome;

    esd_outcome_read(send, result, &outcome);
    esd_nudge_settle(send, &outcome);
    esd_outcome_apply(send, &outcome);
}


static void
esd_nudge_send(esd_dispatcher_t *d, esd_lane_t *lane)
{
    int          n;
    char         id[ES_ID_MAX + 1], after[ES_CURSOR_MAX];
    es_rc_t      rc;
    esd_send_t  *send;

    if (!esd_token_ready(d, lane->target)) {
        return;
    }

    send = esd_send_get(d, lane->target);
    rc = ES_NOMEM;

    if (send != NULL) {
        (void) es_feed_cursor(&lane->source->feed, esd_nudge_after(lane),
                              after);
        n = snprintf(id, sizeof(id), "nudge-%s-%s", lane->target->name,
                     after);

        esd_message_begin(send);
        rc = esd_nudge_compose(lane, send, (es_str_t) { id, (size_t) n },
                               after);
    }

    if (rc == ES_OK) {
        send->upto = lane->source->feed.last;
        send->attempt = lane->nudges + 1;
        rc = esd_send_start(send, lane, esd_nudge_ended);
    }

    if (rc != ES_OK) {
        esd_lane_stuck(lane, lane->position, rc);
    }
}


bool
esd_nudge_turn(esd_dispatcher_t *d, es_txn_t *txn, esd_lane_t *lane,
    bool *again)
{
    *again = false;

    if (!TAILQ_EMPTY(&lane->sends)) {

        /* events in flight end first */

        return TAILQ_FIRST(&lane->sends)->kind == ESD_SEND_NUDGE
               || lane->nudges > 0;
    }

    if (!esd_nudge_counted(txn, lane)) {
        *again = true;
        return true;
    }

    if (lane->nahead + lane->nwaiting <= lane->target->conf->nudge) {
        lane->nudges = 0;
        return false;
    }

    esd_nudge_send(d, lane);

    return true;
}
