/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The delivery state of endpoints: status, attempts and dead letters.
 *
 * The commands read what the dispatcher has stored, also while none runs.  Text
 * and JSON come from the same reports as the HTTP interface.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "ctl.h"
#include "delivery/delivery.h"
#include "delivery/hint.h"
#include "delivery/report.h"
#include "delivery/endpoint_status.h"
#include "dispatcher.h"
#include "log/feed.h"
#include "log/store_clock.h"
#include "object.h"

typedef struct {
    ctl_t                *ctl;
    es_registry_t        *registry;
    uint32_t              endpoint;      /* its number; 0: all */
    es_report_feeds_t     feeds;
    bool                  counting;      /* first pass of --limit */
    uint64_t              skip;          /* records still to skip */
} ctl_delivery_t;


static const char *
ctl_delivery_name(const ctl_delivery_t *d, uint32_t number)
{
    const es_endpoint_t  *endpoint;

    endpoint = ctl_endpoint_numbered(d->registry, number);

    return endpoint ? endpoint->name.data : "(removed)";
}


/* Opens the delivery state and finds the endpoint if one is named.  `limit` is
   NULL where the command has no such option. */

static int
ctl_delivery_begin(ctl_delivery_t *d, ctl_t *ctl, int argc, char **argv,
    uint64_t *limit)
{
    int                   rc;
    es_rc_t               es;
    const char           *last = NULL;
    const es_endpoint_t  *endpoint;

    const ctl_option_t  options[] = {
        { limit ? "limit" : NULL, &last },
        { NULL, NULL }
    };

    d->ctl = ctl;

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK && last != NULL) {
        rc = ctl_number("limit", last, 1, UINT32_MAX, limit);
    }

    /* Records are ordered by time only within an endpoint. */

    if (rc == CTL_OK && last != NULL && argc == 0) {
        rc = ctl_fail(CTL_USAGE, "\"--limit\" needs an endpoint's name");
    }

    if (rc == CTL_OK) {
        rc = ctl_open(ctl, ES_STORE_DELIVERY_READ);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    rc = ctl_registry_load(ctl, &d->registry);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_report_feeds_load(ctl->store, &d->feeds);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot read the feeds: %s",
                        es_reason(es));
    }

    if (argc == 0) {
        return CTL_OK;
    }

    endpoint = ctl_endpoint_named(d->registry, argv[0]);
    if (endpoint == NULL) {
        return CTL_FAILED;
    }

    d->endpoint = endpoint->number;

    return CTL_OK;
}


static int
ctl_delivery_end(ctl_delivery_t *d, int rc, es_rc_t es)
{
    es_registry_free(d->registry);
    es_report_feeds_free(&d->feeds);

    if (rc == CTL_OK && es != ES_OK && es != ES_NOT_FOUND) {
        return ctl_fail(CTL_FAILED, "cannot read the delivery state: %s",
                        es_reason(es));
    }

    return rc;
}


/* For the last `limit` records: a first pass counts the records, and a second
   one skips all but those. */

static bool
ctl_delivery_skips(ctl_delivery_t *d)
{
    if (d->counting) {
        d->skip++;
        return true;
    }

    if (d->skip > 0) {
        d->skip--;
        return true;
    }

    return false;
}


static void
ctl_delivery_counted(ctl_delivery_t *d, uint64_t limit)
{
    d->counting = false;
    d->skip = d->skip > limit ? d->skip - limit : 0;
}


/* Prints a report after the endpoint's name, and releases it. */

static es_rc_t
ctl_delivery_json(const char *endpoint, json_t *report)
{
    bool  ok;

    ok = ctl_print_named("endpoint", endpoint, report);
    json_decref(report);

    return ok ? ES_OK : ES_NOMEM;
}


static es_rc_t
ctl_print_attempt(void *ctx, const es_attempt_t *a)
{
    char              time[ES_TIME_LEN + 1] = "";
    const char       *name, *feed, *kind, *class;
    ctl_delivery_t   *d = ctx;
    const es_hint_t  *hint;

    if (ctl_delivery_skips(d)) {
        return ES_OK;
    }

    es_time_print(a->time_ms, time);
    name = ctl_delivery_name(d, a->endpoint);
    feed = es_report_feed(&d->feeds, a->feed)->name;
    class = es_attempt_class_name((es_attempt_class_t) a->class);

    if (d->ctl->json) {
        return ctl_delivery_json(name, es_report_attempt(&d->feeds, a));
    }

    if (a->flags & ES_ATTEMPT_TEST) {
        (void) printf("%s %s request=%" PRIu64, time, name, a->sequence);

    } else if (a->flags & (ES_ATTEMPT_FETCH | ES_ATTEMPT_CHECK)) {
        (void) printf("%s %s", time, name);

    } else {
        (void) printf("%s %s feed=%s sequence=%" PRIu64, time, name, feed,
                      a->sequence);
    }

    kind = a->flags & (ES_ATTEMPT_TEST | ES_ATTEMPT_NUDGE | ES_ATTEMPT_FETCH
                       | ES_ATTEMPT_CHECK)
           ? es_report_kind(a) : "";

    hint = es_hint_attempt(a);

    (void) printf(" attempt=%u status=%d class=%s latency_us=%u reused=%u"
                  "%s%s%s%s%s\n", a->attempt, a->status, class, a->latency_us,
                  (a->flags & ES_ATTEMPT_REUSED) != 0,
                  hint ? " cause=" : "", hint ? hint->cause : "",
                  kind[0] != '\0' ? " kind=" : "", kind,
                  a->flags & ES_ATTEMPT_SIMULATED_FLAG ? " simulated" : "");

    return ES_OK;
}


int
ctl_endpoint_attempts(ctl_t *ctl, int argc, char **argv)
{
    int             rc;
    es_rc_t         es;
    uint64_t        limit = 0;
    ctl_delivery_t  d = { 0 };

    es = ES_OK;
    rc = ctl_delivery_begin(&d, ctl, argc, argv, &limit);

    if (rc == CTL_OK && limit > 0) {
        d.counting = true;
        es = es_delivery_each_attempt(ctl->store, d.endpoint,
                                      ctl_print_attempt, &d);
        ctl_delivery_counted(&d, limit);
    }

    if (rc == CTL_OK && es == ES_OK) {
        es = es_delivery_each_attempt(ctl->store, d.endpoint,
                                      ctl_print_attempt, &d);
    }

    return ctl_delivery_end(&d, rc, es);
}


static es_rc_t
ctl_print_dead(void *ctx, const es_dead_t *dead)
{
    char             time[ES_TIME_LEN + 1] = "";
    const char      *name, *feed, *class;
    ctl_delivery_t  *d = ctx;

    es_time_print(dead->time_ms, time);
    name = ctl_delivery_name(d, dead->endpoint);
    feed = es_report_feed(&d->feeds, dead->feed)->name;
    class = es_attempt_class_name((es_attempt_class_t) dead->class);

    if (d->ctl->json) {
        return ctl_delivery_json(name, es_report_dead(&d->feeds, dead));
    }

    (void) printf("%s %s feed=%s sequence=%" PRIu64 " attempts=%u status=%d "
                  "class=%s%s%s\n", time, name, feed, dead->sequence,
                  dead->attempts, dead->status, class,
                  dead->class == ES_ATTEMPT_SKIPPED ? " " : "",
                  dead->class == ES_ATTEMPT_SKIPPED ? dead->reason : "");

    return ES_OK;
}


int
ctl_endpoint_dead(ctl_t *ctl, int argc, char **argv)
{
    int             rc;
    es_rc_t         es;
    ctl_delivery_t  d = { 0 };

    es = ES_OK;
    rc = ctl_delivery_begin(&d, ctl, argc, argv, NULL);

    if (rc == CTL_OK) {
        es = es_delivery_each_dead(ctl->store, d.endpoint, ctl_print_dead, &d);
    }

    return ctl_delivery_end(&d, rc, es);
}


/* Prints the members of a report in their order, except those in `before`. */

static void
ctl_print_members(json_t *report, const char *const *before)
{
    size_t               i;
    char                *text;
    json_t              *value;
    const char          *name;

    json_object_foreach(report, name, value) {
        for (i = 0; before[i] != NULL && strcmp(before[i], name) != 0; i++) {
            /* void */
        }

        if (before[i] != NULL) {
            continue;
        }

        if (json_is_string(value)) {
            (void) printf(" %s=%s", name, json_string_value(value));
            continue;
        }

        text = json_dumps(value, ES_JSON_PRINT | JSON_ENCODE_ANY);
        (void) printf(" %s=%s", name, text != NULL ? text : "");
        free(text);
    }
}


/* Prints how many events wait, by the status of their last attempt. */

static void
ctl_print_statuses(json_t *statuses)
{
    json_t      *count;
    const char  *status, *comma;

    comma = " statuses=";

    json_object_foreach(statuses, status, count) {
        (void) printf("%s%s:%" JSON_INTEGER_FORMAT, comma, status,
                      json_integer_value(count));
        comma = ",";
    }
}


/* `behind` counts all events after the cursor, including those that the filter
   does not match.  It is absent when the cursor is of another epoch. */

static void
ctl_print_delivery(const char *name, json_t *report)
{
    bool         open;
    const char  *kind, *feed, *kept;

    static const char *const  before[] = {
        "kind", "feed", "statuses", "away_since", "kept_until", NULL
    };

    kind = json_string_value(json_object_get(report, "kind"));
    feed = json_string_value(json_object_get(report, "feed"));
    open = strcmp(kind, "circuit") == 0;

    (void) printf("%s%s%s", name, feed ? " feed=" : "", feed ? feed : "");

    if (strcmp(kind, "progress") != 0 && strcmp(kind, "away") != 0) {
        (void) printf(" %s%s", kind,
                      open ? " open:"
                      : strcmp(kind, "stalled") == 0
                        || strcmp(kind, "waiting") == 0 ? ":" : "");
    }

    ctl_print_members(report, before);
    ctl_print_statuses(json_object_get(report, "statuses"));

    kept = json_string_value(json_object_get(report, "kept_until"));

    if (kept != NULL) {
        (void) printf(" away, kept until %s", kept);
    }

    (void) putchar('\n');
}


/* In JSON, each delivery is a line of its own with its endpoint's name. */

static es_rc_t
ctl_print_deliveries(const ctl_delivery_t *d, const char *name,
    json_t *status)
{
    size_t   i;
    json_t  *report;
    es_rc_t  rc;

    rc = ES_OK;

    json_array_foreach(json_object_get(status, "deliveries"), i, report) {
        if (!d->ctl->json) {
            ctl_print_delivery(name, report);
            continue;
        }

        rc = ctl_delivery_json(name, json_incref(report));
        if (rc != ES_OK) {
            break;
        }
    }

    return rc;
}


/* The attempts of the last minute, hour and day, a line each, or one line of
   JSON.  Spans without attempts have no line. */

static es_rc_t
ctl_print_figures(const ctl_delivery_t *d, const char *name, json_t *figures)
{
    json_t      *span, *kind;
    const char  *key;

    if (d->ctl->json) {
        kind = json_pack("{s:s}", "kind", "figures");
        (void) json_object_update(kind, figures);
        return ctl_delivery_json(name, kind);
    }

    json_object_foreach(figures, key, span) {
        if (json_is_null(json_object_get(span, "success"))) {
            continue;
        }

        (void) printf("%s last %s: attempts=%" JSON_INTEGER_FORMAT
                      " ok=%" JSON_INTEGER_FORMAT " success=%.1f%%"
                      " dead=%" JSON_INTEGER_FORMAT " latency=%.0fms\n",
                      name, key,
                      json_integer_value(json_object_get(span, "attempts")),
                      json_integer_value(json_object_get(span, "ok")),
                      100 * json_real_value(json_object_get(span, "success")),
                      json_integer_value(json_object_get(span, "dead")),
                      json_real_value(json_object_get(
                          json_object_get(span, "latency"), "mean")));
    }

    return ES_OK;
}


/* When each known certificate expires, a line each, or one line of JSON. */

static es_rc_t
ctl_print_certificates(const ctl_delivery_t *d, const char *name,
    json_t *certificates)
{
    json_t      *times, *kind;
    const char  *of;

    if (d->ctl->json && certificates != NULL) {
        kind = json_pack("{s:s}", "kind", "certificates");
        (void) json_object_update(kind, certificates);
        return ctl_delivery_json(name, kind);
    }

    json_object_foreach(certificates, of, times) {
        (void) printf("%s certificate %s: expires=%s seen=%s\n", name, of,
                      json_string_value(json_object_get(times, "expires")),
                      json_string_value(json_object_get(times, "seen")));
    }

    return ES_OK;
}


static es_rc_t
ctl_print_status(ctl_delivery_t *d, const es_endpoint_t *endpoint)
{
    json_t             *status;
    es_rc_t             rc;
    const char         *name, *state, *stopped;
    es_endpoint_status_query_t   q = {
        .store = d->ctl->store, .feeds = &d->feeds,
        .endpoint = endpoint->number, .revision = endpoint->revision,
        .paused = endpoint->paused, .disabled = es_endpoint_disabled(endpoint),
        .figures = true
    };

    rc = es_endpoint_status_read(&q, &status);
    if (rc != ES_OK) {
        return rc;
    }

    name = endpoint->name.data;
    state = json_string_value(json_object_get(status, "state"));
    stopped = json_string_value(json_object_get(status, "stopped"));

    if (d->ctl->json) {
        rc = ctl_delivery_json(name, json_pack("{s:s, s:s}", "kind", "state",
                                               "state", state));
    } else {
        (void) printf("%s state=%s\n", name, state);
    }

    if (rc == ES_OK) {
        rc = ctl_print_deliveries(d, name, status);
    }

    if (rc == ES_OK) {
        rc = ctl_print_certificates(d, name,
                                    json_object_get(status, "certificates"));
    }

    if (rc == ES_OK) {
        rc = ctl_print_figures(d, name, json_object_get(status, "figures"));
    }

    if (rc == ES_OK && stopped != NULL && d->ctl->json) {
        rc = ctl_delivery_json(name, json_pack("{s:s, s:s}", "kind", "stop",
                                               "reason", stopped));

    } else if (stopped != NULL) {
        (void) printf("%s stopped: %s\n", name, stopped);
    }

    json_decref(status);

    return rc;
}


/* Prints the positions that are kept of removed endpoints. */

static es_rc_t
ctl_print_removed(const ctl_delivery_t *d)
{
    size_t            i;
    json_t           *report;
    es_rc_t           rc;
    const es_away_t  *away;

    rc = ES_OK;

    for (i = 0; rc == ES_OK && i < d->feeds.naways; i++) {
        away = &d->feeds.aways[i];

        if (es_registry_endpoint(d->registry, es_str(away->name)) != NULL) {
            continue;
        }

        report = es_report_away_feed(away);

        if (d->ctl->json) {
            rc = ctl_delivery_json(away->name, report);

        } else if (report != NULL) {
            ctl_print_delivery(away->name, report);
            json_decref(report);
        }
    }

    return rc;
}


/* Warns when the stored state may be old. */

static es_rc_t
ctl_delivery_alive(const ctl_delivery_t *d)
{
    char     time[ES_TIME_LEN + 1] = "";
    es_rc_t  rc;
    int64_t  ms;

    rc = es_delivery_heartbeat(d->ctl->store, &ms);

    if (rc == ES_OK && es_store_due_ms(d->ctl->store) - ms > CTL_ALIVE_MS) {
        es_time_print(ms, time);
        ctl_warn("no dispatcher runs, or it cannot write its state: this "
                 "is the state of %s", time);
    }

    return rc == ES_NOT_FOUND ? ES_OK : rc;
}


int
ctl_endpoint_status(ctl_t *ctl, int argc, char **argv)
{
    int                   rc;
    size_t                i, n;
    es_rc_t               es;
    ctl_delivery_t        d = { 0 };
    const es_endpoint_t  *endpoints;

    es = ES_OK;
    rc = ctl_delivery_begin(&d, ctl, argc, argv, NULL);

    if (rc == CTL_OK) {
        es = ctl_delivery_alive(&d);
        endpoints = es_registry_endpoints(d.registry, &n);

        for (i = 0; es == ES_OK && i < n; i++) {
            if (d.endpoint == 0 || d.endpoint == endpoints[i].number) {
                es = ctl_print_status(&d, &endpoints[i]);
            }
        }

        if (es == ES_OK && d.endpoint == 0) {
            es = ctl_print_removed(&d);
        }
    }

    return ctl_delivery_end(&d, rc, es);
}
