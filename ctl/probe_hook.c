/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * The probe's receiver of webhooks.
 */

#include "probe.h"


static unsigned
ctl_probe_hook_take(void *ctx, es_str_t body)
{
    ctl_probe_seen(ctx, CTL_PROBE_WEBHOOK, body);

    return MHD_HTTP_NO_CONTENT;
}


static void
ctl_probe_hook_fault(void *ctx, const char *text)
{
    ctl_probe_fault(ctx, CTL_PROBE_WEBHOOK, "%s", text);
}


bool
ctl_probe_hook_begin(ctl_probe_t *p, ctl_hook_t *hook)
{
    memset(hook, 0, sizeof(ctl_hook_t));
    hook->signer = p->signer;
    hook->ctx = p;
    hook->take = ctl_probe_hook_take;
    hook->fault = ctl_probe_hook_fault;

    if (!ctl_hook_begin(hook, p->state.address, p->state.port)) {
        ctl_probe_fault(p, CTL_PROBE_WEBHOOK, "cannot listen on %s:%u",
                        p->state.address, p->state.port);
        return false;
    }

    ctl_probe_ready(p, CTL_PROBE_WEBHOOK);

    return true;
}
