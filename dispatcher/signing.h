/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Ed25519 signatures are made in threads, because one takes as long as all
 * other work of a delivery.
 */

#ifndef ESD_SIGNING_H
#define ESD_SIGNING_H

#include <ev.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/base.h"
#include "keys/signature.h"

#include "thread.h"
#include "types.h"

#define ESD_SIGNING_THREADS  4

typedef struct esd_signing  esd_signing_t;

typedef void (*esd_signing_fn)(esd_send_t *send, es_rc_t rc);

typedef TAILQ_HEAD(esd_signing_list, esd_signing)  esd_signing_list_t;

typedef struct {
    esd_thread_t        thread;
    esd_signing_list_t  queue;
    esd_signing_list_t  done;
    ev_async            ready;
    struct ev_loop     *ev;
    _Atomic unsigned    pending;   /* requested and not made */
} esd_signing_thread_t;

typedef struct {
    esd_signing_thread_t  threads[ESD_SIGNING_THREADS];
    unsigned              n;
    bool                  started;
} esd_signings_t;

/* True: the threads have time for the signatures of one more request, and are
   faster than the loop.  Starts threads if needed. */
bool esd_signing_idle(esd_dispatcher_t *d);

/* Adds a signature to make in a thread: by `signer`, over `id`, the time and
   the body; it is written to `out`, in the header fields.  All signatures of a
   message have the same `id` and time.  ES_NOMEM. */
es_rc_t esd_signing_add(esd_send_t *send, es_signer_t *signer,
    es_str_t id, int64_t timestamp_s, char *out);

/* Starts the signatures of a message; `signed_fn` is called when all are
   made. */
void esd_signing_submit(esd_send_t *send, esd_signing_fn signed_fn);

/* The send ends before that, or is not submitted. */
void esd_signing_drop(esd_send_t *send);

/* Ends the threads; no send may be signed afterwards. */
void esd_signing_finish(esd_dispatcher_t *d);

#endif /* ESD_SIGNING_H */
