/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Reads the members of an event that a receiver needs, and tells an event of a
 * feed from a test event and a nudge.
 */

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "ctl.h"
#include "incoming.h"

typedef enum {
    CTL_FEED = 0, CTL_CURSOR, CTL_PREVCURSOR, CTL_TYPE, CTL_SUBJECT,
    CTL_SOURCE, CTL_SEQUENCE, CTL_ID, CTL_SHOWN
} ctl_shown_t;


/* Returns CTL_SHOWN for any other member. */

static ctl_shown_t
ctl_event_member(es_str_t name)
{
    ctl_shown_t  i;

    static const char *const  names[CTL_SHOWN] = {
        "\"feed\"", "\"cursor\"", "\"prevcursor\"", "\"type\"", "\"subject\"",
        "\"source\"", "\"sequence\"", "\"id\""
    };

    for (i = 0; i < CTL_SHOWN; i++) {
        if (es_str_eq(name, es_str(names[i]))) {
            break;
        }
    }

    return i;
}


/* Finds the text of each member of ctl_shown_t that is a string. */

static es_rc_t
ctl_event_members(es_str_t text, es_str_t shown[CTL_SHOWN])
{
    bool             first;
    es_rc_t          rc;
    es_json_t        json;
    ctl_shown_t      i;
    es_json_value_t  name, value;

    es_json_init(&json, text.data, text.len);

    if (es_json_enter(&json, '{') != ES_OK) {
        return ES_INVALID;
    }

    for (first = true;
         (rc = es_json_member(&json, first, &name, &value)) == ES_OK;
         first = false)
    {
        i = ctl_event_member(name.text);

        if (i < CTL_SHOWN && value.type == ES_JSON_STRING) {
            shown[i].data = value.text.data + 1;
            shown[i].len = value.text.len - 2;
        }
    }

    return rc == ES_NOT_FOUND ? es_json_end(&json) : ES_INVALID;
}


es_rc_t
ctl_event_parse(es_str_t text, ctl_event_t *event)
{
    es_str_t  shown[CTL_SHOWN] = { { NULL, 0 } };

    if (ctl_event_members(text, shown) != ES_OK
        || !es_feed_name_ok(shown[CTL_FEED])
        || es_cursor_parse(shown[CTL_CURSOR], &event->cursor) != ES_OK
        || es_cursor_parse(shown[CTL_PREVCURSOR], &event->prev) != ES_OK
        || event->prev.sequence >= event->cursor.sequence
        || shown[CTL_TYPE].len == 0)
    {
        return ES_INVALID;
    }

    (void) snprintf(event->feed, sizeof(event->feed), "%.*s",
                    (int) shown[CTL_FEED].len, shown[CTL_FEED].data);
    event->type = shown[CTL_TYPE];
    event->subject = shown[CTL_SUBJECT].len > 0 ? shown[CTL_SUBJECT]
                                                : es_lit("-");

    return ES_OK;
}


bool
ctl_event_is_test(es_str_t text)
{
    es_str_t  shown[CTL_SHOWN] = { { NULL, 0 } };

    return ctl_event_members(text, shown) == ES_OK
           && es_str_eq(shown[CTL_SOURCE], es_lit("/eventsync"))
           && shown[CTL_ID].len > 5
           && memcmp(shown[CTL_ID].data, "test-", 5) == 0
           && shown[CTL_TYPE].len > 0
           && shown[CTL_SEQUENCE].len == 0
           && shown[CTL_CURSOR].len == 0;
}


char *
ctl_event_challenge(es_str_t text)
{
    char        *challenge;
    json_t      *event;
    es_str_t     shown[CTL_SHOWN] = { { NULL, 0 } };
    const char  *value;

    if (ctl_event_members(text, shown) != ES_OK
        || !es_str_eq(shown[CTL_SOURCE], es_lit("/eventsync"))
        || !es_str_eq(shown[CTL_TYPE], es_lit("eventsync.challenge"))
        || shown[CTL_SEQUENCE].len > 0)
    {
        return NULL;
    }

    event = json_loadb(text.data, text.len, 0, NULL);
    value = json_string_value(json_object_get(json_object_get(event, "data"),
                                              "challenge"));

    /* it is repeated within JSON */

    challenge = value != NULL
                && strspn(value, "abcdefghijklmnopqrstuvwxyz234567")
                   == strlen(value)
                ? strdup(value) : NULL;
    json_decref(event);

    return challenge;
}


bool
ctl_event_is_nudge(es_str_t text, char feed[ES_FEED_MAX + 1])
{
    es_str_t  shown[CTL_SHOWN] = { { NULL, 0 } };

    if (ctl_event_members(text, shown) != ES_OK
        || !es_str_eq(shown[CTL_SOURCE], es_lit("/eventsync"))
        || !es_str_eq(shown[CTL_TYPE], es_lit("feed.poll"))
        || shown[CTL_SEQUENCE].len > 0
        || !es_feed_name_ok(shown[CTL_SUBJECT]))
    {
        return false;
    }

    (void) snprintf(feed, ES_FEED_MAX + 1, "%.*s",
                    (int) shown[CTL_SUBJECT].len, shown[CTL_SUBJECT].data);

    return true;
}


/* An attribute's value, which stands between quotes in the event. */

static json_t *
ctl_event_text(es_str_t text)
{
    char    *quoted;
    json_t  *value;

    quoted = NULL;
    value = NULL;

    if (asprintf(&quoted, "\"%.*s\"", (int) text.len, text.data) >= 0) {
        value = json_loads(quoted, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        free(quoted);
    }

    return value != NULL ? value : json_null();
}


void
ctl_event_print(const char *how, const ctl_event_t *event)
{
    char  cursor[ES_CURSOR_MAX];

    (void) es_cursor_print(event->cursor.epoch, event->cursor.sequence,
                           cursor);

    ctl_happened(how, json_pack("{s:s, s:s, s:o, s:o}", "feed", event->feed,
                                "cursor", cursor, "type",
                                ctl_event_text(event->type), "subject",
                                ctl_event_text(event->subject)),
                 "%s %s %.*s %.*s", event->feed, cursor,
                 (int) event->type.len, event->type.data,
                 (int) event->subject.len, event->subject.data);
}
