/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * One request to "listen", from its signature to the status of its answer.
 */

#ifndef CTL_LISTEN_H
#define CTL_LISTEN_H

#include <microhttpd.h>
#include <pthread.h>

#include "http.h"
#include "keys/signature.h"
#include "receiver.h"

typedef struct {
    pthread_mutex_t  lock;         /* protects all that follows except
                                      `fail_...`: the server's thread takes
                                      webhooks while the main thread polls */
    ctl_receiver_t   receiver;
    ctl_http_t       http;
    es_signer_t     *signer;
    bool             data_only;    /* requests have no attributes */
    unsigned         fail_percent; /* to refuse, with `fail_status` */
    unsigned         fail_status;
    uint32_t         poll_every_ms; /* 0: only to heal gaps */
    char            *challenge;    /* to repeat, or NULL */
    uint64_t         unsigned_n;   /* requests with invalid headers or
                                      signatures */
} ctl_listen_t;

/* One request while its body is received. */
typedef struct {
    es_buf_t  body;
    es_buf_t  answer;      /* a body, or empty */
    unsigned  wait_s;      /* of Retry-After; 0: none */
    bool      too_large;
} ctl_listen_request_t;

/* A header field of the request; empty: it is absent. */
es_str_t ctl_listen_header(struct MHD_Connection *connection,
    const char *name);

/* Verifies the request and takes its events.  Returns the status to answer,
   and sets the body and Retry-After of the answer. */
unsigned ctl_listen_take(ctl_listen_t *l, struct MHD_Connection *connection,
    ctl_listen_request_t *request);

#endif /* CTL_LISTEN_H */
