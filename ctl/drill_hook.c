/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * What the receiver of a drill does with a webhook.  A thread for each
 * connection lets it hold one back while it takes others.
 */

#include <unistd.h>

#include "drill.h"
#include "incoming.h"

#define DRILL_DELAY_US  2000000
#define DRILL_SWAP_US   300000


static unsigned
ctl_drill_hook_take(void *ctx, es_str_t body)
{
    ctl_drill_t  *d = ctx;
    ctl_event_t   event;

    if (ctl_event_parse(body, &event) != ES_OK) {
        return MHD_HTTP_NO_CONTENT;
    }

    switch ((ctl_drill_mode_t) atomic_load(&d->mode)) {

    case CTL_DRILL_REFUSE:
        return MHD_HTTP_SERVICE_UNAVAILABLE;

    case CTL_DRILL_DROP:
        return MHD_HTTP_NO_CONTENT;

    case CTL_DRILL_DELAY:
        (void) usleep(DRILL_DELAY_US);
        break;

    case CTL_DRILL_REORDER:
        (void) usleep(event.cursor.sequence % 2 != 0 ? DRILL_SWAP_US : 0);
        break;

    case CTL_DRILL_TAKE:
        break;
    }

    ctl_drill_take(ctl_drill_push(d), event.cursor.sequence);
    (void) atomic_fetch_add(&d->webhooks, 1);

    return MHD_HTTP_NO_CONTENT;
}


int
ctl_drill_hook(ctl_drill_t *d)
{
    d->hook.signer = d->signer;
    d->hook.threads = true;
    d->hook.ctx = d;
    d->hook.take = ctl_drill_hook_take;

    return ctl_hook_begin(&d->hook, d->address, d->port)
           ? CTL_OK : ctl_fail(CTL_FAILED, "cannot listen on %s:%u",
                               d->address, d->port);
}
