/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Requests that are not whole events, as "listen" reads them: their events are
 * written as JSON, so that all other code sees whole events.
 *
 * Call these functions after the signature of the request was verified.
 */

#ifndef CTL_LISTEN_SHAPE_H
#define CTL_LISTEN_SHAPE_H

#include <microhttpd.h>

#include "base/base.h"

/* Appends the event of a request in binary mode, with its data if that is
   JSON.  ES_NOT_FOUND: the request has no ce-specversion.  ES_INVALID: a header
   field is malformed, or ce-id, which is not signed, is not the webhook-id. */
es_rc_t ctl_listen_binary(struct MHD_Connection *connection, es_str_t body,
    es_buf_t *event);

/* Appends the event of a test, challenge or nudge that came as data only.
   ES_NOT_FOUND: the request is another one. */
es_rc_t ctl_listen_own(struct MHD_Connection *connection, es_str_t body,
    es_buf_t *event);

#endif /* CTL_LISTEN_SHAPE_H */
