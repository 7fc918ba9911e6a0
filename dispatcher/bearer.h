/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The access token that an endpoint's requests carry.
 */

#ifndef ESD_BEARER_H
#define ESD_BEARER_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"

#include "types.h"

/* All zero for an endpoint without `oauth`. */
typedef struct {
    es_buf_t  line;            /* the header line, with its NUL; or empty */
    int64_t   refresh_us;   /* monotonic */
    int64_t   ends_us;
    int64_t   until_us;        /* no request before */
    bool      fetching;
    bool      none;            /* the last request failed: test events that
                                  wait fail with it */
    unsigned  failures;        /* in a row */
    ev_timer  timer;           /* at until_us */
} esd_token_t;

/* Forgets the token. */
void esd_bearer_drop(esd_token_t *token);
/* Gives the send the header line with the endpoint's token, if it has one. */
es_rc_t esd_bearer_attach(esd_send_t *send);
/* The receiver does not accept the token that was sent. */
void esd_bearer_refused(const esd_send_t *send);

#endif /* ESD_BEARER_H */
