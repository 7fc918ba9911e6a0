/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What a poller may request beside events: a token, its feeds, a snapshot, and
 * a checkpoint that stores its cursor.  The answers have the members that a
 * poller uses, and are not judged.
 */

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "poller.h"

#define OTHER_TOKEN  "verify-poller-token"


static es_rc_t
ctl_other_ok(ctl_reply_t *reply, unsigned status, json_t *body)
{
    char     *text;
    es_rc_t   rc;

    reply->status = status;
    reply->type = "application/json";

    text = json_dumps(body, JSON_COMPACT);
    json_decref(body);

    rc = text != NULL ? es_buf_str(&reply->body, es_str(text)) : ES_NOMEM;
    free(text);

    return rc;
}


static json_t *
ctl_other_feed(const ctl_poll_feed_t *feed)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:{s:n, s:n, s:n}, s:f}",
                     "name", feed->name, "epoch", feed->epoch, "oldest",
                     feed->places[feed->oldest].cursor, "latest",
                     feed->places[feed->n - 1].cursor, "page_size", 100,
                     "retention", "count", "bytes", "seconds", "event_rate",
                     0.0);
}


/* The state at the end of the feed. */

static es_rc_t
ctl_other_snapshot(ctl_poller_t *p, ctl_reply_t *reply)
{
    size_t       n;
    es_rc_t      rc;
    ctl_asked_t  asked = { 0 };

    n = p->feed.n - 1;
    p->snapshot = n;
    reply->status = MHD_HTTP_OK;
    reply->type = "application/json";

    rc = es_buf_printf(&reply->body, "{\"events\":[");

    if (rc == ES_OK && p->feed.places[n].kind != CTL_PLACE_HIDDEN) {
        rc = ctl_poll_event(&p->feed, n, p->feed.places[n - 1].cursor, &asked,
                            &reply->body);
    }

    return rc == ES_OK ? es_buf_printf(&reply->body, "],\"cursor\":\"%s\","
                                       "\"next\":null}",
                                       p->feed.places[n].cursor)
                       : rc;
}


/* All consumers are one. */

static es_rc_t
ctl_other_checkpoint(ctl_poller_t *p, const char *method, const char *consumer,
    es_str_t body, ctl_reply_t *reply)
{
    char         time[ES_TIME_LEN + 1] = { 0 };
    size_t       at;
    json_t      *wanted;
    const char  *cursor;

    if (strcmp(method, "PUT") == 0) {
        wanted = json_loadb(body.len > 0 ? body.data : "", body.len, 0, NULL);
        cursor = json_string_value(json_object_get(wanted, "cursor"));
        at = cursor != NULL ? ctl_poll_feed_find(&p->feed, cursor)
                            : POLLER_UNKNOWN;
        json_decref(wanted);

        if (at == POLLER_UNKNOWN) {
            return ctl_poller_problem(reply, MHD_HTTP_BAD_REQUEST,
                                      "invalid-cursor", "no answer had this "
                                      "cursor");
        }

        (void) snprintf(p->checkpoint, sizeof(p->checkpoint), "%s",
                        p->feed.places[at].cursor);
    }

    if (p->checkpoint[0] == '\0') {
        return ctl_poller_problem(reply, MHD_HTTP_NOT_FOUND, "not-found",
                                  "there is no such checkpoint");
    }

    es_time_print(es_clock_ms(), time);

    return ctl_other_ok(reply, MHD_HTTP_OK,
                        json_pack("{s:s, s:s, s:s, s:s, s:s}", "consumer",
                                  consumer, "feed", p->feed.name, "cursor",
                                  p->checkpoint, "updated", time, "status",
                                  "ok"));
}


es_rc_t
ctl_poller_token(const ctl_poller_t *p, ctl_reply_t *reply)
{
    return p->revoked_us != 0
           ? ctl_other_ok(reply, MHD_HTTP_UNAUTHORIZED,
                          json_pack("{s:s}", "error", "invalid_client"))
           : ctl_other_ok(reply, MHD_HTTP_OK,
                          json_pack("{s:s, s:s, s:i, s:s}", "access_token",
                                    OTHER_TOKEN, "token_type", "Bearer",
                                    "expires_in", 900, "scope", "read"));
}


es_rc_t
ctl_poller_other(ctl_poller_t *p, const char *method, const char *path,
    es_str_t body, ctl_reply_t *reply)
{
    char    base[128];
    size_t  i, n;

    static const char *const  others[] = {
        "backfill", "manifest", "pages/", "authorize"
    };

    n = (size_t) snprintf(base, sizeof(base), POLLER_PREFIX "/feeds/%s/",
                          p->feed.name);

    if (strcmp(path, POLLER_PREFIX "/feeds") == 0) {
        return ctl_other_ok(reply, MHD_HTTP_OK,
                            json_pack("{s:[o]}", "feeds",
                                      ctl_other_feed(&p->feed)));
    }

    if (strncmp(path, base, n - 1) == 0 && path[n - 1] == '\0') {
        return ctl_other_ok(reply, MHD_HTTP_OK, ctl_other_feed(&p->feed));
    }

    if (strncmp(path, base, n) != 0) {
        return ES_NOT_FOUND;
    }

    if (strcmp(path + n, "snapshot") == 0) {
        return ctl_other_snapshot(p, reply);
    }

    if (strncmp(path + n, "checkpoints/", 12) == 0) {
        return ctl_other_checkpoint(p, method, path + n + 12, body, reply);
    }

    for (i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        if (strncmp(path + n, others[i], strlen(others[i])) == 0) {
            return ctl_poller_problem(reply, MHD_HTTP_NOT_FOUND, "not-found",
                                      "verify-poller does not have this");
        }
    }

    return ES_NOT_FOUND;
}
