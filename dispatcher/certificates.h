/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * When the certificates of endpoints' connections expire, see
 * delivery/certificates.h.
 *
 * A connection is looked at once, when its handshake is over.  The result stays
 * with its socket, because other endpoints may use the connection later.  A
 * resumed TLS session shows the certificates of an earlier handshake, so each
 * endpoint has a full handshake after ES_CERT_SEEN_MS without one.
 */

#ifndef ESD_CERTIFICATES_H
#define ESD_CERTIFICATES_H

#include <stdbool.h>
#include <stdint.h>

#include "types.h"

/* What a full handshake has shown.  Zeroed: there was none. */
typedef struct {
    int64_t  peer_ms;          /* the first to expire of the verified chain; 0:
                                  none, as in the next */
    int64_t  own_ms;           /* the client certificate */
    int64_t  seen_ms;          /* wall clock */
    int64_t  seen_us;          /* monotonic */
} esd_handshake_t;

/* Reads what the last run has written. */
void esd_certificates_load(esd_dispatcher_t *d, esd_target_t *target);
/* The request of the send is about to go out: looks at its connection, if it is
   new, while libcurl gives access to it. */
void esd_certificates_look(esd_send_t *send);
/* The request is over, on a connection with this handshake: records a change of
   the endpoint's certificates. */
void esd_certificates_note(esd_send_t *send, const esd_handshake_t *shown);
/* True: the next new connection of the send may resume a TLS session. */
bool esd_certificates_may_resume(const esd_send_t *send);

#endif /* ESD_CERTIFICATES_H */
