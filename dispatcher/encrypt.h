/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Encrypts fields of events in a thread.
 *
 * The loop finds ciphertexts that are kept.  If an event lacks some, its lane
 * waits while the thread makes them.  The thread serves one event or batch at a
 * time, so the key of one partner never fails the events of another.
 */

#ifndef ESD_ENCRYPT_H
#define ESD_ENCRYPT_H

#include <ev.h>
#include <stdbool.h>

#include "base/base.h"
#include "base/reason.h"
#include "fields/fields.h"
#include "read/encrypter.h"

#include "thread.h"
#include "types.h"

typedef struct {
    esd_thread_t       thread;
    es_ciphertexts_t  *texts;
    es_encrypter_t     read;       /* the loop's */
    es_encrypter_t     job;        /* the thread's while `requested` */
    bool               requested;
    bool               done;       /* the loop may take the outcome */
    es_rc_t            rc;
    es_reason_t        reason;     /* its record */
    const esd_lane_t  *lane;       /* of the job; NULL: it is gone */
    esd_lanes_t        waiting;    /* lanes that lack ciphertexts */
    ev_async           ready;
} esd_encrypt_t;

es_rc_t esd_encrypt_start(esd_dispatcher_t *d);
void esd_encrypt_finish(esd_dispatcher_t *d);

/* As es_fields_event().  ES_PENDING: ciphertexts are made first; the caller
   passes that to esd_lane_stuck(), and the lane gets a turn then. */
es_rc_t esd_encrypt_event(esd_dispatcher_t *d, const esd_lane_t *lane,
    const es_fields_t *fields, es_str_t event, es_buf_t *out);

#endif /* ESD_ENCRYPT_H */
