/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Warnings about endpoints that lose events by a command.
 *
 * The undelivered events are counted before the change, because the change may
 * remove what they are counted by.
 */

#include <inttypes.h>
#include <stdio.h>

#include "affected.h"
#include "object.h"


int
ctl_affected_begin(ctl_t *ctl, unsigned flags, const char *feed,
    uint64_t before, ctl_affected_t *affected)
{
    int      rc;
    es_rc_t  es;

    memset(affected, 0, sizeof(ctl_affected_t));

    rc = ctl_open(ctl, flags | ES_STORE_DELIVERY_READ);
    if (rc != CTL_OK) {
        return rc;
    }

    es = es_registry_load_closed(ctl->store, &affected->registry);

    if (es == ES_OK) {
        es = es_undelivered_load(ctl->store, 0, es_str(feed), before,
                                 &affected->waiting);
    }

    if (es != ES_OK) {
        ctl_affected_end(affected);
        return ctl_fail(CTL_FAILED, "cannot count the undelivered events: "
                        "%s", es_reason(es));
    }

    return CTL_OK;
}


void
ctl_affected_end(ctl_affected_t *affected)
{
    es_registry_free(affected->registry);
    es_undelivered_free(&affected->waiting);
    affected->registry = NULL;
}


/* The count is an upper bound: the dispatcher goes on delivering meanwhile. */

void
ctl_affected_lost(const ctl_affected_t *affected)
{
    size_t                   i;
    const es_endpoint_t     *endpoint;
    const es_undelivered_t  *u;

    for (i = 0; i < affected->waiting.n; i++) {
        u = &affected->waiting.list[i];

        if (u->events == 0) {
            continue;
        }

        endpoint = ctl_endpoint_numbered(affected->registry, u->endpoint);

        ctl_warn("endpoint %s: %" PRIu64 " event%s of feed \"%s\" %s not "
                 "delivered and %s",
                 endpoint ? endpoint->name.data : u->name, u->events,
                 ctl_plural(u->events), u->feed,
                 u->events == 1 ? "was" : "were",
                 u->events == 1 ? "is lost" : "are lost");
    }
}


void
ctl_affected_left(ctl_t *ctl, const ctl_affected_t *affected)
{
    size_t                   i;
    es_registry_t           *registry;
    const es_endpoint_t     *was, *is;
    const es_undelivered_t  *u;

    if (es_registry_load_closed(ctl->store, &registry) != ES_OK) {
        return;
    }

    for (i = 0; i < affected->waiting.n; i++) {
        u = &affected->waiting.list[i];
        was = ctl_endpoint_numbered(affected->registry, u->endpoint);
        is = ctl_endpoint_numbered(registry, u->endpoint);

        if (was != NULL
            && es_endpoint_lists(was, es_str(u->feed))
            && (is == NULL || !es_endpoint_lists(is, es_str(u->feed))))
        {
            ctl_warn("endpoint %s no longer receives feed \"%s\": its "
                     "position, with %" PRIu64 " undelivered event%s, is "
                     "kept for 30 days", was->name.data, u->feed,
                     u->events, ctl_plural(u->events));
        }
    }

    es_registry_free(registry);
}


void
ctl_affected_filtered(const ctl_affected_t *affected, const char *name)
{
    size_t                   i;
    const es_endpoint_t     *endpoint;
    const es_undelivered_t  *u;

    endpoint = es_registry_endpoint(affected->registry, es_str(name));

    for (i = 0; endpoint != NULL && i < affected->waiting.n; i++) {
        u = &affected->waiting.list[i];

        if (u->endpoint == endpoint->number && u->events > 0 && !u->away) {
            ctl_warn("endpoint %s: %" PRIu64 " event%s of feed \"%s\" %s "
                     "undelivered; those that the new filter does not "
                     "match will not be sent", name,
                     u->events, ctl_plural(u->events), u->feed,
                     u->events == 1 ? "is" : "are");
        }
    }
}
