/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The outcome of an attempt, and what follows from it.
 *
 * Each kind of attempt ends in a function of its own: it calls
 * esd_outcome_read(), records the attempt, draws its own conclusions, and
 * calls esd_outcome_apply().  So this file knows none of the other kinds.
 */

#ifndef ESD_OUTCOME_H
#define ESD_OUTCOME_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "delivery/delivery.h"

#include "types.h"

struct esd_outcome {
    es_attempt_class_t  class;
    int32_t             status;
    bool                success;
    bool                ours;          /* the failure is the proxy's or our
                                          own; the attempt does not count */
    const char         *stop;          /* NULL, or why the endpoint must be
                                          stopped: 410, disable */
    bool                abort;         /* the receiver refuses this event */
    bool                stale;         /* of a record that has changed */
    bool                busy;          /* 429, or 503 with Retry-After */
    bool                throttle;      /* 502, 504 */
    int64_t             retry_after_ms;    /* -1: none */
};

/* Finds the outcome of an attempt that is over. */
void esd_outcome_read(esd_send_t *send, CURLcode result, esd_outcome_t *o);
/* Ends every attempt: stops the endpoint if the answer requests that, releases
   the send, and wakes lanes that waited. */
void esd_outcome_apply(esd_send_t *send, const esd_outcome_t *o);
/* The esd_send_fn of attempts that carry events. */
void esd_outcome_events(esd_send_t *send, CURLcode result);

#endif /* ESD_OUTCOME_H */
