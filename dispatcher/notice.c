/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Operational events: their contents.
 *
 * The loop composes an event and stores it in the same commit as its cause;
 * notifier.c publishes it afterwards.  Deliveries of the partner's feed of
 * operational events cause no such events, because those would be the next
 * ones to deliver: see failing.c and esd_notice_exhausted().
 */

#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"
#include "base/clock.h"
#include "base/hash.h"
#include "catalogue/catalogue.h"
#include "delivery/away_feeds.h"
#include "delivery/delivery.h"
#include "delivery/outbox.h"
#include "delivery/stall.h"
#include "delivery/verification.h"
#include "event/attribute.h"
#include "event/cursor.h"
#include "manage/clearing.h"
#include "read/lag.h"
#include "registry/control_request.h"
#include "registry/data_use.h"
#include "registry/registry.h"

#include "clearing.h"
#include "dispatcher.h"
#include "lane.h"
#include "notice.h"
#include "recorder.h"
#include "target.h"
#include "trusted_clock.h"

#define ESD_NOTICE_ID_MAX   320    /* before it is shortened */
#define ESD_NOTICE_ID_HASH  17     /* bytes of the hash that makes it unique */


bool
esd_notice_own(const esd_lane_t *lane)
{
    return es_str_eq(lane->target->conf->partner->operations,
                     es_str(lane->source->feed.name));
}


const char *
esd_notice_time(int64_t ms, char text[ES_TIME_LEN + 1])
{
    if (ms == 0) {
        return NULL;
    }

    es_time_print(ms, text);
    text[ES_TIME_LEN] = '\0';

    return text;
}


/* Returns the event as JSON and releases `data`.  NULL: out of memory. */

static char *
esd_notice_compose(const char *type, const char *endpoint, int64_t now_ms,
    const char *id, json_t *data)
{
    char    *text, time[ES_TIME_LEN + 1];
    json_t  *event;

    event = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:o}",
                      "specversion", "1.0", "id", id,
                      "source", "/eventsync", "type", type,
                      "time", esd_notice_time(now_ms, time),
                      "subject", endpoint,
                      "datacontenttype", "application/json", "data", data);

    text = event != NULL ? json_dumps(event, JSON_COMPACT) : NULL;
    json_decref(event);

    return text;
}


/* The names of feeds and endpoints may be longer than an id allows.  A hash
   replaces the rest of a long one.  An id must not have the dots of a type. */

static void
esd_notice_shorten(char *id)
{
    char      *p;
    uint64_t   hash;

    for (p = id; *p != '\0'; p++) {
        *p = *p == '.' ? '-' : *p;
    }

    if (strlen(id) > ES_ID_MAX) {
        hash = es_hash_long(id, strlen(id), 0);

        (void) snprintf(id + ES_ID_MAX - ESD_NOTICE_ID_HASH,
                        ESD_NOTICE_ID_HASH + 1, "-%016llx",
                        (unsigned long long) hash);
    }
}


/* Adds the event to the outbox in the same set of changes.  `feed` is the feed
   of the partner's operational events, and `endpoint` the subject. */

static es_rc_t
esd_notice_put(esd_dispatcher_t *d, es_changeset_t *changes, es_str_t feed,
    es_str_t endpoint, const char *type, const char *suffix, json_t *data)
{
    char       id[ESD_NOTICE_ID_MAX], name[ES_TYPE_LABEL_MAX], *text;
    es_rc_t    rc;
    int64_t    now_ms;
    uint64_t   number;

    now_ms = esd_clock_stamp_ms(d);

    (void) snprintf(name, sizeof(name), "%.*s", (int) endpoint.len,
                    endpoint.data);
    (void) snprintf(id, sizeof(id), "%.*s-%s-%s-%lld",
                    (int) strcspn(type, "."), type, name, suffix,
                    (long long) now_ms);
    esd_notice_shorten(id);

    text = esd_notice_compose(type, name, now_ms, id, data);
    number = atomic_fetch_add(&d->notifier.last, 1) + 1;

    rc = text == NULL
         ? ES_NOMEM : es_changeset_outbox_put(changes, number, feed,
                                              es_str(text));
    free(text);

    return rc;
}


/* Adds the event to the set of changes that also has its cause. */

static void
esd_notice_add(esd_dispatcher_t *d, const esd_target_t *target,
    const char *type, const char *suffix, json_t *data)
{
    esd_must(d, esd_notice_put(d, d->recorder.filling,
                               target->conf->partner->operations,
                               target->conf->name, type, suffix, data));
    d->recorder.notices = true;
}


/* The same for a kept position, whose endpoint may be removed. */

static void
esd_notice_add_away(esd_dispatcher_t *d, const es_away_t *away,
    const char *type, const char *suffix, json_t *data)
{
    esd_must(d, esd_notice_put(d, d->recorder.filling,
                               es_str(away->operations), es_str(away->name),
                               type, suffix, data));
    d->recorder.notices = true;
}


/* False for the feed of operational events itself. */

static bool
esd_notice_away_wanted(const es_away_t *away)
{
    return away->operations[0] != '\0'
           && strcmp(away->operations, away->feed_name) != 0;
}


static bool
esd_notice_wanted(const esd_target_t *target)
{
    return target->conf->partner->operations.data != NULL;
}


void
esd_notice_stopped(esd_dispatcher_t *d, const esd_target_t *target,
    const char *reason)
{
    char  since[ES_TIME_LEN + 1];

    if (esd_notice_wanted(target)) {
        esd_notice_add(d, target, "endpoint.disabled", "disabled",
                       json_pack("{s:s, s:s, s:s*, s:I}",
                                 "endpoint", target->name, "reason", reason,
                                 "since",
                                 esd_notice_time(target->failing.since_ms,
                                                 since),
                                 "attempts",
                                 (json_int_t) target->failing.failures));
    }
}


void
esd_notice_failing(esd_dispatcher_t *d, const esd_target_t *target,
    const char *reason, int64_t next_ms, int64_t disable_ms)
{
    char  since[ES_TIME_LEN + 1], next[ES_TIME_LEN + 1];
    char  disable[ES_TIME_LEN + 1];

    if (esd_notice_wanted(target)) {
        esd_notice_add(d, target, "endpoint.failing", "failing",
                       json_pack("{s:s, s:s, s:s*, s:I, s:s*, s:s*}",
                                 "endpoint", target->name, "reason", reason,
                                 "since",
                                 esd_notice_time(target->failing.since_ms,
                                                 since),
                                 "attempts",
                                 (json_int_t) target->failing.failures,
                                 "next", esd_notice_time(next_ms, next),
                                 "disable_at",
                                 esd_notice_time(disable_ms, disable)));
    }
}


void
esd_notice_recovered(esd_dispatcher_t *d, const esd_target_t *target)
{
    char  since[ES_TIME_LEN + 1];

    if (esd_notice_wanted(target)) {
        esd_notice_add(d, target, "endpoint.recovered", "recovered",
                       json_pack("{s:s, s:s*, s:I}", "endpoint", target->name,
                                 "since",
                                 esd_notice_time(target->failing.since_ms,
                                                 since),
                                 "attempts",
                                 (json_int_t) target->failing.failures));
    }
}


void
esd_notice_exhausted(esd_dispatcher_t *d, const esd_lane_t *lane,
    const es_dead_t *dead, const char *id, const char *reason)
{
    char  cursor[ES_CURSOR_MAX], suffix[ES_CURSOR_MAX + ES_FEED_MAX + 2];

    if (!esd_notice_wanted(lane->target) || esd_notice_own(lane)) {
        return;
    }

    (void) es_cursor_print(dead->epoch, dead->sequence, cursor);
    (void) snprintf(suffix, sizeof(suffix), "%s-%s", lane->source->feed.name,
                    cursor);

    esd_notice_add(d, lane->target, "message.exhausted", suffix,
                   json_pack("{s:s, s:s, s:s, s:s*, s:s, s:I, s:s, s:i}",
                             "endpoint", lane->target->name,
                             "feed", lane->source->feed.name,
                             "cursor", cursor, "id", id, "reason", reason,
                             "attempts", (json_int_t) dead->attempts,
                             "class", es_attempt_class_name(
                                         (es_attempt_class_t) dead->class),
                             "status", (int) dead->status));
}


void
esd_notice_away(esd_dispatcher_t *d, const es_away_t *away, const char *cursor,
    uint64_t behind)
{
    char  until[ES_TIME_LEN + 1], suffix[ES_FEED_MAX + 8];

    if (esd_notice_away_wanted(away)) {
        (void) snprintf(suffix, sizeof(suffix), "away-%s", away->feed_name);

        esd_notice_add_away(d, away, "feed.away", suffix,
                            json_pack("{s:s, s:s, s:s, s:I, s:s}",
                                      "endpoint", away->name,
                                      "feed", away->feed_name,
                                      "cursor", cursor,
                                      "behind", (json_int_t) behind,
                                      "until",
                                      esd_notice_time(away->since_ms
                                                      + ES_AWAY_MS, until)));
    }
}


void
esd_notice_lost(esd_dispatcher_t *d, const es_away_t *away,
    const es_loss_t *loss)
{
    char        from[ES_CURSOR_MAX], to[ES_CURSOR_MAX];
    char        suffix[ES_FEED_MAX + ES_CURSOR_MAX + 8];
    const char *reason;

    if (esd_notice_away_wanted(away)) {
        (void) es_cursor_print(loss->epoch, loss->from, from);
        (void) es_cursor_print(loss->epoch, loss->to, to);
        (void) snprintf(suffix, sizeof(suffix), "lost-%s-%s", away->feed_name,
                        from);
        reason = es_loss_reason_name(loss->reason);

        esd_notice_add_away(d, away, "events.lost", suffix,
                            json_pack("{s:s, s:s, s:I, s:s, s:s, s:s}",
                                      "endpoint", away->name,
                                      "feed", away->feed_name,
                                      "count", (json_int_t) loss->count,
                                      "from", from, "to", to,
                                      "reason", reason));
    }
}


/* A stalled subject has a type of its own, because the endpoint goes on. */

static void
esd_notice_stall(esd_dispatcher_t *d, const esd_target_t *target,
    const esd_lane_t *lane, const es_stall_t *stall, bool stalls,
    json_t *data)
{
    char         cursor[ES_CURSOR_MAX];
    char         suffix[ES_CURSOR_MAX + ES_FEED_MAX + 16];
    const char  *type;

    if (!esd_notice_wanted(target) || (lane != NULL && esd_notice_own(lane))) {
        json_decref(data);
        return;
    }

    (void) es_cursor_print(stall->epoch, stall->sequence, cursor);
    (void) snprintf(suffix, sizeof(suffix), "%s-%s-%s",
                    stalls ? "stalled" : "unstalled",
                    lane != NULL ? lane->source->feed.name : "", cursor);

    type = stall->reason == ES_STALL_SUBJECT
           ? stalls ? "subject.stalled" : "subject.unstalled"
           : stalls ? "endpoint.stalled" : "endpoint.unstalled";

    (void) json_object_set_new(data, "endpoint", json_string(target->name));

    if (lane != NULL) {
        (void) json_object_set_new(data, "feed",
                                   json_string(lane->source->feed.name));
    }

    esd_notice_add(d, target, type, suffix, data);
}


void
esd_notice_stalled(esd_dispatcher_t *d, const esd_target_t *target,
    const esd_lane_t *lane, const es_stall_t *stall, json_t *report)
{
    if (lane != NULL) {
        (void) json_object_set_new(report, "waiting",
                                   json_integer((json_int_t) lane->nwaiting));
    }

    esd_notice_stall(d, target, lane, stall, true, report);
}


void
esd_notice_unstalled(esd_dispatcher_t *d, const esd_target_t *target,
    const esd_lane_t *lane, const es_stall_t *stall)
{
    char  since[ES_TIME_LEN + 1];

    esd_notice_stall(d, target, lane, stall, false,
                     json_pack("{s:s, s:s*}", "reason",
                               es_stall_name((es_stall_reason_t)
                                             stall->reason),
                               "since", esd_notice_time(stall->since_ms,
                                                        since)));
}


void
esd_notice_skipped(esd_dispatcher_t *d, const esd_lane_t *lane,
    const es_dead_t *dead, const char *id, const char *by)
{
    char  cursor[ES_CURSOR_MAX], suffix[ES_CURSOR_MAX + ES_FEED_MAX + 10];

    if (!esd_notice_wanted(lane->target) || esd_notice_own(lane)) {
        return;
    }

    (void) es_cursor_print(dead->epoch, dead->sequence, cursor);
    (void) snprintf(suffix, sizeof(suffix), "skipped-%s-%s",
                    lane->source->feed.name, cursor);

    esd_notice_add(d, lane->target, "message.skipped", suffix,
                   json_pack("{s:s, s:s, s:s, s:s*, s:s, s:I, s:i}",
                             "endpoint", lane->target->name,
                             "feed", lane->source->feed.name,
                             "cursor", cursor, "id", id, "by", by,
                             "attempts", (json_int_t) dead->attempts,
                             "status", (int) dead->status));
}


/* Announces a finished cancel or discard, even of no event. */

static void
esd_notice_cleared(esd_dispatcher_t *d, const esd_target_t *target,
    const char *type, const char *feed, const char *to,
    const esd_clearing_job_t *job)
{
    char                         suffix[32], from[ES_CURSOR_MAX];
    const es_control_request_t  *request;
    const es_clearing_t         *clearing;

    request = &job->clear.request;
    clearing = &job->clearing;

    if (!esd_notice_wanted(target)
        || (feed != NULL
            && es_str_eq(target->conf->partner->operations, es_str(feed))))
    {
        return;
    }

    (void) es_cursor_print(request->epoch, clearing->from, from);
    (void) snprintf(suffix, sizeof(suffix), "request-%llu",
                    (unsigned long long) request->id);

    esd_notice_add(d, target, type, suffix,
                   json_pack("{s:s, s:s*, s:s*, s:s*, s:I, s:s}",
                             "endpoint", target->name, "feed", feed, "from",
                             feed != NULL && clearing->from != 0 ? from : NULL,
                             "to", to,
                             "count", (json_int_t) job->count,
                             "by", clearing->by));
}


void
esd_notice_cancelled(esd_dispatcher_t *d, const esd_target_t *target,
    const char *feed, const esd_clearing_job_t *job)
{
    char  to[ES_CURSOR_MAX];

    (void) es_cursor_print(job->clear.request.epoch, job->upto, to);
    esd_notice_cleared(d, target, "messages.cancelled", feed, to, job);
}


void
esd_notice_discarded(esd_dispatcher_t *d, const esd_target_t *target,
    const char *feed, const esd_clearing_job_t *job)
{
    char  to[ES_CURSOR_MAX];

    (void) es_cursor_print(job->clear.request.epoch, job->clearing.to, to);
    esd_notice_cleared(d, target, "messages.discarded", feed,
                       feed != NULL && job->clearing.to != 0 ? to : NULL, job);
}


es_rc_t
esd_notice_retention(esd_dispatcher_t *d, const es_endpoint_t *endpoint,
    const char *feed, const es_cursor_t *done, const es_lag_t *lag)
{
    char  cursor[ES_CURSOR_MAX], suffix[ES_FEED_MAX + 8];
    char  expires[ES_TIME_LEN + 1];

    (void) es_cursor_print(done->epoch, done->sequence, cursor);
    (void) snprintf(suffix, sizeof(suffix), "near-%s", feed);

    return esd_notice_put(d, d->notifier.changes,
                          endpoint->partner->operations,
                          endpoint->name, "retention.near", suffix,
                          json_pack("{s:s%, s:s, s:s, s:I, s:s*}",
                                    "endpoint", endpoint->name.data,
                                    endpoint->name.len, "feed", feed,
                                    "cursor", cursor,
                                    "behind", (json_int_t) lag->events,
                                    "expires",
                                    esd_notice_time(lag->expires_ms,
                                                    expires)));
}


void
esd_notice_unverified(esd_dispatcher_t *d, const esd_target_t *target,
    const es_verification_t *v)
{
    char  next[ES_TIME_LEN + 1];

    if (esd_notice_wanted(target)) {
        esd_notice_add(d, target, "endpoint.unverified", "unverified",
                       json_pack("{s:s, s:s, s:s, s:I, s:s*}",
                                 "endpoint", target->name,
                                 "origin", v->origin, "reason", v->reason,
                                 "checks", (json_int_t) v->checks,
                                 "next", esd_notice_time(v->next_ms, next)));
    }
}


void
esd_notice_verified(esd_dispatcher_t *d, const esd_target_t *target,
    const es_verification_t *v)
{
    if (esd_notice_wanted(target)) {
        esd_notice_add(d, target, "endpoint.verified", "verified",
                       json_pack("{s:s, s:s}", "endpoint", target->name,
                                 "origin", v->origin));
    }
}


es_rc_t
esd_notice_deprecated(esd_dispatcher_t *d, const es_partner_t *partner,
    json_t *data)
{
    char  label[ES_TYPE_LABEL_MAX], suffix[64];
    (void) snprintf(label, sizeof(label), "%s/%s",
                    json_string_value(json_object_get(data, "type")),
                    json_string_value(json_object_get(data, "version")));

    /* two partners may have the same feed of operational events, and two types
       may differ in their dots only */

    (void) snprintf(suffix, sizeof(suffix), "%lu-%016llx",
                    (unsigned long) partner->number,
                    (unsigned long long) es_hash_long(label, strlen(label),
                                                      0));

    return esd_notice_put(d, d->notifier.changes, partner->operations,
                          es_str(label), "type.deprecated", suffix, data);
}


es_rc_t
esd_notice_data_use(esd_dispatcher_t *d, const es_partner_t *partner,
    unsigned days)
{
    char  suffix[64];

    (void) snprintf(suffix, sizeof(suffix), "%lu-%u-%lld",
                    (unsigned long) partner->number, days,
                    (long long) partner->data_use.expires_ms);

    return esd_notice_put(d, d->notifier.changes, partner->operations,
                          partner->name, "data_use.ends", suffix,
                          es_data_use_report(&partner->data_use));
}


es_rc_t
esd_notice_erased(esd_dispatcher_t *d, const es_partner_t *partner,
    uint64_t number, json_t *data)
{
    char         suffix[64];
    const char  *feed;

    feed = json_string_value(json_object_get(data, "feed"));

    (void) snprintf(suffix, sizeof(suffix), "%lu-%llu",
                    (unsigned long) partner->number,
                    (unsigned long long) number);

    return esd_notice_put(d, d->notifier.changes, partner->operations,
                          es_str(feed), "events.erased", suffix, data);
}
