/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * A receiver of webhooks for commands that send events to themselves.
 *
 * It verifies each request, and agrees to be sent events when the dispatcher
 * asks.
 */

#ifndef CTL_HOOK_H
#define CTL_HOOK_H

#include <microhttpd.h>
#include <pthread.h>

#include "ctl.h"
#include "keys/signature.h"

typedef struct {
    es_signer_t      *signer;
    bool              threads;     /* one for each connection; else one for
                                      all */
    void             *ctx;

    /* Takes the body of a genuine webhook.  Returns the status to answer. */
    unsigned        (*take)(void *ctx, es_str_t body);

    /* NULL, or is told why a request is not genuine, unless it has no fields of
       a webhook: then it is a stranger's. */
    void            (*fault)(void *ctx, const char *text);

    struct MHD_Daemon  *daemon;
    pthread_mutex_t     lock;      /* of the signer */
} ctl_hook_t;

/* Begins to listen.  False: it cannot. */
bool ctl_hook_begin(ctl_hook_t *hook, const char *address, uint16_t port);

/* Ends what was begun, if it was. */
void ctl_hook_end(ctl_hook_t *hook);

#endif /* CTL_HOOK_H */
