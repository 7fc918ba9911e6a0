/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "doctor": runs the checks and prints their results.
 */

#include <stdio.h>
#include <stdlib.h>

#include "doctor.h"
#include "object.h"
#include "open/child.h"

#define DOCTOR_NGINX  "nginx"

static const char  *const  ctl_check_states[CTL_CHECK_STATES] = {
    [CTL_CHECK_OK] = "ok",
    [CTL_CHECK_WARN] = "warn",
    [CTL_CHECK_FAIL] = "fail",
    [CTL_CHECK_SKIPPED] = "skipped"
};


json_t *
ctl_check_named(ctl_doctor_t *d, const char *name, ctl_check_state_t state,
    json_t *finding)
{
    ctl_finding_set(finding, "check", name);
    ctl_finding_set(finding, "state", ctl_check_states[state]);
    d->counts[state]++;

    return finding;
}


/* True: the store is open. */

static bool
ctl_doctor_open(ctl_doctor_t *d)
{
    json_t       *check;
    es_rc_t       rc;
    es_problem_t  problem = { 0 };

    rc = es_child_store_open(d->ctl->store_path, ES_STORE_DELIVERY_READ
                             | ES_STORE_CHECKPOINT_READ, &d->ctl->store,
                             &problem);

    if (rc == ES_OK) {
        (void) ctl_check(d, "store", CTL_CHECK_OK, "the store can be opened "
                         "and mapped");
        return true;
    }

    check = ctl_check(d, "store", CTL_CHECK_FAIL, "%s", problem.detail);

    ctl_finding_next(check, "%s",
                     rc == ES_NOT_FOUND ? "name the store with --store=PATH, "
                                          "or: eventsyncctl init"
                     : rc == ES_FORMAT ? "see Upgrade in docs/operations.md"
                     : "see Errors of the operating system in "
                       "docs/operations.md");

    (void) ctl_check(d, "records", CTL_CHECK_SKIPPED, "the checks of what the "
                     "store has need an open store");

    return false;
}


/* False with a message: no partner or endpoint has the name. */

static bool
ctl_doctor_known(const ctl_doctor_t *d)
{
    return d->only == NULL || d->registry == NULL
           || es_registry_partner(d->registry, es_str(d->only)) != NULL
           || ctl_endpoint_named(d->registry, d->only) != NULL;
}


static int
ctl_doctor_run(ctl_doctor_t *d)
{
    ctl_doctor_files(d);
    ctl_doctor_machine(d);

    if (ctl_doctor_open(d)) {
        ctl_doctor_store(d);
        ctl_doctor_dispatcher(d);
        ctl_doctor_keys(d);

        if (!ctl_doctor_known(d)) {
            return CTL_FAILED;
        }

        if (d->registry != NULL) {
            ctl_doctor_registry(d);
            ctl_doctor_network(d);
        }
    }

    ctl_doctor_nginx(d);

    return CTL_OK;
}


/* "warn     rights: the sentence" */

static void
ctl_doctor_print(const ctl_doctor_t *d)
{
    char         title[160];
    size_t       i;
    json_t      *check;
    const char  *endpoint;

    json_array_foreach(d->checks, i, check) {
        endpoint = json_string_value(json_object_get(check, "endpoint"));
        (void) snprintf(title, sizeof(title), "%-8s %s%s%s",
                        json_string_value(json_object_get(check, "state")),
                        json_string_value(json_object_get(check, "check")),
                        endpoint != NULL ? " " : "",
                        endpoint != NULL ? endpoint : "");
        ctl_finding_print(title, check);
    }

    (void) printf("%u ok, %u to look at, %u failed, %u skipped\n",
                  d->counts[CTL_CHECK_OK], d->counts[CTL_CHECK_WARN],
                  d->counts[CTL_CHECK_FAIL], d->counts[CTL_CHECK_SKIPPED]);
}


static int
ctl_doctor_report(const ctl_doctor_t *d)
{
    json_t  *report;

    if (d->ctl->json) {
        report = json_pack("{s:i, s:i, s:i, s:i, s:O}", "ok",
                           (int) d->counts[CTL_CHECK_OK], "warn",
                           (int) d->counts[CTL_CHECK_WARN], "fail",
                           (int) d->counts[CTL_CHECK_FAIL], "skipped",
                           (int) d->counts[CTL_CHECK_SKIPPED], "checks",
                           d->checks);
        ctl_result(d->ctl, report);

    } else {
        ctl_doctor_print(d);
    }

    if (d->counts[CTL_CHECK_FAIL] > 0) {
        return ctl_fail(CTL_FAILED, "%u check%s failed",
                        d->counts[CTL_CHECK_FAIL],
                        ctl_plural(d->counts[CTL_CHECK_FAIL]));
    }

    return CTL_OK;
}


int
ctl_doctor(ctl_t *ctl, int argc, char **argv)
{
    int            rc;
    const char    *offline = NULL;
    ctl_doctor_t   d = { .ctl = ctl, .nginx = DOCTOR_NGINX };

    const ctl_option_t  options[] = {
        { "offline", &offline },
        { "nginx", &d.nginx },
        { "nginx-conf", &d.conf },
        { NULL, NULL }
    };

    rc = ctl_args(ctl, &argc, argv, options);

    if (rc == CTL_OK
        && (ctl->store_path == NULL || ctl->store_path[0] == '\0'))
    {
        rc = ctl_fail(CTL_USAGE, "no store: use --store=PATH or set "
                      "EVENTSYNC_STORE");
    }

    if (rc != CTL_OK) {
        return rc;
    }

    d.offline = offline != NULL;
    d.only = argc > 0 ? argv[0] : NULL;
    d.checks = json_array();

    rc = ctl_doctor_run(&d);

    if (rc == CTL_OK) {
        rc = ctl_doctor_report(&d);
    }

    ctl_dispatcher_free(&d.dispatcher);
    es_registry_free(d.registry);
    json_decref(d.checks);

    return rc;
}
