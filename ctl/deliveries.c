#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "ctl.h"
#include "delivery.h"
#include "feed.h"
#include "report.h"

typedef struct {
    ctl_t                *ctl;
    es_registry_t        *registry;
    uint32_t              endpoint;      /* its number; 0: all */
    es_report_feeds_t     feeds;
    bool                  json;
    bool                  counting;      /* first of two passes, see limit */
    uint64_t              skip;          /* records still to pass over */
} ctl_delivery_t;


static const char *
ctl_delivery_name(const ctl_delivery_t *d, uint32_t number)
{
    size_t                i, n;
    const es_endpoint_t  *endpoints;

    endpoints = es_registry_endpoints(d->registry, &n);

    for (i = 0; i < n; i++) {
        if (endpoints[i].number == number) {
            return endpoints[i].name.data;
        }
    }

    return "(removed)";
}


/* Opens the delivery state, and finds the endpoint if one is named.  `limit`
   is NULL where it is no option. */

static int
ctl_delivery_begin(ctl_delivery_t *d, ctl_t *ctl, int argc, char **argv,
    uint64_t *limit)
{
    int                   rc;
    es_rc_t               es;
    const char           *json = NULL, *last = NULL;
    const es_endpoint_t  *endpoint;

    const ctl_option_t  options[] = {
        { "json", true, &json },
        { limit ? "limit" : NULL, false, &last },
        { NULL, false, NULL }
    };

    d->ctl = ctl;

    rc = ctl_args(ctl, &argc, argv, 0, 1, options);

    if (rc == CTL_OK && last != NULL) {
        rc = ctl_number("limit", last, 1, UINT32_MAX, limit);
    }

    /* Records are in order of time within an endpoint only. */

    if (rc == CTL_OK && last != NULL && argc == 0) {
        rc = ctl_fail(CTL_USAGE, "\"--limit\" needs an endpoint's name");
    }

    if (rc == CTL_OK) {
        rc = ctl_open(ctl, ES_STORE_DELIVERY_READ);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    d->json = json != NULL;

    es = es_registry_load(ctl->store, &d->registry);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot read the registry: %s",
                        es_reason(es));
    }

    es = es_report_feeds_load(ctl->store, &d->feeds);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot read the feeds: %s",
                        es_reason(es));
    }

    if (argc == 0) {
        return CTL_OK;
    }

    endpoint = es_registry_endpoint(d->registry, es_str(argv[0]));
    if (endpoint == NULL) {
        return ctl_fail(CTL_FAILED, "no endpoint \"%s\"", argv[0]);
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


/* The last `limit` of the records: they are counted, then passed over. */

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


/* Prints a report with the endpoint's name before it, and drops it. */

static es_rc_t
ctl_delivery_json(const char *endpoint, json_t *report)
{
    json_t  *object;

    object = json_pack("{s:s}", "endpoint", endpoint);

    if (object == NULL || report == NULL
        || json_object_update(object, report) != 0)
    {
        json_decref(object);
        json_decref(report);
        return ES_NOMEM;
    }

    (void) json_dumpf(object, stdout, JSON_COMPACT);
    (void) putchar('\n');
    json_decref(object);
    json_decref(report);

    return ES_OK;
}


static es_rc_t
ctl_print_attempt(void *ctx, const es_attempt_t *a)
{
    char             time[ES_TIME_LEN + 1] = "";
    const char      *name, *feed, *kind, *klass;
    ctl_delivery_t  *d = ctx;

    if (ctl_delivery_skips(d)) {
        return ES_OK;
    }

    es_time_print(a->time_ms, time);
    name = ctl_delivery_name(d, a->endpoint);
    feed = es_report_feed(&d->feeds, a->feed)->name;
    klass = es_attempt_class_name((es_attempt_class_t) a->klass);

    if (d->json) {
        return ctl_delivery_json(name, es_report_attempt(&d->feeds, a));
    }

    if (a->flags & ES_ATTEMPT_TEST) {
        (void) printf("%s %s request=%" PRIu64, time, name, a->sequence);

    } else if (a->flags & ES_ATTEMPT_FETCH) {
        (void) printf("%s %s", time, name);

    } else {
        (void) printf("%s %s feed=%s sequence=%" PRIu64, time, name, feed,
                      a->sequence);
    }

    kind = a->flags & (ES_ATTEMPT_TEST | ES_ATTEMPT_NUDGE | ES_ATTEMPT_FETCH)
           ? es_report_kind(a) : "";

    (void) printf(" attempt=%u status=%d class=%s latency_us=%u reused=%u"
                  "%s%s%s\n", a->attempt, a->status, klass, a->latency_us,
                  (a->flags & ES_ATTEMPT_REUSED) != 0,
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
    const char      *name, *feed, *klass;
    ctl_delivery_t  *d = ctx;

    es_time_print(dead->time_ms, time);
    name = ctl_delivery_name(d, dead->endpoint);
    feed = es_report_feed(&d->feeds, dead->feed)->name;
    klass = es_attempt_class_name((es_attempt_class_t) dead->klass);

    if (d->json) {
        return ctl_delivery_json(name, es_report_dead(&d->feeds, dead));
    }

    (void) printf("%s %s feed=%s sequence=%" PRIu64 " attempts=%u status=%d "
                  "class=%s\n", time, name, feed, dead->sequence,
                  dead->attempts, dead->status, klass);

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


/* `behind` counts the events after the cursor, those that a filter will pass
   by too; of another epoch there is nothing to count. */

static es_rc_t
ctl_print_progress(void *ctx, const es_progress_t *p)
{
    char              cursor[ES_CURSOR_MAX], until[ES_TIME_LEN + 1] = "";
    uint64_t          behind;
    const char       *name;
    ctl_delivery_t   *d = ctx;
    const es_away_t  *away;
    const es_feed_t  *feed;

    (void) es_cursor_print(p->epoch, p->sequence, cursor);
    name = ctl_delivery_name(d, p->endpoint);
    feed = es_report_feed(&d->feeds, p->feed);
    behind = es_report_behind(feed, p);

    if (d->json) {
        return ctl_delivery_json(name, es_report_progress(&d->feeds, p));
    }

    (void) printf("%s feed=%s cursor=%s pending=%u behind=%" PRIu64, name,
                  feed->name, cursor, p->npending, behind);

    away = es_report_away(&d->feeds, p->endpoint, p->feed);

    if (away != NULL) {
        es_time_print(away->since_ms + ES_AWAY_MS, until);
        (void) printf(" away, kept until %s", until);
    }

    (void) putchar('\n');

    return ES_OK;
}


static es_rc_t
ctl_print_retry(void *ctx, const es_retry_t *r)
{
    char             next[ES_TIME_LEN + 1] = "";
    const char      *name, *feed;
    ctl_delivery_t  *d = ctx;

    es_time_print(r->next_ms, next);
    name = ctl_delivery_name(d, r->endpoint);
    feed = es_report_feed(&d->feeds, r->feed)->name;

    if (d->json) {
        return ctl_delivery_json(name, es_report_retry(&d->feeds, r));
    }

    if (r->attempts == 0) {
        (void) printf("%s feed=%s held sequence=%" PRIu64 "\n", name, feed,
                      r->sequence);
        return ES_OK;
    }

    (void) printf("%s feed=%s retry sequence=%" PRIu64 " attempts=%u "
                  "status=%d next=%s\n", name, feed, r->sequence, r->attempts,
                  r->status, next);

    return ES_OK;
}


/* A mark counts only for the revision of the endpoint that it stopped. */

static es_rc_t
ctl_print_stop(void *ctx, const es_stop_t *stop)
{
    size_t                i, n;
    const char           *name;
    ctl_delivery_t       *d = ctx;
    const es_endpoint_t  *endpoints;

    endpoints = es_registry_endpoints(d->registry, &n);

    for (i = 0; i < n; i++) {
        if (endpoints[i].number != stop->endpoint
            || endpoints[i].revision != stop->revision
            || (d->endpoint != 0 && d->endpoint != stop->endpoint))
        {
            continue;
        }

        name = endpoints[i].name.data;

        if (d->json) {
            return ctl_delivery_json(name, json_pack(
                "{s:s, s:s}", "kind", "stop", "reason", stop->reason));
        }

        (void) printf("%s stopped: %s\n", name, stop->reason);
    }

    return ES_OK;
}


static es_rc_t
ctl_print_circuit(void *ctx, const es_circuit_t *c)
{
    char             since[ES_TIME_LEN + 1] = "", next[ES_TIME_LEN + 1] = "";
    const char      *name;
    ctl_delivery_t  *d = ctx;

    es_time_print(c->since_ms, since);
    es_time_print(c->next_ms, next);
    name = ctl_delivery_name(d, c->endpoint);

    if (d->json) {
        return ctl_delivery_json(name, es_report_circuit(c));
    }

    (void) printf("%s circuit open: failures=%u since=%s next=%s\n", name,
                  c->failures, since, next);

    return ES_OK;
}


int
ctl_endpoint_status(ctl_t *ctl, int argc, char **argv)
{
    int             rc;
    es_rc_t         es;
    ctl_delivery_t  d = { 0 };

    es = ES_OK;
    rc = ctl_delivery_begin(&d, ctl, argc, argv, NULL);

    if (rc == CTL_OK) {
        es = es_delivery_each_progress(ctl->store, d.endpoint,
                                       ctl_print_progress, &d);
    }

    if (rc == CTL_OK && es == ES_OK) {
        es = es_delivery_each_retry(ctl->store, d.endpoint, ctl_print_retry,
                                    &d);
    }

    if (rc == CTL_OK && es == ES_OK) {
        es = es_delivery_each_circuit(ctl->store, d.endpoint,
                                      ctl_print_circuit, &d);
    }

    if (rc == CTL_OK && es == ES_OK) {
        es = es_delivery_each_stop(ctl->store, ctl_print_stop, &d);
    }

    return ctl_delivery_end(&d, rc, es);
}
