/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Sending of the test events that shared/manage/test_event.c makes.
 */

#ifndef ESD_TEST_EVENT_H
#define ESD_TEST_EVENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "registry/control_request.h"

#include "types.h"

/* A test event that waits. */
struct esd_test_event {
    TAILQ_ENTRY(esd_test_event)   link;
    uint64_t                      request;
    size_t                        len;
    char                          event[];
};

/* Sends the test event of a request, or lets it wait. */
void esd_test_event_send(esd_dispatcher_t *d, esd_target_t *target,
    const es_control_request_t *request);
/* Sends waiting test events of the endpoints in d->testing, as many as their
   limits allow. */
void esd_test_events_run(esd_dispatcher_t *d);
/* Frees waiting ones without recording attempts: the endpoint was removed. */
void esd_test_events_drop(esd_target_t *target);
/* Records failed attempts for all that wait: the dispatcher ends. */
void esd_test_events_end(esd_dispatcher_t *d);

#endif /* ESD_TEST_EVENT_H */
