/* SPDX-License-Identifier: BSD-2-Clause */

/*
 * Batches: which events a request carries together, also when it is repeated.
 *
 * Each event of a batch has the sequence of the first in `batch`.  Events that
 * wait with the same `batch` go out in one request.  The id of a batch is made
 * of the ids of its events, so the request has the same id again, and a
 * receiver that has processed it can drop it.
 *
 *     no answer, busy    The batch is repeated whole.  Its last attempt sends
 *                        each event alone: one event may be the cause.
 *     413                The batch is sent again at once in two halves.  The
 *                        size that was refused is remembered.
 *     another failure    Each event is tried again alone.
 */

#include "base/base.h"
#include "base/clock.h"
#include "registry/registry.h"

#include "about.h"
#include "batch.h"
#include "item.h"
#include "log.h"
#include "outcome.h"
#include "send.h"
#include "target.h"
#include "types.h"

#define ESD_BATCH_BYTES      (1024 * 1024)
#define ESD_BATCH_GROW_US    (3600 * 1000000LL)
#define ESD_BATCH_WHOLE      2     /* attempts that are whole in any case */


static void
esd_batch_set(esd_item_t *items, unsigned n)
{
    unsigned  i;

    for (i = 0; i < n; i++) {
        items[i].batch = n > 1 ? items[0].sequence : 0;
    }
}


void
esd_batch_join(esd_send_t *send)
{
    esd_batch_set(send->items, send->nitems);
}


/* The attempts of the events are counted already. */

void
esd_batch_failed(esd_send_t *send, const esd_outcome_t *o)
{
    bool                  last;
    unsigned              i;
    const esd_item_t     *item;
    const es_endpoint_t  *conf;

    conf = send->target->conf;
    item = &send->items[0];
    last = item->attempts + 1 >= conf->nschedule
           && item->attempts >= ESD_BATCH_WHOLE;

    if (o->status == 0 && !last) {
        return;
    }

    for (i = 0; i < send->nitems; i++) {
        send->items[i].batch = 0;
    }
}


size_t
esd_batch_bytes(esd_target_t *target)
{
    if (target->batch_bytes == 0) {
        return ESD_BATCH_BYTES;
    }

    if (es_clock_mono_us() - target->batch_us >= ESD_BATCH_GROW_US) {
        target->batch_us = es_clock_mono_us();
        target->batch_bytes *= 2;

        if (target->batch_bytes >= ESD_BATCH_BYTES) {
            target->batch_bytes = 0;
            return ESD_BATCH_BYTES;
        }
    }

    return target->batch_bytes;
}


void
esd_batch_halve(esd_send_t *send)
{
    unsigned       half;
    esd_target_t  *target;

    target = send->target;

    esd_log_about(target->batch_bytes == 0 ? ESD_LOG_INFO : ESD_LOG_DEBUG,
                  esd_about_target(target),
                  "endpoint %s: a batch of %zu bytes is too large for the "
                  "receiver; it is sent in halves", target->name,
                  send->body.len);

    half = send->nitems / 2;
    target->batch_bytes = send->body.len / 2;
    target->batch_us = es_clock_mono_us();

    esd_batch_set(send->items, half);
    esd_batch_set(send->items + half, send->nitems - half);
}
