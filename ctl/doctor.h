/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * "doctor": checks of a store and of what surrounds it.
 *
 * Each check is a finding with "check" (its name), "state" and "text", and with
 * "next" where something must be mended.  The checks change nothing.
 * doctor.c has the command; the checks are in a file for each subject.
 */

#ifndef CTL_DOCTOR_H
#define CTL_DOCTOR_H

#include "dispatcher.h"
#include "finding.h"

typedef enum {
    CTL_CHECK_OK = 0,
    CTL_CHECK_WARN,
    CTL_CHECK_FAIL,
    CTL_CHECK_SKIPPED,             /* the text says why */
    CTL_CHECK_STATES
} ctl_check_state_t;

typedef struct {
    ctl_t             *ctl;
    bool               offline;
    const char        *nginx;      /* its program */
    const char        *conf;       /* its configuration; NULL: its default */
    const char        *only;       /* partner or endpoint; NULL: all */
    bool               keys;       /* secrets can be decrypted */
    es_registry_t     *registry;
    ctl_dispatcher_t   dispatcher;
    json_t            *checks;
    unsigned           counts[CTL_CHECK_STATES];
} ctl_doctor_t;

/* Adds the result of a check and returns its finding. */
#define ctl_check(d, name, state, ...)                                         \
    ctl_check_named((d), (name), (state),                                      \
                    ctl_finding_add((d)->checks, __VA_ARGS__))

json_t *ctl_check_named(ctl_doctor_t *d, const char *name,
    ctl_check_state_t state, json_t *finding);

/* ---- doctor_store.c: what the directory and its disk are like ---- */

void ctl_doctor_files(ctl_doctor_t *d);
/* These need the open store. */
void ctl_doctor_store(ctl_doctor_t *d);

/* ---- doctor_process.c: the machine and the dispatcher ---- */

void ctl_doctor_machine(ctl_doctor_t *d);
void ctl_doctor_dispatcher(ctl_doctor_t *d);
/* Loads the registry, with the secrets if the keys are at hand. */
void ctl_doctor_keys(ctl_doctor_t *d);

/* ---- doctor_registry.c: keys and endpoints ---- */

void ctl_doctor_registry(ctl_doctor_t *d);
/* True if the endpoint is among those that were asked for. */
bool ctl_doctor_wants(const ctl_doctor_t *d, const es_endpoint_t *endpoint);

/* ---- doctor_network.c: where the endpoints are ---- */

void ctl_doctor_network(ctl_doctor_t *d);

/* ---- doctor_nginx.c ---- */

void ctl_doctor_nginx(ctl_doctor_t *d);

#endif /* CTL_DOCTOR_H */
