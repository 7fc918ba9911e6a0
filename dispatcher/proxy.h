/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The operator's proxy, if there is one.
 */

#ifndef ESD_PROXY_H
#define ESD_PROXY_H

#include <curl/curl.h>
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/base.h"
#include "delivery/delivery.h"

#include "types.h"

/* All zero without a proxy. */
typedef struct {
    char     *user;            /* from its file, or NULL */
    char     *password;
    int64_t   pause_ms;        /* 0: it works */
    int64_t   until_us;        /* monotonic: nothing is sent before */
    ev_timer  timer;           /* then the loop tries again */
} esd_proxy_t;

/* True when the text is the URL of a proxy. */
bool esd_proxy_ok(const char *text);
/* Reads the credentials, and logs what is wrong with them. */
es_rc_t esd_proxy_init(esd_dispatcher_t *d);
void esd_proxy_done(esd_dispatcher_t *d);
/* Sets a handle that has its URL to the proxy, or to no proxy at all. */
bool esd_proxy_set(esd_send_t *send);
/* The class of an attempt that got no response: `class`, unless the proxy is
   the cause or says otherwise. */
es_attempt_class_t esd_proxy_class(const esd_send_t *send, CURLcode result,
    es_attempt_class_t class);
/* True while the proxy does not work and must not be tried. */
bool esd_proxy_holds(const esd_dispatcher_t *d);
/* Notes whether the proxy worked in this attempt. */
void esd_proxy_outcome(esd_dispatcher_t *d, const esd_send_t *send,
    CURLcode result, const esd_outcome_t *o);

#endif /* ESD_PROXY_H */
