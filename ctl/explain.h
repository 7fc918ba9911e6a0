/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "explain": why an endpoint is not being sent something.
 *
 * explain.c has the command and what holds for the whole endpoint,
 * explain_feed.c each of its feeds, and explain_event.c the fate of one event.
 */

#ifndef CTL_EXPLAIN_H
#define CTL_EXPLAIN_H

#include "delivery/report.h"
#include "dispatcher.h"
#include "finding.h"

typedef struct {
    ctl_t                *ctl;
    es_registry_t        *registry;
    const es_endpoint_t  *endpoint;
    es_report_feeds_t     feeds;
    ctl_dispatcher_t      dispatcher;
    json_t               *reasons;     /* findings with "reason" */
} ctl_explain_t;

/* An event whose fate is asked for. */
typedef struct {
    es_feed_t    feed;
    es_cursor_t  cursor;
    bool         kept;             /* the log has it */
    bool         matches;          /* the endpoint's filter; only if it is
                                      kept, as are the rest */
    int64_t      time_ms;          /* of its commit */
    char         type[256];        /* as in JSON text, cut */
    char         subject[256];     /* the same; "" if there is none */
    json_t      *fate;             /* its finding */
    json_t      *attempts;         /* reports, the last first */
} ctl_explain_event_t;

/* Adds the finding of a reason to x->reasons.  `feed` is NULL if the reason is
   not one feed's. */
#define ctl_explain_add(x, why, feed, ...)                                     \
    ctl_explain_named(ctl_finding_add((x)->reasons, __VA_ARGS__), (why), (feed))

json_t *ctl_explain_named(json_t *finding, const char *why, const char *feed);

/* ---- explain_feed.c ---- */

/* Adds the reasons of one feed that the endpoint's record names, or of all of
   them. */
es_rc_t ctl_explain_feed(ctl_explain_t *x, const es_feed_t *feed);
es_rc_t ctl_explain_feeds(ctl_explain_t *x);

/* ---- explain_event.c ---- */

/*
 * Finds the event of a cursor: its feed is `feed`, or if that is NULL, the feed
 * that has the cursor's epoch.  CTL_FAILED or CTL_USAGE with a message.
 */
int ctl_explain_event_find(ctl_explain_t *x, const char *cursor,
    const char *feed, ctl_explain_event_t *event);

/* Sets the fate and the attempts.  The caller frees them. */
es_rc_t ctl_explain_event_fate(ctl_explain_t *x, ctl_explain_event_t *event);

#endif /* CTL_EXPLAIN_H */
