/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The two requests of a check, and what their answers say.  verification.c
 * decides when they are sent.
 */

#ifndef ESD_CHALLENGE_H
#define ESD_CHALLENGE_H

#include "base/base.h"
#include "delivery/delivery.h"

#include "outcome.h"
#include "send.h"
#include "types.h"
#include "verification.h"

typedef enum {
    ESD_ANSWER_NONE,           /* no answer, a redirect or a throttle */
    ESD_ANSWER_UNDECIDED,      /* the receiver does not know the handshake */
    ESD_ANSWER_REFUSES,        /* it allows another sender only, or does not
                                  repeat the challenge */
    ESD_ANSWER_AGREES,
    ESD_ANSWER_AGREES_ALL      /* to all senders */
} esd_answer_t;

/* Sends OPTIONS to the endpoint, and sets `check`; `ended` as in
   esd_send_start(). */
es_rc_t esd_handshake_send(esd_dispatcher_t *d, esd_target_t *target,
    uint32_t attempt, esd_send_fn ended, const esd_send_t **check);
/* Makes a challenge, and sends it as a signed event. */
es_rc_t esd_challenge_send(esd_dispatcher_t *d, esd_target_t *target,
    char challenge[ESD_CHALLENGE_LEN + 1], esd_send_fn ended,
    const esd_send_t **check);

/* What the answer to either request says. */
esd_answer_t esd_challenge_answer(const esd_send_t *send,
    const char *challenge, const esd_outcome_t *o);

/* Says in words why there is no agreement. */
void esd_challenge_reason(const esd_outcome_t *o, esd_answer_t answer,
    char reason[ES_REASON_MAX]);

#endif /* ESD_CHALLENGE_H */
