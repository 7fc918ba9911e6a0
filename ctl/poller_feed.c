/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The feed of "verify-poller": its places, and pages of them in the formats of
 * docs/http-read.md.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/random.h"
#include "poller.h"

#define POLLER_TYPE      "order.updated"
#define POLLER_UNKNOWN_TYPE  "verify_unknown"
#define POLLER_FILLER    (60 * 1024)
#define POLLER_OPAQUE    20


static ctl_place_t *
ctl_poll_feed_room(ctl_poll_feed_t *feed)
{
    ctl_place_t  *places;

    places = realloc(feed->places, (feed->n + 1) * sizeof(ctl_place_t));
    if (places == NULL) {
        return NULL;
    }

    feed->places = places;
    memset(&places[feed->n], 0, sizeof(ctl_place_t));

    return &places[feed->n++];
}


bool
ctl_poll_feed_epoch(ctl_poll_feed_t *feed)
{
    ctl_place_t  *place;

    place = ctl_poll_feed_room(feed);

    if (place == NULL || es_random_base32(feed->epoch, 8) != ES_OK) {
        return false;
    }

    feed->epoch[8] = '\0';
    feed->sequence = 0;
    feed->oldest = feed->n - 1;

    place->kind = CTL_PLACE_HIDDEN;
    (void) snprintf(place->cursor, sizeof(place->cursor), "%s-0", feed->epoch);

    return true;
}


bool
ctl_poll_feed_begin(ctl_poll_feed_t *feed, const char *name)
{
    memset(feed, 0, sizeof(*feed));
    (void) snprintf(feed->name, sizeof(feed->name), "%s", name);

    return ctl_poll_feed_epoch(feed);
}


bool
ctl_poll_feed_add(ctl_poll_feed_t *feed, ctl_place_kind_t kind, unsigned step,
    bool opaque)
{
    char          text[POLLER_OPAQUE + 1];
    ctl_place_t  *place;

    place = ctl_poll_feed_room(feed);

    if (place == NULL || es_random_base32(text, POLLER_OPAQUE) != ES_OK) {
        return false;
    }

    text[POLLER_OPAQUE] = '\0';
    place->kind = kind;
    place->step = step;
    place->sequence = ++feed->sequence;

    (void) snprintf(place->id, sizeof(place->id), "verify-%.6s-%06zu", text,
                    feed->n);

    if (opaque) {
        (void) snprintf(place->cursor, sizeof(place->cursor), "%s-%s",
                        feed->epoch, text);
    } else {
        (void) snprintf(place->cursor, sizeof(place->cursor), "%s-%" PRIu64,
                        feed->epoch, place->sequence);
    }

    return true;
}


void
ctl_poll_feed_free(ctl_poll_feed_t *feed)
{
    free(feed->places);
}


size_t
ctl_poll_feed_find(const ctl_poll_feed_t *feed, const char *cursor)
{
    size_t  i;

    for (i = 0; i < feed->n; i++) {
        if (strcmp(feed->places[i].cursor, cursor) == 0) {
            return i;
        }
    }

    return POLLER_UNKNOWN;
}


void
ctl_poll_feed_hide(ctl_poll_feed_t *feed, unsigned step)
{
    size_t  i;

    for (i = 0; i < feed->n; i++) {
        if (feed->places[i].step == step) {
            feed->places[i].kind = CTL_PLACE_HIDDEN;
        }
    }
}


/* The type that the request's filter takes; an unknown one where it takes
   several. */

static es_rc_t
ctl_poll_event_type(const ctl_place_t *place, const ctl_asked_t *asked,
    es_buf_t *out)
{
    bool    unknown;
    size_t  n;

    unknown = place->kind == CTL_PLACE_TYPE;
    n = strlen(asked->type);

    if (n == 0) {
        return es_buf_printf(out, "%s", unknown
                             ? "eventsync." POLLER_UNKNOWN_TYPE : POLLER_TYPE);
    }

    if (asked->type[n - 1] == '*') {
        return es_buf_printf(out, "%.*s%s", (int) n - 1, asked->type,
                             unknown ? POLLER_UNKNOWN_TYPE : "updated");
    }

    return es_buf_printf(out, "%s", asked->type);
}


static es_rc_t
ctl_poll_event_data(const ctl_place_t *place, es_buf_t *out)
{
    es_rc_t  rc;

    rc = es_buf_printf(out, "\"data\":{\"number\":%" PRIu64, place->sequence);

    if (rc == ES_OK && place->kind == CTL_PLACE_LARGE) {
        rc = es_buf_printf(out, ",\"filler\":\"%0*d\"", POLLER_FILLER, 0);
    }

    if (rc == ES_OK && place->kind == CTL_PLACE_TEXT) {
        rc = es_buf_printf(out, ",\"text\":\"\xc5\xbelu\xc5\xa5ou\xc4\x8dk\xc3"
                           "\xbd \xf0\x9f\x90\x8e\"");
    }

    return rc == ES_OK ? es_buf_printf(out, "}}") : rc;
}


es_rc_t
ctl_poll_event(const ctl_poll_feed_t *feed, size_t n, const char *prev,
    const ctl_asked_t *asked, es_buf_t *out)
{
    char                time[ES_TIME_LEN];
    es_rc_t             rc;
    const ctl_place_t  *place = &feed->places[n];

    es_time_print(es_clock_ms(), time);

    rc = es_buf_printf(out, "{\"specversion\":\"1.0\",\"id\":\"%s\","
                       "\"source\":\"/eventsync/verify\",\"type\":\"",
                       place->id);
    if (rc == ES_OK) {
        rc = ctl_poll_event_type(place, asked, out);
    }

    if (rc == ES_OK) {
        rc = es_buf_printf(out, "\",\"time\":\"%.*s\",\"subject\":\"%s\",%s"
                           "\"feed\":\"%s\",\"sequence\":\"%020" PRIu64 "\","
                           "\"cursor\":\"%s\",\"prevcursor\":\"%s\",",
                           ES_TIME_LEN, time,
                           asked->subject[0] ? asked->subject : "order/42",
                           place->kind == CTL_PLACE_MEMBERS
                           ? "\"verifynote\":\"of no meaning\","
                             "\"verifyflag\":true," : "",
                           feed->name, place->sequence, place->cursor, prev);
    }

    return rc == ES_OK ? ctl_poll_event_data(place, out) : rc;
}


/* The events of the page, with these texts between and after them. */

static es_rc_t
ctl_poll_page_events(const ctl_poll_feed_t *feed, const ctl_page_t *page,
    const ctl_asked_t *asked, const char *between, const char *after,
    es_buf_t *out)
{
    bool         first;
    size_t       i;
    es_rc_t      rc;
    const char  *prev;

    rc = ES_OK;
    first = true;
    prev = feed->places[page->first].cursor;

    for (i = page->first + 1; rc == ES_OK && i <= page->to; i++) {

        if (feed->places[i].kind == CTL_PLACE_HIDDEN) {
            continue;
        }

        rc = es_buf_printf(out, "%s", first ? "" : between);

        if (rc == ES_OK) {
            rc = ctl_poll_event(feed, i, prev, asked, out);
        }

        if (rc == ES_OK) {
            rc = es_buf_printf(out, "%s", after);
        }

        prev = feed->places[i].cursor;
        first = false;
    }

    return rc;
}


es_rc_t
ctl_poll_page(const ctl_poll_feed_t *feed, const ctl_page_t *page,
    const ctl_asked_t *asked, bool members, es_buf_t *out)
{
    es_rc_t  rc = ES_OK;

    switch (asked->format) {

    case CTL_FORMAT_LINES:
        return ctl_poll_page_events(feed, page, asked, "", "\n", out);

    case CTL_FORMAT_BATCH:
        rc = es_buf_printf(out, "[");
        break;

    case CTL_FORMAT_JSON:
    case CTL_FORMAT_STREAM:
        rc = es_buf_printf(out, "{\"events\":[");
        break;
    }

    if (rc == ES_OK) {
        rc = ctl_poll_page_events(feed, page, asked, ",", "", out);
    }

    if (rc != ES_OK || asked->format == CTL_FORMAT_BATCH) {
        return rc == ES_OK ? es_buf_printf(out, "]") : rc;
    }

    return es_buf_printf(out, "],%s\"next\":\"%s\",\"has_more\":%s,"
                         "\"oldest\":\"%s\",\"latest\":\"%s\"}",
                         members ? "\"verify\":{\"note\":[\"of no meaning\","
                                   "null]}," : "",
                         feed->places[page->to].cursor,
                         page->more ? "true" : "false",
                         feed->places[feed->oldest].cursor,
                         feed->places[feed->n - 1].cursor);
}
