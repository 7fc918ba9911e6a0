/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Simulated failures of an endpoint's deliveries, for tests of a receiver: the
 * commands that set and end them.  dispatcher/simulate.c simulates them.
 */

#include <stdio.h>

#include "advice.h"
#include "object.h"
#include "registry/endpoint_simulate.h"


static int
ctl_simulate_number(json_t *body, const char *name, const char *text)
{
    int       rc;
    uint64_t  n;

    if (text == NULL) {
        return CTL_OK;
    }

    rc = ctl_number(name, text, 0, 1000, &n);

    if (rc == CTL_OK) {
        (void) json_object_set_new(body, name, json_integer((json_int_t) n));
    }

    return rc;
}


int
ctl_endpoint_simulate(ctl_t *ctl, int argc, char **argv)
{
    int           rc;
    json_t       *body;
    es_rc_t       es;
    const char   *failure = NULL, *status = NULL, *percent = NULL;
    const char   *delay = NULL, *term = NULL;
    es_problem_t  problem = { 0 };

    const ctl_option_t  options[] = {
        { "failure", &failure },
        { "status", &status },
        { "percent", &percent },
        { "delay", &delay },
        { "for", &term },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK && failure == NULL) {
        rc = ctl_fail(CTL_USAGE, "\"--failure\" is needed");
    }

    body = json_pack("{s:s*, s:s*, s:s*}", "failure", failure, "delay", delay,
                     "for", term);

    if (rc == CTL_OK) {
        rc = ctl_simulate_number(body, "status", status);
    }

    if (rc == CTL_OK) {
        rc = ctl_simulate_number(body, "percent", percent);
    }

    if (rc == CTL_OK) {
        rc = ctl_open(ctl, ES_STORE_ADMIN);
    }

    if (rc == CTL_OK && strcmp(failure, "none") == 0
        && ctl_advise_flag(ctl, ES_KIND_ENDPOINT, argv[0], "simulate", false,
                           NULL))
    {
        ctl_note("endpoint \"%s\" has no simulated failure", argv[0]);
    }

    if (rc == CTL_OK) {
        es = es_endpoint_simulate(ctl->store, es_str(argv[0]), body,
                                  NULL, &problem);
        rc = es == ES_OK ? CTL_OK
             : es == ES_NOT_FOUND
               ? ctl_fail(CTL_FAILED, "no endpoint \"%s\"", argv[0])
               : ctl_fail(CTL_FAILED, "%s%s%s%s", problem.pointer,
                          problem.pointer[0] ? ": " : "", problem.detail,
                          ctl_quota_hint(&problem));
    }

    json_decref(body);

    return rc == CTL_OK && ctl->json
           ? ctl_object_result(ctl, ES_KIND_ENDPOINT, argv[0]) : rc;
}
