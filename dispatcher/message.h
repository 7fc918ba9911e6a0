/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Makes the HTTP request of a webhook: events, signatures, header fields.  A
 * message is one or more events in one request.
 */

#ifndef ESD_MESSAGE_H
#define ESD_MESSAGE_H

#include "base/base.h"
#include "read/reader.h"

#include "item.h"
#include "send.h"
#include "types.h"

void esd_message_begin(esd_send_t *send);
/* Adds an event of the log, up to the endpoint's batch size.  `event` is read
   only during the call. */
es_rc_t esd_message_add(esd_send_t *send, const esd_lane_t *lane,
    const esd_item_t *item, const es_event_t *event);
/* Adds an event that is not in the log, as the only one. */
es_rc_t esd_message_own(esd_send_t *send, esd_send_kind_t kind, es_str_t id,
    es_str_t event);
/* Signs the message and writes header fields, for the time send->sent_ms.
   Threads may make the signatures later: see signing.h. */
es_rc_t esd_message_end(esd_send_t *send, const esd_lane_t *lane);

#endif /* ESD_MESSAGE_H */
