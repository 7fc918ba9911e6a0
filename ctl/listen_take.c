/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What "listen" does with a request: it verifies the signature and hands the
 * events to the receiver (receiver.h).
 */

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "keys/signature.h"
#include "listen.h"
#include "listen_shape.h"
#include "receiver.h"

#define LISTEN_TOLERANCE_S  300    /* as in all Standard Webhooks libraries */


es_str_t
ctl_listen_header(struct MHD_Connection *connection, const char *name)
{
    return es_str(MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
                                              name));
}


/* The timestamp must be whole decimal seconds, and not too far from now. */

static bool
ctl_listen_timely(es_str_t timestamp)
{
    char       *end;
    long long   at;

    if (timestamp.data[0] < '0' || timestamp.data[0] > '9') {
        return false;
    }

    at = strtoll(timestamp.data, &end, 10);

    return *end == '\0'
           && llabs(at - es_clock_ms() / 1000) <= LISTEN_TOLERANCE_S;
}


/* Returns 0 if the signature is valid, and otherwise the status to answer. */

static unsigned
ctl_listen_verify(const ctl_listen_t *l, struct MHD_Connection *connection,
    es_str_t body)
{
    es_str_t  id, timestamp, signature;

    id = ctl_listen_header(connection, "webhook-id");
    timestamp = ctl_listen_header(connection, "webhook-timestamp");
    signature = ctl_listen_header(connection, "webhook-signature");

    if (id.len == 0 || timestamp.len == 0 || signature.len == 0) {
        (void) ctl_fail(CTL_FAILED, "a request lacks the webhook headers");
        return MHD_HTTP_BAD_REQUEST;
    }

    if (!ctl_listen_timely(timestamp)) {
        (void) ctl_fail(CTL_FAILED, "webhook %s: timestamp %s is not within "
                        "%d s of now", id.data, timestamp.data,
                        LISTEN_TOLERANCE_S);
        return MHD_HTTP_BAD_REQUEST;
    }

    if (!es_signature_verify(l->signer, signature, id, timestamp, body)) {
        (void) ctl_fail(CTL_FAILED, "webhook %s: the signature is invalid",
                        id.data);
        return MHD_HTTP_UNAUTHORIZED;
    }

    return 0;
}


static bool
ctl_listen_fails(const ctl_listen_t *l)
{
    uint32_t  random;

    return l->fail_percent == 100
           || (l->fail_percent > 0
               && es_random(&random, sizeof(random)) == ES_OK
               && random % 100 < l->fail_percent);
}


/* A nudge is acknowledged when its feed has been polled. */

static unsigned
ctl_listen_nudge(ctl_listen_t *l, const char *feed)
{
    ctl_happened("nudge", json_pack("{s:s}", "feed", feed), "%s", feed);

    if (l->receiver.http == NULL) {
        (void) ctl_fail(CTL_FAILED, "feed \"%s\": a nudge needs \"--poll\"",
                        feed);
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    }

    return ctl_receiver_heal(&l->receiver, feed) == CTL_OK
           ? MHD_HTTP_NO_CONTENT : MHD_HTTP_SERVICE_UNAVAILABLE;
}


/* Returns the status for one event.  With `fails` the event is refused. */

static unsigned
ctl_listen_event(ctl_listen_t *l, es_str_t text, bool fails)
{
    char         feed[ES_FEED_MAX + 1];
    ctl_event_t  event;

    if (ctl_event_is_nudge(text, feed)) {
        if (!fails) {
            return ctl_listen_nudge(l, feed);
        }

        ctl_happened("refused", json_pack("{s:s}", "webhook", "nudge"),
                     "a nudge");
        return l->fail_status;
    }

    l->challenge = ctl_event_challenge(text);

    if (l->challenge != NULL) {
        ctl_happened("challenge", json_object(), NULL);
        return MHD_HTTP_OK;
    }

    if (ctl_event_is_test(text)) {
        if (fails) {
            ctl_happened("refused", json_pack("{s:s}", "webhook", "test"),
                         "a test event");
        } else {
            ctl_happened("test", json_object(), NULL);
        }

        return fails ? l->fail_status : MHD_HTTP_NO_CONTENT;
    }

    if (ctl_event_parse(text, &event) != ES_OK) {
        (void) ctl_fail(CTL_FAILED, "a signed webhook is not an event of a "
                        "feed; for data only there is \"--data-only\"");
        return MHD_HTTP_BAD_REQUEST;
    }

    if (fails) {
        ctl_event_print("refused", &event);
        return l->fail_status;
    }

    /* After a failure to store the event, the sender must send it again. */

    return ctl_receiver_take(&l->receiver, &event) == CTL_OK
           ? MHD_HTTP_NO_CONTENT : MHD_HTTP_SERVICE_UNAVAILABLE;
}


/* Takes the events of a batch in order, up to the first that is refused.  Those
   before it are duplicates when the batch is sent again. */

static unsigned
ctl_listen_batch(ctl_listen_t *l, es_str_t text, bool fails)
{
    bool             first;
    es_rc_t          rc;
    unsigned         status;
    es_json_t        json;
    es_json_value_t  value;

    es_json_init(&json, text.data, text.len);

    if (es_json_enter(&json, '[') != ES_OK) {
        return ctl_listen_event(l, text, fails);
    }

    status = MHD_HTTP_BAD_REQUEST;

    for (first = true; (rc = es_json_item(&json, first, &value)) == ES_OK;
         first = false)
    {
        status = ctl_listen_event(l, value.text, fails);
        if (status != MHD_HTTP_NO_CONTENT) {
            return status;
        }
    }

    return rc == ES_NOT_FOUND ? status : MHD_HTTP_BAD_REQUEST;
}


/* Data without attributes belongs to no position of a feed. */

static unsigned
ctl_listen_data(const ctl_listen_t *l, struct MHD_Connection *connection,
    es_str_t data, bool fails)
{
    es_str_t     feed;
    const char  *id;

    id = ctl_listen_header(connection, "webhook-id").data;
    feed = ctl_listen_header(connection, "eventsync-feed");
    feed = es_feed_name_ok(feed) ? feed : es_lit("-");

    ctl_happened(fails ? "refused" : "data",
                 json_pack("{s:s, s:s, s:I}", "feed", feed.data, "id", id,
                           "bytes", (json_int_t) data.len),
                 "%s %s %zu bytes", feed.data, id, data.len);

    return fails ? l->fail_status : MHD_HTTP_NO_CONTENT;
}


/* Takes a request that is verified, in the shape that it has. */

static unsigned
ctl_listen_shape(ctl_listen_t *l, struct MHD_Connection *connection,
    es_str_t body)
{
    bool      fails;
    es_rc_t   rc;
    es_buf_t  event = { 0 };
    unsigned  status;

    fails = ctl_listen_fails(l);

    rc = l->data_only ? ctl_listen_own(connection, body, &event)
                      : ctl_listen_binary(connection, body, &event);

    if (rc == ES_OK) {
        status = ctl_listen_event(l, (es_str_t) { event.data, event.len },
                                  fails);

    } else if (rc == ES_NOT_FOUND) {
        status = l->data_only ? ctl_listen_data(l, connection, body, fails)
                              : ctl_listen_batch(l, body, fails);

    } else {
        (void) ctl_fail(CTL_FAILED, "webhook %s: a ce- header field is "
                        "malformed, or ce-id is another id",
                        ctl_listen_header(connection, "webhook-id").data);
        status = MHD_HTTP_BAD_REQUEST;
    }

    es_buf_free(&event);

    return status;
}


unsigned
ctl_listen_take(ctl_listen_t *l, struct MHD_Connection *connection,
    ctl_listen_request_t *request)
{
    es_str_t  text;
    unsigned  status;

    text.data = request->body.data ? request->body.data : "";
    text.len = request->body.len;

    (void) pthread_mutex_lock(&l->lock);

    status = ctl_listen_verify(l, connection, text);

    l->unsigned_n += status != 0;

    if (status == 0) {
        status = ctl_listen_shape(l, connection, text);
        (void) fflush(stdout);
    }

    if (l->challenge != NULL
        && es_buf_printf(&request->answer, "{\"challenge\":\"%s\"}",
                         l->challenge) != ES_OK)
    {
        status = MHD_HTTP_SERVICE_UNAVAILABLE;
    }

    free(l->challenge);
    l->challenge = NULL;

    request->wait_s = status == MHD_HTTP_SERVICE_UNAVAILABLE
                      ? ctl_receiver_wait_s(&l->receiver) : 0;

    (void) pthread_mutex_unlock(&l->lock);

    return status;
}
