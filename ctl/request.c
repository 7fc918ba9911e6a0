#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "ctl.h"
#include "delivery.h"
#include "manage.h"

#define CTL_TAKEN_US  5000000
#define CTL_LOOK_US   20000


/* Opens the store, and finds the endpoint. */

static int
ctl_request_endpoint(ctl_t *ctl, const char *name, es_request_t *request)
{
    int                   rc;
    es_rc_t               es;
    es_registry_t        *registry;
    const es_endpoint_t  *endpoint;

    rc = ctl_open(ctl, ES_STORE_ADMIN | ES_STORE_DELIVERY_READ);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_registry_load(ctl->store, &registry);
    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot read the registry: %s",
                        es_strerror(es));
    }

    endpoint = es_registry_endpoint(registry, es_str(name));

    if (endpoint != NULL) {
        request->endpoint = endpoint->number;
    }

    es_registry_free(registry);

    return endpoint ? CTL_OK : ctl_fail(CTL_FAILED, "there is no endpoint "
                                        "\"%s\"", name);
}


/* Hands the request over, and waits a moment for the dispatcher. */

static int
ctl_request_add(ctl_t *ctl, es_request_t *request)
{
    es_rc_t   es;
    int64_t   until_us;
    uint64_t  taken;

    es = es_delivery_taken(ctl->store, &taken);

    if (es == ES_OK) {
        es = es_request_add(ctl->store, request, taken);
    }

    if (es != ES_OK) {
        return ctl_fail(CTL_FAILED, "cannot ask the dispatcher: %s",
                        es_strerror(es));
    }

    until_us = es_clock_mono_us() + CTL_TAKEN_US;

    do {
        if (es_delivery_taken(ctl->store, &taken) == ES_OK
            && taken >= request->id)
        {
            (void) puts("taken");
            return CTL_OK;
        }

        (void) usleep(CTL_LOOK_US);

    } while (es_clock_mono_us() < until_us);

    (void) puts("waiting for the dispatcher");

    return CTL_OK;
}


/* Where in the feed: by a cursor, or by `from`. */

static int
ctl_request_place(ctl_t *ctl, const char *feed, const char *cursor,
    const char *from, es_request_t *request)
{
    es_rc_t       es;
    es_problem_t  problem = { 0 };

    es = es_request_place(ctl->store, es_str(feed), cursor, from, request,
                          &problem);

    return es == ES_OK ? CTL_OK
                       : ctl_fail(CTL_FAILED, "%s", problem.detail[0]
                                  ? problem.detail : es_strerror(es));
}


int
ctl_endpoint_replay(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    const char   *after = NULL, *from = NULL;
    es_request_t  request = { .kind = ES_REQUEST_REPLAY };

    const ctl_option_t  options[] = {
        { "after", false, &after },
        { "from", false, &from },
        { NULL, false, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, 2, 2, options);

    if (rc == CTL_OK && (after == NULL) == (from == NULL)) {
        rc = ctl_fail(CTL_USAGE, "one of \"--after\" and \"--from\" is "
                      "needed");
    }

    if (rc == CTL_OK) {
        rc = ctl_request_endpoint(ctl, argv[0], &request);
    }

    if (rc == CTL_OK) {
        rc = ctl_request_place(ctl, argv[1], after, from, &request);
    }

    return rc == CTL_OK ? ctl_request_add(ctl, &request) : rc;
}


int
ctl_endpoint_resend(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    es_request_t  request = { .kind = ES_REQUEST_RESEND };

    rc = ctl_args(ctl, &argc, argv, 3, 3, NULL);

    if (rc == CTL_OK) {
        rc = ctl_request_endpoint(ctl, argv[0], &request);
    }

    if (rc == CTL_OK) {
        rc = ctl_request_place(ctl, argv[1], argv[2], NULL, &request);
    }

    if (rc == CTL_OK && request.sequence == 0) {
        rc = ctl_fail(CTL_USAGE, "\"%s\" is before the first event",
                      argv[2]);
    }

    return rc == CTL_OK ? ctl_request_add(ctl, &request) : rc;
}


int
ctl_endpoint_redrive(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    es_request_t  request = { .kind = ES_REQUEST_REDRIVE };

    rc = ctl_args(ctl, &argc, argv, 1, 1, NULL);

    if (rc == CTL_OK) {
        rc = ctl_request_endpoint(ctl, argv[0], &request);
    }

    return rc == CTL_OK ? ctl_request_add(ctl, &request) : rc;
}
