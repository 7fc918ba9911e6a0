#include <inttypes.h>
#include <stdio.h>

#include "clock.h"
#include "ctl.h"
#include "delivery.h"
#include "feed.h"

typedef struct {
    ctl_t          *ctl;
    es_registry_t  *registry;
    uint32_t        endpoint;      /* its number; 0: all */
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


/* Opens the delivery state, and finds the endpoint if one is named. */

static int
ctl_delivery_begin(ctl_delivery_t *d, ctl_t *ctl, int argc, char **argv)
{
    int                   rc;
    es_rc_t               es;
    const es_endpoint_t  *endpoint;

    d->ctl = ctl;

    rc = ctl_args(ctl, &argc, argv, 0, 1, NULL);
    if (rc == CTL_OK) {
        rc = ctl_open(ctl, ES_STORE_DELIVERY_READ);
    }

    if (rc != CTL_OK) {
        return rc;
    }

    es = es_registry_load(ctl->store, &d->registry);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot read the registry: %s",
                        es_strerror(es));
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

    if (rc == CTL_OK && es != ES_OK && es != ES_NOT_FOUND) {
        return ctl_fail(CTL_FAILED, "cannot read the delivery state: %s",
                        es_strerror(es));
    }

    return rc;
}


static es_rc_t
ctl_print_attempt(void *ctx, const es_attempt_t *a)
{
    char             time[ES_TIME_LEN];
    ctl_delivery_t  *d = ctx;

    es_time_print(a->time_ms, time);

    (void) printf("%.*s %s sequence=%" PRIu64 " attempt=%u status=%d class=%s "
                  "latency_us=%u reused=%u\n", ES_TIME_LEN, time,
                  ctl_delivery_name(d, a->endpoint), a->sequence, a->attempt,
                  a->status,
                  es_attempt_class_name((es_attempt_class_t) a->klass),
                  a->latency_us, a->reused);

    return ES_OK;
}


int
ctl_endpoint_attempts(ctl_t *ctl, int argc, char **argv)
{
    int             rc;
    es_rc_t         es;
    ctl_delivery_t  d = { 0 };

    es = ES_OK;

    rc = ctl_delivery_begin(&d, ctl, argc, argv);
    if (rc == CTL_OK) {
        es = es_delivery_each_attempt(ctl->store, d.endpoint,
                                      ctl_print_attempt, &d);
    }

    return ctl_delivery_end(&d, rc, es);
}


static es_rc_t
ctl_print_dead(void *ctx, const es_dead_t *dead)
{
    char             time[ES_TIME_LEN];
    ctl_delivery_t  *d = ctx;

    es_time_print(dead->time_ms, time);

    (void) printf("%.*s %s sequence=%" PRIu64 " attempts=%u status=%d "
                  "class=%s\n", ES_TIME_LEN, time,
                  ctl_delivery_name(d, dead->endpoint), dead->sequence,
                  dead->attempts, dead->status,
                  es_attempt_class_name((es_attempt_class_t) dead->klass));

    return ES_OK;
}


int
ctl_endpoint_dead(ctl_t *ctl, int argc, char **argv)
{
    int             rc;
    es_rc_t         es;
    ctl_delivery_t  d = { 0 };

    es = ES_OK;

    rc = ctl_delivery_begin(&d, ctl, argc, argv);
    if (rc == CTL_OK) {
        es = es_delivery_each_dead(ctl->store, d.endpoint, ctl_print_dead, &d);
    }

    return ctl_delivery_end(&d, rc, es);
}


static es_rc_t
ctl_print_progress(void *ctx, const es_progress_t *p)
{
    char             cursor[ES_CURSOR_MAX];
    ctl_delivery_t  *d = ctx;

    (void) es_cursor_print(p->epoch, p->sequence, cursor);
    (void) printf("%s feed=%u cursor=%s pending=%u\n",
                  ctl_delivery_name(d, p->endpoint), p->feed, cursor,
                  p->npending);

    return ES_OK;
}


static es_rc_t
ctl_print_retry(void *ctx, const es_retry_t *r)
{
    char             next[ES_TIME_LEN];
    ctl_delivery_t  *d = ctx;

    es_time_print(r->next_ms, next);
    (void) printf("%s feed=%u retry sequence=%" PRIu64 " attempts=%u "
                  "status=%d next=%.*s\n", ctl_delivery_name(d, r->endpoint),
                  r->feed, r->sequence, r->attempts, r->status, ES_TIME_LEN,
                  next);

    return ES_OK;
}


/* A mark counts only for the revision of the endpoint that it stopped. */

static es_rc_t
ctl_print_stop(void *ctx, const es_stop_t *stop)
{
    size_t                i, n;
    ctl_delivery_t       *d = ctx;
    const es_endpoint_t  *endpoints;

    endpoints = es_registry_endpoints(d->registry, &n);

    for (i = 0; i < n; i++) {
        if (endpoints[i].number == stop->endpoint
            && endpoints[i].revision == stop->revision
            && (d->endpoint == 0 || d->endpoint == stop->endpoint))
        {
            (void) printf("%s stopped: %s\n", endpoints[i].name.data,
                          stop->reason);
        }
    }

    return ES_OK;
}


int
ctl_endpoint_status(ctl_t *ctl, int argc, char **argv)
{
    int             rc;
    es_rc_t         es;
    ctl_delivery_t  d = { 0 };

    es = ES_OK;

    rc = ctl_delivery_begin(&d, ctl, argc, argv);

    if (rc == CTL_OK) {
        es = es_delivery_each_progress(ctl->store, d.endpoint,
                                       ctl_print_progress, &d);
    }

    if (rc == CTL_OK && es == ES_OK) {
        es = es_delivery_each_retry(ctl->store, d.endpoint, ctl_print_retry,
                                    &d);
    }

    if (rc == CTL_OK && es == ES_OK) {
        es = es_delivery_each_stop(ctl->store, ctl_print_stop, &d);
    }

    return ctl_delivery_end(&d, rc, es);
}
