/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Ed25519 signatures are made by threads beside the loop: one
 * takes as long as all else of a delivery.
 */

#ifndef ES_SIGNING_H
#define ES_SIGNING_H

#include <ev.h>
#include <sys/queue.h>

#include "thread.h"
#include "keys/signature.h"

#define ES_SIGNING_THREADS  4

struct es_dispatcher;
struct es_send;

typedef struct es_signing  es_signing_t;

typedef TAILQ_HEAD(es_signing_list, es_signing)  es_signing_list_t;

typedef struct {
    es_helper_t        helper;
    es_signing_list_t  asked;
    es_signing_list_t  done;
    ev_async           ready;
    struct ev_loop    *ev;
    _Atomic unsigned   pending;    /* asked and not made */
} es_signing_thread_t;

typedef struct {
    es_signing_thread_t  threads[ES_SIGNING_THREADS];
    unsigned             n;
    bool                 started;
} es_signings_t;

/* True when threads have time for the signatures of one request more, and the
   loop is not as fast by itself.  Starts them. */
bool es_signing_free(struct es_dispatcher *d);

/* Leaves a signature of the send's message to a thread: that of `signer` over
   `id`, the time and the body is to be at `out`, in the header fields; all of
   a message have the same `id` and time.  ES_NOMEM. */
es_rc_t es_signing_add(struct es_send *send, es_signer_t *signer,
    es_str_t id, int64_t timestamp_s, char *out);

/* All of a message's are added: es_send_signed() is called when they are
   made. */
void es_signing_submit(struct es_send *send);

/* The send ends before, or will not be submitted. */
void es_signing_drop(struct es_send *send);

/* Ends the threads; no send is signed any more. */
void es_signing_finish(struct es_dispatcher *d);

#endif /* ES_SIGNING_H */
