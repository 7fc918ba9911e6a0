/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "explain ENDPOINT": reads the records and says what keeps the endpoint from
 * being sent events, or one event.
 *
 * It changes nothing and sends nothing.  The reasons come in the order in which
 * they take effect: the dispatcher, the record, the destination, the failures,
 * and then each feed.
 */

#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "delivery/endpoint_status.h"
#include "delivery/hint.h"
#include "delivery/outbox.h"
#include "delivery/stall.h"
#include "delivery/verification.h"
#include "destination.h"
#include "explain.h"
#include "log/store_clock.h"
#include "object.h"


json_t *
ctl_explain_named(json_t *finding, const char *why, const char *feed)
{
    ctl_finding_set(finding, "reason", why);
    ctl_finding_set(finding, "feed", feed);

    return finding;
}


static void
ctl_explain_dispatcher(ctl_explain_t *x)
{
    char     time[ES_TIME_LEN + 1];
    json_t  *finding;

    if (x->dispatcher.alive) {
        return;
    }

    finding = x->dispatcher.heartbeat_ms == 0
              ? ctl_explain_add(x, "dispatcher", NULL,
                                "no dispatcher has ever run on this store")
              : ctl_explain_add(x, "dispatcher", NULL, "no dispatcher runs, or "
                                "it cannot write its state, since %s",
                                ctl_finding_time(x->dispatcher.heartbeat_ms,
                                                 time));
    ctl_finding_next(finding, "systemctl start eventsync-dispatcher");
}


static const char *
ctl_explain_failure(es_failure_t failure)
{
    static const char  *const  names[] = {
        [ES_SIMULATE_NONE] = "none",
        [ES_SIMULATE_STATUS_CODE] = "status",
        [ES_SIMULATE_DELAY] = "delay",
        [ES_SIMULATE_RESET] = "reset",
        [ES_SIMULATE_TRUNCATE] = "truncate",
        [ES_SIMULATE_TLS] = "tls",
        [ES_SIMULATE_DUPLICATE] = "duplicate",
        [ES_SIMULATE_REORDER] = "reorder",
        [ES_SIMULATE_DROP] = "drop"
    };

    return names[failure];
}


/* What the records of endpoint and partner say. */

static void
ctl_explain_record(ctl_explain_t *x)
{
    char                  time[ES_TIME_LEN + 1];
    json_t               *finding;
    const es_endpoint_t  *e;

    e = x->endpoint;

    if (es_partner_ended(e->partner, es_clock_ms())) {
        finding = ctl_explain_add(x, "disabled", NULL, "the data-use "
                                  "agreement of the partner %s has ended",
                                  e->partner->name.data);
        ctl_finding_next(finding, "eventsyncctl partner data-use %s "
                         "--expires=TIME", e->partner->name.data);

    } else if (e->partner->disabled) {
        finding = ctl_explain_add(x, "disabled", NULL, "the partner %s is "
                                  "disabled", e->partner->name.data);
        ctl_finding_next(finding, "eventsyncctl partner change %s --enabled",
                         e->partner->name.data);
    }

    if (e->gated) {
        finding = ctl_explain_add(x, "disabled", NULL, "the partner %s has "
                                  "not the flag %s", e->partner->name.data,
                                  e->flag.data);
        ctl_finding_next(finding, "eventsyncctl partner change %s "
                         "--flags=%s=on", e->partner->name.data, e->flag.data);
    }

    if (e->paused) {
        finding = ctl_explain_add(x, "paused", NULL, "the endpoint is paused, "
                                  "and its events wait");
        ctl_finding_next(finding, "eventsyncctl endpoint resume %s",
                         e->name.data);
    }

    if (e->simulate.failure != ES_SIMULATE_NONE
        && e->simulate.until_ms > es_clock_ms())
    {
        finding = ctl_explain_add(x, "simulated", NULL, "the failure \"%s\" is "
                                  "simulated for %u %% of the attempts until "
                                  "%s",
                                  ctl_explain_failure(e->simulate.failure),
                                  e->simulate.percent,
                                  ctl_finding_time(e->simulate.until_ms, time));
        ctl_finding_next(finding, "eventsyncctl endpoint simulate %s "
                         "--failure=none", e->name.data);
    }
}


static es_rc_t
ctl_explain_stopped(ctl_explain_t *x)
{
    char        time[ES_TIME_LEN + 1];
    json_t     *finding;
    es_rc_t     rc;
    es_stop_t   stop;

    rc = es_delivery_stop(x->ctl->store, x->endpoint->number, &stop);

    if (rc == ES_OK && stop.revision == x->endpoint->revision) {
        finding = ctl_explain_add(x, "stopped", NULL, "the endpoint was "
                                  "stopped at %s: %s",
                                  ctl_finding_time(stop.time_ms, time),
                                  stop.reason);
        ctl_finding_next(finding, "repair the receiver, then: eventsyncctl "
                         "endpoint resume %s", x->endpoint->name.data);
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


static es_rc_t
ctl_explain_unverified(ctl_explain_t *x)
{
    char                time[ES_TIME_LEN + 1];
    json_t             *finding;
    es_rc_t             rc;
    es_verification_t   v;

    rc = es_delivery_verification(x->ctl->store, x->endpoint->number, &v);

    if (rc != ES_OK || v.method != ES_VERIFIED_NOT) {
        return rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    finding = ctl_explain_add(x, "unverified", NULL, "%s has not agreed to be "
                              "sent events: %u check%s made%s%s, and %s%s",
                              v.origin, v.checks,
                              v.checks == 1 ? " was" : "s were",
                              v.reason[0] != '\0' ? ", the last one failed: "
                                                  : "",
                              v.reason,
                              v.next_ms != 0 ? "the next one is at "
                                             : "no other follows",
                              v.next_ms != 0 ? ctl_finding_time(v.next_ms, time)
                                             : "");
    ctl_finding_next(finding, "eventsyncctl endpoint verify %s",
                     x->endpoint->name.data);

    return ES_OK;
}


/* The name of a host is not resolved here: "doctor" does that. */

static void
ctl_explain_destination(ctl_explain_t *x)
{
    bool                    own;
    ctl_refusal_t           refusal;
    const struct sockaddr  *addr;
    ctl_destination_t       destination;

    if (!ctl_destination_read(x->endpoint->url.data, &destination)) {
        return;
    }

    addr = (const struct sockaddr *) (const void *) &destination.literal;
    addr = addr->sa_family != AF_UNSPEC ? addr : NULL;
    refusal = ctl_destination_refusal(&x->dispatcher, x->endpoint,
                                      &destination, addr, &own);

    (void) ctl_explain_named(ctl_destination_finding(x->reasons, refusal, own,
                                                     x->endpoint, &destination,
                                                     addr),
                             "address", NULL);
}


static es_rc_t
ctl_explain_last(void *ctx, const es_attempt_t *attempt)
{
    es_attempt_t  *last = ctx;

    if (attempt->flags & ES_ATTEMPT_TEST) {
        return ES_OK;
    }

    *last = *attempt;

    return ES_STOP;
}


/* A failure that a success followed is none. */

static es_rc_t
ctl_explain_failing(ctl_explain_t *x)
{
    char              time[ES_TIME_LEN + 1], status[32] = "";
    json_t           *finding;
    es_rc_t           rc;
    es_failing_t      failing;
    es_attempt_t      last;
    const es_hint_t  *hint;

    rc = es_delivery_failing(x->ctl->store, x->endpoint->number, &failing);

    if (rc != ES_OK || failing.failures == 0) {
        return rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    rc = es_delivery_last_attempts(x->ctl->store, x->endpoint->number, NULL,
                                   ctl_explain_last, &last);

    if (rc != ES_STOP || last.class == ES_ATTEMPT_OK) {
        return rc == ES_STOP || rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    if (last.status != 0) {
        (void) snprintf(status, sizeof(status), " (%d)", (int) last.status);
    }

    finding = ctl_explain_add(x, "failing", NULL, "every attempt since %s "
                              "has failed (%u), the last one with class %s%s",
                              ctl_finding_time(failing.since_ms, time),
                              failing.failures,
                              es_attempt_class_name((es_attempt_class_t)
                                                    last.class),
                              status);
    hint = es_hint_attempt(&last);

    /* the body of an answer tells more than that the program failed */

    if (hint != NULL && strcmp(hint->cause, "failed") != 0) {
        ctl_finding_next(finding, "%s", hint->text);

    } else {
        ctl_finding_next(finding, "eventsyncctl endpoint attempts %s "
                         "--limit=5 --json", x->endpoint->name.data);
    }

    return ES_OK;
}


static es_rc_t
ctl_explain_circuit(ctl_explain_t *x)
{
    char          time[ES_TIME_LEN + 1], next[ES_TIME_LEN + 1];
    json_t       *finding;
    es_rc_t       rc;
    es_circuit_t  circuit;

    rc = es_delivery_circuit(x->ctl->store, x->endpoint->number, &circuit);

    if (rc != ES_OK) {
        return rc == ES_NOT_FOUND ? ES_OK : rc;
    }

    finding = ctl_explain_add(x, "circuit", NULL, "the circuit is open since "
                              "%s after %u failures in a row; the next probe "
                              "is at %s",
                              ctl_finding_time(circuit.since_ms, time),
                              circuit.failures,
                              ctl_finding_time(circuit.next_ms, next));
    ctl_finding_next(finding, "repair the receiver; to probe at once: "
                     "eventsyncctl endpoint resume %s",
                     x->endpoint->name.data);

    return ES_OK;
}


/* What holds up all feeds of the endpoint, or all endpoints (0). */

static es_rc_t
ctl_explain_stall(ctl_explain_t *x, uint32_t endpoint)
{
    size_t       i;
    json_t      *finding;
    es_rc_t      rc;
    es_stall_t   stall;

    static const struct {
        const char         *text;
        const char         *next;
        es_stall_reason_t   reason;
        bool                named;     /* the endpoint's name follows */
    } stalls[] = {
        { "no secret of the endpoint can be decrypted or used",
          "give the dispatcher the key file with all keys, or: eventsyncctl "
          "endpoint rotate", ES_STALL_SECRET, true },
        { "the token server gives no access token",
          "eventsyncctl endpoint attempts", ES_STALL_TOKEN, true },
        { "the receiver has asked for a pause by Retry-After",
          "wait, or end the pause: eventsyncctl endpoint resume",
          ES_STALL_THROTTLED, true },
        { "the dispatcher's proxy does not work, which stops all endpoints",
          "journalctl -u eventsync-dispatcher", ES_STALL_PROXY, false },
        { "the dispatcher can open no more connections, which stops all "
          "endpoints", "raise LimitNOFILE of eventsync-dispatcher",
          ES_STALL_FILES, false }
    };

    rc = es_delivery_stall(x->ctl->store, endpoint, 0, &stall);

    for (i = 0; rc == ES_OK && i < sizeof(stalls) / sizeof(stalls[0]); i++) {
        if (stalls[i].reason == stall.reason) {
            finding = ctl_explain_add(x, es_stall_name(stalls[i].reason), NULL,
                                      "%s", stalls[i].text);
            ctl_finding_next(finding, "%s%s%s", stalls[i].next,
                             stalls[i].named ? " " : "", stalls[i].named
                             ? x->endpoint->name.data : "");
        }
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


static es_rc_t
ctl_explain_endpoint(ctl_explain_t *x)
{
    es_rc_t  rc;

    ctl_explain_dispatcher(x);
    ctl_explain_record(x);
    ctl_explain_destination(x);

    rc = ctl_explain_stopped(x);

    if (rc == ES_OK) {
        rc = ctl_explain_unverified(x);
    }

    if (rc == ES_OK) {
        rc = ctl_explain_stall(x, 0);
    }

    if (rc == ES_OK) {
        rc = ctl_explain_stall(x, x->endpoint->number);
    }

    if (rc == ES_OK) {
        rc = ctl_explain_circuit(x);
    }

    return rc == ES_OK ? ctl_explain_failing(x) : rc;
}


static const char *
ctl_explain_state(const ctl_explain_t *x, es_rc_t *rc)
{
    es_endpoint_facts_t  facts = { 0 };

    *rc = es_endpoint_facts_read(x->ctl->store, x->endpoint->number,
                                 x->endpoint->revision, &facts);
    *rc = *rc == ES_NOT_FOUND ? ES_OK : *rc;
    facts.paused = x->endpoint->paused;
    facts.disabled = es_endpoint_disabled(x->endpoint);

    return es_endpoint_state_name(es_endpoint_state(&facts));
}


/* "TIME class status" of each attempt, the last one first. */

static void
ctl_explain_attempts(const ctl_explain_event_t *event)
{
    size_t   i;
    json_t  *a;

    json_array_foreach(event->attempts, i, a) {
        (void) printf("attempt: %s class=%s status=%" JSON_INTEGER_FORMAT
                      " latency_us=%" JSON_INTEGER_FORMAT "\n",
                      json_string_value(json_object_get(a, "time")),
                      json_string_value(json_object_get(a, "class")),
                      json_integer_value(json_object_get(a, "status")),
                      json_integer_value(json_object_get(a, "latency_us")));
    }
}


/* "paused", or "filter orders" where the reason is a feed's. */

static void
ctl_explain_print(const ctl_explain_t *x, const char *state,
    const ctl_explain_event_t *event)
{
    char         title[ES_FEED_MAX + 64], cursor[ES_CURSOR_MAX];
    size_t       i;
    json_t      *reason;
    const char  *feed;

    (void) printf("endpoint: %s of %s is %s, at %s\n", x->endpoint->name.data,
                  x->endpoint->partner->name.data, state,
                  x->endpoint->url.data);

    if (event->fate != NULL) {
        (void) es_cursor_print(event->cursor.epoch, event->cursor.sequence,
                               cursor);
        (void) printf("event: %s of feed %s%s%s%s%s\n", cursor,
                      event->feed.name, event->kept ? ", type " : "",
                      event->type, event->subject[0] ? ", subject " : "",
                      event->subject);
        ctl_finding_print(json_string_value(json_object_get(event->fate,
                                                            "fate")),
                          event->fate);
        ctl_explain_attempts(event);
    }

    json_array_foreach(x->reasons, i, reason) {
        feed = json_string_value(json_object_get(reason, "feed"));
        (void) snprintf(title, sizeof(title), "%s%s%s",
                        json_string_value(json_object_get(reason, "reason")),
                        feed != NULL ? " " : "", feed != NULL ? feed : "");
        ctl_finding_print(title, reason);
    }
}


static void
ctl_explain_json(const ctl_explain_t *x, const char *state,
    const ctl_explain_event_t *event)
{
    char     cursor[ES_CURSOR_MAX];
    json_t  *report, *about;

    report = json_pack("{s:s, s:s, s:s, s:s}", "endpoint",
                       x->endpoint->name.data, "partner",
                       x->endpoint->partner->name.data, "url",
                       x->endpoint->url.data, "state", state);

    if (event->fate != NULL) {
        (void) es_cursor_print(event->cursor.epoch, event->cursor.sequence,
                               cursor);
        about = json_pack("{s:s, s:s}", "feed", event->feed.name, "cursor",
                          cursor);
        ctl_finding_set(about, "type", event->kept ? event->type : NULL);
        ctl_finding_set(about, "subject",
                        event->subject[0] ? event->subject : NULL);
        (void) json_object_update(about, event->fate);
        (void) json_object_set(about, "attempts", event->attempts);
        (void) json_object_set_new(report, "event", about);
    }

    (void) json_object_set(report, "reasons", x->reasons);
    ctl_result(x->ctl, report);
}


/* An event that was dealt with needs no reasons. */

static es_rc_t
ctl_explain_all(ctl_explain_t *x, ctl_explain_event_t *event, bool one)
{
    es_rc_t  rc;

    if (one) {
        rc = ctl_explain_event_fate(x, event);

        if (rc != ES_OK || !json_is_true(json_object_get(event->fate, "open")))
        {
            return rc;
        }
    }

    rc = ctl_explain_endpoint(x);

    if (rc == ES_OK) {
        rc = one ? ctl_explain_feed(x, &event->feed) : ctl_explain_feeds(x);
    }

    return rc;
}


/* Reads the registry and the feeds, and finds the endpoint. */

static int
ctl_explain_begin(ctl_explain_t *x, const char *name)
{
    int      rc;
    es_rc_t  es;

    rc = ctl_open(x->ctl, ES_STORE_DELIVERY_READ | ES_STORE_CHECKPOINT_READ);

    if (rc == CTL_OK) {
        rc = ctl_registry_load(x->ctl, &x->registry);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    x->endpoint = ctl_endpoint_named(x->registry, name);
    if (x->endpoint == NULL) {
        return CTL_FAILED;
    }

    es = es_report_feeds_load(x->ctl->store, &x->feeds);

    if (es == ES_OK) {
        es = ctl_dispatcher_read(x->ctl, &x->dispatcher);
    }

    return es == ES_OK ? CTL_OK
                       : ctl_fail(CTL_FAILED, "cannot read the store: %s",
                                  es_reason(es));
}


static int
ctl_explain_run(ctl_explain_t *x, const char *cursor, const char *feed)
{
    int                   rc;
    es_rc_t               es;
    const char           *state;
    ctl_explain_event_t   event = { .attempts = json_array() };

    rc = cursor != NULL ? ctl_explain_event_find(x, cursor, feed, &event)
                        : CTL_OK;

    if (rc == CTL_OK) {
        es = ctl_explain_all(x, &event, cursor != NULL);
        state = es == ES_OK ? ctl_explain_state(x, &es) : NULL;

        if (es != ES_OK) {
            rc = ctl_fail(CTL_FAILED, "cannot read the delivery state: %s",
                          es_reason(es));

        } else if (x->ctl->json) {
            ctl_explain_json(x, state, &event);

        } else {
            ctl_explain_print(x, state, &event);
        }
    }

    json_decref(event.fate);
    json_decref(event.attempts);

    return rc;
}


int
ctl_explain(ctl_t *ctl, int argc, char **argv)
{
    int             rc;
    const char     *cursor = NULL, *feed = NULL;
    ctl_explain_t   x = { .ctl = ctl };

    const ctl_option_t  options[] = {
        { "event", &cursor },
        { "feed", &feed },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK && feed != NULL && cursor == NULL) {
        rc = ctl_fail(CTL_USAGE, "\"--feed\" needs \"--event\"");
    }

    if (rc != CTL_OK) {
        return rc;
    }

    x.reasons = json_array();
    rc = ctl_explain_begin(&x, argv[0]);

    if (rc == CTL_OK) {
        rc = ctl_explain_run(&x, cursor, feed);
    }

    ctl_dispatcher_free(&x.dispatcher);
    es_report_feeds_free(&x.feeds);
    es_registry_free(x.registry);
    json_decref(x.reasons);

    return rc;
}
