/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Logs attempts, so that the log of the dispatcher has what the access log of
 * nginx has of publishes and polls.
 */

#include <stdio.h>
#include <string.h>

#include "base/base.h"
#include "delivery/delivery.h"
#include "log/feed.h"
#include "trace/context.h"

#include "about.h"
#include "attempt_log.h"
#include "dispatcher.h"
#include "lane.h"
#include "log.h"
#include "send.h"
#include "target.h"

static const char  *const  esd_attempt_kinds[] = {
    [ESD_SEND_EVENTS] = NULL,
    [ESD_SEND_NUDGE] = "nudge",
    [ESD_SEND_TEST] = "test",
    [ESD_SEND_TOKEN] = "token",
    [ESD_SEND_HANDSHAKE] = "handshake",
    [ESD_SEND_CHALLENGE] = "challenge"
};


/* "event k3f9-5 of feed "orders"", or what else was sent. */

static void
esd_attempt_what(const esd_about_t *about, char *out, size_t size)
{
    if (about->kind == NULL) {
        (void) snprintf(out, size, "event %s-%llu of feed \"%s\"",
                        about->epoch, (unsigned long long) about->sequence,
                        about->feed);

    } else {
        (void) snprintf(out, size, "a %s request", about->kind);
    }
}


/* Writes the trace id of an event of the request; NULL: it has none. */

static const char *
esd_attempt_trace(const esd_send_t *send, uint64_t sequence,
    char out[2 * ES_TRACE_ID + 1])
{
    unsigned        i;
    const uint8_t  *id;

    static const uint8_t  none[ES_TRACE_ID];

    for (i = 0; i < send->nitems; i++) {
        if (send->items[i].sequence == sequence) {
            break;
        }
    }

    if (i == send->nitems) {
        return NULL;
    }

    id = (const uint8_t *) send->traces.data + i * ES_TRACE_ID;

    if (memcmp(id, none, ES_TRACE_ID) == 0) {
        return NULL;
    }

    *es_trace_hex(id, ES_TRACE_ID, out) = '\0';

    return out;
}


void
esd_attempt_log(const esd_send_t *send, const char *id,
    const es_attempt_t *attempt)
{
    char         what[ES_FEED_MAX + ES_EPOCH_MAX + 64];
    char         trace[2 * ES_TRACE_ID + 1];
    esd_about_t  about;

    if (!send->d->options.log_attempts) {
        return;
    }

    about = send->lane == NULL ? esd_about_target(send->target)
            : esd_about_event(send->lane, attempt->sequence);
    about.kind = esd_attempt_kinds[send->kind];
    about.event_id = id;
    about.attempt = attempt->attempt;
    about.result = es_attempt_class_name(attempt->class);
    about.status = attempt->status;
    about.latency_us = attempt->latency_us;

    about.trace_id = esd_attempt_trace(send, attempt->sequence, trace);

    esd_attempt_what(&about, what, sizeof(what));

    esd_log_about(ESD_LOG_INFO, about,
                  "endpoint %s: attempt %u of %s: %s, status %d, %u ms",
                  send->target->name, about.attempt, what, about.result,
                  about.status, attempt->latency_us / 1000);
}
