/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Verification: an endpoint that must agree to be sent events is sent nothing
 * but checks until it does.
 *
 * --verify-endpoints says which endpoints must agree.  A check is the handshake
 * of the CloudEvents webhook specification (section 4): OPTIONS with
 * WebHook-Request-Origin.  If the receiver answers that without a decision, a
 * signed event with a challenge follows, which the answer must repeat.
 *
 * An agreement holds for the origin of the URL, and for the endpoints of the
 * same partner at that origin.  A host has one check in flight, and waits after
 * a failed one, however many endpoints name it.
 */

#ifndef ESD_VERIFICATION_H
#define ESD_VERIFICATION_H

#include <stdbool.h>
#include <stdint.h>

#include "delivery/verification.h"
#include "registry/control_request.h"

#include "types.h"

#define ESD_CHALLENGE_LEN  32

/* The verification of an endpoint that must agree, or has agreed. */
struct esd_verification {
    es_verification_t  record;
    const esd_send_t  *check;      /* in flight, whose answer counts; or NULL */
    char               challenge[ESD_CHALLENGE_LEN + 1];
};

/* The endpoint is new: takes over the record of the last run. */
void esd_verification_load(esd_dispatcher_t *d, esd_target_t *target);
/* Its record is new or has changed; its caller is set. */
void esd_verification_change(esd_dispatcher_t *d, esd_target_t *target);
/* It goes away, before its requests end. */
void esd_verification_drop(esd_dispatcher_t *d, esd_target_t *target);

/* A request of an operator: a check now, or an agreement. */
void esd_verification_request(esd_dispatcher_t *d, esd_target_t *target,
    const es_control_request_t *request);
/* Begins the checks that are due. */
void esd_verifications_run(esd_dispatcher_t *d);

#endif /* ESD_VERIFICATION_H */
